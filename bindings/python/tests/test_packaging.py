"""A wheel and a source distribution, each installed into a clean environment.

Built without optimization, in the build directory of the workspace, so that it takes seconds.
"""

from __future__ import annotations

import email
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import casehook

PROJECT = Path(__file__).parents[1]
ROOT = PROJECT.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()

SMOKE = """
import casehook, sys, pathlib
assert "site-packages" in casehook.__file__, casehook.__file__
assert casehook.__version__
with casehook.Agent("cases.db", drain=False) as agent:
    assert agent.connectors() == []
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    whole = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), **environment}
    done = subprocess.run(command, cwd=cwd, env=whole, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


def install(package: Path, folder: Path) -> None:
    """Installs it where nothing else is, and uses it there."""
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    # Of the environment of the tests it is given the build backend, and nothing else.
    backend = folder / "backend"
    backend.mkdir()
    for name in ("maturin", "tomli"):
        if found := importlib.util.find_spec(name):
            (backend / name).symlink_to(Path(str(found.origin)).parent)
    run(
        python, "-m", "pip", "install", "-q", "--no-index", "--no-build-isolation", package,
        cwd=folder, MATURIN_PEP517_ARGS="--profile dev", PYTHONPATH=str(backend),
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )  # fmt: skip
    run(python, "-W", "error", "-c", SMOKE, cwd=folder)
    assert "--db" in run(python, "-m", "casehook", "--help", cwd=folder)


@pytest.fixture(scope="module")
def maturin() -> str:
    pytest.importorskip("maturin")
    return str(Path(sys.executable).parent / "maturin")


def test_the_module_tells_its_version() -> None:
    assert casehook.__version__ == importlib.metadata.version("casehook")


def test_wheel(maturin: str, tmp_path: Path) -> None:
    run(maturin, "build", "-q", "--profile", "dev", "-o", tmp_path, cwd=PROJECT)
    (wheel,) = tmp_path.glob("*.whl")
    assert "-cp310-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        document = email.message_from_bytes(archive.read(metadata))
        (bill,) = (json.loads(archive.read(name)) for name in names if "/sboms/" in name)
    assert bill["bomFormat"] == "CycloneDX"
    components = {component["name"]: component for component in bill["components"]}
    for name in ("casehook", "rusqlite", "rustls", "ring", "ureq"):
        assert components[name]["version"] and components[name].get("purl", "pkg:").startswith("pkg:"), name
    assert not {"openssl", "openssl-sys", "aws-lc-rs"} & components.keys()
    for name in ("__init__.py", "__main__.py", "_native.abi3.so", "_native.pyi", "logging.py", "py.typed"):
        assert f"casehook/{name}" in names
    assert any(name.endswith("LICENSE") for name in names)
    assert (document["Name"], document["Requires-Python"]) == ("casehook", ">=3.10")
    assert document["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in document.get_all("Classifier", [])
    assert str(document.get_payload()).startswith("# casehook for Python")
    install(wheel, tmp_path)


def test_source_distribution(maturin: str, tmp_path: Path) -> None:
    run(maturin, "sdist", "-o", tmp_path, cwd=PROJECT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert any(name.endswith("migrations/0001_initial.sql") for name in names)
    install(sdist, tmp_path)
