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
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from casehook._agent import Agent

__all__ = ["CaseHandler"]

_REMEMBERED = 1_000
_TITLE = 200


@dataclass
class _Seen:
    """What is known of one fingerprint."""

    pushed_at: float
    unpushed: int = 0


class CaseHandler(logging.Handler):
    """Pushes a case for every record of ``level`` and above.

    Records that come from the same place with the same kind of exception have one fingerprint, and that is the case id:
    one incident for each, however often it happens. A fingerprint is pushed again after ``quiet`` seconds at the
    earliest, then with a comment that says how often it happened meanwhile; the text of the incident is the latest. No
    more than ``limit`` pushes are made in ``per`` seconds.

    Nothing is raised into the program: a push that fails goes the way of :meth:`logging.Handler.handleError`, and counts
    in ``failed``, as what the limit holds back does in ``suppressed``. A push writes to the disk; where that is too long
    for a log call, put a :class:`logging.handlers.QueueHandler` in front. Records of casehook's own are left out.
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
        comments = [(f"{fingerprint}-{record.created:.3f}", f"{times} more times: {message}")] if times else []
        return {
            "title": first[:_TITLE],
            "description": self.format(record),
            "case_id": fingerprint,
            "severity": self.severity.get(record.levelname, record.levelname.lower()),
            "tags": [record.name, *self.tags],
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
                self.agent.push(self.connector, **self.case(record, fingerprint, times))
        except Exception:
            self.failed += 1
            self.handleError(record)

    def _due(self, fingerprint: str) -> int | None:
        """How often it happened unpushed, or none when it is not to be pushed now."""
        now = time.monotonic()
        seen = self._seen.get(fingerprint)
        if seen is not None and now - seen.pushed_at < self.quiet:
            seen.unpushed += 1
            return None
        while self._pushed and now - self._pushed[0] >= self.per:
            self._pushed.popleft()
        if len(self._pushed) >= self.limit:
            self.suppressed += 1
            if seen is not None:
                seen.unpushed += 1
            return None
        self._pushed.append(now)
        self._seen[fingerprint] = _Seen(pushed_at=now)
        self._seen.move_to_end(fingerprint)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        # What happened since it was pushed last, this time included.
        return 0 if seen is None else seen.unpushed + 1
