"""The agent: what a program calls."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any

from casehook import _arguments, _case, _life, _native, _results, _shown, _watch
from casehook._arguments import Document, Timeout, number, push_number, seconds, text
from casehook._case import Comments
from casehook._errors import ForkedError

_PAGE = 100


class Agent:
    """An open outbox and, unless ``drain`` is false, the threads that deliver it.

    ``path`` is the database; it is created, readable by its owner alone, when it is not there. An agent may be used
    from many threads. Opening the same database again in one process gives another agent that shares the database and
    the threads. In a forked child every call raises :class:`ForkedError`; the child opens an agent of its own.

    ``key``
        the 32 bytes that encrypt stored secrets, in place of ``CASEHOOK_KEY`` and the key file beside the database
    ``settings``
        what holds for every connector (allowed hosts, limits, time-outs), a mapping or JSON text
    ``workers``
        how many threads deliver at once
    ``drain``
        whether this agent delivers, or only stores and reads
    ``max_queued``
        how many undelivered pushes the outbox may hold
    ``history``, ``history_count``
        how long and how many delivered, superseded and cancelled pushes are kept; the time in seconds or a timedelta
    ``secret_env``, ``secret_dir``
        the environment variables, and the directory of files, that a connector's secrets may refer to
    ``trust_location``
        use a database of another user's, or in or below a folder that anybody may write to; whoever can put files there
        can replace it
    ``spool``
        with an outbox in PostgreSQL, the file that takes pushes while the server cannot be reached and forwards them, each
        once, when it can; their numbers are negative and stay valid

    As a context manager it is closed at the end. An agent that is forgotten is closed when the interpreter exits.
    """

    __slots__ = ("__weakref__", "_closed", "_native", "_path", "_pid")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key: bytes | None = None,
        settings: Document | None = None,
        workers: int = 4,
        drain: bool = True,
        max_queued: int = 1_000_000,
        history: Timeout = timedelta(days=30),
        history_count: int = 100_000,
        secret_env: Iterable[str] = (),
        secret_dir: str | os.PathLike[str] | None = None,
        trust_location: bool = False,
        spool: str | os.PathLike[str] | None = None,
    ) -> None:
        self._closed = True
        self._path = _arguments.path(path, "path")
        kept = seconds(history, "history")
        options = (
            _arguments.key(key),
            None if settings is None else _arguments.document(settings, "settings"),
            number(workers, "workers"),
            bool(drain),
            number(max_queued, "max_queued"),
            math.inf if kept is None else kept,
            number(history_count, "history_count"),
            _arguments.texts(secret_env, "secret_env"),
            None if secret_dir is None else _arguments.path(secret_dir, "secret_dir"),
            bool(trust_location),
            None if spool is None else _arguments.path(spool, "spool"),
        )
        _life.opening()
        self._native = _native.Agent(self._path, *options)
        self._closed = False
        self._pid = os.getpid()
        _life.opened(self)

    def configure(
        self, name: str, config: Document, secrets: Document | None = None
    ) -> list[_results.ConnectorWarning]:
        """Stores a connector under ``name``, new or in place of the one there.

        ``config`` is the connector's config, or a whole document with ``config`` and ``secrets`` in it. Without secrets
        the stored ones are kept, as long as the connector sends to the same places. Returns what may go wrong though
        the document is accepted.

        Raises :class:`ConfigError`, which names the field and says what would be right; nothing is stored then.
        """
        given = None if secrets is None else _arguments.document(secrets, "secrets")
        document = _arguments.document(config, "config")
        return _results.warnings(self._native.configure(text(name, "name"), document, given))

    def connector(self, name: str) -> _results.Connector:
        """The connector of that name, its secrets left out. Raises :class:`NotFoundError`."""
        return _results.connector(self._native.connector(text(name, "name")))

    def connectors(self) -> list[_results.Connector]:
        """Every connector, by name, secrets left out."""
        return _results.connectors(self._native.connectors())

    def remove(self, name: str, *, cancel: bool = False) -> None:
        """Forgets a connector and its secrets; its links stay.

        Raises :class:`StateError` while it has undelivered pushes, unless they are to be cancelled with it.
        """
        self._native.remove(text(name, "name"), bool(cancel))

    def push(
        self,
        connector: str,
        params: Document | None = None,
        *,
        title: str | None = None,
        case_id: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        severity: str | None = None,
        status: str | None = None,
        comments: Comments | None = None,
        external_id: str | None = None,
        fields: Mapping[str, Any] | None = None,
        traceparent: str | None = None,
    ) -> int:
        """Accepts a case for delivery and returns the number of the push. The network is not touched.

        The case is given either by its parts or as a whole (``params``, the object with ``incident`` and ``comments``).
        The push survives power loss once this returns. Pushes with one ``case_id`` end up in one incident, in order; a
        comment is sent once under its id. ``fields`` are fields of your own, for ``case.fields.NAME`` in templates.
        ``traceparent`` is a W3C trace context that each request of this push carries.

        Raises :class:`CaseError` for a case over a limit or that cannot be rendered; :class:`QueueFullError`,
        :class:`FullError` and :class:`BusyError` can be tried again. Nothing is stored then.
        """
        if title is None or params is not None:
            whole = _case.whole(
                "push", params,
                title=title, case_id=case_id, description=description, tags=tags, severity=severity, status=status,
                comments=comments, external_id=external_id, fields=fields, traceparent=traceparent,
            )  # fmt: skip
            return self._native.push_json(text(connector, "connector"), whole)
        labels, pairs = _case.tags_list(tags), _case.comment_pairs(comments)
        own = None if fields is None else _arguments.fields(fields)
        try:
            return self._native.push(
                connector, title, case_id, description, labels, severity, status, pairs, external_id, own, traceparent
            )
        except (TypeError, UnicodeEncodeError):
            # Looked at only now: what is right need not be looked at twice.
            text(connector, "connector")
            _case.refuse_parts(
                labels, pairs, title=title, case_id=case_id, description=description, severity=severity, status=status,
                external_id=external_id, traceparent=traceparent,
            )  # fmt: skip
            raise

    def push_many(self, connector: str, cases: Iterable[Document]) -> list[int]:
        """Accepts many cases in one transaction, all or none; the numbers are in the order of ``cases``.

        Each is a ``params`` object, such as :func:`casehook.case` makes.
        """
        if isinstance(cases, (str, bytes, Mapping)) or not isinstance(cases, Iterable):
            raise _arguments.wrong_type("cases", "an iterable of params objects", cases)
        documents = [_arguments.params(one, f"cases[{place}]") for place, one in enumerate(cases)]
        return self._native.push_many(text(connector, "connector"), documents)

    def status(self, push: int) -> _results.PushStatus:
        """Where a push stands. Raises :class:`NotFoundError`; history is pruned after a while."""
        return _results.push_status(self._native.status(push_number(push)))

    def attempts(self, push: int) -> list[_results.Attempt]:
        """What happened to a push so far, oldest first."""
        return _results.attempts(self._native.attempts(push_number(push)))

    def pushes(
        self,
        *,
        state: _results.PushState | None = None,
        connector: str | None = None,
        case_id: str | None = None,
        before: int | None = None,
        limit: int | None = None,
    ) -> Iterator[_results.PushStatus]:
        """Pushes, newest first, read page by page as they are asked for.

        Those in that state, of that connector, of that case, older than the push ``before``; all of these must hold.
        """
        left = math.inf if limit is None else number(limit, "limit")
        last = None if before is None else number(before, "before", -_arguments.LARGEST)
        name, of_case = _arguments.text_or_none(connector, "connector"), _arguments.text_or_none(case_id, "case_id")
        _arguments.text_or_none(state, "state")
        page = min(_PAGE, max(0, int(min(left, _PAGE))))
        # The first page is read now: what is wrong with the call is told by the call.
        found = _results.push_statuses(self._native.pushes(state, name, of_case, last, page))

        def pages() -> Iterator[_results.PushStatus]:
            nonlocal found, left
            while found:
                yield from found
                left -= len(found)
                if len(found) < _PAGE or left <= 0:
                    return
                size = int(min(left, _PAGE))
                found = _results.push_statuses(self._native.pushes(state, name, of_case, found[-1].id, size))

        return pages()

    def wait(self, push: int, timeout: Timeout = None) -> _results.PushStatus:
        """Waits until a push is delivered, failed, cancelled or held, and returns where it stands then.

        For a superseded push it follows the one that took its place. Raises :class:`TimeoutError` when that takes
        longer than ``timeout``; the push goes on. Ctrl-C interrupts it.
        """
        return _results.push_status(self._native.wait(push_number(push), seconds(timeout)))

    async def wait_async(self, push: int, timeout: Timeout = None) -> _results.PushStatus:
        """As :meth:`wait`, without blocking the event loop; any number of them share one thread."""
        return _results.push_status(await _watch.wait(self._native, push_number(push), seconds(timeout)))

    def flush(self, timeout: Timeout = None) -> bool:
        """Waits until nothing is left to deliver.

        False when the time ran out, and at once when only pushes remain that nothing moves by itself: held ones, those
        behind them, and those of paused or blocked connectors. Ctrl-C interrupts it.
        """
        return self._native.flush(seconds(timeout))

    async def flush_async(self, timeout: Timeout = None) -> bool:
        """As :meth:`flush`, without blocking the event loop."""
        return await _watch.flush(self._native, seconds(timeout))

    def retry(self, push: int) -> None:
        """Sends a failed or held push again, from the first step that is not done, and a waiting one now."""
        self._native.retry(push_number(push))

    def cancel(self, push: int) -> None:
        """Gives up a push that is queued, waiting or held."""
        self._native.cancel(push_number(push))

    def adopt(self, push: int, external_id: str) -> None:
        """Names the incident of a held push; it goes on from there."""
        self._native.adopt(push_number(push), text(external_id, "external_id"))

    def discard(self, push: int) -> None:
        """Removes a failed push for good."""
        self._native.discard(push_number(push))

    def link(self, connector: str, case_id: str) -> _results.Link | None:
        """The incident that a case is linked to at the connector's present target."""
        found = self._native.link(text(connector, "connector"), text(case_id, "case_id"))
        return None if found is None else _results.link(found)

    def stats(self) -> _results.Stats:
        """Counts and health, by connector."""
        return _results.stats(self._native.stats())

    def metrics_text(self) -> str:
        """The counts in the text format of Prometheus, for the program's own ``/metrics``."""
        return self._native.metrics_text()

    def preview(
        self,
        connector: str,
        params: Document | None = None,
        *,
        title: str | None = None,
        case_id: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        severity: str | None = None,
        status: str | None = None,
        comments: Comments | None = None,
        external_id: str | None = None,
        fields: Mapping[str, Any] | None = None,
        traceparent: str | None = None,
    ) -> list[_results.Request]:
        """Each request that a push of this case would send now, in order, secrets masked. Sends and stores nothing.

        The case is given as to :meth:`push`.
        """
        case = _case.whole(
            "preview", params,
            title=title, case_id=case_id, description=description, tags=tags, severity=severity, status=status,
            comments=comments, external_id=external_id, fields=fields, traceparent=traceparent,
        )  # fmt: skip
        return _results.requests(self._native.preview(text(connector, "connector"), case))

    def test(
        self,
        connector: str,
        params: Document | None = None,
        *,
        get_only: str | None = None,
        title: str | None = None,
        case_id: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        severity: str | None = None,
        status: str | None = None,
        comments: Comments | None = None,
        external_id: str | None = None,
        fields: Mapping[str, Any] | None = None,
        traceparent: str | None = None,
    ) -> _results.TestReport:
        """Runs the steps of this case against the target, for real, outside the outbox.

        The case is given as to :meth:`push`. It opens or updates an incident there and leaves nothing here. Where the
        connector has a look-up and the case an id, an incident that was opened is looked up in the end. Stops at the first
        step that fails. Takes as long as the exchanges take; Ctrl-C ends the call, not the exchange under way.

        With ``get_only``, an incident's id there, in place of a case it only reads that incident back: nothing changes,
        here or there.
        """
        name = text(connector, "connector")
        if get_only is not None:
            parts = (title, case_id, description, tags, severity, status, comments, external_id, fields, traceparent)
            if params is not None or any(part is not None for part in parts):
                raise TypeError("get_only must be given without a case: it writes none")
            return _results.report(self._native.test_get(name, text(get_only, "get_only")))
        case = _case.whole(
            "test", params,
            title=title, case_id=case_id, description=description, tags=tags, severity=severity, status=status,
            comments=comments, external_id=external_id, fields=fields, traceparent=traceparent,
        )  # fmt: skip
        return _results.report(self._native.test(name, case))

    def pause(self, connector: str) -> None:
        """Stops delivering for a connector until :meth:`resume`, across restarts. It accepts pushes meanwhile."""
        self._native.pause(text(connector, "connector"))

    def resume(self, connector: str) -> None:
        """Delivers for a paused connector again."""
        self._native.resume(text(connector, "connector"))

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Writes a consistent copy of the database to a new file, while everything goes on. It carries no key."""
        self._native.backup(_arguments.path(path, "path"))

    def rekey(self, key: bytes | None = None) -> None:
        """Seals every stored secret with another key, all of them or none; deliveries go on meanwhile.

        With a key: store it safely before, since it alone opens the secrets afterwards, and open the database with it
        from now on. Without one a new random key takes the place of the one in the key file, and no crash loses it.
        Backups made before need the key of their time. Other processes with the key file follow by themselves.

        Raises :class:`SecretKeyError` when the present key is missing or wrong or a secret is damaged, and
        :class:`ArgumentError` without a key where the present one is not from the key file; nothing is changed then.
        """
        self._native.rekey(_arguments.key(key))

    def close(self, timeout: Timeout = 5) -> None:
        """Stops: waits for requests under way up to ``timeout``, then ends them. What was not delivered stays stored.

        Later calls raise :class:`ClosedError`; a second close does nothing. Ctrl-C ends the call; the closing goes on.
        """
        left = seconds(timeout)
        try:
            self._native.close(math.inf if left is None else left)
        finally:
            # Also when a signal ended the call: the exit of the interpreter must not wait for that closing again.
            self._closed = True
            _life.closed(self)

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except ForkedError:
            # A child that leaves the block of its parent has nothing to close.
            pass

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and self._pid == os.getpid():
            warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        if not hasattr(self, "_path"):
            return "<casehook.Agent, never opened>"
        state = " closed" if self._closed else ""
        return f"<casehook.Agent {_shown.database(self._path)!r}{state}>"

