"""Generations: an object under another key of its id, where the plain one is being collected, and what is forgotten."""

import pytest

from dataplat.errors import ObjectNotFound
from dataplat.lake.objects import Objects, Stage, object_key
from dataplat.lake.stores import FileStore, MemoryStore
from dataplat.testing.store_faults import FaultyStore


def keys(store):
    """Return all keys in the store."""
    return [entry.key for entry in store.list("")]


@pytest.mark.parametrize("make", [MemoryStore, None])
def test_generation_stands_in_for_a_key_that_was_deleted(make, tmp_path):
    """Bytes under another key of the same id are read, found, listed and located like those under the plain one."""
    store = FileStore(tmp_path) if make is None else make()
    with Stage(store) as stage:
        object_id = stage.put(b"wanted", ".bin")
        stage.flush()
        stage.renew(object_id, ".bin", "0123456789")
        store.delete(object_key(object_id, ".bin"))
        assert keys(store) == [object_key(object_id, "~01234567.bin")]
        assert stage.read(object_id, ".bin") == b"wanted"
    objects = Objects(store)
    assert objects.read(object_id, ".bin") == b"wanted"
    assert objects.exists(object_id, ".bin")
    assert not objects.exists(object_id, ".json")
    assert objects.find(object_id[:12], ".bin") == [object_id]
    path = objects.local_path(object_id, ".bin")
    assert path is None if make else path.read_bytes() == b"wanted"


def test_a_generation_that_is_told_as_anothers_is_ours():
    """Nobody else has its token: a store that says it exists, of what it has just taken, has it."""
    store = FaultyStore(MemoryStore(), {2: "denied"})
    with Stage(store) as stage:
        object_id = stage.put(b"wanted", ".bin")
        stage.flush()
        stage.renew(object_id, ".bin", "0123456789")
    assert keys(store) == [object_key(object_id, ".bin"), object_key(object_id, "~01234567.bin")]


def test_what_was_forgotten_is_read_again():
    """After `forget` an object that is gone does not seem to be there."""
    store = MemoryStore()
    with Stage(store) as stage:
        object_id = stage.put(b"{}", ".json")
        stage.flush()
    objects = Objects(store)
    objects.read(object_id, ".json")
    store.delete(object_key(object_id, ".json"))
    assert objects.read(object_id, ".json") == b"{}"
    objects.forget()
    with pytest.raises(ObjectNotFound):
        objects.read(object_id, ".json")
