"""Uniqueness over parts: bounds first, digests where they overlap, rows of the parts only where digests meet."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataplat._validate import version_subject
from dataplat.validation import _digests, _unique
from dataplat.validation._memory import Memory
from dataplat.validation._unique import find_repeats
from dataplat.validation.subject import ParquetSubject


def land(lake, *parts, kind=None):
    """Append each list of values as a part of its own."""
    for values in parts:
        lake.ingest(pa.table({"x": pa.array(values, kind), "n": range(len(values))}), into="t")


def ask(lake, columns=("x",), key=()):
    """Return what is found now, remembering it."""
    subject = version_subject(lake["t"])
    memory = Memory(subject.memos)
    found = find_repeats(subject, columns, memory, key)
    memory.save()
    return found


def fresh(lake, columns=("x",)):
    """Return what is found without memory."""
    subject = version_subject(lake["t"])
    subject.memos = None
    return find_repeats(subject, columns, Memory(None))


def test_a_key_is_unique_by_the_way_it_is_kept(memory_lake, reads):
    """The key, and whatever holds it, is proven without a look at the rows."""
    memory_lake.ingest(pa.table({"x": [1, 2], "n": [1, 1]}), into="t", key=["x"])
    assert ask(memory_lake).settled == (("proven", 2),)
    assert ask(memory_lake, ["n", "x"]).settled == (("proven", 2),)
    assert not reads.calls
    assert ask(memory_lake, ["n"]).failing == 2


def test_of_parts_apart_only_new_ones_are_read(memory_lake, reads):
    """Parts whose bounds do not overlap are read once, and no digests are kept of them."""
    land(memory_lake, [1, 3, 2], [6, 5, 4])
    assert ask(memory_lake).settled == (("scanned", 6),)
    reads.clear()
    assert ask(memory_lake).settled == (("remembered", 6),)
    assert not reads.calls
    land(memory_lake, [7, 9, 8])
    assert ask(memory_lake).settled == (("remembered", 6), ("scanned", 3))
    assert reads.parts == {memory_lake["t"].parts[-1].id}
    assert reads.columns == {"x": 1}
    assert not [info for info in memory_lake.store.list("memo/") if info.key.endswith(".bin")]


def test_parts_that_overlap_are_told_apart_by_digests(memory_lake, reads):
    """Of parts whose bounds overlap digests are remembered; a new part is read, the others' digests suffice."""
    land(memory_lake, [1, 10], [2, 11], [100, 101])
    assert ask(memory_lake).failing == 0
    reads.clear()
    land(memory_lake, [3, 12])
    assert ask(memory_lake).settled == (("remembered", 6), ("scanned", 2))
    assert reads.parts == {memory_lake["t"].parts[-1].id}


def test_values_are_compared_in_parts_that_share_digests_only(memory_lake, reads):
    """Failing rows are counted on both sides, named by part and key, and other parts are not read for them."""
    land(memory_lake, ["a", "k"], ["b", "l"], ["c", "m"])
    ask(memory_lake)
    reads.clear()
    land(memory_lake, ["b", "n"])
    found = ask(memory_lake, key=["n"])
    parts = memory_lake["t"].parts
    assert found.failing == 2
    assert [(e.part, e.position, e.value, e.key) for e in found.examples] == [
        (parts[1].id, 0, "b", (("n", "0"),)),
        (parts[3].id, 0, "b", (("n", "0"),)),
    ]
    assert reads.parts == {parts[1].id, parts[3].id}
    reads.clear()
    assert ask(memory_lake).failing == 2
    assert reads.parts == {parts[1].id, parts[3].id}


def test_deletes_are_respected_without_a_look_at_the_rows(memory_lake, reads):
    """A repeated value of which one row is deleted repeats no more, which the remembered digests tell."""
    land(memory_lake, [1, 5], [2, 5], [3, 4])
    assert ask(memory_lake).failing == 2
    memory_lake.delete("t", where="x = 5 and n = 1")
    assert ask(memory_lake).failing == 0
    reads.clear()
    land(memory_lake, [5])
    assert ask(memory_lake).failing == 0
    assert reads.parts == {memory_lake["t"].parts[-1].id}


def test_deletes_that_are_undone_are_looked_at(memory_lake):
    """Rows that come back with an older version are compared again."""
    land(memory_lake, [1, 5], [2, 5])
    memory_lake.delete("t", where="x = 5")
    assert ask(memory_lake).failing == 0
    memory_lake.rollback("t@main~1")
    assert ask(memory_lake).failing == 2


@pytest.mark.parametrize(
    ("kind", "parts", "failing"),
    [
        (pa.int64(), [[1, None], [2, 3]], 0),
        (pa.int64(), [[1, None], [2, None]], 2),
        (pa.uint64(), [[2**64 - 1], [2**63], [0, 2**64 - 1]], 2),
        (pa.float64(), [[1.0, math.nan], [math.nan, 2.0]], 2),
        (pa.float64(), [[-0.0], [0.0]], 2),
        (pa.float32(), [[0.1], [0.1, 0.2]], 2),
        (pa.decimal128(9, 2), [[Decimal("9.00")], [Decimal("10.00")], [Decimal("9.00")]], 2),
        (pa.timestamp("us", "UTC"), [[datetime(2026, 1, 1, tzinfo=UTC)], [datetime(2026, 1, 2, tzinfo=UTC)]], 0),
        (pa.string(), [["é"], ["e\u0301"], ["x" * 300], ["x" * 300]], 2),
        (pa.bool_(), [[True], [False], [True]], 2),
    ],
)
def test_values_of_each_type(memory_lake, kind, parts, failing):
    """Null equals null, NaN equals NaN, −0.0 equals 0.0, and no bound misleads."""
    land(memory_lake, *parts, kind=kind)
    assert ask(memory_lake).failing == fresh(memory_lake).failing == failing


VALUES = {
    pa.int64(): st.none() | st.integers(-4, 40),
    pa.string(): st.none() | st.text("abé", max_size=3),
    pa.float64(): st.sampled_from([math.nan, 0.0, -0.0, math.inf, None]) | st.integers(0, 30).map(float),
}
STEPS = st.lists(st.sampled_from(["append", "append", "delete", "ask"]), min_size=1, max_size=8)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data(), STEPS)
@pytest.mark.parametrize("kind", list(VALUES), ids=str)
def test_what_is_remembered_equals_a_full_run(kind, new_lake, data, steps):
    """After any appends and deletes the answer is that of polars on all rows, with memory and without."""
    lake = new_lake()
    land(lake, data.draw(st.lists(VALUES[kind], min_size=1, max_size=6)), kind=kind)
    for step in [*steps, "ask"]:
        if step == "append":
            land(lake, data.draw(st.lists(VALUES[kind], min_size=1, max_size=6)), kind=kind)
        elif step == "delete":
            lake.delete("t", where=f"n = {data.draw(st.integers(0, 5))}")
        else:
            for columns in (["x"], ["x", "n"]):
                one, two = ask(lake, columns), fresh(lake, columns)
                assert replace(one, settled=()) == replace(two, settled=())
                frame = lake["t"].to_polars().select(columns)
                repeated = frame.is_duplicated() if frame.height else pl.Series([], dtype=pl.Boolean)
                assert one.failing == repeated.sum()
                assert sum(rows for _, rows in one.settled) == frame.height


def test_row_groups_of_a_file_are_compared_by_their_bounds(tmp_path):
    """A file is judged row group by row group: apart, overlapping, and with a value on the edge of two."""
    for values, failing in (([1, 2, 3, 4, 5, 6], 0), ([1, 4, 2, 5, 3, 6], 0), ([1, 2, 2, 3, 5, 4], 2)):
        pq.write_table(pa.table({"x": values}), tmp_path / "t.parquet", row_group_size=2)
        found = find_repeats(ParquetSubject([tmp_path / "t.parquet"], "t"), ["x"], Memory(None))
        assert (found.failing, found.settled) == (failing, (("scanned", 6),))


def test_a_damaged_memo_costs_a_look(memory_lake, reads):
    """Digests of another length or form are read again from the rows."""
    land(memory_lake, [1, 10], [2, 11])
    ask(memory_lake)
    for info in list(memory_lake.store.list("memo/")):
        memory_lake.store.delete(info.key)
        memory_lake.store.create(info.key, b"torn")
    reads.clear()
    assert ask(memory_lake).settled == (("scanned", 4),)
    assert len(reads.parts) == 2


def test_values_that_share_a_digest_are_no_repeats(memory_lake, monkeypatch):
    """Where digests meet by chance the values decide: with three digests for all texts the count is exact still."""
    plain = _digests.digest

    def crowded(frame):
        found = plain(frame)
        return _digests.Digests(found.values % np.uint64(3), found.nulls)

    monkeypatch.setattr(_digests, "digest", crowded)
    monkeypatch.setattr(_unique, "digest", crowded)
    land(memory_lake, list("abcdefg"), list("hijkl"))
    assert ask(memory_lake).failing == 0
    land(memory_lake, list("mna"))
    found = ask(memory_lake)
    assert (found.failing, [example.value for example in found.examples]) == (2, ["a", "a"])
