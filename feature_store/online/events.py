"""What records keep of the events of windows: all that can still matter at the record's time or later, and no more.

A life is settled if it could be served by the record's time and has no end: nothing that is known will change it. Kept are

    settled    one by one, for exact windows those that a window still reaches, for first, last and last n those that count;
               where rows may be corrected all, since a push may replace any
    loose      lives that begin later, or end: each with its times, and how many settled ones come before it
    tiles      of settled lives, for windows of tiles and lifetimes (`feature_store.online.tilings`)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dataplat.feature_store.kernel.lives import FOREVER, Lives
from dataplat.feature_store.online.plan import ORDERED, TILED, Base
from dataplat.feature_store.online.tilings import Settled, packed, sliced
from dataplat.feature_store.windows import First, LastN, Window

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.feature_store.kernel.facts import Facts

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


def event_sections(base: Base, facts: Facts, lived: Lives, at: int) -> list[list[Any] | None]:
    """Return for each key [settled, loose, tiles], as `feature_store.online.state` reads them; None: nothing is kept.

    Args:
        base: whose windows they are for.
        facts: the rows of some keys.
        lived: their lives, key by key; a key's number is its place in `lived.starts`.
        at: the record's time.
    """
    keys = len(lived.starts) - 1
    key = np.repeat(np.arange(keys), np.diff(lived.starts))
    until = np.full(len(lived), FOREVER) if lived.until is None else lived.until
    done = (lived.on <= at) & (until == FOREVER)
    columns = {name: _array(facts.columns.column(name)) for name in base.events}
    part = _Part(base, facts, lived, key, until, columns)
    kept = np.zeros(len(lived), bool)
    some = np.flatnonzero(done)
    kept[some] = _reached(base, key[some], lived.e[some], keys, at)
    loose = ~done & (until > np.maximum(lived.on, at)) & _open(base.windows, lived, at)
    settled = part.settled(kept, keys)
    others = part.loose(np.flatnonzero(loose), kept, keys)
    rows = Settled(keys, key[some], lived.e[some], lived.row[some], columns)
    tiles = [packed(tiling, rows, dict(base.events), at) for tiling in base.tilings]
    found: list[list[Any] | None] = []
    for number in range(keys):
        section: list[Any] = [settled[number], others[number], [each[number] for each in tiles]]
        found.append(section if section[0] or section[1] or any(section[2]) else None)
    return found


def _array(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def leaves(e: Ints, window: Window) -> Ints:
    """Return when events leave a window, other ends aside: from then on they are not in it."""
    if window.span is None:
        return np.full(len(e), FOREVER)
    return (e if window.hop is None else -(-e // window.hop) * window.hop) + window.span


def _open(windows: Sequence[Window], lived: Lives, at: int) -> Bools:
    """Return which lives a window may hold at the record's time or later."""
    found = np.zeros(len(lived), bool)
    for each in windows:
        found |= leaves(lived.e, each) > np.maximum(at, lived.on)
    return found


def _reached(base: Base, key: Ints, e: Ints, keys: int, at: int) -> Bools:
    """Return which settled events are kept one by one."""
    found = np.zeros(len(e), bool)
    ends = np.searchsorted(key, np.arange(keys), "right")
    starts = np.searchsorted(key, np.arange(keys))
    place = np.arange(len(e))
    newer = ends[key] - 1 - place
    for each in base.windows:
        inside = leaves(e, each) > at
        if base.corrected:
            found |= inside
        elif isinstance(each, First) and each.span is None:
            found |= place == starts[key]
        elif isinstance(each, ORDERED) and not isinstance(each, First):
            found |= inside & (newer < (each.n if isinstance(each, LastN) else 1))
        elif not _tiled(each):
            found |= inside
    return found


def _tiled(window: Window) -> bool:
    return isinstance(window, TILED) and (window.span is None or window.hop is not None)


@dataclass(frozen=True, slots=True)
class _Part:
    """The lives of some keys, and what is written of them."""

    base: Base
    facts: Facts
    lived: Lives
    key: Ints
    until: Ints
    columns: dict[str, pa.Array]

    def settled(self, kept: Bools, keys: int) -> list[list[Any] | None]:
        """Return [count, event times, known times or None, events or None, values by column] of each key."""
        some = np.flatnonzero(kept)
        row = self.lived.row[some]
        cuts = np.searchsorted(self.key[some], np.arange(keys + 1))
        counts = np.diff(cuts).tolist()
        times = sliced(self.lived.e[some].astype("<i8"), cuts)
        nothing: list[Any] = [None] * keys
        known = sliced(self.facts.k[row].astype("<i8"), cuts) if self.base.known else nothing
        events = nothing if self.facts.event is None else sliced(np.ascontiguousarray(self.facts.event[row]), cuts)
        values = [self._values(name, row, cuts) for name in self.base.events]
        return [
            [count, times[at], known[at], events[at], [each[at] for each in values]] if count else None
            for at, count in enumerate(counts)
        ]

    def _values(self, name: str, row: Ints, cuts: Ints) -> list[Any]:
        """Return a column's values of each key: as bytes where they are of fixed width and none is null, else a list."""
        import pyarrow as pa

        cell = self.base.events[name]
        column = self.columns[name].take(pa.array(row))
        if cell.char:
            nulls = np.concatenate(([0], np.cumsum(np.asarray(column.is_null()))))[cuts]
            data = sliced(cell.fixed(column), cuts)
            if not column.null_count:
                return list(data)
            values = cell.values(column)
            return [
                piece if none == before else values[low:high]
                for piece, before, none, low, high in zip(data, nulls, nulls[1:], cuts, cuts[1:], strict=False)
            ]
        values = cell.values(column)
        return [values[low:high] for low, high in pairwise(cuts)]

    def loose(self, some: Ints, kept: Bools, keys: int) -> list[list[Any]]:
        """Return [e, k, on, until, event or None, how many settled ones are before it, values] of each life of each key."""
        import pyarrow as pa

        found: list[list[Any]] = [[] for _ in range(keys)]
        if not len(some):
            return found
        row = self.lived.row[some]
        before = np.concatenate(([0], np.cumsum(kept)))
        place = before[some] - before[self.lived.starts[self.key[some]]]
        columns = [cell.values(self.columns[name].take(pa.array(row))) for name, cell in self.base.events.items()]
        values = zip(*columns, strict=True) if columns else iter([()] * len(some))
        event = self.facts.event
        events = [None] * len(some) if event is None else [each.tobytes() for each in event[row]]
        rows = (self.lived.e[some], self.facts.k[row], self.lived.on[some], self.until[some], place)
        for key, e, k, on, until, at, named, cells in zip(
            self.key[some].tolist(), *(each.tolist() for each in rows), events, values, strict=True
        ):
            found[key].append([e, k, on, until, named, at, list(cells)])
        return found
