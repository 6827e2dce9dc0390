"""Forgotten agents and forks, each in an interpreter of its own.

``CASEHOOK_EXITS`` says how often each way to exit is tried (3 times when not set), ``CASEHOOK_FORKS`` how often a process
at work is forked (40 times).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from case_system import CaseSystem, free_port
from conftest import TESTS, Script

EXITS = int(os.environ.get("CASEHOOK_EXITS", "3"))
FORK_TIMES = int(os.environ.get("CASEHOOK_FORKS", "40"))

FORGET = """
import logging, sys, threading
from case_system import config
import casehook

logging.basicConfig(level=logging.DEBUG, handlers=[logging.NullHandler()])
port, manner = int(sys.argv[1]), sys.argv[2]
agent = casehook.Agent(sys.argv[3])
agent.configure("tracker", config(port))
for n in range(20):
    push = agent.push("tracker", title=f"t{n}", case_id=f"c{n}", comments=[("a", "b")])

def wait(number):
    # Ends with the agent; the interpreter may be gone before the exception is caught.
    while True:
        try:
            agent.wait(push) if number % 2 else agent.flush()
        except casehook.Error:
            return

if manner == "threads":
    for number in range(4):
        threading.Thread(target=wait, args=(number,), daemon=True).start()
elif manner == "pushing":
    def work():
        while True:
            try:
                agent.push("tracker", title="more")
            except casehook.Error:
                return
    threading.Thread(target=work, daemon=True).start()
elif manner == "raise":
    sys.exit(0)
"""


@pytest.mark.parametrize("manner", ["plain", "threads", "pushing", "raise"])
@pytest.mark.parametrize("target", ["down", "slow", "up"])
def test_a_forgotten_agent_neither_hangs_nor_crashes(target: str, manner: str, tmp_path: Path) -> None:
    system = None if target == "down" else CaseSystem(delay=600.0 if target == "slow" else 0.0)
    path = tmp_path / "forget.py"
    path.write_text(FORGET)
    command = [sys.executable, "-W", "error", str(path), str(system.port if system else free_port()), manner]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONFAULTHANDLER": "1"}

    def once(run: int) -> tuple[int, str]:
        # The slow target takes ten minutes: an exit that waits for it is one that hangs.
        whole = [*command, str(tmp_path / f"{run}.db")]
        done = subprocess.run(whole, env=environment, capture_output=True, text=True, timeout=180)
        return done.returncode, done.stderr

    try:
        # A slow target costs each run the time allowed for requests under way: several at once.
        with ThreadPoolExecutor(4) as lanes:
            runs = list(lanes.map(once, range(EXITS)))
    finally:
        if system:
            system.close()
    assert runs == [(0, "")] * EXITS


FORKS = """
import os, sys, time, warnings
# From 3.12 on Python warns of every fork of a process with threads.
warnings.simplefilter("ignore", DeprecationWarning)
from case_system import CaseSystem, config
import casehook

system = CaseSystem()
agent = casehook.Agent("cases.db")
agent.configure("tracker", config(system.port))
first = agent.push("tracker", title="parent", case_id="parent")

def child(number):
    for call in (agent.stats, lambda: agent.push("tracker", title="x"), lambda: agent.wait(first), agent.close):
        try:
            call()
        except casehook.ForkedError as error:
            assert error.code == "forked"
        else:
            raise AssertionError("a call of the parent's agent went through")
    with agent:
        pass
    try:
        # SQLite of this process holds locks that are the parent's.
        casehook.Agent("cases.db")
    except casehook.ForkedError as error:
        assert error.field == "path"
    else:
        raise AssertionError("the parent's database was opened")

def own(number):
    with casehook.Agent(f"child-{number}.db") as own:
        own.configure("tracker", config(system.port))
        push = own.push("tracker", title=f"child {number}", case_id=f"child {number}")
        assert own.wait(push, 30).state == "delivered", own.status(push)

def check():
    assert agent.wait(first, 30).state == "delivered"
    assert agent.flush(30) is True
"""


def test_os_fork(script: Script) -> None:
    done = script(
        FORKS
        + """
for number in range(3):
    pid = os.fork()
    if pid == 0:
        child(number)
        own(number)
        # One leaves by the way of the interpreter, with all that it does at exit.
        sys.exit(0) if number == 0 else os._exit(0)
    check()
    assert os.waitpid(pid, 0)[1] == 0
agent.push("tracker", title="again")
check()
subjects = sorted(ticket["subject"] for ticket in system.tickets.values())
assert subjects == ["again", "child 0", "child 1", "child 2", "parent"], subjects
agent.close()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, script: Script) -> None:
    text = FORKS if method == "fork" else FORKS.replace("\nsystem =", "\nif __name__ == '__main__':\n  system =")
    if method == "fork":
        body = """
import multiprocessing
context = multiprocessing.get_context("fork")
def work(number):
    child(number)
    own(number)
workers = [context.Process(target=work, args=(n,)) for n in range(2)]
for worker in workers: worker.start()
for worker in workers: worker.join(60)
assert [worker.exitcode for worker in workers] == [0, 0]
check()
agent.close()
"""
    else:
        text = """
import multiprocessing, sys
from case_system import CaseSystem, config
import casehook

def work(number, port):
    with casehook.Agent("cases.db") as own:
        push = own.push("tracker", title=f"child {number}", case_id=f"child {number}")
        assert own.wait(push, 30).state == "delivered"
"""
        body = f"""
if __name__ == "__main__":
    system = CaseSystem()
    with casehook.Agent("cases.db") as agent:
        agent.configure("tracker", config(system.port))
        context = multiprocessing.get_context("{method}")
        workers = [context.Process(target=work, args=(n, system.port)) for n in range(2)]
        for worker in workers: worker.start()
        for worker in workers: worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert agent.flush(30) is True
    assert len(system.tickets) == 2
"""
    done = script(text + body)
    assert (done.returncode, done.stderr) == (0, "")


BUSY = """
import os, signal, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from case_system import config
import casehook

agent = casehook.Agent("cases.db", drain=False)
agent.configure("tracker", config(9))
stop = threading.Event()
pushed = [0] * 8

def work(place):
    while not stop.is_set():
        agent.push("tracker", title=f"{place}/{pushed[place]}", case_id=f"{place}/{pushed[place]}")
        pushed[place] += 1

threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
for thread in threads: thread.start()

def child(number):
    # A child that hangs is ended, and says where.
    signal.alarm(60)
    try:
        agent.push("tracker", title="x")
    except casehook.ForkedError:
        pass
    else:
        os._exit(3)
    own = casehook.Agent(f"{number}.db", drain=False)
    own.configure("tracker", config(9))
    push = own.push("tracker", title=f"child {number}")
    assert own.status(push).state == "queued"
    own.close()

def check():
    stop.set()
    for thread in threads: thread.join()
    assert min(pushed) > 0
    assert len(list(agent.pushes())) == sum(pushed)
    agent.close()
"""


def test_forks_of_a_process_whose_threads_push(script: Script) -> None:
    """Each child opens a database of its own, wherever the parent's threads were at the fork."""
    done = script(
        BUSY
        + """
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        try:
            child(number)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitpid(pid, 0)[1]
    assert code == 0, (number, code)
check()
""",
        str(FORK_TIMES),
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_process_whose_threads_push(method: str, script: Script) -> None:
    body = f"""
import multiprocessing
context = multiprocessing.get_context("{method}")
for start in range(0, 12, 4):
    workers = [context.Process(target=child, args=(n,)) for n in range(start, start + 4)]
    for worker in workers: worker.start()
    for worker in workers: worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
check()
"""
    text = BUSY + body
    if method == "spawn":
        # Its children read the script again: they must not open what the parent has open.
        text = SPAWNED
    done = script(text, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


SPAWNED = """
import multiprocessing, sys, threading
from case_system import config
import casehook

def child(number):
    with casehook.Agent("cases.db", drain=False) as own:
        own.push("tracker", title=f"child {number}")

if __name__ == "__main__":
    agent = casehook.Agent("cases.db", drain=False)
    agent.configure("tracker", config(9))
    stop = threading.Event()
    def work():
        while not stop.is_set():
            agent.push("tracker", title="parent")
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=child, args=(n,)) for n in range(4)]
    for worker in workers: worker.start()
    for worker in workers: worker.join(60)
    stop.set()
    for thread in threads: thread.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    agent.close()
"""


def test_a_server_that_forks_its_workers(script: Script) -> None:
    """As gunicorn does with a preloaded application: the master closes before it forks, the workers open."""
    done = script(
        """
        import os, signal, sys, time
        from case_system import CaseSystem, config
        import casehook

        system = CaseSystem()
        with casehook.Agent("cases.db") as agent:
            agent.configure("tracker", config(system.port))
            agent.wait(agent.push("tracker", title="master", case_id="master"), 30)
        workers = []
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
                own = casehook.Agent("cases.db")
                for n in range(5):
                    own.push("tracker", title=f"{number}/{n}", case_id=f"{number}/{n}")
                while True:
                    time.sleep(60)
            workers.append(pid)
        deadline = time.monotonic() + 40
        with casehook.Agent("cases.db", drain=False) as agent:
            while len(list(agent.pushes(state="delivered"))) < 16:
                assert time.monotonic() < deadline, list(agent.pushes())
                time.sleep(0.05)
        for pid in workers: os.kill(pid, signal.SIGTERM)
        for pid in workers: assert os.waitpid(pid, 0)[1] == 0
        assert len(system.tickets) == 16
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fork_while_threads_log_and_wait(script: Script) -> None:
    """Locks that other threads hold at the moment of the fork bind nobody in the child."""
    done = script(
        FORKS
        + """
import logging, threading, faulthandler
faulthandler.dump_traceback_later(200, exit=True)
logging.basicConfig(level=logging.DEBUG, handlers=[logging.NullHandler()])
stop = threading.Event()
def noise():
    n = 0
    while not stop.is_set():
        n += 1
        agent.wait(agent.push("tracker", title=f"noise {n}"), 30)
threads = [threading.Thread(target=noise) for _ in range(4)]
for thread in threads: thread.start()
for number in range(10):
    pid = os.fork()
    if pid == 0:
        child(number)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
agent.close()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
