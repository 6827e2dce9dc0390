"""Waiting on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from case_system import CaseSystem, config, free_port

import casehook
from casehook import _watch


def watchers() -> int:
    return sum(thread.name == "casehook-watch" for thread in threading.enumerate())


def test_many_waits_share_one_thread_and_leave_the_loop_free(agent: casehook.Agent, system: CaseSystem) -> None:
    system.delay = 0.2

    async def main() -> None:
        threads = threading.active_count()
        ids = agent.push_many("tracker", [casehook.case(f"t{n}", case_id=f"c{n}") for n in range(20)])
        waits = [asyncio.create_task(agent.wait_async(push, timeout=30)) for push in ids * 10]
        turns, ended = 0, asyncio.gather(*waits)
        while not ended.done():
            await asyncio.sleep(0.005)
            turns += 1
            assert watchers() <= 1
            # The case system's own threads come and go.
            names = [thread.name for thread in threading.enumerate()]
            assert sum(name.startswith("casehook-") for name in names) <= 2, (threads, names)
        assert [status.state for status in await ended] == ["delivered"] * 200
        # Four workers need five rounds of 0.2 s each: the loop went on meanwhile.
        assert turns >= 10

    asyncio.run(main())


def test_the_watcher_ends_when_nothing_is_awaited(agent: casehook.Agent) -> None:
    push = agent.push("tracker", title="t")
    assert asyncio.run(agent.wait_async(push, 20)).state == "delivered"
    for _ in range(500):
        if watchers() == 0:
            break
        time.sleep(0.01)
    assert watchers() == 0
    assert asyncio.run(agent.wait_async(push)).state == "delivered"


def test_time_outs_and_errors(db: Path) -> None:
    async def main() -> None:
        with casehook.Agent(db) as agent:
            agent.configure("tracker", config(free_port()))
            push = agent.push("tracker", title="t")
            began = time.monotonic()
            with pytest.raises(casehook.TimeoutError, match="after 0.2s"):
                await agent.wait_async(push, timeout=0.2)
            # Not by the clock of a slow machine: far from never.
            assert time.monotonic() - began < 60
            with pytest.raises(casehook.NotFoundError):
                await agent.wait_async(10**6)
            with pytest.raises(casehook.ArgumentError):
                await agent.wait_async(push, timeout=-1)
            assert await agent.flush_async(timeout=0.2) is False
            waiting = asyncio.create_task(agent.wait_async(push))
            flushing = asyncio.create_task(agent.flush_async())
            await asyncio.sleep(0.05)
        with pytest.raises(casehook.ClosedError):
            await waiting
        with pytest.raises(casehook.ClosedError):
            await flushing

    asyncio.run(main())


def test_flush_tells_delivered_from_stuck(agent: casehook.Agent) -> None:
    async def main() -> None:
        agent.push("tracker", title="t")
        assert await agent.flush_async(timeout=20) is True
        agent.pause("tracker")
        agent.push("tracker", title="t")
        # Without a time-out: it ends because nothing moves.
        assert await agent.flush_async() is False

    asyncio.run(main())


def test_a_wait_whose_loop_was_closed_is_forgotten(db: Path) -> None:
    with casehook.Agent(db) as agent:
        agent.configure("tracker", config(free_port()))
        push = agent.push("tracker", title="t")
        loop = asyncio.new_event_loop()
        waits = [agent.wait_async(push), agent.flush_async()]
        # Driven by hand: a task that is left pending would say so.
        for wait in waits:
            loop.call_soon(wait.send, None)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert len(_watch._waits) == 2
        loop.close()
        deadline = time.monotonic() + 60
        while _watch._waits or watchers():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for wait in waits:
            wait.close()


def test_a_look_that_fails_ends_waits_of_its_kind_alone(
    agent: casehook.Agent, system: CaseSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise casehook.BusyError("on purpose")

    system.delay = 600.0

    async def main() -> None:
        push = agent.push("tracker", title="t")
        waiting = asyncio.create_task(agent.wait_async(push, timeout=60))
        with monkeypatch.context() as patch:
            patch.setattr(_watch, "_look_at_flushes", fails)
            with pytest.raises(casehook.BusyError):
                await agent.flush_async(timeout=60)
            with pytest.raises(casehook.BusyError):
                await agent.flush_async(timeout=60)
            assert not waiting.done()
        system.leave.set()
        assert (await waiting).state == "delivered"

    asyncio.run(main())


def test_a_cancelled_wait_is_forgotten(db: Path) -> None:
    async def main() -> None:
        with casehook.Agent(db) as agent:
            agent.configure("tracker", config(free_port()))
            push = agent.push("tracker", title="t")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(agent.wait_async(push), timeout=0.05)
            assert not _watch._waits
            waiting = asyncio.create_task(agent.wait_async(push, timeout=timedelta(days=1)))
            flushing = asyncio.create_task(agent.flush_async(timeout=timedelta(days=1)))
            await asyncio.sleep(0)
            assert len(_watch._waits) == 2
            waiting.cancel()
            flushing.cancel()
            assert [type(end) for end in await asyncio.gather(waiting, flushing, return_exceptions=True)] == [
                asyncio.CancelledError
            ] * 2
            assert not _watch._waits
            assert agent.status(push).state in ("queued", "sending", "waiting")

    asyncio.run(main())
