"""Diffs against an oracle of plain dicts, and how little they read."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from dataplat._lake import Lake
from dataplat.lake.stores import MemoryStore
from dataplat.versioning.diff import Diff, _rows
from dataplat.versioning.lakefile import create_lake

SCHEMA = pa.schema([("id", pa.int64()), ("x", pa.float64()), ("s", pa.list_(pa.string()))])

ids = st.integers(0, 8)
values = st.tuples(
    st.none() | st.sampled_from([0.0, -0.0, 1.5, math.nan]),
    st.none() | st.lists(st.none() | st.sampled_from(["", "a"]), max_size=2),
)
keyed = st.dictionaries(ids, values, max_size=6)
bags = st.lists(st.tuples(ids, values), max_size=6)


def fresh() -> Lake:
    """An empty lake in memory."""
    store = MemoryStore()
    create_lake(store)
    return Lake(store, "test", "memory")


def table(rows: Any) -> pa.Table:
    """Rows as a table, from `{id: values}` or a list of (id, values)."""
    pairs = rows.items() if isinstance(rows, dict) else rows
    return pa.Table.from_pylist([{"id": key, "x": x, "s": s} for key, (x, s) in pairs], SCHEMA)


def plain(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row such that equal rows in dataplat's sense are equal."""
    x = row["x"]
    number = "nan" if x is not None and math.isnan(x) else x if x is None else x + 0.0
    return row["id"], number, None if row["s"] is None else tuple(row["s"])


def bag(rows: pa.Table) -> Counter[tuple[Any, ...]]:
    """The rows as a multiset."""
    return Counter(map(plain, rows.to_pylist()))


def check_keyed(diff: Diff, before: pa.Table, after: pa.Table) -> None:
    """Compare a diff by key with what two dicts differ by."""
    old, new = ({row["id"]: row for row in side.to_pylist()} for side in (before, after))
    changed = {key for key in old.keys() & new.keys() if plain(old[key]) != plain(new[key])}
    assert diff.summary.added == len(new.keys() - old.keys())
    assert diff.summary.removed == len(old.keys() - new.keys())
    assert diff.summary.changed == len(changed)
    assert set(diff.added["id"].to_pylist()) == new.keys() - old.keys()
    assert set(diff.removed["id"].to_pylist()) == old.keys() - new.keys()
    rows = diff.changed.to_pylist()
    assert {row["id"] for row in rows} == changed
    for row in rows:
        assert plain(row["before"]) == plain(old[row["id"]])
        assert plain(row["after"]) == plain(new[row["id"]])
        pairs = zip(plain(row["before"]), plain(row["after"]), SCHEMA.names, strict=True)
        assert row["changed"] == [name for one, other, name in pairs if one != other]


def change(lake: Lake, step: str, rows: dict[int, Any]) -> None:
    """Do one change of dataset `d`."""
    if step == "delete":
        lake.delete("d", f"id < {len(rows)}")
    elif step == "rollback":
        lake.rollback("d@first")
    else:
        lake.ingest(table(rows), "d", mode=step, key="id")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    first=keyed,
    history=st.lists(st.tuples(st.sampled_from(["upsert", "delete", "replace", "rollback"]), keyed), max_size=4),
)
def test_by_key_agrees_with_dicts(first: dict[int, Any], history: list[tuple[str, dict[int, Any]]]) -> None:
    """Whatever lies between two versions, rows are added, removed and changed as two dicts differ, both ways."""
    lake = fresh()
    lake.ingest(table(first), "d", key="id")
    lake.tag("first")
    for step, rows in history:
        change(lake, step, rows)
    before, after = lake["d@first"].to_arrow(), lake["d"].to_arrow()
    check_keyed(lake.diff("d@first", "d"), before, after)
    check_keyed(lake.diff("d", "d@first"), after, before)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    first=bags,
    history=st.lists(st.tuples(st.sampled_from(["append", "delete", "replace", "rollback"]), bags), max_size=4),
)
def test_without_key_agrees_with_multisets(first: list[Any], history: list[tuple[str, list[Any]]]) -> None:
    """Without a key rows are added and removed as two multisets differ, duplicates counted."""
    lake = fresh()
    lake.ingest(table(first), "d")
    lake.tag("first")
    for step, rows in history:
        if step == "delete":
            lake.delete("d", f"id < {len(rows)}")
        elif step == "rollback":
            lake.rollback("d@first")
        else:
            lake.ingest(table(rows), "d", mode=step)
    old, new = bag(lake["d@first"].to_arrow()), bag(lake["d"].to_arrow())
    diff = lake.diff("d@first", "d")
    assert (diff.summary.added, diff.summary.removed) == ((new - old).total(), (old - new).total())
    assert bag(diff.added) == new - old
    assert bag(diff.removed) == old - new
    assert diff.summary.changed == diff.changed.num_rows == 0


def test_the_same_part_twice(memory_lake: Lake) -> None:
    """The same rows appended twice are twice as many rows, and a diff counts them so."""
    rows = table([(1, (1.5, None)), (2, (None, None))])
    for _ in range(3):
        memory_lake.ingest(rows, "d")
    assert len({part.id for part in memory_lake["d"].parts}) == 1
    assert memory_lake.diff("d@main~2", "d").summary.added == 4
    assert memory_lake.diff("d", "d@main~1").summary.removed == 2


def test_a_part_that_moved_is_not_read(memory_lake: Lake, reads: Any) -> None:
    """The same part at another place, as in a dataset that was dropped and landed again, is no difference."""
    rows = table([(1, (1.5, None)), (2, (None, None))])
    memory_lake.ingest(table([(9, (None, None))]), "d")
    memory_lake.ingest(rows, "d")
    memory_lake.tag("v1")
    memory_lake.drop("d")
    memory_lake.ingest(rows, "d")
    reads.clear()
    diff = memory_lake.diff("d@v1", "d")
    assert (diff.summary.added, diff.summary.removed) == (0, 1)
    assert reads.calls == []


def test_only_what_differs_is_read(memory_lake: Lake, reads: Any) -> None:
    """Of four parts the diff of an upsert opens the one whose deletes differ and the new one."""
    for start in range(0, 40, 10):
        memory_lake.ingest(table({start + i: (1.0, None) for i in range(10)}), "d", key="id")
    memory_lake.tag("v1")
    memory_lake.ingest(table({12: (2.0, None)}), "d", mode="upsert")
    old, new = memory_lake["d@v1"].parts, memory_lake["d"].parts
    reads.clear()
    diff = memory_lake.diff("d@v1", "d")
    assert (diff.summary.added, diff.summary.removed, diff.summary.changed) == (0, 0, 1)
    assert reads.parts == {old[1].id, new[-1].id}


def test_counting_reads_nothing(memory_lake: Lake, reads: Any) -> None:
    """Where rows only came, or only went, the summary is counted from manifests and deletes."""
    memory_lake.ingest(table({1: (1.0, None), 2: (2.0, None)}), "d", key="id")
    memory_lake.ingest(table({3: (1.0, None)}), "d")
    memory_lake.delete("d", "id = 2")
    reads.clear()
    assert memory_lake.diff("d@main~2", "d@main~1").summary.added == 1
    assert memory_lake.diff("d@main~1", "d").summary.removed == 1
    assert memory_lake.diff("d", "d").summary.is_empty
    assert reads.calls == []


def test_rollback_that_undeletes(memory_lake: Lake) -> None:
    """Rows that a rollback brings back are added again."""
    memory_lake.ingest(table({1: (1.0, None), 2: (2.0, None)}), "d", key="id")
    memory_lake.delete("d", "id = 2")
    memory_lake.rollback("d@main~1")
    diff = memory_lake.diff("d@main~1", "d")
    assert diff.added.column("id").to_pylist() == [2]
    assert memory_lake.diff("d@main~2", "d").summary.is_empty


def test_columns_that_come_and_go(memory_lake: Lake) -> None:
    """Rows in which a new column has a value changed, those in which it is null did not; one that went changes none."""
    memory_lake.ingest(pa.table({"id": [1, 2], "a": [1, 2]}), "d", key="id")
    rows = pa.table({"id": [1, 2], "a": [1, 2], "b": [None, "x"]})
    memory_lake.ingest(rows, "d", mode="replace")
    diff = memory_lake.diff("d@main~1", "d")
    assert [str(change) for change in diff.schema_changes] == ["column b added (string)"]
    assert diff.changed.select(["id", "changed"]).to_pylist() == [{"id": 2, "changed": ["b"]}]
    back = memory_lake.diff("d", "d@main~1")
    assert [str(change) for change in back.schema_changes] == ["column b removed (string)"]
    assert back.summary.is_empty


def test_wider_keys_match(memory_lake: Lake) -> None:
    """Keys are equal across widths: a key that became int64 still finds its rows."""
    memory_lake.ingest(pa.table({"id": pa.array([1, 2], pa.int32()), "a": [1, 2]}), "d", key="id")
    memory_lake.ingest(pa.table({"id": [1, 2, 2**40], "a": [1, 5, 3]}), "d", mode="replace")
    diff = memory_lake.diff("d@main~1", "d")
    assert (diff.summary.added, diff.summary.removed, diff.summary.changed) == (1, 0, 1)
    assert [str(change) for change in diff.schema_changes] == ["column id: int32 -> int64"]


def test_another_key_compares_whole_rows(memory_lake: Lake) -> None:
    """Versions with different keys are compared row by row: nothing is called changed."""
    memory_lake.ingest(pa.table({"id": [1, 2], "a": [1, 2]}), "d", key="id")
    memory_lake.ingest(pa.table({"id": [1, 2], "a": [1, 3]}), "d", mode="replace", key="a")
    diff = memory_lake.diff("d@main~1", "d")
    assert diff.key == ()
    assert (diff.summary.added, diff.summary.removed, diff.summary.changed) == (1, 1, 0)


@pytest.mark.parametrize("name", ["row", "row_before", "lane0", "nth", "__before"])
def test_columns_may_have_any_name(memory_lake: Lake, name: str) -> None:
    """Column names that the diff uses itself are no trouble."""
    memory_lake.ingest(pa.table({name: [1, 2], "v": [1, 2]}), "d", key=name)
    memory_lake.ingest(pa.table({name: [1, 2], "v": [1, 3]}), "d", mode="upsert")
    diff = memory_lake.diff("d@main~1", "d")
    assert diff.changed.select([name, "changed"]).to_pylist() == [{name: 2, "changed": ["v"]}]
    assert repr(diff) == "Diff(+0 added, -0 removed, ~1 changed rows)"


def test_nested_columns_and_plain_values(memory_lake: Lake) -> None:
    """Lists, structs and maps are compared by value; the summary comes as plain values, too."""
    kind = pa.struct([("m", pa.map_(pa.string(), pa.int64())), ("l", pa.list_(pa.float64()))])
    rows = [{"m": [("a", 1), ("b", 2)], "l": [0.0]}, {"m": None, "l": [None]}]
    memory_lake.ingest(pa.table({"id": [1, 2], "v": pa.array(rows, kind)}), "d", key="id")
    other = [{"m": [("b", 2), ("a", 1)], "l": [-0.0]}, {"m": None, "l": []}]
    memory_lake.ingest(pa.table({"id": [1, 2], "v": pa.array(other, kind)}), "d", mode="replace")
    diff = memory_lake.diff("d@main~1", "d")
    assert diff.changed.column("id").to_pylist() == [2]
    told = diff.to_dict()
    assert (told["added"], told["removed"], told["changed"]) == (0, 0, 1)
    assert told["before"] != told["after"]


def test_a_rename_or_another_order_changes_no_row(memory_lake: Lake) -> None:
    """Columns are told by stored names: a renamed one is the same, and rows are shown under its new name."""
    memory_lake.ingest(pa.table({"id": [1, 2, 3], "a": [1, 2, 3], "b": ["x", "y", "z"]}), "d", key="id")
    memory_lake.evolve("d", rename={"a": "n"}, order=["b"])
    diff = memory_lake.diff("d@main~1", "d")
    assert [str(change) for change in diff.schema_changes] == ["column a renamed to n"]
    assert diff.summary.is_empty
    memory_lake.ingest(pa.table({"id": [2], "b": ["y"], "n": [5]}), "d", mode="upsert")
    diff = memory_lake.diff("d@main~2", "d")
    assert diff.changed.select(["id", "changed"]).to_pylist() == [{"id": 2, "changed": ["n"]}]
    assert diff.changed.column("before").to_pylist() == [{"id": 2, "n": 2, "b": "y"}]


def test_a_name_that_another_column_took(memory_lake: Lake) -> None:
    """A column dropped and one added under its name are two: the old one is told apart by a `~`."""
    memory_lake.ingest(pa.table({"id": [1, 2], "a": [1, 2]}), "d", key="id")
    memory_lake.evolve("d", drop=["a"])
    memory_lake.evolve("d", add={"a": "string"})
    memory_lake.ingest(pa.table({"id": [1], "a": ["x"]}), "d", mode="upsert")
    diff = memory_lake.diff("d@main~3", "d")
    assert [str(change) for change in diff.schema_changes] == ["column a removed (int64)", "column a added (string)"]
    assert diff.changed.column("changed").to_pylist() == [["a"]]


@pytest.mark.parametrize("key", ["id", None])
@pytest.mark.parametrize("value", ["x", ["x"], None])
def test_back_over_a_drop_rows_with_a_value_differ_wherever_they_lie(
    memory_lake: Lake, key: str | None, value: Any
) -> None:
    """A dropped column that is back in the later version counts by its values, in parts of both as in those written anew."""
    for number in range(3):
        held = pa.array([value], pa.list_(pa.string()) if isinstance(value, list) else pa.string())
        memory_lake.ingest(pa.table({"id": [number], "b": held}), "d", key=key)
    memory_lake.tag("old")
    memory_lake.evolve("d", drop=["b"])
    memory_lake.delete("d", "id = 2")
    memory_lake.tag("dropped")
    memory_lake.compact("d")
    differ = 0 if value is None else 2
    for place in ("dropped", "main"):
        back = memory_lake.diff(f"d@{place}", "d@old")
        counts = (1, 0, differ) if key else (1 + differ, differ, 0)
        assert (back.summary.added, back.summary.removed, back.summary.changed) == counts
        there = memory_lake.diff("d@old", f"d@{place}").summary
        assert (there.added, there.removed, there.changed) == (0, 1, 0)


@pytest.mark.parametrize("key", ["id", None])
def test_a_drop_changes_no_row_wherever_rows_lie(memory_lake: Lake, key: str | None) -> None:
    """Rows that were written anew since a column was dropped do not differ, as those do not that were not."""
    for number in range(4):
        memory_lake.ingest(pa.table({"id": [number], "a": [number], "b": ["x"]}), "d", key=key)
    before = memory_lake["d"]
    memory_lake.evolve("d", drop=["b"], add={"c": "int64"})
    memory_lake.compact("d")
    diff = memory_lake.diff(f"d@id:{before.id}", "d")
    assert diff.summary.is_empty
    memory_lake.ingest(
        pa.table({"id": [1, 2, 3], "a": [1, 2, 3], "c": [None, None, 7]}), "d", where="id > 0", mode="replace"
    )
    diff = memory_lake.diff(f"d@id:{before.id}", "d")
    assert (len(diff.added) + len(diff.changed), len(diff.removed)) == (1, 0 if key else 1)
    if key:
        assert diff.changed.column("changed").to_pylist() == [["c"]]
        assert {column.name: column.cells for column in diff.columns} == {"id": 0, "a": 0, "c": 1, "b": 0}


def test_columns_count_cells(memory_lake: Lake) -> None:
    """Each column says in how many of the changed rows it differs, and what happened to it in the schema."""
    memory_lake.ingest(pa.table({"id": [1, 2, 3], "a": [1, 2, 3], "b": [0.0, 1.0, 2.0]}), "d", key="id")
    rows = pa.table({"id": [1, 2, 3], "a": [9, 9, 3], "b": [-0.0, 5.0, 2.0], "c": [None, None, "new"]})
    memory_lake.ingest(rows, "d", mode="replace")
    columns = memory_lake.diff("d@main~1", "d").columns
    assert [(one.name, one.cells, one.rows, one.changes) for one in columns] == [
        ("id", 0, 3, ()),
        ("a", 2, 3, ()),
        ("b", 1, 3, ()),
        ("c", 1, 3, ("added",)),
    ]


def test_stats_are_those_of_the_live_rows(memory_lake: Lake) -> None:
    """Nulls, NaN, bounds and means are exact in both versions, whether parts have deletes or not."""
    x = [1.0, None, math.nan, 4.0]
    whole = pa.table({"id": [1, 2, 3, 4], "x": x, "s": ["a", None, "c", "d"]})
    memory_lake.ingest(whole, "d", key="id")
    memory_lake.delete("d", "id = 4")
    stats = {one.name: one for one in memory_lake.diff("d@main~1", "d").stats}
    before, after = stats["x"].before, stats["x"].after
    assert before is not None
    assert after is not None
    assert (before.rows, before.nulls, before.nans, before.low, before.high, before.mean) == (4, 1, 1, 1.0, 4.0, 2.5)
    assert (after.rows, after.nulls, after.nans, after.low, after.high, after.mean) == (3, 1, 1, 1.0, 1.0, 1.0)
    text = stats["s"]
    assert text.after is not None
    assert (text.after.low, text.after.high, text.after.nulls, text.differs) == ("a", "c", 1, True)


VALUES = [
    pa.array([1, 2], pa.uint64()),
    pa.array([0, 1], pa.date32()),
    pa.array([1, 2], pa.time32("ms")),
    pa.array([1, 2], pa.time64("us")),
    pa.array([1, 2], pa.timestamp("ns", "UTC")),
    pa.array([1, 2], pa.duration("us")),
    pa.array([True, False]),
    pa.array(["1.50", "2.25"], pa.string()).cast(pa.decimal128(38, 10)),
    pa.array([b"a", b"b"]),
    pa.array([[1], [2]]),
]


@pytest.mark.parametrize("values", VALUES, ids=lambda values: str(values.type))
def test_stats_of_parts_and_of_rows_agree(memory_lake: Lake, values: pa.Array) -> None:
    """What part statistics say is what the rows give once a deleted one makes them be read."""
    ids = pa.array([1, 2, 3])
    column = pa.concat_arrays([values, pa.nulls(1, values.type)])
    memory_lake.ingest(pa.table({"id": ids, "v": column}), "d", key="id")
    memory_lake.delete("d", "id = 3")
    found = next(one for one in memory_lake.diff("d@main~1", "d").stats if one.name == "v")
    assert found.before is not None
    assert found.after is not None
    assert (found.before.nulls, found.after.nulls) == (1, 0)
    if not pa.types.is_binary(values.type):
        assert (found.before.low, found.before.high) == (found.after.low, found.after.high)


def test_one_table_holds_all_that_differs(memory_lake: Lake) -> None:
    """Every row that differs is one row, with the kind of its change and what it was and is; names never clash."""
    memory_lake.ingest(pa.table({"change": [1, 2], "before": ["a", "b"]}), "d", key="change")
    memory_lake.ingest(pa.table({"change": [2, 3], "before": ["x", "c"]}), "d", mode="replace")
    rows = memory_lake.diff("d@main~1", "d").to_arrow()
    assert rows.column_names == ["change_", "change", "changed", "before", "after"]
    assert [list(row.values())[:3] for row in rows.to_pylist()] == [
        ["removed", 1, None],
        ["added", 3, None],
        ["changed", 2, ["before"]],
    ]
    assert rows.column("after").to_pylist() == [None, {"change": 3, "before": "c"}, {"change": 2, "before": "x"}]


def test_the_page_is_self_contained_and_safe(memory_lake: Lake) -> None:
    """It names no other file, shows as many rows as asked for, and values cannot become markup."""
    memory_lake.ingest(pa.table({"id": [1, 2], "a<b>": ["<script>", "x"]}), "d", key="id")
    memory_lake.ingest(pa.table({"id": [1, 2], "a<b>": ["</td>", "y"]}), "d", mode="replace")
    diff = memory_lake.diff("d@main~1", "d")
    page = diff.to_html(limit=1, title="<d>")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "a&lt;b&gt;" in page
    assert "1 more are not shown" in page
    assert "http" not in page
    assert "prefers-color-scheme:dark" in page
    assert diff._repr_html_() in diff.to_html(limit=10, title="Difference")


def test_rows_that_do_not_fit_are_read_again(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows are not kept only those that differ are taken in a second pass: the same tables in the same order."""
    first = pa.table({"id": range(50), "v": [i % 7 for i in range(50)]})
    second = pa.table({"id": range(10, 60), "v": [i % 5 for i in range(50)]})
    memory_lake.ingest(first, "d", key="id")
    memory_lake.ingest(second, "d", mode="replace")
    kept = memory_lake.diff("d@main~1", "d").to_arrow()
    monkeypatch.setattr(_rows, "KEPT", 0)
    assert memory_lake.diff("d@main~1", "d").to_arrow() == kept


def test_after_a_compaction_nothing_is_read(memory_lake: Lake, reads: Any) -> None:
    """A compaction changes no row; where both content ids are known that is seen before any row is read."""
    memory_lake.ingest(table(dict.fromkeys(range(40), (1.0, None))), "d", key="id")
    memory_lake.delete("d", "id >= 10")
    assert memory_lake["d"].content_id
    before = memory_lake["d"].id
    assert memory_lake.compact("d").commit is not None
    assert memory_lake["d"].id != before
    assert memory_lake.diff(f"d@id:{before}", "d").is_empty
    assert memory_lake["d"].content_id
    reads.clear()
    assert memory_lake.diff(f"d@id:{before}", "d").is_empty
    assert reads.calls == []


def test_a_lake_is_compared_by_dataset(memory_lake: Lake) -> None:
    """Datasets that changed, came, went or were renamed are listed; those with the same rows are not."""
    for name in ("same", "changed", "dropped", "old"):
        memory_lake.ingest(pa.table({"id": [1, 2], "name": [name, None]}), name, key="id")
    memory_lake.tag("v1")
    memory_lake.ingest(pa.table({"id": [2, 3], "name": ["x", "y"]}), "changed", mode="upsert")
    memory_lake.drop("dropped")
    memory_lake.rename("old", "new")
    memory_lake.ingest(pa.table({"n": [1]}), "fresh")
    found = memory_lake.compare("v1", "main")
    assert [(one.dataset, one.kind, one.added, one.removed, one.changed) for one in found.datasets] == [
        ("changed", "changed", 1, 0, 1),
        ("dropped", "dropped", 0, 2, 0),
        ("fresh", "added", 1, 0, 0),
        ("new", "renamed", 0, 0, 0),
    ]
    assert memory_lake.compare("@main", "@main").is_empty
    assert repr(memory_lake.compare("main", "main")) == "LakeDiff(nothing differs)"
