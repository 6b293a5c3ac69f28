"""GcsWire: the conformance suite on a real server, races of processes, and what happens when the wire breaks."""

import json
import os
import socket

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from dataplat.config import Secret
from dataplat.errors import ConfigError, ObjectExists, ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores import RetryingStore, _gcs
from dataplat.lake.stores._gcs import GcsWire
from dataplat.lake.stores._remote import RemoteStore
from dataplat.testing import store_suite
from dataplat.testing.store_machine import StoreMachine
from servers.racers import assert_child_connects_anew, race_processes, raced

FEW = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)


@pytest.fixture
def bucket(gcs_server):
    """A bucket of its own."""
    return gcs_server.new_bucket()


@pytest.fixture
def store(gcs_server, bucket):
    """An empty store under a prefix of a bucket of its own."""
    return RemoteStore(GcsWire(bucket, "some/lake", {"endpoint_url": gcs_server.url}))


@pytest.fixture
def proxy(gcs_server, proxy_to):
    """A wire that can be cut."""
    return proxy_to(gcs_server)


@pytest.fixture
def far(bucket, proxy):
    """The same store behind that wire."""
    return RemoteStore(GcsWire(bucket, "some/lake", {"endpoint_url": proxy.url, "timeout": 5.0}))


class TestGcs(store_suite.StoreConformance, store_suite.UrlConformance):
    """The suite."""


def test_a_machine_drives_it(gcs_server):
    """Any calls in any order give what a dict gives."""

    class Machine(StoreMachine):
        def make_store(self):
            """A store in a bucket of its own."""
            self.wire = GcsWire(gcs_server.new_bucket(), "", {"endpoint_url": gcs_server.url})
            return RemoteStore(self.wire)

        def reopen(self, store):
            """Connect anew."""
            return RemoteStore(GcsWire(store.wire._bucket, "", {"endpoint_url": gcs_server.url}))

    run_state_machine_as_test(Machine, settings=FEW)


def test_processes_race(gcs_server, bucket, store):
    """Of eight processes that create one name one wins, and its bytes stay, twenty times over."""
    won = race_processes("GcsWire", bucket, "some/lake", {"endpoint_url": gcs_server.url})
    for number, racer in won.items():
        assert store.read(f"refs/race/{number}") == raced(racer)


@pytest.fixture
def small_chunks(monkeypatch):
    """Uploads in chunks from 1 MiB, of the least size that the interface has."""
    monkeypatch.setattr(_gcs, "RESUMABLE", 1 << 20)
    monkeypatch.setattr(_gcs, "CHUNK", 1 << 18)
    return os.urandom((2 << 20) + 77)


def test_chunks_make_up_an_object(small_chunks, store):
    """What goes up in chunks is whole, and is created only where it is absent."""
    store.create("big", small_chunks)
    assert store.read("big") == small_chunks
    with pytest.raises(ObjectExists):
        store.create("big", b"other" + small_chunks)
    with pytest.raises(ObjectExists):
        store.create("big", b"small")
    assert store.read("big") == small_chunks


def test_a_real_big_object_goes_up_in_chunks(far, proxy):
    """An object of more than 64 MiB is sent in chunks of 16."""
    data = os.urandom(1 << 20) * 65
    far.create("big", data)
    assert [r.method for r in proxy.requests] == ["POST"] + ["PUT"] * 5
    assert far.read("big", (64 << 20, 1 << 40)) == data[64 << 20 :]


@pytest.mark.parametrize("lost", range(9))
def test_a_lost_answer_to_a_chunk_leaves_no_half(small_chunks, far, proxy, lost):
    """Whichever chunk's answer is lost, the create is unclear, sent once; again, it is whole."""
    seen = iter(range(100))
    proxy.drop_response_once(lambda request: request.method == "PUT" and next(seen) == lost)
    with pytest.raises(StoreTimeout, match="some/lake/big"):
        far.create("big", small_chunks)
    assert proxy.count("PUT") == lost + 1
    assert [entry.size for entry in far.list("")] == ([len(small_chunks)] if lost == 8 else [])
    if lost < 8:
        proxy.drop_response_once(lambda request: request.method == "PUT")
        RetryingStore(far).create("big", small_chunks)
    assert far.read("big") == small_chunks


def test_a_lost_answer_is_unclear_and_nothing_is_sent_again(far, proxy):
    """A create whose answer is lost has taken effect, says that it may have, and was sent once."""
    proxy.drop_response_once(lambda request: request.method == "POST")
    with pytest.raises(StoreTimeout, match="create gs://.*/some/lake/x"):
        far.create("x", b"ours")
    assert proxy.count("POST") == 1
    assert far.read("x") == b"ours"


@pytest.mark.parametrize("sent", [10, 700, 300_000, 3_000_000])
def test_a_cut_in_a_body_that_goes_up(far, proxy, sent):
    """A create that is cut anywhere is unclear, leaves nothing or all, and is settled by sending it again."""
    data = os.urandom(4 << 20)
    proxy.cut_after(sent=sent)
    with pytest.raises(StoreTimeout):
        far.create("x", data)
    assert list(far.list("")) == []
    proxy.cut_after(sent=sent)
    RetryingStore(far).create("x", data)
    assert far.read("x") == data


@pytest.mark.parametrize("received", [1, 600, 2_000_000])
def test_a_cut_in_a_body_that_comes_down(store, far, proxy, received):
    """A read that is cut anywhere is never short: it is a time-out, and another try gives all."""
    data = os.urandom(4 << 20)
    store.create("x", data)
    proxy.cut_after(received=received)
    with pytest.raises(StoreTimeout, match="read gs://"):
        far.read("x")
    proxy.cut_after(received=received)
    assert RetryingStore(far).read("x") == data


def test_a_half_open_connection_ends(bucket, proxy):
    """A server that takes everything and says nothing is a time-out, and forgotten when it is back."""
    far = RemoteStore(GcsWire(bucket, "some/lake", {"endpoint_url": proxy.url, "timeout": 0.3}))
    proxy.swallow = True
    for call in (lambda: far.create("x", b"1"), lambda: far.read("x"), lambda: list(far.list(""))):
        with pytest.raises(StoreTimeout, match="some/lake"):
            call()
    proxy.cut()
    proxy.heal()
    far.create("x", b"1")
    assert far.read("x") == b"1"


def test_nobody_answers():
    """A port that refuses is a time-out that names it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    far = RemoteStore(GcsWire("bucket", "", {"endpoint_url": f"http://127.0.0.1:{port}", "anonymous": True}))
    with pytest.raises(StoreTimeout, match=str(port)):
        far.create("x", b"1")


def test_the_server_checks_what_arrives(store, monkeypatch):
    """Bytes that do not have the checksum that was told are refused, which is no reason to give up."""
    monkeypatch.setattr(_gcs, "_crc32c", lambda _: "AAAAAA==")
    with pytest.raises(StoreTimeout, match="CRC32C"):
        store.create("x", b"some bytes")
    monkeypatch.undo()
    assert list(store.list("")) == []


def test_we_check_what_arrives(store, monkeypatch):
    """A whole object whose bytes do not have the checksum that the server tells is a time-out, never bytes."""
    store.create("x", b"some bytes")
    monkeypatch.setattr(_gcs, "_crc32c", lambda _: "AAAAAA==")
    with pytest.raises(StoreTimeout, match="checksum"):
        store.read("x")
    assert store.read("x", (0, 4)) == b"some"  # of a part nobody knows the checksum


def test_there_is_no_such_bucket(gcs_server):
    """A missing bucket is an error at once, which says so."""
    store = RemoteStore(GcsWire("no-such-bucket", "p", {"endpoint_url": gcs_server.url}))
    for call in (
        lambda: store.create("x", b""),
        lambda: store.create("x", bytes(65 << 20)),
        lambda: list(store.list("")),
    ):
        with pytest.raises(StoreError, match=r"gs://no-such-bucket/p.*no such bucket") as raised:
            call()
        assert not isinstance(raised.value, StoreTimeout)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (401, "authError", StoreError),
        (403, "forbidden", StoreError),
        (403, "rateLimitExceeded", StoreTimeout),
        (404, "notFound", ObjectNotFound),
        (408, "", StoreTimeout),
        (409, "conflict", StoreTimeout),
        (412, "conditionNotMet", ObjectExists),
        (429, "rateLimitExceeded", StoreTimeout),
        (500, "backendError", StoreTimeout),
        (503, "backendError", StoreTimeout),
        (400, "invalid", StoreError),
    ],
)
def test_what_answers_mean(status, reason, kind):
    """Each answer that Google documents is one kind of error, which says what it said."""
    body = json.dumps({"error": {"code": status, "message": "said so", "errors": [{"reason": reason}]}}).encode()
    error = _gcs._answered(_gcs._Refused(status, body), "read", "read gs://b/k")
    assert type(error) is kind
    assert "read gs://b/k" in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b'"text"', b'{"error": "text"}', b'{"error": {"message": 1}}']
)
def test_odd_bodies(body):
    """An answer that is not Google's, of a proxy on the way, is told as it is."""
    assert type(_gcs._answered(_gcs._Refused(502, body), "read", "read gs://b/k")) is StoreTimeout


def test_the_bucket_may_be_missing_in_a_read():
    """Google says of a missing bucket and of a missing object the same status; the text tells them apart."""
    body = b'{"error": {"code": 404, "message": "The specified bucket does not exist."}}'
    assert type(_gcs._answered(_gcs._Refused(404, body), "read", "read gs://b/k")) is StoreError


@pytest.mark.parametrize("text", ["planted-secret", '{"type": "planted-secret"}', '["planted-secret"]'])
def test_credentials_are_not_told(text, monkeypatch):
    """What is wrong with credentials is said without a word of them."""
    monkeypatch.setenv("GCS_KEY", text)
    store = RemoteStore(GcsWire("bucket", "", {"credentials": Secret("env:GCS_KEY")}))
    with pytest.raises(ConfigError, match="credentials") as raised:
        store.read("x")
    assert "planted" not in repr(store) + str(raised.value)


def test_a_forked_child_connects_anew(store):
    """A child of a process that used the store uses it too, and both go on."""
    assert_child_connects_anew(store)
