"""What callers hand in, made what the library takes; what it is not is refused in words that name the argument."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, SupportsIndex, TypeAlias

from casehook._errors import ArgumentError, CaseError, ConfigError, Error, NotFoundError

Timeout: TypeAlias = float | timedelta | None
"""Seconds or a timedelta; none is no limit."""

Document: TypeAlias = Mapping[str, Any] | str
"""A JSON object, as a mapping or as text."""

LARGEST = 2**63 - 1
"""The largest number that the library knows."""


def text(value: str, argument: str) -> str:
    """A text that can be written as UTF-8."""
    if not isinstance(value, str):
        raise wrong_type(argument, "a str", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ArgumentError(half_a_pair(error), argument) from None
    return value


def text_or_none(value: str | None, argument: str) -> str | None:
    return None if value is None else text(value, argument)


def texts(values: Iterable[str], argument: str) -> list[str]:
    """A list of texts. A lone one is refused, rather than taken for a list of its letters."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise wrong_type(argument, "an iterable of str", values)
    return [text(value, f"{argument}[{place}]") for place, value in enumerate(values)]


def number(value: SupportsIndex, argument: str, least: int = 0) -> int:
    """A whole number that the library can count to."""
    try:
        found = operator.index(value)
    except TypeError:
        raise wrong_type(argument, "an int", value) from None
    if not least <= found <= LARGEST:
        raise ArgumentError(f"{found if abs(found) <= 10**30 else 'this'} is not from {least} to {LARGEST}", argument)
    return found


def push_number(value: SupportsIndex) -> int:
    """The number of a push. One that no push can have is not found, as any other that no push has."""
    try:
        found = operator.index(value)
    except TypeError:
        raise wrong_type("push", "an int", value) from None
    if abs(found) > LARGEST:
        raise NotFoundError("there is no push of a number that large")
    return found


def path(value: str | os.PathLike[str], argument: str) -> str:
    """A path as the system takes it."""
    try:
        found = os.fsdecode(value)
    except (TypeError, UnicodeError):
        raise wrong_type(argument, "a str or os.PathLike", value) from None
    if "\0" in found:
        raise ArgumentError("a path has no NUL in it", argument)
    try:
        os.fsencode(found)
    except UnicodeEncodeError as error:
        raise ArgumentError(half_a_pair(error), argument) from None
    return found


def key(value: bytes | None) -> bytes | None:
    """The 32 bytes of a key."""
    if value is None:
        return None
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise wrong_type("key", "bytes", value)
    found = bytes(value)
    if len(found) != 32:
        raise ArgumentError(f"a key has 32 bytes, not {len(found)}", "key")
    return found


def seconds(value: Timeout, argument: str = "timeout") -> float | None:
    """Seconds; none for none."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        found = value.total_seconds()
    elif isinstance(value, str) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise wrong_type(argument, "a number of seconds or a timedelta", value)
    else:
        try:
            found = float(value)
        except OverflowError:
            found = float("inf") if value > 0 else -1.0
    # Written so that it refuses what is not a number, too.
    if not found >= 0:
        raise ArgumentError(f"{value} is no time; give seconds from 0 on, or a timedelta", argument)
    return found


def document(value: Document, argument: str) -> str:
    """The text of a connector's document, or of a part of one."""
    return _json(value, argument, ConfigError)


def params(value: Document, argument: str = "params") -> str:
    """The text of a ``params`` object."""
    return _json(value, argument, CaseError)


def fields(value: Mapping[str, Any] | None) -> str | None:
    """The text of a case's own fields."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise wrong_type("fields", "a mapping", value)
    return _json(value, "incident.fields", CaseError)


def wrong_type(argument: str, right: str, value: object) -> TypeError:
    return TypeError(f"{argument} must be {right}, not {type(value).__name__}")


def half_a_pair(error: UnicodeEncodeError) -> str:
    """What to say of a text that has no UTF-8."""
    letter = ord(error.object[error.start])
    return f"character {error.start} is U+{letter:04X}, half of a surrogate pair, which is no text"


def _json(value: Document, argument: str, refusal: type[Error]) -> str:
    if not isinstance(value, (str, Mapping)):
        raise wrong_type(argument, "a mapping or JSON text", value)
    try:
        found = value if isinstance(value, str) else _encode(value)
        if not found.isascii():
            found.encode()
        return found
    except UnicodeEncodeError as error:
        raise refusal(half_a_pair(error), argument) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise refusal(f"this is no JSON object: {error}", argument) from error


def _other(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError(f"{value!r} has no time zone; give it one")
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a type of JSON")


# Not in ASCII: half a surrogate pair is then found here, and its place told.
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, default=_other, separators=(",", ":")
).encode
