"""What a commit, and a look at a branch, cost on a store far away: requests, and how many of them wait for others."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pyarrow as pa
import pytest

from dataplat._lake import Lake
from dataplat.config import Secret
from dataplat.errors import ObjectNotFound
from dataplat.lake.stores import MemoryStore, StoreWrapper
from dataplat.lake.stores._s3 import ANNOUNCED, S3Wire
from dataplat.testing.store_faults import CountingStore
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.refs import Refs


class Rounds(StoreWrapper):
    """Notes of each call the round it belongs to: one more than those that had ended when it began.

    Creates of objects wait for each other, so that those which may run beside each other do, however busy the machine.
    """

    def __init__(self, inner):
        super().__init__(inner, concurrency=8)
        self.calls = []
        self.beside = None
        self._ended = 0
        self._lock = threading.Lock()

    def _call(self, operation, key, call, sent=None):
        with self._lock:
            mine = self._ended + 1
            self.calls.append((mine, operation, key.partition("/")[0]))
        try:
            if self.beside is not None and (operation, key[:8]) == ("create", "objects/"):
                self.beside.wait()
            return call()
        finally:
            with self._lock:
                self._ended = max(self._ended, mine)

    @property
    def rounds(self):
        """What was asked in each round, in order."""
        return [sorted(call[1:] for call in self.calls if call[0] == n) for n in range(1, self._ended + 1)]

    def begin(self, beside=None):
        """Forget what was; `beside` creates of objects are expected."""
        self.calls.clear()
        self._ended = 0
        self.beside = None if beside is None else threading.Barrier(beside, timeout=30)


@pytest.fixture
def far():
    """A store far away."""
    return Rounds(MemoryStore())


@pytest.fixture
def lake(far):
    """A lake there, with a dataset of a thousand rows, whose head is known."""
    create_lake(far)
    lake = Lake(far, "test", "memory")
    lake.ingest(_rows(range(1000)), "orders", key="number")
    lake.ingest(_rows(range(10)), "others", key="number")
    return lake


def _rows(orders, amount=1.0):
    return pa.table({"number": list(orders), "amount": [amount + order for order in orders]})


def _committed(far, lake, change):
    """Do a change twice, with other rows, and return the rounds of the second time."""
    far.begin()
    change(lake, 0)
    far.begin(beside=[call[1:] for call in far.calls].count(("create", "objects")))
    change(lake, 1)
    return far.rounds


def _together(lake, n):
    """Change two datasets in one commit."""
    with lake.transaction() as begun:
        begun.ingest(_rows([6000 + n]), "orders")
        begun.ingest(_rows([6000 + n]), "others", key="number")


LOOK = [("read", "refs")]
RECORD = [("create", "refs")]

CHANGES = {
    "append": lambda lake, n: lake.ingest(_rows([5000 + n]), "orders"),
    "upsert": lambda lake, n: lake.ingest(_rows([n], 77.0), "orders", mode="upsert"),
    "replace": lambda lake, n: lake.ingest(_rows(range(n + 1, 1000)), "orders", mode="replace"),
    "replace a slice": lambda lake, n: lake.ingest(_rows([n], 9.0), "orders", mode="replace", where=f"number = {n}"),
    "a new dataset": lambda lake, n: lake.ingest(_rows(range(10)), f"new{n}", key="number"),
    "evolve": lambda lake, n: lake.evolve("orders", add={f"more{n}": "int64"}),
    "transaction": _together,
    "delete": lambda lake, n: lake.delete("orders", f"number = {10 + n}"),
    "describe": lambda lake, n: lake.describe("orders", f"of week {n}"),
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_commit_is_two_rounds(far, lake, name):
    """What a commit writes goes in one round, its parts too, then its record, with no look in between."""
    *before, objects, record = _committed(far, lake, CHANGES[name])
    assert record == RECORD
    assert objects == [("create", "objects")] * len(objects)
    assert all(operation == "read" for calls in before for operation, _ in calls)
    assert before[:1] in ([LOOK], [])


def test_an_append_is_three_rounds(far, lake):
    """From call to return: a look whether the head is one still, part, segment, manifest and commit at once, record."""
    assert _committed(far, lake, CHANGES["append"]) == [LOOK, [("create", "objects")] * 4, RECORD]


def test_a_large_upload_looks_again(far, lake, monkeypatch):
    """Where parts took long to send, the head is looked at before the commit is made: another round, not a lost one."""
    monkeypatch.setattr("dataplat.versioning.publish._AT_ONCE", 0)
    far.begin()
    CHANGES["append"](lake, 0)
    assert far.rounds[:3] == [LOOK, [("create", "objects")], LOOK]
    assert far.rounds[-1] == RECORD


def test_a_lost_head_is_looked_for(far, lake):
    """Who trusted a head that is none any more commits on the new one, and both commits are there."""
    other = Lake(far, "test", "memory")
    other.ingest(_rows([7000]), "orders")
    with lake.transaction() as begun:
        begun.ingest(_rows([7001]), "orders")
        other.ingest(_rows([7002]), "orders")
    assert sorted(Lake(far, "test", "memory")["orders"].to_arrow()["number"].to_pylist())[-3:] == [7000, 7001, 7002]


def test_the_head_is_one_listing_of_one_name(lake):
    """A branch of many records that was never seen before: one name is listed, and that record read."""
    for number in range(5):
        lake.describe("orders", f"of week {number}")

    class OneName(CountingStore):
        def list(self, prefix, after=None, limit=None):
            assert limit == 1
            return super().list(prefix, after, limit)

    store = OneName(lake.store)
    refs = Refs(store)
    assert refs.head("main").number == 7
    assert store.calls == {"list": 1, "read": 1}
    store.reset()
    assert refs.head("main").number == 7
    assert store.calls == {"read": 1}


def test_a_head_far_ahead_is_listed(lake):
    """Who knows an old head learns that there is a newer one, and lists it: three requests, however far it is."""
    store = CountingStore(lake.store)
    refs = Refs(store)
    refs.head("main")
    for number in range(5):
        lake.describe("orders", f"of week {number}")
    store.reset()
    assert refs.head("main").number == 7
    assert store.calls == {"list": 1, "read": 2}
    with pytest.raises(ObjectNotFound):
        refs.record("main", 8)


class Listening(BaseHTTPRequestHandler):
    """Takes what is put, and notes its headers."""

    protocol_version = "HTTP/1.1"
    noted: ClassVar[list[dict[str, str]]] = []

    def do_PUT(self):
        """Say that it is stored."""
        self.noted.append(dict(self.headers.items()))
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


def test_a_small_object_goes_up_with_its_headers(monkeypatch):
    """Only of a large body S3 is asked first whether it may come: it would be a second round trip."""
    monkeypatch.setattr(Listening, "noted", [])
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listening)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        keys = {"key": Secret("env:OUR_KEY"), "secret": Secret("env:OUR_KEY")}
        monkeypatch.setenv("OUR_KEY", "a-key-of-this-test")
        wire = S3Wire("bucket", "lake", {"endpoint_url": f"http://127.0.0.1:{server.server_port}", **keys})
        for size in (ANNOUNCED, ANNOUNCED + 1):
            wire.put("objects/x", bytes(size))
    finally:
        server.shutdown()
        server.server_close()
    assert ["Expect" in headers for headers in Listening.noted] == [False, True]
    assert all(headers["If-None-Match"] == "*" for headers in Listening.noted)
