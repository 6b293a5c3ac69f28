"""Exact statistics of columns: read off the footer that Arrow just wrote, NaN counted beside it.

Arrow computes min and max while it encodes, so reading them back costs nothing; what it leaves out (NaN, bounds
of strings over 4 KiB, everything nested) is filled in or left unbounded here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from dataplat.lake.canonical import family
from dataplat.lake.part import ColumnStats, Part, Scalar

LONGEST_STRING: Final = 256  # bytes of UTF-8; a longer bound is not kept
NANOSECONDS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
DAY: Final = 86_400 * 10**9
_TIMES: Final = frozenset({"date", "time", "timestamp", "timestamp_tz", "duration"})
_MOST: Final = 2**63  # a bound beyond is left out: JSON readers differ on larger integers
_NESTED: Final = frozenset({"list", "map", "struct"})


def leaves(kind: pa.DataType) -> int:
    """Return how many Parquet columns hold a value of this type."""
    match family(kind):
        case "list":
            return leaves(kind.value_type)
        case "map":
            return leaves(kind.key_type) + leaves(kind.item_type)
        case "struct":
            return sum(leaves(kind.field(i).type) for i in range(kind.num_fields))
    return 1


def first_leaves(schema: pa.Schema) -> dict[str, int]:
    """Return the number of the first Parquet column of each field."""
    found, at = {}, 0
    for field in schema:
        found[field.name] = at
        at += leaves(field.type)
    return found


def count_beside(table: pa.Table, columns: Sequence[str]) -> dict[str, ColumnStats]:
    """Return null and NaN counts of the columns (a footer counts no NaN, and nulls of leaves only)."""
    found = {}
    for name in columns:
        column = table.column(name)
        nans = 0
        if pa.types.is_floating(column.type):
            nans = pc.sum(pc.is_nan(column)).as_py() or 0
        found[name] = ColumnStats(len(column) if pa.types.is_null(column.type) else column.null_count, nans)
    return found


def with_bounds(counts: Mapping[str, ColumnStats], schema: pa.Schema, group: object) -> dict[str, ColumnStats]:
    """Return the counts with the bounds that the footer of a row group (`RowGroupMetaData`) states."""
    at = first_leaves(schema)
    found = {}
    for name, stats in counts.items():
        kind = schema.field(name).type
        low, high = (None, None) if family(kind) in _NESTED else bounds(group.column(at[name]), kind)  # type: ignore[attr-defined]
        found[name] = replace(stats, low=low, high=high)
    return found


def bounds(chunk: object, kind: pa.DataType) -> tuple[Scalar | None, Scalar | None]:
    """Return the exact bounds in a column chunk's footer that we wrote, or None twice."""
    stated = chunk.statistics  # type: ignore[attr-defined]
    if stated is None or not stated.has_min_max:
        return None, None
    low, high = _bound(stated, "min", kind), _bound(stated, "max", kind)
    return (None, None) if low is None or high is None else (low, high)


def _bound(stated: object, which: str, kind: pa.DataType) -> Scalar | None:
    match family(kind):
        case "int":
            return int(getattr(stated, which))  # the raw value of an unsigned integer would be signed
        case "float":
            value = getattr(stated, which)
            return float(struct.unpack("<e", value)[0] if isinstance(value, bytes) else value) + 0.0  # −0.0 is 0.0
        case "bool":
            return bool(getattr(stated, which))
        case "string":
            raw = getattr(stated, f"{which}_raw")
            return raw.decode() if len(raw) <= LONGEST_STRING else None
        case "decimal":
            raw = getattr(stated, f"{which}_raw")
            return decimal_text(raw if isinstance(raw, int) else int.from_bytes(raw, "big", signed=True), kind.scale)
        case name if name in _TIMES:
            nanoseconds = int(getattr(stated, f"{which}_raw")) * (DAY if name == "date" else NANOSECONDS[kind.unit])
            return nanoseconds if -_MOST <= nanoseconds < _MOST else None
    return None


def decimal_text(unscaled: int, scale: int) -> str:
    """Return a decimal as text, with all digits of its scale."""
    return str(Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -scale)))


def combined(groups: Iterable[tuple[int, Mapping[str, ColumnStats]]], schema: pa.Schema) -> dict[str, ColumnStats]:
    """Return the statistics over several row groups, each given with its number of rows."""
    listed = list(groups)
    return {
        name: _combine_column([(rows, stats[name]) for rows, stats in listed], schema.field(name).type)
        for name in listed[0][1]
    }


def _combine_column(groups: Sequence[tuple[int, ColumnStats]], kind: pa.DataType) -> ColumnStats:
    nulls, nans = sum(stats.nulls for _, stats in groups), sum(stats.nans for _, stats in groups)
    valued = [stats for rows, stats in groups if stats.nulls + stats.nans < rows]
    if not valued or any(stats.low is None for stats in valued):
        return ColumnStats(nulls, nans)
    order: Any = Decimal if family(kind) == "decimal" else None  # code points order strings as UTF-8 bytes do
    low = min((stats.low for stats in valued if stats.low is not None), key=order)
    high = max((stats.high for stats in valued if stats.high is not None), key=order)
    return ColumnStats(nulls, nans, low, high)


def group_stats(
    part: Part, schema: pa.Schema, group: object, at: Mapping[str, int], columns: Mapping[str, str]
) -> dict[str, ColumnStats]:
    """Return what the footer of one row group of our own part states of `columns`; leave out what it does not.

    `columns` maps each name, by which `part.stats` goes, to the name in the part, by which `schema` and `at` go.
    A footer does not count NaN: where the part holds one, each of its row groups is taken to hold one.
    """
    found = {}
    for name, stored in columns.items():
        if stored not in at or name not in part.stats:
            continue
        kind = schema.field(stored).type
        if family(kind) in _NESTED:
            continue
        chunk = group.column(at[stored])  # type: ignore[attr-defined]
        stated = chunk.statistics
        if stated is None or not stated.has_null_count:
            continue
        low, high = bounds(chunk, kind)
        found[name] = ColumnStats(stated.null_count, min(part.stats[name].nans, 1), low, high)
    return found
