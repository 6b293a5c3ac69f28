"""Simulated histories with a real store behind: a seed is the same story there as in memory, and has the same end."""

from __future__ import annotations

import os

import pytest

from dataplat.lake.stores import open_store
from dataplat.testing.histories import run_history

HDFS = pytest.param("hdfs", 5, marks=[pytest.mark.xdist_group("hdfs"), pytest.mark.proof])
MORE = int(os.environ.get("DATAPLAT_STORE_HISTORIES", "1"))
"""How many times as many as CI has time for."""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seeds"), [("file", 20), ("s3", 6), ("gcs", 10), HDFS])
def test_a_seed_is_the_same_history_on_every_store(place, monkeypatch, kind, seeds):
    """Call by call the same keys, bytes, faults and answers as in memory; afterwards every invariant holds there too."""
    monkeypatch.setenv("DATAPLAT_CACHE_SIZE", "0")  # every read is asked of the server
    new_place = place(kind)
    for seed in range(seeds * MORE):
        there = run_history(seed, store=open_store(new_place()))
        here = run_history(seed)
        assert there.simulator.story() == here.simulator.story()
        assert [str(attempt) for attempt in there.attempts] == [str(attempt) for attempt in here.attempts]
        there.check()
        here.check()
