"""The exceptions. Each kind of error has a class; numbers and names are those of the library."""

from __future__ import annotations

import builtins


class Error(Exception):
    """What every call of casehook raises when it fails.

    ``code`` is the stable name of the kind of error, ``number`` its number, the same in every language. ``retryable``
    says whether the same call can succeed later without a change by the caller. ``field`` is the path of the value at
    fault, where one is, such as ``config.createIncidentUrl``.
    """

    code: str = "internal"
    number: int = 9
    retryable: bool = False
    field: str | None = None

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.message = message
        self.field = field

    def __reduce__(self) -> tuple[type[Error], tuple[str, str | None]]:
        return type(self), (self.message, self.field)


class ConfigError(Error, ValueError):
    """A connector or settings document was refused; nothing was stored."""

    code, number = "config", 1


class CaseError(Error, ValueError):
    """A case was refused; nothing was stored."""

    code, number = "case", 2


class CaseTypeError(CaseError, TypeError):
    """A part of a case is of a wrong type. Also a ``TypeError``."""


class ArgumentError(Error, ValueError):
    """An argument has no meaning for the call."""

    code, number = "argument", 3


class NotFoundError(Error, LookupError):
    """There is no connector or push of that name or number."""

    code, number = "not_found", 4


class StateError(Error):
    """The push or connector is in a state that does not allow the call."""

    code, number = "state", 5


class ClosedError(Error):
    """The agent was closed."""

    code, number = "closed", 6


class ForkedError(Error):
    """The agent was opened in a process of which this one is a fork: open the database again here."""

    code, number = "forked", 7


class TimeoutError(Error, builtins.TimeoutError):
    """The time allowed for the call ran out. Also a builtin ``TimeoutError``."""

    code, number, retryable = "timeout", 8, True


class InternalError(Error):
    """casehook itself is at fault."""

    code, number = "internal", 9


class StoreError(Error):
    """The database could not be read or written."""

    code, number = "store", 10


class BusyError(StoreError):
    """Another process holds the database for longer than the call waits."""

    code, number, retryable = "busy", 11, True


class CorruptError(StoreError):
    """The database is damaged or is not a casehook database; it was left untouched."""

    code, number = "corrupt", 12


class SchemaTooNewError(StoreError):
    """The database was written by a newer casehook; it was left untouched."""

    code, number = "schema_too_new", 13


class QueueFullError(StoreError):
    """The outbox holds ``max_queued`` undelivered pushes."""

    code, number, retryable = "queue_full", 14, True


class FullError(StoreError):
    """The disk is full."""

    code, number, retryable = "disk_full", 15, True


class SecretKeyError(StoreError):
    """The key that opens the stored secrets is missing or wrong, or a secret's row is damaged."""

    code, number = "key", 16


class SecondCopyError(StoreError):
    """Another copy of casehook in this process has the database open."""

    code, number = "second_copy", 17


_CLASSES: dict[int, type[Error]] = {
    kind.number: kind
    for kind in (
        ConfigError,
        CaseError,
        ArgumentError,
        NotFoundError,
        StateError,
        ClosedError,
        ForkedError,
        TimeoutError,
        InternalError,
        StoreError,
        BusyError,
        CorruptError,
        SchemaTooNewError,
        QueueFullError,
        FullError,
        SecretKeyError,
        SecondCopyError,
    )
}


def make(number: int, code: str, message: str, field: str | None, retryable: bool) -> Error:
    """The exception for an error of the library; called by the native module."""
    error = _CLASSES.get(number, Error)(message, field)
    # The library's word counts, also for a kind that it knows and this package does not.
    error.code, error.number, error.retryable = code, number, retryable
    return error
