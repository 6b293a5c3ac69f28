"""S3Wire: the conformance suite on a real server, races of processes and uploads in parts, and a wire that breaks."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from dataplat.errors import ObjectExists, ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores import RetryingStore, _s3
from dataplat.lake.stores._remote import RemoteStore
from dataplat.lake.stores._s3 import S3Wire
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


@pytest.fixture(autouse=True)
def environment(s3_server, monkeypatch):
    """The credentials of the tests' server, as the cloud's own chain finds them."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(s3_server):
    """A bucket of its own."""
    return s3_server.new_bucket()


@pytest.fixture
def store(s3_server, bucket):
    """An empty store under a prefix of a bucket of its own."""
    return RemoteStore(S3Wire(bucket, "some/lake", {"endpoint_url": s3_server.url}))


@pytest.fixture
def proxy(s3_server, proxy_to):
    """A wire that can be cut."""
    return proxy_to(s3_server)


@pytest.fixture
def far(bucket, proxy):
    """The same store behind that wire."""
    return RemoteStore(S3Wire(bucket, "some/lake", {"endpoint_url": proxy.url, "timeout": 5.0}))


class TestS3(store_suite.StoreConformance, store_suite.UrlConformance):
    """The suite."""


def test_a_machine_drives_it(s3_server):
    """Any calls in any order give what a dict gives."""

    class Machine(StoreMachine):
        def make_store(self):
            """A store in a bucket of its own."""
            return RemoteStore(S3Wire(s3_server.new_bucket(), "", {"endpoint_url": s3_server.url}))

        def reopen(self, store):
            """Connect anew."""
            return RemoteStore(S3Wire(store.wire._bucket, "", {"endpoint_url": s3_server.url}))

    run_state_machine_as_test(Machine, settings=FEW)


def test_processes_race(s3_server, bucket, store):
    """Of eight processes that create one name one wins, and its bytes stay, twenty times over."""
    won = race_processes("S3Wire", bucket, "some/lake", {"endpoint_url": s3_server.url})
    for number, racer in won.items():
        assert store.read(f"refs/race/{number}") == raced(racer)


def test_processes_race_with_uploads_in_parts(s3_server, bucket, store):
    """Of 16 processes that complete an upload in parts to one name one wins, the others read its bytes; all is tidy."""
    copies = (7 << 20) // 4
    won = race_processes(
        "S3Wire", bucket, "some/lake", {"endpoint_url": s3_server.url}, processes=16, names=2, copies=copies
    )
    for number, racer in won.items():
        assert store.read(f"refs/race/{number}") == raced(racer, copies)
    assert unfinished(store) == []


@pytest.fixture
def small_parts(monkeypatch):
    """Uploads in parts from 6 MiB, of the least size that S3 takes."""
    monkeypatch.setattr(_s3, "MULTIPART", 6 << 20)
    monkeypatch.setattr(_s3, "PART", 5 << 20)
    return os.urandom((11 << 20) + 77)


def unfinished(store):
    """Return the uploads in parts that were neither completed nor given up."""
    answer = store.wire.call("list", "", lambda client: client.list_multipart_uploads(Bucket=store.wire._bucket))
    return answer.get("Uploads", [])


def test_parts_make_up_an_object(small_parts, store):
    """What goes up in parts is whole, is created only where it is absent, and leaves nothing behind."""
    store.create("big", small_parts)
    store.create("small", b"small")
    for key, data in (("big", b"x" + small_parts), ("big", b"small"), ("small", small_parts)):
        with pytest.raises(ObjectExists):
            store.create(key, data)
    assert store.read("big") == small_parts
    assert store.read("small") == b"small"
    assert unfinished(store) == []


def test_a_real_big_object_goes_up_in_parts(bucket, proxy):
    """An object of more than 64 MiB is sent in parts of 16, at once, for which a busy disk takes its time."""
    far = RemoteStore(S3Wire(bucket, "some/lake", {"endpoint_url": proxy.url, "timeout": 120.0}))
    data = os.urandom(1 << 20) * 65
    far.create("big", data)
    assert sorted(request.method for request in proxy.requests) == ["POST"] * 2 + ["PUT"] * 5
    assert far.read("big", (64 << 20, 1 << 40)) == data[64 << 20 :]


def test_uploads_in_parts_race(small_parts, store):
    """Of racing uploads in parts one wins, whose bytes stay."""

    def create(racer):
        try:
            RetryingStore(store).create("big", bytes([racer]) + small_parts)
        except ObjectExists:
            return None
        return racer

    with ThreadPoolExecutor(4) as pool:
        won = [racer for racer in pool.map(create, range(4)) if racer is not None]
    assert len(won) == 1
    assert store.read("big", (0, 1)) == bytes(won)
    assert unfinished(store) == []


@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "kept connection"])
def test_a_lost_answer_is_unclear_and_nothing_is_sent_again(far, proxy, warm):
    """A create whose answer is lost has taken effect, says that it may have, and was sent once."""
    if warm:
        list(far.list(""))
    proxy.drop_response_once(lambda request: request.method == "PUT")
    with pytest.raises(StoreTimeout, match="create s3://.*/some/lake/x"):
        far.create("x", b"ours")
    assert proxy.count("PUT") == 1
    assert far.read("x") == b"ours"


@pytest.mark.parametrize("sent", [10, 300, 900, 300_000, 3_000_000])
def test_a_cut_in_a_body_that_goes_up(far, proxy, sent):
    """A create that is cut anywhere is unclear, leaves nothing, and is settled by sending it again."""
    data = os.urandom(4 << 20)
    proxy.cut_after(sent=sent)
    with pytest.raises(StoreTimeout):
        far.create("x", data)
    assert list(far.list("")) == []
    proxy.cut_after(sent=sent)
    RetryingStore(far).create("x", data)
    assert far.read("x") == data


@pytest.mark.parametrize("received", [1, 100, 600, 2_000_000])
def test_a_cut_in_a_body_that_comes_down(store, far, proxy, received):
    """A read that is cut anywhere is never short: it is a time-out, and another try gives all."""
    data = os.urandom(4 << 20)
    store.create("x", data)
    proxy.cut_after(received=received)
    with pytest.raises(StoreTimeout, match="read s3://"):
        far.read("x")
    proxy.cut_after(received=received)
    assert RetryingStore(far).read("x") == data


@pytest.mark.parametrize("size", [1, 3 << 20])
def test_a_half_open_connection_ends(bucket, proxy, size):
    """A server that takes everything and says nothing is a time-out, and forgotten when it is back."""
    far = RemoteStore(S3Wire(bucket, "some/lake", {"endpoint_url": proxy.url, "timeout": 0.3}))
    list(far.list(""))
    proxy.swallow = True
    for call in (lambda: far.create("x", bytes(size)), lambda: far.read("x", (0, 1)), lambda: list(far.list(""))):
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
    far = RemoteStore(S3Wire("bucket", "", {"endpoint_url": f"http://127.0.0.1:{port}", "anonymous": True}))
    with pytest.raises(StoreTimeout, match=str(port)):
        far.create("x", b"1")


def test_the_server_checks_what_arrives(store, monkeypatch):
    """Bytes that do not have the SHA-256 that was told are refused, and nothing is created."""
    wrong = _s3._sha256(b"other")
    monkeypatch.setattr(_s3, "_sha256", lambda _: wrong)
    with pytest.raises(StoreError):
        store.create("x", b"some bytes")
    assert list(store.list("")) == []


def test_there_is_no_such_bucket(s3_server):
    """A missing bucket is an error at once, which says so."""
    store = RemoteStore(S3Wire("no-such-bucket", "p", {"endpoint_url": s3_server.url}))
    for call in (lambda: store.create("x", b""), lambda: store.read("x"), lambda: list(store.list(""))):
        with pytest.raises(StoreError, match=r"s3://no-such-bucket/p.*no such bucket") as raised:
            call()
        assert not isinstance(raised.value, StoreTimeout)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", StoreError),
        (404, "NoSuchKey", ObjectNotFound),
        (404, "NoSuchBucket", StoreError),
        (400, "RequestTimeout", StoreTimeout),
        (400, "BadDigest", StoreTimeout),
        (409, "ConditionalRequestConflict", StoreTimeout),
        (412, "PreconditionFailed", ObjectExists),
        (500, "InternalError", StoreTimeout),
        (503, "SlowDown", StoreTimeout),
        (400, "InvalidRequest", StoreError),
    ],
)
def test_what_answers_mean(status, code, kind):
    """Each answer that Amazon documents is one kind of error, which says what was being done."""
    said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = _s3._answered(ClientError(said, "GetObject"), "read s3://b/k")
    assert type(error) is kind
    assert "read s3://b/k" in str(error)


def test_encryption_and_class_pass_through(moto_server, monkeypatch):
    """What the settings say of encryption and class is what the server keeps of the object."""
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    asked = {"server_side_encryption": "aws:kms", "kms_key": "some-key", "storage_class": "STANDARD_IA"}
    store = RemoteStore(S3Wire(moto_server.new_bucket(), "p", {"endpoint_url": moto_server.url, **asked}))
    store.create("x", b"1")
    head = store.wire.call("read", "x", lambda client: client.head_object(Bucket=store.wire._bucket, Key="p/x"))
    assert (head["ServerSideEncryption"], head["StorageClass"]) == ("aws:kms", "STANDARD_IA")
    assert head["SSEKMSKeyId"].endswith("some-key")


def test_a_short_page_is_not_the_end(store):
    """S3 may give fewer names than were asked for; the listing goes on as long as it says that there are more."""
    for number in range(5):
        store.create(f"k{number}", b"")
    asked = []

    async def at_most_two(client):
        def less(params, **_):
            asked.append(params["MaxKeys"])
            params["MaxKeys"] = min(params["MaxKeys"], 2)

        client.meta.events.register("before-parameter-build.s3.ListObjectsV2", less, "test-less")

    async def as_before(client):
        client.meta.events.unregister("before-parameter-build.s3.ListObjectsV2", unique_id="test-less")

    store.wire.call("list", "", at_most_two)
    try:
        assert [entry.key for entry in store.list("")] == [f"k{number}" for number in range(5)]
        assert len(asked) == 3
        asked.clear()
        assert [entry.key for entry in store.list("", limit=4)] == ["k0", "k1", "k2", "k3"]
        assert asked == [4, 2]
    finally:
        store.wire.call("list", "", as_before)


def test_the_head_is_one_request(store, far, proxy):
    """A listing that ends at its limit asks once."""
    for name in "ab":
        store.create(name, b"")
    proxy.forget()
    assert [entry.key for entry in far.list("", limit=1)] == ["a"]
    assert proxy.count("GET") == 1


def test_a_forked_child_connects_anew(store):
    """A child of a process that used the store uses it too, and both go on."""
    assert_child_connects_anew(store)


def test_descriptors_do_not_leak(store, far, proxy):
    """Cut connections are closed: their number does not grow with the failures."""
    store.create("x", b"1")
    counts = []
    for _ in range(6):
        proxy.drop_response_once()
        with pytest.raises(StoreTimeout):
            far.read("x")
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    assert sum(later - sooner for sooner, later in pairwise(counts)) < 5
