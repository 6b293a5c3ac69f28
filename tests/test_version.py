"""A version: what it says of itself, and the ways to read it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CountingStore


@pytest.fixture
def lake(memory_lake: Lake) -> Lake:
    """A lake whose `d` has rows 0..9 less row 3, in two parts."""
    for start in (0, 5):
        ids = range(start, start + 5)
        memory_lake.ingest(pa.table({"id": ids, "s": [f"<{i}>" for i in ids]}), "d", key="id", sort="id")
    memory_lake.delete("d", "id = 3")
    return memory_lake


LEFT = [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_what_it_says(lake: Lake) -> None:
    """Counts, key, schema, ids and time are at hand."""
    version = lake["d"]
    assert (version.rows, len(version), len(version.parts)) == (9, 9, 2)
    assert (version.key, version.sort) == (("id",), ("id",))
    assert version.schema == pa.schema([("id", pa.int64()), ("s", pa.string())])
    assert [field["name"] for field in version.schema_json] == ["id", "s"]
    assert version.nbytes == sum(part.size for part in version.parts)
    assert len(version.id) == len(version.content_id) == 64
    assert abs((datetime.now(UTC) - version.created).total_seconds()) < 60
    assert version.commit.changes["d"].mode == "delete"


def test_equal_by_dataset_and_id(lake: Lake) -> None:
    """Two looks at one version are equal, and hash alike."""
    assert lake["d"] == lake[f"d@id:{lake['d'].id[:12]}"]
    assert len({lake["d"], lake["d@main"], lake["d@main~1"]}) == 2
    assert lake["d"] != "d"


def test_its_commit_is_the_one_that_made_it(lake: Lake) -> None:
    """Found at a later commit, a version still names the commit that made it."""
    made = lake["d"].commit.id
    lake.describe("d", "x")
    lake.ingest(pa.table({"n": [1]}), "other")
    assert lake["d"].commit.id == made
    lake.rename("d", "e")
    assert lake["e"].commit.id == made


def test_repr(lake: Lake) -> None:
    """The text names version, size and columns; of many columns the first few."""
    text = repr(lake["d"])
    assert f"d@id:{lake['d'].id[:12]}, 9 rows × 2 columns" in text
    assert "id: int64, s: string" in text
    lake.ingest(pa.table({f"c{i}": [1] for i in range(9)}), "wide")
    assert "… 3 more" in repr(lake["wide"])


def test_html_is_escaped(lake: Lake) -> None:
    """Whatever a value, column or dataset is called, nothing of it becomes markup."""
    name = "<b>&'"
    lake.ingest(pa.table({"<i>": ["<script>alert(1)</script>", None]}), "x & y")
    text = lake["x & y"]._repr_html_()
    for raw in ("<script>", "<i>"):
        assert raw not in text
    assert "&lt;script&gt;" in text
    assert "&lt;i&gt;" in text
    assert "x &amp; y" in text
    assert lake["d"]._repr_html_().count("<tr>") == 6
    assert "&lt;0&gt;" in lake["d"]._repr_html_()
    lake.ingest(pa.table({"a": [name]}), "d2")
    assert name not in lake["d2"]._repr_html_()
    html = lake._repr_html_()
    assert "x &amp; y" in html


def test_html_shows_little_of_long_cells_and_no_control_characters(lake: Lake) -> None:
    """A cell of a million characters is cut, NUL and terminal codes are written out, and no number is NaN."""
    lake.ingest(pa.table({"a\x00": ["x" * 1_000_000, "\x00\x1b[31m"], "v": [1.5, float("nan")]}), "odd")
    text = lake["odd"]._repr_html_()
    assert len(text) < 2_000
    assert "\x00" not in text
    assert "<td>\\x00\\x1b[31m</td><td>NaN</td>" in text
    assert "a\\x00" in text


def test_every_way_to_read_is_the_same(lake: Lake) -> None:
    """Arrow, Polars, pandas, DuckDB and batches give the rows that count, in order."""
    version = lake["d"]
    assert version.to_arrow().column("id").to_pylist() == LEFT
    assert version.to_polars()["id"].to_list() == LEFT
    assert version.to_pandas()["id"].tolist() == LEFT
    assert sorted(row[0] for row in version.to_duckdb().fetchall()) == LEFT
    assert [n for batch in version.batches() for n in batch.column("id").to_pylist()] == LEFT


@pytest.mark.parametrize("where", ["id >= 5 and s <> '<7>'", (pl.col("id") >= 5) & (pl.col("s") != "<7>")])
def test_columns_and_where(lake: Lake, reads: Any, where: Any) -> None:
    """Only the columns asked for come back, in that order; parts that `where` cannot match are not read."""
    second = lake["d"].parts[1].id
    reads.clear()
    table = lake["d"].to_arrow(columns=["s"], where=where)
    assert table.to_pylist() == [{"s": f"<{i}>"} for i in (5, 6, 8, 9)]
    assert reads.parts == {second}
    assert lake["d"].to_polars(columns=["s", "id"], where=where).columns == ["s", "id"]
    assert lake["d"].to_pandas(columns=["id"], where=where)["id"].tolist() == [5, 6, 8, 9]


def test_names_that_are_not_there(lake: Lake) -> None:
    """A column that is not there is an error that guesses."""
    with pytest.raises(dp.SchemaError, match="'idd'.*id"):
        lake["d"].to_arrow(columns=["idd"])
    with pytest.raises(dp.PredicateError, match="idd"):
        lake["d"].to_arrow(where="idd = 1")


@pytest.mark.parametrize("size", [1, 2, 4, 100])
def test_batches_are_no_larger(lake: Lake, size: int) -> None:
    """Batches have at most so many rows."""
    sizes = [batch.num_rows for batch in lake["d"].batches(size)]
    assert max(sizes) <= size
    assert sum(sizes) == 9


@pytest.mark.parametrize("n", [0, 1, 3, 9, 20])
def test_head(lake: Lake, n: int) -> None:
    """The first rows, over the border of parts, or as many as there are."""
    assert lake["d"].head(n).column("id").to_pylist() == LEFT[:n]
    assert lake["d"].head(n).schema == lake["d"].schema


def test_metadata_reads_no_part(lake: Lake, reads: Any) -> None:
    """Listing, log, versions back, and all that a version says of itself read no row."""
    reads.clear()
    assert [info.rows for info in lake.datasets()] == [9]
    assert [entry.rows for entry in lake.log("d")] == [9, 10, 5]
    assert [entry.rows for entry in lake.log("d", limit=1)] == [9]
    version = lake["d@main~1"]
    assert (version.rows, version.content_id_if_known is not None) == (10, True)
    assert repr(version)
    assert reads.calls == []


def test_listing_costs_two_reads(lake: Lake) -> None:
    """All datasets of a branch are listed with one listing and one read, however many they are."""
    for n in range(20):
        lake.ingest(pa.table({"a": [n]}), f"d{n}")
    store = CountingStore(lake.store)
    assert len(Lake(store, "test", "memory").datasets()) == 21
    assert (store.calls["list"], store.calls["read"]) == (1, 1)


def test_the_log_reads_only_commits_that_changed_it(lake: Lake) -> None:
    """Commits of other datasets in between are skipped."""
    for n in range(10):
        lake.ingest(pa.table({"a": [n]}), "other")
    store = CountingStore(lake.store)
    assert len(Lake(store, "test", "memory").log("d")) == 3
    assert store.calls["read"] == 4  # the head, and the three commits


def test_a_lake_shows_itself(lake: Lake) -> None:
    """A lake is iterated by name, tells what is in it, and has a short text."""
    assert list(lake) == ["d"]
    assert "d" in lake
    assert "e" not in lake
    assert repr(lake) == "Lake('memory', 1 datasets, 1 branches)"
    told = lake.datasets()[0].to_dict()
    assert (told["name"], told["rows"], told["version"]) == ("d", 9, lake["d"].id)
    assert lake.log("d")[0].to_dict()["mode"] == "delete"


def test_opening(tmp_path: Any) -> None:
    """`open` makes a lake where there is none, finds it again, and refuses to make one if told so."""
    with pytest.raises(dp.LakeNotFound, match="dataplat init"):
        dp.open(tmp_path / "lake", create=False)
    assert not (tmp_path / "lake").exists()
    with pytest.raises(dp.LakeNotFound):
        dp.open(f"file://{tmp_path}/lake", create=False)
    assert not (tmp_path / "lake").exists()
    lake = dp.open(tmp_path / "lake")
    assert dp.open(tmp_path / "lake", create=False).id == dp.open(f"file://{tmp_path}/lake").id == lake.id
    (tmp_path / "file").write_text("x")
    with pytest.raises(dp.StoreError):
        dp.open(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(dp.LakeNotFound):
        dp.open(tmp_path / "folder", create=False)
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_lake_of_a_newer_program(memory_lake: Lake) -> None:
    """A lake in a format that is not known is not touched."""
    store = MemoryStore()
    store.create("lake.json", b'{"format":"dataplat.lake/99","id":"x","created":1}')
    from dataplat.versioning.lakefile import open_lake

    with pytest.raises(dp.LakeFormatError, match="upgrade"):
        open_lake(store)
