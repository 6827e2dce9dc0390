"""Holds what happened against what a vector expects, by the vector's rule. Each function raises ``Differs``."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from scripted import Received

CLIENTS_OWN = {
    "accept", "accept-encoding", "connection", "content-length", "host", "transfer-encoding", "user-agent",
}  # fmt: skip


class Differs(Exception):
    """What differs."""


@dataclass
class Outcome:
    """What happened. ``end`` is ``configure``, ``params``, ``failed``, ``delivered`` or something odd."""

    expect: dict[str, Any]
    received: list[Received]
    end: str = ""
    why: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, Any] | None = None


def compare(vector: dict[str, Any], outcome: Outcome) -> None:
    """Raises unless the outcome is what the vector expects."""
    match vector.get("rule"), vector.get("ours"):
        case None, None:
            _exact(outcome)
        case str(), "reject":
            _refused(outcome)
        case str(), "fail":
            _fails(outcome)
        case str(), "accept":
            _accepted(outcome)
        case str(), "free":
            try:
                _exact(outcome)
            except Differs:
                _refused(outcome)
        case "R18", "rendered":
            _parity(outcome, text=_single_slashes)
        case "R14", "rendered":
            _parity(outcome, link=False)
        case "R6", "rendered":
            _parity(outcome, bare_hops=True)
        case "R4", "idtext":
            _digits_of_the_wire(vector, outcome)
        case "R11", "report":
            _parity(outcome, comments="skipped")
        case rule, ours:
            raise Differs(f"no way to compare {rule!r} {ours!r}")


def _exact(outcome: Outcome) -> None:
    _parity(outcome)
    expected = (outcome.expect.get("stored") or {}).get("config")
    if isinstance(expected, dict):
        _same("stored", expected, {name: (outcome.stored or {}).get(name) for name in expected})


def _parity(
    outcome: Outcome,
    *,
    text: Callable[[str], str] = str,
    link: bool = True,
    bare_hops: bool = False,
    comments: str = "sent",
) -> None:
    stage = (outcome.expect.get("error") or {}).get("stage")
    if stage is None:
        _result(outcome, text, link, comments)
    else:
        ends = {"config": "configure", "secrets": "configure", "connector": "configure", "push": "failed"}
        _same("end", ends.get(stage, stage), outcome.end)
    expected = [_expected(request) for request in outcome.expect.get("requests") or []]
    for request in expected:
        if bare_hops and request["host"] != expected[0]["host"]:
            request["headers"] = {n: v for n, v in request["headers"].items() if n == "content-type"}
    ours = [_ours(request) for request in outcome.received]
    for request in expected + ours:
        request["target"] = text(request["target"])
    _requests(expected, ours, len(expected))


def _result(outcome: Outcome, text: Callable[[str], str] = str, link: bool = True, comments: str = "sent") -> None:
    expected, ours = outcome.expect["result"], outcome.result
    _same("end", "delivered", outcome.end)
    _same("id", expected["id"], ours["id"])
    _same("title", expected["title"], ours["title"])
    if link:
        _same("url", text(expected["url"]), text(ours["url"]))
    sent = [id for id, state in ours["comments"] if state == comments]
    _same("comments", [id for id in expected.get("comments") or [] if isinstance(id, str)], sent)


def _refused(outcome: Outcome) -> None:
    if outcome.end not in ("configure", "params") or outcome.received:
        raise Differs(f"expected a refusal, got {outcome.end} and {len(outcome.received)} requests")


def _fails(outcome: Outcome) -> None:
    if outcome.end not in ("failed", "params"):
        raise Differs(f"expected a failure, got {outcome.end}")
    ours = [_ours(request) for request in outcome.received]
    expected = [_expected(request) for request in outcome.expect.get("requests") or []]
    _requests(expected[: len(ours)], ours, len(expected))


def _accepted(outcome: Outcome) -> None:
    _same("end", "delivered", outcome.end)
    if outcome.expect.get("result"):
        _result(outcome)
    expected = [_expected(request) for request in outcome.expect.get("requests") or []]
    _requests(expected, [_ours(request) for request in outcome.received], 1_000)


def _digits_of_the_wire(vector: dict[str, Any], outcome: Outcome) -> None:
    _same("end", "delivered", outcome.end)
    expect = copy.deepcopy(outcome.expect)
    wire = json.dumps(vector["server"], ensure_ascii=False)
    for name in ("id", "title"):
        theirs, ours = expect["result"][name], outcome.result[name]
        if theirs == ours:
            continue
        if ours not in wire:
            raise Differs(f"{name} {ours!r} is not what the server wrote")
        expect["result"][name] = ours
        expect["result"]["url"] = _replace_word(expect["result"]["url"], theirs, ours)
        for request in expect["requests"]:
            request["target"] = _replace_word(request["target"], theirs, ours)
    _parity(Outcome(expect, outcome.received, outcome.end, outcome.why, outcome.result))


def _expected(request: dict[str, Any]) -> dict[str, Any]:
    coded = request.get("body_b64")
    return {
        "method": request["method"],
        "target": request["target"],
        "host": request["host"],
        "headers": dict(request.get("headers") or {}),
        "body": base64.b64decode(coded) if coded else (request.get("body") or "").encode(),
        "client": request.get("tls_client_cn"),
    }


def _ours(request: Received) -> dict[str, Any]:
    return {
        "method": request.method,
        "target": request.target,
        "host": request.headers.get("host", ""),
        "headers": {name: value for name, value in request.headers.items() if name not in CLIENTS_OWN},
        "body": request.body,
        "client": request.client,
    }


def _requests(expected: list[dict[str, Any]], ours: list[dict[str, Any]], most: int) -> None:
    if len(ours) > most:
        raise Differs(f"one request more than expected: {ours[most]['method']} {ours[most]['target']}")
    for place, request in enumerate(expected):
        if place >= len(ours):
            raise Differs(f"request {place + 1} is missing: {request['method']} {request['target']}")
        found = dict(ours[place], headers=dict(ours[place]["headers"]))
        # A key of casehook's own is allowed.
        if "idempotency-key" not in request["headers"]:
            found["headers"].pop("idempotency-key", None)
        if _same_body(request["body"], found["body"]):
            found["body"] = request["body"]
        _same(f"request {place + 1}", request, found)


def _same(what: str, expected: Any, ours: Any) -> None:
    if expected != ours:
        raise Differs(f"{what}: expected {str(expected)[:500]}, got {str(ours)[:500]}")


_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', re.DOTALL)


def _same_body(expected: bytes, ours: bytes) -> bool:
    if expected == ours:
        return True
    try:
        json.loads(expected)
        theirs, text = expected.decode(), ours.decode()
    except (ValueError, RecursionError):
        return False
    return _SPACE.sub(r"\1", theirs) == _SPACE.sub(r"\1", text)


def _single_slashes(text: str) -> str:
    """As the reference would have sent it: one slash for several, but not after a colon; one at the end cut."""
    text = re.sub(r"(^|[^:/])/{2,}", r"\1/", text)
    return text[:-1] if text.endswith("/") else text


def _replace_word(text: str, theirs: str, ours: str) -> str:
    old, new = quote(theirs, safe=""), quote(ours, safe="")
    return "/".join(new if word == old else word for word in text.split("/"))
