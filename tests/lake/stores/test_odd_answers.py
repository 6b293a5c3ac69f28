"""Answers that say nothing clear, from a real S3 behind a front of the tests': one effect, and never another's."""

import os

import pytest

from dataplat.errors import ObjectNotFound
from dataplat.lake.stores import RetryingStore, _s3
from dataplat.lake.stores._remote import RemoteStore
from dataplat.lake.stores._s3 import S3Wire
from servers.front import Front, Odd

UNCLEAR = [(409, "ConditionalRequestConflict"), (500, "InternalError"), (503, "SlowDown")]
odd_answers = pytest.mark.parametrize(("status", "code"), UNCLEAR, ids=["409", "500", "503"])
passed_on = pytest.mark.parametrize("passed", [False, True], ids=["not passed on", "passed on"])


@pytest.fixture
def front(s3_server):
    """A front before the server."""
    with Front(s3_server.host, s3_server.port) as standing:
        yield standing


@pytest.fixture
def store(s3_server, front, monkeypatch):
    """A store behind the front that tries again."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    wire = S3Wire(s3_server.new_bucket(), "some/lake", {"endpoint_url": front.url, "timeout": 5.0})
    return RetryingStore(RemoteStore(wire))


@odd_answers
@passed_on
def test_a_create_is_our_own_and_there_once(store, front, status, code, passed):
    """A create with an unclear answer is sent once more, and the object is there once with our bytes."""
    front.plan.append(Odd("PUT", status, code, passed))
    store.create("x", b"ours")
    assert front.seen.count("PUT") == 2
    assert front.plan == []
    assert [(entry.key, entry.size) for entry in store.list("")] == [("x", 4)]
    assert store.read("x") == b"ours"


@odd_answers
@passed_on
def test_reads_and_listings_are_whole(store, front, status, code, passed):
    """A read, a read of a range and a listing with an unclear answer are asked once more, and are right."""
    store.create("x", b"0123456789")
    for call, right in (
        (lambda: store.read("x"), b"0123456789"),
        (lambda: store.read("x", (2, 5)), b"234"),
        (lambda: [entry.key for entry in store.list("")], ["x"]),
    ):
        front.plan.append(Odd("GET", status, code, passed))
        front.seen.clear()
        assert call() == right
        assert front.seen == ["GET", "GET"]


@odd_answers
@passed_on
def test_a_delete_is_done(store, front, status, code, passed):
    """A delete with an unclear answer is sent once more, and the object is gone."""
    store.create("x", b"1")
    front.plan.append(Odd("DELETE", status, code, passed))
    store.delete("x")
    assert front.seen.count("DELETE") == 2
    with pytest.raises(ObjectNotFound):
        store.read("x")


@odd_answers
@passed_on
@pytest.mark.parametrize("step", [0, 1, 2], ids=["begin", "part", "complete"])
def test_an_upload_in_parts_is_our_own_and_there_once(store, front, monkeypatch, status, code, passed, step):
    """An upload in parts with an unclear answer at any step is made once more, and the object is there once and whole."""
    monkeypatch.setattr(_s3, "MULTIPART", 6 << 20)
    monkeypatch.setattr(_s3, "PART", 5 << 20)
    data = os.urandom((6 << 20) + 77)
    front.plan.append(
        Odd(["POST", "PUT", "POST"][step], status, code, passed, ["uploads", "partNumber=2", "uploadId"][step])
    )
    store.create("big", data)
    assert front.plan == []
    assert [(entry.key, entry.size) for entry in store.list("")] == [("big", len(data))]
    assert store.read("big") == data
