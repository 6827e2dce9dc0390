"""Waiting without blocking an event loop, and without one thread for each wait.

The library tells no one when a push is done: that would be a call into Python from its threads. So one thread for the
whole process, the watcher, looks at everything that is awaited, in one call for each agent, and hands results to their
event loops. It looks often while a wait is young and less often as it ages (a twentieth of its age, between 10 and 250
ms), never spends more than a tenth of its time looking, and ends when nothing is awaited.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from casehook import _native
from casehook._errors import ClosedError, TimeoutError

T = TypeVar("T")

_SHORTEST = 0.010
_LONGEST = 0.250
_SHARE_OF_AGE = 20
_SHARE_OF_WORK = 10


@dataclass(eq=False)
class _Wait(Generic[T]):
    """One awaited thing."""

    agent: _native.Agent
    future: asyncio.Future[T]
    loop: asyncio.AbstractEventLoop
    timeout: float | None
    began: float = field(default_factory=time.monotonic)

    def settle(self, result: T | None, error: Exception | None = None) -> None:
        def set_it() -> None:
            if self.future.done():
                return
            if error is not None:
                self.future.set_exception(error)
            else:
                self.future.set_result(result)  # type: ignore[arg-type]  # none stands for no result only with an error

        try:
            self.loop.call_soon_threadsafe(set_it)
        except RuntimeError:
            # The loop was closed: nobody is there to be told.
            pass

    def is_over(self) -> bool:
        return self.timeout is not None and time.monotonic() - self.began >= self.timeout


W = TypeVar("W", bound=_Wait[Any])


@dataclass(eq=False)
class _PushWait(_Wait[str]):
    push: int = 0


@dataclass(eq=False)
class _FlushWait(_Wait[bool]):
    pass


_changed = threading.Condition()
_waits: set[_Wait[Any]] = set()
_thread: threading.Thread | None = None
_stopping = False


async def wait(agent: _native.Agent, push: int, timeout: float | None) -> str:
    """As the agent's ``wait``."""
    loop = asyncio.get_running_loop()
    return await _await(_PushWait(agent, loop.create_future(), loop, timeout, push=push))


async def flush(agent: _native.Agent, timeout: float | None) -> bool:
    """As the agent's ``flush``."""
    loop = asyncio.get_running_loop()
    return await _await(_FlushWait(agent, loop.create_future(), loop, timeout))


def stop() -> None:
    """Ends the watcher and every wait. For the exit of the interpreter."""
    global _stopping
    with _changed:
        _stopping = True
        thread = _thread
        _changed.notify()
    if thread is not None:
        thread.join(timeout=1.0)
    with _changed:
        left = list(_waits)
    for wait in left:
        wait.settle(None, _exiting())


def after_fork() -> None:
    """In the child of a fork: there is no watcher, and the waits are the parent's."""
    global _changed, _waits, _thread, _stopping
    _changed, _waits, _thread, _stopping = threading.Condition(), set(), None, False


async def _await(wait: _Wait[T]) -> T:
    global _thread
    try:
        with _changed:
            if _stopping:
                raise _exiting()
            _waits.add(wait)
            if _thread is None:
                thread = threading.Thread(target=_run, name="casehook-watch", daemon=True)
                thread.start()
                _thread = thread
            _changed.notify()
        return await wait.future
    finally:
        with _changed:
            _waits.discard(wait)


def _exiting() -> ClosedError:
    return ClosedError("the interpreter is exiting")


def _run() -> None:
    global _thread
    while True:
        with _changed:
            # Whoever waited in a loop that was closed is gone without a word.
            _waits.difference_update([wait for wait in _waits if wait.loop.is_closed()])
            if _stopping or not _waits:
                _thread = None
                return
            waits = [wait for wait in _waits if not wait.future.done()]
        worked = time.thread_time()
        for agent in {wait.agent for wait in waits}:
            _look(agent, [wait for wait in waits if wait.agent is agent])
        worked = time.thread_time() - worked
        now = time.monotonic()
        youngest = min((now - wait.began for wait in waits), default=0.0)
        pause = min(max(_SHORTEST, youngest / _SHARE_OF_AGE), _LONGEST)
        with _changed:
            if not _stopping:
                _changed.wait(max(pause, worked * _SHARE_OF_WORK))


def _look(agent: _native.Agent, waits: list[_Wait[Any]]) -> None:
    pushes = [wait for wait in waits if isinstance(wait, _PushWait)]
    flushes = [wait for wait in waits if isinstance(wait, _FlushWait)]
    _look_at(_look_at_pushes, agent, pushes)
    _look_at(_look_at_flushes, agent, flushes)


def _look_at(look: Callable[[_native.Agent, list[W]], None], agent: _native.Agent, waits: list[W]) -> None:
    """Looks at waits of one kind, if there are any. What goes wrong is an error of these alone."""
    if not waits:
        return
    try:
        look(agent, waits)
    except Exception as error:
        for wait in waits:
            wait.settle(None, error)


def _look_at_pushes(agent: _native.Agent, waits: list[_PushWait]) -> None:
    for wait, (settled, found) in zip(waits, agent.poll([wait.push for wait in waits])):
        if isinstance(found, Exception):
            wait.settle(None, found)
        elif settled:
            wait.settle(found)
        elif wait.is_over():
            # The text speaks of the look that it comes from.
            message = found.replace(" after 0ns", f" after {wait.timeout:g}s", 1)
            wait.settle(None, TimeoutError(message))


def _look_at_flushes(agent: _native.Agent, waits: list[_FlushWait]) -> None:
    flushed = agent.poll_flush()
    for wait in waits:
        if flushed is not None:
            wait.settle(flushed)
        elif wait.is_over():
            wait.settle(False)
