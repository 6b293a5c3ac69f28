"""Agreement on drawn worlds: training, and lookups by any route, answer what PIT.md says, to the last bit.

    python -m dataplat.testing.features_agreement --cases 1000000 --over lmdb,redis,http

A case is one spine row: keys and a time. Each is answered by the kernel in training; by serving in process, alone; from an
embedded store, from Redis and by HTTP, with all rows of its time: values, statuses and ages are held against the oracle
(`dataplat.testing.features_reference`). Routes are asked in the order in which they build on each other, so that the first
one that differs in a cell is its cause. What a store holds meanwhile (records made at some time before, rows and deletes
that land later, pushed or by a change of some records) is drawn, too; see `dataplat.testing._agreement_cases`.

A world is its seed: `--seed 17 --cases 1` asks about world 17 again.
"""

# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat.lake.schema import parse_type
from dataplat.testing._agreement_cases import Cases, Stage
from dataplat.testing._agreement_routes import Cells, InProcess, Kernel, Route, Stored, cells_served, cells_tabled
from dataplat.testing._features_values import bits

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.testing.features_reference import Answer

OVER: Final = ("lmdb", "redis", "http")
"""Routes beside the kernel and serving in process."""
TOLD: Final = 50
"""Differences that are told of; all are counted."""
EVERY: Final = 10.0
"""Seconds after which it is said how far it is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that is not what PIT.md says.

    Attributes:
        seed: of the world.
        route: that answered so.
        cause: the first route that differs in this cell.
        column: of the service; of an error: none.
        row: of the spine.
        t: its time, microseconds.
        at: as of when the snapshot was made that was live.
        what: `value`, `status`, `age`, `type`, `count`, `error`.
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
        changed: those of them that were made of the one before.
        removed: records that such a change took away.
        pushed: rows that were pushed.
        batches: questions of one time, asked together.
        largest: rows of the largest batch.
        seconds: of CPU, by route; and those that worlds took to be drawn, and the rules to be followed.
        causes: differences by the route that they begin with.
        differences: the first of them.
    """

    worlds: int = 0
    cases: int = 0
    cells: Counter[str] = field(default_factory=Counter)
    events: int = 0
    snapshots: int = 0
    changed: int = 0
    removed: int = 0
    pushed: int = 0
    batches: int = 0
    largest: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    causes: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def differing(self) -> int:
        """How many cells differed, of all routes."""
        return sum(self.causes.values())

    def add(self, difference: Difference) -> None:
        """Add a difference."""
        self.causes[difference.cause] += 1
        if len(self.differences) < TOLD:
            self.differences.append(difference)

    def drawn(self, cases: Cases) -> None:
        """Add what is in a world."""
        self.worlds += 1
        self.cases += len(cases.world.spine)
        self.events += cases.events
        for stage in cases.stages:
            self.snapshots += 1
            self.pushed += len(stage.pushed)
            self.batches += len(stage.batches)
            self.largest = max(self.largest, *map(len, stage.batches))
            if stage.changes is not None:
                self.changed += 1
                self.removed += sum(record is None for record in stage.changes.values())

    def __str__(self) -> str:
        cells = ", ".join(f"{cells:,} by {route}" for route, cells in self.cells.items())
        return (
            f"{self.cases:,} cases of {self.worlds:,} worlds with {self.events:,} events, in {self.batches:,} batches of up "
            f"to {self.largest:,}, over {self.snapshots:,} snapshots ({self.changed:,} by change, which took {self.removed:,} "
            f"records away) and {self.pushed:,} pushed rows; cells: {cells}; differences: {self.differing:,}"
            + (f" {dict(self.causes)}" if self.causes else "")
            + "; seconds of CPU: "
            + ", ".join(f"{seconds:,.1f} {what}" for what, seconds in self.seconds.items())
        )

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add what a block takes."""
        began = time.process_time()
        yield
        self.seconds[what] += time.process_time() - began


def agree(
    seeds: Iterable[int],
    routes: Sequence[Route],
    *,
    events: int = 500,
    rows: int = 500,
    cases: int | None = None,
    progress: Callable[[Agreement], None] = lambda _: None,
) -> Agreement:
    """Ask about the worlds of some seeds by some routes, and hold what they say against the rules.

    Args:
        seeds: of worlds.
        routes: those that build on others last.
        events: rows of a world's sources at most.
        rows: questions about each world.
        cases: end once so many rows were asked about; None: when there are no more seeds.
        progress: told after each world.
    """
    found = Agreement()
    for seed in seeds:
        if cases is not None and found.cases >= cases:
            break
        with found.timed("drawing"):
            drawn = Cases.drawn(seed, events=events, rows=rows)
        with found.timed("rules"):
            wanted = drawn.answer()
        found.drawn(drawn)
        _World(found, drawn, wanted).compare(routes)
        progress(found)
    return found


@dataclass(slots=True)
class _World:
    """One world, and what it adds.

    Attributes:
        found: where it is added.
        cases: the world.
        wanted: what the rules say of it.
        blamed: the first route that differed in a cell.
    """

    found: Agreement
    cases: Cases
    wanted: Answer
    blamed: dict[tuple[str, int, str], str] = field(default_factory=dict)

    def compare(self, routes: Sequence[Route]) -> None:
        """Ask all, stage by stage; a route that raises is asked no more."""
        asked = list(routes)
        for stage in self.cases.stages:
            for route in tuple(asked):
                try:
                    with self.found.timed(route.name):
                        route.begin(self.cases, stage)
                        told = [route.ask(self.cases, batch) for batch in stage.batches]
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
                    self._differ(route, stage, "", stage.first, "error", "".join(traceback.format_exception(error)), "")
                    asked.remove(route)
                else:
                    with self.found.timed("comparing"):
                        self._hold(route, stage, told)
        for route in routes:
            with self.found.timed(route.name):
                route.end(self.cases)

    def _hold(self, route: Route, stage: Stage, told: Sequence[Cells]) -> None:
        for column, cells in self.wanted.cells.items():
            own = cells[stage.first : stage.batches[-1].stop]
            self.found.cells[route.name] += len(own)
            for row, what, ours, theirs in _differing(column, parse_type(self.wanted.types[column]), own, told):
                self._differ(route, stage, column, stage.first + row, what, theirs, ours)

    def _differ(self, route: Route, stage: Stage, column: str, row: int, what: str, theirs: Any, ours: Any) -> None:
        cause = self.blamed.setdefault((column, row, what), route.name)
        t, at = stage.batch(row).t, stage.snapshot.at
        self.found.add(Difference(self.cases.seed, route.name, cause, column, row, t, at, what, theirs, ours))


def _differing(
    column: str, kind: pa.DataType, cells: Sequence[Any], told: Sequence[Cells]
) -> Iterator[tuple[int, str, Any, Any]]:
    """Yield (row, what, wanted, found) where a column differs: as text first, which is exact, and quick."""
    for other in {each.types[column] for each in told} - {kind}:
        yield 0, "type", kind, other
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


@contextmanager
def routes_over(over: Sequence[str], folder: Path, *, redis: str | None = None) -> Iterator[list[Route]]:
    """Return the kernel, serving in process, and the routes that are named, until the block ends.

    Args:
        over: some of `OVER`; HTTP is served from the embedded store, which is asked, too.
        folder: for what stores keep.
        redis: the URL of a Redis that runs; None: one is started.

    Raises:
        StoreError: There is no Redis.
        MissingExtra: What is asked with is not installed.
    """
    from dataplat.config import Config
    from dataplat.feature_store.online.connect import online_store

    with ExitStack() as stack:
        found: list[Route] = [Kernel(), InProcess()]
        if {"lmdb", "http"} & set(over):
            embedded = online_store(f"lmdb:{folder}", "agreement", Config())
            stack.callback(embedded.close)
            found.append(Stored("lmdb", embedded, cells_tabled))
        if "redis" in over:
            from dataplat.testing._agreement_servers import redis_server

            far = online_store(
                stack.enter_context(redis_server(folder, redis)), f"agreement-{time.time_ns()}", Config()
            )
            stack.callback(far.close)
            found.append(Stored("redis", far, cells_served))
        if "http" in over:
            from dataplat.testing._agreement_servers import Http

            worker = Http(embedded)
            stack.callback(worker.close)
            found.append(worker)
        yield found


def main(arguments: list[str] | None = None) -> int:
    """Ask, say how far it is, and what differed; return 1 if something did."""
    parser = argparse.ArgumentParser(
        prog="python -m dataplat.testing.features_agreement",
        description="Ask about drawn worlds in several ways; all must answer what the rules say, to the last bit.",
    )
    parser.add_argument("--cases", type=int, default=1_000_000, help="end after so many (default 1000000)")
    parser.add_argument("--seed", type=int, default=0, help="the first world (default 0)")
    parser.add_argument("--events", type=int, default=500, help="of a world, at most (default 500)")
    parser.add_argument("--rows", type=int, default=500, help="cases of a world (default 500)")
    parser.add_argument("--over", default=",".join(OVER), help=f"some of {','.join(OVER)} (default: all)")
    parser.add_argument("--redis", metavar="URL", help="a Redis that runs (default: one is started)")
    options = parser.parse_args(arguments)
    over = [name for name in options.over.split(",") if name]
    if unknown := set(over) - set(OVER):
        parser.error(f"--over knows {', '.join(OVER)}, and not {', '.join(sorted(unknown))}")
    shown = _Shown(options.seed, options.cases)
    with tempfile.TemporaryDirectory() as folder, routes_over(over, Path(folder), redis=options.redis) as routes:
        found = agree(
            count(options.seed), routes, events=options.events, rows=options.rows, cases=options.cases, progress=shown
        )
    for difference in found.differences:
        print(difference)
    print(f"worlds {options.seed} to {options.seed + found.worlds - 1}: {found}; {shown}", flush=True)
    return 1 if found.differing else 0


class _Shown:
    """Says how far it is, now and then."""

    def __init__(self, seed: int, cases: int) -> None:
        self._seed, self._cases = seed, cases
        self._began, self._spent = time.monotonic(), time.process_time()
        self._due = self._began + EVERY

    def __call__(self, found: Agreement) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + EVERY
            share = min(1.0, found.cases / self._cases)
            print(
                f"{share:7.2%}  {found.cases:,} cases of {found.worlds:,} worlds, the next is {self._seed + found.worlds}; "
                f"{found.differing:,} differences; {self}",
                flush=True,
            )

    def __str__(self) -> str:
        return f"{time.monotonic() - self._began:,.0f} s, {time.process_time() - self._spent:,.0f} s of CPU"


if __name__ == "__main__":
    sys.exit(main())
