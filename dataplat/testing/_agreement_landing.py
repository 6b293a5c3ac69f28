"""When the rows of a drawn view land in a store: in the records of which snapshot, or pushed before; and their deletes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from dataplat.feature_store.definitions import FeatureView
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.kernel.order import facts, merged, taken, without_moves
from dataplat.feature_store.online import pushed
from dataplat.feature_store.online.plan import ServingPlan
from dataplat.feature_store.online.store import Pushed
from dataplat.feature_store.times import to_micros
from dataplat.testing.features_worlds import World

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]
    Words: TypeAlias = NDArray[np.uint64]

NEVER: Final = 1 << 30
"""The stage of what does not happen."""
SHARES: Final = (0.0, 0.02, 0.05, 0.25)
"""How many of the rows are pushed."""


@dataclass(frozen=True, slots=True)
class Landing:
    """The rows of a view, and in which stage each is there.

    Attributes:
        view: the view.
        table: its rows, as its source has them.
        facts: those that count, in order.
        places: which row of the table each of them is.
        stage: in which each lands.
        ended: in which its delete lands; only where there is one.
        pushed: which of them are pushed: they are in records from the stage after on.
        back: in which each is there no more, since its source was rolled back; `NEVER` where it stays.
    """

    view: FeatureView
    table: pa.Table
    facts: Facts
    places: Ints
    stage: Ints
    ended: Ints
    pushed: Bools
    back: Ints

    @classmethod
    def drawn(
        cls, rng: Random, view: FeatureView, world: World, ends: Sequence[int], back: Mapping[int, int], others: Random
    ) -> Landing:
        """Draw it.

        Args:
            rng: draws.
            view: the view.
            world: whose view it is.
            ends: the time of the last question of each stage: what is known by then has landed.
            back: by row of the source the stage from which on it is there no more.
            others: draws what worlds have had since later: so a seed is the world that it was, and more.
        """
        table, k, gone = world.rows(view)
        numbers = np.arange(table.num_rows)
        ordered = facts(view, table, k=k, gone=numbers)  # `gone` orders nothing, and says here which row is which
        assert ordered.gone is not None
        places = ordered.gone - view.view.delay
        if gone is not None:
            gone = np.minimum(gone[places], FOREVER - view.view.delay) + view.view.delay
        found = replace(ordered, gone=gone)
        stage = _due(rng, ends, found.k)
        ended = stage if gone is None else np.maximum(stage, _due(rng, ends, gone))
        share, draws = (others.choice(SHARES), others) if gone is not None else (rng.choice(SHARES), rng)
        pushed = np.array([draws.random() < share for _ in stage], bool)
        if gone is not None:
            pushed &= (ended > stage) | (gone >= FOREVER)  # what is pushed is there until records say that it is gone
        if not without_moves(found):
            pushed[:] = False  # a pushed row does not reach what is kept of another key
        taken_back = np.array([back.get(place, NEVER) for place in places.tolist()], np.int64)
        return cls(view, table, found, places, stage, ended, pushed, taken_back)

    def whole(self, stage: int) -> Facts:
        """Return all rows that are not rolled back by a stage, merged from those that landed together."""
        there = self.back > stage
        masks = [there & (self.stage == number) for number in np.unique(self.stage)]
        return merged(self.view, [taken(self.facts, np.flatnonzero(mask)) for mask in masks] or [self.facts])

    def recorded(self, stage: int) -> Facts:
        """Return the rows that records of a stage are made of."""
        held, gone = self._held(stage)
        rows = np.flatnonzero(held)
        return replace(taken(self.facts, rows), gone=None if gone is None else gone[rows])

    def changed(self, stage: int) -> Words:
        """Return the keys of rows that came to records of a stage, or were deleted in it: (high, low) of each."""
        (now, gone), (before, gone_before) = self._held(stage), self._held(stage - 1)
        differ = now != before
        if gone is not None and gone_before is not None:
            differ |= gone != gone_before
        if self.facts.keyless is not None:
            differ &= ~self.facts.keyless
        return np.column_stack((self.facts.high[differ], self.facts.low[differ]))

    def _held(self, stage: int) -> tuple[Bools, Ints | None]:
        """Return which rows records of a stage have, and when each is gone as far as is known then."""
        held = np.where(self.pushed, self.stage < stage, self.stage <= stage) & (stage < self.back)
        gone = self.facts.gone
        return held, None if gone is None else np.where(self.ended <= stage, gone, FOREVER)

    def pushes(self, plan: ServingPlan, stage: int) -> Iterator[Pushed]:
        """Yield the rows that are pushed in a stage."""
        import pyarrow as pa

        due = self.pushed & (self.stage == stage) & (stage < self.back)
        places = self.places[due]
        if not len(places):
            return
        mine = self.table.take(pa.array(places))
        told = self.view.view
        stamps = to_micros(mine.column(told.known_at), told.known_at, told.zone).tolist() if told.known_at else []
        if told.history == "commits":
            stamps = (self.facts.k[due] - told.delay).tolist()
        for row in pushed.rows(plan, self.view, mine, stamps):
            yield Pushed(row.key, f"{self.view.name} {places[row.place]}".encode(), row.e, row.k, row.data)


def _due(rng: Random, ends: Sequence[int], known: Ints) -> Ints:
    """Draw in which stage each row lands: at the latest in the one in which something is asked for which it is known."""
    last = np.minimum(np.searchsorted(ends, known), len(ends) - 1).tolist()
    return np.array([rng.choice((each, rng.randint(0, each))) for each in last], np.int64)
