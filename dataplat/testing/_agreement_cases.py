"""Drawn worlds as they are served: what a store holds at first and what comes later, and the questions meanwhile.

Rows that are known only later may land later: in the records of a later snapshot, or pushed, and in records from the one
after that on. What is asked must not depend on it: everything that is known at `t` has landed by `t`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.feature_store.closure import closure_hash, used_views
from dataplat.feature_store.definitions import FeatureService, FeatureView
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.kernel.order import facts, merged, without_moves
from dataplat.feature_store.online import pushed
from dataplat.feature_store.online.plan import ServingPlan, bases_of, identity
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.store import Pushed, Snapshot
from dataplat.feature_store.times import to_micros
from dataplat.testing._features_draws import STEP
from dataplat.testing._features_history import Row
from dataplat.testing.features_reference import micros_at
from dataplat.testing.features_worlds import World, drawn_world

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

MOMENTS: Final = 40
"""Rows of a world's own spine at most: their times are those of the batches."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions of one time: rows of the spine, from one to another."""

    t: int
    first: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.first


@dataclass(frozen=True, slots=True)
class Stage:
    """What a store holds while some of the questions are asked.

    Attributes:
        snapshot: which is live.
        records: all of it.
        pushed: rows that are pushed once it is live; those of stages before are in it.
        batches: the questions.
    """

    snapshot: Snapshot
    records: Mapping[bytes, bytes]
    pushed: Sequence[Pushed]
    batches: Sequence[Batch]


@dataclass(frozen=True, slots=True)
class Cases:
    """A world with its questions in batches, and how it is served.

    Attributes:
        seed: of the world.
        world: it; its service has a name of its own, so that many can be in one store.
        plan: how it is served.
        facts: all rows, of each view.
        stages: what stores hold.
    """

    seed: int
    world: World
    plan: ServingPlan
    facts: Mapping[str, Facts]
    stages: Sequence[Stage] = field(default=(), repr=False)

    @classmethod
    def drawn(cls, seed: int, *, events: int = 500, rows: int = 500) -> Cases:
        """Return those of a seed: at most `events` rows in sources, about `rows` questions."""
        rng = Random(f"agreement {seed}")  # noqa: S311 - rows, not keys
        world = _many(rng, drawn_world(seed, events=events, rows=MOMENTS), seed, rows)
        bases = {view.name: view for view in bases_of(world.service)}
        types = {name: dict(world.sources[str(view.view.source)].types) for name, view in bases.items()}
        plan = ServingPlan.of(world.service, types)
        batches = list(_batches(world))
        cuts = sorted(rng.sample(range(1, len(batches)), min(rng.randint(0, 2), len(batches) - 1)))
        asked = [batches[low:high] for low, high in pairwise([0, *cuts, len(batches)])]
        ends = [some[-1].t for some in asked]
        landings = {name: _Landing.drawn(rng, view, world, ends) for name, view in bases.items()}
        whole = {name: landings[name].whole() for name in bases}
        of_views = {
            view.name: whole[next(name for name, base in bases.items() if identity(base) == identity(view))]
            for view in used_views(world.service)
        }
        return cls(seed, world, plan, of_views, tuple(_stages(rng, plan, landings, asked)))

    @property
    def service(self) -> FeatureService:
        """The service."""
        return self.world.service

    @property
    def space(self) -> str:
        """Its name in stores."""
        return self.plan.space

    def rows(self, batch: Batch) -> tuple[Row, ...]:
        """Return the questions of a batch."""
        return self.world.spine[batch.first : batch.stop]

    def columns(self, rows: Sequence[Row]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Return the keys and the columns of the request of some questions."""
        keys = {name: [row[name] for row in rows] for name in self.plan.entities}
        return keys, {name: [row[name] for row in rows] for name in self.plan.transforms.request}


def _many(rng: Random, world: World, seed: int, rows: int) -> World:
    """Ask about `rows` rows: at each time of the world's own spine about its keys, and the keys of others."""
    own = world.spine
    service = FeatureService(f"drawn_{seed}", world.service.features, world.service.version)
    of_time: dict[int, list[Row]] = {}
    for row in own:
        of_time.setdefault(micros_at(row, world.types, "t"), []).append(row)
    times = sorted(of_time)
    if rng.random() < 0.1:  # few times, so many rows at once that servers work on them otherwise
        times = sorted(rng.sample(times, min(2, len(times))))
    spine: list[Row] = []
    for t in times:
        mine = of_time[t]
        more = rows // len(times) - len(mine)
        spine += mine + [rng.choice(own) | {"t": rng.choice(mine)["t"]} for _ in range(more)]
    return replace(world, service=service, spine=tuple(spine), as_known=None, _answers=[])


def _batches(world: World) -> Iterator[Batch]:
    """Yield the questions of each time."""
    times = [micros_at(row, world.types, "t") for row in world.spine]
    first = 0
    for t, some in groupby(times):
        size = len(list(some))
        yield Batch(t, first, first + size)
        first += size


@dataclass(frozen=True, slots=True)
class _Landing:
    """When rows of a view land.

    Attributes:
        view: the view.
        table: its rows.
        k: when each was known, and gone, where commits say so.
        gone: the latter.
        stage: in which stage each lands.
        pushed: which of them are pushed.
    """

    view: FeatureView
    table: pa.Table
    k: Ints | None
    gone: Ints | None
    stage: Ints
    pushed: NDArray[np.bool_]

    @classmethod
    def drawn(cls, rng: Random, view: FeatureView, world: World, ends: Sequence[int]) -> _Landing:
        """Draw it: before the last question of a stage all that is known by then has landed."""
        table, k, gone = world.rows(view)
        stage, some = np.zeros(table.num_rows, np.int64), np.zeros(table.num_rows, bool)
        if view.view.history == "append" and without_moves(facts(view, table)):
            told = view.view
            column = told.known_at or told.timestamp
            known = to_micros(table.column(column), column, told.zone) + told.delay
            due = np.minimum(np.searchsorted(ends, known), len(ends) - 1)
            stage = np.where([rng.random() < 0.5 for _ in known], due, 0).astype(np.int64)
            some = np.array([rng.random() < 0.2 for _ in known], bool)
        return cls(view, table, k, gone, stage, some)

    def whole(self) -> Facts:
        """Return all rows, merged from what landed together."""
        return self._facts([(self.stage == number) for number in np.unique(self.stage)])

    def recorded(self, stage: int) -> Facts:
        """Return the rows that records of a stage are made of."""
        return self._facts([np.where(self.pushed, self.stage < stage, self.stage <= stage)])

    def _facts(self, masks: Sequence[NDArray[np.bool_]]) -> Facts:
        import pyarrow as pa

        def of(mask: NDArray[np.bool_]) -> Facts:
            k, gone = (None if each is None else each[mask] for each in (self.k, self.gone))
            return facts(self.view, self.table.filter(pa.array(mask)), k=k, gone=gone)

        return merged(self.view, [of(mask) for mask in masks or [np.ones(self.table.num_rows, bool)]])

    def pushes(self, plan: ServingPlan, stage: int) -> Iterator[Pushed]:
        """Yield the rows that are pushed in a stage."""
        import pyarrow as pa

        places = np.flatnonzero(self.pushed & (self.stage == stage))
        mine = self.table.take(pa.array(places))
        told = self.view.view
        stamps = to_micros(mine.column(told.known_at), told.known_at, told.zone) if told.known_at else []
        for row in pushed.rows(plan, self.view, mine, list(stamps)):
            yield Pushed(row.key, f"{self.view.name} {places[row.place]}".encode(), row.e, row.k, row.data)


def _stages(
    rng: Random, plan: ServingPlan, landings: Mapping[str, _Landing], asked: Sequence[Sequence[Batch]]
) -> Iterator[Stage]:
    closure, at, parent = closure_hash(plan.service), None, None
    for number, batches in enumerate(asked):
        begins = batches[0].t - rng.choice((0, 0, 1, STEP, 7 * STEP, 60 * STEP))
        at = begins if at is None else max(at, begins)
        facts = {name: landing.recorded(number) for name, landing in landings.items()}
        records: dict[bytes, bytes] = {}
        for group in plan.groups:
            records.update(pack(plan, group, {base.name: facts[base.name] for base in group.bases}, at))
        rows = [row for landing in landings.values() for row in landing.pushes(plan, number)]
        rng.shuffle(rows)
        snapshot = Snapshot(f"{plan.space} {number}", at, {}, closure, parent, types=plan.types)
        yield Stage(snapshot, records, rows, batches)
        parent = snapshot.id
