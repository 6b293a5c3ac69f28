"""What a lookup asks for: JSON, decoded in the types of the service it names, so that an error names the field.

    {"service": "delay_model@1", "entities": {"airport": ["JFK"]}, "request": {"distance": [2475.0]},
     "closure": "…", "statuses": true, "ages": true}

Columns of the request may also stand among the entities. NaN and infinities, which JSON has no numbers for, are the
strings "NaN", "Infinity" and "-Infinity", there and back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dataplat._features._typed_json import json_type, reader
from dataplat.server._names import check_once, quoted
from dataplat.server._problems import Problem

_AT: Final = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?", re.DOTALL)
_NAMED: Final = re.compile(r"(?P<what>Object (?:missing required|contains unknown) field) `(?P<name>[^`]*)`")
_NO_WORD: Final = re.compile(r"Invalid enum value (?P<given>.*)", re.DOTALL)
_TOO_LONG: Final = re.compile(r"Expected `array` of length (?:at most|<=) (\d+)")


class Head(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a lookup, before it is known whose entities they are."""

    service: str
    entities: msgspec.Raw = msgspec.Raw(b"{}")
    request: msgspec.Raw = msgspec.Raw(b"{}")
    closure: str | None = None
    statuses: bool = False
    ages: bool = False


@dataclass(slots=True)
class Asked:
    """A lookup: columns of values, by name, all of the same length."""

    entities: Mapping[str, Any]
    request: Mapping[str, Any]
    rows: int


_HEAD: Final = msgspec.json.Decoder(Head)


def head_of(body: bytes) -> Head:
    """Return the body of a lookup; its entities are not read yet.

    Raises:
        Problem: It is no JSON, or not of this form.
    """
    try:
        return _HEAD.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem_in(error, "") from error


class Reader:
    """Reads what is asked of one service.

    Args:
        space: `service@version`, for errors.
        entities: the types of its keys, by the name that requests have.
        request: the types of the columns of its request.
        most: entities of one lookup.
    """

    def __init__(self, space: str, entities: Mapping[str, Any], request: Mapping[str, Any], most: int) -> None:
        self.space, self.most = space, most
        self.names, self.request_names = tuple(entities), tuple(request)
        optional = {name: kind for name, kind in request.items() if name not in entities}
        self._entities = _decoder("entities", entities, optional, most)
        self._request = _decoder("request", {}, optional, most)
        self._readers = {name: found for name, kind in {**request, **entities}.items() if (found := reader(kind))}
        self._known = (*entities, *optional)
        self._quoted = quoted((*Head.__struct_fields__, *self._known))
        self.kinds = {**request, **entities}

    def __call__(self, head: Head, body: bytes = b"") -> Asked:
        """Return the columns that a body has.

        Args:
            head: the body, read by `head_of`.
            body: itself, to see that no name stands there twice.

        Raises:
            Problem: A column is missing, unknown, there twice, of another length or type.
        """
        found = self._decoded(self._entities, head.entities, "entities")
        if not self.request_names and len(head.request) <= 2:
            if body.count(b":") > len(found) + (2 if found else 1):  # more than there are members
                check_once(body, self._quoted)
            return Asked(found, {}, self._rows(found, {}))
        check_once(body, self._quoted)
        more = self._decoded(self._request, head.request, "request") if len(head.request) > 2 else {}
        if twice := found.keys() & more.keys():
            raise Problem("invalid", f"{min(twice)} stands in entities and in request", field=f"request.{min(twice)}")
        return self.of_columns(found, more)

    def of_columns(self, found: dict[str, Any], more: Mapping[str, Any]) -> Asked:
        """Return columns, which were found among entities and in the request, as what is asked."""
        entities = {name: found[name] for name in self.names}
        request = {}
        for name in self.request_names:
            if name in entities:
                request[name] = entities[name]
            elif name in found:
                request[name] = found[name]
            elif name in more:
                request[name] = more[name]
            else:
                raise Problem(
                    "invalid", f"{self.space} needs the column {name!r} of the request", field=f"request.{name}"
                )
        return Asked(entities, request, self._rows(entities, request))

    def _rows(self, entities: Mapping[str, Any], request: Mapping[str, Any]) -> int:
        if len(entities) == 1 and not request:
            return len(next(iter(entities.values())))
        rows = -1
        for where, columns in (("entities", entities), ("request", request)):
            for name, values in columns.items():
                if rows < 0:
                    rows, first = len(values), f"{where}.{name}"
                elif len(values) != rows:
                    detail = f"{where}.{name} has {len(values)} values, and {first} {rows}: a value for each entity"
                    raise Problem("invalid", detail, field=f"{where}.{name}")
        return 1 if rows < 0 else rows

    def _decoded(self, decoder: _Decoder, raw: msgspec.Raw, where: str) -> dict[str, Any]:
        try:
            found = decoder(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._told(error, where) from error
        for name, read in self._readers.items():
            if name in found:
                try:
                    found[name] = read(found[name])
                except ValueError as error:
                    raise Problem("invalid", f"{where}.{name}: {error}", field=f"{where}.{name}") from error
        return found

    def _told(self, error: Exception, where: str) -> Problem:
        problem = problem_in(error, where)
        if _TOO_LONG.search(problem.detail):
            detail = f"a lookup is of at most {self.most:,} entities: ask in several"
            return Problem("too-many-entities", detail, field=problem.field, more={"max_entities": self.most})
        if "unknown field" in problem.detail:
            problem.detail += f"; {self.space} has {', '.join(self._known) or 'none'}"
        return problem


_Decoder = Callable[[msgspec.Raw], dict[str, Any]]


def _decoder(what: str, needed: Mapping[str, Any], optional: Mapping[str, Any], most: int) -> _Decoder:
    """Return a function that decodes an object of columns; columns need not be words of Python."""
    from typing import Annotated

    longest = msgspec.Meta(max_length=most)
    fields: list[Any] = []
    names: dict[str, str] = {}
    for at, (name, kind) in enumerate((*needed.items(), *optional.items())):
        names[f"c{at}"] = name
        column = Annotated[list[json_type(kind) | None], longest]  # type: ignore[misc,valid-type]
        fields.append((f"c{at}", column) if name in needed else (f"c{at}", column | msgspec.UnsetType, msgspec.UNSET))
    made = msgspec.defstruct(what, fields, rename=names, forbid_unknown_fields=True, gc=False)
    decode = msgspec.json.Decoder(made).decode
    if not optional:
        every, take = tuple(names.values()), msgspec.structs.astuple
        return lambda raw: dict(zip(every, take(decode(raw)), strict=True))
    pairs = tuple(names.items())

    def decoded(raw: msgspec.Raw) -> dict[str, Any]:
        found = decode(raw)
        return {name: value for slot, name in pairs if (value := getattr(found, slot)) is not msgspec.UNSET}

    return decoded


def problem_in(error: Exception, where: str) -> Problem:
    """Return what msgspec says of a body, with the field as people write it."""
    if not isinstance(error, msgspec.ValidationError):
        return Problem("malformed", f"the body is no JSON: {error}", field=where or None)
    match = _AT.fullmatch(str(error))
    assert match is not None
    path = (match["path"] or "$").removeprefix("$").removeprefix(".")
    inside = where + ("." if where and path and path[0] != "[" else "") + path
    if (named := _NAMED.match(match["what"])) is not None:
        inside += ("." if inside else "") + named["name"]
    what = match["what"]
    if (word := _NO_WORD.fullmatch(what)) is not None:  # the only words that stand for values are those of numbers
        what = f'Expected a number, or "NaN", "Infinity", "-Infinity", got {word["given"]}'
    return Problem("invalid", what + (f" at {inside}" if inside else ""), field=inside or None)
