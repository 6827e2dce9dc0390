"""The life of a process: what is open is closed when the interpreter exits, and a forked child starts afresh."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from typing import Protocol

from casehook import _logs, _native, _watch

EXIT_SECONDS = 5.0
"""How long an interpreter that exits waits for requests under way."""


class Closable(Protocol):
    """What is closed when the interpreter exits."""

    def close(self, timeout: float) -> None: ...


# A signal handler that closes may run in the midst of another call.
_lock = threading.RLock()
_open: weakref.WeakSet[Closable] = weakref.WeakSet()


def opening() -> None:
    """Has log lines fetched from now on: those of the opening, too."""
    _logs.start()


def opened(agent: Closable) -> None:
    """Has it closed at exit, if it is still there."""
    with _lock:
        _open.add(agent)


def closed(agent: Closable) -> None:
    """It needs no closing any more."""
    with _lock:
        _open.discard(agent)
    _logs.drain()


@atexit.register
def _at_exit() -> None:
    # Threads of the library never call Python, but a daemon thread of the program may be inside a call. It has to be
    # back before the interpreter is gone: closing ends every wait.
    deadline = time.monotonic() + EXIT_SECONDS
    _native.begin_exit()
    with _lock:
        agents = list(_open)
    for done, agent in enumerate(agents):
        # What one leaves of its share goes to those after it.
        left = max(0.0, deadline - time.monotonic())
        try:
            agent.close(left / (len(agents) - done))
        except Exception as error:
            _logs.logger.warning("closing at exit: %s", error)
    _watch.stop()
    _logs.stop()
    _native.await_calls(max(1.0, deadline - time.monotonic()))


def _in_child() -> None:
    global _lock, _open
    # The lock may be held by a thread that the child does not have, and what was opened is the parent's.
    _lock = threading.RLock()
    _open = weakref.WeakSet()
    _native.after_fork_in_child()
    _watch.after_fork()
    _logs.after_fork()


# A child of a process that has a thread inside SQLite could not open a database: forks wait, for two seconds at most.
os.register_at_fork(
    before=_native.before_fork, after_in_parent=_native.after_fork_in_parent, after_in_child=_in_child
)
