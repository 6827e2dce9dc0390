"""Connector documents for well-known case systems."""

from __future__ import annotations

import json
import keyword
from dataclasses import dataclass
from typing import Any

from casehook import _arguments, _native


@dataclass(frozen=True, slots=True)
class PresetParameter:
    """One parameter of a preset."""

    name: str
    meaning: str
    example: str | None
    default: str | None
    """What holds when it is not given."""
    required: bool
    secret: bool
    """Whether it is a credential. Without the credentials the document has no secrets."""
    choices: tuple[str, ...]
    """The only values that it takes, where these are few."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A connector for a well-known case system, with parameters for what differs between installations."""

    name: str
    title: str
    parameters: tuple[PresetParameter, ...]
    notes: tuple[str, ...]
    """What to know about the system, and what the connector does and does not do."""
    unconfirmed: tuple[str, ...]
    """What the sources could not confirm: try it with ``Agent.test`` before relying on it."""
    sources: tuple[tuple[str, str], ...]
    """Each fact and the address where it was read."""


def presets() -> list[Preset]:
    """The presets there are, by name.

    >>> import casehook
    >>> jira = next(preset for preset in casehook.presets() if preset.name == "jira-cloud")
    >>> [parameter.name for parameter in jira.parameters if parameter.required]
    ['site', 'project']
    """
    return [_made(document) for document in json.loads(_native.presets())]


def preset(name: str, /, **parameters: str | int | None) -> dict[str, Any]:
    """A connector document for one installation of a well-known system, for ``Agent.configure``.

    A parameter that is none counts as not given.

    >>> import casehook
    >>> document = casehook.preset("jira-cloud", site="acme", project="OPS")
    >>> document["config"]["createIncidentUrl"]
    'https://acme.atlassian.net/rest/api/2/issue'

    A parameter whose name is a keyword of Python's is written with an underscore behind it:

    >>> pager = casehook.preset("pagerduty-incidents", subdomain="acme", service="PABC123", from_="a@b.example")
    >>> pager["config"]["headers"]["From"]
    'a@b.example'

    Raises :class:`casehook.NotFoundError` for a name that no preset has, and :class:`casehook.ArgumentError` for a parameter
    that is missing, not known or cannot be used; both list what there is.
    """
    texts = [(_spelt(key), _text(value, key)) for key, value in parameters.items() if value is not None]
    document: dict[str, Any] = json.loads(_native.preset(_arguments.text(name, "name"), texts))
    return document


def _spelt(name: str) -> str:
    bare = name.removesuffix("_")
    return bare if keyword.iskeyword(bare) else name


def _text(value: str | int, parameter: str) -> str:
    if isinstance(value, str):
        return _arguments.text(value, parameter)
    # A bool is an int, but no parameter of a connector.
    if isinstance(value, bool) or not isinstance(value, int):
        raise _arguments.wrong_type(parameter, "a str or an int", value)
    return str(int(value))


def _made(document: dict[str, Any]) -> Preset:
    def parameter(given: dict[str, Any]) -> PresetParameter:
        return PresetParameter(
            name=given["name"],
            meaning=given["meaning"],
            example=given["example"],
            default=given["default"],
            required=given["default"] is None and not given["optional"] and not given["secret"],
            secret=given["secret"],
            choices=tuple(given["choices"]),
        )

    return Preset(
        name=document["name"],
        title=document["title"],
        parameters=tuple(parameter(given) for given in document["parameters"]),
        notes=tuple(document["notes"]),
        unconfirmed=tuple(document["unconfirmed"]),
        sources=tuple((source["fact"], source["url"]) for source in document["sources"]),
    )
