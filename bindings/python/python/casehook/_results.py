"""What calls give back: frozen classes made from the library's JSON documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

PushState = Literal["queued", "sending", "waiting", "held", "delivered", "failed", "superseded", "cancelled"]
"""Where a push stands. Delivered, failed, superseded and cancelled are final; held needs a decision."""

CommentState = Literal["pending", "sent", "skipped", "failed", "uncertain"]
"""Where a comment of a push stands."""

Step = Literal["create", "find", "update", "get", "comment"]
"""One exchange of a push."""


@dataclass(frozen=True, slots=True)
class ConnectorWarning:
    """Something that ``configure`` let pass and that its user should know."""

    field: str
    """The path of the value that it is about."""
    message: str
    """What may go wrong, and what would be right."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector as it is stored, its secrets left out."""

    name: str
    config: Mapping[str, Any] = field(hash=False)
    """The document after defaults."""
    warnings: tuple[ConnectorWarning, ...]


@dataclass(frozen=True, slots=True)
class PushError:
    """Why the last exchange of a push failed. Not an exception: a failed delivery is part of a status."""

    code: str
    """A stable word for the cause, such as ``connectionRefused``, ``status`` or ``idMissing``."""
    kind: str
    """The failure class, such as ``transient`` or ``permanent``."""
    message: str
    step: Step
    http_status: int | None
    retryable: bool
    """Whether casehook tries again by itself."""

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class PushStatus:
    """Where a push stands. Times are aware, in UTC."""

    id: int
    connector: str
    case_id: str | None
    state: PushState
    attempts: int
    """Counted exchanges so far, of all steps."""
    created_at: datetime
    updated_at: datetime
    next_attempt_at: datetime | None
    external_id: str | None
    external_title: str | None
    external_url: str | None
    uncertain: bool
    """Whether a request was sent again without knowing that the first had no effect."""
    superseded_by: int | None
    error: PushError | None
    """Why the last exchange failed; none once a later one succeeded."""
    comments: list[tuple[str, CommentState]] = field(hash=False)
    """Id and state of each comment, in order."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the attempts log: one exchange."""

    push: int
    at: datetime
    duration_ms: int
    step: Step
    method: str | None
    url: str | None
    http_status: int | None
    failure: str | None
    """The failure class; none when it succeeded."""
    message: str


@dataclass(frozen=True, slots=True)
class Link:
    """The incident that a case was delivered to."""

    connector: str
    target: str
    case_id: str
    external_id: str
    external_title: str | None
    external_url: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ConnectorHealth:
    """How a connector fares."""

    state: Literal["ok", "offline", "blocked", "throttled", "paused"]
    reason: str | None
    """What the target last met, while offline or blocked."""
    probe_at: datetime | None
    until: datetime | None
    """Until when nothing is sent, while throttled."""


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Exchanges of one step that ended in one way."""

    step: Step
    failure: str | None
    """The failure class; none for those that succeeded."""
    count: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went over the wire since the database was made."""

    exchanges: tuple[Exchanges, ...]
    durations: tuple[tuple[float, int], ...]
    """Bounds in seconds, and how many exchanges took no longer; each counts those of the bounds before it too."""
    total_seconds: float
    """What all exchanges took together."""
    bytes_sent: int
    """Of request bodies."""
    bytes_received: int
    """Of answer bodies, after decoding."""


@dataclass(frozen=True, slots=True)
class ConnectorStats:
    """Counts of one connector."""

    connector: str
    health: ConnectorHealth
    queued: int
    sending: int
    waiting: int
    held: int
    failed: int
    delivered: int
    superseded: int
    cancelled: int
    oldest_at: datetime | None
    """When the oldest push that is not final was accepted."""
    accepted_total: int
    """Accepted since the database was made, those that the history has forgotten included."""
    delivered_total: int
    """Delivered since the database was made, those that the history has forgotten included."""
    traffic: Traffic


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of an outbox."""

    connectors: tuple[ConnectorStats, ...]
    draining: bool
    """Whether this process delivers."""
    drained_by: int | None
    """The process that delivers, as last noted."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it would be sent, secrets masked."""

    step: Step
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target answered, secrets masked."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True, slots=True)
class TestStep:
    """One step of a test: what went out, what came back, what casehook makes of it."""

    __test__ = False  # for pytest, whose tests have such names

    step: Step
    request: Request | None
    answer: Answer | None
    ok: bool
    verdict: str
    suggestion: str | None
    """What most likely is to be changed in the connector, where something is known about it."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class TestReport:
    """What came of running a case's steps against the target, outside the outbox."""

    __test__ = False

    ok: bool
    steps: tuple[TestStep, ...]
    external_id: str | None
    external_title: str | None
    external_url: str | None


def warnings(text: str) -> list[ConnectorWarning]:
    return [ConnectorWarning(**warning) for warning in json.loads(text)]


def connector(text: str) -> Connector:
    return _connector(json.loads(text))


def connectors(text: str) -> list[Connector]:
    return [_connector(connector) for connector in json.loads(text)]


def push_status(text: str) -> PushStatus:
    return _push_status(json.loads(text))


def push_statuses(text: str) -> list[PushStatus]:
    return [_push_status(status) for status in json.loads(text)]


def attempts(text: str) -> list[Attempt]:
    return [
        Attempt(
            push=one["push"],
            at=_moment(one["at"]),
            duration_ms=one["durationMs"],
            step=one["step"],
            method=one["method"],
            url=one["url"],
            http_status=one["httpStatus"],
            failure=one["class"],
            message=one["message"],
        )
        for one in json.loads(text)
    ]


def link(text: str) -> Link:
    document = json.loads(text)
    return Link(
        connector=document["connector"],
        target=document["target"],
        case_id=document["caseId"],
        external_id=document["externalId"],
        external_title=document["externalTitle"],
        external_url=document["externalUrl"],
        updated_at=_moment(document["updatedAt"]),
    )


def stats(text: str) -> Stats:
    document = json.loads(text)
    return Stats(
        connectors=tuple(_connector_stats(one) for one in document["connectors"]),
        draining=document["draining"],
        drained_by=document["drainedBy"],
    )


def requests(text: str) -> list[Request]:
    return [_request(request) for request in json.loads(text)]


def report(text: str) -> TestReport:
    document = json.loads(text)
    return TestReport(
        ok=document["ok"],
        steps=tuple(_step(step) for step in document["steps"]),
        external_id=document["externalId"],
        external_title=document["externalTitle"],
        external_url=document["externalUrl"],
    )


def _connector(document: dict[str, Any]) -> Connector:
    found = tuple(ConnectorWarning(**warning) for warning in document["warnings"])
    return Connector(name=document["name"] or "", config=document["config"], warnings=found)


def _push_status(document: dict[str, Any]) -> PushStatus:
    error = document["error"]
    return PushStatus(
        id=document["id"],
        connector=document["connector"],
        case_id=document["caseId"],
        state=document["state"],
        attempts=document["attempts"],
        created_at=_moment(document["createdAt"]),
        updated_at=_moment(document["updatedAt"]),
        next_attempt_at=_moment_or_none(document["nextAttemptAt"]),
        external_id=document["externalId"],
        external_title=document["externalTitle"],
        external_url=document["externalUrl"],
        uncertain=document["uncertain"],
        superseded_by=document["supersededBy"],
        error=error and _push_error(error),
        comments=[(one["commentId"], one["state"]) for one in document["comments"]],
    )


def _push_error(document: dict[str, Any]) -> PushError:
    return PushError(
        code=document["code"],
        kind=document["kind"],
        message=document["message"],
        step=document["step"],
        http_status=document["httpStatus"],
        retryable=document["retryable"],
    )


def _traffic(document: dict[str, Any]) -> Traffic:
    durations = document["durations"]
    return Traffic(
        exchanges=tuple(Exchanges(one["step"], one["class"], one["count"]) for one in document["exchanges"]),
        durations=tuple((one["withinMs"] / 1000, one["count"]) for one in durations["buckets"]),
        total_seconds=durations["totalMs"] / 1000,
        bytes_sent=document["bytesSent"],
        bytes_received=document["bytesReceived"],
    )


def _connector_stats(document: dict[str, Any]) -> ConnectorStats:
    health = document["health"]
    counts = ("queued", "sending", "waiting", "held", "failed", "delivered", "superseded", "cancelled")
    return ConnectorStats(
        connector=document["connector"],
        health=ConnectorHealth(
            state=health["state"],
            reason=health.get("reason"),
            probe_at=_moment_or_none(health.get("probeAt")),
            until=_moment_or_none(health.get("until")),
        ),
        oldest_at=_moment_or_none(document["oldestAt"]),
        accepted_total=document["acceptedTotal"],
        delivered_total=document["deliveredTotal"],
        traffic=_traffic(document["traffic"]),
        **{state: document[state] for state in counts},
    )


def _step(document: dict[str, Any]) -> TestStep:
    request, answer = document["request"], document["answer"]
    return TestStep(
        step=document["step"],
        request=request and _request(request),
        answer=answer and Answer(answer["status"], _headers(answer), answer["body"]),
        ok=document["ok"],
        verdict=document["verdict"],
        suggestion=document["suggestion"],
        duration_ms=document["durationMs"],
    )


def _request(document: dict[str, Any]) -> Request:
    return Request(
        step=document["step"],
        method=document["method"],
        url=document["url"],
        headers=_headers(document),
        body=document["body"],
    )


def _headers(document: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((header["name"], header["value"]) for header in document["headers"])


def _moment(text: str) -> datetime:
    # Python 3.10 does not read the Z.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)
