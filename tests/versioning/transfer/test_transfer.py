"""Commits travel between lakes: only what is missing, all or nothing to be seen, whoever dies when."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.stores import FileStore, MemoryStore, Store
from dataplat.testing.store_faults import CountingStore, CrashStore, SimulatedCrash
from dataplat.versioning._cache import forget_decoded
from dataplat.versioning.gc._log import Closed, Done, GcLog, Opened
from dataplat.versioning.gc.collect import Options, collect
from dataplat.versioning.gc.gone import collected
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.transfer import cloned, copy_objects, fetched, forwarded, is_ancestor, missing
from dataplat.versioning.transfer._branches import live_commits, tagged
from dataplat.versioning.transfer._collections import Renewal


def lake_on(store: Store) -> Lake:
    """Open what is in a store."""
    return Lake(store, "test", "memory")


def copied(store: MemoryStore) -> MemoryStore:
    """The same objects in another store."""
    other = MemoryStore()
    for info in store.list(""):
        other.create(info.key, store.read(info.key))
    return other


@pytest.fixture(scope="module")
def base() -> MemoryStore:
    """A lake with two datasets, a branch and a tag."""
    store = MemoryStore()
    create_lake(store)
    lake = lake_on(store)
    lake.ingest(pa.table({"id": range(200), "v": range(200)}), "d", key="id")
    lake.ingest(pa.table({"a": [1]}), "other")
    lake.branch("old")
    lake.tag("v1")
    lake.delete("d", "id = 0")
    return store


@pytest.fixture(scope="module")
def more(base: MemoryStore, tmp_path_factory: pytest.TempPathFactory) -> MemoryStore:
    """The same lake later: rows upserted and deleted, a tree of files, a branch merged in by hand."""
    store = copied(base)
    lake = lake_on(store)
    lake.ingest(pa.table({"id": [1, 300], "v": [7, 7]}), "d", mode="upsert")
    lake.delete("d", "id between 10 and 20")
    tree = tmp_path_factory.mktemp("tree")
    (tree / "large.bin").write_bytes(bytes(range(256)) * 8000)
    lake.ingest(tree, "tree")
    lake.tag("v2")
    return store


def objects_of(store: Store) -> set[str]:
    """Keys of all objects."""
    return {info.key for info in store.list("objects/")}


def bring(source: Store, target: Store) -> None:
    """Push main, and the tags, from one store to another."""
    ours, theirs = lake_on(source), lake_on(target)
    head = ours.refs.head("main").commit
    fetched(ours.io, theirs.io, [head])
    forwarded(ours.io, theirs.io, "main", head)
    tagged(theirs.io, ours.tags())


def test_ids_stay_and_the_same_is_not_sent_twice(base: MemoryStore, more: MemoryStore) -> None:
    """Afterwards both have the same versions; what the target had was neither read nor written, and once is enough."""
    target = CountingStore(copied(base))
    source = CountingStore(more)
    lacking = objects_of(more) - objects_of(base)
    bring(source, target)
    ours, theirs = lake_on(more), lake_on(target)
    assert objects_of(target.inner) == objects_of(more)
    assert target.calls["create"] == len(lacking) + 3  # the record, a tag and the lease for it
    assert [info.version for info in theirs.datasets()] == [info.version for info in ours.datasets()]
    assert theirs["tree@v2"].id == ours["tree"].id
    assert theirs.verify().ok
    parts = sum(info.size for info in more.list("objects/") if info.key in lacking and info.key.endswith(".parquet"))
    assert source.bytes["read"] < 2.2 * parts + sum(len(more.read(key)) for key in lacking) + 60_000
    target.reset()
    bring(more, target)
    assert target.calls["create"] == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_death_at_any_call(base: MemoryStore, more: MemoryStore, side: str, when: str) -> None:
    """The branch is where it was or where it should be, all that can be seen is whole, and a second run finishes."""
    whole = {info.name: info.version for info in lake_on(more).datasets()}
    before = {info.name: info.version for info in lake_on(base).datasets()}
    for at in count(1):
        target, source = copied(base), more
        crashing = CrashStore(target if side == "target" else source, at, when)  # type: ignore[arg-type]
        forget_decoded()
        try:
            bring(*((source, crashing) if side == "target" else (crashing, target)))
        except SimulatedCrash:
            seen = {info.name: info.version for info in lake_on(target).datasets()}
            assert seen in (before, whole)
            report = lake_on(target).verify()
            assert report.ok, report.problems
            bring(source, target)
        else:
            break
        assert {info.name: info.version for info in lake_on(target).datasets()} == whole
        assert objects_of(target) == objects_of(more)
    assert at > 20


def test_a_commit_is_there_only_when_all_it_needs_is(base: MemoryStore, more: MemoryStore) -> None:
    """Whatever call the writer dies at, every commit object in the target has its whole closure beside it."""
    for at in range(1, 200, 3):
        target = copied(base)
        crashing = CrashStore(target, at, "after", ("create",))
        with suppress(SimulatedCrash):
            bring(more, crashing)
        ours, theirs = lake_on(more), lake_on(target)
        head = ours.refs.head("main").commit
        for commit in [head, *missing(ours.objects, lake_on(base).objects, [head], []).commits]:
            if theirs.objects.exists(commit.id, ".json"):
                lacking = missing(ours.objects, theirs.objects, [commit], [])
                assert lacking.objects == {}
                assert all(theirs.objects.exists(before.id, ".json") for before in lacking.commits)
        if not crashing.dead:
            break


def test_branches_only_move_forward(base: MemoryStore, more: MemoryStore) -> None:
    """One that is ahead is left, one that has diverged is refused, and one that is not there is made."""
    ours, theirs = lake_on(more), lake_on(copied(base))
    old = lake_on(base).refs.head("main").commit
    assert forwarded(theirs.io, ours.io, "main", old).how == "ahead"
    head = ours.refs.head("main").commit
    fetched(ours.io, theirs.io, [head])
    assert forwarded(ours.io, theirs.io, "new", head).how == "new"
    theirs.delete("d", "id = 100")
    with pytest.raises(dp.CommitConflict, match="diverged"):
        forwarded(ours.io, theirs.io, "main", head)
    assert is_ancestor(theirs.objects, old, theirs.refs.head("main").commit)
    assert not is_ancestor(theirs.objects, head, theirs.refs.head("main").commit)


def test_damage_does_not_travel(base: MemoryStore, more: MemoryStore) -> None:
    """An object that is damaged or missing in the source stops the push: no branch moves, nothing bad is written."""
    for key in sorted(objects_of(more) - objects_of(base)):
        for damaged in (None, more.read(key)[:-1] + b"!"):
            source, target = copied(more), copied(base)
            source.delete(key)
            if damaged is not None:
                source.create(key, damaged)
            forget_decoded()
            before = lake_on(target).refs.head("main")
            ours = lake_on(source)
            try:
                bring(source, target)
            except (dp.IntegrityError, dp.ObjectNotFound):
                assert lake_on(target).refs.head("main") == before
            else:  # a commit is in the record, too: its object is written from there
                assert ours.refs.head("main").commit_id[2:] in key
            assert lake_on(target).verify().ok


def test_a_large_object_goes_from_file_to_file(tmp_path: Path, more: MemoryStore) -> None:
    """Two lakes on disk share no file, and a file whose bytes are not its name is not copied."""
    one, other = FileStore(tmp_path / "one"), FileStore(tmp_path / "other")
    for info in more.list(""):
        one.create(info.key, more.read(info.key))
    ours, theirs = lake_on(one), lake_on(other)
    cloned(ours.io, theirs.io)
    [large] = [info for info in other.list("objects/") if info.size > 1 << 20]
    assert Path(one.url(large.key)).stat().st_ino != Path(other.url(large.key)).stat().st_ino
    assert Path(other.url(large.key)).stat().st_nlink == 1
    object_id = large.key.removeprefix("objects/").replace("/", "").removesuffix(".bin")
    one.replace(large.key, one.read(large.key)[:-1] + b"!")
    other.delete(large.key)
    with pytest.raises(dp.IntegrityError, match="damaged"):
        copy_objects(ours.objects, theirs.objects, {(object_id, ".bin"): large.size})
    assert large.key not in objects_of(other)


def test_a_clone_has_the_history_too(base: MemoryStore, more: MemoryStore) -> None:
    """Records and tags are as they were written, deleted branches too; the id is another."""
    source = copied(more)
    lake = lake_on(source)
    lake.branch("gone")
    lake.delete("d", "id = 150", branch="gone")
    lake.delete_branch("gone")
    target = MemoryStore()
    made, _ = cloned(lake.io, lake_on(target).io)
    refs = {info.key: source.read(info.key) for info in source.list("refs/")}
    assert {info.key: target.read(info.key) for info in target.list("refs/")} == refs
    assert objects_of(target) == objects_of(source)
    assert made.id not in source.read("lake.json").decode()
    assert lake_on(target).verify().ok
    with pytest.raises(dp.AlreadyExists, match="a lake"):
        cloned(lake.io, lake_on(target).io)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_clone_that_was_killed_goes_on(more: MemoryStore, when: str) -> None:
    """Until it is finished it is no lake; a second run finishes it, whatever call the first died at."""
    refs = {info.key: more.read(info.key) for info in more.list("refs/")}
    for at in count(1, 2):
        target = MemoryStore()
        crashing = CrashStore(target, at, when, ("create",))  # type: ignore[arg-type]
        try:
            cloned(lake_on(more).io, lake_on(crashing).io)
        except SimulatedCrash:
            if "lake.json" not in {info.key for info in target.list("")}:
                cloned(lake_on(more).io, lake_on(target).io)
        else:
            break
        assert {info.key: target.read(info.key) for info in target.list("refs/")} == refs
        assert objects_of(target) == objects_of(more)
    assert at > 10


def test_history_that_grows_while_it_is_cloned(base: MemoryStore, more: MemoryStore) -> None:
    """What was committed after the records were read is not there, and all that is there is whole."""
    source = copied(base)
    told: list[int] = []

    def meanwhile(_: object) -> None:
        lake_on(source).delete("d", "id = 30")

    target = MemoryStore()
    cloned(lake_on(source).io, lake_on(target).io, told=told.append, found=meanwhile)
    assert sum(told) == sum(info.size for info in target.list("objects/"))
    assert lake_on(target)["d"].rows == 199
    assert lake_on(target).verify().ok


def test_versions_that_were_collected_do_not_travel(base: MemoryStore) -> None:
    """An old version that is gone in the source is left out where it was collected, and refused where it was not."""
    source = copied(base)
    lake = lake_on(source)
    old = lake["d@v1"]
    lake.store.delete(f"objects/{old.id[:2]}/{old.id[2:]}.json")
    lake.refs = type(lake.refs)(source)
    head = lake.refs.head("main").commit
    fresh = lake_on(source)
    with pytest.raises(dp.IntegrityError, match="missing"):
        missing(fresh.objects, lake_on(MemoryStore()).objects, [head], [])
    found = missing(
        fresh.objects, lake_on(MemoryStore()).objects, [head], [], collected=lambda version: version == old.id
    )
    assert found.collected == (("d", old.id),)
    assert (old.id, ".json") not in found.objects
    assert (fresh["d"].id, ".json") in found.objects


def test_what_is_live_is_counted_from(base: MemoryStore, more: MemoryStore) -> None:
    """A version is counted from the target's own: parts that both have are not asked for."""
    ours, theirs = lake_on(more), lake_on(base)
    lacking = missing(ours.objects, theirs.objects, [ours.refs.head("main").commit], live_commits(theirs.io))
    shared = {(part.id, ".parquet") for part in theirs["d"].parts}
    assert not shared & set(lacking.objects)
    assert lacking.nbytes == sum(
        info.size for info in more.list("objects/") if info.key in objects_of(more) - objects_of(base)
    )


def test_a_lake_of_which_versions_were_collected(base: MemoryStore) -> None:
    """What was collected in the source is known in a clone and in a lake pushed to: verification finds nothing wrong."""
    source = copied(base)
    lake = lake_on(source)
    for number in range(60, 64):
        lake.delete("d", f"id = {number}")
    collect(lake.objects, lake.refs, Options(keep="1", grace=0))
    assert collected(source)
    assert lake_on(source).verify().ok
    clone = MemoryStore()
    cloned(lake_on(source).io, lake_on(clone).io)
    assert set(collected(clone)) >= set(collected(source)) - set(collected(base))
    report = lake_on(clone).verify()
    assert report.ok, report.problems
    lake_on(clone).delete("d", "id = 64")
    pushed = copied(base)
    bring(clone, pushed)
    assert lake_on(pushed).verify().ok
    assert lake_on(pushed)["d"].to_arrow() == lake_on(clone)["d"].to_arrow()


def test_what_a_collection_may_delete_is_written_anew(base: MemoryStore, more: MemoryStore) -> None:
    """An object that is there, and that a collection may delete, is brought once more under a key of its own."""
    target = copied(base)
    ours, theirs = lake_on(more), lake_on(target)
    head = ours.refs.head("main").commit
    renewal = Renewal(ours.io, theirs.io)
    lacking = fetched(ours.io, theirs.io, [head])
    part = next(name for name in lacking.objects if name[1] == ".parquet")
    key = f"objects/{part[0][:2]}/{part[0][2:]}.parquet"
    opened = Opened(number=1, actor="gc", time=1, nonce="0", keys=[key])
    GcLog(target).write(opened, theirs.refs.patience)
    before = theirs.refs.head("main")
    theirs.refs.publish("main", before, before.commit, kind="fence", settings={"gc": [1], "gc_last": 1})
    forwarded(ours.io, theirs.io, "main", head, renew=renewal.ready(lacking))
    target.delete(key)  # as the collection would
    assert lake_on(target).verify().ok


def test_what_a_collection_that_ended_meanwhile_has_deleted(base: MemoryStore, more: MemoryStore) -> None:
    """It was under way when it was asked what is there, and nothing says so any more when the branch is moved."""
    target = copied(base)
    ours, theirs = lake_on(more), lake_on(target)
    head = ours.refs.head("main").commit
    settle = partial(theirs.refs.publish, "main", kind="fence")
    before = theirs.refs.head("main")
    before = settle(before, before.commit, settings={"gc": [1], "gc_last": 1})
    source = copied(more)
    for name in [n for n in missing(ours.objects, theirs.objects, [head], []).objects if n[1] == ".parquet"]:
        copy_objects(lake_on(source).objects, theirs.objects, {name: 0})  # of a push that was killed
    keys = [info.key for info in target.list("objects/") if info.key.endswith(".parquet")]
    keys = [key for key in keys if not any(info.key == key for info in base.list("objects/"))]
    renewal = Renewal(ours.io, theirs.io)
    lacking = fetched(ours.io, theirs.io, [head])
    for value in (
        Opened(number=1, actor="gc", time=1, nonce="0", keys=keys),
        Closed(number=1, actor="gc", time=1, nonce="0", keys=keys),
        Done(number=1, actor="gc", time=1, nonce="0", definite=True),
    ):
        GcLog(target).write(value, theirs.refs.patience)
    for key in keys:
        target.delete(key)
    settle(before, before.commit, settings={"gc_last": 1})
    forwarded(ours.io, theirs.io, "main", head, renew=renewal.ready(lacking))
    assert keys
    assert lake_on(target).verify().ok


def test_damage_beside_what_was_collected(base: MemoryStore) -> None:
    """Of a lake whose old versions were collected damage is found and named as ever."""
    source = copied(base)
    lake = lake_on(source)
    lake.delete("d", "id = 60")
    collect(lake.objects, lake.refs, Options(keep="1", grace=0))
    part = lake["d"].parts[0].id
    source.replace(f"objects/{part[:2]}/{part[2:]}.parquet", b"damaged")
    [problem] = lake_on(source).verify().problems
    assert f"d@id:{lake['d'].id[:12]}" in problem.versions


@pytest.mark.parametrize("branch", ["main", "fresh"])
def test_after_a_transfer_that_was_killed_beside_a_collection(
    base: MemoryStore, more: MemoryStore, branch: str
) -> None:
    """What only lies there may be going: what was brought before is brought again, commits too, wherever it began."""
    head = lake_on(more).refs.head("main").commit
    for died in (0, 2, 7, None):
        target = copied(base)
        fetched(lake_on(more).io, lake_on(target).io, [head])  # and killed before the branch moved
        real, seen = target.delete, []

        def again(target: MemoryStore = target) -> None:
            ours, theirs = lake_on(more), lake_on(target)
            renewal = Renewal(ours.io, theirs.io)
            lacking = fetched(ours.io, theirs.io, [head])
            forwarded(ours.io, theirs.io, branch, head, renew=renewal.ready(lacking))

        def delete(
            key: str, real: Callable[[str], None] = real, seen: list[str] = seen, died: int | None = died
        ) -> None:
            if key.startswith("objects/"):
                seen.append(key)
                if died is None and len(seen) == 1 and branch == "main":
                    again()  # between fence and delete
                if len(seen) == died:
                    raise SimulatedCrash("the collection")
            real(key)

        target.delete = delete  # type: ignore[method-assign]
        with suppress(SimulatedCrash):
            collect(lake_on(target).objects, lake_on(target).refs, Options(grace=0))
        target.delete = real  # type: ignore[method-assign]
        assert seen
        again()
        report = lake_on(target).verify()
        assert report.ok, report.problems
        assert lake_on(target)[f"d@{branch}"].to_arrow() == lake_on(more)["d"].to_arrow()


def test_tags_that_keep_nothing_any_more(base: MemoryStore) -> None:
    """A tag that expired stays in a clone, and is not sent; at one in the target nothing is taken to be whole."""
    source = copied(base)
    lake = lake_on(source)
    lake.ingest(pa.table({"id": [1], "v": [1]}), "d", mode="replace")
    lake.refs.create_tag("over", lake.refs.head("main").commit_id, expires=1)
    there = MemoryStore()
    cloned(lake.io, lake_on(there).io)
    theirs = lake_on(there)
    theirs.rollback("d~1")
    collect(theirs.objects, theirs.refs, Options(keep="1", grace=0))
    again = MemoryStore()
    cloned(lake_on(there).io, lake_on(again).io)
    assert lake_on(again).verify().ok
    assert lake_on(again).tags() == theirs.tags()
    head = lake.refs.head("main").commit
    renewal = Renewal(lake.io, lake_on(there).io)
    lacking = fetched(lake.io, lake_on(there).io, [head])
    forwarded(lake.io, lake_on(there).io, "back", head, renew=renewal.ready(lacking))
    assert lake_on(there)["d@back"].rows == 1


def test_a_clone_has_the_contracts_of_its_branches(tmp_path: Path) -> None:
    """What a protected branch is held to comes along: the clone asks it, and verifies."""
    contract = tmp_path / "c.py"
    contract.write_text(
        "import pandera.polars as pan\n\nPOSITIVE = pan.DataFrameSchema({'v': pan.Column(int, pan.Check.ge(0))})\n"
    )
    lake = dp.open(tmp_path / "here")
    lake.ingest(pa.table({"v": [1]}), "d")
    lake.protect("main", f"{contract}:POSITIVE", dataset="d")
    there = dp.clone(lake.url, tmp_path / "there")
    contract.unlink()
    assert there.verify().ok
    with pytest.raises(dp.ContractFailed):
        there.ingest(pa.table({"v": [-1]}), "d")


def test_a_source_that_is_collected_meanwhile(base: MemoryStore) -> None:
    """Versions that go while they are copied are left out; half of one that came before they went is no damage."""
    source = copied(base)
    lake = lake_on(source)
    for number in range(3):
        lake.ingest(pa.table({"id": [number], "v": [7]}), "d", mode="replace")
    target = MemoryStore()
    real, created = target.create, count(1)

    def create(key: str, data: bytes) -> None:
        real(key, data)
        if next(created) == 4:
            collect(lake_on(source).objects, lake_on(source).refs, Options(keep="1", grace=0))

    target.create = create  # type: ignore[method-assign]
    cloned(lake_on(source).io, lake_on(target).io)
    report = lake_on(target).verify()
    assert report.ok, report.problems
    assert collected(target)
    assert lake_on(target)["d"].to_arrow() == lake["d"].to_arrow()


def test_a_tag_is_not_given_to_what_is_being_collected(base: MemoryStore, more: MemoryStore) -> None:
    """A tag that comes with a push is refused as any other where a collection may take its versions away."""
    target = copied(base)
    ours, theirs = lake_on(more), lake_on(target)
    fetched(ours.io, theirs.io, [ours.refs.head("main").commit])
    name = ours["d@v2"].id
    opened = Opened(number=1, actor="gc", time=1, nonce="0", keys=[f"objects/{name[:2]}/{name[2:]}.json"])
    GcLog(target).write(opened, theirs.refs.patience)
    with pytest.raises(dp.CommitConflict, match="under way"):
        tagged(theirs.io, ours.tags())


def test_a_lake_that_lost_a_record_is_not_cloned(more: MemoryStore) -> None:
    """A gap in the history of a branch is said, not copied."""
    source = copied(more)
    source.delete(sorted(info.key for info in source.list("refs/branches/main/"))[1])
    target = MemoryStore()
    with pytest.raises(dp.IntegrityError, match="record . of branch 'main' is missing"):
        cloned(lake_on(source).io, lake_on(target).io)
    assert not list(target.list(""))
