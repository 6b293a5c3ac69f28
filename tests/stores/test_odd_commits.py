"""Whatever a store answers to any request of a change: each branch has it once or not at all, and doing it again ends it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol
from uuid import uuid4

import pyarrow as pa
import pytest

from dataplat._lake import Lake
from dataplat.errors import AlreadyExists, BranchNotFound, CommitInDoubt, LakeNotFound, StoreTimeout
from dataplat.lake.memos import Memos
from dataplat.lake.stores import MemoryStore, RetryingStore, Store, clock_step_of
from dataplat.lake.stores._gcs import GcsWire
from dataplat.lake.stores._hdfs import HdfsWire
from dataplat.lake.stores._remote import RemoteStore
from dataplat.lake.stores._s3 import S3Wire
from dataplat.testing.store_faults import Fault, FaultyStore
from dataplat.versioning.lakefile import create_lake, open_lake
from dataplat.versioning.transfer._branches import fetched, forwarded, tagged
from dataplat.versioning.transfer._clone import cloned
from servers import Proxy
from servers.front import Front, Odd

EVERY = bool(os.environ.get("DATAPLAT_ODD_ANSWERS"))
"""Whether every request meets every answer on every server: an hour, for `make proofs`."""
ROWS = pa.table({"id": range(6), "v": [0] * 6})

# ---------------------------------------------------------------------------------------------------- what is done


def _pushed(lake: Lake, _: Path) -> None:
    source = _source()
    head = source.refs.head("main")
    fetched(source.io, lake.io, [head.commit])
    forwarded(source.io, lake.io, "main", head.commit)


def _tagged(lake: Lake, _: Path) -> None:
    tagged(lake.io, [tag for tag in _source().tags() if tag.name == "sent"])


def _collected(lake: Lake, _: Path) -> None:
    time.sleep(2 * clock_step_of(lake.store) / 1e6)  # what is as young as the store's clock can tell stays
    lake.gc("1", grace="0s")


def _remembered(lake: Lake, _: Path) -> None:
    memos = Memos(lake.store)
    memos.put({"rows": 1}, "c" * 32, "d" * 64)
    assert memos.get("c" * 32, "d" * 64) in ({"rows": 1}, None)


ACTS: dict[str, Callable[[Lake, Path], object]] = {
    "ingest": lambda lake, path: lake.ingest(path, "d"),
    "create": lambda lake, path: lake.ingest(path, "new", key="id"),
    "upsert": lambda lake, path: lake.ingest(path, "d", mode="upsert"),
    "delete": lambda lake, _: lake.delete("d", "id < 3"),
    "branch": lambda lake, _: lake.branch("exp"),
    "delete branch": lambda lake, _: lake.delete_branch("old"),
    "tag": lambda lake, _: lake.tag("v2"),
    "gc": _collected,
    "erase": lambda lake, _: lake.erase("d", "id = 2", "asked to"),
    "push": _pushed,
    "push a tag": _tagged,
    "clone": lambda lake, _: cloned(_source().io, lake.io),
    "memo": _remembered,
}
_OBJECTS: dict[str, dict[str, bytes]] = {}


def _contents(store: Store) -> dict[str, bytes]:
    return {entry.key: store.read(entry.key) for entry in store.list("")}


def _held(objects: dict[str, bytes]) -> MemoryStore:
    store = MemoryStore()
    for key, data in objects.items():
        store.create(key, data)
    return store


def prepared() -> dict[str, bytes]:
    """Return the objects of a lake: datasets `d` and `x` in two versions each, a branch `old`, a tag `v1`."""
    if "before" not in _OBJECTS:
        store = MemoryStore()
        create_lake(store)
        lake = Lake(store, "test", "memory")
        lake.ingest(ROWS, "d", key="id")
        lake.branch("old")
        lake.tag("v1")
        lake.delete("d", "id = 0")
        lake.ingest(ROWS, "x")
        lake.ingest(ROWS[:1], "x", mode="replace")  # only a collection has what it was before
        _OBJECTS["before"] = _contents(store)
        lake.tag("sent")
        lake.ingest(pa.table({"id": [9], "v": [9]}), "d")
        _OBJECTS["ahead"] = _contents(store)
    return _OBJECTS["before"]


def _source() -> Lake:
    """Return a lake in memory that is a tag and a commit ahead."""
    prepared()
    return Lake(_held(_OBJECTS["ahead"]), "test", "memory")


def picture(store: Store) -> dict[str, Any]:
    """Return all that a reader can see at each ref, with each commit of each dataset: what landed twice is seen twice."""
    try:
        open_lake(store)
    except LakeNotFound:
        return {}
    lake = Lake(store, "test", "a store")
    seen: dict[str, Any] = {f"tag {tag.name}": tag.commit_id for tag in lake.tags()}
    for head in lake.branches():
        seen[head.branch] = {
            info.name: (
                sorted(map(str, lake[f"{info.name}@{head.branch}"].to_arrow().to_pylist())),
                [entry.mode for entry in lake.log(info.name, branch=head.branch)],
            )
            for info in lake.datasets(head.branch)
        }
    return seen


def is_between(now: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether each ref is as it was or as it is to be; only an erase moves more than one."""
    return all(now.get(ref) in (before.get(ref), after.get(ref)) for ref in {*now, *before, *after})


# --------------------------------------------------------------------------------------------------------- where


class Trial(NamedTuple):
    """A fresh copy of the lake: `plain` knows the way around all that is odd, `far` does not, and tries again or not."""

    plain: Store
    far: Callable[[bool], Store]


class Place(Protocol):
    """A kind of store; `odds` says what may become of a request, `exists` which of them are of creates only."""

    odds: dict[str, Any]

    def fresh(self, objects: dict[str, bytes]) -> Trial:
        """Return a new copy."""
        ...

    def arm(self, number: int, odd: Any) -> None:
        """Let the n-th request from now meet it."""
        ...

    def count(self, odd: Any) -> int:
        """Return how many there were since `arm`."""
        ...


class Memory:
    """Faults of a store in memory: cheap, so that every call meets each."""

    odds: ClassVar[dict[str, Any]] = {name: name for name in ("landed", "late", "lost", "denied")}

    def fresh(self, objects: dict[str, bytes]) -> Trial:
        """Return a copy."""
        plain = _held(objects)
        self._faulty = FaultyStore(plain, {})

        def far(again: bool) -> Store:
            return RetryingStore(self._faulty, 60 if again else 1e-9, base=1e-6, cap=1e-6)

        return Trial(plain, far)

    def arm(self, number: int, odd: Fault) -> None:
        """Let the n-th call meet it."""
        self._faulty.calls, self._faulty.script = 0, {number: odd}

    def count(self, _: Fault) -> int:
        """Return the calls."""
        return self._faulty.calls


class Http:
    """S3 or GCS behind a front."""

    odds: ClassVar[dict[str, Any]] = {
        "409 in its place": Odd("answer", passed=False, status=409, code="ConditionalRequestConflict"),
        "412 behind it": Odd("answer", passed=True, status=412, code="PreconditionFailed"),
        "503 behind it": Odd("answer", passed=True, status=503, code="SlowDown"),
        "reset before": Odd("drop", passed=False),
        "reset behind": Odd("drop", passed=True),
        "500 in its place": Odd("answer", passed=False, status=500, code="InternalError"),
        "torn": Odd("torn", passed=True),
        "hangs behind": Odd("hang", passed=True),
    }

    def __init__(self, server: Any, wire: Callable[..., Any], create: str, stack: ExitStack) -> None:
        self._server, self._wire, self._create = server, wire, create
        self._bucket = server.new_bucket()
        self._front = stack.enter_context(Front(server))
        self._odd: Odd | None = None

    def fresh(self, objects: dict[str, bytes]) -> Trial:
        """Return a copy under a prefix of its own."""
        prefix = uuid4().hex
        plain = RemoteStore(self._wire(self._bucket, prefix, {"endpoint_url": self._server.url}))
        _fill(plain, objects)

        def far(again: bool) -> Store:
            hangs = self._odd is not None and self._odd.how == "hang"
            settings = {"endpoint_url": self._front.url, "timeout": 1 if hangs else 20}
            return RetryingStore(RemoteStore(self._wire(self._bucket, prefix, settings)), 60 if again else 1e-9)

        return Trial(plain, far)

    def arm(self, number: int, odd: Odd) -> None:
        """Let the n-th request, or create where only those get such an answer, meet it."""
        self._odd = odd
        self._front.forget()
        left = iter(range(1, 10_000))
        self._front.next(odd, lambda request: self._counts(odd, request.method) and next(left) == number)

    def count(self, odd: Odd) -> int:
        """Return the requests."""
        return sum(self._counts(odd, request.method) for request in self._front.seen)

    def _counts(self, odd: Odd, method: str) -> bool:
        return odd.status != 412 or method == self._create


class Hdfs:
    """HDFS behind a wire to its NameNode that is cut once, after so many bytes to it or from it."""

    odds: ClassVar[dict[str, Any]] = {"cut on the way there": "sent", "cut on the way back": "received"}
    STEP = 97

    def __init__(self, server: Any, stack: ExitStack) -> None:
        self._server = server
        self._proxy = stack.enter_context(Proxy(server.host, server.port))

    def fresh(self, objects: dict[str, bytes]) -> Trial:
        """Return a copy in a folder of its own."""
        folder = self._server.new_folder()[1:]
        plain = RemoteStore(HdfsWire(f"{self._server.host}:{self._server.port}", folder, {}))
        _fill(plain, objects)

        def far(again: bool) -> Store:
            wire = HdfsWire(f"127.0.0.1:{self._proxy.local_port}", folder, {"timeout": 5})
            return RetryingStore(RemoteStore(wire), 60 if again else 1e-9)

        return Trial(plain, far)

    def arm(self, number: int, odd: str) -> None:
        """Cut the wire there."""
        self._proxy.heal()
        self._proxy.forget()
        if number:
            self._proxy.cut_after(**{odd: number * self.STEP})

    def count(self, odd: str) -> int:
        """Return the places."""
        return (self._proxy.sent if odd == "sent" else self._proxy.received) // self.STEP


def _fill(store: Store, objects: dict[str, bytes]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.create, objects, objects.values()))


def _hdfs(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    return Hdfs(request.getfixturevalue("hdfs_server"), stack)


def _http(kind: str, wire: Callable[..., Any], create: str) -> Callable[[pytest.FixtureRequest, ExitStack], Place]:
    def made(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
        server = request.getfixturevalue(f"{kind}_server")
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in server.environment().items():
            patch.setenv(name, value)
        return Http(server, wire, create, stack)

    return made


PLACES: dict[str, Callable[[pytest.FixtureRequest, ExitStack], Place]] = {
    "memory": lambda _request, _stack: Memory(),
    "s3": _http("s3", S3Wire, "PUT"),
    "gcs": _http("gcs", GcsWire, "POST"),
    "hdfs": _hdfs,
}
SAMPLES = {"s3": 1, "gcs": 1, "hdfs": 1}
"""How many requests of an act meet something on a real server, where not every one does."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=pytest.mark.xdist_group("hdfs")) if kind == "hdfs" else kind for kind in PLACES],
)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, Place]]:
    """Return each kind of store."""
    with ExitStack() as stack:
        yield request.param, PLACES[request.param](request, stack)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small file."""
    path = tmp_path_factory.mktemp("odd") / "a.csv"
    path.write_text("id,v\n6,1\n7,1\n")
    return path


def cases(kind: str, place: Place, counted: Callable[[Any], int], turn: int) -> Iterator[tuple[str, int]]:
    """Yield what is tried: every request with everything, or every call in memory and some requests to servers in turn."""
    odds = list(place.odds)
    if EVERY:
        for name in odds:
            yield from ((name, number) for number in range(1, counted(place.odds[name]) + 1))
        return
    if kind == "memory":
        calls = counted(place.odds[odds[0]])
        step = 1 + calls // 30
        for number in range(1 + turn % step, calls + 1, step):
            yield odds[(number + turn) % len(odds)], number
            yield odds[(number + turn + 1) % len(odds)], number
        return
    for sample in range(SAMPLES[kind]):
        name = odds[(turn + sample) % len(odds)]
        count = counted(place.odds[name])
        yield name, 1 + (turn * 7 + sample * (count // SAMPLES[kind] + 1)) % count


@pytest.mark.parametrize("again", [True, False], ids=["tried again", "given up"])
@pytest.mark.parametrize("name", ACTS)
def test_once_or_not_at_all(name: str, again: bool, place: tuple[str, Place], path: Path) -> None:
    """Whichever request gets whatever answer: others see all of it or nothing, once, and doing it again ends it."""
    kind, where = place
    act, objects = ACTS[name], {} if name == "clone" else prepared()
    trial = where.fresh(objects)
    before = picture(trial.plain)
    where.arm(0, next(iter(where.odds.values())))
    act(Lake(trial.far(True), "test", "far"), path)
    counts = {odd: where.count(value) for odd, value in where.odds.items()}
    after = picture(trial.plain)
    assert name != "gc" or {key for key in objects if key[:7] == "objects"} - {e.key for e in trial.plain.list("")}
    of = {id(value): counts[odd] for odd, value in where.odds.items()}
    turn = list(ACTS).index(name) * 2 + again
    for odd, number in cases(kind, where, lambda value: of[id(value)], turn):
        told = f"{name} on {kind}: {odd}, request {number}"
        trial = where.fresh(objects)
        where.arm(number, where.odds[odd])
        failure = None
        try:
            act(Lake(trial.far(again), "test", "far"), path)
        except (StoreTimeout, CommitInDoubt) as error:
            failure = error
        where.arm(0, where.odds[odd])
        now = picture(trial.plain)
        assert is_between(now, before, after), told
        assert now == after or failure is not None, told
        assert not again or failure is None, f"{told}: {failure}"
        if failure is not None and not (now == after and name == "upsert"):  # again it is one more of the same rows
            finished(name, act, trial.plain, path, done=now == after)
            assert picture(trial.plain) == after, f"{told}, done again"
        assert Lake(trial.plain, "test", "plain").verify().ok, told


def finished(name: str, act: Callable[[Lake, Path], object], store: Store, path: Path, *, done: bool) -> None:
    """Do it again; what is done already is told, or is nothing to do."""
    try:
        act(Lake(store, "test", "plain"), path)
    except (AlreadyExists, BranchNotFound):
        assert done
        assert name in {"branch", "delete branch", "tag", "clone"}
