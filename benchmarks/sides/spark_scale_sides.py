"""What the driver does for a version of many parts: the parts are entries alone, and no task runs; the last line is JSON.

python spark_scale_sides.py make FOLDER PARTS
python spark_scale_sides.py open|read|validate|profile|compact FOLDER

Requests and bytes are those that the driver asks of a store, counted at its files. What tasks would answer is made here, once,
and pickled as often as there are answers.
"""

from __future__ import annotations

import json
import pickle
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

import dataplat as dp
from dataplat._version import Version
from dataplat.lake.digest import Digest
from dataplat.lake.objects import Stage
from dataplat.lake.part import ColumnStats, Part
from dataplat.lake.stores import FileStore
from dataplat.versioning.manifest import ManifestEdit, load_manifest

AT_ONCE = 5000
ROWS = 1000
calls: Counter[str] = Counter()


class Answers:
    """An engine whose tasks all answer alike; it counts what would travel."""

    name = "counts"

    def __init__(self, answer: Callable[[Any, Any], Any]) -> None:
        self.answer = answer

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Yield the answers, as they arrive."""
        from pyspark import cloudpickle

        calls["sent"] += len(cloudpickle.dumps(function))
        for item in items:
            calls["sent"] += len(cloudpickle.dumps(item))
            body = pickle.dumps(self.answer(function, item))
            calls["returned"] += len(body)
            yield pickle.loads(body)  # noqa: S301 - made here


def entry(chance: random.Random, number: int) -> Part:
    """Return what a manifest knows of a part that is nowhere."""
    low = number * ROWS
    stats = {
        "id": ColumnStats(0, 0, low, low + ROWS - 1),
        "delay": ColumnStats(10, 0, -5.0, 500.0),
        "carrier": ColumnStats(0, 0, "AA", "ZZ"),
        "n": ColumnStats(0, 0, 0, ROWS - 1),
    }
    return Part(chance.randbytes(32).hex(), ROWS, 4 << 20, chance.randbytes(32).hex(), Digest(), stats)


def make(folder: Path, parts: int) -> None:
    """Make a version of so many parts and one that is there; write down its id."""
    lake = dp.open(folder / "lake")
    numbers = range(ROWS)
    seed = {"id": numbers, "delay": [float(i) for i in numbers], "carrier": ["AA"] * ROWS, "n": numbers}
    lake.ingest(pa.table(seed), into="t")
    manifest, chance = lake["t"].manifest, random.Random(parts)
    for at in range(0, parts, AT_ONCE):
        with Stage(lake.store) as stage:
            some = [entry(chance, number) for number in range(at, min(at + AT_ONCE, parts))]
            manifest = manifest.apply(ManifestEdit(add=some), stage)
            stage.flush()
    (folder / "version").write_text(manifest.id)


def count_requests() -> None:
    """Count what is asked of files from now on."""
    read, create = FileStore.read, FileStore.create

    def counted_read(self: FileStore, *given: Any, **more: Any) -> bytes:
        found = read(self, *given, **more)
        calls["requests"] += 1
        calls["read"] += len(found)
        return found

    def counted_create(self: FileStore, key: str, data: bytes) -> Any:
        calls["requests"] += 1
        calls["written"] += len(data)
        return create(self, key, data)

    FileStore.read = counted_read  # type: ignore[method-assign]
    FileStore.create = counted_create  # type: ignore[method-assign,assignment]


def opened(version: Version) -> None:
    """List all parts."""
    assert sum(1 for _ in version.parts) == version.manifest.n_parts


def read(version: Version) -> None:
    """Plan a read by `format("dataplat")`: what Spark is given for its tasks."""
    from dataplat._spark._read import GROUP, Parts, grouped

    plain = [replace(part, stats={}) for part in version.parts if part.live]
    for some in grouped(plain, GROUP):
        calls["sent"] += len(pickle.dumps(Parts(some)))


def validate(version: Version) -> None:
    """Hold it to four checks that statistics leave open, each of which fails ten rows of a task."""
    import pandera.polars as pp

    from dataplat.validation._look import Seen, Told
    from dataplat.validation.report import Example

    class Asked(pp.DataFrameModel):
        id: int = pp.Field(ge=500)
        delay: float = pp.Field(lt=480, nullable=True)
        carrier: str = pp.Field(isin=["AA", "BB"])
        n: int = pp.Field(lt=990)

    def answer(_: Any, todo: Any) -> Any:
        numbers = sorted({number for _, pending in todo for number in pending})
        examples = tuple(Example(row, "x", (), "p" * 64) for row in range(10))
        rows = sum(block.rows for block, _ in todo)
        return Seen({}, {number: Told(80, examples, "", {"scanned": rows}) for number in numbers}, rows)

    version.validate(Asked, engine=Answers(answer))


def profile(version: Version) -> None:
    """Profile it; all tasks answer with the profile of the part that is there."""
    known: list[Any] = []
    there = replace(version.parts[0], stats={})

    def answer(look: Any, _: Any) -> Any:
        known[:] = known or [look([there])]
        return known[0]

    version.profile(engine=Answers(answer))


def compact(version: Version) -> None:
    """Plan a compaction of parts of 4 MB, and take what tasks would have written."""
    from dataplat.lake.objects import Objects
    from dataplat.versioning.compact import Target, plan_runs
    from dataplat.versioning.modes import Base
    from dataplat.versioning.modes.compact import Rewritten, rewrite_runs

    manifest, target, store = version.manifest, Target(rows=1 << 40), version.objects.store
    chance = random.Random(0)
    engine = Answers(lambda _, parts: Rewritten([entry(chance, 0)], sum(part.size for part in parts)))
    with Stage(store) as stage:
        base = Base(manifest, manifest.schema, manifest.key, manifest.sort, Objects(store, stage), stage)
        runs = plan_runs(manifest.parts(), manifest.root.next, target)
        assert sum(1 for _ in rewrite_runs(base, runs, target, None, engine)) == len(runs)


STAGES = {"open": opened, "read": read, "validate": validate, "profile": profile, "compact": compact}


def main(stage: str, folder: Path) -> None:
    """Do one stage and print what it asked for."""
    lake = dp.open(folder / "lake")
    first = lake["t"]
    count_requests()
    start = time.process_time()
    version = Version(lake.objects, "t", load_manifest(lake.objects, (folder / "version").read_text()), first.commit)
    STAGES[stage](version)
    print(json.dumps({"cpu_s": time.process_time() - start, **calls}))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(sys.argv[1], Path(sys.argv[2]))
