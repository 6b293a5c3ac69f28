"""probe: a store on which commits could be lost is found out."""

import time

import pytest

from dataplat.errors import ObjectExists, StoreUnsuitable
from dataplat.lake.stores import FileStore, MemoryStore, probe


class CheckThenAct(MemoryStore):
    """Look whether the key is there, then write: what generic fsspec and moto do."""

    def create(self, key, data):
        """Create, or overwrite in a race."""
        exists = key in self._objects
        time.sleep(0.002)
        if exists:
            raise ObjectExists(key)
        with self._lock:
            self._objects[key] = (bytes(data), 0)
        if key not in self._keys:
            self._keys.append(key)
            self._keys.sort()


class LastWriterWins(MemoryStore):
    """Ignore the condition, as old gateways do."""

    def create(self, key, data):
        """Overwrite."""
        self.delete(key)
        super().create(key, data)


class Unordered(MemoryStore):
    """List in another order."""

    def list(self, prefix, after=None, limit=None):
        """List backwards."""
        return reversed(list(super().list(prefix, after, limit)))


class Liar(MemoryStore):
    """Tell a loser that it won, by losing its error."""

    def create(self, key, data):
        """Swallow the refusal."""
        try:
            super().create(key, data)
        except ObjectExists:
            return


class Ranges(MemoryStore):
    """Take the stop of a range as inclusive, as HTTP does."""

    def read(self, key, byte_range=None):
        """Give a byte more."""
        return super().read(key, byte_range and (byte_range[0], byte_range[1] + 1))


@pytest.mark.parametrize("store", [CheckThenAct, LastWriterWins, Liar, Unordered, Ranges])
def test_an_unsafe_store_is_refused(store):
    """Each way of losing a commit is found, named, and leaves no object behind."""
    held = store()
    with pytest.raises(StoreUnsuitable, match=r"won|holds other bytes|order of names|range"):
        probe(held)
    assert list(held.list("")) == []


def test_a_good_store_passes_quickly(tmp_path):
    """Memory and file stores pass, in well under a second, and the report says what was tried."""
    for store in (MemoryStore(), FileStore(tmp_path)):
        report = probe(store)
        assert (report.racers, report.rounds) == (16, 3)
        assert 0 < report.seconds < 5
        assert list(store.list("")) == []
