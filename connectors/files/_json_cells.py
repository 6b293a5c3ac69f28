"""Decoded JSON values to one column: level by level, so that what is nested is exact, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dataplat.connectors.files import _cells
from dataplat.connectors.files import _types as t
from dataplat.connectors.files._json_shape import Number
from dataplat.connectors.files._rejects import shown

Misfits = dict[int, str]
"""What is wrong with a value, by its index."""
Made = tuple[pa.Array, Misfits]


def column(values: list[Any], kind: pa.DataType, *, strict: bool) -> Made:
    """Return values as `kind`, null where they do not fit, and what is wrong with those.

    `strict` holds an inferred type to the texts that inference takes for it. A type that was asked for takes what our
    own export writes: decimals in quotes (and as numbers), times, durations (ISO 8601), maps with text keys as objects.
    """
    for is_kind, make in _NESTED:
        if is_kind(kind):
            return make(values, kind, strict)
    return _scalars(values, kind, strict=strict)


def refused(kind: pa.DataType) -> str | None:
    """Return the type, at any depth, that JSON has no values for, or None."""
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return str(kind)
    if pa.types.is_map(kind):
        return refused(kind.item_type) if pa.types.is_string(kind.key_type) else str(kind)
    inner = (refused(kind.field(i).type) for i in range(kind.num_fields))
    return next((found for found in inner if found is not None), None)


def _scalars(values: list[Any], kind: pa.DataType, *, strict: bool) -> Made:
    misfits: Misfits = {}
    texts: list[str | None] = []
    takes = _Takes.of(kind, strict=strict)
    for i, value in enumerate(values):
        text = None if value is None else takes.text(value)
        if text is None and value is not None:
            misfits[i] = takes.complaint(value, kind)
        texts.append(text)
    strings = pa.array(texts, pa.string())
    cells, failed = _cells.parse(strings, kind, strict=strict)
    misfits |= {i: f"{shown(texts[i])} is not {kind}" for i in np.flatnonzero(failed).tolist()}
    if strict and kind.equals(t.FLOAT64) and not t.floats_hold(strings):
        misfits |= {i: f"{text} is no float64 exactly" for i, text in enumerate(texts) if text and _inexact(text)}
    return cells, misfits


def _inexact(text: str) -> bool:
    return not t.floats_hold(pa.array([text]))


@dataclass(frozen=True, slots=True)
class _Takes:
    """Which JSON values a column of scalars takes."""

    number: bool
    text_in_quotes: bool
    boolean: bool
    empty_object: bool
    nothing: bool

    @classmethod
    def of(cls, kind: pa.DataType, *, strict: bool) -> _Takes:
        string, decimal, boolean = pa.types.is_string(kind), pa.types.is_decimal(kind), pa.types.is_boolean(kind)
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or decimal
        quoted = (decimal and not strict) or not (number or boolean)
        return cls(number or string, quoted, boolean or string, string, refused(kind) is not None)

    def text(self, value: Any) -> str | None:
        """Return a value as the text that the column is parsed from, or None for one of another sort."""
        if self.nothing:
            return None
        if isinstance(value, Number):
            return value if self.number else None
        if isinstance(value, str):
            return value if self.text_in_quotes else None
        if isinstance(value, bool):
            return ("true" if value else "false") if self.boolean else None
        return "{}" if value == {} and self.empty_object else None

    def complaint(self, value: Any, kind: pa.DataType) -> str:
        """Return what is wrong with a value that is not taken."""
        if self.nothing:
            return f"{kind} cannot be read from JSON"
        if isinstance(value, dict | list):
            return f"{'an object' if isinstance(value, dict) else 'an array'} is not {kind}"
        return f"{shown(str(value))} is not {kind}"


def _struct(values: list[Any], kind: pa.DataType, strict: bool) -> Made:  # noqa: FBT001 (one of several makers)
    known = {field.name for field in kind}
    misfits: Misfits = {}
    for i, value in enumerate(values):
        if value is None:
            continue
        if not isinstance(value, dict):
            misfits[i] = f"{shown(str(value))} is not an object"
        elif value.keys() - known:
            misfits[i] = f"field {min(value.keys() - known)!r} is not in {kind}"
    fit = [None if i in misfits else value for i, value in enumerate(values)]
    children = []
    for field in kind:
        cells, wrong = column(
            [None if value is None else value.get(field.name) for value in fit], field.type, strict=strict
        )
        misfits = wrong | misfits
        children.append(cells)
    absent = pa.array([value is None for value in fit], pa.bool_())
    if not children:
        return pa.array(fit, kind), misfits
    return pa.StructArray.from_arrays(children, fields=list(kind), mask=absent), misfits


def _list(values: list[Any], kind: pa.DataType, strict: bool) -> Made:  # noqa: FBT001 (one of several makers)
    size = kind.list_size if pa.types.is_fixed_size_list(kind) else None
    misfits: Misfits = {}
    for i, value in enumerate(values):
        if value is not None and not isinstance(value, list):
            misfits[i] = f"{shown(str(value))} is not an array"
        elif value is not None and size is not None and len(value) != size:
            misfits[i] = f"an array of {len(value)}, not of {size}"
    fit = [None if i in misfits else value for i, value in enumerate(values)]
    filled = fit if size is None else [[None] * size if value is None else value for value in fit]
    items, misfits = _inner(filled, kind.value_type, misfits, strict=strict)
    absent = pa.array([value is None for value in fit], pa.bool_())
    if size is not None:
        return pa.FixedSizeListArray.from_arrays(items, type=kind, mask=absent), misfits
    make = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    offsets = pa.array(_offsets(fit), pa.int64() if pa.types.is_large_list(kind) else pa.int32())
    return make.from_arrays(offsets, items, type=kind, mask=absent), misfits


def _map(values: list[Any], kind: pa.DataType, strict: bool) -> Made:  # noqa: FBT001 (one of several makers)
    misfits = {
        i: f"{shown(str(value))} is not an object"
        for i, value in enumerate(values)
        if value is not None and not isinstance(value, dict)
    }
    fit = [None if i in misfits else value for i, value in enumerate(values)]
    keys, misfits = _inner([list(value or ()) for value in fit], kind.key_type, misfits, strict=strict)
    items, misfits = _inner([list((value or {}).values()) for value in fit], kind.item_type, misfits, strict=strict)
    absent = pa.array([value is None for value in fit], pa.bool_())
    offsets = pa.array(_offsets(fit), pa.int32())
    return pa.MapArray.from_arrays(offsets, keys, items, type=kind, mask=absent), misfits


def _inner(values: list[Any], kind: pa.DataType, misfits: Misfits, *, strict: bool) -> Made:
    """Return the items of all lists as one column; an item that does not fit makes its list a misfit."""
    owners = [i for i, value in enumerate(values) for _ in value or ()]
    cells, wrong = column([item for value in values for item in value or ()], kind, strict=strict)
    return cells, {owners[j]: said for j, said in wrong.items()} | misfits


def _offsets(values: list[Any]) -> list[int]:
    offsets = [0]
    for value in values:
        offsets.append(offsets[-1] + len(value or ()))
    return offsets


_NESTED: list[tuple[Callable[[pa.DataType], bool], Callable[[list[Any], pa.DataType, bool], Made]]] = [
    (pa.types.is_struct, _struct),
    (pa.types.is_list, _list),
    (pa.types.is_large_list, _list),
    (pa.types.is_fixed_size_list, _list),
    (pa.types.is_map, _map),
]
