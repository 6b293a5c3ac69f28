"""Means and quantiles: exact, the same in any order, remembered by part."""

import math
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dataplat as dp


def one(data, rule):
    """Return the outcome of one rule on a version or a table."""
    contract = dp.Contract(checks=[rule], name="c")
    return (data.validate(contract) if isinstance(data, dp.Version) else contract.validate(data)).checks[-1]


def land(lake, *parts, kind=None):
    """Append each list of values as a part of its own."""
    for values in parts:
        lake.ingest(pa.table({"x": pa.array(values, kind), "n": range(len(values))}), into="t")


def table(values, kind=None):
    """Return values as a table of one column."""
    return pa.table({"x": pa.array(values, kind)})


def test_a_range_that_holds_all_values_holds_their_mean(memory_lake, reads):
    """Bounds of the parts prove a mean within them; without nulls left out, nothing is read."""
    land(memory_lake, [1, 5, None], [2, 3])
    assert one(memory_lake["t"], dp.mean("x", 1, 5)).settled == (("proven", 5),)
    assert not reads.calls
    outcome = one(memory_lake["t"], dp.mean("x", 2.75, 2.75))
    assert (outcome.status, outcome.settled, outcome.detail) == ("passed", (("scanned", 5),), "the mean is 2.75")


def test_sums_of_parts_are_remembered(memory_lake, reads):
    """A new part is read alone, and a part whose rows were deleted is read again alone."""
    rule = dp.mean("x", 0, 1)
    land(memory_lake, [1, 5], [2, 3])
    one(memory_lake["t"], rule)
    reads.clear()
    land(memory_lake, [10, 20])
    assert one(memory_lake["t"], rule).settled == (("remembered", 4), ("scanned", 2))
    memory_lake.delete("t", where="x = 5")
    reads.clear()
    outcome = one(memory_lake["t"], rule)
    assert (outcome.settled, outcome.detail) == ((("remembered", 4), ("scanned", 1)), "the mean is 7.2")
    assert reads.parts == {memory_lake["t"].parts[0].id}
    reads.clear()
    assert one(memory_lake["t"], rule).how == "remembered"
    assert not reads.calls


@pytest.mark.parametrize(
    ("values", "kind", "mean"),
    [
        ([2**63 - 1, 2**63 - 1], pa.int64(), 2**63 - 1),
        ([2**64 - 1, 0], pa.uint64(), Fraction(2**64 - 1, 2)),
        ([-(2**63), 2**63 - 1], pa.int64(), Fraction(-1, 2)),
        ([1e308, 1e308, -1e308, -1e308, 3.0], pa.float64(), Fraction(3, 5)),
        ([5e-324, 5e-324], pa.float64(), Fraction(5e-324)),
        ([0.1, 0.2], pa.float32(), None),
        ([True, False, None, True], pa.bool_(), Fraction(2, 3)),
        ([Decimal("9" * 38), Decimal("9" * 38)], pa.decimal128(38, 0), int("9" * 38)),
        ([Decimal("-0.25"), Decimal("0.50")], pa.decimal128(5, 2), Fraction(1, 8)),
    ],
)
def test_a_mean_is_exact(values, kind, mean):
    """No sum overflows and none is rounded, of any type."""
    if mean is None:
        mean = sum(Fraction(each.as_py()) for each in pa.array(values, kind)) / len(values)
    rule = dp.mean("x", Decimal(-(10**39)), Decimal(10**39))
    assert one(table(values, kind), rule).ok
    parts = Fraction(mean)
    near = float(parts)
    if Fraction(near) == parts:
        assert one(table(values, kind), dp.mean("x", near, near)).ok
    assert not one(table(values, kind), dp.mean("x", min=math.nextafter(near, math.inf))).ok
    assert not one(table(values, kind), dp.mean("x", max=math.nextafter(near, -math.inf))).ok


@pytest.mark.parametrize(
    ("values", "low", "high", "ok"),
    [
        ([1.0, math.nan], -math.inf, math.inf, False),
        ([1.0, None], 1, 1, True),
        ([math.inf, 1.0], 0, None, True),
        ([math.inf, 1.0], None, 1e308, False),
        ([math.inf, -math.inf], -math.inf, math.inf, False),
        ([None, None], -math.inf, math.inf, False),
    ],
)
def test_nan_and_infinities_of_a_mean(memory_lake, values, low, high, ok):
    """NaN makes the mean NaN, infinities infinite, both at once NaN; that lies in no range. Nulls are left out."""
    land(memory_lake, values, kind=pa.float64())
    assert one(memory_lake["t"], dp.mean("x", low, high)).ok is ok
    assert one(table(values, pa.float64()), dp.mean("x", low, high)).ok is ok


@pytest.mark.parametrize("rule", [dp.mean("x", 0), dp.quantile("x", 0.5, 0)])
@pytest.mark.parametrize("kind", [pa.string(), pa.timestamp("us"), pa.list_(pa.int64())])
def test_other_types_cannot_be_checked(rule, kind):
    """What is no number has no mean and no quantile: that fails, and says so."""
    outcome = one(table([None], kind), rule)
    assert (outcome.status, outcome.ok) == ("could not check", False)
    assert "of numbers" in outcome.detail


def test_parts_beside_the_bounds_are_not_read(memory_lake, reads):
    """Of a part whose bounds lie to one side of both limits statistics count; others are read, and remembered."""
    land(memory_lake, [1, 2, 3], [10, 11], [4, 6])
    outcome = one(memory_lake["t"], dp.quantile("x", 0.5, 0, 5))
    assert (outcome.status, outcome.settled) == ("passed", (("proven", 5), ("scanned", 2)))
    assert reads.parts == {memory_lake["t"].parts[2].id}
    assert outcome.detail == "of 7 values 0 % lie below 0 and 42.86 % lie above 5"
    reads.clear()
    land(memory_lake, [100, 101])
    assert one(memory_lake["t"], dp.quantile("x", 0.5, 0, 5)).settled == (("proven", 7), ("remembered", 2))
    assert not reads.calls


def test_nan_is_beyond_all_numbers():
    """NaN and +inf stand at the upper end, −inf at the lower, nulls nowhere."""
    values = table([-math.inf, 1.0, None, math.nan], pa.float64())
    assert one(values, dp.quantile("x", 0.5, 1, 1)).ok
    assert not one(values, dp.quantile("x", 0.9, max=math.inf)).ok
    assert one(values, dp.quantile("x", 0.9, min=1e308)).ok
    assert one(values, dp.quantile("x", 0, max=-math.inf)).ok


NUMBERS = {
    pa.int64(): st.none() | st.integers(-9, 9) | st.sampled_from([2**63 - 1, -(2**63), 2**53 + 1]),
    pa.uint64(): st.none() | st.integers(0, 9) | st.just(2**64 - 1),
    pa.float64(): st.none()
    | st.integers(-9, 9).map(float)
    | st.sampled_from([math.inf, -math.inf, -0.0, 0.1, 1e308, 5e-324, 2.0**53]),
    pa.float32(): st.none() | st.sampled_from([0.5, 1.0, -3.0]),
    pa.decimal128(6, 2): st.none() | st.integers(-900, 900).map(lambda each: Decimal(each) / 100),
    pa.bool_(): st.none() | st.booleans(),
}
BOUNDS = st.sampled_from(
    [-1, 0, 1, 0.1, 0.5, -0.0, 2**53, float(2**53), 2**63 - 1, Decimal("0.1"), math.inf, -math.inf]
)


def exact(value):
    """Return a number as one that compares exactly."""
    return value if isinstance(value, float) and math.isinf(value) else Fraction(value)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.data(),
    st.lists(st.sampled_from(["append", "delete", "ask"]), max_size=4),
    st.sampled_from([0, 0.1, 0.5, 0.9, 1]),
    BOUNDS,
    BOUNDS,
)
@pytest.mark.parametrize("kind", list(NUMBERS), ids=str)
def test_verdicts_equal_exact_arithmetic(kind, new_lake, data, steps, share, one_, two):
    """After any appends and deletes mean and quantile are those of exact arithmetic, with memory and without."""
    low, high = sorted([one_, two], key=exact)
    lake = new_lake()
    land(lake, data.draw(st.lists(NUMBERS[kind], min_size=1, max_size=5)), kind=kind)
    for step in [*steps, "ask"]:
        if step == "append":
            land(lake, data.draw(st.lists(NUMBERS[kind], min_size=1, max_size=5)), kind=kind)
        elif step == "delete":
            lake.delete("t", where=f"n = {data.draw(st.integers(0, 4))}")
        else:
            values = [each for each in lake["t"].to_arrow()["x"].to_pylist() if each is not None]
            ordered = sorted(map(exact, values))
            rank = max(1, math.ceil(Fraction(str(share)) * len(values)))
            within = bool(values) and exact(low) <= ordered[rank - 1] <= exact(high)
            mean = mean_of(ordered)
            inside = mean is not None and exact(low) <= mean <= exact(high)
            for found in (lake["t"], lake["t"].to_arrow()):
                assert one(found, dp.quantile("x", share, low, high)).ok == within
                assert one(found, dp.mean("x", low, high)).ok == inside


def mean_of(ordered):
    """Return the mean of exact numbers and infinities; None where there is none."""
    ends = {each for each in ordered if isinstance(each, float)}
    if not ordered or len(ends) == 2:
        return None
    return ends.pop() if ends else sum(ordered) / len(ordered)
