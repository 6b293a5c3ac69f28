"""Rows of a source, counted range by range: what they come to does not depend on how many ranges there are."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import _measured
from dataplat._features._measured import measured
from dataplat._features._sources import ViewSource


def rows(desk, count):
    """Return rows of many keys, some of none, some twice."""
    hours = [number % 5 for number in range(count)]
    names = [None if number % 11 == 0 else f"K{number % 30}" for number in range(count)]
    made = [desk.weather([hour], [name]) for hour, name in zip(hours, names, strict=True)]
    return pa.concat_tables(made, promote_options="permissive")


@pytest.mark.parametrize("together", [7, 50, 10**6])
def test_ranges_add_up(desk, monkeypatch, together):
    """Rows, keys, rows without one, ties and events are those of a plain count."""
    monkeypatch.setattr(_measured, "_ROWS", together)
    table = rows(desk, 200)
    desk.lake.ingest(table, into="many")
    found = measured(ViewSource.of(desk.store, desk.view_of(source="many", features=["temp", dp.Count(window="3h")])))
    told = [(name, at.as_py()) for name, at in zip(table["origin"].to_pylist(), table["at"], strict=True)]
    assert (found.rows, found.keyless) == (200, sum(name is None for name, _ in told))
    assert len(found.digests) == len({name for name, _ in told if name is not None})
    named = [each for each in told if each[0] is not None]
    assert found.ties == len(named) - len(set(named)) > 50
    assert found.events == max(
        sum(name == other and at - desk.hour(3) + desk.hour(0) < when <= at for other, when in told)
        for name, at in told
        if name is not None
    )


def test_rows_without_a_key_are_no_events_of_one(desk):
    """They are never served, however many there are."""
    desk.lake.ingest(desk.weather(range(50), [None]), into="keyless")
    desk.lake.ingest(desk.weather([1], ["JFK"]), into="keyless")
    view = desk.view_of(source="keyless", features=[dp.Count(window="20h")], max_events_per_key=5)
    found = measured(ViewSource.of(desk.store, view))
    assert (found.events, len(found.digests), found.keyless) == (1, 1, 50)
    assert desk.store.plan(dp.FeatureService("k", [view])).ok
