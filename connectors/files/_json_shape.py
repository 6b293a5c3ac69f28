"""JSON texts to Python values that keep their digits, and what types such values have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from dataplat.connectors.files import _types as t
from dataplat.connectors.files._types import join


class Number(str):
    """A JSON number as it is written; NaN and Infinity, which are no JSON but are met, too."""

    __slots__ = ()


class DuplicateKey(ValueError):
    """An object names a key twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DuplicateKey(f"the key {twice!r} is there twice")
    return found


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=_pairs)


def decode_record(raw: bytes) -> dict[str, Any]:
    """Return the object that `raw` holds; raise ValueError saying what is wrong with it."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start} of the record") from None
    value = _DECODER.decode(text)
    if not isinstance(value, dict):
        raise ValueError(f"{_named(value)}, not an object")  # noqa: TRY004 (the input is wrong, not a call)
    _require_text(value)
    return value


def _require_text(value: Any) -> None:
    """Raise ValueError where a string holds half of a surrogate pair, which is no character."""
    if type(value) is str:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("a string holds a lone surrogate, which is no character") from None
    elif isinstance(value, dict):
        for key, item in value.items():
            _require_text(key)
            _require_text(item)
    elif isinstance(value, list):
        for item in value:
            _require_text(item)


def _named(value: Any) -> str:
    if isinstance(value, Number):
        return "a number"
    names = {list: "an array", dict: "an object", str: "a string", bool: "a truth value", type(None): "null"}
    return names[type(value)]


def number_type(text: str) -> pa.DataType:
    """Return the narrowest type of a JSON number, by how it is written."""
    digits = text.removeprefix("-")
    if digits.isdigit() and text != "-0":
        if -(2**63) <= int(text) < 2**63:
            return t.INT64
        return t.DECIMAL if len(digits) <= t.DECIMAL.precision else t.STRING
    overflows = digits[:1].isdigit() and float(text) in {float("inf"), -float("inf")}
    return t.STRING if overflows else t.FLOAT64


@dataclass(slots=True)
class Shape:
    """What the values of one place in many records have in common."""

    scalar: pa.DataType = t.NULL
    item: Shape | None = None
    fields: dict[str, Shape] | None = None
    first: str = ""
    big: bool = False
    texts: list[str] = field(default_factory=list)

    def add(self, value: Any) -> None:
        """Take one more value into account."""
        if value is None:
            return
        if isinstance(value, dict):
            self.first = self.first or "object"
            self.fields = {} if self.fields is None else self.fields
            for key, inner in value.items():
                self.fields.setdefault(key, Shape()).add(inner)
        elif isinstance(value, list):
            self.first = self.first or "array"
            self.item = self.item or Shape()
            for inner in value:
                self.item.add(inner)
        else:
            self.first = self.first or "scalar"
            self._add_scalar(value)

    def _add_scalar(self, value: Any) -> None:
        if isinstance(value, Number):
            found = number_type(value)
            self.big = self.big or not _exact(value)
        elif isinstance(value, bool):
            found = t.BOOL
        else:
            found = t.STRING
            self.texts.append(value)
        if found is not self.scalar:
            self.scalar = join(self.scalar, found) or t.STRING

    def type(self, *, temporal: bool) -> pa.DataType:
        """Return the type that holds the values; of mixed scalars, arrays and objects that of the first.

        With `temporal`, strings that are all dates or timestamps are such.
        """
        if self.first == "object" and self.fields:
            return pa.struct([(name, inner.type(temporal=False)) for name, inner in self.fields.items()])
        if self.first == "object":
            return t.STRING
        if self.first == "array" and self.item is not None:
            return pa.list_(self.item.type(temporal=False))
        if self.scalar.equals(t.FLOAT64) and self.big:
            return t.STRING
        if temporal and self.scalar.equals(t.STRING) and self.texts:
            found = t.infer(pa.array(self.texts, pa.string()))
            return found if pa.types.is_temporal(found) else t.STRING
        return self.scalar


def _exact(number: str) -> bool:
    digits = number.removeprefix("-")
    return not digits.isdigit() or len(digits) <= 15 or int(float(number)) == int(number)


def schema_of(records: Iterable[dict[str, Any]]) -> pa.Schema:
    """Return the columns of records, in the order in which they are met."""
    columns: dict[str, Shape] = {}
    for record in records:
        for key, value in record.items():
            columns.setdefault(key, Shape()).add(value)
    return pa.schema([(name, shape.type(temporal=True)) for name, shape in columns.items()])
