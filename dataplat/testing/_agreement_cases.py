"""Drawn worlds as they are served: what a store holds at first and what comes later, and the questions meanwhile.

Rows that are known only later may land later: in the records of a later snapshot, or pushed, and in records from the one
after that on; so may deletes. What is asked must not depend on it: everything that is known at `t` has landed by `t`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from random import Random
from typing import Any, Final

from dataplat.feature_store.closure import closure_hash, used_views
from dataplat.feature_store.definitions import FeatureService
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.online.plan import ServingPlan, bases_of, identity
from dataplat.feature_store.online.record import changes, keys_of, pack
from dataplat.feature_store.online.store import Pushed, Snapshot
from dataplat.testing._agreement_landing import Landing
from dataplat.testing._features_draws import STEP
from dataplat.testing._features_history import Row, Source, Version
from dataplat.testing.features_reference import Answer, micros_at
from dataplat.testing.features_worlds import World, drawn_world

KEYS: Final = ("airport", "plane", "carrier", "dest", "distance")
MOMENTS: Final = 160
"""Rows of a world's own spine at most: their times are those of the batches."""
TIMES: Final = (2, 12, 30, 30, 60)
"""How many of them are asked about: few, so that a batch is of hundreds of rows, or many."""

QUIET: Final = 24 * STEP


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
        changes: what makes the records of the stage before these; None: all are made anew.
        pushed: rows that are pushed once it is live; those of stages before are in it.
        batches: the questions.
    """

    snapshot: Snapshot
    records: Mapping[bytes, bytes]
    changes: Mapping[bytes, bytes | None] | None
    pushed: Sequence[Pushed]
    batches: Sequence[Batch]

    @property
    def first(self) -> int:
        """The first row of the spine that is asked about."""
        return self.batches[0].first

    def batch(self, row: int) -> Batch:
        """Return the batch of a row of the spine."""
        return next(batch for batch in self.batches if row < batch.stop)


@dataclass(frozen=True, slots=True)
class Past:
    """What is asked about while sources are what they are: with all rows, and behind a rollback without some.

    Attributes:
        first: the first row of the spine.
        stop: the one behind the last.
        world: whose rules hold.
        facts: all rows, of each view.
    """

    first: int
    stop: int
    world: World
    facts: Mapping[str, Facts]


@dataclass(frozen=True, slots=True)
class Cases:
    """A world with its questions in batches, and how it is served.

    Attributes:
        seed: of the world.
        world: it; its service has a name of its own, so that many can be in one store.
        plan: how it is served.
        pasts: its rows, of each view; where a source is rolled back in between there are two.
        stages: what stores hold.
    """

    seed: int
    world: World
    plan: ServingPlan
    pasts: Sequence[Past]
    stages: Sequence[Stage] = field(default=(), repr=False)

    @classmethod
    def drawn(cls, seed: int, *, events: int = 500, rows: int = 500) -> Cases:
        """Return those of a seed: at most `events` rows in sources, about `rows` questions."""
        rng = Random(f"agreement {seed}")
        world = _many(rng, drawn_world(seed, events=events, rows=MOMENTS), seed, rows)
        bases = {view.name: view for view in bases_of(world.service)}
        types = {name: dict(world.sources[str(view.view.source)].types) for name, view in bases.items()}
        plan = ServingPlan.of(world.service, types)
        batches = list(_batches(world))
        asked = [batches[low:high] for low, high in pairwise([0, *_cuts(rng, batches), len(batches)])]
        ends = [some[-1].t for some in asked]
        others = Random(f"agreement {seed}, and more")
        first, back, later = _rolled_back(others, world, len(asked))
        landings = {
            name: Landing.drawn(
                rng, view, world, ends, dict.fromkeys(back.get(str(view.view.source), ()), first), others
            )
            for name, view in bases.items()
        }
        cuts = [0, asked[first][0].first, len(world.spine)] if back else [0, len(world.spine)]
        pasts = []
        for (low, high), own, stage in zip(pairwise(cuts), (world, later), (0, first), strict=False):
            whole = {identity(view): landings[name].whole(stage) for name, view in bases.items()}
            facts = {view.name: whole[identity(view)] for view in used_views(world.service)}
            pasts.append(Past(low, high, own, facts))
        return cls(seed, world, plan, tuple(pasts), tuple(_stages(rng, plan, landings, asked)))

    @property
    def service(self) -> FeatureService:
        """The service."""
        return self.world.service

    @property
    def space(self) -> str:
        """Its name in stores."""
        return self.plan.space

    def answer(self) -> Answer:
        """Return what PIT.md says of each question, of the rows that there are then."""
        if len(self.pasts) == 1:
            return self.world.answer()
        told = [(past, past.world.answer()) for past in self.pasts]
        names = told[0][1].cells
        cells = {
            name: [cell for past, one in told for cell in one.cells[name][past.first : past.stop]] for name in names
        }
        return replace(told[0][1], cells=cells)

    @property
    def events(self) -> int:
        """How many rows its sources ever had."""
        sources = self.world.sources.values()
        return sum(len({id(row) for version in source.versions for row in version.rows}) for source in sources)

    def rows(self, batch: Batch) -> tuple[Row, ...]:
        """Return the questions of a batch."""
        return self.world.spine[batch.first : batch.stop]

    def columns(self, rows: Sequence[Row]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Return the keys and the columns of the request of some questions."""
        keys = {name: [row[name] for row in rows] for name in self.plan.entities}
        return keys, {name: [row[name] for row in rows] for name in self.plan.transforms.request}


def _many(rng: Random, world: World, seed: int, rows: int) -> World:
    """Ask about `rows` rows: at times of the world's own spine about the keys that it has there, and about others."""
    own = world.spine
    others = Random(f"agreement {seed}, and what is undone")
    sources = {name: _emptied(rng, source) for name, source in world.sources.items()}
    read = {str(view.view.source) for view in used_views(world.service) if view.view.history == "commits"}
    sources |= {name: _undone(others, sources[name]) for name in sorted(read)}
    world = replace(world, sources=sources, as_known=None, _answers=[])
    service = FeatureService(f"drawn_{seed}", world.service.features, world.service.version)
    of_time: dict[int, list[Row]] = {}
    for row in own:
        of_time.setdefault(micros_at(row, world.types, "t"), []).append(row)
    times = _times(rng, world, sorted(of_time), rows)
    spine: list[Row] = []
    for t in times:
        mine = of_time[t][: rows // len(times)]
        spine += mine
        for _ in range(rows // len(times) - len(mine)):
            row = dict(rng.choice(own))
            if rng.random() < 0.5:  # keys that are not asked about together otherwise
                row |= {column: rng.choice(own)[column] for column in KEYS}
            spine.append(row | {"t": mine[0]["t"]})
    return replace(world, service=service, spine=tuple(spine))


def _emptied(rng: Random, source: Source) -> Source:
    """Take all rows of a key away, from some version of a source on, until another: it is nowhere then."""
    rows = [row for version in source.versions for row in version.rows]
    if len(source.versions) < 2 or not rows or rng.random() < 0.5:
        return source
    columns = rng.choice((("airport",), ("carrier",), ("airport", "plane"), ("airport", "plane", "carrier")))
    whose = rng.choice(rows)
    first = rng.randrange(1, len(source.versions))
    gone = range(first, rng.choice((first + 1, len(source.versions))))
    versions = [
        Version(
            each.at, tuple(row for row in each.rows if number not in gone or any(row[c] != whose[c] for c in columns))
        )
        for number, each in enumerate(source.versions)
    ]
    return Source(source.types, tuple(versions))


def _rolled_back(rng: Random, world: World, stages: int) -> tuple[int, dict[str, set[int]], World]:
    """Draw a rollback between two answers: from which stage on, rows of sources that are there no more, and the world then.

    Versions of a source that is read as its commits are rows that came and went: it is rolled back there, see `_undone`.
    """
    first, gone = rng.randrange(1, stages) if stages > 1 else 0, {}
    if not first or rng.random() < 0.5:
        return 0, {}, world
    kept = dict(world.sources)
    for name, source in sorted(world.sources.items()):
        views = [view for view in used_views(world.service) if str(view.view.source) == name]
        newest = source.versions[-1]
        if not newest.rows or any(view.view.history != "append" for view in views) or rng.random() < 0.5:
            continue
        share = rng.choice((0.1, 0.5, 0.9))
        gone[name] = {number for number in range(len(newest.rows)) if rng.random() < share}
        rows = tuple(row for number, row in enumerate(newest.rows) if number not in gone[name])
        kept[name] = Source(source.types, (*source.versions[:-1], Version(newest.at, rows)))
    return first, gone, replace(world, sources=kept, _answers=[])


def _undone(rng: Random, source: Source) -> Source:
    """Roll a source of commits back: one of its versions is an earlier one again, whose rows come anew; later ones go."""
    if len(source.versions) < 2 or rng.random() < 0.6:
        return source
    number = rng.randrange(1, len(source.versions))
    versions = list(source.versions)
    versions[number] = Version(versions[number].at, versions[rng.randrange(number)].rows)
    return Source(source.types, tuple(versions))


def _times(rng: Random, world: World, every: Sequence[int], most: int) -> list[int]:
    """Draw times: sometimes nothing is asked for a while after a commit: who was deleted by it is gone for the next."""
    commits = [version.at for source in world.sources.values() for version in source.versions[1:]]
    begin = rng.choice(commits or every)
    calm = range(begin, begin + rng.choice((0, QUIET, QUIET)))
    asked = [t for t in every if t not in calm] or list(every)
    return sorted(rng.sample(asked, min(rng.choice(TIMES), len(asked), most)))


def _cuts(rng: Random, batches: Sequence[Batch]) -> list[int]:
    """Draw before which batches another snapshot goes live: some, or those before which nothing was asked for longest."""
    places = list(range(1, len(batches)))
    rng.shuffle(places)
    if rng.random() < 0.5:
        places.sort(key=lambda place: batches[place - 1].t - batches[place].t)
    return sorted(places[: rng.randint(0, 3)])


def _batches(world: World) -> Iterator[Batch]:
    """Yield the questions of each time."""
    first = 0
    for t, some in groupby(micros_at(row, world.types, "t") for row in world.spine):
        size = len(list(some))
        yield Batch(t, first, first + size)
        first += size


def _stages(
    rng: Random, plan: ServingPlan, landings: Mapping[str, Landing], asked: Sequence[Sequence[Batch]]
) -> Iterator[Stage]:
    closure = closure_hash(plan.service)
    live: Snapshot | None = None
    records: dict[bytes, bytes] = {}
    before: Mapping[str, Facts] = {}
    for number, batches in enumerate(asked):
        at = batches[0].t - rng.choice((0, 0, 0, 1, STEP, 7 * STEP, 60 * STEP))
        at = at if live is None else max(at, live.at)
        facts = {name: landing.recorded(number) for name, landing in landings.items()}
        changed = None
        if live is None or rng.random() < 0.2:
            records = {key: record for group in plan.groups for key, record in pack(plan, group, facts, at)}
        else:
            changed = _changes(plan, landings, number, before, facts, at)
            records = {key: record for key, record in (records | changed).items() if record is not None}
        parent = None if live is None else live.id
        live = Snapshot(f"{plan.space} {number}", at, {}, closure, parent, types=plan.types)
        pushed = [row for landing in landings.values() for row in landing.pushes(plan, number)]
        rng.shuffle(pushed)
        yield Stage(live, records, changed, pushed, batches)
        before = facts


def _changes(
    plan: ServingPlan,
    landings: Mapping[str, Landing],
    number: int,
    before: Mapping[str, Facts],
    facts: Mapping[str, Facts],
    at: int,
) -> dict[bytes, bytes | None]:
    """Return the records of keys that changed, as materialisation makes them; others stay as they were packed."""
    import numpy as np

    from dataplat.feature_store.kernel.order import of_keys, without_moves

    found: dict[bytes, bytes | None] = {}
    for group in plan.groups:
        names = [base.name for base in group.bases]
        pairs = np.unique(np.concatenate([landings[name].changed(number) for name in names]), axis=0)
        high, low = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
        if not len(high):
            continue
        apart = all(without_moves(facts[name]) and without_moves(before[name]) for name in names)
        own = {name: of_keys(facts[name], high, low) if apart else facts[name] for name in names}
        found.update(changes(plan, group, own, at))
        for name in names:
            gone = of_keys(before[name], high, low)
            for key in keys_of(group, gone.keys, len(gone)).unique().to_pylist() if len(gone) else ():
                if key is not None:
                    found.setdefault(key, None)
    return found
