"""The library's log lines in Python's logging."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from case_system import CaseSystem, config, free_port
from conftest import Script

import casehook
from casehook import _logs


class Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    _logs.logger.addHandler(keeper)
    yield keeper
    _logs.logger.removeHandler(keeper)
    _logs.logger.setLevel(logging.NOTSET)


def test_lines_arrive_with_level_time_and_origin(db: Path, keeper: Keeper) -> None:
    with casehook.Agent(db) as agent:
        agent.configure("tracker", config(free_port()))
        agent.push("tracker", title="t")
        assert agent.flush(0.5) is False
    records = [record for record in keeper.records if "create failed" in record.getMessage()]
    assert records and all(record.levelno == logging.WARNING for record in records)
    assert abs(records[0].created - time.time()) < 30
    assert records[0].name == "casehook"
    assert getattr(records[0], "rust_target").startswith("casehook::")
    assert not any(record.levelno < logging.WARNING for record in keeper.records)


def test_lines_of_the_opening_arrive(script: Script) -> None:
    """Also those of the first agent of a process, and of one that cannot be opened."""
    done = script(
        """
        import logging, sys
        logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
        import casehook
        from casehook import _logs, _native

        class Native:
            def __init__(self, *_):
                # What a library says that opens a database.
                assert _logs._thread is not None and _logs._thread.is_alive()
                raise casehook.StoreError("on purpose")

        opened, _native.Agent = _native.Agent, Native
        try:
            casehook.Agent("cases.db")
        except casehook.StoreError:
            print("refused")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n", "")


def test_the_level_of_the_logger_counts(agent: casehook.Agent, system: CaseSystem, keeper: Keeper) -> None:
    _logs.logger.setLevel(logging.DEBUG)
    # Noticed within half a second.
    deadline = time.monotonic() + 20
    while not any(record.levelno == logging.DEBUG for record in keeper.records):
        assert time.monotonic() < deadline
        agent.wait(agent.push("tracker", title="t"), 20)
        time.sleep(0.05)


def test_handlers_run_on_python_s_threads_and_may_raise(db: Path, keeper: Keeper) -> None:
    names: set[str] = set()

    class Raiser(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            names.add(threading.current_thread().name)
            raise RuntimeError("a handler that is broken")

    raiser = Raiser()
    _logs.logger.addHandler(raiser)
    try:
        for _ in range(2):
            with casehook.Agent(db) as agent:
                agent.configure("tracker", config(free_port()))
                agent.push("tracker", title="t")
                agent.flush(0.3)
    finally:
        _logs.logger.removeHandler(raiser)
    assert names <= {"casehook-log", "MainThread"} and names


def test_what_does_not_fit_is_counted(agent: casehook.Agent, keeper: Keeper) -> None:
    """A handler that blocks stops nobody: lines are dropped, and a line says how many."""
    gate = threading.Event()
    blocked = threading.Event()

    class Blocker(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            blocked.set()
            gate.wait(60)

    blocker = Blocker()
    before = casehook.dropped_log_lines()
    _logs.logger.setLevel(logging.DEBUG)
    casehook._native.set_log_level(logging.DEBUG)
    _logs.logger.addHandler(blocker)
    try:
        # Each push is two exchanges, and a line for each.
        agent.push_many("tracker", [casehook.case("t") for _ in range(700)])
        assert agent.flush(60) is True
        assert blocked.is_set()
        gate.set()
        deadline = time.monotonic() + 20
        while not any("log lines were dropped" in record.getMessage() for record in keeper.records):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        gate.set()
        _logs.logger.removeHandler(blocker)
    assert casehook.dropped_log_lines() > before
