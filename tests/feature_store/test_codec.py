"""Definitions as JSON, and back."""

from __future__ import annotations

import json

import dataplat as dp
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
