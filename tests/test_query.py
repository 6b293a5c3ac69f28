"""SQL over pinned versions: the same rows at every run, nothing else readable, lineage kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat._lake import Lake


@pytest.fixture(params=["memory", "file"])
def lake(request: pytest.FixtureRequest, tmp_path: Path, memory_lake: Lake) -> Lake:
    """A lake with `d` of rows 1..4 less row 2, tagged v1 before the delete; in memory, and in a folder of odd name."""
    lake = memory_lake if request.param == "memory" else dp.open(tmp_path / "la[k]e 'x*")
    lake.ingest(pa.table({"a": [1, 2, 3, 4], "s": ["x", "y", "x", None]}), "d", key="a")
    lake.tag("v1")
    lake.delete("d", "a = 2")
    return lake


def rows(lake: Lake, text: str, **options: Any) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return [tuple(row.values()) for row in lake.sql(text, **options).to_arrow().to_pylist()]


def test_deleted_rows_do_not_count(lake: Lake) -> None:
    """Rows that were deleted are not seen, at the version that deleted them; before it they are."""
    assert rows(lake, "select a from d order by a") == [(1,), (3,), (4,)]
    assert rows(lake, 'select count(*), sum(a) from "d@v1"') == [(4, 10)]
    assert rows(lake, "select count(*) from d where s is null") == [(1,)]


def test_versions_are_pinned_when_the_query_is_made(lake: Lake) -> None:
    """A query gives the same rows for ever, whatever happens to the branch."""
    query = lake.sql("select a from d")
    before = query.to_arrow()
    lake.ingest(pa.table({"a": [9], "s": ["z"]}), "d")
    assert query.to_arrow() == before
    assert query.inputs["d"].id == lake["d@main~1"].id
    assert lake["d@main~1"].id[:12] in repr(query)
    assert lake.sql("select a from d").to_arrow().num_rows == 4


def test_every_form_of_reference(lake: Lake) -> None:
    """A table is any reference, quoted: branch, tag, version back, id."""
    lake.branch("exp", "v1")
    sizes = {"d": 3, "d@v1": 4, "d@exp": 4, "d@main~1": 4, "d~1": 4, f"d@id:{lake['d@v1'].id[:12]}": 4}
    for reference, size in sizes.items():
        assert rows(lake, f'select count(*) from "{reference}"') == [(size,)], reference
    assert rows(lake, "select count(*) from d", branch="exp") == [(4,)]


def test_joins_of_a_dataset_with_itself(lake: Lake) -> None:
    """One dataset may be read twice, at the same version or at two."""
    assert rows(lake, "select count(*) from d one join d two using (a)") == [(3,)]
    gone = 'select a from "d@v1" anti join d using (a)'
    assert rows(lake, gone) == [(2,)]


def test_names_with_dots_and_quotes(lake: Lake) -> None:
    """A dataset name with a dot, a space or a slash is quoted; unquoted it is an error that says so."""
    for name in ("events.rejects", "a b", "x/y", "select"):
        lake.ingest(pa.table({"n": [1]}), name)
        assert rows(lake, f'select n from "{name}"') == [(1,)]
    with pytest.raises(dp.DatasetNotFound, match='must be quoted: "events.rejects"'):
        lake.sql("select n from events.rejects")


@pytest.mark.parametrize(
    "text",
    [
        "drop table d",
        "insert into d values (1)",
        "select 1; select 2",
        "copy d to 'x.csv'",
        "attach 'x.db'",
        "pragma version",
        "set memory_limit = '1GB'",
        "select a from",
        "",
    ],
)
def test_only_one_select(lake: Lake, text: str) -> None:
    """Anything but one SELECT is refused before it runs."""
    with pytest.raises(dp.PredicateError):
        lake.sql(text)


def test_nothing_else_can_be_read(lake: Lake, tmp_path: Path) -> None:
    """Files, folders, the environment and Python's variables are out of reach."""
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "secret.parquet")
    frame = pa.table({"a": [1]})
    assert frame.num_rows == 1
    for text in (
        f"select * from read_csv('{secret}')",
        f"select * from read_text('{secret}')",
        f"select * from read_parquet('{tmp_path}/secret.parquet')",
        f"select * from glob('{tmp_path}/*')",
        f"select * from '{secret}'",
        "select * from frame",
        f"select (select count(*) from read_csv('{secret}')) from d",
    ):
        with pytest.raises(dp.DataplatError):
            lake.sql(text).to_arrow()


@pytest.mark.parametrize("way", ["to_arrow", "to_polars", "to_pandas", "schema", "batches", "commit"])
def test_what_fails_on_a_row_is_one_error(lake: Lake, way: str) -> None:
    """An error that only shows when the query runs is a PredicateError, in every way of running it."""
    query = lake.sql("select cast(s as integer) n from d")
    ways = {
        "batches": lambda: list(query.batches()),
        "commit": lambda: query.commit("made"),
        "schema": lambda: query.schema,
    }
    with pytest.raises(dp.PredicateError, match=r"the query failed: .*Could not convert string"):
        (ways.get(way) or getattr(query, way))()
    assert "made" not in lake


def test_the_ways_to_take_a_result(lake: Lake) -> None:
    """Arrow, Polars, pandas and batches hold the same rows; the schema is known before."""
    query = lake.sql("select a, s from d order by a")
    table = query.to_arrow()
    assert query.schema == table.schema
    assert query.to_polars().rows() == [(1, "x"), (3, "x"), (4, None)]
    assert query.to_pandas()["a"].tolist() == [1, 3, 4]
    assert pa.Table.from_batches(query.batches(2)) == table
    assert max(batch.num_rows for batch in lake.sql("select * from range(5000)").batches(2048)) <= 2048


def test_a_result_becomes_a_version_with_lineage(lake: Lake) -> None:
    """A committed result names the versions that it was made from, and the query."""
    result = lake.sql("select s, count(*) n from d group by s").commit("made", message="counted")
    assert result.rows_added == 2
    [entry] = lake.log("made")
    assert entry.inputs == (f"d@id:{lake['d'].id[:12]}", "query")
    assert (entry.mode, entry.message) == ("replace", "counted")
    inputs = lake["made"].commit.changes["made"].lineage
    assert inputs[0].version == lake["d"].id
    assert "group by s" in inputs[1].detail["text"]


def test_the_same_result_is_no_version(lake: Lake) -> None:
    """A result that is there already makes no commit; with a mode and a key it is an upsert."""
    lake.sql("select a, s from d").commit("made", key="a")
    assert lake.sql("select a, s from d order by a desc").commit("made").nothing_to_do
    lake.sql("select a, 'new' as s from d where a = 1").commit("made", mode="upsert")
    assert rows(lake, "select s from made where a = 1") == [("new",)]


def test_a_branch_is_read_and_written(lake: Lake) -> None:
    """A query on a branch lands there, unless told otherwise."""
    lake.branch("exp", "v1")
    lake.sql("select a from d", branch="exp").commit("made")
    assert "made" not in lake
    assert lake["made@exp"].rows == 4


def test_a_part_held_twice(memory_lake: Lake) -> None:
    """Of a part that a version holds twice each copy has its own deletes."""
    for _ in range(2):
        memory_lake.ingest(pa.table({"a": [1, 2]}), "d")
    assert rows(memory_lake, "select count(*) from d") == [(4,)]
    memory_lake.ingest(pa.table({"a": [1, 2, 1]}), "d", mode="replace")
    assert rows(memory_lake, "select a from d order by a") == [(1,), (1,), (2,)]


def test_columns_that_came_later(memory_lake: Lake) -> None:
    """Columns that old parts lack, or have narrower, come as the schema has them; also where no part has them."""
    memory_lake.ingest(pa.table({"a": pa.array([1], pa.int8())}), "d", key="a")
    memory_lake.ingest(pa.table({"a": pa.array([2], pa.int64()), "c": ["x"]}), "d")
    assert rows(memory_lake, "select a, c from d order by a") == [(1, None), (2, "x")]
    memory_lake.delete("d", "a = 2")
    result = memory_lake.sql("select a, c from d").to_arrow()
    assert result.to_pylist() == [{"a": 1, "c": None}]
    assert result.schema == memory_lake["d"].schema


def test_columns_with_names_of_our_own(memory_lake: Lake) -> None:
    """Columns called like those that DuckDB adds to files, or with quotes in them, are read as they are."""
    values = {"__file": [1, 2], "file_row_number": [3, 4], "filename": ["a", "b"], 'q"x': [5, 6], "__row": [7, 8]}
    memory_lake.ingest(pa.table(values), "d")
    memory_lake.delete("d", "__file = 1")
    assert rows(memory_lake, "select * from d") == [(2, 4, "b", 6, 8)]


def test_what_differs_in_case_only_is_refused(memory_lake: Lake) -> None:
    """SQL cannot tell such columns or datasets apart, and must not mix them up."""
    memory_lake.ingest(pa.table({"a": [1], "A": [2]}), "columns")
    memory_lake.ingest(pa.table({"a": [1]}), "d")
    memory_lake.ingest(pa.table({"a": [1]}), "D")
    with pytest.raises(dp.SchemaError, match="'a' and 'A' of 'columns' differ only in case"):
        memory_lake.sql("select * from columns").to_arrow()
    with pytest.raises(dp.PredicateError, match="'D' and 'd', which differ only in case"):
        memory_lake.sql('select * from d, "D"')


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None], pa.timestamp("ns", "UTC")),
        pa.array([1, None], pa.timestamp("us", "Europe/Berlin")),
        pa.array([1, None], pa.timestamp("ms")),
        pa.array([1001, None], pa.time64("ns")),
        pa.array([2**64 - 1, None], pa.uint64()),
        pa.array([b"\xff", None]),
        pa.array(np.array([1, 2], np.float16)),
        pa.array([{"x": [1]}, None]),
        pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    ],
    ids=lambda column: str(column.type),
)
def test_values_are_the_same_through_duckdb(memory_lake: Lake, column: pa.Array) -> None:
    """A column that goes through a query and back is the same content, whatever its type."""
    memory_lake.ingest(pa.table({"k": [1, 2], "v": column}), "d", key="k")
    memory_lake.sql("select * from d").commit("made", key="k", schema=memory_lake["d"].schema)
    assert memory_lake["made"].content_id == memory_lake["d"].content_id


def test_damage_stops_a_query(tmp_path: Path) -> None:
    """A part whose bytes are not what was written is never read by DuckDB."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"a": range(1000)}), "d")
    [path] = (tmp_path / "lake" / "objects").rglob("*.parquet")
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(data))
    with pytest.raises(dp.IntegrityError):
        lake.sql("select sum(a) from d").to_arrow()
