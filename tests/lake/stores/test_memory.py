"""MemoryStore: the whole conformance suite, and names that the process shares."""

import pytest

from dataplat.lake.stores import MemoryStore, SupportsFiles, SupportsUrl
from dataplat.testing import store_suite


class TestMemoryStore(store_suite.StoreConformance):
    @pytest.fixture
    def store(self):
        """An empty store."""
        return MemoryStore()


def test_named_stores_are_shared():
    """The same name is the same store in the whole process, another name another; unnamed ones are their owner's."""
    MemoryStore.named("test-shared").create("x", b"1")
    assert MemoryStore.named("test-shared").read("x") == b"1"
    assert list(MemoryStore.named("test-other").list("")) == []
    assert list(MemoryStore().list("")) == []


def test_the_clock_stamps_objects():
    """Objects are stamped with the clock that was given, which is how the simulator's virtual time comes in."""
    times = iter([10, 20])
    store = MemoryStore(clock=lambda: next(times))
    store.create("a", b"")
    store.create("b", b"")
    assert [entry.created for entry in store.list("")] == [10, 20]


def test_it_has_no_optional_ability():
    """Nothing local reads it by path."""
    assert not isinstance(MemoryStore(), SupportsFiles | SupportsUrl)
