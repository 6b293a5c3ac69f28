"""Rows that are pushed while a snapshot is made: each is in its records or in the overlay, at every moment in between."""

from __future__ import annotations

import itertools
import os
import random
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat._features._pushed_settling import Settling
from dataplat._features._served import ServedLog
from dataplat.errors import SnapshotConflict
from dataplat.feature_store.online.connect import online_store

NAMES = ("weather", "landings")
SERVICE = dp.FeatureService(
    "model",
    [
        dp.FeatureView(
            name,
            source=name,
            entity=dp.Entity("airport"),
            timestamp="seen",
            ttl=None,
            features=["temp", dp.Count(window="1h"), dp.Sum("temp", window="1h")],
        )
        for name in NAMES
    ],
)


@pytest.fixture
def store(tmp_path):
    """Two datasets with a row each, served together."""
    lake = dp.open(f"memory://{uuid.uuid4().hex}")
    for name in NAMES:
        first = {"airport": ["JFK"], "seen": [datetime.now(UTC) - timedelta(minutes=30)], "temp": [1.0]}
        lake.ingest(pa.table(first), into=name)
    store = FeatureStore(lake)
    store.__dict__["online"] = online_store(f"lmdb:{tmp_path}", lake.id)
    store.apply(SERVICE)
    store.materialize("model")
    yield store
    store.online.close()


def push(store, name, temp):
    """Push a row of now."""
    store.push(name, {"airport": ["JFK"], "seen": [datetime.now(UTC)], "temp": [temp]})


def counts(store):
    """Return how many rows of each dataset count."""
    found = store.lookup("model", {"airport": ["JFK"]}).to_dict()
    for name in NAMES:
        assert found[f"{name}__temp_sum_1h"] == [float(found[f"{name}__count_1h"][0])]
    return tuple(found[f"{name}__count_1h"][0] for name in NAMES)


class Intruder:
    """Comes before the n-th call of what a store, and the refs of its lake, are asked; it is not there in its own calls."""

    def __init__(self, store, monkeypatch):
        self.at, self.what, self.calls, self.busy = -1, lambda: None, 0, False
        for target, names in (
            (store.online, ("pending", "snapshot", "kept", "push_all", "settle", "load", "change")),
            (store.lake.refs, ("head", "publish")),
        ):
            for name in names:
                monkeypatch.setattr(target, name, self.watched(getattr(target, name)))

    def watched(self, function):
        """Return a function that the intruder comes before."""

        def call(*given, **more):
            if not self.busy:
                self.calls += 1
                if self.calls == self.at:
                    self.busy = True
                    try:
                        self.what()
                    finally:
                        self.busy = False
            return function(*given, **more)

        return call

    def come(self, at, what):
        """Come before a call from now on."""
        self.at, self.what, self.calls = at, what, 0


@pytest.mark.parametrize("flushed", [False, True])
def test_a_row_that_comes_at_any_step(store, monkeypatch, flushed):
    """Before each call that making a snapshot takes, a row of each dataset comes, and may be landed by another: once is once."""
    intruder = Intruder(store, monkeypatch)
    wanted = 1
    for at in range(1, 200) if os.environ.get("DATAPLAT_DEATHS") else itertools.chain(range(1, 40, 3), (199,)):

        def comes(at=at):
            for name in random.Random(at).sample(NAMES, 2):
                push(store, name, 1.0)
            if flushed:
                store.flush(NAMES[at % 2])

        push(store, NAMES[0], 1.0)
        push(store, NAMES[1], 1.0)
        intruder.come(at, comes)
        store.materialize("model")
        came = intruder.calls >= at
        intruder.come(-1, comes)
        wanted += 2 if came else 1
        assert counts(store) == (wanted, wanted), at
        assert all(store.lake[name].rows <= wanted for name in NAMES)
        if not came:
            break
    else:
        pytest.fail("it never came to its end")
    store.materialize("model")
    assert counts(store) == (wanted, wanted)
    assert [store.lake[name].rows for name in NAMES] == [wanted, wanted]
    assert store.online.size("model@1").pushed == 0


def test_rows_that_land_out_of_order_are_waited_for(store):
    """A later row has landed, and an earlier one of another dataset has not: it lands before the commit that is read is chosen."""
    settling = Settling.before(store, SERVICE, "model@1")
    real, heads = store.lake.refs.head, []

    def head(branch):
        heads.append(branch)
        if len(heads) == 1:
            store.lake.refs.head = real
            push(store, NAMES[0], 1.0)
            push(store, NAMES[1], 1.0)
            store.flush(NAMES[1])
        return real(branch)

    store.lake.refs.head = head
    settling.flush()
    assert settling.after() == (2, 2)
    assert [each[1] for each in settling.overlay] == [NAMES[0], NAMES[1]]


def test_pushes_that_are_always_ahead_are_said(store, monkeypatch):
    """A snapshot that cannot tell what it holds is none: what is live is served."""
    settling = Settling.before(store, SERVICE, "model@1")
    monkeypatch.setattr(Settling, "_since", lambda _self, rows, _sure, _head: {row[1:] for row in rows[1:]})
    monkeypatch.setattr(Settling, "_gone", lambda _self, _rows: set())
    push(store, NAMES[0], 1.0)
    push(store, NAMES[1], 1.0)
    with pytest.raises(SnapshotConflict, match="weather and landings and land faster"):
        settling.flush()


def test_an_audit_of_two_datasets_while_everything_moves(store):
    """Threads push to both, flush, look up and materialise at once; afterwards each answer is right, and each row is there once."""
    over, troubles, pushed = threading.Event(), [], [1, 1]

    def work(what, rest):
        try:
            while not over.is_set():
                what()
                over.wait(rest)
        except Exception as error:  # noqa: BLE001  (told by the test)
            troubles.append(error)

    with ServedLog.of(store, most=None) as log:

        def asking():
            looked = store.lookup("model", {"airport": ["JFK"]})
            log.record("model@1", {"airport": ["JFK"]}, {}, 1, looked.t, looked.served)

        def pushing(number):
            push(store, NAMES[number], 1.0)
            pushed[number] += 1

        jobs = [
            (asking, 0.0),
            (lambda: pushing(0), 0.007),
            (lambda: pushing(1), 0.011),
            (lambda: store.flush(NAMES[0]), 0.05),
            (lambda: store.materialize("model"), 0.1),
        ]
        threads = [threading.Thread(target=work, args=job) for job in jobs]
        for thread in threads:
            thread.start()
        over.wait(1.5)
        over.set()
        for thread in threads:
            thread.join()
        assert not troubles
        store.materialize("model")
        assert counts(store) == tuple(pushed)
    assert [store.lake[name].rows for name in NAMES] == pushed
    found = store.audit("model")
    assert found.rows > 10
    assert found.causes == {}, found.differences[:5]
