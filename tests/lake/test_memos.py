"""Memos: remembered by computation, part and deletes; damaged, foreign or refused they are as good as none."""

from __future__ import annotations

import pytest

from dataplat.errors import StoreError
from dataplat.lake.memos import Memos, computation_id
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CountingStore

COMPUTATION = computation_id("sum", 1)
PART = "ab" * 32


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


def only(store: MemoryStore) -> str:
    """The key of the only object."""
    [info] = store.list("")
    return info.key


def test_a_computation_is_its_name_code_and_parameters() -> None:
    """Whatever could change a result changes the id; the order of parameters does not."""
    ids = {
        computation_id("a", 1),
        computation_id("b", 1),
        computation_id("a", 2),
        computation_id("a", 1, columns=["x"]),
        computation_id("a", 1, columns=["y"]),
        computation_id("a", 1, other=["x"]),
    }
    assert len(ids) == 6
    assert computation_id("a", 1, x=1, y=2) == computation_id("a", 1, y=2, x=1)


def test_what_was_put_is_got(store: MemoryStore) -> None:
    """A value comes back under its computation, part and deletes, and under no other."""
    memos = Memos(store)
    memos.put({"n": [1, 2.5, None, "ä"]}, COMPUTATION, PART, "cd" * 32)
    assert memos.get(COMPUTATION, PART, "cd" * 32) == {"n": [1, 2.5, None, "ä"]}
    assert memos.get(COMPUTATION, PART) is None
    assert memos.get(COMPUTATION, PART, "ef" * 32) is None
    assert memos.get(computation_id("sum", 2), PART, "cd" * 32) is None


def test_bytes_are_kept_as_they_are(store: MemoryStore) -> None:
    """Bytes come back unchanged, or not at all where a bit of them turned; values beside them are others."""
    memos, data = Memos(store), bytes(range(256)) * 3
    memos.put_bytes(data, COMPUTATION, PART)
    assert memos.get_bytes(COMPUTATION, PART) == data
    assert memos.get(COMPUTATION, PART) is None
    key = only(store)
    bad = bytearray(store.read(key))
    bad[-1] ^= 1
    store.delete(key)
    store.create(key, bytes(bad))
    assert memos.get_bytes(COMPUTATION, PART) is None
    memos.put_bytes(data, COMPUTATION, PART)
    assert memos.get_bytes(COMPUTATION, PART) == data


def test_computed_once(store: MemoryStore) -> None:
    """A remembered value is computed once."""
    calls = []

    def compute() -> str:
        calls.append(1)
        return "value"

    for _ in range(3):
        assert Memos(store).remembered(COMPUTATION, PART, None, compute) == "value"
    assert len(calls) == 1


@pytest.mark.parametrize("entry", [b"", b"{}", b"\n", b"0" * 64 + b'\n"value"', b"\xff\xfe", b"no json\nat all"])
def test_a_damaged_entry_is_none_and_mended(store: MemoryStore, entry: bytes) -> None:
    """Bytes that do not carry their own hash are not believed; the next result takes their place."""
    memos = Memos(store)
    memos.put("value", COMPUTATION, PART)
    key, good = only(store), store.read(only(store))
    store.delete(key)
    store.create(key, entry)
    assert memos.get(COMPUTATION, PART) is None
    assert memos.remembered(COMPUTATION, PART, None, lambda: "value") == "value"
    assert store.read(key) == good


def test_every_bit_is_told(store: MemoryStore) -> None:
    """No single flipped bit of an entry gives a value."""
    memos = Memos(store)
    memos.put("value", COMPUTATION, PART)
    key, good = only(store), store.read(only(store))
    for at in range(0, len(good) * 8, 7):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        store.delete(key)
        store.create(key, bytes(bad))
        assert memos.get(COMPUTATION, PART) is None


def test_somebody_was_first(store: MemoryStore) -> None:
    """A value that another process has put meanwhile is left as it is."""
    Memos(store).put("value", COMPUTATION, PART)
    counting = CountingStore(store)
    Memos(counting).put("value", COMPUTATION, PART)
    assert counting.calls["delete"] == 0
    assert Memos(store).get(COMPUTATION, PART) == "value"


class Refusing(CountingStore):
    """A store that takes nothing and says nothing."""

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Fail."""
        raise StoreError("no answer")

    def create(self, key: str, data: object) -> None:
        """Fail."""
        raise StoreError("disk full")


def test_a_store_that_refuses_costs_time_only(store: MemoryStore) -> None:
    """Where memos can be neither read nor written the work is done all the same."""
    assert Memos(Refusing(store)).remembered(COMPUTATION, PART, None, lambda: "value") == "value"


def test_an_entry_at_the_place_of_another_is_none(store: MemoryStore) -> None:
    """What was remembered of one part is no answer about another, wherever it was moved to."""
    memos = Memos(store)
    memos.put("of a", "count", "a" * 64)
    [info] = store.list("memo/")
    store.create(info.key.replace("a" * 62, "b" * 62).replace("/aa/", "/bb/"), store.read(info.key))
    assert memos.get("count", "b" * 64) is None
    assert memos.get("count", "a" * 64) == "of a"
