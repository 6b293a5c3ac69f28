"""The past of datasets and branches, through renames, drops and rollbacks."""

from __future__ import annotations

import pytest

from dataplat.errors import BranchNotFound, DatasetNotFound, VersionNotFound
from dataplat.lake.objects import Objects
from dataplat.lake.stores import StoreWrapper
from dataplat.versioning import history
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.refs import Refs


def head(lake, branch="main"):
    """Return the commit of a branch."""
    return lake.refs.head(branch).commit


def test_log_skips_other_datasets(lake):
    """The log of a dataset visits its own commits only, whatever happened in between."""
    first = lake.append(1)
    for i in range(10):
        lake.append(i, dataset="other")
    second = lake.append(2)
    read = []

    class Counting(StoreWrapper):
        def _call(self, operation, key, call, sent=None):
            read.append(key)
            return call()

    log = list(history.log(Objects(Counting(lake.store)), head(lake), "orders"))
    assert [entry.commit.id for entry in log] == [second.id, first.id]
    assert len(read) == 1


def test_log_follows_renames_drops_and_creation(lake):
    """The log goes on under the old name, over a drop, to the first commit."""
    ids = [lake.append(1).id, lake.publish(lake.change(mode="drop")).id, lake.append(2).id]
    ids.append(lake.publish(lake.change(mode="rename", rename_to="sales")).id)
    ids.append(lake.append(3, dataset="sales").id)
    log = list(history.log(lake.objects, head(lake), "sales"))
    assert [entry.commit.id for entry in log] == ids[::-1]
    assert [entry.dataset for entry in log] == ["sales", "sales", "orders", "orders", "orders"]
    assert [entry.change.mode for entry in log] == ["append", "rename", "append", "drop", "append"]
    old = list(history.log(lake.objects, head(lake), "orders"))
    assert [entry.commit.id for entry in old] == ids[3::-1]
    assert old[0].change.renamed_to == "sales"


def test_versions_are_changes_of_rows(lake):
    """Positions, descriptions, drops and renames are no versions."""
    lake.append(1)
    lake.publish(lake.change(edit=ManifestEdit(), positions={"s": 1}))
    lake.publish(lake.change(mode="describe", edit=ManifestEdit(), description="x"))
    lake.append(2)
    lake.publish(lake.change(mode="rename", rename_to="sales"))
    rows = [entry.change.rows for entry in history.versions(lake.objects, head(lake), "sales")]
    assert rows == [20, 10]


def test_version_back(lake):
    """The n-th version before the current one, and a message that says how many there are."""
    for i in range(4):
        lake.append(i)
    assert [history.version_back(lake.objects, head(lake), "orders", n).change.rows for n in range(4)] == [
        40,
        30,
        20,
        10,
    ]
    with pytest.raises(VersionNotFound, match="has 4 versions there, so ~3 is the oldest; ~4 was asked for"):
        history.version_back(lake.objects, head(lake), "orders", 4)
    with pytest.raises(DatasetNotFound):
        history.version_back(lake.objects, head(lake), "nothing", 0)


def test_commits_back(lake):
    """First parents, down to the commit that made the lake."""
    made = [lake.append(i) for i in range(3)]
    assert [commit.id for commit in history.commits(lake.objects, head(lake))][:3] == [
        commit.id for commit in made[::-1]
    ]
    assert history.commit_back(lake.objects, head(lake), 2) == made[0]
    with pytest.raises(VersionNotFound, match="has 3 before it"):
        history.commit_back(lake.objects, head(lake), 4)


def test_commit_of_version(lake):
    """The newest commit that gave a dataset a version; None if none did."""
    first = lake.append(1)
    lake.append(2)
    version = first.changes["orders"].version
    assert history.commit_of_version(lake.objects, head(lake), "orders", version) == first
    assert history.commit_of_version(lake.objects, head(lake), "orders", "0" * 64) is None


def test_commit_at_a_time(lake):
    """Where a branch stood at a time; before it began, or while it was deleted, there is nothing."""
    made = [lake.append(i) for i in range(3)]
    for commit in made:
        assert history.commit_at(lake.refs, "main", commit.time) == commit
        assert history.commit_at(lake.refs, "main", commit.time + 999_999) == commit
    with pytest.raises(VersionNotFound, match="it was created at 1970-01-01T00:00:01"):
        history.commit_at(lake.refs, "main", 0)
    with pytest.raises(BranchNotFound):
        history.commit_at(lake.refs, "nothing", 0)


def test_no_time_while_a_branch_was_deleted(lake):
    """Between its deletion and its creation anew a branch stood nowhere."""
    lake.refs.create_branch("exp", head(lake))
    lake.clock.time += 1_000
    gone = lake.refs.delete_branch("exp")
    lake.clock.time += 1_000
    lake.refs.create_branch("exp", head(lake))
    with pytest.raises(VersionNotFound, match="did not exist"):
        history.commit_at(lake.refs, "exp", gone.time + 10)
    assert Refs(lake.store).as_of("exp", gone.time).kind == "delete"
