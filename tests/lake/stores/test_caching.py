"""CachingStore: copies of objects on this machine, right, private and bounded, whoever dies when."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import threading
import time
from multiprocessing import get_context

import pytest

from dataplat.errors import IntegrityError, ObjectNotFound
from dataplat.lake._object_keys import generation_key, object_key
from dataplat.lake.stores import CachingStore, MemoryStore, ObjectCache, cache_of, uncached
from dataplat.testing import store_suite
from dataplat.testing.store_faults import CountingStore


class TestConformance(store_suite.StoreConformance):
    """A store behind a cache is a store."""

    @pytest.fixture
    def store(self, tmp_path):
        """A store with an empty cache."""
        return CachingStore(MemoryStore(), folder=tmp_path)


def named(data):
    """Return the id of bytes."""
    return hashlib.sha256(data).hexdigest()


def made(tmp_path, size=1 << 20, objects=()):
    """A counted store that holds `objects`, behind a cache."""
    inner = MemoryStore()
    for data in objects:
        inner.create(object_key(named(data), ".bin"), data)
    counted = CountingStore(inner)
    return CachingStore(counted, size, folder=tmp_path), counted


def files(tmp_path):
    """The copies."""
    return [path for path in (tmp_path / "objects").glob("??/*") if path.is_file()]


def test_what_was_read_is_not_fetched_again(tmp_path):
    """One request serves all readers of an object, those of another lake and under another of its keys too."""
    store, counted = made(tmp_path, objects=[b"a"])
    for _ in range(3):
        assert store.read(object_key(named(b"a"), ".bin")) == b"a"
    other, none = made(tmp_path)
    assert other.read(generation_key(named(b"a"), ".bin", "01234567")) == b"a"
    assert counted.calls["read"] == 1
    assert none.calls["read"] == 0


def test_what_is_asked_each_time(tmp_path):
    """Names that are no objects', the roots of versions, and ranges come from the store each time."""
    store, counted = made(tmp_path, objects=[b"abc"])
    counted.inner.create("refs/x", b"1")
    counted.inner.create(object_key(named(b"{}"), ".json"), b"{}")
    for _ in range(2):
        store.read("refs/x")
        store.read(object_key(named(b"{}"), ".json"))
        assert store.read(object_key(named(b"abc"), ".bin"), (1, 2)) == b"b"
    assert counted.calls["read"] == 6
    assert files(tmp_path) == []


def test_damage_is_not_kept_and_a_damaged_copy_is_fetched_again(tmp_path):
    """What has another hash than its name is refused and not kept; a copy that was changed is made anew."""
    store, counted = made(tmp_path, objects=[b"abc"])
    counted.inner.create(object_key(named(b"x"), ".bin"), b"y")
    with pytest.raises(IntegrityError, match="is damaged: its 1 bytes have the SHA-256"):
        store.read(object_key(named(b"x"), ".bin"))
    assert files(tmp_path) == []
    key = object_key(named(b"abc"), ".bin")
    store.read(key)
    for damage in (b"abd", b"", b"abcd"):
        files(tmp_path)[0].write_bytes(damage)
        assert store.read(key) == b"abc"
        assert files(tmp_path)[0].read_bytes() == b"abc"


def test_a_delete_goes_through(tmp_path):
    """Who deletes an object removes the copy, too: afterwards it is not there."""
    store, _ = made(tmp_path, objects=[b"a"])
    key = object_key(named(b"a"), ".bin")
    store.read(key)
    store.delete(key)
    assert files(tmp_path) == []
    with pytest.raises(ObjectNotFound):
        store.read(key)


def test_copies_are_private(tmp_path):
    """Only their owner may read copies or list them."""
    store, _ = made(tmp_path / "new", objects=[b"a"])
    store.read(object_key(named(b"a"), ".bin"))
    for path in (tmp_path / "new" / "objects").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert stat.S_IMODE((tmp_path / "new" / "objects").stat().st_mode) == 0o700


def test_the_least_recently_used_go_first(tmp_path):
    """The size is kept; what is used stays, and copies are looked at as a whole once in many writes."""
    objects = [bytes([i]) * 1000 for i in range(200)]
    store, counted = made(tmp_path, 20_000, objects=objects)
    walks = []
    original = store.cache._shrink
    store.cache._shrink = lambda most: walks.append(most) or original(most)
    first = store.cache.path(named(objects[0]), ".bin")
    for data in objects:
        store.read(object_key(named(data), ".bin"))
        os.utime(first, ns=(time.time_ns(), first.stat().st_mtime_ns))
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 20_000
    assert first.exists()
    assert len(walks) < 60
    before = counted.calls["read"]
    store.read(object_key(named(objects[0]), ".bin"))
    assert counted.calls["read"] == before


def test_nothing_is_kept_where_it_does_not_fit(tmp_path):
    """An object larger than the cache, and any object where it has no size, is fetched each time."""
    for size in (0, 5):
        store, counted = made(tmp_path, size, objects=[b"abcdef"])
        for _ in range(2):
            assert store.read(object_key(named(b"abcdef"), ".bin")) == b"abcdef"
        assert counted.calls["read"] == 2
        assert files(tmp_path) == []
    assert cache_of(made(tmp_path, 0)[0]) is None


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path):
    """A file in its place, a folder that may not be written, a full disk: reads go on, and it is not tried each time."""
    (tmp_path / "cache").write_text("a file")
    store, counted = made(tmp_path / "cache", objects=[b"a"])
    for _ in range(2):
        assert store.read(object_key(named(b"a"), ".bin")) == b"a"
    assert counted.calls["read"] == 2


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    """A copy that could not be finished is removed, and the next is not tried at once."""
    store, counted = made(tmp_path, objects=[b"a", b"b"])
    tried = []

    def full(*paths):
        tried.append(paths)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dataplat.lake.stores._object_cache.os.rename", full)
    for data in (b"a", b"b"):
        assert store.read(object_key(named(data), ".bin")) == data
    assert len(tried) == 1
    assert files(tmp_path) == []
    assert counted.calls["read"] == 2


def _fill(folder, size, start, ready=None):
    store, _ = made(folder, size, objects=[b"%d" % i * 500 for i in range(50)])
    if ready is not None:
        ready.set()
    for i in range(start, start + 400):
        data = b"%d" % (i % 50) * 500
        assert store.read(object_key(named(data), ".bin")) == data


def test_processes_share_it(tmp_path):
    """Four processes that fill and empty one cache read nothing wrong, and keep its size."""
    context = get_context("fork")
    racers = [context.Process(target=_fill, args=(tmp_path, 15_000, start)) for start in (0, 7, 21, 33)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
        assert racer.exitcode == 0
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 15_000 + 4 * 1000
    for path in files(tmp_path):
        assert named(path.read_bytes()) == path.parent.name + path.name.partition(".")[0]


def test_who_evicts_is_outrun(tmp_path, monkeypatch):
    """What others write while one evicts, which leave evicting to it, does not stay above the size."""
    objects = [b"%02d" % number * 500 for number in range(40)]
    ours, theirs = ObjectCache(tmp_path, 5_000), ObjectCache(tmp_path, 5_000)
    shrink, written = ours._shrink, []

    def slow(most):
        left = shrink(most)
        if not written:
            written.extend(objects[20:])
            for data in written:
                theirs.write(named(data), ".bin", data)
        return left

    monkeypatch.setattr(ours, "_shrink", slow)
    for data in objects[:20]:
        ours.write(named(data), ".bin", data)
        if written:
            break
    assert written
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 5_000 + 1_000


def test_a_killed_process_leaves_no_wrong_copy(tmp_path):
    """Whatever a process was at when it was killed, every copy is whole, and the next one works on."""
    context = get_context("fork")
    for delay in (0.0, 0.003, 0.01, 0.02):
        ready = context.Event()
        racer = context.Process(target=_fill, args=(tmp_path, 15_000, 0, ready))
        racer.start()
        ready.wait(10)
        time.sleep(delay)
        os.kill(racer.pid, signal.SIGKILL)
        racer.join()
        for path in files(tmp_path):
            if not path.name.startswith("."):
                assert named(path.read_bytes()) == path.parent.name + path.name.partition(".")[0]
    _fill(tmp_path, 15_000, 0)


def test_what_died_half_way_is_removed(tmp_path):
    """Files that never got their name go with an eviction, once they are old enough to belong to nobody."""
    store, _ = made(tmp_path, 3000, objects=[bytes([i]) * 1000 for i in range(9)])
    (tmp_path / "objects" / "ab").mkdir(parents=True)
    old, young = (tmp_path / "objects" / "ab" / name for name in (".old", ".young"))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    for i in range(9):
        store.read(object_key(named(bytes([i]) * 1000), ".bin"))
    assert not old.exists()
    assert young.exists()


def test_a_stopped_holder_of_the_lock_stops_nobody(tmp_path):
    """Who cannot count what it adds counts it later."""
    store, _ = made(tmp_path, objects=[b"a", b"b", b"c"])
    store.read(object_key(named(b"a"), ".bin"))
    with store.cache._usage() as held:
        assert held is not None
        done = threading.Thread(target=store.read, args=(object_key(named(b"b"), ".bin"),))
        done.start()
        done.join(10)
        assert not done.is_alive()
    store.read(object_key(named(b"c"), ".bin"))
    assert int((tmp_path / "objects" / "usage").read_text()) == 3


def test_who_looks_at_the_store_gets_it(tmp_path):
    """`uncached` is the store inside, `cache_of` finds the copies behind other wrappers too."""
    store, counted = made(tmp_path)
    assert uncached(store) is counted
    assert uncached(counted) is counted
    assert cache_of(CountingStore(store)) is store.cache
    assert cache_of(counted) is None
    assert isinstance(store.cache, ObjectCache)
