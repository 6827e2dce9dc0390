"""A third of the measured exchanges of the reference connector, through Python.

Rust runs all of them; here it is shown that nothing is lost on the way. ``CASEHOOK_VECTORS`` says which: ``0``, ``1``,
``2`` for the thirds, ``all`` for all.
"""

from __future__ import annotations

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from compare import Differs, Outcome, compare
from scripted import Scripted

import casehook

VECTORS = Path(__file__).parents[3] / "tests" / "conformance" / "vectors"
PART = os.environ.get("CASEHOOK_VECTORS", "0")
#: Longer than any vector needs; a push that takes it is one that hangs.
PATIENCE = 20.0


def families() -> list[str]:
    return sorted(path.stem for path in VECTORS.glob("*.json"))


def test_all_families_are_here() -> None:
    assert len(families()) == 18


@pytest.mark.parametrize("family", families())
def test_family(family: str) -> None:
    vectors = json.loads((VECTORS / f"{family}.json").read_text())
    if PART != "all":
        vectors = vectors[int(PART) :: 3]
    assert vectors
    with ThreadPoolExecutor(4) as lanes:
        differing = [what for what in lanes.map(judge, vectors) if what]
    assert differing == []


def judge(vector: dict[str, Any]) -> str | None:
    server = Scripted(tls="__TLS" in json.dumps(vector))
    try:
        outcome = run(vector, server)
        compare(vector, outcome)
    except Differs as error:
        return f"{vector['name']} [{vector.get('rule')} {vector.get('ours')}]: {error} ({outcome.why})"
    finally:
        server.close()
    return None


def run(vector: dict[str, Any], server: Scripted) -> Outcome:
    def fill(value: Any) -> Any:
        return json.loads(server.fill(json.dumps(value)))

    server.lines.extend(fill(vector["server"]) or [])
    outcome = Outcome(expect=fill(vector["expect"]), received=server.received)
    names = {"allowedHosts": "allowedHosts", "maxContentLength": "maxResponseContentLength"}
    given = vector.get("settings") or {}
    settings = {ours: given[theirs] for theirs, ours in names.items() if theirs in given}
    if "timeoutMs" in given:
        settings["responseTimeout"] = f"{given['timeoutMs']}ms"
    with tempfile.TemporaryDirectory() as folder:
        with casehook.Agent(Path(folder) / "cases.db", key=bytes([7] * 32), settings=settings, workers=1) as agent:
            push_it(agent, vector, fill, outcome)
    return outcome


def push_it(agent: casehook.Agent, vector: dict[str, Any], fill: Any, outcome: Outcome) -> None:
    config = fill(vector["config"])
    if isinstance(config, dict):
        config["retry"] = {"maxAttempts": 1}
    try:
        agent.configure("vector", as_document(config), as_document(fill(vector["secrets"])))
    except casehook.ConfigError as error:
        outcome.end, outcome.why = "configure", str(error)
        return
    outcome.stored = dict(agent.connector("vector").config)
    raw = vector.get("raw_params")
    if raw is not None and not (isinstance(raw, dict) and raw.get("subAction") == "pushToService"):
        outcome.end = "params"
        return
    params = fill(raw["subActionParams"] if raw is not None else vector["params"])
    try:
        push = agent.push("vector", as_document(params))
    except casehook.CaseError as error:
        outcome.end, outcome.why = "params", str(error)
        return
    status = agent.wait(push, PATIENCE)
    outcome.why = str(status.error)
    if status.state == "delivered":
        outcome.end = "delivered"
        outcome.result = {
            "id": status.external_id,
            "title": status.external_title,
            "url": status.external_url,
            "comments": status.comments,
        }
    else:
        outcome.end = "failed" if status.state in ("failed", "held") else status.state


def as_document(value: Any) -> Any:
    """A mapping is handed over as it is, anything else as text."""
    return value if isinstance(value, dict) else json.dumps(value)
