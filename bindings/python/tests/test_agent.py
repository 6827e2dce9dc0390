"""The verbs, one after the other."""

from __future__ import annotations

import json
import pathlib
import pickle
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from case_system import CaseSystem, config, free_port

import casehook


def test_a_push_arrives_with_its_comments(agent: casehook.Agent, system: CaseSystem) -> None:
    push = agent.push(
        "tracker",
        title="Disk full",
        case_id="host-7/disk",
        description="95 %",
        tags=["infra"],
        severity="high",
        status="open",
        comments=[("c1", "first look"), {"commentId": "c2", "comment": "second"}],
        fields={"rack": {"row": 3}},
    )
    status = agent.wait(push, timeout=20)
    assert status.state == "delivered"
    assert (status.id, status.connector, status.case_id) == (push, "tracker", "host-7/disk")
    assert (status.external_id, status.external_title) == ("1", "Disk full")
    assert status.external_url == f"http://127.0.0.1:{system.port}/tickets/1"
    assert status.comments == [("c1", "sent"), ("c2", "sent")]
    assert status.error is None and status.superseded_by is None and status.uncertain is False
    assert system.tickets[1]["notes"] == ["first look", "second"]
    assert status.created_at.tzinfo is timezone.utc
    assert abs(datetime.now(timezone.utc) - status.created_at) < timedelta(minutes=1)
    assert repr(status).startswith(f"PushStatus(id={push}, connector='tracker', case_id='host-7/disk', state='delivered'")
    attempts = agent.attempts(push)
    assert [attempt.step for attempt in attempts] == ["create", "get", "comment", "comment"]
    assert all(attempt.failure is None and attempt.at.tzinfo for attempt in attempts)
    link = agent.link("tracker", "host-7/disk")
    assert link is not None and link.external_id == "1" and link.updated_at.tzinfo is timezone.utc
    assert agent.link("tracker", "nothing") is None


def test_documents_are_mappings_or_text_with_secrets_apart_or_inside(still: casehook.Agent) -> None:
    document = config(9, hasAuth=True)
    secrets = {"user": "u", "password": "p-9c1"}
    for arguments in [
        (document, secrets),
        (json.dumps(document), json.dumps(secrets)),
        ({"config": document, "secrets": secrets},),
        (json.dumps({"name": "other", "config": document, "secrets": secrets}),),
    ]:
        assert still.configure("basic", *arguments) == []
    connector = still.connector("basic")
    assert connector.name == "basic" and connector.config["createIncidentResponseKey"] == "id"
    assert "p-9c1" not in repr(still.connectors())
    assert {connector: 1}[pickle.loads(pickle.dumps(connector))] == 1
    assert [one.name for one in still.connectors()] == ["basic", "tracker"]
    preview = still.preview("basic", casehook.case("t", comments=[("c", "text")]))
    assert [request.step for request in preview] == ["create", "get", "comment"]
    assert dict(preview[0].headers)["Authorization"] == "***"
    assert preview[0].body == '{"subject": "t", "text": ""}'


def test_warnings_come_back_and_stay(still: casehook.Agent) -> None:
    warnings = still.configure("plain", config(9, createIncidentJson='{"subject": {{{case.title}}}}'))
    assert [warning.field for warning in warnings] == ["config.createIncidentJson"]
    assert "case.description" in str(warnings[0])
    assert still.connector("plain").warnings == tuple(warnings)


def test_a_refused_document_names_field_and_remedy(still: casehook.Agent) -> None:
    with pytest.raises(casehook.ConfigError, match="createIncidentUrl") as caught:
        still.configure("bad", {**config(9), "createIncidentUrll": "x"})
    assert caught.value.code == "config"
    with pytest.raises(casehook.ConfigError) as caught:
        still.configure("bad", {"createIncidentUrl": {1, 2}})
    assert caught.value.field == "config"
    with pytest.raises(casehook.NotFoundError, match="tracker") as missing:
        still.connector("bad")
    assert isinstance(missing.value, LookupError)


def test_pushes_come_newest_first_page_by_page(still: casehook.Agent) -> None:
    ids = still.push_many("tracker", [casehook.case(f"t{n}", case_id=f"c{n % 2}") for n in range(250)])
    still.configure("tracker", config(9, coalesce=False))
    found = still.pushes()
    assert next(found).id == ids[-1]
    listed = [status.id for status in still.pushes(state="queued")]
    assert listed == sorted(listed, reverse=True)
    # Of each case the newest absorbed the others.
    assert len(listed) == 2
    assert len(list(still.pushes(state="superseded"))) == 248
    assert len(list(still.pushes(limit=120))) == 120
    assert len(list(still.pushes(limit=0))) == 0
    assert [status.id for status in still.pushes(before=ids[3], limit=2)] == [ids[2], ids[1]]
    assert {status.case_id for status in still.pushes(case_id="c1", connector="tracker")} == {"c1"}
    with pytest.raises(casehook.ArgumentError, match="superseded"):
        still.pushes(state="nonsense")  # type: ignore[arg-type]


def test_a_failed_push_is_data_and_can_be_retried_or_discarded(agent: casehook.Agent, system: CaseSystem) -> None:
    bad = config(system.port, createIncidentUrl=f"http://127.0.0.1:{system.port}/tickets/9")
    agent.configure("tracker", bad)
    push = agent.push("tracker", title="t")
    status = agent.wait(push, 20)
    assert status.state == "failed" and status.error is not None
    assert (status.error.kind, status.error.http_status, status.error.step) == ("permanent", 404, "create")
    assert status.error.retryable is False and str(status.error) == status.error.message
    with pytest.raises(casehook.StateError):
        agent.cancel(push)
    agent.configure("tracker", config(system.port))
    agent.retry(push)
    assert agent.wait(push, 20).state == "delivered"
    with pytest.raises(casehook.StateError):
        agent.discard(push)


def test_a_test_shows_both_sides(agent: casehook.Agent, system: CaseSystem) -> None:
    report = agent.test("tracker", casehook.case("probe", comments=[("c", "text")]))
    assert report.ok and [step.step for step in report.steps] == ["create", "get", "comment"]
    first = report.steps[0]
    assert first.request is not None and first.request.method == "POST"
    assert first.answer is not None and first.answer.status == 201
    assert (report.external_id, report.external_title) == ("1", "probe")
    assert list(agent.pushes()) == []


def test_a_test_may_only_read(agent: casehook.Agent, system: CaseSystem) -> None:
    written = agent.test("tracker", casehook.case("probe")).external_id
    assert written is not None
    before = len(system.methods)
    report = agent.test("tracker", get_only=written)
    assert report.ok and [step.step for step in report.steps] == ["get"]
    assert (report.external_id, report.external_title) == (written, "probe")
    assert system.methods[before:] == ["GET"]
    assert not agent.test("tracker", get_only="987654").ok
    with pytest.raises(casehook.ArgumentError):
        agent.test("tracker", get_only="")


def test_pause_resume_cancel_remove_stats(agent: casehook.Agent) -> None:
    agent.pause("tracker")
    push = agent.push("tracker", title="t")
    assert agent.flush(timeout=20) is False
    stats = agent.stats()
    assert (stats.connectors[0].health.state, stats.connectors[0].queued) == ("paused", 1)
    assert stats.connectors[0].oldest_at is not None
    assert 'casehook_pushes{connector="tracker",state="queued"} 1' in agent.metrics_text().splitlines()
    assert (stats.connectors[0].accepted_total, stats.connectors[0].delivered_total) == (1, 0)
    assert stats.connectors[0].traffic.exchanges == ()
    with pytest.raises(casehook.StateError):
        agent.remove("tracker")
    agent.cancel(push)
    agent.resume("tracker")
    assert agent.status(push).state == "cancelled"
    agent.remove("tracker")
    assert agent.stats().connectors == ()
    assert "casehook_drained 1" in agent.metrics_text().splitlines()


def test_remove_can_cancel(still: casehook.Agent) -> None:
    still.push("tracker", title="t")
    still.remove("tracker", cancel=True)
    assert still.connectors() == []


def test_a_held_push_is_adopted(agent: casehook.Agent, system: CaseSystem) -> None:
    system.tickets[7] = {"id": 7, "subject": "there already", "notes": []}
    agent.configure("tracker", config(system.port, createIncidentResponseKey="number"))
    push = agent.push("tracker", title="t", case_id="c")
    status = agent.wait(push, 20)
    assert status.state == "held" and status.error is not None
    agent.adopt(push, "7")
    assert agent.wait(push, 20).external_id == "7"


def test_time_outs(db: Path) -> None:
    with casehook.Agent(db) as agent:
        agent.configure("tracker", config(free_port()))
        push = agent.push("tracker", title="t")
        for timeout in (0.25, timedelta(milliseconds=250)):
            with pytest.raises(casehook.TimeoutError, match="after 250ms") as caught:
                agent.wait(push, timeout)
            assert caught.value.code == "timeout" and caught.value.retryable
            assert isinstance(caught.value, TimeoutError)
        assert agent.flush(timeout=0.05) is False
        for timeout in (-1, float("nan"), timedelta(seconds=-1)):
            with pytest.raises(casehook.ArgumentError):
                agent.wait(push, timeout)
        with pytest.raises(casehook.NotFoundError):
            agent.wait(10**6)


def test_backup_and_a_second_opening(still: casehook.Agent, tmp_path: Path) -> None:
    push = still.push("tracker", title="t")
    still.backup(tmp_path / "copy.db")
    with casehook.Agent(str(tmp_path / "copy.db"), drain=False) as copy:
        assert copy.status(push).state == "queued"
    with casehook.Agent(tmp_path / "cases.db", drain=False) as second:
        assert second.status(push).id == push
    assert still.status(push).id == push
    with pytest.raises(casehook.ArgumentError, match="exists"):
        still.backup(tmp_path / "copy.db")


def test_rekey(tmp_path: Path) -> None:
    secrets = {"user": "u", "password": "hunter2"}
    db, key_file = tmp_path / "a.db", tmp_path / "a.db.key"
    with casehook.Agent(db, drain=False) as agent:
        agent.configure("tracker", {**config(free_port()), "hasAuth": True}, secrets)
        before = key_file.read_bytes()
        agent.rekey()
        assert key_file.read_bytes() != before
        agent.preview("tracker", {"incident": {"title": "t"}})
        agent.rekey(b"k" * 32)
        agent.preview("tracker", {"incident": {"title": "t"}})
        with pytest.raises(casehook.ArgumentError, match="new key") as caught:
            agent.rekey()
        assert caught.value.field == "key"
        for bad in (b"", b"short", b"k" * 33):
            with pytest.raises(casehook.ArgumentError, match="32 bytes"):
                agent.rekey(bad)
        with pytest.raises(TypeError):
            agent.rekey("k" * 32)  # type: ignore[arg-type]
    with casehook.Agent(db, drain=False) as stranger:
        with pytest.raises(casehook.SecretKeyError, match="not the one"):
            stranger.preview("tracker", {"incident": {"title": "t"}})
        with pytest.raises(casehook.SecretKeyError):
            stranger.rekey(b"x" * 32)
    with casehook.Agent(db, key=b"k" * 32, drain=False) as agent:
        agent.preview("tracker", {"incident": {"title": "t"}})


def test_a_folder_for_everybody_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(casehook.StoreError, match="written to by everybody"):
        casehook.Agent(folder / "a.db", drain=False)
    casehook.Agent(folder / "a.db", drain=False, trust_location=True).close()


def test_options(tmp_path: Path) -> None:
    with pytest.raises(casehook.ArgumentError, match="32 bytes"):
        casehook.Agent(tmp_path / "a.db", key=b"short")
    with pytest.raises(casehook.ArgumentError, match="workers"):
        casehook.Agent(tmp_path / "a.db", workers=0)
    with pytest.raises(casehook.ConfigError, match="allowedHosts"):
        casehook.Agent(tmp_path / "a.db", settings={"allowedHost": []})
    with pytest.raises(casehook.StoreError):
        casehook.Agent(tmp_path / "nowhere" / "a.db")
    with casehook.Agent(
        tmp_path / "a.db", key=b"k" * 32, settings='{"allowedHosts": ["tickets.example.com"]}', drain=False,
        max_queued=2, history=timedelta(days=1), history_count=5, secret_env=["TOKEN"], secret_dir=tmp_path,
    ) as agent:  # fmt: skip
        with pytest.raises(casehook.ConfigError, match="allowedHosts"):
            agent.configure("tracker", config(9))
        base = config(9)
        urls = {n: v.replace("127.0.0.1:9", "tickets.example.com") for n, v in base.items() if n.endswith("Url")}
        document = {**base, **urls, "hasAuth": True}
        agent.configure("tracker", document, {"user": "u", "password": {"env": "TOKEN"}})
        agent.push_many("tracker", [casehook.case("a"), casehook.case("b")])
        with pytest.raises(casehook.QueueFullError) as caught:
            agent.push("tracker", title="c")
        assert caught.value.retryable and isinstance(caught.value, casehook.StoreError)
    assert not (tmp_path / "a.db.key").exists()
    with casehook.Agent(tmp_path / "a.db", key=b"x" * 32, drain=False) as agent:
        with pytest.raises(casehook.SecretKeyError):
            agent.preview("tracker", casehook.case("t"))


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is a text of more than a few bytes\n" * 100)
    with pytest.raises(casehook.CorruptError):
        casehook.Agent(path)
    assert path.read_text().startswith("this is a text")


def test_closed_is_closed(db: Path) -> None:
    agent = casehook.Agent(db)
    assert repr(agent) == f"<casehook.Agent {str(db)!r}>"
    agent.close(timeout=timedelta(seconds=2))
    agent.close()
    assert repr(agent).endswith(" closed>")
    for call in (agent.stats, agent.connectors, lambda: agent.wait(1), lambda: agent.flush(1)):
        with pytest.raises(casehook.ClosedError):
            call()


def test_closing_ends_a_wait_of_another_thread(db: Path) -> None:
    agent = casehook.Agent(db)
    agent.configure("tracker", config(free_port()))
    push = agent.push("tracker", title="t")
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            agent.wait(push)
        except casehook.Error as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    agent.close()
    thread.join(timeout=10)
    assert [type(error) for error in ended] == [casehook.ClosedError]


def test_a_forgotten_agent_is_told_of(db: Path) -> None:
    with pytest.warns(ResourceWarning, match="was not closed"):
        casehook.Agent(db, drain=False)
    with casehook.Agent(db, drain=False):
        pass


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/a:b@c/cases.db", "/a:b@c/cases.db"),
        ("cases.db?password=x", "cases.db?password=x"),
        ("postgres://host/db", "postgres://host/db"),
        ("postgres://ada@host/db?schema=s", "postgres://ada@host/db?schema=s"),
        ("postgres://ada:hush@host:5432/db", "postgres://ada:***@host:5432/db"),
        ("POSTGRES://ada:hush@host/db", "POSTGRES://ada:***@host/db"),
        ("postgres:/ada:hush@host/db", "postgres:/ada:***@host/db"),
        ("postgresql://ada:hush@hu?sh/hush@host/db?a=1", "postgresql://ada:***@host/db?a=1"),
        ("postgres://:hush@host/db", "postgres://:***@host/db"),
        ("postgres://host/db?user=ada&password=hush&p%61ss=hush", "postgres://host/db?user=ada&password=***&p%61ss=***"),
        ("postgres://host/db?password=hush&hush&sslpassword=hush", "postgres://host/db?password=***&***&sslpassword=***"),
        ("postgres://host/db?password=hush:hush@hush", "postgres://host/db?password=***"),
    ],
)
def test_a_password_in_a_url_is_not_shown(path: str, shown: str) -> None:
    agent = casehook.Agent.__new__(casehook.Agent)
    agent._path, agent._closed = path, True
    assert repr(agent) == f"<casehook.Agent {shown!r} closed>"


def test_results_are_frozen_and_survive_pickling(still: casehook.Agent) -> None:
    status = still.status(still.push("tracker", title="t", comments=[("c", "x")]))
    with pytest.raises(AttributeError):
        status.state = "failed"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(status)) == status
    assert hash(status) == hash(pickle.loads(pickle.dumps(status)))
    try:
        still.status(10**6)
    except casehook.Error as error:
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.code) == (type(error), str(error), "not_found")


def test_a_panic_is_an_internal_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(casehook.InternalError, match="panicked: on purpose") as caught:
        casehook._native.panic_now()
    assert caught.value.code == "internal" and isinstance(caught.value, Exception)
    capfd.readouterr()


def test_every_kind_of_error_has_a_class_of_its_number() -> None:
    from casehook import _errors

    assert sorted(_errors._CLASSES) == list(range(1, 18))
    for number, kind in _errors._CLASSES.items():
        made = _errors.make(number, kind.code, "text", "a.field", kind.retryable)
        assert type(made) is kind and str(made) == "a.field: text"
        assert kind.__module__ == "casehook" and getattr(casehook, kind.__name__) is kind
    assert type(_errors.make(99, "new", "text", None, True)) is casehook.Error


def test_many_threads(agent: casehook.Agent) -> None:
    pushed: list[int] = []

    def work(number: int) -> None:
        for n in range(10):
            pushed.append(agent.push("tracker", title=f"{number}/{n}", case_id=f"{number}/{n}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert agent.flush(30) is True
    assert len(set(pushed)) == 80
    assert len(list(agent.pushes(state="delivered"))) == 80


def test_path_is_what_the_system_takes(tmp_path: Path) -> None:
    class Odd:
        def __fspath__(self) -> str:
            return str(tmp_path / "odd ü.db")

    casehook.Agent(Odd(), drain=False).close()
    assert pathlib.Path(Odd()).exists()
