"""Ways to ask about drawn worlds: the kernel in training, serving in process, from online stores, and by HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from dataplat.feature_store.kernel.answer import answers
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import OnlineStore, Reading
from dataplat.feature_store.status import NAMES
from dataplat.testing._agreement_cases import Batch, Cases, Stage
from dataplat.testing._features_history import Row
from dataplat.testing.features_worlds import values

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.online.serve import Read, Served

PIECES: Final = (1, 1, 1, 5)
"""So many rows of a batch are asked about together in process, before all others are."""
CODES: Final = {word: code for code, word in enumerate(NAMES)}


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

    def mapped(self, change: Callable[[Sequence[Any]], Sequence[Any]]) -> Cells:
        """Return them with each column changed."""
        return Cells(
            {name: change(column) for name, column in self.values.items()},
            {name: change(column) for name, column in self.statuses.items()},
            {name: change(column) for name, column in self.ages.items()},
            self.types,
        )


class Route(Protocol):
    """A way to ask."""

    @property
    def name(self) -> str:
        """What it is called, as the cause of differences."""
        ...

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Make what the store of this route holds that of a stage; stages of a world come in order."""
        ...

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer the questions of a batch."""
        ...

    def end(self, cases: Cases) -> None:
        """Forget a world, however far it came."""
        ...


class Kernel:
    """Training: all questions of a world at once, of all its rows."""

    name = "kernel"

    def __init__(self) -> None:
        self._told: Cells | None = None

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Answer all, at first: training looks at what has landed as a whole."""
        if self._told is None:
            every = [batch.t for stage in cases.stages for batch in stage.batches for _ in range(len(batch))]
            spine, times = cases.world.spine_table(), np.array(every, np.int64)
            told = [(each.facts, slice(each.first, each.stop)) for each in cases.pasts]
            self._told = joined([cells_of(answers(cases.service, facts, spine[at], times[at])) for facts, at in told])

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        assert self._told is not None
        return self._told.mapped(lambda column: column[batch.first : batch.stop])

    def end(self, cases: Cases) -> None:
        """Forget it."""
        self._told = None


class InProcess:
    """Serving from records in memory: some rows of a time alone, a few together, and the others."""

    name = "in process"

    def __init__(self) -> None:
        self._serving: Serving | None = None
        self._stage: Stage | None = None
        self._pushed: dict[bytes, tuple[bytes, ...]] = {}

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Take the records."""
        self._serving = self._serving or Serving(cases.plan)
        self._stage = stage
        self._pushed = {}
        for row in sorted(stage.pushed, key=lambda one: (one.e, one.k)):
            self._pushed[row.key] = (*self._pushed.get(row.key, ()), row.row)

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        assert self._serving is not None
        rows, told, done = cases.rows(batch), [], 0
        for size in (*PIECES, len(rows)):
            if some := rows[done : done + size]:
                served = looked(self._serving, cases, some, batch.t, self._read)
                told.append(repeated(cells_served(served), len(some)))
            done += size
        return joined(told)

    def _read(self, keys: Sequence[bytes]) -> Reading:
        assert self._stage is not None
        records, pushed = self._stage.records, self._pushed
        return Reading(
            self._stage.snapshot, 0, [records.get(key) for key in keys], [pushed.get(key, ()) for key in keys]
        )

    def end(self, cases: Cases) -> None:
        """Forget it."""
        self._serving = self._stage = None


class Stored:
    """Serving from an online store, all rows of a time at once; snapshots are changed by their differences.

    Args:
        name: of the route.
        store: where.
        cells: of what was served.
    """

    def __init__(self, name: str, store: OnlineStore, cells: Callable[[Served], Cells]) -> None:
        self.name, self.store = name, store
        self._cells = cells
        self._serving: Serving | None = None
        self._sequence: int | None = None

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Load a snapshot, or change the one before into it; then push, some rows twice."""
        self._serving = self._serving or Serving(cases.plan)
        if stage.changes is None:
            self.store.load(cases.space, stage.snapshot, sorted(stage.records.items()), settled=self._sequence)
        else:
            self.store.change(cases.space, stage.snapshot, sorted(stage.changes.items()), settled=self._sequence)
        half = len(stage.pushed) // 2
        for rows in (stage.pushed[:half], stage.pushed[half:], stage.pushed[: half + 1]):
            if rows:
                self._sequence = self.store.push(cases.space, rows)

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        assert self._serving is not None
        rows = cases.rows(batch)
        return repeated(
            self._cells(looked(self._serving, cases, rows, batch.t, partial(self.store.read, cases.space))), len(rows)
        )

    def end(self, cases: Cases) -> None:
        """Drop it."""
        self._serving = self._sequence = None
        self.store.drop(cases.space)


def looked(serving: Serving, cases: Cases, rows: Sequence[Row], t: int, read: Read) -> Served:
    """Return what serving says of rows."""
    return serving.answer(*cases.columns(rows), t, read)


def cells_served(served: Served) -> Cells:
    """Return the cells of what was served, as it came."""
    return Cells(served.raw, served.statuses, served.ages, served.kinds)


def cells_tabled(served: Served) -> Cells:
    """Return the cells of the Arrow table of what was served."""
    return cells_of(served.table(statuses=True, ages=True))


def cells_of(table: pa.Table) -> Cells:
    """Return the cells of a table with `column__status` and `column__age`."""
    names = [name for name in table.schema.names if not name.endswith(("__status", "__age"))]
    return Cells(
        {name: values(table.column(name)) for name in names},
        {name: [CODES[word] for word in table.column(f"{name}__status").to_pylist()] for name in names},
        {name: values(table.column(f"{name}__age")) for name in names},
        {name: table.schema.field(name).type for name in names},
    )


def joined(several: Sequence[Cells]) -> Cells:
    """Return the cells of several answers, one after another."""
    if len(several) == 1:
        return several[0]
    names = list(several[0].types)
    return Cells(
        {name: [one for each in several for one in each.values[name]] for name in names},
        {name: [one for each in several for one in each.statuses[name]] for name in names},
        {name: [one for each in several for one in each.ages[name]] for name in names},
        several[0].types,
    )


def repeated(cells: Cells, rows: int) -> Cells:
    """Return the answer to a lookup without columns, which is one row, for so many questions."""
    first = next(iter(cells.statuses.values()), ())
    if len(first) == rows or len(first) != 1:
        return cells
    return cells.mapped(lambda column: [column[0]] * rows)
