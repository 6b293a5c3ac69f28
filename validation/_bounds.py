"""Which rows may have a value in common, as far as exact bounds tell."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from dataplat.lake.canonical import family

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.validation._digests import Piece

Interval: TypeAlias = "tuple[Any, Any] | None"
"""Least and greatest value of rows, both included; None: they may have any."""


def overlapping(
    pieces: Sequence[Piece], column: str | None, schema: pa.Schema, new: Collection[int]
) -> list[list[Piece]]:
    """Return the pieces of `new` blocks, and those that may share a value with them, as groups that share none.

    `column` None: the values are those of several columns, of which bounds say nothing.
    """
    bounds = intervals(pieces, column, schema)
    fresh = [number for number, piece in enumerate(pieces) if piece.number in new]
    chosen = fresh
    if len(fresh) < len(pieces):
        wanted = _united([bounds[number] for number in fresh])
        chosen = [n for n, piece in enumerate(pieces) if piece.number in new or _meets(bounds[n], wanted)]
    if any(bounds[number] is None for number in chosen):
        return [[pieces[number] for number in chosen]]
    groups: list[list[int]] = []
    top: Any = None
    for number in sorted(chosen, key=lambda each: bounds[each][0]):  # type: ignore[index]
        low, high = bounds[number]  # type: ignore[misc]
        if groups and low <= top:
            groups[-1].append(number)
            top = max(top, high)
        else:
            groups.append([number])
            top = high
    return [[pieces[number] for number in sorted(group)] for group in groups]


def intervals(pieces: Sequence[Piece], column: str | None, schema: pa.Schema) -> list[Interval]:
    """Return the exact bounds of the pieces; of one with a null or NaN there are none, unless it is the only one."""
    if column is None:
        return [None] * len(pieces)
    known = [piece.stats.get(column) for piece in pieces]
    lone = all(known) and sum(stats.nulls + stats.nans for stats in known if stats) <= 1
    convert: Any = Decimal if family(schema.field(column).type) == "decimal" else lambda bound: bound
    return [
        None
        if stats is None or stats.low is None or stats.high is None or (stats.nulls + stats.nans and not lone)
        else (convert(stats.low), convert(stats.high))
        for stats in known
    ]


def _united(bounds: Sequence[Interval]) -> list[tuple[Any, Any]] | None:
    """Return intervals as disjoint ones, ascending; None: everything."""
    found: list[tuple[Any, Any]] = []
    if any(interval is None for interval in bounds):
        return None
    for low, high in sorted(interval for interval in bounds if interval is not None):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def _meets(interval: Interval, wanted: list[tuple[Any, Any]] | None) -> bool:
    if wanted is None or interval is None:
        return wanted is None or bool(wanted)
    at = bisect_right(wanted, interval[1], key=lambda each: each[0])
    return at > 0 and wanted[at - 1][1] >= interval[0]
