"""Signals, and what is still called while the interpreter exits, each in an interpreter of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from case_system import CaseSystem
from conftest import TESTS, Script

WAITING = """
import signal, sys, time
from case_system import config
import casehook

# Whoever started the tests may ignore the signal, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

agent = casehook.Agent("cases.db")
agent.configure("tracker", config(int(sys.argv[1])))
push = agent.push("tracker", title="t")
while agent.status(push).state != "sending":
    time.sleep(0.01)
calls = {
    "wait": lambda: agent.wait(push),
    "flush": agent.flush,
    "test": lambda: agent.test("tracker", title="t"),
    "test_get": lambda: agent.test("tracker", get_only="1"),
    "close": lambda: agent.close(None),
}
print("waiting", flush=True)
try:
    calls[sys.argv[2]]()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    try:
        assert agent.status(push).state == "sending" and sys.argv[2] != "close"
    except casehook.ClosedError:
        assert sys.argv[2] == "close"
"""


@pytest.mark.parametrize("what", ["wait", "flush", "test", "test_get", "close"])
def test_ctrl_c_interrupts_at_once(what: str, tmp_path: Path) -> None:
    # Whatever waits for this target's answers waits for ten minutes.
    system = CaseSystem(delay=600.0)
    path = tmp_path / "waiting.py"
    path.write_text(WAITING)
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, str(path), str(system.port), what]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        with process.stdout as lines:
            assert lines.readline() == "waiting\n"
            time.sleep(0.2)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert lines.readline() == "interrupted\n"
            # A tenth of a second is promised; the rest is for a busy machine.
            assert time.monotonic() - began < 10
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        system.close()


def test_a_signal_handler_may_close(script: Script) -> None:
    """Also one that runs while the package has its own lock."""
    done = script(
        """
        import signal
        import casehook
        from casehook import _life

        agent, other = casehook.Agent("cases.db", drain=False), casehook.Agent("other.db", drain=False)
        signal.signal(signal.SIGALRM, lambda *_: agent.close())
        with _life._lock:
            signal.raise_signal(signal.SIGALRM)
        other.close()
        print("closed")
        """,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "closed\n", "")


def test_an_agent_opened_or_used_at_exit(script: Script) -> None:
    done = script(
        """
        import asyncio, atexit

        def early():
            # Registered before casehook, it runs after casehook has closed everything.
            calls = [
                agent.stats,
                lambda: casehook.Agent("other.db"),
                lambda: asyncio.run(agent.wait_async(1)),
                lambda: asyncio.run(agent.flush_async()),
            ]
            for call in calls:
                try:
                    call()
                except casehook.ClosedError:
                    print("closed")

        atexit.register(early)
        import casehook
        from case_system import config

        agent = casehook.Agent("cases.db", drain=False)
        agent.configure("tracker", config(9))
        atexit.register(lambda: print("pushed", agent.push("tracker", title="last words")))
        """,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "pushed 1\n" + "closed\n" * 4, "")


def test_waits_end_with_the_watcher(script: Script) -> None:
    done = script(
        """
        import asyncio, logging, threading
        import casehook
        from casehook import _watch
        from case_system import config, free_port

        logging.basicConfig(handlers=[logging.NullHandler()])
        agent = casehook.Agent("cases.db")
        agent.configure("tracker", config(free_port()))
        push = agent.push("tracker", title="t")
        waiting = threading.Event()

        async def wait():
            task = asyncio.ensure_future(agent.wait_async(push))
            await asyncio.sleep(0)
            waiting.set()
            try:
                await task
            except casehook.ClosedError:
                print("closed")

        thread = threading.Thread(target=lambda: asyncio.run(wait()))
        thread.start()
        waiting.wait()
        _watch.stop()
        thread.join()
        agent.close()
        """,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "closed\n", "")


def test_agents_share_the_time_at_exit(script: Script) -> None:
    """None gets all of it while others have not had a turn."""
    done = script(
        """
        from casehook import _life

        class Slow:
            def close(self, timeout):
                print(timeout)

        agents = [Slow() for _ in range(4)]
        for agent in agents:
            _life.opened(agent)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    shares = [float(line) for line in done.stdout.split()]
    assert len(shares) == 4
    for place, share in enumerate(shares):
        assert 0 <= share <= 5 / (4 - place)
