"""The newest row of each question, searched for in each part by itself: nothing is merged, and nothing copied.

In one part, rows of a key are in the order in which they come to be served in all data without a known time, and in most
with one. There the newest row at `t` is found by one search; of several parts the newest is that with the greatest `(e, k)`.
Where a part is not so, or rows of two parts agree in both, `latest` says which questions have to be asked of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.kernel.order import groups, starts_of
from dataplat.feature_store.kernel.spans import Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest row of each question.

    Attributes:
        part: in which part it is; -1: in none.
        row: its place there.
        e: its event time; anything where there is none.
        tied: whether another row agrees with it in event time (PIT 6).
        open: the questions that have to be asked of all rows of their keys: rows of two parts agree in (e, k), or none is
            served and one may be known that lies in the future (`not_yet`).
    """

    part: Ints
    row: Ints
    e: Ints
    tied: Bools
    open: Ints


def latest(parts: Sequence[Facts], ask: Ask, *, as_known: Literal["now"] | None = None) -> Latest | None:
    """Return the newest row of each question, or None where rows of a part do not come in the order of their event times.

    The last parts, which mostly have the newest rows, are searched first: of the others only what can hold a newer row is
    asked.

    Args:
        parts: facts of parts; each is looked at once, and let go.
        ask: the questions, best in the order of `high`, in which searches are quick.
        as_known: "now" takes every row that is there as known.
    """
    k, same, future = np.zeros(len(ask), np.int64), np.zeros(len(ask), bool), np.zeros(len(ask), bool)
    found = Latest(np.full(len(ask), -1), k.copy(), k.copy(), same.copy(), np.zeros(0, np.int64))
    for number in reversed(range(len(parts))):
        part = _Part.of(parts[number], as_known)
        if part is None:
            return None
        wanted = (found.part < 0) | (found.e <= part.last)
        if not part.early:
            wanted &= ask.t >= part.first
        some = np.flatnonzero(wanted)
        if not len(some) or not len(part.starts):
            continue
        there, asked, row, tied = part.search(ask if len(some) == len(ask) else ask.take(some))
        if part.early:
            future[some[there]] = True
        asked = some[asked]
        e, known = part.facts.e[row], part.facts.k[row]
        old = found.part[asked] >= 0
        level = old & (e == found.e[asked])
        later = ~old | (e > found.e[asked]) | level & (known > k[asked])
        same[asked[level & (known == k[asked])]] = True
        same[asked[later]] = False
        found.tied[asked[level]] = True
        newer = asked[later]
        found.tied[newer] = tied[later] | level[later]
        found.part[newer], found.row[newer], found.e[newer], k[newer] = number, row[later], e[later], known[later]
    return replace(found, open=np.flatnonzero(same | future & (found.part < 0)))


@dataclass(frozen=True, slots=True)
class _Part:
    """A part, as it is searched.

    Attributes:
        facts: its rows.
        starts: where each key's begin.
        number: of the key of each row.
        on: from when each row is served; never falls within a key.
        first: the least of that.
        last: the greatest event time.
        early: whether rows are known before they are true (PIT 18).
    """

    facts: Facts
    starts: Ints
    number: Ints
    on: Ints
    first: int
    last: int
    early: bool

    @classmethod
    def of(cls, part: Facts, as_known: Literal["now"] | None) -> _Part | None:
        """Look at a part; None where its rows are not in the order in which they are served."""
        if part.gone is not None:
            return None
        starts = starts_of(part)
        number = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(part))))
        on, early = part.e, as_known == "now"
        if as_known is None and part.k is not part.e:
            early = bool((part.k < part.e).any())
            if bool((part.k > part.e).any()):
                on = np.maximum(part.e, part.k)
                if not bool(((on[1:] >= on[:-1]) | (number[1:] > number[:-1])).all()):
                    return None
        if not len(part):
            return cls(part, starts, number, on, 0, 0, early)
        return cls(part, starts, number, on, int(on.min()), int(part.e.max()), early)

    def search(self, ask: Ask) -> tuple[Ints, Ints, Ints, Bools]:
        """Return the questions whose key is here; and of those that are served a row: question, row, whether it ties."""
        group = groups(self.facts, self.starts, ask.high, ask.low)
        if ask.keyless is not None:
            group = np.where(ask.keyless, -1, group)
        there = np.flatnonzero(group >= 0)
        of = group[there]
        upto = Timeline.of(self.number, self.on, len(self.starts)).upto(of, ask.t[there])
        some = np.flatnonzero(upto > self.starts[of])
        row = upto[some] - 1
        before = np.maximum(row - 1, 0)
        tied = (row > self.starts[of[some]]) & (self.facts.e[before] == self.facts.e[row])
        return there, there[some], row, tied
