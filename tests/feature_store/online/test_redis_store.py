"""The store in Redis where it is hard: servers that die, hang, evict, lie; writers that die; keys on a cluster."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dataplat.config import Config
from dataplat.errors import ConfigError, IntegrityError, NotMaterialized, SnapshotConflict, StoreError, StoreTimeout
from dataplat.feature_store.online import _redis_link, redis_store
from dataplat.feature_store.online._redis_values import Names
from dataplat.feature_store.online.connect import RedisSettings, online_store
from dataplat.feature_store.online.redis_store import RedisStore
from dataplat.testing.online_suite import SPACE, row, snapshot
from servers import RedisServer, redis_server

KEYS = [b"k%03d" % number for number in range(60)]


def settings(server: RedisServer, timeout: float = 5.0) -> RedisSettings:
    """Return how a server is reached."""
    return RedisSettings(server.host, server.port, timeout=timeout)


@pytest.fixture
def opened() -> Iterator[Callable[..., RedisStore]]:
    """Return a function that opens a store of a new lake, or of one that is named."""
    stores = []

    def make(server: RedisServer, lake: str | None = None, timeout: float = 5.0) -> RedisStore:
        stores.append(RedisStore(settings(server, timeout), lake or uuid4().hex))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def keys_of(server: RedisServer, lake: str) -> set[str]:
    """Return the keys of a lake, generations by their first letters."""
    with server.client() as client:
        return {key.decode() for key in client.scan_iter(f"dataplat:{{{lake}*")}


# ------------------------------------------------------------------------------------------------- servers that die


def test_a_server_that_dies_under_load(own_redis: RedisServer, opened: Callable[..., RedisStore]) -> None:
    """Redis is killed and comes back while threads read and push: errors are clear, nothing that was answered is lost, nothing doubled."""
    store = opened(own_redis, timeout=0.5)
    store.load(SPACE, snapshot("s1"), [(key, b"s1") for key in KEYS])
    done, problems, answered = threading.Event(), [], []

    def reading() -> int:
        reads = 0
        while not done.is_set():
            try:
                assert set(store.read(SPACE, KEYS).records) == {b"s1"}
                reads += 1
            except StoreError as error:
                problems.append(error)
        return reads

    def pushing(thread: int) -> None:
        number = 0
        while not done.is_set():
            pushed = row(b"k000", f"{thread}-{number}", number)
            try:
                store.push(SPACE, [pushed])
            except StoreError as error:
                problems.append(error)  # sent again, the same
            else:
                answered.append(pushed.row)
                number += 1

    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(reading) for _ in range(3)]
        pushes = [pool.submit(pushing, thread) for thread in range(3)]
        for _ in range(3):
            time.sleep(0.3)
            own_redis.kill()
            time.sleep(0.7)
            own_redis.start()
        time.sleep(0.3)
        done.set()
        assert all(job.result() > 10 for job in jobs)
        for push in pushes:
            push.result()
    found = store.read(SPACE, [b"k000"]).pushed[0]
    assert len(found) == len(set(found))
    assert set(answered) <= set(found)
    assert len(found) - len(answered) <= 3  # what was sent last, and not answered
    assert problems
    assert {type(error) for error in problems} <= {StoreTimeout, StoreError}
    said = {str(error) for error in problems if "Is it running?" not in str(error)}
    assert all("reads its data from disk" in text for text in said), said  # it is back, and not ready yet


def test_a_short_absence_is_not_noticed(own_redis: RedisServer, opened: Callable[..., RedisStore]) -> None:
    """A server that is back within the timeout costs time alone."""
    store = opened(own_redis, timeout=10)
    store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
    own_redis.kill()
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(store.read, SPACE, [b"a"]), pool.submit(store.push, SPACE, [row(b"a", "x")])]
        changed = pool.submit(store.change, SPACE, snapshot("s2", "s1"), [(b"b", b"2")])
        time.sleep(0.3)
        assert not any(each.done() for each in [*asked, changed])
        own_redis.start()
        assert asked[0].result().records == [b"1"]
        assert asked[1].result() == 1
        changed.result()
    assert store.read(SPACE, [b"a", b"b"])[1:] == (1, [b"1", b"2"], [(b"x",), ()])


def test_a_server_that_hangs(own_redis: RedisServer, opened: Callable[..., RedisStore]) -> None:
    """A server that takes a request in and does not answer is a time-out after the time that is allowed, and counts once."""
    store = opened(own_redis, timeout=0.4)
    store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
    own_redis.pause()
    began = time.monotonic()
    with pytest.raises(StoreTimeout, match=r"to read delay_model@1: .*may have taken effect or not"):
        store.read(SPACE, [b"a"])
    with pytest.raises(StoreTimeout, match="to push to delay_model@1"):
        store.push(SPACE, [row(b"a", "x")])
    assert time.monotonic() - began < 20
    own_redis.resume()
    assert store.push(SPACE, [row(b"a", "x")]) == 1
    assert store.read(SPACE, [b"a"])[1:] == (1, [b"1"], [(b"x",)])


def test_a_load_outlives_the_server(own_redis: RedisServer, opened: Callable[..., RedisStore]) -> None:
    """A load during which Redis dies and comes back goes live whole."""
    store = opened(own_redis, timeout=1)

    def items() -> Iterator[tuple[bytes, bytes]]:
        for number in range(20_000):
            if number == 12_000:
                own_redis.restart()
            yield b"k%05d" % number, b"%d" % number

    store.load(SPACE, snapshot("s1"), items())
    assert store.size(SPACE).keys == 20_000
    assert store.read(SPACE, [b"k00000", b"k19999"]).records == [b"0", b"19999"]


def test_nobody_there(opened: Callable[..., RedisStore]) -> None:
    """A Redis that is not there is a time-out that names it, soon."""
    store = RedisStore(RedisSettings("127.0.0.1", 9, timeout=0.2), "lake")
    with pytest.raises(StoreTimeout, match=r"no answer from Redis at 127\.0\.0\.1:9 to look at delay_model@1"):
        store.snapshot(SPACE)


# ------------------------------------------------------------------------------------------------- writers that die

DYING = """
import os, signal, sys
from dataplat.feature_store.online import redis_store
from dataplat.feature_store.online._redis_link import Link
from dataplat.feature_store.online.connect import RedisSettings
from dataplat.feature_store.online.store import Pushed, Snapshot

port, lake, operation = int(sys.argv[1]), sys.argv[2], sys.argv[3]
redis_store.BATCH = 25
space, keys, run = "delay_model@1", [b"k%03d" % number for number in range(60)], Link.run

def begun(step):
    store = redis_store.RedisStore(RedisSettings("127.0.0.1", port), f"{lake}-{step}")
    store.load(space, Snapshot("s1", 1, {}, "c"), [(key, b"s1") for key in keys])
    store.change(space, Snapshot("s2", 1, {}, "c", "s1"), [(key, b"s2") for key in keys])
    store.push(space, [Pushed(b"k000", b"%d" % number, number, 0, b"%d" % number) for number in range(3)])
    return store

def operate(store):
    name = operation + " done"
    if operation == "load":
        store.load(space, Snapshot(name, 1, {}, "c", "s2"), [(key, b"load done") for key in keys], settled=2)
    elif operation == "change":
        items = [(key, b"change done") for key in keys]
        store.change(space, Snapshot(name, 1, {}, "c", "s2"), items, settled=2)
    elif operation == "rollback":
        store.rollback(space)
    else:
        store.push(space, [Pushed(key, b"new" + key, 9, 9, key) for key in keys[:5]])

for step in range(1, 100):
    store = begun(step)
    pid = os.fork()
    if pid == 0:
        left = [step]
        def counting(self, *arguments):
            for before in (True, False):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                if before:
                    result = run(self, *arguments)
            return result
        Link.run = counting
        operate(store)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    store.close()
    print(step, os.WTERMSIG(status) if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}")
    if status == 0:
        break
"""


@pytest.mark.parametrize("operation", ["load", "change", "rollback", "push"])
def test_writers_killed_at_every_step(
    operation: str, shared_redis: RedisServer, opened: Callable[..., RedisStore]
) -> None:
    """Whoever is killed before or after any request leaves the old state or the new, and the next writer goes on."""
    lake = uuid4().hex
    told = subprocess.run(
        [sys.executable, "-c", DYING, str(shared_redis.port), lake, operation],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout.split("\n")[:-1]  # fmt: skip
    assert told[-1].endswith("ended 0"), told
    assert all(line.endswith(" 9") for line in told[:-1])
    assert len(told) > 2
    ends = set()
    new = {"load": "load done", "change": "change done", "rollback": "s1", "push": "s2"}[operation]
    for step in range(1, len(told) + 1):
        store = opened(shared_redis, f"{lake}-{step}")
        found = store.read(SPACE, KEYS)
        assert set(found.records) == {found.snapshot.id.encode()}
        assert found.snapshot.id in {"s2", new}
        assert found.sequence in ({3, 8} if operation == "push" else {3})
        ends.add((found.snapshot.id, found.sequence))
        for name in ("after", "and after that"):
            live = store.read(SPACE, KEYS[:1]).snapshot.id
            store.change(SPACE, snapshot(name, live), [(key, name.encode()) for key in KEYS])
            assert set(store.read(SPACE, KEYS).records) == {name.encode()}
        store.rollback(SPACE)
        assert set(store.read(SPACE, KEYS).records) == {b"after"}
        store.load(SPACE, snapshot("whole", "after"), [(b"k000", b"whole")])
        store.load(SPACE, snapshot("whole 2", "whole"), [(b"k000", b"whole")])
        names = keys_of(shared_redis, f"{lake}-{step}/")
        assert len([name for name in names if ":head" not in name]) <= 9, names  # two generations, no more
    assert len(ends) == 2  # both were seen


def test_a_writer_that_was_overtaken(shared_redis: RedisServer, opened: Callable[..., RedisStore]) -> None:
    """A slow writer whose turn was taken is told, and nothing of what it still writes is ever read."""
    lake = uuid4().hex
    slow, fast = opened(shared_redis, lake), opened(shared_redis, lake)
    slow.load(SPACE, snapshot("s1"), [(key, b"s1") for key in KEYS])
    slow.change(SPACE, snapshot("s2", "s1"), [(key, b"s2") for key in KEYS])

    def items(then: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        yield from ((key, b"slow") for key in KEYS[:30])
        then()
        yield from ((key, b"slow") for key in KEYS[30:])

    def overtake() -> None:
        assert set(fast.read(SPACE, KEYS).records) == {b"s2"}
        fast.rollback(SPACE)
        assert set(fast.read(SPACE, KEYS).records) == {b"s1"}
        fast.change(SPACE, snapshot("s3", "s1"), [(b"k000", b"s3")])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_store, "BATCH", 10)
        with pytest.raises(SnapshotConflict, match="takes the place of s2, and s3 is live meanwhile"):
            slow.change(SPACE, snapshot("slow", "s2"), items(overtake))
        expected = [b"s3", *[b"s1"] * 59]
        for store in (slow, fast):
            assert store.read(SPACE, KEYS).records == expected
        change = partial(fast.change, SPACE, snapshot("s4", "s3"), [(b"k001", b"s4")])
        with pytest.raises(SnapshotConflict, match="takes the place of s3, and s4 is live meanwhile"):
            slow.load(SPACE, snapshot("slow", "s3"), items(change))
    assert slow.read(SPACE, KEYS).records == [b"s3", b"s4", *[b"s1"] * 58]
    assert slow.rollback(SPACE).id == "s3"
    assert slow.read(SPACE, KEYS).records == expected


# ------------------------------------------------------------------------------------------------- what Redis forgets


def test_records_that_are_gone(shared_redis: RedisServer, opened: Callable[..., RedisStore]) -> None:
    """A Redis that lost records, or all, is an error that says so, never a missing key."""
    store = opened(shared_redis)
    store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
    assert store.read(SPACE, [b"a"]).records == [b"1"]
    names = Names(store.lake_id, SPACE)
    with shared_redis.client() as client:
        generation = next(iter(client.hkeys(names.generations))).decode()
        client.delete(names.bucket(generation, 1, 0))
        with pytest.raises(IntegrityError, match=r"records of snapshot s1 are missing in Redis .* materialise again"):
            store.read(SPACE, [b"a"])
        store.load(SPACE, snapshot("s2", "s1"), [(b"a", b"2")])
        assert store.read(SPACE, [b"a"]).records == [b"2"]
        client.delete(*keys_of(shared_redis, store.lake_id))
    with pytest.raises(NotMaterialized, match="materialise it first"):
        store.read(SPACE, [b"a"])


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_evicts(
    policy: str, tmp_path: Path, opened: Callable[..., RedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    """A Redis that forgets keys when memory is short is refused, or warned of where that is asked for."""
    with redis_server(tmp_path, ["--maxmemory", "100mb", "--maxmemory-policy", policy]) as server:
        with pytest.raises(ConfigError, match=f"evicts keys when memory is short .{policy}.*noeviction"):
            opened(server).load(SPACE, snapshot("s1"), [])
        warned = RedisStore(RedisSettings(server.host, server.port, eviction="warn"), "lake")
        with caplog.at_level(logging.WARNING):
            warned.load(SPACE, snapshot("s1"), [])
        assert policy in caplog.text
        warned.close()


def test_a_redis_that_is_full(tmp_path: Path, opened: Callable[..., RedisStore]) -> None:
    """A Redis without room says so; the live snapshot stays, and is read."""
    with redis_server(
        tmp_path, ["--maxmemory", "6mb", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
    ) as server:
        store = opened(server)
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        with pytest.raises(StoreError, match=r"is full .*raise maxmemory"):
            store.load(SPACE, snapshot("s2", "s1"), ((b"%d" % number, b"x" * 5_000) for number in range(2_000)))
        assert store.read(SPACE, [b"a"]).records == [b"1"]
        store.change(SPACE, snapshot("s2", "s1"), [(b"a", b"2")])
        assert store.read(SPACE, [b"a"]).records == [b"2"]
        assert len(keys_of(server, store.lake_id)) <= 4  # what was loaded in vain is gone


def test_a_redis_that_keeps_nothing(
    tmp_path: Path, opened: Callable[..., RedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    """Connecting to a Redis without an append-only file says that pushes may be lost with it."""
    with redis_server(tmp_path, ["--appendonly", "no"]) as server, caplog.at_level(logging.WARNING):
        opened(server).spaces()
    assert "keeps no append-only file" in caplog.text


# ------------------------------------------------------------------------------------------------- who we are, and TLS


def test_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password is read where its reference points; a wrong one, and none, is an error that holds neither."""
    with redis_server(tmp_path / "redis", password="s3cret-of-redis") as server:
        (tmp_path / "password").write_text("s3cret-of-redis\n", "utf-8")
        monkeypatch.setenv("REDIS_PASSWORD", "wrong-s3cret")
        store = online_store(server.url, "lake", Config(features={"password": f"file:{tmp_path / 'password'}"}))
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        assert store.read(SPACE, [b"a"]).records == [b"1"]
        store.close()
        for features in ({"password": "env:REDIS_PASSWORD"}, {}):
            with pytest.raises(StoreError, match=r"refuses us .*username and password") as told:
                online_store(server.url, "lake", Config(features=features)).spaces()
            assert "s3cret" not in str(told.value)
        monkeypatch.delenv("REDIS_PASSWORD")
        with pytest.raises(ConfigError, match="REDIS_PASSWORD is not set"):
            online_store(server.url, "lake", Config(features={"password": "env:REDIS_PASSWORD"})).spaces()


def test_tls(tmp_path: Path) -> None:
    """A Redis that speaks TLS alone is reached by rediss://, by its authority's certificate and by none other."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    files = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem"]
    placed = [str(tmp_path / name) if name.endswith(".pem") else name for name in files]
    from servers.process import free_port

    port = free_port()
    with redis_server(tmp_path / "redis", ["--tls-port", str(port), "--tls-auth-clients", "yes", *placed]):
        url = f"rediss://127.0.0.1:{port}"
        mine = {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
        trusted = {"ca_bundle": str(tmp_path / "cert.pem"), "timeout": 1}
        store = online_store(url, "lake", Config(features={**trusted, **mine}))
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        assert store.read(SPACE, [b"a"]).records == [b"1"]
        store.close()
        for features in ({**mine, "timeout": 0.3}, {**trusted, "timeout": 0.3}):  # nobody vouches; nobody we are
            with pytest.raises(StoreError):
                online_store(url, "lake", Config(features=features)).spaces()


# ------------------------------------------------------------------------------------------------- a cluster


def test_records_are_spread(redis_nodes: list[RedisServer]) -> None:
    """Records lie on all nodes of a cluster, and a request flushes once to each that has some."""
    lake = uuid4().hex
    store = online_store(redis_nodes[1].url.replace("redis:", "redis+cluster:"), lake, Config())
    store.load(SPACE, snapshot("s1"), [(key, b"s1") for key in KEYS])
    buckets = [[key for key in keys_of(node, f"{lake}/{SPACE}/") if key.count("/") == 2] for node in redis_nodes]
    assert sum(map(len, buckets)) == _redis_link.CLUSTER_BUCKETS
    assert min(map(len, buckets)) > 10

    def calls(node: RedisServer) -> int:
        with node.client() as client:
            return int(client.info("stats")["total_reads_processed"])

    before = [calls(node) for node in redis_nodes]
    assert set(store.read(SPACE, KEYS).records) == {b"s1"}
    flushes = [calls(node) - was for node, was in zip(redis_nodes, before, strict=True)]
    asking = min(
        calls(node) - was for node, was in zip(redis_nodes, [calls(node) for node in redis_nodes], strict=True)
    )
    assert max(flushes) <= asking + 1, flushes
    store.close()


def test_a_request_is_one_flush(shared_redis: RedisServer, opened: Callable[..., RedisStore]) -> None:
    """On one server a request of many keys is one packet there and one back."""
    store = opened(shared_redis)
    store.load(SPACE, snapshot("s1"), [(key, b"s1") for key in KEYS])
    store.push(SPACE, [row(b"k000", "x")])
    store.read(SPACE, KEYS)
    sent: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        import redis

        send = redis.Connection.send_packed_command

        def counting(self: Any, command: Any, check_health: bool = True) -> None:
            sent.append(len(command) if isinstance(command, list) else 1)
            send(self, command, check_health)

        patch.setattr(redis.Connection, "send_packed_command", counting)
        assert len(store.read(SPACE, KEYS).records) == 60
    assert len(sent) == 1


@pytest.mark.skipif(not os.environ.get("DATAPLAT_DEATHS"), reason="long; part of `make proofs`")
def test_deaths_in_large(own_redis: RedisServer, opened: Callable[..., RedisStore]) -> None:
    """Twenty deaths of the server while snapshots go live: never a mix."""
    store, live = opened(own_redis, timeout=20), "0"
    store.load(SPACE, snapshot(live), [(key, b"0") for key in KEYS])
    done = threading.Event()

    def dying() -> None:
        while not done.wait(0.4):
            own_redis.restart()

    thread = threading.Thread(target=dying)
    thread.start()
    for step in range(1, 400):
        store.change(SPACE, snapshot(f"{step}", live), [(key, b"%d" % step) for key in KEYS])
        live = store.rollback(SPACE).id if step % 3 == 0 else f"{step}"
        found = store.read(SPACE, KEYS)
        assert set(found.records) == {found.snapshot.id.encode()} == {live.encode()}
    done.set()
    thread.join()
