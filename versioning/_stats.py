"""Column statistics of the parts of a segment, by column and decoded when first looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, Final

import msgspec

from dataplat.lake.part import ColumnStats, Scalar
from dataplat.versioning._json import canonical

_FRAME: Final = 16 * 1024


class _Wire(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=False):
    """One column over all parts; a list that would say nothing is left out."""

    low: list[Any] | None = None
    high: list[Any] | None = None
    nulls: list[int | None] | None = None
    nans: list[int] | None = None


class StatsColumn:
    """Statistics of one column over the parts of a segment; None where a part has none for it."""

    __slots__ = ("rows",)

    def __init__(self, rows: Sequence[ColumnStats | None]) -> None:
        self.rows = rows

    def encode(self) -> bytes:
        """Return the column as JSON."""
        none = ColumnStats(0)
        known = [none if row is None else row for row in self.rows]
        nulls = [None if row is None else row.nulls for row in self.rows]
        nans = [row.nans for row in known]
        return canonical(
            _Wire(
                low=_bounds([row.low for row in known]),
                high=_bounds([row.high for row in known]),
                nulls=nulls if any(count != 0 for count in nulls) else None,
                nans=nans if any(nans) else None,
            )
        )

    @classmethod
    def decode(cls, data: bytes | msgspec.Raw, count: int) -> StatsColumn:
        """Read what `encode` wrote for `count` parts."""
        wire = msgspec.json.decode(data, type=_Wire)
        lows, highs = (_plain(bounds, count) for bounds in (wire.low, wire.high))
        nulls = wire.nulls or [0] * count
        nans = wire.nans or [0] * count
        return cls(
            [
                None if null is None else ColumnStats(null, nan, low, high)
                for null, nan, low, high in zip(nulls, nans, lows, highs, strict=True)
            ]
        )


class PartStats(Mapping[str, ColumnStats]):
    """The statistics of one part, read from its segment when first asked for."""

    __slots__ = ("_column", "_names", "_row")

    def __init__(self, names: Sequence[str], column: Callable[[str], StatsColumn], row: int) -> None:
        self._names = names
        self._column = column
        self._row = row

    def __getitem__(self, name: str) -> ColumnStats:
        if name not in self._names:
            raise KeyError(name)
        found = self._column(name).rows[self._row]
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if self._column(name).rows[self._row] is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


class NamedStats(Mapping[str, ColumnStats]):
    """A part's statistics under the names that a version has for its columns, but for those that are `stale`.

    Args:
        stats: Statistics by stored name.
        names: The stored name of each column of the version.
        stale: Stored names of which the statistics are in the units of another type.
    """

    __slots__ = ("_names", "_stale", "_stats")

    def __init__(self, stats: Mapping[str, ColumnStats], names: Mapping[str, str], stale: Collection[str] = ()) -> None:
        self._stats = stats
        self._names = names
        self._stale = stale

    def __getitem__(self, name: str) -> ColumnStats:
        stored = self._names[name]
        if stored in self._stale:
            raise KeyError(name)
        return self._stats[stored]

    def __iter__(self) -> Iterator[str]:
        return (name for name, stored in self._names.items() if stored not in self._stale and stored in self._stats)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    @property
    def stored(self) -> dict[str, ColumnStats]:
        """The statistics by stored name, as a segment holds them."""
        return {name: stats for name, stats in self._stats.items() if name not in self._stale}


def stored_stats(stats: Mapping[str, ColumnStats]) -> Mapping[str, ColumnStats]:
    """Return statistics by stored name; only those of parts that a manifest gave out go by other names."""
    return stats.stored if isinstance(stats, NamedStats) else stats


def stats_documents(stats: Sequence[Mapping[str, ColumnStats]]) -> tuple[list[bytes], dict[str, int]]:
    """Return JSON documents that hold all columns, and for each column the document that it is in.

    Small columns share a document (so that one part with thirty columns is one frame), large ones have their own.
    """
    names = sorted({name for row in stats for name in row})
    documents: list[dict[str, msgspec.Raw]] = []
    where: dict[str, int] = {}
    room = 0
    for name in names:
        text = StatsColumn([row.get(name) for row in stats]).encode()
        if room < len(text):
            documents.append({})
            room = _FRAME
        documents[-1][name] = msgspec.Raw(text)
        where[name] = len(documents) - 1
        room -= len(text)
    return [canonical(document) for document in documents], where


def _bounds(values: list[Scalar | None]) -> list[Any] | None:
    """JSON has no infinity: such a float is spelled as a list with its name."""
    if all(value is None for value in values):
        return None
    return [[repr(value)] if isinstance(value, float) and not isfinite(value) else value for value in values]


def _plain(values: list[Any] | None, count: int) -> list[Scalar | None]:
    if values is None:
        return [None] * count
    return [float(value[0]) if isinstance(value, list) else value for value in values]


def united(stats: Sequence[ColumnStats], rows: Sequence[int], *, decimal: bool) -> ColumnStats:
    """Return one column's statistics over all of several parts (or groups of them), of which each has so many `rows`.

    The bounds of a `decimal` are text, and are compared as numbers.
    """
    order: Callable[[Any], Any] | None = Decimal if decimal else None
    nulls, nans = sum(one.nulls for one in stats), sum(one.nans for one in stats)
    holding = [one for one, count in zip(stats, rows, strict=True) if one.nulls + one.nans < count]
    if not holding or any(one.low is None or one.high is None for one in holding):
        return ColumnStats(nulls, nans)  # no value at all, or a part whose values have no bound
    lows: list[Any] = [one.low for one in holding]  # strings: Python's order of code points is that of UTF-8 bytes
    highs: list[Any] = [one.high for one in holding]
    return ColumnStats(nulls, nans, min(lows, key=order), max(highs, key=order))
