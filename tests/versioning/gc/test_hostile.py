"""Collections that are stopped half-way, odd files in the store, what was collected and came back, trees of files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.errors import ConfigError, IntegrityError
from dataplat.lake._object_keys import object_key
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import SimulatedCrash
from dataplat.versioning._cache import forget_decoded
from dataplat.versioning.gc._leases import take_lease
from dataplat.versioning.gc._log import Closed, Done, GcLog
from dataplat.versioning.gc._retention import Rule
from dataplat.versioning.gc.collect import Options, collect
from dataplat.versioning.gc.gone import collected
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.transfer import cloned


def replaced(lake: Lake, *values: int) -> None:
    """Make each of the values the only row of `t`, one commit after the other."""
    for value in values:
        lake.ingest(pa.table({"id": [value]}), "t", mode="replace")


def fresh(lake: Lake) -> Lake:
    """What a new process sees."""
    forget_decoded()
    return Lake(lake.store, "test", "memory")


def keys(lake: Lake) -> set[str]:
    """Keys of all objects."""
    return {info.key for info in lake.store.list("objects/")}


def test_a_collection_that_dies_between_deletes(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions that went by halves are no damage, and the next collection takes the rest."""
    replaced(memory_lake, 1, 2, 3)
    store = memory_lake.store
    real, deleted = store.delete, []

    def delete(key: str) -> None:
        if key.startswith("objects/"):
            deleted.append(key)
            if len(deleted) % 3 == 0:
                raise SimulatedCrash(key)
        real(key)

    monkeypatch.setattr(store, "delete", delete)
    for _ in range(9):
        try:
            collect(fresh(memory_lake).objects, memory_lake.refs, Options(keep="1", grace=0))
        except SimulatedCrash:
            report = fresh(memory_lake).verify()
            assert report.ok, report.problems
        else:
            break
    assert len(collected(store)) == 2
    assert len(deleted) > 6
    assert fresh(memory_lake).verify().orphans == 0


def test_a_version_that_a_branch_stands_at_is_missed_though_it_was_collected(memory_lake: Lake) -> None:
    """What was collected, and came back with a pull, is needed again: that it is gone is damage."""
    replaced(memory_lake, 1)
    log, version = GcLog(memory_lake.store), memory_lake["t"].id
    log.write(Closed(number=1, actor="gc", time=1, nonce="0", versions={"t": [version]}), memory_lake.refs.patience)
    log.write(Done(number=1, actor="gc", time=1, nonce="0", definite=True), memory_lake.refs.patience)
    assert fresh(memory_lake).verify().ok
    memory_lake.store.delete(object_key(version, ".json"))
    assert [problem.kind for problem in fresh(memory_lake).verify().problems] == ["missing"]
    replaced(memory_lake, 2)
    assert fresh(memory_lake).verify().ok


def test_what_came_back_can_be_tagged_and_branched_at_once(memory_lake: Lake) -> None:
    """Where deletes may land late, an object written anew is safe, though its old key stays condemned for a week."""
    replaced(memory_lake, 1, 2)
    assert not memory_lake.gc("1", grace="0s").done.definite
    replaced(memory_lake, 1)
    memory_lake.tag("back")
    memory_lake.branch("exp")
    replaced(memory_lake, 3)
    memory_lake.rollback("t~1")
    for key in GcLog(memory_lake.store).keys(1):
        memory_lake.store.delete(key)  # once more, late
    assert fresh(memory_lake).verify().ok


def test_odd_files_are_left_alone(memory_lake: Lake) -> None:
    """Files that are not the lake's neither stop a collection nor go; so do copies beside objects."""
    replaced(memory_lake, 1, 2)
    odd = ["gc/notes.txt", "objects/README", f"{min(keys(memory_lake))}.bak", "objects/ab/Thumbs.db"]
    odd += [f"{folder}/.DS_Store" for folder in ("refs", "refs/branches", "refs/branches/main", "refs/tags", "leases")]
    for key in odd:
        memory_lake.store.create(key, b"mine")
    lake = fresh(memory_lake)
    lake.gc("1", grace="0s")
    lake.tag("v")
    assert len(lake.branches()) == len(lake.tags()) == 1
    replaced(fresh(memory_lake), 3)
    cloned(fresh(memory_lake).io, Lake(MemoryStore(), "test", "memory").io)
    assert {w.key for w in fresh(memory_lake).verify().warnings} >= {key for key in odd if key.startswith("refs")}
    assert all(memory_lake.store.read(key) == b"mine" for key in odd)
    assert fresh(memory_lake).verify().ok


def test_a_tag_that_names_nothing(memory_lake: Lake) -> None:
    """Where what a tag names is not there, nothing is collected, and verification is pointed to."""
    replaced(memory_lake, 1, 2)
    tag = memory_lake.tag("v")
    memory_lake.store.delete(tag.key)
    memory_lake.refs._put_tag(
        type(tag)(**{**{f: getattr(tag, f) for f in tag.__struct_fields__}, "commit_id": "0" * 64})
    )
    before = keys(memory_lake)
    with pytest.raises(IntegrityError, match="verify"):
        fresh(memory_lake).gc("1", grace="0s")
    assert keys(memory_lake) == before
    assert any("v" in problem.refs for problem in fresh(memory_lake).verify().problems)


@pytest.mark.parametrize("text", ["0", "-1", "²", "1d 2", "10;30d", "d", "1.5", "all!", ",", "1e3"])
def test_nonsense_is_no_rule(text: str) -> None:
    """What is no rule is refused as such."""
    with pytest.raises(ConfigError):
        Rule.parse(text)


def test_files_of_trees(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Files that only collected versions of a tree name go, those that one that stays names do not."""
    store = MemoryStore()
    create_lake(store)
    lake = Lake(store, "test", "memory")
    tree = tmp_path_factory.mktemp("tree")
    for name in ("stays", "goes", "changes"):
        (tree / name).write_bytes(name.encode() * 300_000)
    lake.ingest(tree, "tree")
    (tree / "goes").unlink()
    (tree / "changes").write_bytes(b"new" * 500_000)
    lake.ingest(tree, "tree", mode="replace")
    files = {info.key for info in store.list("objects/") if info.size > 1_000_000}
    lake.gc("2", grace="0s")
    assert files <= keys(lake)
    assert len(files) == 4
    assert lake.gc("1", grace="0s").done.versions == 1
    assert len(files & keys(lake)) == 2
    out = tmp_path_factory.mktemp("out") / "tree"
    fresh(lake)["tree"].export(out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {p.name: p.read_bytes() for p in tree.iterdir()}
    assert fresh(lake).verify().ok
    there = MemoryStore()
    cloned(fresh(lake).io, Lake(there, "test", "memory").io)
    assert Lake(there, "test", "memory").verify().ok
    missing = min(info.key for info in store.list("objects/") if info.size > 1_400_000)
    store.delete(missing)
    assert [problem.key for problem in fresh(lake).verify().problems] == [missing]


def test_a_collection_that_took_the_number_of_a_branch(memory_lake: Lake) -> None:
    """That a branch which is created anew elsewhere was barred in between is no damage."""
    replaced(memory_lake, 1, 2)
    memory_lake.branch("exp", "main~1")
    memory_lake.delete_branch("exp")
    with take_lease(memory_lake.refs, "write", commits=[memory_lake.refs.head("main").commit_id], branch="exp"):
        memory_lake.gc("1", grace="0s")
    memory_lake.branch("exp")
    assert [record.kind for record in memory_lake.refs.log("exp")] == ["create", "delete", "delete", "create"]
    assert fresh(memory_lake).verify().ok


def test_the_content_id_of_what_was_made_from_a_collected_version(memory_lake: Lake) -> None:
    """It is computed from the version alone, as if nothing had been collected."""
    memory_lake.ingest(pa.table({"id": range(9)}), "t", key="id")
    memory_lake.delete("t", "id = 1")
    memory_lake.gc("1", grace="0s")
    memory_lake.ingest(pa.table({"id": [0, *range(2, 9)]}), "same")
    assert fresh(memory_lake)["t"].content_id == fresh(memory_lake)["same"].content_id


def test_a_branch_whose_last_checked_version_was_collected(tmp_path: Path) -> None:
    """A protected branch takes commits as before: all rows are looked at."""
    contract = tmp_path / "c.py"
    contract.write_text("import pandera.polars as pan\n\nC = pan.DataFrameSchema({'id': pan.Column(int)})\n")
    lake = dp.open(tmp_path / "lake")
    replaced(lake, 1, 2)
    lake.gc("1", grace="0s")
    lake.protect("main", f"{contract}:C", dataset="t")
    head = lake.refs.head("main")
    held = {**head.settings["contracts"]["t"], "version": min(collected(lake.store))}
    lake.refs.publish("main", head, head.commit, kind="protect", settings={"contracts": {"t": held}})
    forget_decoded()
    lake = dp.open(tmp_path / "lake")
    replaced(lake, 4)
    assert lake["t"].to_arrow()["id"].to_pylist() == [4]


def test_a_writer_that_is_overtaken_by_a_commit_and_a_collection(memory_lake: Lake) -> None:
    """What it planned on is gone when it comes to commit: it plans again, and lands."""
    memory_lake.ingest(pa.table({"id": [1], "v": [1]}), "t", key="id")
    schema = pa.schema([("id", pa.int64()), ("v", pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        fresh(memory_lake).ingest(pa.table({"id": [1, 2], "v": [2, 2]}), "t", mode="upsert")
        fresh(memory_lake).gc("1", grace="0s")
        yield pa.record_batch([[3], [3]], schema=schema)

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    memory_lake.ingest(reader, "t", mode="upsert")
    assert fresh(memory_lake)["t"].rows == 3
    assert fresh(memory_lake).verify().ok


@pytest.mark.parametrize("kind", [".open", ".closed", ".done", ".json"])
def test_a_damaged_log_or_lease_has_a_way_out(memory_lake: Lake, kind: str) -> None:
    """Verification names it with what to do, and once that is done collections and commits go on."""
    replaced(memory_lake, 1, 2)
    memory_lake.gc("1", grace="0s")
    take_lease(memory_lake.refs, "read", versions=[memory_lake["t"].id])
    replaced(memory_lake, 3, 4)
    store = memory_lake.store
    key = next(info.key for prefix in ("gc/", "leases/") for info in store.list(prefix) if info.key.endswith(kind))
    data = store.read(key)
    store.delete(key)
    store.create(key, data[:-9] + b"xx" + data[-7:])
    if kind == ".open":
        store.delete(f"{key.removesuffix(kind)}.closed")
        store.delete(f"{key.removesuffix(kind)}.done")
    damaged = [problem for problem in fresh(memory_lake).verify().problems if problem.key == key]
    assert ("elete that file" if kind != ".open" else "dataplat version gc") in damaged[0].what
    if kind == ".open":
        with pytest.raises(IntegrityError, match="gc"):
            replaced(fresh(memory_lake), 5)
    else:
        with pytest.raises(IntegrityError, match="elete that file"):
            fresh(memory_lake).gc("1", grace="0s")
        store.delete(key)
    fresh(memory_lake).gc("1", grace="0s")
    replaced(fresh(memory_lake), 6)
    fresh(memory_lake).tag("v")
    assert fresh(memory_lake)["t"].to_arrow()["id"].to_pylist() == [6]
