"""The stores that misbehave on purpose do so exactly as told."""

import errno

import pytest

from dataplat.errors import ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores import FileStore, MemoryStore, SupportsFiles, concurrency_of
from dataplat.testing.store_faults import (
    CountingStore,
    CrashStore,
    FaultyStore,
    FullStore,
    LatencyStore,
    SimulatedCrash,
)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_store_dies_at_its_call(when):
    """The n-th call dies before or after its effect, and every later call dies without one."""
    inner = MemoryStore()
    store = CrashStore(inner, 2, when)
    store.create("1", b"")
    with pytest.raises(SimulatedCrash, match=f"{when} call 2"):
        store.create("2", b"")
    with pytest.raises(SimulatedCrash, match="dead"):
        store.create("3", b"")
    assert [entry.key for entry in inner.list("")] == (["1"] if when == "before" else ["1", "2"])


def test_a_crash_store_counts_the_operations_asked_for(tmp_path):
    """Only these count, adopted files too; without `at` it only counts."""
    store = CrashStore(FileStore(tmp_path), operations=("create", "adopt"))
    path = store.staging_dir() / "x"
    path.write_bytes(b"1")
    store.adopt("a", path)
    store.create("b", b"")
    store.read("a")
    list(store.list(""))
    assert store.calls == 2
    assert isinstance(store, SupportsFiles)
    assert concurrency_of(store) == 1


def test_a_latency_store_waits_before_each_call():
    """Each call waits once, and its answer is the inner store's."""
    waits = []
    store = LatencyStore(MemoryStore(), 0.25, sleep=waits.append)
    store.create("x", b"1")
    assert store.read("x") == b"1"
    assert len(list(store.list(""))) == 1
    assert waits == [0.25] * 3
    assert concurrency_of(store) == 8


def test_a_counting_store_counts_calls_and_bytes(tmp_path):
    """Calls by operation, failed ones too, with the bytes that went in or came out."""
    store = CountingStore(FileStore(tmp_path))
    store.create("x", b"12345")
    store.read("x")
    store.read("x", (1, 3))
    path = store.staging_dir() / "y"
    path.write_bytes(b"123")
    store.adopt("y", path)
    with pytest.raises(ObjectNotFound):
        store.read("z")
    list(store.list(""))
    store.delete("x")
    assert store.calls == {"create": 1, "read": 3, "adopt": 1, "list": 1, "delete": 1}
    assert (store.bytes["create"], store.bytes["read"], store.bytes["adopt"]) == (5, 7, 3)
    store.reset()
    assert not store.calls
    assert not store.bytes


def test_a_faulty_store_follows_its_script():
    """Landed requests took effect, lost ones never do, late ones do at the next call."""
    inner = MemoryStore()
    store = FaultyStore(inner, {1: "landed", 2: "lost", 3: "late"})
    for name in "abc":
        with pytest.raises(StoreTimeout):
            store.create(name, b"")
    assert [entry.key for entry in inner.list("")] == ["a"]
    store.delete("zzz")
    assert [entry.key for entry in inner.list("")] == ["a", "c"]


def test_a_full_store_writes_nothing_until_there_is_room():
    """What fits is there, what does not leaves nothing; reads and deletes go on."""
    store = FullStore(MemoryStore(), 2)
    store.create("a", b"1")
    for name in "bc":
        with pytest.raises(StoreError, match="full") as failed:
            store.create(name, b"2")
        assert failed.value.errno == errno.ENOSPC
    assert store.read("a") == b"1"
    store.delete("a")
    assert list(store.list("")) == []
    assert store.refused == 2
    store.room()
    store.create("b", b"2")
    assert store.read("b") == b"2"
