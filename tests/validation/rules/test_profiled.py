"""What is remembered of a profile settles means, quantiles and distinct shares without a look at the rows."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dataplat as dp


def ask(version, rule):
    """Return the outcome of the rule on a version."""
    return version.validate(dp.Contract(checks=[rule], name="c")).checks[-1]


def land(lake, *parts, kind=None):
    """Append each list of values as a part of its own."""
    for values in parts:
        lake.ingest(pa.table({"x": pa.array(values, kind), "n": range(len(values))}), into="t")


@pytest.mark.parametrize(
    ("rule", "ok", "detail"),
    [
        (dp.mean("x", 2.5, 2.5), True, "the mean is 2.5"),
        (dp.quantile("x", 0.5, 2, 2), True, "about: of 4 values 25 % lie below 2 and 50 % lie above 2"),
        (dp.quantile("x", 0.5, max=1), False, "about: of 4 values 75 % lie above 1"),
        (dp.distinct_share("x", 1), True, "4 of 4 values are distinct"),
    ],
)
def test_a_profile_of_the_version_will_do(memory_lake, reads, rule, ok, detail):
    """Whoever has looked at the profile has these rules for nothing."""
    land(memory_lake, [1, 3], [4, 2, None])
    memory_lake["t"].profile(columns=["x"])
    reads.clear()
    outcome = ask(memory_lake["t"], rule)
    assert (outcome.ok, outcome.detail, outcome.settled) == (ok, detail, (("remembered", 5),))
    assert not reads.calls


def test_what_a_profile_leaves_open_is_read(memory_lake, reads):
    """Beside the error of its points a profile decides; within it the rows do, exactly."""
    values = np.random.default_rng(1).permutation(20_000)
    land(memory_lake, values)
    memory_lake["t"].profile(columns=["x"])
    reads.clear()
    assert ask(memory_lake["t"], dp.quantile("x", 0.5, 9_000, 11_000)).ok
    assert not ask(memory_lake["t"], dp.quantile("x", 0.5, 11_000)).ok
    assert not reads.calls
    assert ask(memory_lake["t"], dp.quantile("x", 0.5, 9_999, 9_999)).status == "passed"
    assert ask(memory_lake["t"], dp.quantile("x", 0.5, min=10_000)).status == "failed"
    assert reads.columns["x"]


KINDS = {
    pa.int64(): st.none() | st.integers(-4, 4) | st.sampled_from([2**63 - 1, -(2**63), 2**53 + 1]),
    pa.float64(): st.none() | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 0.5, 1.0, 1e308, 5e-324]),
    pa.bool_(): st.none() | st.booleans(),
}


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data(), st.sampled_from([0, 0.3, 0.5, 1]), st.sampled_from([-1, 0, 0.5, 1, 2**53, math.inf]))
@pytest.mark.parametrize("kind", list(KINDS), ids=str)
def test_verdicts_are_those_of_the_rows(kind, new_lake, data, share, bound):
    """With a profile or without, each rule comes to the same."""
    lake = new_lake()
    land(lake, *data.draw(st.lists(st.lists(KINDS[kind], min_size=1, max_size=6), min_size=1, max_size=3)), kind=kind)
    if data.draw(st.booleans()):
        lake.delete("t", where="n = 0")
    lake["t"].profile(columns=["x"])
    table = lake["t"].to_arrow()
    rules = [dp.mean("x", bound), dp.mean("x", max=bound), dp.quantile("x", share, bound)]
    rules += [dp.quantile("x", share, max=bound), dp.distinct_share("x", share), dp.distinct_share("x", max=share)]
    for rule in rules:
        plain = dp.Contract(checks=[rule], name="c").validate(table).checks[-1]
        assert ask(lake["t"], rule).status == plain.status != "could not check"
