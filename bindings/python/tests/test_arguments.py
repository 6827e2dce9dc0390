"""What callers hand in: every wrong type and value is refused in words that name the argument."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from case_system import CaseSystem

import casehook

HALF = "half \ud800 of a pair"


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda a: a.push(5, title="t"), "connector"),
        (lambda a: a.push(None, {"incident": {}}), "connector"),
        (lambda a: a.push("tracker", 5), "params"),
        (lambda a: a.push("tracker", ["x"]), "params"),
        (lambda a: a.push("tracker", title=5), "title"),
        (lambda a: a.push("tracker", title=b"t"), "title"),
        (lambda a: a.push("tracker", title="t", case_id=7), "case_id"),
        (lambda a: a.push("tracker", title="t", description=[1]), "description"),
        (lambda a: a.push("tracker", title="t", severity=1), "severity"),
        (lambda a: a.push("tracker", title="t", status=1), "status"),
        (lambda a: a.push("tracker", title="t", external_id=17), "external_id"),
        (lambda a: a.push("tracker", title="t", tags="infra"), "tags"),
        (lambda a: a.push("tracker", title="t", tags=5), "tags"),
        (lambda a: a.push("tracker", title="t", tags=["a", 1]), "tags[1]"),
        (lambda a: a.push("tracker", title="t", comments="text"), "comments"),
        (lambda a: a.push("tracker", title="t", comments={"c1": "text"}), "comments"),
        (lambda a: a.push("tracker", title="t", comments=[("c", "x"), 5]), "comments[1]"),
        (lambda a: a.push("tracker", title="t", comments=[("c", "x", "y")]), "comments[0]"),
        (lambda a: a.push("tracker", title="t", fields=[("a", 1)]), "fields"),
        (lambda a: a.push_many("tracker", {"incident": {}}), "cases"),
        (lambda a: a.push_many("tracker", [5]), "cases[0]"),
        (lambda a: a.configure(5, {}), "name"),
        (lambda a: a.configure("tracker", None), "config"),
        (lambda a: a.configure("tracker", {}, 5), "secrets"),
        (lambda a: a.connector(b"tracker"), "name"),
        (lambda a: a.remove(5), "name"),
        (lambda a: a.status("1"), "push"),
        (lambda a: a.attempts(1.0), "push"),
        (lambda a: a.wait(None), "push"),
        (lambda a: a.wait(1, "5"), "timeout"),
        (lambda a: a.wait(1, [5]), "timeout"),
        (lambda a: a.flush("soon"), "timeout"),
        (lambda a: a.close("now"), "timeout"),
        (lambda a: a.retry("1"), "push"),
        (lambda a: a.cancel("1"), "push"),
        (lambda a: a.discard("1"), "push"),
        (lambda a: a.adopt("1", "x"), "push"),
        (lambda a: a.adopt(1, 7), "external_id"),
        (lambda a: a.link("tracker", 7), "case_id"),
        (lambda a: a.preview("tracker", 5), "params"),
        (lambda a: a.test(None, {}), "connector"),
        (lambda a: a.test("tracker", 5), "params"),
        (lambda a: a.test("tracker", {}, get_only="1"), "get_only"),
        (lambda a: a.test("tracker", title="t", get_only="1"), "get_only"),
        (lambda a: a.test("tracker", get_only=1), "get_only"),
        (lambda a: a.pause(5), "connector"),
        (lambda a: a.resume(5), "connector"),
        (lambda a: a.backup(5), "path"),
        (lambda a: a.pushes(state=5), "state"),
        (lambda a: a.pushes(connector=5), "connector"),
        (lambda a: a.pushes(case_id=5), "case_id"),
        (lambda a: a.pushes(limit="5"), "limit"),
        (lambda a: a.pushes(before="5"), "before"),
        (lambda a: casehook.preset(5), "name"),
        (lambda a: casehook.preset("redmine", url="https://r.example", project=5.5), "project"),
        (lambda a: casehook.preset("redmine", url="https://r.example", project="p", tracker=True), "tracker"),
        (lambda a: casehook.preset("redmine", url=b"https://r.example", project="p"), "url"),
        (lambda a: casehook.Agent(5), "path"),
        (lambda a: casehook.Agent(None), "path"),
        (lambda a: casehook.Agent("x.db", key="k" * 32), "key"),
        (lambda a: casehook.Agent("x.db", settings=5), "settings"),
        (lambda a: casehook.Agent("x.db", workers="4"), "workers"),
        (lambda a: casehook.Agent("x.db", max_queued=1.5), "max_queued"),
        (lambda a: casehook.Agent("x.db", history="30 days"), "history"),
        (lambda a: casehook.Agent("x.db", history_count=None), "history_count"),
        (lambda a: casehook.Agent("x.db", secret_env="TOKEN"), "secret_env"),
        (lambda a: casehook.Agent("x.db", secret_env=[5]), "secret_env[0]"),
        (lambda a: casehook.Agent("x.db", secret_dir=5), "secret_dir"),
    ],
)
def test_a_wrong_type_is_a_type_error(
    still: casehook.Agent, call: Callable[[Any], object], argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError) as caught:
        call(still)
    assert argument in str(caught.value)
    assert "must be" in str(caught.value) or "a comment is" in str(caught.value)
    assert list(still.pushes()) == [] and not Path("x.db").exists()


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda a: a.push(HALF, title="t"), "connector"),
        (lambda a: a.push("tracker", title=HALF), "incident.title"),
        (lambda a: a.push("tracker", title="t", comments=[("c", HALF)]), "comments[0].comment"),
        (lambda a: a.push("tracker", title="t", fields={"x": HALF}), "incident.fields"),
        (lambda a: a.push("tracker", {"incident": {"title": HALF}}), "params"),
        (lambda a: a.push_many("tracker", [{"incident": {"title": HALF}}]), "cases[0]"),
        (lambda a: a.configure("tracker", {HALF: 1}), "config"),
        (lambda a: a.connector(HALF), "name"),
        (lambda a: casehook.preset("redmine", url="https://r.example", project=HALF), "project"),
        (lambda a: a.link("tracker", HALF), "case_id"),
        (lambda a: a.pushes(case_id=HALF), "case_id"),
        (lambda a: casehook.Agent("a\0b.db"), "path"),
        (lambda a: casehook.Agent("\ud800.db"), "path"),
        (lambda a: a.backup("a\0b.db"), "path"),
        (lambda a: casehook.Agent("x.db", workers=-1), "workers"),
        (lambda a: casehook.Agent("x.db", workers=2**80), "workers"),
        (lambda a: casehook.Agent("x.db", max_queued=-1), "max_queued"),
        (lambda a: casehook.Agent("x.db", history=-1), "history"),
        (lambda a: casehook.Agent("x.db", key=b"k" * 33), "key"),
        (lambda a: a.pushes(limit=-1), "limit"),
        (lambda a: a.wait(1, -0.1), "timeout"),
        (lambda a: a.wait(1, float("nan")), "timeout"),
        (lambda a: a.close(timedelta(seconds=-1)), "timeout"),
    ],
)
def test_a_wrong_value_names_its_place(
    still: casehook.Agent, call: Callable[[Any], object], field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(casehook.Error) as caught:
        call(still)
    assert isinstance(caught.value, ValueError)
    assert caught.value.field == field and str(caught.value).startswith(f"{field}: ")
    assert list(still.pushes()) == [] and not Path("x.db").exists()
    # The message itself can be written anywhere.
    str(caught.value).encode()


def test_numbers_that_no_push_has(still: casehook.Agent) -> None:
    for number in (0, -1, 2**63 - 1, -(2**63), 2**63, 10**5_000):
        with pytest.raises(casehook.NotFoundError):
            still.status(number)


def test_any_number_is_a_time_out_and_any_mapping_a_document(still: casehook.Agent) -> None:
    push = still.push("tracker", title="t")
    for timeout in (0, 0.0, False, Decimal("0.001"), Fraction(1, 1000), timedelta(0), timedelta(microseconds=1)):
        with pytest.raises(casehook.TimeoutError):
            still.wait(push, timeout)  # type: ignore[arg-type]
    still.pause("tracker")
    for timeout in (None, 1e300, float("inf"), 10**400, timedelta.max):
        assert still.flush(timeout) is False
    incident = {"title": "t"}
    for mapping in (dict, OrderedDict, UserDict, MappingProxyType):
        still.push("tracker", mapping({"incident": mapping(incident)}))
        still.push("tracker", title="t", fields=mapping({"deep": mapping({"er": 1})}))
    assert len(list(still.pushes())) == 9


def test_generators_everywhere(still: casehook.Agent) -> None:
    def letters() -> Iterator[str]:
        yield from "ab"

    push = still.push("tracker", title="t", tags=letters(), comments=((c, c) for c in letters()))
    assert still.status(push).comments == [("a", "pending"), ("b", "pending")]
    assert len(still.push_many("tracker", (casehook.case(c, tags=letters()) for c in letters()))) == 2


def test_a_generator_that_raises_stores_nothing(still: casehook.Agent) -> None:
    def cases() -> Iterator[dict[str, Any]]:
        yield casehook.case("a")
        raise LookupError("the source is gone")

    with pytest.raises(LookupError, match="the source is gone"):
        still.push_many("tracker", cases())
    assert list(still.pushes()) == []


def test_odd_texts_arrive_as_they_are(agent: casehook.Agent, system: CaseSystem) -> None:
    titles = ["a\0b", "\u2028\u2029", "😀 中文 ü", "\x7f\x01\t\r\n", "{{{case.title}}}", '"\\', "\ufeff\ufffe"]
    for title in titles:
        push = agent.push("tracker", title=title, case_id=title, comments=[(title, title)])
        status = agent.wait(push, 20)
        assert (status.state, status.case_id) == ("delivered", title)
        assert status.comments == [(title, "sent")]
        assert system.tickets[int(status.external_id or 0)]["subject"] == title
        assert system.tickets[int(status.external_id or 0)]["notes"] == [title]
        found = agent.link("tracker", title)
        assert found is not None and found.external_id == status.external_id


def test_parts_and_params_make_the_same_case(agent: casehook.Agent, system: CaseSystem) -> None:
    parts: dict[str, Any] = {
        "title": "t ü", "description": "", "tags": ["a", ""], "severity": "high", "status": "open",
        "comments": [("c1", "x"), ("c2", "y")], "external_id": "",
        "fields": {"n": 10**30, "f": 1.5, "deep": [{"x": None}], "ü": "😀"},
    }  # fmt: skip
    body = '{"subject": {{{case.title}}}, "d": {{{case.description}}}, "t": {{{case.tags}}}, "s": {{{case.severity}}}, '
    body += '"o": {{{case.status}}}, "f": {{{case.fields.deep}}}, "n": {{{case.fields.n}}}, "u": {{{case.fields.ü}}}}'
    agent.configure("all", {**agent.connector("tracker").config, "createIncidentJson": body})
    agent.push("all", **parts, case_id="a")
    agent.push("all", casehook.case(**parts, case_id="b"))
    assert agent.flush(30) is True
    first, second = ({**ticket, "id": 0} for ticket in system.tickets.values())
    assert first == second
    assert first["notes"] == ["x", "y"] and first["n"] == 10**30 and first["f"] == [{"x": None}] and first["u"] == "😀"


def test_limits_name_what_is_too_large(still: casehook.Agent) -> None:
    for arguments, field in (
        ({"title": "x" * (64 * 1024 + 1)}, "incident.title"),
        ({"title": "t", "description": "x" * (4 * 1024 * 1024)}, "params"),
        ({"title": "t", "tags": ["x"] * 1_001}, "incident.tags"),
        ({"title": "t", "comments": [(str(n), "x") for n in range(10_001)]}, "comments"),
        ({"title": "t", "fields": {"x" * 129: 1}}, "incident.fields"),
    ):
        with pytest.raises(casehook.CaseError, match="limit") as caught:
            still.push("tracker", **arguments)  # type: ignore[arg-type]
        assert str(caught.value.field).startswith(field)
    still.push("tracker", title="x" * (64 * 1024), description="y" * (3 * 1024 * 1024))


def test_an_aware_datetime_is_text_in_fields(still: casehook.Agent) -> None:
    at = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    still.configure(
        "dated",
        {**still.connector("tracker").config, "createIncidentJson": '{"at": {{{case.fields.at}}}, "t": {{{case.title}}}}'},
    )
    still.push("dated", title="t", fields={"at": at})
    (request, *_) = still.preview("dated", casehook.case("t", fields={"at": at}))
    assert request.body == '{"at": "2026-03-01T12:30:00+02:00", "t": "t"}'


def test_an_object_that_was_not_opened_is_quiet(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        casehook.Agent()  # type: ignore[call-arg]
    with pytest.raises(casehook.StoreError):
        casehook.Agent(tmp_path / "nowhere" / "a.db")
    agent = casehook.Agent.__new__(casehook.Agent)
    assert repr(agent).startswith("<casehook.Agent")
