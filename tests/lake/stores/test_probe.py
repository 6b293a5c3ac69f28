"""probe: a store on which commits could be lost is found out."""

import time

import pytest

from dataplat.errors import ObjectExists, StoreError, StoreUnsuitable
from dataplat.lake.stores import FileStore, MemoryStore, measure, probe


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


class Stale(MemoryStore):
    """Show a loser what was there before the winner."""

    def __init__(self):
        super().__init__()
        self.reads = 0

    def read(self, key, byte_range=None):
        """Be behind once."""
        self.reads += 1
        return b"" if self.reads == 3 else super().read(key, byte_range)


class Unlisted(MemoryStore):
    """List what was created only a while later, as S3 did until 2020."""

    def list(self, prefix, after=None, limit=None):
        """Leave out the newest."""
        return (entry for entry in super().list(prefix, after, limit) if not entry.key.endswith("again"))


class Empty(MemoryStore):
    """Give no bytes for a name that is not there, instead of saying so."""

    def read(self, key, byte_range=None):
        """Read nothing."""
        return super().read(key, byte_range) if key in self._objects else b""


class ReadOnly(MemoryStore):
    """Refuse what writes, as a store does to whom may only read."""

    def create(self, key, data):
        """Refuse."""
        raise StoreError(f"cannot create {key}: access denied")

    def delete(self, key):
        """Refuse."""
        raise StoreError(f"cannot delete {key}: access denied")


@pytest.mark.parametrize("tried", [probe, measure])
def test_who_may_not_write_is_told_of_the_first_refusal(tried):
    """That nothing can be tidied away either is not what is said."""
    with pytest.raises(StoreError, match="cannot create .*: access denied"):
        tried(ReadOnly())


@pytest.mark.parametrize(
    ("store", "told"),
    [
        (CheckThenAct, "create does not do .* 1?[0-9] of 16 racing creators of one name won"),
        (LastWriterWins, "create does not do .* 16 of 16 racing creators of one name won"),
        (Liar, "create does not do .* 16 of 16"),
        (Stale, "read does not do .* read other bytes than the winner"),
        (Empty, "read does not do .* gave no ObjectNotFound"),
        (Unlisted, "list does not do .* a moment ago is not listed"),
        (Unordered, "list does not do .* order of names"),
        (Ranges, "read does not do .* the range 1 to 5"),
    ],
)
def test_an_unsafe_store_is_refused(store, told):
    """Each way of losing a commit is found, the operation is named, and no object is left behind."""
    held = store()
    with pytest.raises(StoreUnsuitable, match=told):
        probe(held)
    assert list(held.list("")) == []


def test_a_good_store_passes(tmp_path):
    """Memory and file stores pass, and the report says what was tried."""
    for store in (MemoryStore(), FileStore(tmp_path)):
        report = probe(store)
        assert (report.racers, report.rounds) == (16, 3)
        assert report.seconds > 0
        assert [(check.name, check.calls) for check in report.checks] == [
            ("create if absent", 3 * 32),
            ("read what was written", 6),
            ("list in order", 3),
            ("read a range", 3),
            ("delete", 2),
        ]
        assert list(store.list("")) == []
