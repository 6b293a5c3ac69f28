"""A compaction and what others did meanwhile: the rows are those that the others made, at every interleaving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given, settings

from dataplat._lake import Lake
from dataplat.errors import CommitConflict, IntegrityError
from dataplat.lake.content_id import content_id, digest
from dataplat.lake.digest import Digest
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.stores import MemoryStore
from dataplat.versioning.commit import Commit
from dataplat.versioning.compact import Run, Target, edit_of, plan_runs
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes import Base
from dataplat.versioning.modes.compact import rewrite_runs
from dataplat.versioning.publish import PlannedChange, commit

SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.string())])
TARGET = Target(rows=8)


def new_lake() -> Lake:
    """A lake in memory."""
    store = MemoryStore()
    create_lake(store)
    return Lake(store, "test", "memory")


def table(ids: range | list[int], v: str = "a") -> pa.Table:
    """Rows of these ids."""
    return pa.table({"id": list(ids), "v": [v] * len(ids)}, SCHEMA)


def rows(lake: Lake, reference: str = "d") -> list[tuple[int, str]]:
    """The rows of a version, in order."""
    found = lake[reference].to_arrow()
    return list(zip(found.column("id").to_pylist(), found.column("v").to_pylist(), strict=True))


@contextmanager
def compaction(lake: Lake, runs: list[Run] | None = None, target: Target = TARGET) -> Iterator[Callable[[], Commit]]:
    """Give a compaction that has read and written all it will; calling it commits it."""
    manifest = lake["d"].manifest
    with Stage(lake.store) as stage:
        base = Base(manifest, manifest.schema, manifest.key, manifest.sort, Objects(lake.store, stage), stage)
        runs = plan_runs(manifest.parts(), manifest.root.next, target) if runs is None else runs
        rewrites = tuple(rewrite_runs(base, runs, target))
        change = PlannedChange(
            dataset="d",
            mode="compact",
            base_version=manifest.id,
            edit=edit_of(rewrites, manifest.digest),
            rewrites=rewrites,
        )
        yield lambda: commit(lake.io, "main", [change], stage)


def feed(lake: Lake, parts: int = 6, size: int = 4) -> None:
    """Land ids from 0 in parts of `size` rows, keyed."""
    for at in range(parts):
        lake.ingest(table(range(at * size, at * size + size)), "d", key="id")


def assert_sound(lake: Lake) -> None:
    """Every stored digest, count and statistic is that of the rows; the content id is computed the same anew."""
    assert lake.verify().ok
    found = lake["d"].to_arrow()
    assert lake["d"].content_id == content_id(digest(found.to_batches()), found.schema)


def test_nothing_happened_meanwhile() -> None:
    """Rows, order, content id and every old version stay; the parts are fewer and hold no deleted rows."""
    lake = new_lake()
    feed(lake)
    lake.delete("d", "id % 3 = 1")
    before, ident = rows(lake), lake["d"].content_id
    with compaction(lake) as finish:
        made = finish()
    after = lake["d"].manifest
    assert (rows(lake), lake["d"].content_id, rows(lake, "d@main~1")[:2]) == (before, ident, [(0, "a"), (1, "a")])
    assert (after.n_parts, after.deleted) == (2, 0)
    assert made.changes["d"].mode == "compact"
    assert (made.changes["d"].rows_added, made.changes["d"].rows_deleted) == (0, 0)
    assert_sound(lake)


steps = st.one_of(
    st.tuples(st.just("delete"), st.integers(0, 23), st.integers(1, 12)),
    st.tuples(st.just("upsert"), st.integers(0, 30), st.integers(1, 8)),
    st.tuples(st.just("append"), st.integers(100, 10_000), st.integers(1, 5)),
    st.tuples(st.just("compact"), st.integers(0, 5), st.integers(1, 6)),
)


def do(lake: Lake, step: tuple[str, int, int]) -> None:
    """Do one thing to the dataset."""
    kind, at, count = step
    if kind == "delete":
        lake.delete("d", f"id >= {at} and id < {at + count}")
    elif kind == "compact":
        parts = lake["d"].manifest.parts()
        span = tuple(parts[at : at + count])
        if span:
            end = parts[at + count].place if at + count < len(parts) else lake["d"].manifest.root.next
            with compaction(lake, [Run(span, end)]) as finish:
                finish()
    else:
        lake.ingest(table(range(at, at + count), "b"), "d", mode="upsert")


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=3), st.lists(steps, min_size=1, max_size=4))
def test_what_others_did_meanwhile_holds(
    before: list[tuple[str, int, int]], meanwhile: list[tuple[str, int, int]]
) -> None:
    """The rows after the compaction are those before it in any case, in their order, or it gave up."""
    lake = new_lake()
    feed(lake)
    for step in before:
        do(lake, step)
    manifest = lake["d"].manifest
    if not plan_runs(manifest.parts(), manifest.root.next, TARGET):
        return
    with compaction(lake) as finish:
        for step in meanwhile:
            do(lake, step)
        expected, head = rows(lake), lake.refs.head("main").commit_id
        try:
            finish()
        except CommitConflict:
            assert lake.refs.head("main").commit_id == head
    assert rows(lake) == expected
    assert_sound(lake)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda lake: lake.ingest(table([1, 2]), "d", mode="replace"),
        lambda lake: lake.rollback("d@main~2"),
        lambda lake: lake.ingest(pa.table({"id": [77], "v": ["a"], "w": [1.5]}), "d"),
        lambda lake: lake.drop("d"),
        lambda lake: lake.delete("d", "id >= 0"),
        lambda lake: lake.compact("d"),
    ],
)
def test_it_gives_up(meanwhile: Callable[[Lake], object]) -> None:
    """Where the rows were replaced, brought back, given other columns, dropped or compacted, nothing is done."""
    lake = new_lake()
    feed(lake)
    lake.delete("d", "id = 5")
    with compaction(lake) as finish:
        meanwhile(lake)
        head = lake.refs.head("main").commit_id
        with pytest.raises(CommitConflict):
            finish()
    assert lake.refs.head("main").commit_id == head


def test_runs_that_others_left_alone_are_still_done() -> None:
    """Of two runs the one that somebody else rewrote is theirs, the other ours."""
    lake = new_lake()
    feed(lake)
    parts, end = lake["d"].manifest.parts(), lake["d"].manifest.root.next
    runs = [Run(tuple(parts[:2]), parts[2].place), Run(tuple(parts[4:]), end)]
    before = rows(lake)
    with compaction(lake, runs) as finish:
        do(lake, ("compact", 0, 2))
        finish()
    assert [part.rows for part in lake["d"].manifest.parts()] == [8, 4, 4, 8]
    assert rows(lake) == before
    assert_sound(lake)


def test_places_of_parts_that_came_and_went_meanwhile_are_left_alone() -> None:
    """Where another compaction put a part whose rows were all deleted since, none of ours would be seen."""
    lake = new_lake()
    feed(lake, 3)
    first = lake["d"].manifest
    with compaction(lake, [Run(tuple(first.parts()), first.root.next)], Target()) as finish_first:
        for at in (12, 16, 20):
            lake.ingest(table(range(at, at + 4)), "d", key="id")
        second = lake["d"].manifest
        with compaction(lake, [Run(tuple(second.parts()), second.root.next)], Target()) as finish:
            finish_first()
            lake.delete("d", "id < 12")
            lake.ingest(table([100]), "d", key="id")
            expected = rows(lake)
            with pytest.raises(CommitConflict, match="faster"):
                finish()
    assert rows(lake) == expected
    assert_sound(lake)


def test_other_rows_than_the_manifest_says_are_not_committed() -> None:
    """Where a part's digest is not that of its rows the compaction stops, and the branch stays."""
    lake = new_lake()
    feed(lake, 2)
    manifest = lake["d"].manifest
    first = manifest.parts()[0]
    wrong = Digest(first.rows, first.digest.lane0 ^ 1, first.digest.lane1)
    with Stage(lake.store) as stage:
        from dataclasses import replace

        change = PlannedChange(
            dataset="d", mode="append", base_version=manifest.id,
            edit=ManifestEdit(add=[replace(first, digest=wrong, place=-1)]),
        )  # fmt: skip
        change = replace(change, keys_overlap=lambda _: [])
        commit(lake.io, "main", [change], stage)
    head = lake.refs.head("main").commit_id
    with pytest.raises(IntegrityError, match="wrote other rows"):
        lake.compact("d")
    assert lake.refs.head("main").commit_id == head
