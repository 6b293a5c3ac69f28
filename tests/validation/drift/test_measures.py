"""Every statistic is SciPy's, and its interval and p-value hold what they promise."""

import math

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from dataplat.validation.drift._bins import Bins, bins_of
from dataplat.validation.drift._column import Categories, Numbers, column_of
from dataplat.validation.drift._ks import distance
from dataplat.validation.drift._measures import METHODS, area, chi_square, hellinger, jensen_shannon, ks, psi
from dataplat.validation.profile._points import Points

number = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False))
numbers = st.lists(number, min_size=2, max_size=60)  # SciPy cannot do with one of each
counts = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=2, max_size=8)


def column(values):
    """Return the exact column of Python values."""
    return column_of(pa.chunked_array([pa.array(values)]))


def quantiles(values, seed=1):
    """Return numbers as a profile has them: some of them, each standing for as many as the others."""
    ordered = np.sort(values)
    points = Points.of(ordered, seed)
    values, sums = points.ordered
    ends = float(ordered[0]), float(ordered[-1])
    return Numbers(rows=points.count, nulls=0, nans=0, knots=values, sums=sums, ends=ends, error=points.likely_error)


@settings(deadline=None)
@given(numbers, numbers)
def test_ks_is_that_of_scipy(one, two):
    """Infinities, ties and -0.0 included."""
    expected = stats.ks_2samp(one, two, method="asymp").statistic
    assert ks(column(one), column(two)).statistic == pytest.approx(expected, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(4000, 30_000), st.sampled_from(["normal", "ties", "shifted", "apart", "part"])
)
def test_the_shortcut_of_ks_is_the_full_merge(seed, rows, kind):
    """Where only parts of a long column are looked at, the distance is still SciPy's."""
    draw = np.random.default_rng(seed)
    one, two = draw.normal(size=rows), draw.normal(size=rows // 2)
    if kind == "ties":
        one, two = np.round(one, 1), np.round(two, 1)
    elif kind == "shifted":
        two += 0.2
    elif kind == "apart":
        two += 100
    elif kind == "part":
        two = one[::2]
    expected = stats.ks_2samp(one, two, method="asymp").statistic
    assert distance(np.sort(one), np.sort(two), len(one), len(two)) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.just(math.nan), st.floats(-9, 9)), min_size=2, max_size=40), numbers)
def test_nan_and_null_lie_beyond_all_numbers(one, two):
    """KS with NaN and null is SciPy's with two values beyond infinity in their place."""
    ranks = {
        number: at for at, number in enumerate(sorted({v for v in (*one, *two) if v is not None and not math.isnan(v)}))
    }
    plain = [[9e9 if v is None else 8e9 if math.isnan(v) else ranks[v] for v in side] for side in (one, two)]
    expected = stats.ks_2samp(*plain, method="asymp").statistic
    sides = [column_of(pa.chunked_array([pa.array(side, pa.float64())])) for side in (one, two)]
    assert ks(*sides).statistic == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(counts)
def test_chi_square_is_that_of_scipy(pairs):
    """Statistic and p-value of the table, columns of nothing left out."""
    table = np.array(pairs, float).T
    kept = table[:, table.sum(axis=0) > 0]
    if kept.shape[1] < 2 or not kept.sum(axis=1).all():
        return
    expected = stats.chi2_contingency(kept, correction=False)
    found = chi_square(Bins(tuple("x" * kept.shape[1]), *kept))
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12, abs=1e-12)
    assert found.p_value(0.05) == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-13)


def test_the_effect_of_chi_square_does_not_depend_on_the_sizes_of_the_sides():
    """Cramér's V of equal sides, of which one is then a hundred times smaller: the effect is the same."""
    before, after = np.array([50_000.0, 49_000, 1_000]), np.array([50_000.0, 50_000, 0])
    table = np.array([before, after])
    expected = math.sqrt(stats.chi2_contingency(table, correction=False).statistic / table.sum())
    for share in (1, 100):
        found = chi_square(Bins(("a", "b", "c"), before, after / share))
        assert math.sqrt(found.square) * found.kappa * found.scale == pytest.approx(expected)


@settings(deadline=None)
@given(counts)
def test_binned_distances_are_what_they_are_called(pairs):
    """Jensen–Shannon is SciPy's; Hellinger and PSI are their definitions."""
    before, after = np.array(pairs, float).T + np.array([[1], [1]])
    bins = Bins(tuple("x" * len(before)), before, after)
    p, q = before / before.sum(), after / after.sum()
    assert jensen_shannon(bins).statistic == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)
    assert hellinger(bins).statistic == pytest.approx(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / math.sqrt(2), abs=1e-12)
    p, q = (side / side.sum() for side in (before + 0.5, after + 0.5))
    assert psi(bins).statistic == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_wasserstein_is_that_of_scipy(one, two):
    """In standard deviations of the reference."""
    unit = float(np.std(one))
    found = area(column(one), column(two)).statistic
    if unit:
        assert found == pytest.approx(stats.wasserstein_distance(one, two) / unit, rel=1e-9, abs=1e-12)
    else:
        assert found in {0.0, math.inf}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["normal", "ties", "lognormal", "uniform", "shifted"]))
@example(363, "lognormal")  # the largest value is five times the last of its quantiles
def test_quantiles_are_off_by_no_more_than_they_say(seed, kind):
    """Of a profile's points of each side, KS and Wasserstein are within the stated error of those of the values."""
    draw = np.random.default_rng(seed)
    one, two = draw.normal(size=7000), draw.normal(size=5000)
    if kind == "ties":
        one, two = np.round(one), np.round(two)
    elif kind == "lognormal":
        one, two = np.exp(2 * one), np.exp(2 * two)
    elif kind == "uniform":
        one, two = stats.norm.cdf(one), stats.norm.cdf(two)
    elif kind == "shifted":
        two += 0.3
    for function in (ks, area):
        exact, rough = function(column(one), column(two)), function(quantiles(one, seed), quantiles(two, 3 * seed))
        assert abs(exact.statistic - rough.statistic) <= rough.error + 1e-12
        assert rough.error > 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.5))
def test_binned_quantiles_are_off_by_no_more_than_they_say(seed, shift):
    """The distances of bins that were counted by quantiles are within the stated error of the exact ones."""
    draw = np.random.default_rng(seed)
    one, two = draw.normal(size=7000), draw.normal(shift, size=5000)
    exact, rough = bins_of(column(one), column(two)).fit, bins_of(quantiles(one, seed), quantiles(two, 3 * seed)).fit
    for function in (chi_square, jensen_shannon, hellinger):
        left, right = function(exact), function(rough)
        apart = abs(math.sqrt(left.square) - math.sqrt(right.square)) * left.kappa * left.scale
        assert apart <= right.off


# ------------------------------------------------------------------------------------------------------------ bins


def test_null_nan_and_the_unseen_have_bins_of_their_own():
    """A value of no row of the reference is unseen, one of too few rows rare; null and NaN are no values."""
    before, after = column(["a"] * 100 + ["b"] * 100 + [None] * 20), column(["a"] * 100 + ["new"] * 60 + ["x"] * 3)
    bins = bins_of(before, after)
    assert dict(zip(bins.labels, bins.after, strict=True)) == {
        "a": 100,
        "b": 0,
        "(rare)": 3,
        "(unseen)": 60,
        "(null)": 0,
    }
    assert dict(zip(bins.labels, bins.before, strict=True)) == {
        "a": 100,
        "b": 100,
        "(rare)": 0,
        "(unseen)": 0,
        "(null)": 20,
    }
    numbers = bins_of(column([1.0, 2.0, math.nan, None]), column([3.0, math.nan, math.nan, 0.0]))
    assert dict(zip(numbers.labels, numbers.after, strict=True))["(NaN)"] == 2
    assert numbers.after[0] == 1, "below all that the reference held"
    assert dict(zip(numbers.labels, numbers.before, strict=True))["(null)"] == 1


@settings(deadline=None)
@given(numbers, numbers)
def test_bins_of_numbers_hold_every_row_once(one, two):
    """Bins add up to the rows of each side."""
    bins = bins_of(column(one), column(two))
    assert bins.before.sum() == len(one)
    assert bins.after.sum() == len(two)
    assert bins.fit.before.sum() == len(one)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=30))
def test_bins_that_a_test_counts_by_expect_five_rows(pairs):
    """Rare bins are put together until each side expects five rows in it, or one bin is left."""
    before, after = np.array(pairs, float).T
    if not before.sum() or not after.sum():
        return
    fit = Bins(tuple(map(str, range(len(before)))), before, after).fit
    together = fit.before + fit.after
    expected = together * min(before.sum(), after.sum()) / together.sum()
    assert len(fit.labels) == len(fit.before) == len(fit.after)
    assert len(expected) == 1 or (np.sort(expected)[1:] >= 5).all()
    assert together.sum() == before.sum() + after.sum()


def test_values_that_are_all_different_do_not_drift():
    """Of identifiers no value of one side is on the other, which is no drift."""
    sides = [Categories(rows=n, nulls=0, counts=pl.DataFrame({"value": ids, "count": [1] * n}, schema_overrides={"count": pl.UInt32}))
             for n, ids in ((500, [f"a{i}" for i in range(500)]), (400, [f"b{i}" for i in range(400)]))]  # fmt: skip
    assert bins_of(*sides).fit.labels == ("(rare)",)
    assert chi_square(bins_of(*sides).fit).statistic == 0


# ------------------------------------------------------------------------------------------- intervals and p-values


def draws(method, shift, rows, seed, spread=0.0):
    """Yield the interval and p-value of samples whose distance is known."""
    draw = np.random.default_rng(seed)
    for _ in range(300):
        one, two = column(draw.normal(size=rows[0])), column(draw.normal(shift, size=rows[1]))
        found = METHODS[method].measure(one, two, bins_of(one, two))
        yield found.interval(0.1, spread), found.p_value(0.1, spread)


TRUE_AT = {  # of 0.3 standard deviations
    "ks": 2 * stats.norm.cdf(0.15) - 1,
    "wasserstein": 0.3,
    "psi": 0.0872,
    "js": 0.1241,
    "hellinger": 0.1036,
    "chi2": 0.1449,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_interval_holds_the_true_effect(method, shift):
    """At a level of 0.1, the true distance is within the interval in 90 of 100 draws or more."""
    true = TRUE_AT[method] if shift else 0.0
    held = sum(found.low <= true <= found.high for found, _ in draws(method, shift, (1500, 2500), 11))
    assert held >= 255  # 270 are expected at least; fewer than 255 in one of 3000 such tests


@pytest.mark.parametrize("method", METHODS)
def test_p_values_of_like_samples_are_small_as_seldom_as_they_say(method):
    """At most a tenth of them is below 0.1, and none of the intervals then leaves out zero without it."""
    found = list(draws(method, 0.0, (900, 400), 12))
    assert sum(p <= 0.1 for _, p in found) <= 46  # 30 expected at most; more in one of 1000 such tests
    assert all(p <= 0.1 for interval, p in found if interval.low > 0)


@pytest.mark.parametrize("method", METHODS)
def test_a_history_widens_the_interval(method):
    """Noise that came on top in the history makes intervals wider and p-values larger."""
    plain, wide = (list(draws(method, 0.1, (2000, 2000), 13, spread)) for spread in (0.0, 2.0))
    for (narrow, p), (broad, q) in zip(plain, wide, strict=True):
        assert broad.low <= narrow.low
        assert broad.high >= narrow.high
        assert q >= p
