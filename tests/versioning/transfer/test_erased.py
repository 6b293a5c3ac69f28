"""Erased rows and other lakes: what is left travels, with the ways to it, and nothing brings the rows back."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat import _transfer
from dataplat.errors import CommitConflict
from dataplat.versioning.erase import _run

WHERE = "id = 4242"


@pytest.fixture
def lake(tmp_path):
    """Return a lake with two versions and a tag; the first holds a row to be erased."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"id": [1, 4242], "name": ["a", "token"]}), "people")
    lake.tag("v1")
    lake.ingest(pa.table({"id": [2], "name": ["b"]}), "people")
    return lake


def ids(lake, reference="people"):
    """Return the ids of a version."""
    return sorted(lake[reference].to_arrow()["id"].to_pylist())


def test_a_clone_has_the_ways_to_what_is_left_and_the_suppression(lake, tmp_path):
    """Every reference resolves in a clone made after the erase, which is whole, and keeps the row out, too."""
    old = lake["people@v1"].id
    lake.erase("people", WHERE, "ticket 7")
    copy = dp.clone(lake.url, tmp_path / "copy")
    assert ids(copy, "people@v1") == ids(copy, f"people@id:{old}") == [1]
    assert copy.verify().ok
    assert copy.gc(grace="0s").done.objects == 0
    assert copy.ingest(pa.table({"id": [4242, 3], "name": ["x", "c"]}), "people").rows_suppressed == 1
    copy.branch("later")
    assert copy.refs.head("later").settings["suppress"] == lake.refs.head("main").settings["suppress"]


def test_a_pull_into_a_new_lake_brings_redactions(lake, tmp_path):
    """A lake that never had the old versions reads them by what they lead to."""
    old = lake["people@v1"].id
    lake.erase("people", WHERE, "ticket 7")
    other = dp.open(tmp_path / "other")
    moved = other.pull(lake.url, tags=True)
    (branch,) = (move.name for move in moved.branches)
    assert ids(other, f"people@{branch}") == [1, 2]
    assert ids(other, "people@v1") == ids(other, f"people@id:{old}") == [1]
    assert other.verify().ok


def test_a_copy_that_has_the_rows_is_told_to_erase(lake, tmp_path):
    """A pull from where rows were erased says how many versions are whole here; erasing here ends that."""
    copy = dp.clone(lake.url, tmp_path / "copy")
    lake.erase("people", WHERE, "ticket 7")
    moved = copy.pull(lake.url)
    assert any("erase here, too" in note for note in moved.notes)
    assert ids(copy, "people@v1") == [1, 4242]
    assert ids(copy) == [1, 2]
    copy.erase("people", WHERE, "ticket 7")
    assert ids(copy, "people@v1") == [1]
    assert copy.pull(lake.url).notes == ()
    assert copy.verify().ok


def test_a_push_brings_no_erased_row(lake, tmp_path):
    """New versions on top of old rows are refused before anything is copied, until they are erased there, too."""
    copy = dp.clone(lake.url, tmp_path / "copy")
    copy.ingest(pa.table({"id": [3], "name": ["c"]}), "people")
    lake.erase("people", WHERE, "ticket 7")
    before = {info.key for info in lake.store.list("objects/")}
    with pytest.raises(CommitConflict):
        copy.push(lake.url)
    copy.branch("extra")
    with pytest.raises(CommitConflict, match="erase"):
        copy.push(lake.url, ["extra"])
    assert {info.key for info in lake.store.list("objects/")} == before
    copy.erase("people", WHERE, "ticket 7")
    copy.branch("clean")
    copy.push(lake.url, ["clean"])
    assert ids(lake, "people@clean") == [1, 2, 3]
    assert lake.verify().ok


@pytest.mark.parametrize("branch", ["main", "extra"])
def test_a_push_that_an_erase_overtakes(lake, tmp_path, monkeypatch, branch):
    """Rows that are erased after everything was brought, and before the branch moves or is made, are refused all the same."""
    copy = dp.clone(lake.url, tmp_path / "copy")
    copy.ingest(pa.table({"id": [3, 4242], "name": ["c", "token"]}), "people")
    copy.branch("extra")
    bring = _transfer.fetched

    def overtaken(*args, **more):
        lacking = bring(*args, **more)
        dp.open(lake.url).erase("people", "id = 3", "ticket 8")
        return lacking

    monkeypatch.setattr(_transfer, "fetched", overtaken)
    with pytest.raises(CommitConflict, match="erase"):
        copy.push(lake.url, [branch])
    fresh = dp.open(lake.url)
    assert [head.branch for head in fresh.branches()] == ["main"]
    assert ids(fresh) == [1, 2, 4242]


def test_a_clone_of_a_lake_in_which_an_erase_has_just_begun(lake, tmp_path, monkeypatch):
    """The list of what is erased comes along also where no branch names it yet: branches of the clone begin with it."""

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_run, "fence", killed)
    with pytest.raises(KeyboardInterrupt):
        lake.erase("people", WHERE, "ticket 7")
    copy = dp.clone(lake.url, tmp_path / "copy")
    copy.branch("exp")
    assert copy.ingest(pa.table({"id": [5, 4242], "name": ["e", "token"]}), "people", branch="exp").rows_suppressed == 1
