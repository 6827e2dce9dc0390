"""``python -m casehook``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from case_system import CaseSystem, config, free_port


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "casehook", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def test_the_verbs_are_those_of_the_command(db: Path, system: CaseSystem) -> None:
    file = ["--db", str(db)]
    done = run(*file, "configure", "tracker", "-", stdin=json.dumps({"config": config(system.port)}))
    assert (done.returncode, done.stderr) == (0, "")
    assert run(*file, "push", "tracker", "--title", "Disk full", "--case-id", "c").returncode == 0
    assert run(*file, "drain").returncode == 0
    done = run(*file, "--json", "status", "1")
    assert json.loads(done.stdout.splitlines()[0])["state"] == "delivered"
    assert system.tickets[1]["subject"] == "Disk full"


def test_exit_codes(db: Path) -> None:
    assert "casehook" in run("--version").stdout
    assert run("--help").returncode == 0
    assert run("nonsense").returncode == 2
    assert run("--db", str(db), "stats").returncode == 3
    assert run("--db", str(db), "configure", "x", "-", stdin="{}").returncode == 1


def test_a_signal_stops_gracefully(db: Path) -> None:
    document = json.dumps({"config": config(free_port())})
    assert run("--db", str(db), "configure", "tracker", "-", stdin=document).returncode == 0
    assert run("--db", str(db), "push", "tracker", "--title", "t").returncode == 0
    for number in (signal.SIGINT, signal.SIGTERM):
        command = [sys.executable, "-m", "casehook", "--db", str(db), "run"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        with process.stderr as lines:
            # It logs what it does, from the moment it delivers.
            assert lines.readline()
            process.send_signal(number)
            rest = lines.read()
        assert process.wait(timeout=30) == 0, rest
