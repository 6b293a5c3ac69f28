"""The root of a manifest as it is stored."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

import msgspec

from dataplat.lake.part import ColumnStats, Scalar
from dataplat.lake.schema import stored_in

MANIFEST_FORMAT: Final = "dataplat.manifest/1"


Summary: TypeAlias = dict[str, tuple[Scalar | None, Scalar | None, int, int]]
"""(low, high, nulls, NaNs) by key and sort column."""


class SegmentRef(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """A segment, or an index of those below it, and what can be known of it without reading it.

    `level` is 0 for a segment, and for an index one more than that of what it lists. `first` and `last` are the least
    and greatest place put; `rows` the rows written in its parts; `stats` is over its parts. `head` is of a segment whose
    statistics are worth leaving: the bytes that it begins with and that hold everything else, and their SHA-256.
    """

    id: str
    size: int
    level: int = 0
    parts: int = 0
    rows: int = 0
    overlays: int = 0
    dropped: int = 0
    first: int = 0
    last: int = 0
    stats: Summary = {}
    head: tuple[int, str] | None = None

    @cached_property
    def bounds(self) -> dict[str, ColumnStats]:
        """The summary as column statistics."""
        return {name: ColumnStats(nulls, nans, low, high) for name, (low, high, nulls, nans) in self.stats.items()}

    def touches(self, places: Sequence[int]) -> bool:
        """Return whether one of the sorted `places` may be that of a part put here."""
        at = bisect_left(places, self.first)
        return self.parts > 0 and at < len(places) and places[at] <= self.last

    @property
    def weight(self) -> int:
        """What it costs to write, as `segments.Entries.weight`."""
        return 4 * self.parts + self.overlays + self.dropped


def summary(bounds: Mapping[str, ColumnStats]) -> Summary:
    """Return column statistics as a `SegmentRef` stores them; its `bounds` gives them back."""
    return {name: (stats.low, stats.high, stats.nulls, stats.nans) for name, stats in bounds.items()}


class Root(msgspec.Struct, frozen=True, kw_only=True, dict=True, tag_field="format", tag=MANIFEST_FORMAT):
    """Counts, schema and segments of a manifest.

    `rows` are live ones, `deleted` those that no longer count; `bytes` and `parts` count parts; `next` is the
    place of the next part appended. `base` holds large segments that only put parts, `tail` small ones, oldest
    first. `retyped` says below which place a column's statistics speak of a type that it no longer has. `gone` are
    columns that were dropped and may lie in parts. Segments, `retyped` and `gone` go by stored names, `key` and `sort`
    by those of the schema.
    """

    schema: list[dict[str, Any]]
    key: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    rows: int = 0
    deleted: int = 0
    bytes: int = 0
    parts: int = 0
    next: int = 0
    digest: str | None = None
    base: tuple[SegmentRef, ...] = ()
    tail: tuple[SegmentRef, ...] = ()
    retyped: dict[str, int] = {}
    gone: tuple[str, ...] = ()

    @cached_property
    def names(self) -> dict[str, str]:
        """The stored name of each column."""
        return {column["name"]: stored_in(column) for column in self.schema}

    @property
    def renames(self) -> bool:
        """Whether parts may hold columns under other names than the schema has, or some that it has not."""
        return bool(self.gone) or any("stored" in column for column in self.schema)

    @property
    def refs(self) -> tuple[SegmentRef, ...]:
        """All segments and indexes, older ones first."""
        return (*self.base, *self.tail)

    @property
    def decimals(self) -> set[str]:
        """Stored names of columns whose bounds are decimal digits, to be compared as numbers."""
        return {stored_in(column) for column in self.schema if str(column["type"]).startswith("decimal")}
