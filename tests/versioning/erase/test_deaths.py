"""An erase that dies at any call to the store: what is to be seen then, and that the same call again finishes it."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from dataplat.testing.store_faults import CrashStore, SimulatedCrash, copied
from dataplat.versioning.gc._leases import leases

from .world import JO, leaks, new_store, open_on, picture, rows, without  # noqa: TID252

STRIDE = int(os.environ.get("DATAPLAT_ERASE_STRIDE", "24"))
"""Every so many calls are died at, others when dying before and after the call (`1` for the proof: all)."""


def past():
    """Return a lake with what each step of an erase has to do: versions, a tag, a branch, deletes, a memo."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people", key="id")
    lake.tag("v1")
    lake.ingest(rows(JO, 2, text="y"), "people", mode="upsert")
    lake.branch("exp")
    lake.delete("people", "id > 4000")
    lake.ingest(rows(9), "other")
    return store


PAST = past()
BEFORE = picture(PAST)
AFTER = without(BEFORE)


def erase(store):
    """Erase as a fresh process does."""
    return open_on(store).erase("people", f"id = {JO}", "ticket 7")


def calls():
    """Return how many calls an erase makes."""
    counting = CrashStore(copied(PAST))
    erase(counting)
    return counting.calls


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_death_each_name_has_old_or_new_rows_and_again_finishes(when):
    """Between the two runs every name leads to its rows with or without the person's, and the lake is whole."""
    for at in range(1 if when == "before" else 1 + STRIDE // 2, calls() + 1, STRIDE):
        store = copied(PAST)
        with suppress(SimulatedCrash):  # the last few calls depend on the order of names
            erase(CrashStore(store, at, when))
        between = picture(store)
        for ref, held in BEFORE.items():
            assert between.get(ref) in (held, AFTER[ref]), (at, ref)
        assert open_on(store).verify().problems == []
        open_on(store).ingest(rows(50), "other")  # the lake goes on
        erase(store)
        after = picture(store)
        assert {ref: after.get(ref) for ref in BEFORE if not ref.startswith("other@")} == {
            ref: held for ref, held in AFTER.items() if not ref.startswith("other@")
        }, at
        assert leaks(store) == []
        report = open_on(store).verify()
        held = [
            id for lease in leases(store) for id in lease.file.objects
        ]  # by the one that died, for a week and a day
        assert report.problems == []
        assert report.orphans <= len(held)
        assert open_on(store).gc(grace="0s").done.objects == 0
