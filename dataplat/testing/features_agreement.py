"""Agreement on drawn worlds: the kernel, and lookups by any route, answer what PIT.md says, to the last bit.

    stores = [Stored("lmdb", LmdbStore(folder))]
    found = agree(range(2000), [Kernel(), InProcess(), *stores])
    found.cases, found.differences            # 1_012_345, []

A case is one spine row: keys and a time. Routes are asked in the order in which they build on each other, so that the first
one that differs in a cell is its cause. What a store holds meanwhile (records made at some time before, rows that land later,
pushed or in the records of later snapshots) is drawn, too; see `dataplat.testing._agreement_cases`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from dataplat.feature_store.kernel.answer import answers
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import OnlineStore, Pushed, Reading
from dataplat.feature_store.status import NAMES
from dataplat.lake.schema import parse_type
from dataplat.testing._agreement_cases import Batch, Cases, Stage
from dataplat.testing._features_history import Row
from dataplat.testing._features_values import bits
from dataplat.testing.features_worlds import values

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.online.serve import Served

TOLD: Final = 50
"""Differences that are told of; all are counted."""


class Cells(NamedTuple):
    """What some questions are answered with, by column.

    Attributes:
        values: times are counts.
        statuses: codes of `Status`.
        ages: microseconds; None: of no row.
        types: of the values.
    """

    values: Mapping[str, Sequence[Any]]
    statuses: Mapping[str, Sequence[int]]
    ages: Mapping[str, Sequence[int | None]]
    types: Mapping[str, pa.DataType]


class Route(Protocol):
    """A way to ask.

    Attributes:
        name: what it is called; a cause of differences is.
    """

    name: str

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Make what the store of this route holds that of a stage; stages of a world come in order."""
        ...

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer the questions of a batch."""
        ...

    def end(self, cases: Cases) -> None:
        """Forget a world."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that is not what PIT.md says.

    Attributes:
        seed: of the world.
        route: that answered so.
        cause: the first route that differs in this cell.
        column: of the service.
        row: of the spine.
        t: its time, microseconds.
        at: as of when the snapshot was made that was live.
        what: `value`, `status`, `age`, `type`.
        found: what was answered.
        wanted: what PIT.md says.
    """

    seed: int
    route: str
    cause: str
    column: str
    row: int
    t: int
    at: int
    what: str
    found: Any
    wanted: Any

    def __str__(self) -> str:
        return (
            f"world {self.seed}, {self.column}, row {self.row} at {self.t} (snapshot of {self.at}): the {self.what} is "
            f"{self.found!r} by {self.route}, and {self.wanted!r} by the rules; it begins with {self.cause}"
        )


@dataclass(slots=True)
class Agreement:
    """What was compared.

    Attributes:
        worlds: how many were drawn.
        cases: spine rows; every route answered each.
        cells: that each route was compared in: values with their statuses and ages.
        events: rows of sources.
        snapshots: that were made live.
        pushed: rows that were pushed.
        batches: questions of one time, asked together.
        causes: differences by the route that they begin with.
        differences: the first of them.
    """

    worlds: int = 0
    cases: int = 0
    cells: Counter[str] = field(default_factory=Counter)
    events: int = 0
    snapshots: int = 0
    pushed: int = 0
    batches: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, difference: Difference) -> None:
        """Add a difference."""
        self.causes[difference.cause] += 1
        if len(self.differences) < TOLD:
            self.differences.append(difference)

    def __str__(self) -> str:
        cells = ", ".join(f"{count:,} by {route}" for route, count in self.cells.items())
        return (
            f"{self.worlds:,} worlds of {self.events:,} events, {self.cases:,} cases in {self.batches:,} batches over "
            f"{self.snapshots:,} snapshots and {self.pushed:,} pushed rows; cells: {cells}; differences: "
            f"{sum(self.causes.values()):,} {dict(self.causes) or ''}".rstrip()
        )


def agree(
    seeds: Iterable[int], routes: Sequence[Route], *, events: int = 500, rows: int = 500, cases: int | None = None
) -> Agreement:
    """Ask about the worlds of some seeds by some routes, and hold what they say against the rules.

    Args:
        seeds: of worlds.
        routes: those that build on others last.
        events: rows of a world's sources at most.
        rows: questions about each world, as many as its times allow.
        cases: end once so many rows were asked about; None: when there are no more seeds.
    """
    found = Agreement()
    for seed in seeds:
        if cases is not None and found.cases >= cases:
            break
        _compare(found, Cases.drawn(seed, events=events, rows=rows), routes)
    return found


def _compare(found: Agreement, cases: Cases, routes: Sequence[Route]) -> None:
    """Add what one world gives."""
    wanted = cases.world.answer()
    blamed: dict[tuple[str, int, str], str] = {}
    found.worlds += 1
    found.cases += len(cases.world.spine)
    found.events += sum(len(source.versions[-1].rows) for source in cases.world.sources.values())
    for stage in cases.stages:
        found.snapshots += 1
        found.pushed += len(stage.pushed)
        found.batches += len(stage.batches)
        for route in routes:
            try:
                route.begin(cases, stage)
                told = [route.ask(cases, batch) for batch in stage.batches]
            except Exception as error:
                error.add_note(f"in world {cases.seed}, by {route.name}")
                raise
            for column, cells in wanted.cells.items():
                some = cells[stage.batches[0].first : stage.batches[-1].stop]
                found.cells[route.name] += len(some)
                for row, what, ours, theirs in _differing(column, parse_type(wanted.types[column]), some, told):
                    cause = blamed.setdefault((column, row, what), route.name)
                    place = stage.batches[0].first + row
                    t = next(batch.t for batch in stage.batches if place < batch.stop)
                    at = stage.snapshot.at
                    found.add(Difference(cases.seed, route.name, cause, column, place, t, at, what, theirs, ours))
        blamed.clear()
    for route in routes:
        route.end(cases)


def _differing(
    column: str, kind: pa.DataType, cells: Sequence[Any], told: Sequence[Cells]
) -> Iterable[tuple[int, str, Any, Any]]:
    """Yield (row, what, wanted, found) where a column differs: as text first, which is exact, and quick."""
    for each in told:
        if each.types[column] != kind:
            yield 0, "type", kind, each.types[column]
    pairs = (
        ("value", [cell.value for cell in cells], [one for each in told for one in each.values[column]]),
        ("status", [int(cell.status) for cell in cells], [one for each in told for one in each.statuses[column]]),
        ("age", [cell.age for cell in cells], [one for each in told for one in each.ages[column]]),
    )
    for what, ours, theirs in pairs:
        if len(ours) != len(theirs):
            yield 0, "count", len(ours), len(theirs)
        elif repr(ours) != repr(theirs):
            for row, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                if bits(one) != bits(other):
                    yield row, what, one, other


# ------------------------------------------------------------------------------------------------------------- routes


class Kernel:
    """Training: all questions of a world at once, of all its rows."""

    name = "kernel"

    def __init__(self) -> None:
        self._told: tuple[int, Cells] | None = None

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Do nothing: what has landed is looked at as a whole."""

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        if self._told is None or self._told[0] != cases.seed:
            self._told = cases.seed, self._whole(cases)
        cells = self._told[1]
        own = [{name: each[batch.first : batch.stop] for name, each in part.items()} for part in cells[:3]]
        return Cells(own[0], own[1], own[2], cells.types)

    def end(self, cases: Cases) -> None:
        """Forget it."""
        self._told = None

    def _whole(self, cases: Cases) -> Cells:
        import numpy as np

        times = [batch.t for stage in cases.stages for batch in stage.batches for _ in range(len(batch))]
        t = np.array(times, np.int64)
        return cells_of(answers(cases.service, cases.facts, cases.world.spine_table(), t))


class InProcess:
    """Serving from records in memory, each row for itself."""

    name = "in process"

    def __init__(self) -> None:
        self._serving: Serving | None = None
        self._stage: Stage | None = None
        self._pushed: dict[bytes, list[Pushed]] = {}

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Take the records."""
        if self._serving is None:
            self._serving = Serving(cases.plan)
        self._stage = stage
        self._pushed = {}
        for row in sorted(stage.pushed, key=lambda one: (one.e, one.k)):
            self._pushed.setdefault(row.key, []).append(row)

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        assert self._serving is not None
        serving = self._serving
        return joined([lookup(serving, cases, [row], batch.t, self._read) for row in cases.rows(batch)])

    def _read(self, keys: Sequence[bytes]) -> Reading:
        assert self._stage is not None
        pushed = [tuple(row.row for row in self._pushed.get(key, ())) for key in keys]
        return Reading(self._stage.snapshot, 0, [self._stage.records.get(key) for key in keys], pushed)

    def end(self, cases: Cases) -> None:
        """Forget it."""
        self._serving = self._stage = None


class Stored:
    """Serving from an online store, all rows of a time at once; snapshots are changed by their differences.

    Args:
        name: of the route.
        store: where.
    """

    def __init__(self, name: str, store: OnlineStore) -> None:
        self.name, self.store = name, store
        self._serving: Serving | None = None
        self._before: Stage | None = None
        self._sequence: int | None = None

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Load a snapshot, or change the one before into it; then push."""
        if self._before is None:
            self._serving = Serving(cases.plan)
            self.store.load(cases.space, stage.snapshot, sorted(stage.records.items()))
        else:
            items = sorted(changes(self._before.records, stage.records).items())
            self.store.change(cases.space, stage.snapshot, items, settled=self._sequence)
        half = len(stage.pushed) // 2
        for rows in (stage.pushed[:half], stage.pushed[half:], stage.pushed[: half + 1]):  # some again
            if rows:
                self._sequence = self.store.push(cases.space, rows)
        self._before = stage

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        assert self._serving is not None
        return lookup(self._serving, cases, cases.rows(batch), batch.t, partial(self.store.read, cases.space))

    def end(self, cases: Cases) -> None:
        """Drop it."""
        self.store.drop(cases.space)
        self._serving = self._before = self._sequence = None


class Asked:
    """Somebody who is asked about services of a store that another route keeps: a server, all rows of a time at once.

    Args:
        name: of the route.
        answer: returns what is answered to (space, columns, time).
    """

    def __init__(self, name: str, answer: Callable[[str, Mapping[str, Sequence[Any]], int], Cells]) -> None:
        self.name, self._answer = name, answer

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Do nothing: another route does it."""

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        keys, request = cases.columns(cases.rows(batch))
        told = self._answer(cases.space, keys | request, batch.t)
        return told if keys or request else repeated(told, len(batch))

    def end(self, cases: Cases) -> None:
        """Do nothing."""


def lookup(
    serving: Serving, cases: Cases, rows: Sequence[Row], t: int, read: Callable[[Sequence[bytes]], Reading]
) -> Cells:
    """Return what serving says of rows."""
    keys, request = cases.columns(rows)
    served: Served = serving.answer(keys, request, t, read)
    raw = {name: list(served.raw[name]) for name in served.kinds}
    found = Cells(raw, served.statuses, served.ages, served.kinds)
    return found if keys or request else repeated(found, len(rows))


def changes(before: Mapping[bytes, bytes], after: Mapping[bytes, bytes]) -> dict[bytes, bytes | None]:
    """Return what makes records of one snapshot those of another."""
    found: dict[bytes, bytes | None] = {key: record for key, record in after.items() if before.get(key) != record}
    return found | {key: None for key in before if key not in after}


def cells_of(table: pa.Table) -> Cells:
    """Return the cells of a table with `column__status` and `column__age`."""
    names = [name for name in table.schema.names if not name.endswith(("__status", "__age"))]
    codes = {word: code for code, word in enumerate(NAMES)}
    statuses = {name: [codes[word] for word in table.column(f"{name}__status").to_pylist()] for name in names}
    ages = {name: values(table.column(f"{name}__age")) for name in names}
    return Cells({n: values(table.column(n)) for n in names}, statuses, ages, {n: table.schema.field(n).type for n in names})


def joined(several: Sequence[Cells]) -> Cells:
    """Return the cells of several answers, one after another."""
    names = several[0].types
    parts = [
        {name: [one for each in several for one in each[part][name]] for name in names}  # type: ignore[index]
        for part in range(3)
    ]
    return Cells(parts[0], parts[1], parts[2], names)


def repeated(cells: Cells, rows: int) -> Cells:
    """Return the one row of a lookup without columns for so many questions."""
    parts = [{name: [*each] * rows for name, each in part.items()} for part in cells[:3]]
    return Cells(parts[0], parts[1], parts[2], cells.types)


__all__ = [
    "Agreement",
    "Asked",
    "Cells",
    "Difference",
    "InProcess",
    "Kernel",
    "Route",
    "Stored",
    "agree",
    "cells_of",
    "changes",
]
