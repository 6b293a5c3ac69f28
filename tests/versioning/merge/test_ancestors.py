"""Merges that were found to go wrong: several common ancestors, tables filled as they are, others at work."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

import dataplat as dp
from dataplat.errors import ConfigError

from .shop import KEY, rows, shown, upsert  # noqa: TID252

# ------------------------------------------------------------------------------------------- several ancestors


def crossed(lake, dataset=None):
    """Let both branches merge heads that the other has left: x adds row 9, main row 7; return the ancestors' versions."""
    upsert(lake, "exp", id=[9], a=[9], b=["n"])
    upsert(lake, "main", id=[7], a=[7], b=["n"])
    mine, other = (f"@id:{lake.refs.head(branch).commit_id}" for branch in ("main", "exp"))
    versions = {lake["t@main"].id, lake["t@exp"].id}
    lake.merge(other, dataset=dataset)
    lake.merge(mine, "exp", dataset=dataset)
    return versions


@pytest.mark.parametrize("dataset", [None, "t"])
def test_a_row_deleted_after_a_criss_cross_stays_away(lake, dataset):
    """Neither common ancestor alone has both rows; what one branch deleted since does not come back."""
    crossed(lake, dataset)
    lake.delete("t", "id = 9")
    assert lake.merge("exp").conflicts.num_rows == 0
    assert [row["id"] for row in shown(lake)] == [1, 2, 3, 7]


def test_nothing_of_a_base_that_was_made_is_stored(lake):
    """The merge of the ancestors is no object of the lake: a collection finds nothing, and the lineage names a version."""
    versions = crossed(lake)
    lake.delete("t", "id = 9")
    upsert(lake, "exp", id=[1], a=[5], b=["x"])
    lake.merge("exp")
    assert lake.gc(grace="0s").done.objects == 0
    assert lake.verify().ok
    base = lake.refs.head("main").commit.changes["t"].lineage[0].detail["base"]
    assert base in versions


def test_a_collection_keeps_what_criss_cross_merges_begin_with(lake):
    """The ancestors, and what those have in common, stay under a rule that keeps one version."""
    crossed(lake)
    lake.delete("t", "id = 9")
    upsert(lake, "exp", id=[1], a=[5], b=["x"])
    upsert(lake, "exp", id=[1], a=[6], b=["x"])
    assert lake.gc("1", grace="0s").done.versions == 3  # the merges of both, and one that was overwritten
    lake.merge("exp")
    assert [row["id"] for row in shown(lake)] == [1, 2, 3, 7]


# ----------------------------------------------------------------------------- tables that are filled as they are


def test_a_resolution_that_another_made_needless_is_no_mistake(lake):
    """The second conflict, two columns named n, is one only while the first goes to ours."""
    lake.evolve("t", rename={"b": "n"})
    lake.evolve("t", rename={"b": "q"}, add={"n": "float64"}, branch="exp")
    table = lake.plan_merge("exp").conflicts.to_pylist()
    assert len(table) == 2
    lake.merge("exp", resolve=[row | {"resolution": "theirs"} for row in table])
    assert lake["t"].schema.names == ["id", "a", "q", "n"]
    other = table[0] | {"column": "zz", "resolution": "ours"}
    lake.evolve("t", drop=["q"])
    upsert(lake, "exp", id=[1], a=[1], q=["z"], n=[0.5])
    with pytest.raises(ConfigError, match="no conflict"):
        lake.merge("exp", resolve=[other])


def test_two_conflicts_of_one_column_name_have_places_of_their_own(lake):
    """Here the column was dropped and added again, there its cells changed: each conflict is settled by itself."""
    lake.evolve("t", drop=["b"])
    lake.evolve("t", add={"b": "int64"})
    upsert(lake, "exp", id=[1], a=[1], b=["changed"])
    table = lake.plan_merge("exp", policy="theirs").conflicts.to_pylist()
    assert len({(row["kind"], row["key"], row["column"]) for row in table}) == len(table) == 2
    choices = [row | {"resolution": choice} for row, choice in zip(table, ["theirs", "ours"], strict=True)]
    told = lake.merge("exp", resolve=choices).conflicts.to_pylist()
    assert [row["resolution"] for row in told] == ["theirs", "ours"]


# ----------------------------------------------------------------------------------------------- others at work


def test_merges_beside_writers_without_pause_are_made(tmp_path):
    """Three writers commit to the dataset as fast as they can; a dozen merges into it all come through."""
    lake = dp.open(tmp_path / ".dataplat")
    lake.ingest(rows(id=[0], v=[0]), into="t", key=KEY)
    lake.branch("exp")
    stop = threading.Event()

    def write(first):
        mine = dp.open(tmp_path / ".dataplat")
        for id in count(first):
            if stop.is_set():
                return
            mine.ingest(rows(id=[id], v=[0]), into="t", mode="upsert")

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, first) for first in (1_000_000, 2_000_000, 3_000_000)]
        try:
            for number in range(1, 13):
                lake.ingest(rows(id=[number], v=[1]), into="t", mode="upsert", branch="exp")
                lake.merge("exp")
        finally:
            stop.set()
        for writer in writers:
            writer.result()
    merged = {row["id"] for row in lake["t"].to_arrow().to_pylist() if row["v"] == 1}
    assert merged == set(range(1, 13))


def test_a_plan_holds_where_only_other_datasets_moved(lake, monkeypatch):
    """Somebody commits another dataset between plan and commit: the merge is planned once."""
    from dataplat.versioning.merge import Planner

    upsert(lake, "exp", id=[1], a=[2], b=["x"])
    lake.ingest(rows(v=[0]), into="other")
    plans = []
    plan = Planner.merge

    def slow(self, *args):
        planned = plan(self, *args)
        plans.append(planned)
        lake.ingest(rows(v=[len(plans)]), into="other")
        return planned

    monkeypatch.setattr(Planner, "merge", slow)
    lake.merge("exp")
    assert len(plans) == 1
    assert shown(lake)[0]["a"] == 2
    assert len(shown(lake, "other")) == 2
