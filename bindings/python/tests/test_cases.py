"""How a case may be given, and how one is refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from case_system import CaseSystem

import casehook


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(levels):
        made = {"x": made}
    return made


def test_params_may_be_an_object_or_text_or_made_by_case(agent: casehook.Agent, system: CaseSystem) -> None:
    params = {"incident": {"title": "a"}, "comments": None}
    pushes = [agent.push("tracker", params), agent.push("tracker", json.dumps(params))]
    pushes += agent.push_many("tracker", [casehook.case("b", tags=("x",)), params])
    assert agent.flush(timeout=timedelta(seconds=20)) is True
    assert [agent.status(push).state for push in pushes] == ["delivered"] * 4
    assert sorted(t["subject"] for t in system.tickets.values()) == ["a", "a", "a", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a title"),
        ({"params": {}, "title": "t"}, "not both"),
        ({"params": {}, "tags": ["a"]}, "not both"),
    ],
)
def test_a_case_is_params_or_parts(still: casehook.Agent, arguments: dict[str, Any], message: str) -> None:
    for call in (still.push, still.preview, still.test):
        with pytest.raises(TypeError, match=f"^{call.__name__}\\(\\) .*{message}"):
            call("tracker", **arguments)


def test_none_is_as_not_given(still: casehook.Agent) -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ["case_id", "description", "tags", "severity", "status", "comments", "external_id", "fields", "traceparent"]
    )
    assert casehook.case("t", **nothing) == casehook.case("t")
    assert still.preview("tracker", title="t", **nothing) == still.preview("tracker", casehook.case("t"))
    for push in (still.push("tracker", title="t", **nothing), still.push("tracker", casehook.case("t"), **nothing)):
        assert still.status(push).comments == []


def test_what_has_no_truth_is_no_list_either(still: casehook.Agent) -> None:
    for name in ("tags", "comments"):
        for value in ("", 0, False, b"", {}):
            for more in ({"title": "t"}, {"params": casehook.case("t")}):
                if name == "tags" and value == {}:
                    continue
                with pytest.raises(casehook.CaseTypeError, match=name):
                    still.push("tracker", **more, **{name: value})  # type: ignore[arg-type]
    assert list(still.pushes()) == []


def test_preview_and_test_take_the_parts_of_a_case(agent: casehook.Agent, system: CaseSystem) -> None:
    parts: dict[str, Any] = {"description": "95 %", "tags": ["a"], "comments": [("c", "text")], "fields": {"x": 1}}
    assert agent.preview("tracker", title="t", **parts) == agent.preview("tracker", casehook.case("t", **parts))
    report = agent.test("tracker", title="t", **parts)
    assert report.ok and [step.step for step in report.steps] == ["create", "get", "comment"]
    assert system.tickets[1]["text"] == "95 %"
    for call in (agent.preview, agent.test):
        for wrong, field in (
            ({"title": 5}, "incident.title"),
            ({"title": "t", "case_id": 7}, "incident.id"),
            ({"title": "t", "tags": ["a", 1]}, "incident.tags[1]"),
            ({"title": "t", "comments": [("c", None)]}, "comments[0].comment"),
            ({"title": "t", "fields": {"x": float("nan")}}, "incident.fields"),
        ):
            with pytest.raises(casehook.CaseError) as caught:
                call("tracker", **wrong)
            assert caught.value.field == field


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"title": 5}, "incident.title"),
        ({"title": "t", "tags": "infra"}, "incident.tags"),
        ({"title": "t", "tags": [1]}, "incident.tags[0]"),
        ({"title": "t", "comments": [5]}, "comments[0]"),
        ({"title": "t", "comments": 5}, "comments"),
        ({"title": "t", "comments": ["c1"]}, "comments[0]"),
        ({"title": "t", "comments": [("c1", None)]}, "comments[0].comment"),
        ({"title": "t", "comments": [{"commentId": "c1"}]}, "comments[0].comment"),
        ({"title": "t", "comments": [{"commentId": "c1", "comment": "c", "at": "x"}]}, "comments[0].at"),
        ({"title": "t", "fields": {"x": float("nan")}}, "incident.fields"),
        ({"title": "t", "fields": {"x": object()}}, "incident.fields"),
        ({"title": "t", "fields": {"x": datetime(2026, 1, 1)}}, "incident.fields"),
        ({"title": "t", "fields": deep(2_000)}, "incident.fields"),
        ({"title": "t", "case_id": 7}, "incident.id"),
        ({"title": "t", "case_id": "\udfff"}, "incident.id"),
        ({"title": "t", "tags": ["a", "\ud800"]}, "incident.tags[1]"),
        ({"title": "\ud800"}, "incident.title"),
        ({"params": {"incident": {"title": "\ud800"}}}, "params"),
        ({"title": "x" * 70_000}, "incident.title"),
        ({"params": "no json"}, "params"),
        ({"params": {"incident": {"titel": "t"}}}, "incident.titel"),
    ],
)
def test_a_case_that_is_none_is_refused(still: casehook.Agent, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(casehook.CaseError) as caught:
        still.push("tracker", **arguments)
    assert caught.value.field == field
    assert (caught.value.code, caught.value.number, caught.value.retryable) == ("case", 2, False)
    assert isinstance(caught.value, ValueError)
    assert list(still.pushes()) == []


def test_push_many_names_the_case_and_stores_none(still: casehook.Agent) -> None:
    with pytest.raises(casehook.CaseError) as caught:
        still.push_many("tracker", [casehook.case("a"), {"incident": {}}])
    assert caught.value.field == "cases[1].incident.title"
    # Also when there is only one, and it is not its form that is wrong.
    for cases in ([casehook.case("x" * 70_000)], [casehook.case("a"), casehook.case("x" * 70_000)]):
        with pytest.raises(casehook.CaseError) as caught:
            still.push_many("tracker", cases)
        assert caught.value.field == f"cases[{len(cases) - 1}].incident.title"
    assert list(still.pushes()) == []
    assert still.push_many("tracker", []) == []
