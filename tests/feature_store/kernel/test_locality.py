"""Proof of row-locality: expressions that look at other rows are refused, however they do it; those by row pass."""

from __future__ import annotations

import pickle

import polars as pl
import pytest

from dataplat.errors import ConfigError
from dataplat.feature_store.definitions import Entity, FeatureView, Request, on_demand
from dataplat.feature_store.kernel.locality import prove
from dataplat.feature_store.kernel.ondemand import expression

VIEW = FeatureView(
    "v", source="s", entity=Entity("k"), timestamp="at", ttl=None, features=["a", "b", "s", "l", "at", "n"]
)
TYPES = {
    "v__a": "float64",
    "v__b": "float64",
    "v__s": "string",
    "v__l": {"list": "float64"},
    "v__at": "timestamp[us, UTC]",
    "v__n": "int64",
    "distance": "float64",
}
BY_ROW = {
    "ratio": lambda t: t.a / t.distance,
    "divided by a constant": lambda t: t.a / 3.7 + 1 / t.b,
    "functions of floats": lambda t: t.a.exp().sin() ** t.b,
    "when": lambda t: pl.when(t.a > t.b).then(t.a).otherwise(None),
    "a cast that fails on some rows": lambda t: t.a.cast(pl.Int8),
    "a parser that fails on some rows": lambda t: t.s.str.to_integer(),
    "strings": lambda t: t.s.str.to_uppercase() + "-" + t.s.str.len_chars().cast(pl.String),
    "the elements of a list": lambda t: t.l.list.eval(pl.element() * 2).list.max() + t.l.list.get(0, null_on_oob=True),
    "times": lambda t: t.at.dt.hour() + t.at.dt.weekday(),
    "the greatest of a row": lambda t: pl.max_horizontal(t.a, t.b, t.distance),
    "fill": lambda t: t.a.fill_null(0.0).fill_nan(1.0),
    "hash": lambda t: t.s.hash(),
    "integers": lambda t: t.n // 7 % 3,
    "in": lambda t: t.s.is_in(["a", "b"]),
}
ACROSS = {
    "a - a.mean()": lambda t: t.a - t.a.mean(),
    "sum": lambda t: t.a.sum(),
    "mean where something rare is true": lambda t: pl.when(t.a > 1e300).then(t.a.max()).otherwise(1.0),
    "cumulative": lambda t: t.a.cum_sum(),
    "shift": lambda t: t.a.shift(1),
    "difference": lambda t: t.a.diff(),
    "over": lambda t: t.a.sum().over(t.s),
    "rank": lambda t: t.a.rank(),
    "sort": lambda t: t.a.sort(),
    "reverse": lambda t: t.a.reverse(),
    "length": lambda t: t.a / pl.len(),
    "row number": lambda t: t.a + pl.int_range(pl.len()),
    "filter": lambda t: t.a.filter(t.b > 0),
    "first of its kind": lambda t: t.s.is_first_distinct(),
    "twins": lambda t: t.s.is_duplicated(),
    "forward fill": lambda t: t.a.forward_fill(),
    "interpolate": lambda t: t.a.interpolate(),
    "rolling": lambda t: t.a.rolling_mean(3),
    "chance": lambda t: t.a.shuffle(),
    "a column of its own": lambda t: t.a + pl.lit(pl.Series([1.0, 2.0])),
    "explode": lambda t: t.l.explode(),
    "gather": lambda t: t.a.gather([0]),
    "head": lambda t: t.a.head(3),
}


def made(function, **told):
    """Return the expression of a function."""
    return expression(on_demand(inputs=[VIEW, Request({"distance": "float64"})], name="made", **told)(function))


@pytest.mark.parametrize("case", BY_ROW)
def test_expression_by_row_passes(case):
    """Also where it fails on some rows, as long as it fails on these alone."""
    prove(made(BY_ROW[case]), TYPES)


@pytest.mark.parametrize("case", ACROSS)
def test_expression_that_looks_at_other_rows_is_refused(case):
    """Polars says of most of these that they are separable by rows."""
    with pytest.raises(ConfigError, match="made is not row-local"):
        prove(made(ACROSS[case]), TYPES)


def test_what_polars_itself_computes_by_batch_is_refused():
    """The sum of an empty list is 0.0 beside a null in a list, and -0.0 elsewhere (2.1); adding 0.0 is left out by Polars."""
    with pytest.raises(ConfigError, match=r"(0.0 and -0.0|-0.0 and 0.0) for {'v__l': \[.*\]}"):
        prove(made(lambda t: t.l.list.sum()), TYPES)
    with pytest.raises(ConfigError, match=r"0.0 for {'v__l': \[\]}"):
        prove(made(lambda t: t.l.list.sum() + 0.0), TYPES)
    prove(made(lambda t: pl.when(t.l.list.sum() == 0).then(0.0).otherwise(t.l.list.sum())), TYPES)


def test_python_functions_are_refused():
    """Their code could not be part of a hash of the service."""
    with pytest.raises(ConfigError, match="calls a Python function"):
        prove(made(lambda t: t.a.map_elements(lambda x: x, return_dtype=pl.Float64)), TYPES)


def test_types_that_do_not_fit_are_refused():
    """At apply, and not on the first request."""
    with pytest.raises(ConfigError, match="cannot be computed of the types of its inputs"):
        prove(made(lambda t: t.a.str.to_uppercase()), TYPES)


def test_default_must_be_of_the_type():
    """It stands in the same column."""
    prove(made(lambda t: t.a, default=1), TYPES)
    for function, default in ((lambda t: t.a, "far"), (lambda t: t.n, 1.5), (lambda t: t.n.cast(pl.Int8), 300)):
        with pytest.raises(ConfigError, match="which its default|in which its default"):
            prove(made(function, default=default), TYPES)


def test_made_expressions_can_be_sent():
    """A worker of another process computes the same."""
    one = made(BY_ROW["ratio"])
    other = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own
    assert other.expr.meta.eq(one.expr)
    assert other.columns == one.columns
