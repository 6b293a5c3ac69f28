"""Foreign keys: each value is there in the other dataset, told by digests of parts, on both sides."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dataplat as dp
from dataplat.errors import ContractError


def land(lake, into, *parts, kind=None):
    """Append each list of values as a part of its own."""
    for values in parts:
        lake.ingest(pa.table({"x": pa.array(values, kind), "n": range(len(values))}), into=into)


def ask(lake, rule=None, name="t"):
    """Return the outcome of the rule on the newest version."""
    rule = rule or dp.foreign_key("x", "u")
    return lake[name].validate(dp.Contract(checks=[rule], name="c")).checks[-1]


def test_missing_values_fail_with_their_rows(memory_lake):
    """Each row whose value the other dataset does not hold fails, by part and position; the other's version is named."""
    land(memory_lake, "u", ["a", "b"], ["c"])
    land(memory_lake, "t", ["a", "z", None], ["y", "c"])
    outcome = ask(memory_lake)
    parts = memory_lake["t"].parts
    assert (outcome.status, outcome.failing) == ("failed", 2)
    assert [(e.part, e.position, e.value) for e in outcome.examples] == [(parts[0].id, 1, "z"), (parts[1].id, 0, "y")]
    assert outcome.detail == f"held against u ({memory_lake['u'].id[:12]})"


def test_new_parts_alone_are_read(memory_lake, reads):
    """Neither a new part here nor a new version there costs a look at parts that were looked at."""
    land(memory_lake, "u", ["a", "b"], ["c"])
    land(memory_lake, "t", ["b", "a"], ["c", "c"])
    assert ask(memory_lake).settled == (("scanned", 4),)
    reads.clear()
    assert ask(memory_lake).settled == (("remembered", 4),)
    assert not reads.calls
    land(memory_lake, "t", ["b"])
    assert ask(memory_lake).settled == (("remembered", 4), ("scanned", 1))
    assert reads.parts == {memory_lake["t"].parts[-1].id}
    reads.clear()
    land(memory_lake, "u", ["d"])
    assert ask(memory_lake).settled == (("remembered", 5),)
    assert reads.parts == {memory_lake["u"].parts[-1].id}


def test_a_value_that_goes_there_is_missing_here(memory_lake):
    """Rows deleted in the other dataset count no more, though nothing changed here."""
    land(memory_lake, "u", ["a", "b"])
    land(memory_lake, "t", ["a", "b"])
    assert ask(memory_lake).ok
    memory_lake.delete("u", where="x = 'b'")
    assert ask(memory_lake).failing == 1
    memory_lake.delete("t", where="x = 'b'")
    assert ask(memory_lake).ok


def test_a_version_is_looked_up_by_reference(memory_lake):
    """A reference may name a version; one that is not there cannot be checked."""
    land(memory_lake, "u", ["a"])
    land(memory_lake, "t", ["a", "b"])
    land(memory_lake, "u", ["b"])
    assert ask(memory_lake, dp.foreign_key("x", "u")).ok
    assert ask(memory_lake, dp.foreign_key("x", "u@main~1")).failing == 1
    assert ask(memory_lake, dp.foreign_key("x", "nothing")).status == "could not check"
    table = dp.Contract(checks=[dp.foreign_key("x", "u")], name="c").validate(pa.table({"x": ["a"]}))
    assert table.checks[-1].status == "could not check"


@pytest.mark.parametrize(
    ("ours", "kind", "theirs", "other", "failing"),
    [
        ([1, 2], pa.int32(), [1, 2], pa.int64(), 0),
        ([-1, 2**31 - 1], pa.int32(), [2**31 - 1], pa.uint32(), 1),
        ([0.5, math.nan], pa.float32(), [0.5], pa.float64(), 1),
        ([math.nan, -0.0], pa.float64(), [math.nan, 0.0], pa.float64(), 0),
        ([Decimal("1.5")], pa.decimal128(4, 1), [Decimal("1.50")], pa.decimal128(9, 2), 0),
        ([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("ms", "UTC"),
         [datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", "Europe/Berlin"), 0),
        ([1], pa.int64(), ["1"], pa.string(), None),
        ([1], pa.int64(), [1], pa.uint64(), None),
        ([1], pa.int64(), [1.0], pa.float64(), None),
    ],
)  # fmt: skip
def test_types_of_one_family_are_compared(memory_lake, ours, kind, theirs, other, failing):
    """Widths, scales and units may differ, families may not: that cannot be checked."""
    land(memory_lake, "t", ours, kind=kind)
    land(memory_lake, "u", theirs, kind=other)
    outcome = ask(memory_lake)
    assert outcome.failing == failing
    assert (outcome.status == "could not check") is (failing is None)


def test_several_columns_are_one_key(memory_lake):
    """Columns are compared together, under other names there; a null in one of them never fails."""
    memory_lake.ingest(pa.table({"a": [1, 1], "b": ["x", "y"]}), into="u")
    memory_lake.ingest(pa.table({"p": [1, 1, None, 2], "q": ["y", None, "z", "x"]}), into="t")
    outcome = ask(memory_lake, dp.foreign_key(["p", "q"], "u", ["a", "b"]))
    assert (outcome.failing, outcome.column) == (1, None)
    assert outcome.examples[0].value == "{'p': 2, 'q': 'x'}"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data(), st.lists(st.sampled_from(["append t", "append u", "delete t", "delete u", "ask"]), max_size=8))
@pytest.mark.parametrize("kind", [pa.int64(), pa.string()], ids=str)
def test_what_is_remembered_equals_a_full_run(kind, new_lake, data, steps):
    """After any changes on both sides the failing rows are those that a set of the values gives."""
    value = st.none() | st.integers(0, 5)
    values = st.lists(value if kind == pa.int64() else value.map(lambda n: None if n is None else "é" * n), max_size=4)
    lake = new_lake()
    for name in ("t", "u"):
        land(lake, name, [*data.draw(values), None], kind=kind)
    for step in [*steps, "ask"]:
        what, _, name = step.partition(" ")
        if what == "append":
            land(lake, name, [*data.draw(values), None], kind=kind)
        elif what == "delete":
            lake.delete(name, where=f"n = {data.draw(st.integers(0, 3))}")
        else:
            there = {*lake["u"].to_arrow()["x"].to_pylist(), None}
            failing = [each for each in lake["t"].to_arrow()["x"].to_pylist() if each not in there]
            outcome = ask(lake)
            assert outcome.failing == len(failing)
            assert [example.value for example in outcome.examples] == list(map(str, failing))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: dp.foreign_key([], "u"), "names of columns"),
        (lambda: dp.foreign_key(["a", "b"], "u", "a"), "not as many"),
        (lambda: dp.foreign_key("a", ""), "named by a reference"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said):
    """A foreign key that could never be asked is refused when it is written."""
    with pytest.raises(ContractError, match=said):
        make()
