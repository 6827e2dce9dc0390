"""Fetches the library's log lines and hands them to ``logging.getLogger("casehook")``.

The library's threads put lines into a bounded ring and go on; one thread of Python's takes them out. When handlers are
slower than lines arrive, lines are dropped and counted.
"""

from __future__ import annotations

import logging
import threading
import time

from casehook import _native

logger = logging.getLogger("casehook")

_PATIENCE = 0.5
"""How long to wait for lines, in seconds; also how soon a changed level is noticed."""

# A signal handler that opens an agent may run in the midst of an opening.
_lock = threading.RLock()
_emitting = threading.Lock()
_thread: threading.Thread | None = None
_stopped = False
_dropped = 0
_told = 0


def start() -> None:
    """Has lines fetched, unless that is so already or the interpreter exits."""
    global _thread
    with _lock:
        if _stopped or (_thread is not None and _thread.is_alive()):
            return
        _native.start_log()
        _native.set_log_level(logger.getEffectiveLevel())
        _thread = threading.Thread(target=_run, name="casehook-log", daemon=True)
        try:
            _thread.start()
        except RuntimeError:
            # The interpreter is exiting; the lines come out when the agent is closed.
            _thread = None


def stop() -> None:
    """Hands out what is left and ends the thread, for good. For the exit of the interpreter."""
    global _stopped
    with _lock:
        _stopped = True
        thread = _thread
    _native.stop_log()
    if thread is not None:
        # A handler that blocks keeps its thread, not the exit.
        thread.join(timeout=1.0)
    drain()


def drain() -> None:
    """Hands out the lines that are there, unless somebody is doing so: that may be the caller itself, in a handler."""
    if _emitting.acquire(blocking=False):
        try:
            _emit(*_native.next_lines(0.0))
        finally:
            _emitting.release()


def dropped_log_lines() -> int:
    """How many log lines of this process were dropped, because handlers did not keep up."""
    return _dropped


def after_fork() -> None:
    """In the child of a fork: there is no thread, and locks may be held by threads that are not there."""
    global _lock, _emitting, _thread, _stopped, _dropped, _told
    _lock, _emitting, _thread, _stopped = threading.RLock(), threading.Lock(), None, False
    _dropped = _told = 0


def _run() -> None:
    stopped = False
    while not stopped:
        lines, dropped, stopped = _native.next_lines(_PATIENCE)
        with _emitting:
            _emit(lines, dropped, stopped)
        _native.set_log_level(logger.getEffectiveLevel())


def _emit(lines: list[tuple[int, float, str, str]], dropped: int, _stopped: bool) -> None:
    global _dropped, _told
    _dropped = dropped
    if dropped > _told:
        lines.append((logging.WARNING, time.time(), "casehook", f"{dropped - _told} log lines were dropped"))
        _told = dropped
    for level, at, target, text in lines:
        if logger.isEnabledFor(level):
            _hand_over(level, at, target, text)


def _hand_over(level: int, at: float, target: str, text: str) -> None:
    record = logger.makeRecord(
        logger.name, level, fn=target, lno=0, msg=text, args=(), exc_info=None, extra={"rust_target": target}
    )
    # When it was written, not when it was fetched.
    record.created = at
    record.msecs = at % 1 * 1000
    try:
        logger.handle(record)
    except Exception:
        # A handler that raises must not end the thread; logging's own handlers report for themselves.
        pass
