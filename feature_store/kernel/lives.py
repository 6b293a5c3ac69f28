"""From when until when each event counts: the one thing that late rows, corrections and deletions have in common.

A row can be seen from `on` = the later of its event time and the time it can be served (PIT 1, 8, 18), until it is deleted
(PIT 19), or a newer version of its event can be served (PIT 7). A window of length w ends it at `e + w` at the latest. So a
window at `t` is of the rows with `on <= t`, without those with `off <= t`, whatever order they came in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

FOREVER: Final = np.iinfo(np.int64).max
"""The end of what does not end."""


@dataclass(frozen=True, slots=True)
class Lives:
    """The lives of rows, those of a key together, in the order of the rows: (e, k, own columns).

    A row has one life, or several where what replaced it was deleted, or none where it never counted.

    Attributes:
        starts: where each key's begin, and the end.
        row: which row of the columns each is of.
        e: event times, microseconds, as all times.
        on: from when it counts; not before `e`.
        until: until when, that time excluded; None: forever, all of them.
    """

    starts: Ints
    row: Ints
    e: Ints
    on: Ints
    until: Ints | None = None

    def __len__(self) -> int:
        return len(self.row)


def lives(
    starts: Ints,
    e: Ints,
    k: Ints,
    *,
    row: Ints | None = None,
    event: Ints | None = None,
    gone: Ints | None = None,
    ties: Ints | None = None,
    as_known: Literal["now"] | None = None,
) -> Lives:
    """Return the lives of rows that are in the order (key, e, k, own columns).

    Args:
        starts: where each key's rows begin, and the end. Rows without a key are of one that nobody asks for: they may
            replace others.
        e: event times.
        k: from when a row can be served: known time and delay.
        row: which row of the columns each is; by default its place.
        event: numbers of the events that rows are versions of (`row_key`), over all keys; -1: a row of its own.
        gone: when a row was deleted, with the delay; `FOREVER`: never.
        ties: what orders versions that agree in k and e: own columns, then keys. By default their places, which is right
            within a key.
        as_known: "now" takes every row that is there as known, whenever it came (PIT 8).
    """
    own = np.arange(len(e))
    if as_known == "now":
        there = np.ones(len(e), bool) if gone is None else gone == FOREVER
        if event is not None:
            there[_replaced(event, k, e, ties, there)] = False
        found = _kept(Lives(starts, own, e, e), there)
    else:
        found = Lives(starts, own, e, np.maximum(e, k), gone)
        if event is not None:
            found = _versions(found, event, k, ties)
        if found.until is not None:
            found = _kept(found, found.on < found.until)
    return found if row is None else replace(found, row=row[found.row])


def _by_version(event: Ints, k: Ints, e: Ints, ties: Ints | None) -> Ints:
    """Return the rows that are versions of an event, those of one together, the newest known last (PIT 7)."""
    some = np.flatnonzero(event >= 0)
    order = np.lexsort(((some if ties is None else ties[some]), e[some], k[some], event[some]))
    return some[order]


def _replaced(event: Ints, k: Ints, e: Ints, ties: Ints | None, there: NDArray[np.bool_]) -> Ints:
    order = _by_version(event, k, e, ties)
    order = order[there[order]]
    replaced: Ints = order[:-1][event[order[1:]] == event[order[:-1]]]
    return replaced


def _versions(rows: Lives, event: Ints, k: Ints, ties: Ints | None) -> Lives:
    """End each row when a newer version of its event can be served."""
    order = _by_version(event, k, rows.e, ties)
    same = event[order[1:]] == event[order[:-1]]
    older, newer = order[:-1][same], order[1:][same]
    gone = np.full(len(rows), FOREVER) if rows.until is None else rows.until
    until = gone.copy()
    until[older] = np.minimum(gone[older], k[newer])
    # Where a newer version is deleted before an older one, the older is served again: rare, so event by event.
    torn = np.unique(event[older[gone[newer] < gone[older]]])
    if not len(torn):
        return Lives(rows.starts, rows.row, rows.e, rows.on, until)
    again: list[tuple[int, int, int]] = []
    mixed = order[np.isin(event[order], torn)]
    bounds = [0, *(np.flatnonzero(np.diff(event[mixed])) + 1).tolist(), len(mixed)]
    for low, high in pairwise(bounds):
        again += _torn(mixed[low:high].tolist(), k, gone)
    until[mixed] = rows.on[mixed]  # their lives are listed anew
    return _inserted(rows, until, again)


def _torn(versions: list[int], k: Ints, gone: Ints) -> list[tuple[int, int, int]]:
    """Return (row, from, until) of the versions of one event, the newest first: what newer ones leave free."""
    found: list[tuple[int, int, int]] = []
    covered: list[tuple[int, int]] = []
    for row in reversed(versions):
        at, end = int(k[row]), int(gone[row])
        for low, high in sorted(covered):
            if at < min(low, end):
                found.append((row, at, min(low, end)))
            at = max(at, high)
        if at < end:
            found.append((row, at, end))
        covered.append((int(k[row]), end))
    return found


def _inserted(rows: Lives, until: Ints, more: list[tuple[int, int, int]]) -> Lives:
    """Return lives with more of them, those of a row next to each other."""
    row, at, end = (
        (np.array(each, np.int64) for each in zip(*more, strict=True)) if more else (np.zeros(0, np.int64),) * 3
    )
    every = np.concatenate((rows.row, row))
    order = np.argsort(every, kind="stable")
    on = np.concatenate((rows.on, np.maximum(rows.e[row], at)))[order]
    ends = np.concatenate((until, end))[order]
    starts = np.searchsorted(every[order], rows.starts)
    return Lives(starts, every[order], rows.e[every[order]], on, ends)


def _kept(rows: Lives, there: NDArray[np.bool_]) -> Lives:
    """Return the lives for which `there` is true."""
    if there.all():
        return _unending(rows)
    before = np.concatenate(([0], np.cumsum(there)))
    until = None if rows.until is None else rows.until[there]
    return _unending(Lives(before[rows.starts], rows.row[there], rows.e[there], rows.on[there], until))


def _unending(rows: Lives) -> Lives:
    if rows.until is None or not bool((rows.until == FOREVER).all()):
        return rows
    return Lives(rows.starts, rows.row, rows.e, rows.on)
