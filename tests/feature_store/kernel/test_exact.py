"""Exact sums (PIT 23), against `math.fsum`, Python's integers and fractions."""

from __future__ import annotations

import math
import pickle
import struct
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import SchemaError
from dataplat.feature_store.kernel import exact
from dataplat.feature_store.kernel.exact import Numbers, Sums, prefixes
from dataplat.feature_store.kernel.moments import variances
from dataplat.testing._features_values import exact_sum, float_sum, rounded

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
NEAR = st.one_of(FINITE, st.integers(-1000, 1000).map(float), st.floats(-100, 100).map(lambda x: round(x, 2)))
ANY = st.one_of(NEAR, st.sampled_from([math.inf, -math.inf, math.nan, -0.0, 0.0, 5e-324, -5e-324, 1.7e308]))


def numbers(values: list[object], kind: pa.DataType) -> Numbers:
    """Return a column."""
    return Numbers.of(pa.array(values, kind))


def whole(values: Numbers, power: int = 1) -> Sums:
    """Return the sum of all."""
    cuts = np.array([0, len(values)])
    (found,) = prefixes(values, [cuts], power)
    return found.take([1]) - found.take([0])


def bits(value: float) -> bytes:
    """Return the bits of a float; all NaN are one."""
    return b"nan" if math.isnan(value) else struct.pack("<d", value)


@settings(deadline=None)
@given(st.lists(ANY, max_size=30), st.data())
def test_sums_of_floats_are_fsum_for_every_window(values: list[float], data: st.DataObject) -> None:
    """A window is the difference of two prefixes, and rounds as `math.fsum` of its values does, to the last bit."""
    ends = data.draw(st.lists(st.integers(0, len(values)), min_size=2, max_size=8))
    cuts = np.array(sorted(ends))
    (found,) = prefixes(numbers(values, pa.float64()), [cuts])
    for low in range(len(cuts)):
        for high in range(low, len(cuts)):
            got = (found.take([high]) - found.take([low])).rounded()[0]
            assert bits(got) == bits(float_sum(values[cuts[low] : cuts[high]]) + 0.0)


@settings(deadline=None)
@given(st.lists(FINITE, max_size=20), st.randoms())
def test_sums_depend_on_no_order_or_grouping(values: list[float], random) -> None:
    """In any order the sum is the same, and what is left without some is the sum of the others."""
    mixed = list(values)
    random.shuffle(mixed)
    cut = random.randint(0, len(values))
    every = whole(numbers(mixed, pa.float64()))
    assert bits(every.rounded()[0]) == bits(whole(numbers(values, pa.float64())).rounded()[0])
    left = every - whole(numbers(mixed[:cut], pa.float64()))
    assert bits(left.rounded()[0]) == bits(whole(numbers(mixed[cut:], pa.float64())).rounded()[0])


@pytest.mark.parametrize(
    "values",
    [
        [1e308, 1e308, -1e308],
        [1.7e308, 1.7e308],
        [-1.7e308, -1.7e308],
        [5e-324] * 3,
        [2.2250738585072014e-308, -5e-324],
        [1e300, 1.0, -1e300],
        [1e16, 1.0, 1e-16],
        [1e16, 1.0],
        [9007199254740993.0, 1.0, 1e-300],
        [-0.0],
        [-0.0, -0.0],
        [math.inf, 1.0],
        [-math.inf, 1.0],
        [math.inf, -math.inf],
        [math.nan, math.inf],
        [1.7976931348623157e308, 9.9792015476736e291],
        [1.7976931348623157e308, 9.97920154767359e291],
        [],
    ],
)
def test_sums_at_the_edges(values: list[float]) -> None:
    """Overflow, cancellation, ties, subnormals, infinities, NaN and -0.0 are as `fsum` says, or IEEE 754."""
    assert bits(whole(numbers(values, pa.float64())).rounded()[0]) == bits(float_sum(values) + 0.0)


def test_sums_of_many_chunks_and_ranges() -> None:
    """Rows beyond one chunk, of every magnitude, with nulls: each prefix is `fsum`."""
    seeded = np.random.default_rng(7)
    values = seeded.normal(size=50_000) * np.exp2(seeded.integers(-900, 900, 50_000).astype(float))
    values[:20_000] = seeded.integers(-500, 500, 20_000)
    given_values: list[float | None] = list(values)
    given_values[17_000] = None
    cuts = np.array([0, 3, 16_384, 16_385, 33_000, 50_000])
    (found,) = prefixes(numbers(given_values, pa.float64()), [cuts])
    for at, cut in enumerate(cuts):
        expected = float_sum([each for each in given_values[:cut] if each is not None])
        assert found.take([at]).rounded()[0] == expected


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-9, 9)), max_size=20))
def test_sums_of_integers_are_integers(values: list[int | None]) -> None:
    """Integers are summed exactly, beyond int64; what does not fit is refused and never wrapped."""
    total = sum(each for each in values if each is not None)
    found = whole(numbers(values, pa.int64()))
    assert found.integers() == [total]
    assert found.rounded()[0] == float(total)
    if -(2**63) <= total < 2**63:
        assert found.int64()[0] == total
    else:
        with pytest.raises(SchemaError, match="does not fit"):
            found.int64()


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=9))
def test_sums_of_unsigned_integers(values: list[int]) -> None:
    """uint64 is summed as what it is."""
    assert whole(numbers(values, pa.uint64())).integers() == [sum(values)]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(10**38) + 1, 10**38 - 1), st.integers(-99, 99)), max_size=9))
def test_sums_of_decimals_are_exact(values: list[int | None]) -> None:
    """Decimals of 38 digits are summed exactly, and their squares."""
    column = pa.array([None if each is None else Decimal(each) for each in values], pa.decimal128(38, 0))
    present = [each for each in values if each is not None]
    assert whole(Numbers.of(column)).integers() == [sum(present)]
    assert whole(Numbers.of(column), 2).integers() == [sum(each * each for each in present)]


@settings(deadline=None)
@given(st.lists(FINITE, max_size=12))
def test_sums_of_squares_are_exact(values: list[float]) -> None:
    """Σx² is rounded once, whatever the values are."""
    precise = sum((Fraction(each) ** 2 for each in values), Fraction(0))
    assert bits(whole(numbers(values, pa.float64()), 2).rounded()[0]) == bits(rounded(precise))


@settings(deadline=None)
@given(st.lists(ANY, min_size=2, max_size=12))
def test_variances_are_exact_and_rounded_once(values: list[float]) -> None:
    """(n Σx² - (Σx)²) / (n (n - 1)) is computed without rounding; subnormal and infinite ones included."""
    column = numbers(values, pa.float64())
    n = len(values)
    found = variances(whole(column), whole(column, 2), np.array([n]))[0]
    total = exact_sum(values)
    if isinstance(total, float):
        assert math.isnan(found)
    else:
        squares = sum((Fraction(each) ** 2 for each in values), Fraction(0))
        assert bits(found) == bits(rounded((n * squares - total**2) / (n * (n - 1))))


@settings(deadline=None)
@given(st.lists(st.floats(-1e-153, 1e-153), min_size=2, max_size=5))
def test_variances_below_the_smallest_normal_float(values: list[float]) -> None:
    """A subnormal variance is rounded at 2^-1074, once."""
    column = numbers(values, pa.float64())
    n = len(values)
    squares = sum((Fraction(each) ** 2 for each in values), Fraction(0))
    exact = (n * squares - sum(map(Fraction, values)) ** 2) / (n * (n - 1))
    assert bits(variances(whole(column), whole(column, 2), np.array([n]))[0]) == bits(rounded(exact))


@settings(deadline=None)
@given(st.lists(NEAR, max_size=12), st.sampled_from([1, 2]))
def test_two_ways_to_limbs_agree(values: list[float], power: int) -> None:
    """What floats do by their own arithmetic is what integers do."""
    column = numbers(values, pa.float64())
    fast = exact._extracted(np.array(values), power) if values else []
    if fast is not None:
        found = Fraction(0)
        for weight, total in fast:
            found += int(total[-1]) * Fraction(2) ** (32 * weight)
        assert found == sum((Fraction(each) ** power for each in values), Fraction(0))
        slow = sum(
            (int(total[-1]) * Fraction(2) ** (32 * weight) for weight, total in exact._limbs(column, power)),
            Fraction(0),
        )
        assert found == slow


def test_numbers_of_other_types() -> None:
    """Booleans and small types are numbers; text is refused, and named."""
    assert whole(numbers([True, None, True], pa.bool_())).integers() == [2]
    assert whole(numbers([1.5, 2.0], pa.float32())).rounded()[0] == 3.5
    with pytest.raises(SchemaError, match="v.name holds string"):
        Numbers.of(pa.array(["a"]), "v.name")


def test_slices_of_columns_are_read_where_they_begin() -> None:
    """An Arrow slice begins within its buffer."""
    column = pa.array([Decimal(1), Decimal(2), Decimal(4)], pa.decimal128(10, 0)).slice(1)
    assert whole(Numbers.of(column)).integers() == [6]


def test_sums_are_pickled() -> None:
    """Exact sums go to another process as they are."""
    found = whole(numbers([0.1, math.nan], pa.float64()))
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own
    assert math.isnan(again.rounded()[0])
