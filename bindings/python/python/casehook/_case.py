"""A case, from its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from casehook import _arguments
from casehook._arguments import Document
from casehook._errors import CaseError, CaseTypeError

Comments: TypeAlias = Iterable[tuple[str, str] | Mapping[str, str]]
"""Pairs of id and text, or objects with ``commentId`` and ``comment``."""


def case(
    title: str,
    *,
    case_id: str | None = None,
    description: str | None = None,
    tags: Iterable[str] | None = None,
    severity: str | None = None,
    status: str | None = None,
    comments: Comments | None = None,
    external_id: str | None = None,
    fields: Mapping[str, Any] | None = None,
    traceparent: str | None = None,
) -> dict[str, Any]:
    """The ``params`` object of a case, for :meth:`Agent.push_many` and others that take one.

    >>> case("Disk full", case_id="host-7/disk", tags=["infra"])
    {'incident': {'title': 'Disk full', 'id': 'host-7/disk', 'tags': ['infra']}, 'comments': []}
    """
    incident: dict[str, Any] = {"title": title}
    if case_id is not None:
        incident["id"] = case_id
    if description is not None:
        incident["description"] = description
    if severity is not None:
        incident["severity"] = severity
    if status is not None:
        incident["status"] = status
    if labels := tags_list(tags):
        incident["tags"] = labels
    if external_id is not None:
        incident["externalId"] = external_id
    if fields is not None:
        if not isinstance(fields, Mapping):
            raise CaseTypeError(f"fields must be a mapping, not {type(fields).__name__}", "incident.fields")
        incident["fields"] = dict(fields)
    pairs = [{"commentId": id, "comment": text} for id, text in comment_pairs(comments)]
    params: dict[str, Any] = {"incident": incident, "comments": pairs}
    if traceparent is not None:
        params["traceparent"] = traceparent
    return params


def whole(
    call: str,
    params: Document | None,
    *,
    title: str | None,
    tags: Iterable[str] | None,
    comments: Comments | None,
    fields: Mapping[str, Any] | None,
    **texts: str | None,
) -> str:
    """The text of the one case that a call was given, as ``params`` or by its parts."""
    labels, pairs = tags_list(tags), comment_pairs(comments)
    if title is None:
        if params is None:
            raise TypeError(f"{call}() needs a title, or params")
        if labels or pairs or fields is not None or any(text is not None for text in texts.values()):
            raise TypeError(f"{call}() takes params or the parts of a case, not both")
        return _arguments.params(params)
    if params is not None:
        raise TypeError(f"{call}() takes a title or params, not both")
    refuse_parts(labels, pairs, title=title, **texts)
    _arguments.fields(fields)
    return _arguments.params(case(title, tags=labels, comments=pairs, fields=fields, **texts))


def tags_list(tags: Iterable[str] | None) -> list[str]:
    """The tags; a lone text is refused, rather than taken for a tag of each of its letters."""
    if tags is None:
        return []
    if type(tags) is list:
        return tags
    if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
        raise CaseTypeError(f"tags must be an iterable of str, not {type(tags).__name__}", "incident.tags")
    return list(tags)


def comment_pairs(comments: Comments | None) -> list[tuple[str, str]]:
    """Id and text of each comment."""
    if comments is None:
        return []
    if isinstance(comments, (str, bytes, Mapping)) or not isinstance(comments, Iterable):
        right = "an iterable of pairs of id and text"
        raise CaseTypeError(f"comments must be {right}, not {type(comments).__name__}", "comments")
    return [_pair(comment, f"comments[{place}]") for place, comment in enumerate(comments)]


def _pair(comment: tuple[str, str] | Mapping[str, str], place: str) -> tuple[str, str]:
    if isinstance(comment, Mapping):
        for name in ("commentId", "comment"):
            if name not in comment:
                raise CaseError("this is missing; it must be a string", f"{place}.{name}")
        if others := [str(name) for name in comment if name not in ("commentId", "comment")]:
            raise CaseError("a comment has commentId and comment, and nothing else", f"{place}.{others[0]}")
        return comment["commentId"], comment["comment"]
    if isinstance(comment, (str, bytes)) or not isinstance(comment, Iterable):
        raise CaseTypeError(f"a comment is a pair of id and text, not {type(comment).__name__}", place)
    pair = tuple(comment)
    if len(pair) != 2:
        raise CaseTypeError(f"a comment is a pair of id and text, and has no {len(pair)} parts", place)
    return pair


def refuse_parts(tags: Iterable[object], comments: Iterable[tuple[object, object]], **texts: object) -> None:
    """Raises for the first part that is no text."""
    for argument, value in texts.items():
        names = {"case_id": "id", "external_id": "externalId"}
        if value is not None:
            field = "incident." + names.get(argument, argument)
            _refuse(value, argument, argument if argument == "traceparent" else field)
    for place, tag in enumerate(tags):
        _refuse(tag, f"tags[{place}]", f"incident.tags[{place}]")
    for place, (id, text) in enumerate(comments):
        _refuse(id, "the id of a comment", f"comments[{place}].commentId")
        _refuse(text, "the text of a comment", f"comments[{place}].comment")


def _refuse(value: object, argument: str, field: str) -> None:
    if not isinstance(value, str):
        raise CaseTypeError(f"{argument} must be a str, not {type(value).__name__}", field)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise CaseError(_arguments.half_a_pair(error), field) from None
