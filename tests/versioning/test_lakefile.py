"""A store becomes a lake once, whoever tries and dies."""

from __future__ import annotations

import pytest

from dataplat.errors import AlreadyExists, CommitInDoubt, IntegrityError, LakeFormatError, LakeNotFound
from dataplat.lake.stores import MemoryStore, StoreWrapper
from dataplat.testing.store_faults import CrashStore, SimulatedCrash
from dataplat.versioning.lakefile import LAKE_KEY, create_lake, open_lake
from dataplat.versioning.refs import Patience, Refs


def test_created_lake_opens(store, refs):
    """The lake knows its id and age, and main stands at an empty commit."""
    lake = create_lake(store, refs)
    assert open_lake(store) == lake
    head = refs.head("main")
    assert (head.number, head.commit.changes, head.commit.parents) == (0, {}, ())
    with pytest.raises(AlreadyExists):
        create_lake(store, refs)


def test_no_lake(store):
    """Opening what is no lake says how to make one."""
    with pytest.raises(LakeNotFound, match="dataplat init"):
        open_lake(store)


@pytest.mark.parametrize("when", ["before", "after"])
def test_half_made_lake_is_finished(when):
    """Whoever dies at any call while creating, the next one creates the lake or finds it."""
    for at in range(1, 12):
        store = MemoryStore()
        dying = CrashStore(store, at=at, when=when)
        try:
            create_lake(dying, Refs(dying))
        except SimulatedCrash:
            try:
                open_lake(store)
            except LakeNotFound:
                create_lake(store)
        assert open_lake(store)
        assert Refs(store).head("main").number == 0


def test_newer_foreign_and_damaged_lakes(store):
    """A lake of another format, and one whose file is damaged, are refused with the reason."""
    create_lake(store)
    whole = store.read(LAKE_KEY)
    for held, error, message in (
        (b'{"format":"dataplat.lake/2","id":"x","created":1}', LakeFormatError, "upgrade"),
        (b"", IntegrityError, "not readable"),
        (whole.replace(b'"created":1', b'"created":3'), IntegrityError, "its own checksum"),
    ):
        store.delete(LAKE_KEY)
        store.create(LAKE_KEY, held)
        with pytest.raises(error, match=message):
            open_lake(store)


def test_racing_creators(store):
    """The loser of a race is told that there is a lake; where nobody answers it is in doubt."""

    class Late(StoreWrapper):
        def create(self, key, data):
            if key == LAKE_KEY:
                create_lake(store)
            return self.inner.create(key, data)

    late = Late(store)
    with pytest.raises(AlreadyExists, match="at the same time"):
        create_lake(late, Refs(late))

    class Silent(StoreWrapper):
        def create(self, key, data):
            if key == LAKE_KEY:
                raise TimeoutError
            return self.inner.create(key, data)

    from dataplat.errors import StoreTimeout

    class Mute(Silent):
        def create(self, key, data):
            try:
                return super().create(key, data)
            except TimeoutError:
                raise StoreTimeout("no answer") from None

    mute = Mute(MemoryStore())
    with pytest.raises(CommitInDoubt):
        create_lake(mute, Refs(mute, patience=Patience(attempts=2, sleep=lambda _: None)))
