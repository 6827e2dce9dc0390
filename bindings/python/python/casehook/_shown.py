"""How texts name a database: a path as it is, a URL without the password that it may hold."""

from __future__ import annotations

import re

_MASK = "***"
# One slash is what pathlib makes of two.
_URL = re.compile(r"postgres[a-z]*:/+", re.IGNORECASE)


def database(path: str) -> str:
    """The path or URL, fit for a screen or a log. Rather hides too much than shows a part of a password.

    >>> database("postgresql://ada:hush@host/db?sslmode=require&password=hush")
    'postgresql://ada:***@host/db?sslmode=require&password=***'
    """
    scheme = _URL.match(path)
    if scheme is None:
        return path
    rest = path[scheme.end() :]
    # A password may hold an @, a slash or a question mark that nobody escaped: it is taken to reach to the last @.
    login, at, place = rest.rpartition("@")
    if ":" in login:
        rest = f"{login.partition(':')[0]}:{_MASK}{at}{place}"
    place, mark, query = rest.partition("?")
    return scheme.group() + place + mark + "&".join(_parameter(pair) for pair in query.split("&"))


def _parameter(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    # A name with escapes may spell anything, and what has no name may be the rest of a password with an &.
    if pair and (not equals or "%" in name or "pass" in name.lower()):
        return f"{name}={_MASK}" if equals else _MASK
    return pair
