"""When rows lie: counts by slots of a calendar, whose width depends on nothing but the times.

The width is the least of a ladder, each a multiple of the one before, at which at most 2,048 slots hold rows. Slots that
hold rows at one width only grow in number with more rows, so the width of a union is never less than that of a part, and
counts at the wider one are sums of those at the narrower: a merge gives what counting all at once gives.
A gap between rows is known to within the width of a slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from dataplat.validation.profile._runs import Caching, starts_of, summed

Array: TypeAlias = np.ndarray[Any, Any]

MOST: Final = 2_048
_CLOSE: Final = 256  # slots for each that may hold rows: so few empty ones that they can be counted, too
_SECOND: Final = 1_000_000
_DAYS: Final = tuple(4**power for power in range(14))
_CLOCK: Final = (1, 10, 100, 1_000, 10_000, 100_000, *(_SECOND * s for s in (1, 5, 15, 60, 300, 900, 3_600, 21_600)))
LADDERS: Final = {"us": (*_CLOCK, *(86_400 * _SECOND * days for days in _DAYS)), "d": _DAYS}


@dataclass(frozen=True, eq=False, slots=True)
class Times(Caching):
    """Rows by slot.

    Args:
        unit: what times are counted in, `us` (microseconds) or `d` (days), since 1970-01-01.
        rung: which width of the ladder slots have.
        slots: int64, ascending: slot `i` is the times from `i * width` to before `(i + 1) * width`.
        counts: rows in each, int64.
    """

    unit: str
    rung: int
    slots: Array = field(repr=False)
    counts: Array = field(repr=False)

    @classmethod
    def of(cls, ordered: Array, counts: Array, unit: str) -> Times:
        """Count distinct times, in order, with the rows of each."""
        few = ordered[:: len(ordered) // (4 * MOST) + 1]  # what is too narrow for few is too narrow for all
        rung = _narrow(cls(unit, 0, few, few)).rung
        return _narrow(_summed(unit, rung, _widened(ordered, LADDERS[unit][rung]), counts))

    @classmethod
    def merge(cls, several: Sequence[Times]) -> Times:
        """Return the rows of all by slot."""
        if len(several) == 1:
            return several[0]
        unit = several[0].unit
        ladder, rungs = LADDERS[unit], sorted({times.rung for times in several})
        slots, counts = {}, []
        for rung in rungs:
            alike = [times for times in several if times.rung == rung]
            slots[rung] = np.concatenate([times.slots for times in alike])
            counts += [times.counts for times in alike]
        wide, total = rungs[-1], sum(map(len, slots.values()))
        few = [_widened(some[:: total // (4 * MOST) + 1], ladder[wide] // ladder[rung]) for rung, some in slots.items()]
        sample = np.sort(np.concatenate(few))  # what is too narrow for few is too narrow for all
        wide = _narrow(_summed(unit, wide, sample, sample)).rung
        whole = np.concatenate([_widened(some, ladder[wide] // ladder[rung]) for rung, some in slots.items()])
        return _narrow(_counted(unit, wide, whole, np.concatenate(counts)))

    @property
    def width(self) -> int:
        """The width of a slot, in units."""
        width: int = LADDERS[self.unit][self.rung]
        return width

    def gaps(self, number: int = 10) -> list[tuple[int, int]]:
        """Return the longest stretches without rows as (start, stop) in units, the longest first.

        They are whole empty slots: the true gap is longer, by less than two widths.
        """
        empty = np.diff(self.slots) - 1
        at = np.argsort(-empty, kind="stable")[:number]
        return [
            ((int(self.slots[i]) + 1) * self.width, int(self.slots[i + 1]) * self.width) for i in at if empty[i] > 0
        ]

    def gap_lengths(self) -> list[tuple[int, int]]:
        """Return how many gaps there are of at least each length, 1, 2, 4, 8 … slots, in units: (length, gaps)."""
        empty = np.diff(self.slots) - 1
        exponents = np.frexp(empty[empty > 0].astype(np.float64))[1] - 1
        return [(self.width << power, int(n)) for power, n in enumerate(np.bincount(exponents)) if n]


def _narrow(times: Times) -> Times:
    """Widen the slots until few enough hold rows."""
    ladder = LADDERS[times.unit]
    while len(times.slots) > MOST:
        slots = times.slots // (ladder[times.rung + 1] // ladder[times.rung])
        times = _summed(times.unit, times.rung + 1, slots, times.counts)
    return times


def _widened(slots: Array, factor: int) -> Array:
    return slots if factor == 1 else slots // factor


def _counted(unit: str, rung: int, slots: Array, counts: Array) -> Times:
    """Sum counts by slot, in whatever order the slots are."""
    low, high = (int(slots.min()), int(slots.max())) if len(slots) else (0, 0)
    if high - low > _CLOSE * MOST:
        order = np.argsort(slots)
        return _summed(unit, rung, slots[order], counts[order])
    sums = np.zeros(high - low + 1, np.int64)
    np.add.at(sums, slots - low, counts)
    held = np.flatnonzero(sums)
    return Times(unit, rung, held + low, sums[held])


def _summed(unit: str, rung: int, slots: Array, counts: Array) -> Times:
    starts = starts_of(slots)
    return Times(unit, rung, slots[starts], summed(counts, starts))
