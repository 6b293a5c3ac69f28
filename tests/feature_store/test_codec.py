"""Definitions as JSON, and back."""

from __future__ import annotations

import json

import pytest

import dataplat as dp
from dataplat.errors import LakeFormatError
from dataplat.feature_store.closure import closure_hash
from dataplat.feature_store.codec import service_from_json, service_to_json


def service_of(**options) -> dp.FeatureService:
    """Return a service of one view."""
    view = dp.FeatureView("v", source="s", timestamp="at", ttl=None, features=["x", "y"], **options)
    return dp.FeatureService("m", [view])


def test_limits_come_back():
    """Freshness, events of a key and drift are kept, and are no part of the closure."""
    service = service_of(freshness="1h", max_events_per_key=5, drift={"y": 0.25})
    back = service_from_json(json.loads(json.dumps(service_to_json(service))))
    assert back.views[0].view == service.views[0].view
    assert closure_hash(back) == closure_hash(service_of())


def test_what_has_no_bound_of_drift_is_written_as_before():
    """So that the version before reads it."""
    assert "drift" not in service_to_json(service_of())["features"][0]["view"]


@pytest.mark.parametrize(
    "change",
    [
        lambda view: view["features"][1].update(function="Skew"),
        lambda view: view["features"][1].update(weight=1),
        lambda view: view["features"][0].update(weight=1),
        lambda view: view["features"][0].update(default={"fraction": "1/2"}),
        lambda view: view.update(grace=5),
        lambda view: view.update(entities=[["a", "string", "more"]]),
        lambda view: view.pop("ttl"),
    ],
    ids=["function", "argument", "field", "default", "said", "entity", "unsaid"],
)
def test_what_another_version_wrote_is_said(change):
    """With what to do, and no KeyError; nothing that is not known is overlooked."""
    view = dp.FeatureView("v", source="s", timestamp="at", ttl=None, features=["x", dp.Mean("x", window="1h")])
    told = service_to_json(dp.FeatureService("m", [view], version=3))
    change(told["features"][0]["view"])
    with pytest.raises(
        LakeFormatError, match="service 'm' version 3 was kept by another version of dataplat.*use that"
    ):
        service_from_json(told)


def test_another_format_is_said():
    """A newer dataplat is needed."""
    with pytest.raises(LakeFormatError, match="has format 2, and this dataplat knows 1"):
        service_from_json(service_to_json(service_of()) | {"format": 2})
