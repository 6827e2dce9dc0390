"""Waiting on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
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
        longest, ended = 0.0, asyncio.gather(*waits)
        while not ended.done():
            began = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - began)
            assert watchers() <= 1
            # The case system's own threads come and go.
            names = [thread.name for thread in threading.enumerate()]
            assert sum(name.startswith("casehook-") for name in names) <= 2, (threads, names)
        assert [status.state for status in await ended] == ["delivered"] * 200
        assert longest < 0.5

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
            assert time.monotonic() - began < 5
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
        began = time.monotonic()
        assert await agent.flush_async() is False
        assert time.monotonic() - began < 5

    asyncio.run(main())


def test_a_cancelled_wait_is_forgotten(db: Path) -> None:
    async def main() -> None:
        with casehook.Agent(db) as agent:
            agent.configure("tracker", config(free_port()))
            push = agent.push("tracker", title="t")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(agent.wait_async(push), timeout=0.05)
            assert not _watch._waits

    asyncio.run(main())
