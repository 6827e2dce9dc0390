"""The examples, each run as its user would."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from case_system import CaseSystem, config, free_port

import casehook

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def document(system: CaseSystem, tmp_path: Path) -> Path:
    path = tmp_path / "connector.json"
    path.write_text(json.dumps({"config": config(system.port)}))
    return path


def example(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", EXAMPLES / name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90)


def test_log_handler(db: Path, document: Path, system: CaseSystem) -> None:
    done = example("log_handler.py", db, document)
    assert done.returncode == 0, done.stderr
    (ticket,) = system.tickets.values()
    assert ticket["subject"] == "order 0 was not placed"
    assert "ConnectionError: no answer to order 0" in ticket["text"]


def test_cron(db: Path, document: Path, system: CaseSystem, tmp_path: Path) -> None:
    command = ["cron.py", db, document, tmp_path]
    done = example(*map(str, command))
    assert (done.returncode, done.stderr) == (0, "")
    # Told to find any disk full, it opens a case; it goes on with it when that changes, and says nothing otherwise.
    for share, pushes in (("0", 1), ("0", 1), ("2", 2), ("2", 2), ("0", 3), ("0", 3), ("2", 4)):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", FULL_AT, str(EXAMPLES), share, *map(str, command[1:])],
            capture_output=True, text=True, timeout=90,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        with casehook.Agent(db, drain=False) as agent:
            assert len(list(agent.pushes())) == pushes
    (ticket,) = system.tickets.values()
    assert ticket["subject"] == f"Disk of {socket.gethostname()} has room again"
    assert ticket["text"].startswith(str(tmp_path))
    assert len(ticket["notes"]) == 4


FULL_AT = """
import sys
sys.path.insert(0, sys.argv[1])
import cron
cron.FULL = float(sys.argv[2])
sys.exit(cron.main(*sys.argv[3:6]))
"""


def test_cron_while_the_target_is_away(db: Path, tmp_path: Path) -> None:
    document = tmp_path / "connector.json"
    document.write_text(json.dumps({"config": config(free_port())}))
    with casehook.Agent(db, drain=False) as agent:
        agent.configure("tracker", document.read_text())
        push = agent.push("tracker", title="from an earlier run")
        # Paused, it is what no run can deliver, and the script does not wait for it.
        agent.pause("tracker")
    done = example("cron.py", db, document, tmp_path)
    assert done.returncode == 1
    with casehook.Agent(db, drain=False) as agent:
        assert agent.status(push).state == "queued"


def test_flask_in_one_process(db: Path, document: Path, system: CaseSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flask")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("CASEHOOK_DB", str(db))
    import flask_app

    app = flask_app.create_app()

    @app.route("/orders/<int:number>")  # type: ignore[untyped-decorator, unused-ignore]
    def order(number: int) -> str:
        raise ConnectionError(f"no answer to order {number}")

    with flask_app.agent() as agent:
        agent.configure("tracker", document.read_text())
        client = app.test_client()
        for _ in range(3):
            answer = client.get("/orders/7")
            assert (answer.status_code, answer.text) == (500, "Something went wrong; we know of it.")
        assert client.get("/nothing").status_code == 404
        assert agent.flush(30) is True
    (ticket,) = system.tickets.values()
    assert ticket["subject"] == "ConnectionError in GET /orders/7"
    assert "no answer to order 7" in ticket["text"]


SERVED = """
import flask_app

app = flask_app.create_app()

@app.route("/fail/<name>")
def fail(name):
    raise LookupError(name)
"""


READY = """
import os, pathlib

control_socket_disable = True

def when_ready(server):
    path = pathlib.Path({port_file!r})
    path.with_suffix(".new").write_text(str(server.LISTENERS[0].sock.getsockname()[1]))
    os.rename(path.with_suffix(".new"), path)
"""


@pytest.mark.parametrize("preload", [True, False])
def test_flask_under_a_server_that_forks(preload: bool, db: Path, document: Path, system: CaseSystem, tmp_path: Path) -> None:
    pytest.importorskip("flask")
    pytest.importorskip("gunicorn")
    with casehook.Agent(db, drain=False) as agent:
        agent.configure("tracker", document.read_text())
    (tmp_path / "served.py").write_text(SERVED)
    port_file = tmp_path / "port"
    (tmp_path / "conf.py").write_text(READY.format(port_file=str(port_file)))
    command = [sys.executable, "-m", "gunicorn", "-c", "conf.py", "-b", "127.0.0.1:0", "-w", "3", "served:app"]
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES), "CASEHOOK_DB": str(db)}
    server = subprocess.Popen(
        [*command, *(["--preload"] if preload else [])],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until(port_file.exists, server)
        port = int(port_file.read_text())
        for number in range(12):
            assert answer_of(f"http://127.0.0.1:{port}/fail/{number}") == 500
        with casehook.Agent(db, drain=False) as agent:
            until(lambda: len(list(agent.pushes(state="delivered"))) == 12, server)
        assert len(system.tickets) == 12
        server.send_signal(signal.SIGTERM)
        output = server.communicate(timeout=60)[0]
        assert server.returncode == 0, output
    finally:
        if server.poll() is None:
            server.kill()
            server.communicate()


def answer_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def until(condition: Callable[[], bool], server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert server.poll() is None, server.stdout and server.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
