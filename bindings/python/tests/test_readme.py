"""The code in the READMEs, word for word."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from case_system import CaseSystem

ROOT = Path(__file__).parents[3]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("readme", ["README.md", "bindings/python/README.md"])
def test_the_quick_start(readme: str, system: CaseSystem, tmp_path: Path) -> None:
    """With the connector of the README, for a service on this machine, as its ``connector.json``."""
    (document,) = blocks(ROOT / "README.md", "json")
    local = document.replace("https://tickets.example.com", f"http://127.0.0.1:{system.port}")
    assert json.loads(local)["config"]["createIncidentUrl"].startswith("http://127.0.0.1:")
    (tmp_path / "connector.json").write_text(local)
    programs = blocks(ROOT / readme, "python")
    assert programs
    for number, program in enumerate(programs):
        (tmp_path / f"{number}.py").write_text(program)
        command = [sys.executable, "-W", "error", f"{number}.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert "delivered" in done.stdout
    assert system.tickets[1]["subject"] == "Disk full" and system.tickets[1]["notes"] == ["first look"]
