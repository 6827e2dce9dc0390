"""The logging handler."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

import casehook
from casehook.logging import CaseHandler


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    log = logging.getLogger("shop")
    log.propagate = False
    yield log
    log.handlers.clear()


def fail(log: logging.Logger, text: str = "order %d failed", *arguments: object) -> None:
    try:
        raise ConnectionError("no answer")
    except ConnectionError:
        log.exception(text, *arguments)


def test_one_case_for_what_is_the_same(still: casehook.Agent, log: logging.Logger) -> None:
    handler = CaseHandler(still, "tracker", tags=("web",))
    log.addHandler(handler)
    for number in range(5):
        fail(log, "order %d failed", number)
    log.warning("not an error")
    log.error("another place")
    pushes = list(still.pushes())
    assert len(pushes) == 2 and len({push.case_id for push in pushes}) == 2
    assert all(push.case_id is not None and push.case_id.startswith("log/") for push in pushes)
    assert (handler.failed, handler.suppressed) == (0, 0)


def test_again_after_a_while_with_a_count(still: casehook.Agent, log: logging.Logger) -> None:
    handler = CaseHandler(still, "tracker")
    log.addHandler(handler)
    for number in range(4):
        handler.quiet = 0.0 if number == 3 else 60.0
        fail(log, "order %d failed", number)
    newest, oldest = still.pushes()
    assert oldest.state == "superseded" and oldest.superseded_by == newest.id
    assert len(newest.comments) == 1
    record = log.makeRecord("shop", logging.ERROR, "f.py", 1, "text\nmore", (), None)
    case = handler.case(record, "log/x", 3)
    assert (case["title"], case["comments"][0][1]) == ("text", "3 more times: text\nmore")
    assert (case["severity"], case["tags"]) == ("error", ["shop"])


def test_the_limit(still: casehook.Agent, log: logging.Logger) -> None:
    handler = CaseHandler(still, "tracker", quiet=0.0, limit=3)
    log.addHandler(handler)
    for _ in range(10):
        fail(log)
    assert len(list(still.pushes())) == 3
    assert handler.suppressed == 7
    assert len(handler._seen) == 1


def test_nothing_is_raised(db: object, still: casehook.Agent, log: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = CaseHandler(still, "nobody knows")
    log.addHandler(handler)
    fail(log)
    log.error("%d", "no number")
    still.close()
    log.critical("closed")
    assert handler.failed == 3


def test_an_error_whose_push_failed_is_pushed_the_next_time(
    still: casehook.Agent, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = CaseHandler(still, "later", limit=2)
    log.addHandler(handler)
    for number in range(4):
        if number == 2:
            still.configure("later", still.connector("tracker").config)
        fail(log, "order %d failed", number)
    (push,) = still.pushes()
    assert (handler.failed, handler.suppressed) == (2, 0)
    # It says that there were two before it.
    assert len(push.comments) == 1
    # One that was pushed before goes on counting from there.
    still.remove("later", cancel=True)
    handler.quiet = 0.0
    fail(log)
    still.configure("later", still.connector("tracker").config)
    fail(log)
    assert (handler.failed, handler.suppressed) == (3, 0)
    assert len(list(still.pushes(connector="later", state="queued"))) == 1


def test_any_text_gets_through(still: casehook.Agent, log: logging.Logger) -> None:
    handler = CaseHandler(still, "tracker", quiet=0.0)
    log.addHandler(handler)
    for text in ("half \ud800 of a pair", "x" * 5_000_000, "\x01" * 5_000_000, "\U0001f600" * 300_000, "\udc00" * 300_000):
        for _ in range(2):
            log.error("%s", text)
    log.getChild("\udfff").error("%s", "from \udfff")
    assert (handler.failed, len(list(still.pushes()))) == (0, 11)
    record = log.makeRecord("shop", logging.ERROR, "f.py", 1, "a\ud800 %s z\udfff", ("x" * 300_000,), None)
    case = handler.case(record, "log/x", 1)
    (comment,) = case["comments"]
    for text in (case["description"], comment[1]):
        assert "a\ufffd x" in text and text.endswith("x z\ufffd") and "are left out]" in text
        assert 256 * 1024 <= len(text) < 257 * 1024
    assert case["title"].startswith("a\ufffd x")


def test_casehook_s_own_records_are_left_out(still: casehook.Agent) -> None:
    handler = CaseHandler(still, "tracker")
    handler.handle(logging.makeLogRecord({"name": "casehook", "levelno": 40, "levelname": "ERROR", "msg": "x"}))
    handler.handle(logging.makeLogRecord({"name": "casehook.x", "levelno": 40, "levelname": "ERROR", "msg": "x"}))
    assert list(still.pushes()) == []
