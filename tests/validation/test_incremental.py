"""A version judged part by part, from statistics, memos and rows, gives what pandera gives on the whole, at every step."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandera.polars as pdr
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrors

import dataplat as dp
from dataplat.lake.memos import Memos
from dataplat.validation import Contract, Report, _memory
from dataplat.validation._memory import Memory
from dataplat.validation.subject import VersionSubject

FLOATS = [None, math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.1]
WHOLE = [None, 0, 1, -1, 2**62, 3]
TEXT = [None, "", "a", "ab", "é", "日本", "b\n", "\0"]

CHECKS: dict[str, list[Any]] = {
    "float": [
        pdr.Check.ge(0.0), pdr.Check.gt(-1), pdr.Check.le(1.0), pdr.Check.lt(math.inf), pdr.Check.ne(0.5),
        pdr.Check.in_range(-1, 1), pdr.Check.isin([0.0, 1.0]), pdr.Check.notin([0.5]), pdr.Check.notin([math.nan]),
        pdr.Check.eq(1.0), pdr.Check.ge(math.nan), pdr.Check.gt(math.nan), pdr.Check.le(0.1, ignore_na=False),
    ],
    "narrow": [pdr.Check.ge(0.1), pdr.Check.le(0.1), pdr.Check.in_range(0.1, 2), pdr.Check.isin([0.1]), pdr.Check.lt(1)],
    "int": [
        pdr.Check.ge(0), pdr.Check.gt(-1), pdr.Check.le(2**62), pdr.Check.lt(2.5), pdr.Check.ne(7), pdr.Check.eq(3),
        pdr.Check.in_range(-1, 2, include_min=False), pdr.Check.isin([0, 1, 3]), pdr.Check.notin([5, -5]),
        pdr.Check.le(float(2**62) + 1.0), pdr.Check.ge(-0.5, ignore_na=False),
    ],
    "str": [
        pdr.Check.isin(["a", "ab"]), pdr.Check.notin(["zz"]), pdr.Check.str_startswith("a"), pdr.Check.str_matches("^a"),
        pdr.Check.str_length(0, 2), pdr.Check.str_contains("b"), pdr.Check.ge("a"), pdr.Check.lt("b", ignore_na=False),
        pdr.Check(lambda value: value != "ab", element_wise=True), pdr.Check.str_endswith("\n"),
    ],
}  # fmt: skip
TYPES = {
    "float": (pl.Float64, pa.float64(), FLOATS),
    "narrow": (pl.Float32, pa.float32(), [0.1, 0.5, 1.0, None, math.nan]),
    "int": (pl.Int64, pa.int64(), WHOLE),
    "str": (pl.String, pa.string(), TEXT),
}


@st.composite
def histories(draw: Any) -> tuple[pdr.DataFrameSchema, pa.DataType, list[list[Any]], set[int]]:
    """Draw a schema of one column, batches of values that come one after the other, and rows that are deleted."""
    kind = draw(st.sampled_from(sorted(TYPES)))
    dtype, arrow, values = TYPES[kind]
    few = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))  # so that bounds prove something now and then
    checks = draw(st.lists(st.sampled_from(CHECKS[kind]), max_size=3, unique_by=id))
    column = pdr.Column(dtype, checks, nullable=draw(st.booleans()), unique=draw(st.booleans()))
    batches = draw(st.lists(st.lists(st.sampled_from(few), min_size=1, max_size=5), min_size=1, max_size=4))
    rows = sum(map(len, batches))
    gone = draw(st.sets(st.integers(0, rows - 1), max_size=3))
    return pdr.DataFrameSchema({"x": column}, name="s"), arrow, batches, gone


def pandera_says(schema: pdr.DataFrameSchema, table: pa.Table) -> dict[tuple[Any, ...], list[str]]:
    """Return the ids of pandera's failing rows by check."""
    found: dict[tuple[Any, ...], list[str]] = {}
    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema.validate(pl.DataFrame(pl.from_arrow(table)), lazy=True)
    except SchemaErrors as errors:
        ids = table["id"].to_pylist()
        for check, number, index in errors.failure_cases.select("check", "check_number", "index").rows():
            found.setdefault((check, number), []).append(str(ids[index]))
    return {name: sorted(rows) for name, rows in found.items()}


def ours(report: Report) -> dict[tuple[Any, ...], list[str]]:
    """Return the ids of our failing rows by check, and hold the counts and the table of failures to them."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for check in report.failed:
        assert check.status == "failed", check
        assert check.failing == len(check.examples)
        found[check.name, check.number] = sorted(str(dict(example.key)["id"]) for example in check.examples)
    table = report.failures
    assert len(table) == sum(map(len, found.values()))
    assert sorted(table["id"].to_pylist()) == sorted(row for rows in found.values() for row in rows)
    return found


@settings(max_examples=60, deadline=None)
@given(histories())
def test_every_version_is_judged_as_pandera_would(
    history: tuple[pdr.DataFrameSchema, pa.DataType, list[list[Any]], set[int]],
) -> None:
    """After each append and after a delete: same failing rows as pandera on all rows, fresh, remembered, and by another lake."""
    schema, arrow, batches, gone = history
    try:
        contract = Contract(schema)
    except dp.ContractError:  # contradictory bounds
        return
    lake, start = dp.open("memory://"), 0
    for batch in batches:
        ids = pa.array(range(start, start + len(batch)), pa.int64())
        lake.ingest(pa.table({"id": ids, "x": pa.array(batch, arrow)}), "d", key="id")
        start += len(batch)
        _same(lake, contract, schema)
    if gone:
        lake.delete("d", f"id in ({', '.join(map(str, gone))})")
        _same(lake, contract, schema)


def _same(lake: dp.Lake, contract: Contract, schema: pdr.DataFrameSchema) -> None:
    version = lake["d"]
    first, again = version.validate(contract), version.validate(contract)
    assert ours(first) == ours(again) == pandera_says(schema, version.to_arrow())
    assert first.ok == again.ok
    assert "scanned" not in again.how
    assert all(check.rows == version.rows for check in first.checks)
    for key in [info.key for info in lake.store.list("memo/")]:
        if hash(key) % 3 == 0:
            lake.store.delete(key)  # losing memos costs time only


CONTRACT = pdr.DataFrameSchema(
    {
        "id": pdr.Column(int, pdr.Check.ge(0)),
        "x": pdr.Column(float, [pdr.Check.ge(0), pdr.Check(lambda v: v != 13.0, element_wise=True)]),
        "c": pdr.Column(str, pdr.Check.isin(["a", "b", "c"]), nullable=True),
    },
    name="s",
)


def rows(start: int, count: int = 1000) -> pa.Table:
    """Rows whose ids count from `start`."""
    ids = list(range(start, start + count))
    return pa.table({"id": ids, "x": [float(i % 7) for i in ids], "c": ["abc"[i % 3] for i in ids]})


@pytest.fixture
def lake() -> dp.Lake:
    """A lake with a dataset of four parts."""
    lake = dp.open("memory://")
    for start in range(0, 4000, 1000):
        lake.ingest(rows(start), "d", key="id")
    return lake


def test_what_statistics_prove_is_not_read(lake: dp.Lake, reads: Any) -> None:
    """Range, null and type checks of our own parts read no row at all."""
    contract = pdr.DataFrameSchema(
        {"id": pdr.Column(int, pdr.Check.in_range(0, 3999)), "x": pdr.Column(float, [pdr.Check.ge(0), pdr.Check.lt(7)])}
    )
    reads.clear()
    report = lake["d"].validate(contract)
    assert report.ok
    assert set(report.how) == {"proven"}
    assert not reads.calls


def test_an_append_costs_the_new_part(lake: dp.Lake, reads: Any) -> None:
    """After an append only the new part is read, and only the columns that are open; the report is the full run's."""
    lake["d"].validate(CONTRACT)
    old = {part.id for part in lake["d"].parts}
    lake.ingest(rows(4000), "d")
    reads.clear()
    report = lake["d"].validate(CONTRACT)
    assert reads.parts == {part.id for part in lake["d"].parts} - old
    assert set(reads.columns) == {"id", "x"}  # `c` passes by its dictionary
    element = next(check for check in report.checks if check.name == "<lambda>")
    assert dict(element.settled) == {"remembered": 4000, "scanned": 1000}
    for info in list(lake.store.list("memo/")):
        lake.store.delete(info.key)
    full = lake["d"].validate(CONTRACT)
    assert "remembered" not in full.how
    assert [replace(check, settled=()) for check in report.checks] == [
        replace(check, settled=()) for check in full.checks
    ]


def test_another_contract_asks_only_what_is_new(lake: dp.Lake, reads: Any) -> None:
    """A check that was asked before, of whatever contract, is not asked again: verdicts belong to checks, not to contracts."""
    lake["d"].validate(CONTRACT)
    more = CONTRACT.add_columns({"x": pdr.Column(float, [*CONTRACT.columns["x"].checks, pdr.Check.isin([0.0, 1.0])])})
    reads.clear()
    report = lake["d"].validate(more)
    assert {check.name for check in report.failed} == {"isin([0.0, 1.0])"}
    assert set(reads.columns) == {"x", "id"}  # the key names failing rows


def test_a_renamed_column_is_not_taken_for_another(lake: dp.Lake) -> None:
    """Verdicts are of columns as they are stored: two columns that change names do not change verdicts."""
    schema = pdr.DataFrameSchema({name: pdr.Column(int, pdr.Check(_small, element_wise=True)) for name in ("id", "n")})
    lake.ingest(pa.table({"id": [1, 2], "n": [1000, 2000]}), "e", key="id")
    assert [(check.column, check.failing) for check in lake["e"].validate(schema).failed] == [("n", 2)]
    lake.evolve("e", rename={"id": "old", "n": "id"})
    lake.evolve("e", rename={"old": "n"})
    assert [(check.column, check.failing) for check in lake["e"].validate(schema).failed] == [("id", 2)]


def _small(value: int) -> bool:
    return value < 100


def test_damaged_memos_are_as_good_as_none(lake: dp.Lake) -> None:
    """A memo that is torn, of other code, or of another shape is passed over, and the verdict is the same."""
    before = lake["d"].validate(CONTRACT)
    for number, info in enumerate(list(lake.store.list("memo/"))):
        data = lake.store.read(info.key)
        lake.store.delete(info.key)
        lake.store.create(info.key, [data[: len(data) // 2], b"", data.replace(b"1", b"2")][number % 3])
    assert lake["d"].validate(CONTRACT).checks == tuple(before.checks)
    memos = Memory(Memos(lake.store))
    part = lake["d"].parts[0]
    block = VersionSubject(lake.objects, lake["d"].manifest, "d").blocks[0]
    for value in ({"x": [1]}, {"x": "text"}, {"x": [1, [[1]]]}, ["no", "dictionary"], {"x": None}):
        memos.memos.put(value, _memory._KIND, part.id, part.deletes)
        assert Memory(Memos(lake.store)).find(block, "x") is None
