"""Compaction by tasks of Spark: they write, the driver commits once."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dataplat as dp
from dataplat._spark._engine import SparkEngine
from dataplat.errors import EngineError, IntegrityError
from dataplat.lake.engine import Local
from dataplat.versioning.compact import plan_runs
from dataplat.versioning.modes import compact as compaction


def made(folder, parts=12):
    """Return a lake of small parts with deletes."""
    lake = dp.open(folder)
    for number in range(parts):
        numbers = range(number * 500, number * 500 + 500)
        lake.ingest(pa.table({"n": numbers, "s": [sha256(b"%d" % n).hexdigest() for n in numbers]}), into="t")
    lake.delete("t", "n % 10 = 3")
    return lake


@pytest.fixture(params=["local", "spark"])
def engine(request):
    """Return each of the engines."""
    return Local() if request.param == "local" else SparkEngine(request.getfixturevalue("spark"))


def test_rows_and_content_id_stay(tmp_path, engine, reads):
    """Fewer parts hold the same rows in the same order, without deletes, and a second time nothing is to do."""
    lake = made(tmp_path / "lake")
    before, rows = lake["t"], lake["t"].to_arrow()
    reads.clear()
    done = lake.compact("t", engine=engine, target_bytes=60_000)
    assert bool(reads.parts) == (engine.name == "local")
    after = lake["t"]
    assert after.content_id == before.content_id
    assert after.to_arrow().equals(rows)
    assert done.written < done.replaced
    assert done.new_bytes >= sum(part.size for part in after.parts)
    assert not any(part.deleted for part in after.parts)
    assert lake.compact("t", engine=engine, target_bytes=60_000).commit is None


def test_neighbours_fill_parts():
    """A task takes as many neighbours as fill a part, and none is left out."""
    parts = made_parts(rows=[400, 400, 300, 2000, 100, 100])
    target = compaction.Target(nbytes=1 << 30, rows=1000)
    groups = compaction.filled(parts, target)
    assert [[part.rows for part in group] for group in groups] == [[400, 400], [300], [2000], [100, 100]]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12), st.data())
def test_what_tasks_make_is_not_made_again(rows, data):
    """Whatever the parts and their deletes: tasks cut otherwise than one process, and a second plan is empty, too."""
    target = compaction.Target(nbytes=1 << 30, rows=1000)
    deleted = [data.draw(st.integers(0, count)) for count in rows]
    parts = [replace(part, deleted=gone) for part, gone in zip(made_parts(rows), deleted, strict=True)]
    parts = [replace(part, place=at * 1000) for at, part in enumerate(parts)]
    runs = {run.parts[0].id: run for run in plan_runs(parts, len(parts) * 1000, target)}
    after, at = [], 0
    while at < len(parts):
        run = runs.get(parts[at].id)
        if run is None:
            after.append(parts[at])
            at += 1
        else:
            lives = (sum(part.live for part in group) for group in compaction.filled(run.parts, target))
            after += [replace(parts[at], rows=live, size=live * 8, deleted=0) for live in lives if live]
            at += len(run.parts)
    after = [replace(part, place=number * 1000) for number, part in enumerate(after)]
    assert not plan_runs(after, len(after) * 1000, target)


def made_parts(rows):
    """Return parts of so many rows."""
    from dataplat.lake.digest import Digest
    from dataplat.lake.part import Part

    return [Part(f"{number:064x}", count, count * 8, "", Digest()) for number, count in enumerate(rows)]


def test_a_task_that_dies_leaves_nothing_that_counts(tmp_path, spark):
    """The branch does not move, and what others wrote is named by nothing: a collection takes it."""
    lake = made(tmp_path / "lake", parts=3)
    head = lake.refs.head("main").commit.id
    with pytest.raises(EngineError, match="exited unexpectedly"):
        lake.compact("t", engine=Dying(SparkEngine(spark)))
    assert lake.refs.head("main").commit.id == head
    assert lake["t"].to_arrow().num_rows == lake["t"].rows
    assert lake.verify().ok


class Dying:
    """An engine whose tasks write, and then lose their process."""

    name = "dying"

    def __init__(self, engine):
        self.engine = engine

    def map(self, function, items):
        """Have tasks do their work, and die of it."""

        def die(item):
            function(item)
            os._exit(9)

        return self.engine.map(die, items)


def test_a_task_tried_twice_writes_the_same(tmp_path, spark):
    """Two attempts at one group of parts leave one object."""
    lake = made(tmp_path / "lake", parts=3)
    version = lake["t"]
    rewriting = compaction.Rewriting(version.objects, version.id, compaction.Target())
    one, two = SparkEngine(spark).map(rewriting, [version.parts, version.parts])
    assert [part.id for part in one.parts] == [part.id for part in two.parts]
    assert sorted([one.nbytes, two.nbytes])[1] == sum(part.size for part in one.parts)


def test_rows_that_were_written_wrongly_are_not_committed(tmp_path, spark):
    """A task checks what it wrote against what the parts are said to hold."""
    lake = made(tmp_path / "lake", parts=3)
    head = lake.refs.head("main").commit.id
    with pytest.raises(IntegrityError, match="wrote other rows than they hold"):
        lake.compact("t", engine=Losing(SparkEngine(spark)))
    assert lake.refs.head("main").commit.id == head


class Losing:
    """An engine whose tasks lose rows while they write."""

    name = "losing"

    def __init__(self, engine):
        self.engine = engine

    def map(self, function, items):
        """Have tasks write one batch less than there is."""

        def lose(item):
            from dataplat.versioning.modes import compact

            scan = compact.scan

            def fewer(objects, parts, schema):
                found = list(scan(objects, parts, schema))
                return iter([batch.slice(1) for batch in found])

            compact.scan = fewer
            try:
                return function(item)
            finally:
                compact.scan = scan

        return self.engine.map(lose, items)
