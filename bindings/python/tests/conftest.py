"""What the tests share."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from case_system import CaseSystem, config

import casehook

TESTS = Path(__file__).parent


@pytest.fixture
def system() -> Iterator[CaseSystem]:
    """A case system that is up."""
    system = CaseSystem()
    yield system
    system.close()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """The path of a database that is not there."""
    return tmp_path / "cases.db"


@pytest.fixture
def agent(db: Path, system: CaseSystem) -> Iterator[casehook.Agent]:
    """An agent that delivers to the case system as ``tracker``."""
    with casehook.Agent(db) as agent:
        agent.configure("tracker", config(system.port))
        yield agent


@pytest.fixture
def still(db: Path) -> Iterator[casehook.Agent]:
    """An agent that delivers nothing."""
    with casehook.Agent(db, drain=False) as agent:
        agent.configure("tracker", config(9))
        yield agent


Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs Python text in an interpreter of its own; it finds this folder's modules."""

    def run(text: str, *args: str, timeout: float = 240.0) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(text))
        environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONFAULTHANDLER": "1"}
        return subprocess.run(
            [sys.executable, "-W", "error", str(path), *args],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
        )

    return run
