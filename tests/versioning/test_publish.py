"""Commits land whole or not at all, on the head as it is."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dataplat.errors import (
    AlreadyExists,
    BadName,
    BranchNotFound,
    CommitConflict,
    DatasetNotFound,
    KeyConflict,
    PositionConflict,
)
from dataplat.lake.deletes import decode, stage_deletes
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.stores import FileStore
from dataplat.testing.store_faults import CrashStore, SimulatedCrash
from dataplat.versioning import publish
from dataplat.versioning.commit import Check, Input
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.manifest import ManifestEdit, load_manifest
from dataplat.versioning.publish import LakeIO, PlannedChange, commit
from dataplat.versioning.refs import Refs


def test_commit_says_what_it_did(lake, make_part):
    """Mode, versions, counts, lineage and checks are in the commit; the head is that commit."""
    first = lake.append(1, 2, message="two parts", lineage=[Input(name="raw", version="v")])
    second = lake.publish(lake.change(3, checks=[Check(name="c", ok=True)]), author="bert")
    change = second.changes["orders"]
    assert (change.mode, change.base, change.before) == ("append", first.changes["orders"].version, first.id)
    assert (change.rows, change.rows_added, change.rows_deleted, change.bytes) == (30, 10, 0, 306)
    assert change.checks == (Check(name="c", ok=True),)
    assert first.changes["orders"].lineage == (Input(name="raw", version="v"),)
    assert (first.message, first.author, second.author) == ("two parts", "anna", "bert")
    assert second.parents == (first.id,)
    assert lake.refs.head("main").commit == second


def test_all_is_on_the_disk_before_the_record_has_a_name(tmp_path, make_part, monkeypatch):
    """Objects, their folders and the record's bytes are synced before its link, its folder before commit returns."""
    store = FileStore(tmp_path)
    lake = LakeIO(Objects(store), Refs(store))
    create_lake(store, lake.refs)
    edit = ManifestEdit(add=[make_part(1)], schema_json=[{"name": "id", "type": "int64", "nullable": False}])
    events = []
    fsync, link = os.fsync, os.link
    monkeypatch.setattr(
        os, "fsync", lambda fd: (path := str(Path(f"/proc/self/fd/{fd}").readlink()), fsync(fd), events.append(path))
    )
    monkeypatch.setattr(os, "link", lambda source, target: (link(source, target), events.append((source, target))))
    with Stage(store) as stage:
        commit(lake, "main", [PlannedChange(dataset="orders", mode="append", edit=edit)], stage)
    links = [event for event in events if isinstance(event, tuple)]
    published = events.index(links[-1])
    assert [os.path.relpath(target, tmp_path).split("/")[0] for _, target in links] == ["objects"] * 3 + ["refs"]
    assert events[published + 1 :] == [str(Path(links[-1][1]).parent)]
    for source, target in links:
        assert source in events[: events.index((source, target))]
    for source, target in links[:-1]:
        assert str(Path(target).parent) in events[events.index((source, target)) : published]


def test_deletes_are_counted(lake, make_part):
    """Rows deleted are those that the version has less."""
    lake.append(1, 2)
    edit = ManifestEdit(deletes={make_part(1).id: ("d" * 64, 4)}, drop=[make_part(2).id])
    made = lake.publish(lake.change(mode="delete", edit=edit, where="id < 3"))
    change = made.changes["orders"]
    assert (change.rows, change.rows_added, change.rows_deleted, change.where) == (6, 0, 14, "id < 3")


def test_stale_append_is_rebased(lake):
    """A change that was planned before somebody else's commit lands behind it."""
    lake.append(1)
    stale = lake.change(3)
    lake.append(2)
    lake.publish(stale)
    assert lake.manifest().rows == 30


def test_several_datasets_land_together_or_not_at_all(lake):
    """If one of the changes does not hold, none lands."""
    good = lake.change(1, dataset="a")
    bad = lake.change(2, dataset="b", starts={"s": 5})
    with pytest.raises(PositionConflict):
        lake.publish(good, bad)
    assert lake.refs.head("main").number == 0
    both = lake.publish(good, replace(bad, starts={}))
    assert both.changes.keys() == {"a", "b"}


def test_dataset_twice_in_a_commit_is_a_mistake(lake):
    """One change per dataset, also through a rename."""
    with pytest.raises(ValueError, match="changes each dataset once"):
        lake.publish(lake.change(1), lake.change(2))


def test_slower_of_two_readers_stops(lake):
    """Two that read one source from the same position: the second gets PositionConflict, and nothing of it lands."""
    lake.append(1, starts={"s": None}, positions={"s": 10})
    slow = lake.change(3, starts={"s": 10}, positions={"s": 15})
    lake.append(2, starts={"s": 10}, positions={"s": 20})
    with pytest.raises(PositionConflict, match="stands at 20, not at 10"):
        lake.publish(slow)
    assert lake.head().position("s", lake.objects.read) == 20


def test_positions_may_advance_alone(lake):
    """A read that found nothing moves the position and makes no version."""
    first = lake.append(1)
    made = lake.publish(lake.change(edit=ManifestEdit(), starts={"s": None}, positions={"s": 3}))
    assert made.changes["orders"].version == first.changes["orders"].version
    assert lake.head().position("s", lake.objects.read) == 3


def test_replace_is_planned_again(lake, make_part):
    """A replace that lost the race asks its planner, which sees the head; without one it is a conflict."""
    lake.append(1)

    def plan(head):
        drop = [part.place for part in head.parts()]
        return lake.change(
            mode="replace", base_version=head.id, edit=ManifestEdit(add=[make_part(9)], drop=drop), replan=plan
        )

    stale, hopeless = plan(lake.manifest()), replace(plan(lake.manifest()), replan=None)
    lake.append(2)
    with pytest.raises(CommitConflict, match="holds only"):
        lake.publish(hopeless)
    lake.publish(stale)
    assert [part.id for part in lake.manifest().parts()] == [make_part(9).id]


def test_positions_are_not_planned_around(lake):
    """A PositionConflict stops a change even if it can be planned again."""
    lake.append(1, starts={}, positions={"s": 1})
    change = lake.change(2, starts={"s": None}, replan=lambda head: pytest.fail("planned again"))
    with pytest.raises(PositionConflict):
        lake.publish(change)


def test_planning_that_never_fits_ends(lake, make_part):
    """A planner that never plans on the head it was shown is stopped."""
    lake.append(1)
    change = lake.change(2, mode="replace", base_version="another")
    lake.append(3)
    looping = replace(
        change, base_version=lake.refs.head("main").commit.changes["orders"].base, replan=lambda head: looping
    )
    with pytest.raises(CommitConflict, match="never fitted"):
        lake.publish(looping)


def test_checks_are_made_again_after_a_rebase(lake):
    """Whatever must hold of the whole dataset is looked at on the version as it will be."""
    lake.append(1)
    seen = []

    def recheck(manifest):
        seen.append(manifest.rows)
        return [Check(name="again", ok=True)]

    change = lake.change(3, checks=[Check(name="before", ok=True)], recheck=recheck)
    lake.append(2)
    assert lake.publish(change).changes["orders"].checks == (Check(name="again", ok=True),)
    assert seen == [30]
    lake.publish(lake.change(4, recheck=recheck))
    assert seen == [30]


def test_deletes_by_two_writers_are_united(lake, make_part):
    """Bitmaps of one part are united without the planner's help."""
    lake.append(1)
    with Stage(lake.store) as stage:
        ids = [stage_deletes(stage, positions) for positions in ([1, 2], [2, 3])]
        stage.flush()
    first, second = (
        lake.change(mode="delete", edit=ManifestEdit(deletes={make_part(1).id: each}), where="x") for each in ids
    )
    lake.publish(first)
    lake.publish(second)
    (part,) = lake.manifest().parts()
    assert list(decode(lake.objects.read(part.deletes, ".bin"))) == [1, 2, 3]
    assert (part.deleted, lake.manifest().rows) == (3, 7)


def test_upserts_of_one_row_conflict(lake, make_part):
    """Two upserts that replaced one row of a part: the second is refused."""
    lake.append(1, key=("id",))
    with Stage(lake.store) as stage:
        ids = [stage_deletes(stage, positions) for positions in ([1, 2], [2, 3])]
        stage.flush()
    first, second = (
        lake.change(
            mode="upsert",
            edit=ManifestEdit(add=[make_part(9 + i)], deletes={make_part(1).id: each}),
            keys_overlap=lambda _: [],
        )
        for i, each in enumerate(ids)
    )
    lake.publish(first)
    with pytest.raises(KeyConflict):
        lake.publish(second)


# ------------------------------------------------------------------------------ drop, rename, describe, rollback


def test_drop_and_create_again(lake):
    """A dropped dataset is gone, its positions too; created again it has a fresh start and its past."""
    lake.append(1, positions={"s": 4})
    lake.publish(lake.change(mode="drop"))
    with pytest.raises(DatasetNotFound):
        lake.publish(lake.change(mode="drop"))
    made = lake.append(2, starts={"s": None}, positions={"s": 1})
    assert made.changes["orders"].base is None
    assert lake.manifest().rows == 10


def test_drop_of_what_changed_is_refused(lake):
    """Somebody who added rows meanwhile does not lose them to a drop."""
    lake.append(1)
    drop = lake.change(mode="drop")
    lake.append(2)
    with pytest.raises(CommitConflict):
        lake.publish(drop)
    gone = lake.change(3)
    lake.publish(lake.change(mode="drop"))
    with pytest.raises(CommitConflict, match="was dropped meanwhile"):
        lake.publish(gone)


def test_rename_takes_everything_along(lake):
    """Version, positions and description go to the new name, as they are on the head."""
    lake.append(1, positions={"s": 4}, description="all orders")
    rename = lake.change(mode="rename", rename_to="sales")
    lake.append(2)
    made = lake.publish(rename)
    state = made.datasets(lake.objects.read)["sales"]
    assert state.position("s", lake.objects.read) == 4
    assert (state.description, state.rows, state.commit) == ("all orders", 20, made.id)
    assert "orders" not in made.datasets(lake.objects.read)
    lake.append(3)
    with pytest.raises(AlreadyExists):
        lake.publish(lake.change(mode="rename", rename_to="sales"))
    with pytest.raises(DatasetNotFound):
        lake.publish(lake.change(dataset="nothing", mode="rename", rename_to="x"))
    with pytest.raises(BadName):
        lake.publish(lake.change(mode="rename", rename_to="a@b"))


def test_describe_changes_no_version(lake):
    """A description is the dataset's, not the version's; an empty one removes it."""
    first = lake.append(1)
    lake.publish(lake.change(mode="describe", edit=ManifestEdit(), description="orders of the shop"))
    assert lake.head().description == "orders of the shop"
    assert lake.head().version == first.changes["orders"].version
    lake.append(2)
    assert lake.head().description == "orders of the shop"
    lake.publish(lake.change(mode="describe", edit=ManifestEdit(), description=""))
    assert lake.head().description == ""


def test_rollback_restores_positions(lake):
    """A rollback brings back the version and where its sources stood; over a change of somebody else it is refused."""
    first = lake.append(1, positions={"s": 1})
    lake.append(2, starts={"s": 1}, positions={"s": 2, "t": 1})
    past = first.dataset("orders", lake.objects.read)
    back = lake.change(mode="rollback", restore=past, edit=ManifestEdit())
    made = lake.publish(back)
    change = made.changes["orders"]
    assert (change.version, change.rows_added, change.rows_deleted) == (past.version, 0, 10)
    assert lake.head().load_positions(None, lake.objects.read) == {"s": 1}
    stale = lake.change(mode="rollback", restore=past, edit=ManifestEdit())
    lake.append(3)
    with pytest.raises(CommitConflict):
        lake.publish(stale)


def test_rows_that_a_rollback_brings_back_are_noticed(lake, make_part):
    """A keyed append that was planned while rows were deleted is compared with them once they are back."""
    first = lake.append(1, key=("id",))
    lake.publish(lake.change(mode="delete", edit=ManifestEdit(deletes={make_part(1).id: ("d" * 64, 5)}), where="x"))
    asked = []
    stale = lake.change(2, keys_overlap=lambda parts: asked.extend(parts) or [])
    lake.publish(lake.change(mode="rollback", restore=first.dataset("orders", lake.objects.read), edit=ManifestEdit()))
    lake.publish(stale)
    assert [part.deleted for part in asked] == [0]


# ------------------------------------------------------------------------------------------------- branches and heads


def test_commit_to_a_branch(lake):
    """A branch has its own line; the other does not move."""
    lake.append(1)
    lake.refs.create_branch("exp", lake.refs.head("main").commit)
    lake.append(2, branch="exp")
    assert (lake.manifest(branch="main").rows, lake.manifest(branch="exp").rows) == (10, 20)
    with pytest.raises(BranchNotFound):
        lake.publish(lake.change(3), branch="nothing")


def test_merged_commits_are_further_parents(lake):
    """A merge names what it merged."""
    first = lake.append(1)
    made = lake.publish(lake.change(2), merged=["other"])
    assert made.parents == (first.id, "other")


def test_admit_sees_every_head(lake):
    """Who may refuse a head is asked before anything is made on it."""

    def refuse(record):
        raise CommitConflict(f"record {record.number} is fenced")

    with pytest.raises(CommitConflict, match="record 0 is fenced"):
        lake.publish(lake.change(1), admit=refuse)


def test_too_many_races_end(lake, monkeypatch):
    """A branch that moves all the time makes a writer give up, with nothing landed."""
    monkeypatch.setattr(publish, "_RACES", 3)
    real = lake.refs.publish

    def always_late(branch, head, made, **options):
        other = Refs(lake.store, lake.clock)
        other.publish(branch, head, head.commit, kind="fence")
        return real(branch, head, made, **options)

    monkeypatch.setattr(lake.refs, "publish", always_late)
    with pytest.raises(CommitConflict, match="moved 3 times"):
        lake.publish(lake.change(1))


# ------------------------------------------------------------------------------------------------ many, and crashes


def test_threads_lose_nothing(tmp_path, make_part):
    """Six threads with five appends each on a local lake: all land, once each, in one line."""
    store = FileStore(tmp_path)
    create_lake(store)

    def run(number):
        io = LakeIO(Objects(store), Refs(store))
        for i in range(5):
            state = io.refs.head("main").commit.dataset("t", io.objects.read)
            edit = ManifestEdit(
                add=[make_part(number * 5 + i)], schema_json=None if state else [{"name": "id", "type": "int64"}]
            )
            with Stage(store) as stage:
                change = PlannedChange(dataset="t", mode="append", base_version=state and state.version, edit=edit)
                commit(io, "main", [change], stage)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    objects = Objects(store)
    manifest = load_manifest(objects, Refs(store).head("main").commit.dataset("t", objects.read).version)
    assert {part.id for part in manifest.parts()} == {make_part(i).id for i in range(30)}
    assert manifest.n_parts == 30


@pytest.mark.parametrize("when", ["before", "after"])
def test_crash_at_any_call_leaves_the_branch_whole(lake, make_part, when):
    """A writer that dies at any store call leaves the old head or the new one, and both can be read entirely."""
    lake.append(1)
    landed = set()
    for at in range(1, 30):
        store = CrashStore(lake.store, at=at, when=when)
        io = LakeIO(Objects(store), Refs(store, lake.clock))
        before = lake.manifest().rows
        change = lake.change(100 + at)
        try:
            with Stage(store) as stage:
                commit(io, "main", [change], stage)
            finished = True
        except SimulatedCrash:
            finished = False
        rows = load_manifest(Objects(lake.store), lake.head().version)
        assert len(rows.parts()) * 10 == rows.rows
        assert rows.rows in ({before + 10} if finished else {before, before + 10})
        landed.add((finished, rows.rows > before))
    assert {(False, False), (True, True)} <= landed
