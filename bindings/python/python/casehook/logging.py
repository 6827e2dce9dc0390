"""A logging handler that opens a case for what a program logs as an error.

>>> import logging, pathlib, tempfile
>>> import casehook
>>> from casehook.logging import CaseHandler
>>> folder = tempfile.TemporaryDirectory()
>>> agent = casehook.Agent(pathlib.Path(folder.name) / "cases.db", drain=False)
>>> handler = CaseHandler(agent, "tracker")
>>> logging.getLogger("shop").addHandler(handler)
>>> agent.close(); logging.getLogger("shop").removeHandler(handler); folder.cleanup()
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from casehook._agent import Agent

__all__ = ["CaseHandler"]

_REMEMBERED = 1_000
_TITLE = 200
_TEXT = 256 * 1024
"""Characters of a description and of a comment: escaped as JSON they fit into one push, whatever they are."""

_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


@dataclass
class _Seen:
    """What is known of one fingerprint."""

    pushed_at: float | None = None
    unpushed: int = 0


class CaseHandler(logging.Handler):
    """Pushes a case for every record of ``level`` and above.

    Records that come from the same place with the same kind of exception have one fingerprint, and that is the case id:
    one incident for each, however often it happens. A fingerprint is pushed again after ``quiet`` seconds at the
    earliest, then with a comment that says how often it happened meanwhile; the text of the incident is the latest. No
    more than ``limit`` pushes are made in ``per`` seconds.

    Nothing is raised into the program: a push that fails goes the way of :meth:`logging.Handler.handleError`, and counts
    in ``failed``, as what the limit holds back does in ``suppressed``; the next record of its fingerprint is pushed. A
    push writes to the disk; where that is too long for a log call, put a :class:`logging.handlers.QueueHandler` in
    front. Records of casehook's own are left out. Of a text over 256 Ki characters the middle is left out, and half a
    surrogate pair becomes U+FFFD.
    """

    def __init__(
        self,
        agent: Agent,
        connector: str,
        *,
        level: int | str = logging.ERROR,
        quiet: float = 300.0,
        limit: int = 60,
        per: float = 3600.0,
        severity: Mapping[str, str] | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        super().__init__(level)
        self.agent = agent
        self.connector = connector
        self.quiet = quiet
        self.limit = limit
        self.per = per
        self.severity = severity or {}
        self.tags = tags
        self.suppressed = 0
        self.failed = 0
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._pushed: deque[float] = deque()

    def fingerprint(self, record: logging.LogRecord) -> str:
        """What makes records the same case: place, logger, and kind of exception, but not the values in the text."""
        kind = record.exc_info[0] if record.exc_info else None
        parts = (record.name, record.pathname, record.funcName, str(record.lineno), kind.__qualname__ if kind else "")
        text = "\0".join(part or "" for part in parts)
        return "log/" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]

    def case(self, record: logging.LogRecord, fingerprint: str, times: int) -> dict[str, Any]:
        """The parts of the case, as :meth:`Agent.push` takes them. ``times`` is how often it happened since the last."""
        message = record.getMessage()
        first = message.partition("\n")[0].strip() or record.name
        more = f"{times} more time{'s' if times > 1 else ''}: {message}"
        comments = [(f"{fingerprint}-{record.created:.3f}", _fit(more))] if times else []
        return {
            "title": _whole(first[:_TITLE]),
            "description": _fit(self.format(record)),
            "case_id": fingerprint,
            "severity": self.severity.get(record.levelname, record.levelname.lower()),
            "tags": [_whole(record.name), *self.tags],
            "comments": comments,
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Pushes the record, unless it is held back."""
        if record.name.partition(".")[0] == "casehook":
            return
        try:
            fingerprint = self.fingerprint(record)
            times = self._due(fingerprint)
            if times is not None:
                self._push(record, fingerprint, times)
        except Exception:
            self.failed += 1
            self.handleError(record)

    def _due(self, fingerprint: str) -> int | None:
        """How often it happened since it was pushed last, this time included, or none when it is not to be pushed now."""
        now = time.monotonic()
        seen = self._seen.get(fingerprint)
        if seen is not None and seen.pushed_at is not None and now - seen.pushed_at < self.quiet:
            seen.unpushed += 1
            return None
        while self._pushed and now - self._pushed[0] >= self.per:
            self._pushed.popleft()
        if len(self._pushed) >= self.limit:
            self.suppressed += 1
            if seen is not None:
                seen.unpushed += 1
            return None
        if seen is None:
            return 0
        # Of what was never pushed, this time is the incident itself.
        return seen.unpushed if seen.pushed_at is None else seen.unpushed + 1

    def _push(self, record: logging.LogRecord, fingerprint: str, times: int) -> None:
        """Pushes, and remembers whether that went well."""
        seen = self._seen.setdefault(fingerprint, _Seen())
        self._seen.move_to_end(fingerprint)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        seen.unpushed += 1
        now = time.monotonic()
        self.agent.push(self.connector, **self.case(record, fingerprint, times))
        self._pushed.append(now)
        seen.pushed_at, seen.unpushed = now, 0


def _whole(text: str) -> str:
    """The text without halves of surrogate pairs, which have no UTF-8."""
    return _HALF_A_PAIR.sub("\N{REPLACEMENT CHARACTER}", text)


def _fit(text: str) -> str:
    """The text, or its beginning and its end, where a traceback says what it was."""
    if len(text) > _TEXT:
        half = _TEXT // 2
        text = f"{text[:half]}\n[{len(text) - 2 * half} characters are left out]\n{text[-half:]}"
    return _whole(text)
