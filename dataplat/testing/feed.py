"""A proof that a branch fed in small commits for a month stays fast: fed, compacting itself, and measured on the way.

`python -m dataplat.testing.feed 518400` lands three rows every five seconds for a month, as fast as it can.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from dataplat._lake import Lake
from dataplat.lake.stores import MemoryStore, Operation, Store, StoreWrapper
from dataplat.versioning.lakefile import create_lake

T = TypeVar("T")

MONTH: Final = 30 * 24 * 60 * 60 // 5
"""Commits of a month, one every five seconds."""

_WINDOW: Final = 96
"""Commits over which a sample is taken: six rounds of compaction."""

_FORGET: Final = 2_000
_RECORDS: Final = 100
_DATASET: Final = "events"


@dataclass(slots=True)
class Cost:
    """What one ingest cost, with the compaction behind it: seconds, and calls and bytes at the store, parts apart.

    `cpu` is what a busy machine does not blur.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    reads: int = 0
    read_bytes: int = 0
    written: int = 0
    written_bytes: int = 0
    part_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """The ingests up to number `commits`, and how many parts the version has there."""

    commits: int
    parts: int
    costs: tuple[Cost, ...]

    @property
    def p50(self) -> float:
        """The median seconds of one ingest."""
        return statistics.median(cost.seconds for cost in self.costs)

    @property
    def p99(self) -> float:
        """The seconds that one ingest in a hundred exceeds."""
        return statistics.quantiles([cost.seconds for cost in self.costs], n=100)[98]

    @property
    def p50_cpu(self) -> float:
        """The median seconds of CPU of one ingest."""
        return statistics.median(cost.cpu for cost in self.costs)

    @property
    def metadata_bytes(self) -> float:
        """Bytes of objects and records written by an ingest on average, parts apart."""
        return statistics.fmean(cost.written_bytes for cost in self.costs)

    @property
    def most_metadata_bytes(self) -> int:
        """The same of the ingest that wrote most."""
        return max(cost.written_bytes for cost in self.costs)

    @property
    def most_reads(self) -> int:
        """Objects and records read by the ingest that read most, parts apart."""
        return max(cost.reads for cost in self.costs)

    @property
    def median_reads(self) -> float:
        """Objects and records that an ingest reads, parts apart."""
        return statistics.median(cost.reads for cost in self.costs)

    def __str__(self) -> str:
        return (
            f"{self.commits:>8,} commits: p50 {self.p50 * 1e3:6.2f} ms (CPU {self.p50_cpu * 1e3:.2f}), p99 {self.p99 * 1e3:7.1f} ms, {self.parts:>3} parts, "
            f"metadata {self.metadata_bytes:6,.0f} B a commit (most {self.most_metadata_bytes:,}), "
            f"reads {self.median_reads:.0f} (most {self.most_reads})"
        )


@dataclass(slots=True)
class Feed:
    """A lake in memory that is fed; `forget` drops what no newest version needs, as a gc would, to save memory."""

    rows: int = 3
    written_parts: int = 0
    _store: MemoryStore = field(default_factory=MemoryStore)

    def run(self, commits: int) -> Iterator[Sample]:
        """Land `commits` times a few rows; yield samples at the 96th, 1,000th, 10,000th … and the last."""
        create_lake(self._store)
        counted = _Counted(self._store)
        lake = Lake(counted, "feed", "memory")
        costs: list[Cost] = []
        marks = {_WINDOW, *(10**power for power in range(3, 9)), commits}
        for number in range(1, commits + 1):
            counted.cost = Cost()
            started, worked = time.perf_counter(), time.process_time()
            lake.ingest(self._batch(number), _DATASET)
            counted.cost.seconds = time.perf_counter() - started
            counted.cost.cpu = time.process_time() - worked
            costs.append(counted.cost)
            self.written_parts += counted.cost.part_bytes
            del costs[:-_WINDOW]
            if number in marks:
                yield Sample(number, lake[_DATASET].manifest.n_parts, tuple(costs))
            if number % _FORGET == 0:
                self._forget()
        assert lake[_DATASET].rows == commits * self.rows

    def content_id(self) -> str:
        """Return the content id of all that was landed."""
        return Lake(self._store, "feed", "memory")[_DATASET].content_id

    def table(self, commits: int) -> object:
        """Return all the rows of so many commits, as they were made."""
        import pyarrow as pa

        return pa.concat_tables([self._batch(number) for number in range(1, commits + 1)])

    def _batch(self, number: int):  # type: ignore[no-untyped-def]  # noqa: ANN202  (a table of a library loaded late)
        import pyarrow as pa

        at = [number * self.rows + i for i in range(self.rows)]
        return pa.table({"id": at, "value": [i % 17 / 4 for i in at], "name": [f"sensor {i % 5}" for i in at]})

    def _forget(self) -> None:
        from dataplat.lake.objects import Objects

        lake = Lake(self._store, "feed", "memory")
        commit = lake.refs.head("main").commit
        needed = {commit.id, *(id for id, _ in lake[_DATASET].manifest.object_ids())}
        needed |= {id for id, _ in commit.state.object_ids(Objects(self._store).read)}
        for info in list(self._store.list("objects/")):
            if info.key.removeprefix("objects/").partition(".")[0].replace("/", "") not in needed:
                self._store.delete(info.key)
        for info in list(self._store.list("refs/branches/main/"))[_RECORDS:-1]:
            self._store.delete(info.key)


class _Counted(StoreWrapper):
    """Adds what is read and written to `cost`."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.cost = Cost()

    def _call(
        self, operation: Operation, key: str, call: Callable[[], T], sent: Callable[[], bytes] | None = None
    ) -> T:
        answer = call()
        if operation == "create" and key.endswith(".parquet"):
            self.cost.part_bytes += len(sent()) if sent else 0
        elif operation == "create":
            self.cost.written += 1
            self.cost.written_bytes += len(sent()) if sent else 0
        elif operation == "read" and not key.endswith(".parquet"):
            self.cost.reads += 1
            self.cost.read_bytes += len(answer) if isinstance(answer, bytes) else 0
        return answer


def main() -> None:
    """Feed as many commits as the argument says (default: a month's) and print the samples."""
    commits = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else MONTH
    started = time.perf_counter()
    feed = Feed()
    for sample in feed.run(commits):
        sys.stdout.write(f"{sample}\n")
        sys.stdout.flush()
    took = time.perf_counter() - started
    sys.stdout.write(f"{commits:,} commits in {took:,.0f} s, {feed.written_parts:,} bytes of parts written\n")


if __name__ == "__main__":
    main()
