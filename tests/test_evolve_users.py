"""Evolved datasets as users see them, and other writers meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat._lake import Lake


@pytest.fixture
def shop(memory_lake: Lake) -> Lake:
    """A lake with a keyed dataset of three rows in one part."""
    rows = {"id": [1, 2, 3], "n": pa.array([10, None, 30], pa.int32()), "s": ["x", "y", None]}
    memory_lake.ingest(pa.table(rows), "d", key=["id"], sort=["id"])
    return memory_lake


def parts_of(lake: Lake) -> set[str]:
    """The objects that hold rows."""
    return {info.key for info in lake.store.list("objects/") if info.key.endswith(".parquet")}


def test_no_part_is_written(shop: Lake) -> None:
    """An evolution is a commit of metadata: the parts stay, and the old version reads as it was."""
    parts, old = parts_of(shop), shop["d"]
    new = shop.evolve(
        "d",
        drop="s",
        rename={"n": "count", "id": "key"},
        add={"s": "string"},
        widen={"count": "int64"},
        order=["count"],
    )
    assert parts_of(shop) == parts
    assert (new.schema.names, new.key, new.sort) == (["count", "key", "s"], ("key",), ("key",))
    assert new.to_arrow().to_pylist()[0] == {"count": 10, "key": 1, "s": None}
    assert shop[f"d@id:{old.id}"].to_arrow().to_pylist()[0] == {"id": 1, "n": 10, "s": "x"}
    assert shop["d@main~1"].id == old.id
    assert shop.log("d")[0].mode == "evolve"
    assert "renames column n to count" in shop.log("d")[0].message


def test_what_leaves_the_content_id_known(shop: Lake) -> None:
    """Adding, widening, ordering, requiring and loosening need no look at rows; renaming and dropping do, once."""
    known = shop["d"].content_id
    shop.evolve("d", widen={"n": "int64"}, order=["s"], required="id")
    assert shop["d"].content_id_if_known == known
    shop.evolve("d", add=["note string"], nullable="id")
    assert shop["d"].content_id_if_known is not None
    shop.evolve("d", rename={"s": "t"})
    assert shop["d"].content_id_if_known is None
    assert shop["d"].content_id != known
    assert shop["d"].content_id_if_known is not None
    shop.evolve("d", rename={"t": "s"}, drop="note")
    assert shop["d"].content_id == known


def test_digests_of_parts_are_remembered(shop: Lake, reads: Any) -> None:
    """After a rename each part is digested once, and later versions pay for what came."""
    shop.evolve("d", rename={"s": "t"})
    assert shop["d"].content_id
    reads.clear()
    shop.ingest(pa.table({"id": [4], "n": pa.array([1], pa.int32()), "t": ["z"]}), "d")
    new = {part.id for part in shop["d"].parts[1:]}
    reads.clear()
    assert shop["d"].content_id
    assert reads.parts == new


def test_pruning_goes_by_stored_names(shop: Lake, reads: Any) -> None:
    """Where two columns swapped names, statistics prune by the right one."""
    shop.ingest(pa.table({"id": [4], "n": pa.array([400], pa.int32()), "s": ["z"]}), "d")
    shop.evolve("d", add={"m": "int32"})
    shop.evolve("d", rename={"n": "m", "m": "n"})
    reads.clear()
    assert shop["d"].to_arrow(where="m > 100").to_pylist() == [{"id": 4, "m": 400, "n": None, "s": "z"}]
    assert reads.parts == {shop["d"].parts[1].id}
    assert shop["d"].to_arrow(where="n > 0").num_rows == 0


def test_a_dropped_column_never_comes_back(shop: Lake) -> None:
    """A column that is added under a dropped name, by an evolution or by rows, is null in the old rows."""
    shop.evolve("d", drop="s", add=["s string"])
    shop.evolve("d", drop="s")
    shop.ingest(pa.table({"id": [4], "n": pa.array([4], pa.int32()), "s": ["new"]}), "d")
    assert shop["d"].to_arrow().column("s").to_pylist() == [None, None, None, "new"]
    assert len({*shop["d"].manifest.root.names.values(), *shop["d"].manifest.root.gone}) == 5


def test_a_replace_of_all_parts_forgets(shop: Lake) -> None:
    """Once no old part is left, dropped names are free, and columns are stored as they are called."""
    shop.evolve("d", drop="s", rename={"n": "m"})
    shop.ingest(pa.table({"id": [7], "s": ["x"]}), "d", mode="replace")
    root = shop["d"].manifest.root
    assert (root.gone, root.names, root.renames) == ((), {"id": "id", "s": "s"}, False)


def test_sql_and_files_show_current_names(tmp_path: Any) -> None:
    """DuckDB and exports show columns as they are called now, though they read the parts as they were written."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"a": [1, 2], "b": [3, 4], "c": ["x", "y"]}), "d")
    lake.evolve("d", rename={"a": "b", "b": "a"}, drop="c", add=["C string"])
    rows = [{"b": 1, "a": 3, "C": None}, {"b": 2, "a": 4, "C": None}]
    assert lake.sql("select * from d order by b").to_arrow().to_pylist() == rows
    assert lake["d"].local_parts() is None
    lake["d"].export(tmp_path / "out")
    [file] = (tmp_path / "out").iterdir()
    assert pq.read_table(file).to_pylist() == rows
    assert not any((field.metadata or {}).get(b"stored") for field in pq.read_schema(file))


def test_quarantine_of_an_evolved_dataset(shop: Lake) -> None:
    """Rows that wait in quarantine are read under current names, all of them in one dataset."""
    pandera = pytest.importorskip("pandera.polars")
    shop.evolve("d", rename={"n": "count"})
    contract = pandera.DataFrameSchema({"count": pandera.Column(int, pandera.Check.lt(100), nullable=True)})
    rows = pa.table({"id": [4, 5], "count": pa.array([4, 400], pa.int32()), "s": ["p", "q"]})
    with pytest.raises(dp.ContractFailed):
        shop.ingest(rows, "d", contract=contract, on_error="fail")
    [branch] = [record.branch for record in shop.branches() if record.branch.startswith("quarantine/")]
    found = shop[f"d@{branch}"].to_arrow(columns=["id", "count"]).to_pylist()
    assert sorted(row["count"] for row in found) == [4, 400]


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop": "id"}, "in the key"),
        ({"drop": "nope"}, "no column 'nope' to drop"),
        ({"drop": ["s", "s"]}, "twice"),
        ({"rename": {"n": "s"}}, "two columns 's'"),
        ({"rename": {"n": ""}}, "needs a name"),
        ({"rename": {"m": "n"}}, "no column 'm' to rename; there are: id, n, s"),
        ({"add": {"s": "string"}}, "already"),
        ({"add": "price"}, "no column with its type"),
        ({"add": "price money"}, "unknown type"),
        ({"add": "x {list: int64}"}, "no JSON"),
        ({"widen": {"n": "int16"}}, "cannot be widened from int32 to int16"),
        ({"widen": {"n": "float64"}}, "cannot be widened"),
        ({"required": "s"}, r"null in row 3 \(id = 3\)"),
        ({"add": "t string", "required": "t"}, "comes now"),
        ({"order": ["id", "id"]}, "twice"),
    ],
)
def test_refused(shop: Lake, changes: dict[str, Any], message: str) -> None:
    """What cannot be is refused with the reason, and nothing moves."""
    head = shop["d"].id
    with pytest.raises(dp.SchemaError, match=message):
        shop.evolve("d", **changes)
    assert shop["d"].id == head


def test_nothing_to_do_is_no_commit(shop: Lake) -> None:
    """What is so already makes no version; a plan says what would be, and makes none either."""
    head = shop["d"].id
    assert shop.evolve("d", rename={"n": "n"}, widen={"n": "int32"}, order=["id"], nullable="s").id == head
    plan = shop.plan_evolve("d", drop="s", add=['"the gate" {"list": "string"}'])
    assert plan.changes == ("drops column s (string)", "adds column the gate (list<string>)")
    assert [column["name"] for column in plan.after] == ["id", "n", "the gate"]
    assert shop["d"].id == head
    with pytest.raises(dp.DatasetNotFound):
        shop.evolve("other", drop="s")


def test_required_holds(shop: Lake) -> None:
    """A required column refuses nulls of later rows, and a replace of all rows leaves it required."""
    shop.delete("d", "s is null")
    shop.evolve("d", required=["s"])
    row = {"id": [9], "n": pa.array([1], pa.int32()), "s": pa.array([None], pa.string())}
    for mode in ("append", "replace"):
        with pytest.raises(dp.SchemaMismatch, match="declared as never null"):
            shop.ingest(pa.table(row), "d", mode=mode)
    shop.evolve("d", nullable=["s"])
    assert shop.ingest(pa.table(row), "d").rows_added == 1


# ------------------------------------------------------------------------------------------------- other writers


def test_writers_and_evolutions_at_once(shop: Lake) -> None:
    """Appends and evolutions of several threads all hold: they are rebased, or planned anew."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (shown by the assertion)
            errors.append(error)

    def append(number: int) -> None:
        rows = {"id": [100 + number], "n": pa.array([number], pa.int32()), "s": ["t"]}
        shop.ingest(pa.table(rows), "d")

    def add(number: int) -> None:
        shop.evolve("d", add={f"extra{number}": "string"})

    jobs = [lambda i=i: append(i) for i in range(4)] + [lambda i=i: add(i) for i in range(4)]
    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # an input that lacks a column which came meanwhile may be refused, if it had to be planned anew: that is no loss
    assert all(isinstance(error, dp.SchemaMismatch) for error in errors)
    version = shop["d"]
    assert {f"extra{i}" for i in range(4)} <= set(version.schema.names)
    assert version.rows == 3 + 4 - len(errors)


def test_an_upsert_planned_before_a_rename_lands(shop: Lake) -> None:
    """What was planned under old names lands where columns were renamed, reordered and added meanwhile."""
    with shop.transaction() as tx:
        tx.ingest(pa.table({"id": [2, 4], "n": pa.array([20, 40], pa.int32()), "s": ["yy", "zz"]}), "d", mode="upsert")
        shop.evolve("d", rename={"id": "n", "n": "id"}, order=["s"], add=["note string"])
        shop.ingest(pa.table({"n": [7], "id": pa.array([2], pa.int32()), "s": ["new"], "note": ["!"]}), "d")
    assert sorted(shop["d"].to_arrow().to_pylist(), key=lambda row: row["n"]) == [
        {"s": "x", "n": 1, "id": 10, "note": None},
        {"s": "yy", "n": 2, "id": 20, "note": None},
        {"s": None, "n": 3, "id": 30, "note": None},
        {"s": "zz", "n": 4, "id": 40, "note": None},
        {"s": "new", "n": 7, "id": 2, "note": "!"},
    ]


def test_a_row_planned_before_a_drop_is_planned_anew(shop: Lake) -> None:
    """Rows that carry a column which was dropped meanwhile are not let through: it would come back."""
    with shop.transaction() as tx:
        tx.ingest(pa.table({"id": [4], "n": pa.array([4], pa.int32()), "s": ["q"]}), "d")
        shop.evolve("d", drop="s")
    assert shop["d"].to_arrow().column("s").to_pylist() == [
        None,
        None,
        None,
        "q",
    ]  # planned anew: the column is a new one


def test_an_evolution_holds_on_rows_that_came(shop: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that is required is proven on the head too: a null that came meanwhile is found."""
    from dataplat import _evolve

    planned = _evolve.evolve_change

    def late(*arguments: Any) -> Any:
        found = planned(*arguments)
        shop.ingest(pa.table({"id": [9], "n": pa.array([None], pa.int32()), "s": ["t"]}), "d")
        return found

    shop.delete("d", "n is null")
    monkeypatch.setattr(_evolve, "evolve_change", late)
    with pytest.raises(dp.SchemaMismatch, match=r"null in row 3 \(id = 9\)"):
        shop.evolve("d", required="n")


def test_wider_decimals_still_prune(memory_lake: Lake, reads: Any) -> None:
    """Statistics of parts written before a type became wider prune as before."""
    for price in ("1.50", "250.00"):
        memory_lake.ingest(pa.table({"price": pa.array([Decimal(price)], pa.decimal128(8, 2))}), "d")
    memory_lake.evolve("d", widen={"price": "decimal(20, 2)"})
    reads.clear()
    found = memory_lake["d"].to_arrow(where="price > 100")
    assert found.to_pylist() == [{"price": Decimal("250.00")}]
    assert len(reads.parts) == 1
