"""Where the whole fails, new rows that are to blame go into quarantine, and what lands meets the contract: a fixed point."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandera.polars as pdr
import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import dataplat as dp


def _first_of_its_kind(data: Any) -> Any:
    """A row fails if its value is greater than the mean of all: without it the mean is another."""
    return data.lazyframe.select(pl.col(data.key) <= pl.col(data.key).mean() + 5)


SCHEMA = pdr.DataFrameSchema(
    {
        "a": pdr.Column(int, unique=True, nullable=True),
        "b": pdr.Column(int, [pdr.Check.ge(0), pdr.Check(_first_of_its_kind)]),
    },
    unique=["a", "b"],
    name="s",
)
ROWS = st.lists(st.tuples(st.sampled_from([None, 1, 2, 3, 4, 5]), st.sampled_from([-1, 0, 1, 50, 100])), max_size=12)


def _table(rows: list[tuple[int | None, int]]) -> pa.Table:
    return pa.table({"a": pa.array([a for a, _ in rows], pa.int64()), "b": pa.array([b for _, b in rows], pa.int64())})


def _rows(table: pa.Table) -> Counter[tuple[Any, ...]]:
    return Counter(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True))


@settings(max_examples=30, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=3), st.sampled_from(["append", "replace"]))
def test_good_and_bad_are_the_input_and_the_good_meet_the_contract(batches: Any, mode: Any) -> None:
    """Whatever comes: rows landed and rows in quarantine are the input, and what the branch holds is met, again and again."""
    lake = dp.open("memory://")
    for rows in batches:
        table = _table(rows)
        before = _rows(lake["d"].to_arrow()) if "d" in lake else Counter()
        known = {each.id for each in lake.quarantine.list()}
        result = lake.ingest(table, "d", mode=mode, contract=SCHEMA)
        waiting: Counter[tuple[Any, ...]] = Counter()
        for each in lake.quarantine.list():
            if each.id not in known:
                waiting += _rows(each.version.to_arrow())
        assert sum(waiting.values()) in {result.rows_quarantined, 0}  # 0: the same rows wait already
        if "d" not in lake:
            continue
        after = _rows(lake["d"].to_arrow())
        if result.commit is not None and mode == "append":
            assert after - before + (waiting or _waiting(lake, result)) == _rows(table)
        assert lake["d"].validate(SCHEMA).ok
        version = lake["d"]
        assert version.content_id_if_known in {
            None,
            dp.open("memory://").ingest(version.to_arrow(), "d").version.content_id,
        }  # type: ignore[union-attr]


def _waiting(lake: dp.Lake, result: Any) -> Counter[tuple[Any, ...]]:
    return _rows(lake.quarantine[result.quarantine].version.to_arrow()) if result.quarantine else Counter()


def test_the_old_row_stays_and_the_new_one_waits() -> None:
    """A duplicate of a row that is there waits; the row that is there is not touched."""
    lake = dp.open("memory://")
    lake.ingest(_table([(1, 1), (2, 2)]), "d", contract=SCHEMA)
    before = {part.id for part in lake["d"].parts}
    result = lake.ingest(_table([(2, 3), (3, 3)]), "d", contract=SCHEMA)
    assert (result.rows_in, result.rows_added, result.rows_quarantined) == (2, 1, 1)
    assert before < {part.id for part in lake["d"].parts}
    (waiting,) = lake.quarantine.list()
    assert waiting.version.to_arrow().to_pylist() == [{"a": 2, "b": 3, "failures": "a: field_uniqueness"}]
    assert any("field_uniqueness" in reason for reason in waiting.reasons)


def test_a_failure_that_blames_no_row_holds_the_batch() -> None:
    """An aggregate blames nobody: nothing lands, and the whole batch waits."""
    mean = pdr.Check(lambda data: data.lazyframe.select(pl.col(data.key).mean() < 10), name="mean")
    schema = pdr.DataFrameSchema({"b": pdr.Column(int, mean)}, name="s")
    lake = dp.open("memory://")
    result = lake.ingest(pa.table({"b": [1, 100]}), "d", contract=schema)
    assert (result.commit, result.rows_quarantined) == (None, 2)
    assert lake.quarantine.list()[0].whole


def test_fail_lets_nothing_land() -> None:
    """With on_error="fail" a duplicate holds the whole batch, as any failing row does."""
    import pytest

    lake = dp.open("memory://")
    with pytest.raises(dp.ContractFailed):
        lake.ingest(_table([(1, 1), (1, 2), (3, 3)]), "d", contract=SCHEMA, on_error="fail")
    assert lake.quarantine.list()[0].rows == 3
