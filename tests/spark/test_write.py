"""Rows that tasks write are the version that a local ingest of the same rows makes."""

from __future__ import annotations

import itertools
import random

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._spark._source import WRITE, Settings
from dataplat._spark._stream_sink import StreamWriter, WroteOfBatch
from dataplat._spark._write import Asked, Writer, Wrote
from dataplat.errors import CommitConflict, ContractFailed, KeyViolation, SchemaMismatch
from dataplat.ingest._task import write_task

ONE_EACH = """
import pandera.polars as pa

class One(pa.DataFrameModel):
    k: int
    e: str = pa.Field(unique=True)
"""
CONTRACT = """
import pandera.polars as pa
import polars as pl
import dataplat as dp


class Rows(pa.DataFrameModel):
    id: int = pa.Field(ge=0)
    n: int = pa.Field(le=5)
    s: str


Strict = dp.Contract(Rows, checks=[dp.unique("id")])


class Coerced(Rows):
    class Config:
        coerce = True
"""


@pytest.fixture
def lakes(tmp_path):
    """Return two lakes: one for tasks, one for a local ingest."""
    return dp.open(tmp_path / "tasks"), dp.open(tmp_path / "local")


def rows(start=0, stop=1000, **more):
    """Return a table of rows with a key."""
    ids = range(start, stop)
    return pa.table({"id": ids, "n": [i % 7 for i in ids], "s": [f"s{i}" for i in ids], **more})


def cut(table, pieces=3, seed=1):
    """Cut a table anywhere, some pieces empty."""
    ends = sorted([0, *random.Random(seed).choices(range(len(table)), k=pieces - 1), len(table)])
    return [table.slice(a, b - a) for a, b in itertools.pairwise(ends)]


def same(lakes, reference):
    """Say whether both lakes hold the same rows there."""
    one, other = (lake[reference] for lake in lakes)
    assert one.schema.equals(other.schema)
    assert (one.key, one.sort, one.rows) == (other.key, other.sort, other.rows)
    return one.content_id == other.content_id


def test_every_mode_makes_the_same_content(lakes, in_tasks):
    """Append, upsert, delete, replace, in that order: after each the content id is that of the local ingest."""
    tasks, local = lakes
    in_tasks(tasks, cut(rows()), "t", key="id", sort="n", message="first")
    local.ingest(rows(), into="t", key="id", sort="n")
    assert same(lakes, "t")
    assert tasks["t"].commit.message == "first"
    in_tasks(tasks, cut(rows(1000, 1500)), "t")
    local.ingest(rows(1000, 1500), into="t")
    assert same(lakes, "t")
    changed = rows(500, 2000).set_column(1, "n", pa.array([9] * 1500))
    in_tasks(tasks, cut(changed), "t", mode="upsert")
    local.ingest(changed, into="t", mode="upsert")
    assert same(lakes, "t")
    gone = rows(0, 700).select(["s", "id"])
    result = in_tasks(tasks, [gone, gone.slice(5, 10)], "t", mode="delete")
    local.delete("t", where="id < 700")
    assert result.rows_deleted == 700
    assert same(lakes, "t")
    in_tasks(tasks, cut(rows(3, 40)), "t", overwrite=True)
    local.ingest(rows(3, 40), into="t", mode="replace")
    assert same(lakes, "t")


def test_a_replace_by_the_same_rows_makes_no_version(lakes, in_tasks):
    """The same rows, cut otherwise and in another order: no version, no commit."""
    lake = lakes[0]
    in_tasks(lake, cut(rows()), "t")
    before = lake["t"].id
    result = in_tasks(lake, [rows(500, 1000), rows(0, 500)], "t", overwrite=True)
    assert result.commit is None
    assert lake["t"].id == before


def test_every_type_lands_as_a_local_ingest_lands_it(lakes, in_tasks, every_type):
    """A column of every type that Spark knows."""
    in_tasks(lakes[0], [every_type.slice(0, 1), every_type.slice(1)], "t")
    lakes[1].ingest(every_type, into="t")
    assert same(lakes, "t")


def test_schemas_grow_as_in_a_local_ingest(lakes, in_tasks):
    """A wider integer, a new column, renamed and dropped ones: the same schema and content in both lakes."""
    first = pa.table({"id": pa.array(range(10), pa.int32()), "old": [f"o{i}" for i in range(10)], "x": [1.5] * 10})
    wider = pa.table({"id": range(2**40, 2**40 + 5), "new": ["n"] * 5, "x": [None] * 5, "more": [[1]] * 5})
    in_tasks(lakes[0], cut(first), "t")
    lakes[1].ingest(first, into="t")
    for lake in lakes:
        lake.evolve("t", rename={"old": "new"})
    in_tasks(lakes[0], cut(wider), "t")
    lakes[1].ingest(wider, into="t")
    assert same(lakes, "t")
    for lake in lakes:
        lake.evolve("t", drop=["more"])
    again = wider.set_column(0, "id", pa.array(range(5)))
    in_tasks(lakes[0], [again], "t")
    lakes[1].ingest(again, into="t")
    assert same(lakes, "t")


def test_rows_of_no_task_make_an_empty_dataset(lakes, in_tasks):
    """No row at all: a dataset with the schema, as a local ingest makes it; on top of one that is there, nothing."""
    empty = rows(0, 0)
    in_tasks(lakes[0], [empty], "t", key="id")
    lakes[1].ingest(empty, into="t", key="id")
    assert same(lakes, "t")
    assert in_tasks(lakes[0], [empty], "t").commit is None


def test_keys_that_repeat_are_refused_within_and_across_tasks(lakes, in_tasks):
    """The same error as of a local ingest, and nothing landed."""
    lake = lakes[0]
    twice = pa.concat_tables([rows(0, 10), rows(3, 4)])
    for tables in ([twice], [rows(0, 10), rows(3, 4)]):
        with pytest.raises(KeyViolation, match="1 input rows repeat a key, for example id = 3"):
            in_tasks(lake, tables, "t", key="id")
        with pytest.raises(KeyViolation, match="1 input rows repeat a key"):
            in_tasks(lake, tables, "t", key="id", mode="upsert")
    assert not lake.datasets()
    in_tasks(lake, [rows(0, 10)], "t", key="id")
    with pytest.raises(KeyViolation, match="1 input rows have the key of another row"):
        in_tasks(lake, [rows(9, 10), rows(10, 12)], "t")
    assert lake["t"].rows == 10
    null = pa.table({"id": pa.array([None], pa.int64()), "n": [1], "s": [""]})
    with pytest.raises(KeyViolation, match="null or NaN in the key column 'id'"):
        in_tasks(lake, [rows(10, 12), null], "t")


@pytest.mark.parametrize("sort", [None, "n"])
def test_of_one_key_the_last_by_order_counts(lakes, in_tasks, sort):
    """With an order column the newest row of a key is kept, wherever tasks had the others; a tie is refused."""
    random_rows = random.Random(7)
    ids = [random_rows.randrange(50) for _ in range(400)]
    ranks = random_rows.sample(range(10_000), 400)
    table = pa.table({"id": ids, "n": ranks, "s": [f"{i}" for i in range(400)]})
    options = {} if sort is None else {"sort": sort}
    in_tasks(lakes[0], cut(table, 5), "t", key="id", mode="upsert", order="n", **options)
    lakes[1].ingest(table, into="t", key="id", mode="upsert", order="n", **options)
    assert same(lakes, "t")
    with pytest.raises(KeyViolation, match="neither is newer"):
        in_tasks(lakes[0], [table.slice(0, 1), table.slice(0, 1)], "t", mode="upsert", order="n")


def test_a_key_that_has_a_third_of_the_rows_is_written(lakes, in_tasks):
    """One key in 30 % of 20,000 rows, by key in one task or anywhere in four: the newest counts, and without an order it is refused."""
    drawn = random.Random(11)
    ids = [0 if drawn.random() < 0.3 else drawn.randrange(1, 5000) for _ in range(20_000)]
    table = pa.table({"id": ids, "n": drawn.sample(range(10**6), len(ids)), "s": [f"{i}" for i in range(len(ids))]})
    by_key = [table.filter(pa.array([key % 4 == task for key in ids])) for task in range(4)]
    lakes[1].ingest(table, into="t", key="id", mode="upsert", order="n")
    for name, tables in (("t", by_key), ("anywhere", cut(table, 4))):
        in_tasks(lakes[0], tables, name, key="id", mode="upsert", order="n")
        assert lakes[0][name].content_id == lakes[1]["t"].content_id
        with pytest.raises(KeyViolation, match=f"{20_000 - len(set(ids)):,} input rows repeat a key"):
            in_tasks(lakes[0], tables, "refused", key="id")
    assert "refused" not in [info.name for info in lakes[0].datasets()]


def test_a_contract_is_asked_in_tasks(lakes, in_tasks, tmp_path):
    """Rows that fail go to quarantine with their reasons, the rest lands, in the numbers of a local ingest."""
    (tmp_path / "rows.py").write_text(CONTRACT)
    bad = pa.concat_tables([rows(0, 100), rows(50, 52)])
    for name in ("Rows", "Strict"):
        contract = f"{tmp_path / 'rows.py'}:{name}"
        mine = in_tasks(lakes[0], cut(bad), name, contract=contract)
        theirs = lakes[1].ingest(bad, into=name, contract=contract)
        assert (mine.rows_in, mine.rows_added, mine.rows_quarantined) == (
            theirs.rows_in,
            theirs.rows_added,
            theirs.rows_quarantined,
        )
        assert mine.rows_quarantined
        assert same(lakes, name)
        held, held_there = (lake[f"{name}@{each.quarantine}"] for lake, each in zip(lakes, (mine, theirs), strict=True))
        assert held.content_id == held_there.content_id
        checks = lakes[0][name].commit.changes[name].checks
        assert [check.ok for check in checks] == [True]
        assert checks[0].detail == lakes[1][name].commit.changes[name].checks[0].detail
        with pytest.raises(ContractFailed, match="nothing landed"):
            in_tasks(lakes[0], cut(bad), f"{name}.strict", contract=contract, on_error="fail")
        assert f"{name}.strict" not in [info.name for info in lakes[0].datasets()]


def test_a_write_whose_dataset_would_fail_is_an_error(lakes, tmp_path):
    """Rows that are right alone and wrong together wait in quarantine, and neither a write nor a batch is taken for done."""
    (tmp_path / "one.py").write_text(ONE_EACH, "utf-8")
    lake = lakes[0]
    table = pa.table({"k": [1, 2], "e": ["same", "same"]})
    options = {"path": "t", "lake": lake.url, "mode": "upsert", "key": "k", "contract": f"{tmp_path / 'one.py'}:One"}
    written = Asked.of("t", options, overwrite=False)
    writer = Writer(Settings.of(options, WRITE), written, table.schema)
    rows = write_task(lake.store, writer.plan, "task", table.to_batches())
    with pytest.raises(ContractFailed, match="would not meet contract"):
        writer.commit([Wrote(rows)])
    with pytest.raises(ContractFailed, match="would not meet contract"):
        StreamWriter(writer, "", None).commit([WroteOfBatch(rows, "query", writer.plan)], 0)
    assert "t" not in list(lake)


def test_what_a_contract_cannot_coerce_is_rejected(lakes, in_tasks, tmp_path):
    """A contract that coerces does so in tasks; values that do not go land among the rejects, in the same commit."""
    (tmp_path / "rows.py").write_text(CONTRACT)
    table = pa.table({"id": ["1", "x", "3"], "n": ["1", "2", "3"], "s": ["a", "b", "c"]})
    contract = f"{tmp_path / 'rows.py'}:Coerced"
    mine = in_tasks(lakes[0], [table.slice(0, 2), table.slice(2)], "t", contract=contract)
    lakes[1].ingest(table, into="t", contract=contract)
    assert (mine.rows_added, mine.rows_rejected) == (2, 1)
    assert same(lakes, "t")
    rejects = lakes[0]["t.rejects"].to_arrow().to_pylist()
    assert [(row["source"], row["row"], row["column"]) for row in rejects] == [("task 0", 2, "id")]
    assert lakes[0]["t.rejects"].commit.id == lakes[0]["t"].commit.id


def test_a_branch_that_is_protected_stays_so(lakes, in_tasks, tmp_path):
    """Without a contract of its own a write is held to that of the branch: rows that break it do not land."""
    (tmp_path / "rows.py").write_text(CONTRACT)
    lake = lakes[0]
    in_tasks(lake, [rows(0, 5)], "t")
    lake.protect("main", f"{tmp_path / 'rows.py'}:Rows", "t")
    with pytest.raises(ContractFailed, match="holds t to contract Rows"):
        in_tasks(lake, [rows(5, 10)], "t")
    assert lake["t"].rows == 5
    in_tasks(lake, [rows(7, 10)], "t")
    assert lake["t"].rows == 8


def test_what_was_erased_does_not_come_back(lakes, in_tasks):
    """Rows that were erased from a dataset are left out, as in a local ingest."""
    lake = lakes[0]
    in_tasks(lake, [rows(0, 10)], "t")
    lake.erase("t", "id = 3", "asked for")
    result = in_tasks(lake, [rows(0, 10)], "t", overwrite=True)
    assert result.rows_suppressed == 1
    assert lake["t"].rows == 9


def test_a_replace_forgets_what_was_read_before(lakes, in_tasks, tmp_path):
    """A file that was landed before all rows were replaced may be landed again."""
    lake = lakes[0]
    file = tmp_path / "rows.csv"
    file.write_text("id,n,s\n1,1,a\n")
    lake.ingest(file, into="t")
    in_tasks(lake, [rows(5, 6)], "t", overwrite=True)
    assert lake.ingest(file, into="t").rows_added == 1
    assert lake["t"].rows == 2


def test_a_dataset_that_changed_meanwhile_keeps_its_shape(lakes, in_tasks):
    """More rows are no matter; another column, key or name is a conflict that leaves nothing."""
    lake = lakes[0]
    in_tasks(lake, [rows(0, 5)], "t")
    in_tasks(lake, [rows(5, 10)], "t", meanwhile=lambda: lake.ingest(rows(10, 15), into="t"))
    assert lake["t"].rows == 15
    with pytest.raises(SchemaMismatch, match="has no column 'other'"):
        in_tasks(lake, [rows(15, 20)], "t", meanwhile=lambda: lake.evolve("t", rename={"s": "other"}))
    with pytest.raises(CommitConflict, match="write them again"):
        in_tasks(lake, [rows(0, 5)], "u", meanwhile=lambda: lake.ingest(rows(0, 5), into="u", key="id"))
    assert lake["u"].rows == 5


def test_a_write_that_died_before_its_commit_leaves_nothing(lakes, in_tasks):
    """Parts without a commit are no version: a collection takes them, and written again they land once."""

    def die():
        raise RuntimeError("the driver is gone")

    lake = lakes[0]
    with pytest.raises(RuntimeError):
        in_tasks(lake, cut(rows()), "t", meanwhile=die)
    assert not lake.datasets()
    assert lake.gc(grace="0s").done.objects > 0
    in_tasks(lake, cut(rows()), "t")
    assert lake["t"].rows == 1000
    assert len(list(lake.log("t"))) == 1
    assert lake.verify().ok


def test_parts_that_were_collected_before_their_commit_are_missed(lakes, in_tasks):
    """A collection that comes between the tasks and the commit: the commit is refused, nobody reads what is gone."""
    lake = lakes[0]
    with pytest.raises(CommitConflict, match="collected"):
        in_tasks(lake, cut(rows()), "t", meanwhile=lambda: lake.gc(grace="0s"))
    assert not lake.datasets()
