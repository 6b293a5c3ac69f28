"""What is declared: names, bounds and versions that make sense; others are refused with what to do."""

from __future__ import annotations

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
        (0, "above 0 and up to 1, and not 0"),
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
