"""Which events each question is about: found by two searches, in the order in which they come and in which they go.

Where rows become visible in the order of their event times (all data without a known time, and most with one), what is
alive at `t` is a range of rows. Where they do not, it is those that came, `come[first:came]`, without those that went,
`go[first:gone]`: sums are differences of prefixes either way, and order statistics count in both (`feature_store.kernel.ranks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from dataplat.feature_store.kernel.lives import FOREVER, Lives

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

ROWS: Final = 1 << 18
"""Lives that are worked on at once, if no key has more of them."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The lives of some keys, and what is asked of these keys.

    Attributes:
        row: which row of the columns a life is of.
        key: its key's number, from 0.
        starts: where each key's lives begin.
        e: event times.
        on: from when lives count.
        until: until when; None: forever.
        asked: places of the questions among all.
        of: the key's number of each question; never falls.
        t: its time; never falls within a key.
    """

    row: Ints
    key: Ints
    starts: Ints
    e: Ints
    on: Ints
    until: Ints | None
    asked: Ints
    of: Ints
    t: Ints

    def off(self, length: int | None, hop: int | None) -> Ints:
        """Return when each life leaves the window: not before it came."""
        if length is None:
            return np.full(len(self.e), FOREVER) if self.until is None else self.until
        e = self.e if hop is None else -(-self.e // hop) * hop  # floor_d(t - w) < e while t - w < e, rounded up
        off = e + length
        return np.maximum(off if self.until is None else np.minimum(off, self.until), self.on)


@dataclass(frozen=True, slots=True)
class Span:
    """The lives that each question is about.

    Attributes:
        come: lives in the order in which they come.
        came: how many came by the time of a question; those of earlier keys are counted, too.
        go: lives in the order in which they go; None: that of `come`, so a question is about `come[gone:came]`.
        gone: how many went.
        first: where the lives of the key begin in `come`, and in `go`.
    """

    come: Ints
    came: Ints
    go: Ints | None
    gone: Ints
    first: Ints

    @property
    def count(self) -> Ints:
        """How many lives each question is about."""
        return self.came - self.gone

    def take(self, asked: Ints) -> Span:
        """Return it for some of the questions."""
        return Span(self.come, self.came[asked], self.go, self.gone[asked], self.first[asked])

    def only(self, wanted: NDArray[np.bool_] | None) -> Span:
        """Return it with some of the lives; None: all."""
        if wanted is None:
            return self
        come, before = _some(self.come, wanted)
        found = replace(self, come=come, came=before[self.came], first=before[self.first])
        if self.go is None:
            return replace(found, gone=before[self.gone])
        go, went = _some(self.go, wanted)
        return replace(found, go=go, gone=went[self.gone])


def _some(order: Ints, wanted: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    kept = wanted[order]
    return order[kept], np.concatenate(([0], np.cumsum(kept)))


def chunks(lives: Lives, group: Ints, t: Ints) -> Iterator[Chunk]:
    """Yield the questions (number of the key, or -1, and time) with the lives of their keys, key by key.

    Questions about no key are in none of the chunks; nor are keys that nobody asks for.
    """
    order = np.lexsort((t, group))
    order = order[np.searchsorted(group[order], 0) :]
    wanted = group[order]
    places = np.flatnonzero(np.diff(wanted, prepend=-1))
    keys = wanted[places]
    rows = np.cumsum(lives.starts[keys + 1] - lives.starts[keys])
    low = 0
    while low < len(keys):
        before = int(rows[low - 1]) if low else 0
        high = max(int(np.searchsorted(rows, before + ROWS, "right")), low + 1)
        some = keys[low:high]
        asked = order[places[low] : places[high] if high < len(keys) else None]
        sizes = lives.starts[some + 1] - lives.starts[some]
        starts = np.cumsum(sizes) - sizes
        number = np.repeat(np.arange(len(some)), sizes)
        taken: slice | Ints = slice(int(lives.starts[some[0]]), int(lives.starts[some[-1] + 1]))
        if int(some[-1]) - int(some[0]) >= len(some):
            taken = np.arange(len(number)) + (lives.starts[some] - starts)[number]
        until = None if lives.until is None else lives.until[taken]
        of = np.searchsorted(some, group[asked])
        yield Chunk(lives.row[taken], number, starts, lives.e[taken], lives.on[taken], until, asked, of, t[asked])
        low = high


@dataclass(frozen=True, slots=True)
class Timeline:
    """Times of keys in order, each (key, time) as one int64, to be searched.

    Attributes:
        places: what is searched.
        low: the first time.
        high: the last one.
        grid: all different times, where `low` and `high` are places among them, since times reach too far; else None.
    """

    places: Ints
    low: int
    high: int
    grid: Ints | None = None

    @classmethod
    def of(cls, key: Ints, times: Ints, keys: int) -> Timeline:
        """Return a timeline; keys (numbers below `keys`) never fall, nor do times within one."""
        if not len(times):
            return cls(times, 0, 0)
        low, high = int(times.min()), int(times.max())
        grid = None
        if not _fits(low, high, keys):
            grid = np.unique(times)
            times, low, high = np.searchsorted(grid, times), 0, len(grid) - 1
        return cls(key * (high - low + 2) + (times - low), low, high, grid)

    def upto(self, of: Ints, t: Ints) -> Ints:
        """Return how many times are of an earlier key, or of the same and not above `t`, for each key and `t`."""
        if self.grid is not None:
            t = np.searchsorted(self.grid, t, "right") - 1
        width = self.high - self.low + 2  # a place below `low`, for questions before all times
        return np.searchsorted(self.places, of * width + (np.clip(t, self.low - 1, self.high) - self.low), "right")


def arranged(key: Ints, times: Ints) -> Ints:
    """Return the order of (key, time), rows that agree in both as they were; fast where they nearly are in order."""
    if not len(times):
        return np.zeros(0, np.int64)
    finite = times < FOREVER
    low = int(times.min())
    high = min(int(times.max(initial=low, where=finite)) + 1, FOREVER)
    if not _fits(low, high, int(key.max()) + 1):
        return np.lexsort((times, key))
    return np.argsort(key * (high - low + 2) + (np.minimum(times, high) - low), kind="stable")


def _fits(low: int, high: int, keys: int) -> bool:
    """Say whether (key, time) can be one int64."""
    return (high - low + 2) * keys < 1 << 62


@dataclass(frozen=True, slots=True)
class Coming:
    """What of a chunk does not depend on the window.

    Attributes:
        ordered: whether lives come in the order of the rows, and only a window ends them.
        order: of the lives, as they come.
        came: how many came by the time of each question.
        events: event times, where lives are ordered.
    """

    ordered: bool
    order: Ints
    came: Ints
    events: Timeline


def coming(chunk: Chunk) -> Coming:
    """Return in which order the lives of a chunk come."""
    ordered = chunk.until is None and bool(((np.diff(chunk.on) >= 0) | (np.diff(chunk.key) > 0)).all())
    order = np.arange(len(chunk.row)) if ordered else arranged(chunk.key, chunk.on)
    times = Timeline.of(chunk.key, chunk.on if ordered else chunk.on[order], len(chunk.starts))
    events = times
    if ordered and not np.array_equal(chunk.on, chunk.e):
        events = Timeline.of(chunk.key, chunk.e, len(chunk.starts))
    return Coming(ordered, order, times.upto(chunk.of, chunk.t), events)


def span(chunk: Chunk, come: Coming, length: int | None, hop: int | None) -> Span:
    """Return which lives are in the window of each question: (t - w, t], or (floor_d(t - w), t] with hops of d (PIT 22)."""
    first = chunk.starts[chunk.of]
    if not come.ordered:
        off = chunk.off(length, hop)
        go = arranged(chunk.key, off)
        gone = Timeline.of(chunk.key, off[go], len(chunk.starts)).upto(chunk.of, chunk.t)
        return Span(come.order, come.came, go, gone, first)
    if length is None:
        return Span(come.order, come.came, None, first, first)
    begins = chunk.t - length
    begins = begins if hop is None else begins // hop * hop
    gone = np.minimum(come.events.upto(chunk.of, begins), come.came)  # late by more than w: gone before it came
    return Span(come.order, come.came, None, gone, first)
