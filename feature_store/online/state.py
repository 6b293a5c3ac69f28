"""What a record says of a key, read in full, with pushed rows on top of it: the general way to answer (PIT 4 to 10, 19).

It takes any record and any pushed rows, and gives values with statuses and ages. What requests usually need, they are given
by `feature_store.online.serve` in fewer steps, and the same.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from dataplat.feature_store.definitions import Feature, Field
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.online.layout import MISSING, SECTIONS, SEVERAL, Layout, Placed
from dataplat.feature_store.online.plan import Base
from dataplat.feature_store.online.raw import raw_default
from dataplat.feature_store.online.windows import BEFORE, CELLS, EVENT, ON, UNTIL, E, Events, K, compiled, empty
from dataplat.feature_store.status import Status

PRESENT, NULL, DEFAULTED = int(Status.PRESENT), int(Status.NULL), int(Status.DEFAULTED)
MISSING_KEY, NOT_YET, EXPIRED = int(Status.MISSING_KEY), int(Status.NOT_YET), int(Status.EXPIRED)


class Cell(NamedTuple):
    """A value, the code of its status, and how old the row is that it is of, in microseconds; None: there is none."""

    value: Any
    status: int
    age: int | None


class Row(NamedTuple):
    """A row that may be the newest: its times, from when until when it can be served, and its values."""

    e: int
    k: int
    gone: int
    cells: Sequence[Any]


class Pushed(msgspec.Struct, array_like=True, frozen=True):
    """A pushed row, as the online store holds it.

    Attributes:
        base: the place of its base in the group.
        e: event time.
        k: from when it can be served.
        event: the digest of its row key; None: it names none.
        cells: the values of the base's newest row.
        values: those of its events.
    """

    base: int
    e: int
    k: int
    event: bytes | None
    cells: list[Any]
    values: list[Any]


PUSHED: Final = msgspec.msgpack.Decoder(Pushed)
_SECTIONS: Final = msgspec.msgpack.Decoder()


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one key, base by base.

    Attributes:
        rows: that may be the newest, in order.
        events: those of windows.
    """

    rows: list[list[Row]]
    events: list[Events]


def state(layout: Layout, record: bytes | None, pushed: Sequence[Pushed] = ()) -> State:
    """Read a record, and put pushed rows on top of it."""
    values: Sequence[Any] = ()
    sections: list[Any] = []
    if record is not None:
        values = layout.fixed.unpack_from(record)
        sections = _SECTIONS.decode(memoryview(record)[values[3] :]) if values[0] & SECTIONS else []
    rows, events = [], []
    for placed in layout.places:
        section = sections[placed.base.place] if placed.base.place < len(sections) else None
        found = rows_of(layout, placed, values, record, section) if record is not None else []
        happened = Events(placed.base, None if section is None else section[1:])
        mine = [each for each in pushed if each.base == placed.base.place]
        if mine:
            for each in mine:
                _add(placed.base, found, each)
            happened = _on_top(placed.base, happened, mine)
        rows.append(found)
        events.append(happened)
    return State(rows, events)


def rows_of(
    layout: Layout, placed: Placed, values: Sequence[Any], record: bytes, section: list[Any] | None
) -> list[Row]:
    """Return the rows of a base that may be the newest."""
    e = values[placed.e]
    if e == MISSING:
        return []
    if e == SEVERAL:
        assert section is not None
        return [Row(*each) for each in section[0]]
    k = values[placed.k] if placed.k is not None else e + placed.base.view.view.delay
    return [Row(e, k, FOREVER, cells_of(layout, placed, values, record))]


def cells_of(layout: Layout, placed: Placed, values: Sequence[Any], record: bytes) -> list[Any]:
    """Return the values of a row in the fixed part; those of no fixed width as bytes."""
    found = list(values[placed.first : placed.stop])
    for place, _ in placed.tails:
        before = _end_before(layout, values, place)
        found[place - placed.first] = record[layout.fixed.size + before : layout.fixed.size + values[place]]
    for word, place in enumerate(placed.nulls):
        bits = values[place]
        while bits:
            least = bits & -bits
            found[64 * word + least.bit_length() - 1] = None
            bits ^= least
    return found


def _end_before(layout: Layout, values: Sequence[Any], place: int) -> int:
    """Return where the values of no fixed width before one end."""
    before = [other for placed in layout.places for other, _ in placed.tails if other < place]
    return values[before[-1]] if before else 0


def _add(base: Base, rows: list[Row], pushed: Pushed) -> None:
    """Put a pushed row among others: the greater (e, k), and then values, is the newer (PIT 6, 9)."""
    cells = list(base.cells.values())
    at = _above(rows, (pushed.e, pushed.k), pushed.cells, _row_times, lambda each: _ranks(cells, each.cells), cells)
    rows.insert(at, Row(pushed.e, pushed.k, FOREVER, pushed.cells))


_row_times: Final = itemgetter(0, 1)
_event_times: Final = itemgetter(E, K)


def _above(
    several: Sequence[Any],
    times: tuple[int, int],
    values: Sequence[Any],
    times_of: Callable[[Any], Any],
    ranks_of: Callable[[Any], Any],
    cells: Sequence[Any],
) -> int:
    """Return the place above all that are not greater in (e, k, values); values are looked at only where times tie."""
    low = bisect_left(several, times, key=times_of)
    high = bisect_right(several, times, low, key=times_of)
    return low if low == high else bisect_right(several, _ranks(cells, values), low, high, key=ranks_of)


def _ranks(cells: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
    """Return what orders rows that tie: nulls first, NaN last."""
    return tuple(
        rank(value if value is None or cell.char else cell.load(value))
        for cell, value in zip(cells, values, strict=True)
    )


def rank(value: Any) -> tuple[Any, ...]:
    """Return what orders values as PIT 6 does: nulls first, NaN last, -0.0 before 0.0."""
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (2,) if math.isnan(value) else (1, value, math.copysign(1.0, value))
    if isinstance(value, list | tuple):
        return (1, tuple(map(rank, value)))
    if isinstance(value, dict):
        return (1, tuple((name, rank(each)) for name, each in value.items()))
    return (1, value)


def _on_top(base: Base, events: Events, pushed: Sequence[Pushed]) -> Events:
    """Return events with pushed ones among them, which may replace others (PIT 7, 9)."""
    if not base.windows:
        return events
    found = _Loosened(base, events)
    for each in pushed:
        found.add(each)
    return found.events()


class _Loosened:
    """Events as lists, so that more can be put among them and some be taken out."""

    def __init__(self, base: Base, events: Events) -> None:
        self.base = base
        self.tiles = events.tiles
        self.loose = [list(each) for each in events.loose]
        self.settled = range(len(events.e))
        self.before = events
        self.delay = base.view.view.delay
        self.cells = list(base.events.values())
        if base.corrected:  # any may be replaced: tiles are left aside, since all of their events are here, one by one
            self.tiles = [None] * len(events.tiles)
            self.loose = self._all()

    def _all(self) -> list[list[Any]]:
        """Return all events as loose ones, in order."""
        events = self.before
        found: list[list[Any]] = []
        loose = iter(self.loose)
        waiting = next(loose, None)
        for at, e in enumerate(events.e):
            while waiting is not None and waiting[BEFORE] <= at:
                found.append(waiting)
                waiting = next(loose, None)
            k = events.known[at] if events.known is not None else e + self.delay
            named = None if events.named is None else events.named[16 * at : 16 * at + 16]
            found.append([e, k, max(e, k), FOREVER, named, 0, [column[at] for column in events.columns]])
        if waiting is not None:
            found += [waiting, *loose]
        for each in found:
            each[BEFORE] = 0
        return found

    def add(self, pushed: Pushed) -> None:
        """Put a pushed event among the others, and end those that it replaces, or itself."""
        made = [pushed.e, pushed.k, max(pushed.e, pushed.k), FOREVER, pushed.event, 0, pushed.values]
        if pushed.event is not None:
            for each in self.loose:
                if each[EVENT] != pushed.event:
                    continue
                if self._not_newer(each, made):
                    each[UNTIL] = min(each[UNTIL], made[K])
                else:
                    made[UNTIL] = min(made[UNTIL], each[K])
        if not self.base.corrected:
            made[BEFORE] = self._place(made)
        at = _above(self.loose, _event_times(made), pushed.values, _event_times, self._ranks, self.cells)
        self.loose.insert(at, made)

    def _ranks(self, each: list[Any]) -> Any:
        return _ranks(self.cells, each[CELLS])

    def _not_newer(self, each: list[Any], made: list[Any]) -> bool:
        """Say whether one version of an event is not newer than another: by (k, e), then by values."""
        one, other = (each[K], each[E]), (made[K], made[E])
        return one < other if one != other else bool(self._ranks(each) <= self._ranks(made))

    def _place(self, made: list[Any]) -> int:
        """Return how many settled events come before one."""
        events = self.before
        low, high = bisect_left(events.e, made[E]), bisect_right(events.e, made[E])

        def order(at: int) -> Any:
            k = events.known[at] if events.known is not None else events.e[at] + self.delay
            return k, _ranks(self.cells, [column[at] for column in events.columns])

        wanted = made[K], self._ranks(made)
        while low < high and order(low) <= wanted:
            low += 1
        return low

    def events(self) -> Events:
        """Return them."""
        found = Events(self.base, None)
        found.tiles, found.loose = self.tiles, [each for each in self.loose if each[ON] < each[UNTIL]]
        if self.base.corrected:
            found.columns = [[] for _ in self.cells]
            return found
        found.e, found.columns = self.before.e, self.before.columns
        return found


Answered: TypeAlias = "Callable[[list[Row], Events, int], list[Cell]]"


def answering(base: Base, features: Sequence[Feature]) -> Answered:
    """Return a function of what is known of a key, and a time, that gives the cells of features."""
    functions = [_field(base, each) if isinstance(each, Field) else _window(base, each) for each in features]
    ttl = base.view.view.ttl

    def answered(rows: list[Row], events: Events, t: int) -> list[Cell]:
        known = [row for row in rows if row.k <= t < row.gone]
        past = [row for row in known if row.e <= t]
        if past:
            status = EXPIRED if ttl is not None and t - past[-1].e > ttl else PRESENT
        else:
            status = NOT_YET if known else MISSING_KEY
        return [function(past, events, status, t) for function in functions]

    return answered


def _field(base: Base, feature: Field) -> Callable[[list[Row], Events, int, int], Cell]:
    at = list(base.cells).index(feature.column)
    cell = base.cells[feature.column]
    load: Callable[[Any], Any] = (lambda value: value) if cell.char else cell.load
    ttl, default, filling = base.view.view.ttl, raw_default(base, feature), feature.fill == "last_non_null"

    def found(past: list[Row], _: Events, status: int, t: int) -> Cell:
        if not past:
            return Cell(None, status, None) if default is None else Cell(default, DEFAULTED, None)
        served = past[-1]
        if filling:
            served = next((row for row in reversed(past) if row.cells[at] is not None), served)
            status = EXPIRED if ttl is not None and t - served.e > ttl else PRESENT
        value = None if status == EXPIRED else served.cells[at]
        if value is not None:
            return Cell(load(value), PRESENT, t - served.e)
        if default is not None:
            return Cell(default, DEFAULTED, t - served.e)
        return Cell(None, status if status == EXPIRED else NULL, t - served.e)

    return found


def _window(base: Base, feature: Any) -> Callable[[list[Row], Events, int, int], Cell]:
    compute = compiled(base, feature)
    nothing = empty(feature)

    def found(past: list[Row], events: Events, status: int, t: int) -> Cell:
        age = t - past[-1].e if past else None
        if status != PRESENT:
            return Cell(nothing, status, age)
        value = compute(events, t)
        return Cell(value, NULL if value is None else PRESENT, age)

    return found
