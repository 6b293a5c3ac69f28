"""What is declared: names, bounds and versions that make sense; others are refused with what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import dataplat as dp
from dataplat.errors import ConfigError


def view_of(**options: Any) -> dp.FeatureView:
    """Return a view of three features."""
    given: dict[str, Any] = {
        "source": "s",
        "entity": dp.Entity("a"),
        "timestamp": "at",
        "ttl": None,
        "features": ["x", dp.Mean("y", window="1h"), dp.LastN("z", 2)],
    }
    return dp.FeatureView("v", **(given | options))


def test_drift_is_bounded_by_feature():
    """One bound is for every feature whose drift can be told, several are in the order of the features."""
    assert view_of().view.drift == ()
    assert view_of(drift=0.1).view.drift == (("x", 0.1), ("y_mean_1h", 0.1))
    assert view_of(drift={"y_mean_1h": 1, "x": 0.2}).view.drift == (("x", 0.2), ("y_mean_1h", 1.0))


def test_bounds_of_drift_stay_whichever_features_are_used():
    """A service of some features has the bounds of the view."""
    assert view_of(drift=0.1)[["x"]].view.drift == view_of(drift=0.1).view.drift


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ({"xx": 0.1}, "drift= names 'xx', which is none of its features; did you mean 'x'"),
        ({"z_last_2": 0.1}, "'z_last_2', which is of lists"),
        (0, "drift= of x is above 0"),
        (float("nan"), "not nan"),
        (1.5, "not 1.5"),
        (True, "not True"),
        ("0.1", "not '0.1'"),
    ],
)
def test_bounds_of_drift_that_make_no_sense(drift, said):
    """View, feature and bound are named."""
    with pytest.raises(ConfigError, match=f"view v: .*{said}"):
        view_of(drift=drift)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": 3}, "source .or it is dataplat.sql.*is a name, and not 3"),
        ({"source": ""}, "is a name, and not ''"),
        ({"source": dp.sql("select 1"), "history": "commits"}, "a query has no commits"),
        ({"history": "comits"}, "history is 'append' or 'commits', and not 'comits'"),
        ({"timestamp": None}, "timestamp is a name, and not None"),
        ({"known_at": 3}, "known_at is a name, and not 3"),
        ({"zone": 3}, "zone is a name, and not 3"),
        ({"entity": "a"}, "entities of view v are dataplat.Entity"),
        ({"entity": [dp.Entity("a"), dp.Entity("a")]}, "view v has an entity twice"),
        ({"keys": ["a"]}, "keys maps columns to entities"),
        ({"keys": {"a": 3}}, "keys maps columns to entities"),
        ({"row_key": [3]}, "row_key are columns of its source, and not 3"),
        ({"where": 3}, "where is a Polars expression or SQL, and not 3"),
        ({"max_events_per_key": 0}, "max_events_per_key is a whole number from 1 on, and not 0"),
        ({"max_events_per_key": 1.5}, "and not 1.5"),
        ({"ttl": 0}, "view v: ttl is a number and us, ms"),
        ({"features": [3]}, "features of view v are columns, Fields, windows and Ratios, and not 3"),
        ({"features": []}, "view v has no features"),
        ({"features": ["x__age"]}, "would be taken for a status or an age"),
    ],
)
def test_views_that_make_no_sense(options, said):
    """Are refused where they are declared, with what is meant."""
    with pytest.raises(ConfigError, match=said):
        view_of(**options)


@pytest.mark.parametrize("kind", ["intt", "list<item: string>", "null", 3])
def test_keys_of_types_that_there_are_not(kind):
    """The entity is named."""
    with pytest.raises(ConfigError, match="entity airport: "):
        dp.Entity("airport", kind)


def test_one_name_is_a_list_of_one():
    """And not the letters of it."""
    view = view_of(features="temp", row_key="flight_id")
    assert [each.feature for each in view.features] == ["temp"]
    assert view.view.row_key == ("flight_id",)
    with pytest.raises(ConfigError, match="features of v are names, and not 3"):
        _ = view[[3]]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: dp.Field(""), "the column of a Field is a name"),
        (lambda: dp.Field("x", fill="last"), "fill of x is 'null' or 'last_non_null', and not 'last'"),
        (lambda: dp.Quantile("x", "a", window="1h"), "a quantile is a number from 0 to 1, and not 'a'"),
        (lambda: dp.Quantile("x", 1.1, window="1h"), "and not 1.1"),
        (lambda: dp.LastN("x", 1.5), "LastN is of 1 value or more, and not 1.5"),
        (lambda: dp.Mean("x", window=-5), "a window is longer than nothing"),
        (lambda: dp.Mean("x", window=True), "a window is longer than nothing"),
        (lambda: dp.Mean("x", window="1h", accuracy=None), "accuracy is exact, or hop"),
        (lambda: dp.Ratio("x", "y"), "a Ratio is of two windows"),
    ],
)
def test_features_that_make_no_sense(make, said):
    """Are refused where they are declared."""
    with pytest.raises(ConfigError, match=said):
        make()


def test_windows_can_be_made_anew_from_their_fields():
    """As every frozen dataclass: `replace` and keywords work, all that is no column or parameter is a keyword."""
    made = dp.Quantile("x", 0.9, window="7d")
    assert replace(made, q=0.5, name=None).feature == "x_p50_7d"
    assert dp.LastN(column="x", n=3) == dp.LastN("x", 3)
    for kind in (dp.First, dp.Last):
        with pytest.raises(TypeError):
            kind("x", "7d")


@pytest.mark.parametrize("version", [0, -1, 1.5, "a", True, None])
def test_versions_are_whole_numbers_from_1_on(version):
    """Others could not be named, or kept."""
    with pytest.raises(ConfigError, match="the version of service m is a whole number from 1 on"):
        dp.FeatureService("m", [view_of()], version=version)


def test_services_are_of_views_and_on_demand_features():
    """One of them alone is a service of one; a name is none."""
    assert dp.FeatureService("m", view_of()) == dp.FeatureService("m", [view_of()])
    with pytest.raises(ConfigError, match="features of service m are views and on-demand features, and not 'v'"):
        dp.FeatureService("m", ["v"])
    with pytest.raises(ConfigError, match="3 cannot name a feature service"):
        dp.FeatureService(3, [view_of()])


def test_views_of_a_service_have_the_features_of_all_that_use_them():
    """Those that it names, and those that its on-demand features read."""
    view = view_of()

    @dp.on_demand(inputs=[view[["y_mean_1h", "x"]]])
    def twice(t):
        return t.y_mean_1h * 2

    [found] = dp.FeatureService("m", [view[["x"]], twice]).views
    assert [each.feature for each in found.features] == ["x", "y_mean_1h"]
