"""What type checkers and ``help`` see."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import casehook

HERE = Path(__file__).parent
pytest.importorskip("mypy")


def check(*arguments: str) -> None:
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", *arguments]
        environment = {"MYPY_CACHE_DIR": cache, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=cache, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_examples_are_strictly_typed() -> None:
    files = sorted(str(path) for path in (HERE.parent / "examples").glob("*.py"))
    assert len(files) >= 3
    check("mypy", "--strict", *files)


def test_the_package_is_strictly_typed() -> None:
    package = Path(casehook.__file__).parent
    assert (package / "py.typed").exists()
    check("mypy", "--strict", "-p", "casehook")


def test_nothing_is_newer_than_the_oldest_python_that_is_served() -> None:
    package = Path(casehook.__file__).parent
    program = Path(sys.executable).with_name("vermin")
    command = [program, "--target=3.10-", "--no-tips", "--eval-annotations", package, HERE.parent / "examples"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stub_is_the_module() -> None:
    # The rest of the package is Python, and its own stub.
    check("mypy.stubtest", "casehook._native")


def test_help_shows_signatures_and_words() -> None:
    for name, member in inspect.getmembers(casehook.Agent, inspect.isfunction):
        if not name.startswith("_"):
            assert member.__doc__, name
            inspect.signature(member)
    for name in casehook.__all__:
        thing = getattr(casehook, name)
        if isinstance(thing, type):
            assert thing.__doc__ and not thing.__doc__.startswith(f"{name}("), name
    text = pydoc.plain(pydoc.render_doc(casehook.Agent.push))
    assert "case_id" in text and "survives power loss" in text
