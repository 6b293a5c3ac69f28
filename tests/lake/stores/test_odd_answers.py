"""Answers that say nothing clear, of real servers: one effect, our own, and never another's. The same for every store."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from dataplat.errors import ObjectExists, ObjectNotFound
from dataplat.lake.stores import RetryingStore, _gcs, _s3
from dataplat.lake.stores._gcs import GcsWire
from dataplat.lake.stores._hdfs import HdfsWire
from dataplat.lake.stores._remote import RemoteStore
from dataplat.lake.stores._s3 import S3Wire
from dataplat.versioning._settle import Patience, settle
from servers import Proxy
from servers.front import Front, Odd

ANSWERS = {
    f"{status} {'behind it' if passed else 'in its place'}": Odd("answer", passed, status, code)
    for status, code in [(409, "ConditionalRequestConflict"), (500, "InternalError"), (503, "SlowDown")]
    for passed in (False, True)
} | {
    "reset before": Odd("drop", passed=False),
    "reset behind": Odd("drop", passed=True),
    "torn": Odd("torn", passed=True),
    "hangs before": Odd("hang", passed=False),
    "hangs behind": Odd("hang", passed=True),
}
"""What a server over HTTP may say, or not: before the request took effect, or behind it."""
CUTS = {
    "reset before": lambda proxy: proxy.cut_after(sent=1),
    "reset in a request": lambda proxy: proxy.cut_after(sent=400),
    "reset behind": lambda proxy: proxy.cut_after(received=1),
    "torn": lambda proxy: proxy.cut_after(received=150),
    "hangs": Proxy.deafen,
}
"""What may become of the wire to a NameNode, whose protocol has no answers that are none."""
EXISTS = Odd("answer", passed=True, status=412, code="PreconditionFailed")
"""Our own create, told as somebody else's: what was lost on the way was sent again by whoever carries it."""


@dataclass
class Behind:
    """A store that tries again, behind what answers oddly once it is armed; `plain` knows the way around that."""

    store: RetryingStore
    plain: RemoteStore
    arm: Callable[[], object]
    front: Front | None = None


class Places:
    """Makes stores behind a front, or a wire that is cut; those of a kind share it, since a client is slow to be made."""

    def __init__(self, stack: ExitStack, server: Callable[[str], Any]) -> None:
        self._stack, self._server = stack, server
        self._patch = stack.enter_context(pytest.MonkeyPatch.context())
        self._made: dict[str, tuple[Any, Any, str]] = {}

    def http(self, kind: str, odd: Odd) -> Behind:
        """Return an empty store on S3 or GCS, whose next request gets an odd answer when armed."""
        if kind not in self._made:
            server = self._server(f"{kind}_server")
            for name, value in server.environment().items():
                self._patch.setenv(name, value)
            self._made[kind] = server, self._stack.enter_context(Front(server)), server.new_bucket()
        server, front, bucket = self._made[kind]
        front.forget()
        wire, prefix = {"s3": S3Wire, "gcs": GcsWire}[kind], uuid4().hex
        far = wire(bucket, prefix, {"endpoint_url": front.url, "timeout": 0.5 if odd.how == "hang" else 10})
        plain = RemoteStore(wire(bucket, prefix, {"endpoint_url": server.url}))
        return Behind(RetryingStore(RemoteStore(far)), plain, lambda: front.next(odd), front)

    def hdfs(self, cut: Callable[[Proxy], object]) -> Behind:
        """Return an empty store on HDFS whose wire to the NameNode is cut when armed."""
        server = self._server("hdfs_server")
        proxy = self._stack.enter_context(Proxy(server.host, server.port))
        folder = server.new_folder()[1:]
        far = HdfsWire(f"127.0.0.1:{proxy.local_port}", folder, {"timeout": 1 if cut is Proxy.deafen else 10})
        plain = RemoteStore(HdfsWire(f"{server.host}:{server.port}", folder, {}))
        return Behind(RetryingStore(RemoteStore(far)), plain, lambda: cut(proxy))


@pytest.fixture(scope="module")
def places(request):
    """What makes stores; they are gone at the end."""
    with ExitStack() as stack:
        yield Places(stack, request.getfixturevalue)


@pytest.fixture(
    params=[
        *[pytest.param((kind, name), id=f"{kind}, {name}") for kind in ("s3", "gcs") for name in ANSWERS],
        *[pytest.param(("hdfs", name), id=f"hdfs, {name}", marks=pytest.mark.xdist_group("hdfs")) for name in CUTS],
    ]
)
def behind(request, places):
    """A store of each kind behind each odd answer."""
    kind, name = request.param
    made = places.hdfs(CUTS[name]) if kind == "hdfs" else places.http(kind, ANSWERS[name])
    list(made.store.list(""))  # the connection that is cut is a kept one
    return made


def listed(store):
    """Return names and sizes."""
    return [(entry.key, entry.size) for entry in store.list("")]


def test_a_create_is_our_own_and_there_once(behind):
    """A create with an unclear answer is settled by sending it again: it is there once, whole, with our bytes."""
    data = os.urandom(100_000)
    behind.arm()
    behind.store.create("some/x", data)
    assert listed(behind.plain) == [("some/x", len(data))]
    assert behind.plain.read("some/x") == data
    if behind.front is not None:
        assert behind.front.waiting == []
        creates = [request.target for request in behind.front.seen if request.method in {"PUT", "POST"}]
        assert len(creates) >= 2
        assert len(set(creates)) == 1


def test_what_another_created_stays(behind):
    """A create that lost has lost, however unclear that was told, and changes nothing."""
    behind.plain.create("x", b"theirs")
    behind.arm()
    with pytest.raises(ObjectExists):
        behind.store.create("x", b"ours")
    assert behind.plain.read("x") == b"theirs"


def test_reads_and_listings_are_whole(behind):
    """A read, a read of a range and a listing with an unclear answer are asked for once more, and are right."""
    data = os.urandom(100_000)
    behind.plain.create("x", data)
    for call, right in (
        (lambda: behind.store.read("x"), data),
        (lambda: behind.store.read("x", (20_000, 70_000)), data[20_000:70_000]),
        (lambda: listed(behind.store), [("x", len(data))]),
    ):
        behind.arm()
        assert call() == right


def test_a_delete_is_done(behind):
    """A delete with an unclear answer is sent once more, and the object is gone, and nothing else."""
    for name in "xy":
        behind.plain.create(name, b"1")
    behind.arm()
    behind.store.delete("x")
    with pytest.raises(ObjectNotFound):
        behind.plain.read("x")
    assert listed(behind.plain) == [("y", 1)]


@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_a_create_that_is_told_as_anothers_is_settled(places, kind):
    """412 to a create that landed is no win of the store's, but who sent bytes that nobody else has sees that it is theirs."""
    made = places.http(kind, EXISTS)
    made.arm()
    with pytest.raises(ObjectExists):
        made.store.create("x", b"ours")
    for name, other, won in (("mine", None, True), ("taken", b"theirs", False)):
        if other is not None:
            made.plain.create(name, other)
        nonce = uuid4().bytes
        made.arm()
        assert settle(made.store, name, nonce, Patience()) is won
        assert made.plain.read(name) == (other or nonce)


STEPS = {
    "s3": {"begin": ("POST", "uploads", 1), "part": ("PUT", "partNumber=2", 1), "complete": ("POST", "uploadId", 1)},
    "gcs": {"begin": ("POST", "uploadType=resumable", 1), "part": ("PUT", "", 2), "complete": ("PUT", "", 3)},
}
"""The requests of an upload in pieces: which method, what is in its URL, and the how manieth of those."""
SOME = {name: ANSWERS[name] for name in ("409 in its place", "500 behind it", "reset behind", "torn")}
COMPLETED = {"200 with an error in it": Odd("answer", passed=False, status=200, code="InternalError")}


@pytest.mark.parametrize(
    ("kind", "step", "odd"),
    [
        pytest.param(kind, step, odd, id=f"{kind}, {step}, {name}")
        for kind in STEPS
        for step in STEPS[kind]
        for name, odd in (SOME | (COMPLETED if (kind, step) == ("s3", "complete") else {})).items()
    ],
)
def test_an_upload_in_pieces_is_our_own_and_there_once(places, monkeypatch, kind, step, odd):
    """An upload in pieces with an unclear answer at any step is made once more: the object is there once, and whole."""
    size = {"s3": 5 << 20, "gcs": 1 << 18}[kind]
    for name in {"s3": ("MULTIPART", "PART"), "gcs": ("RESUMABLE", "CHUNK")}[kind]:
        monkeypatch.setattr({"s3": _s3, "gcs": _gcs}[kind], name, size)
    made, data = places.http(kind, odd), os.urandom(size * {"s3": 1, "gcs": 2}[kind] + 77)
    method, query, number = STEPS[kind][step]
    left = iter(range(1, 100))
    made.front.next(odd, lambda request: request.method == method and query in request.target and next(left) == number)
    made.store.create("big", data)
    assert made.front.waiting == []
    assert listed(made.plain) == [("big", len(data))]
    assert made.plain.read("big") == data
