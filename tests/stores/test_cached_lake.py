"""Lakes behind a cache: copies on one machine never hide what was erased, collected or damaged in the store."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataplat._lake import Lake
from dataplat.errors import DataplatError
from dataplat.lake._object_keys import object_key
from dataplat.lake.stores import CachingStore, MemoryStore
from dataplat.testing.store_faults import CountingStore, LatencyStore
from dataplat.versioning._cache import forget_decoded
from dataplat.versioning.lakefile import create_lake, open_lake


class Machines:
    """Machines with caches of their own before one store."""

    def __init__(self, folder, inner):
        self.folder, self.inner = folder, inner
        self.counted = CountingStore(LatencyStore(inner, 0))

    def lake(self, name):
        """A new process's lake on the machine of that name."""
        forget_decoded()
        store = CachingStore(self.counted, folder=self.folder / name)
        try:
            return Lake(store, open_lake(store).id, "far")
        except DataplatError:
            create_lake(store)
            return Lake(store, open_lake(store).id, "far")

    def copies(self, name):
        """The bytes of all copies on a machine."""
        return [path.read_bytes() for path in (self.folder / name / "objects").glob("??/*")]


@pytest.fixture
def machines(tmp_path):
    """Two versions of `people`, the first tagged, read whole by the machines `a` and `b`."""
    made = Machines(tmp_path, MemoryStore())
    lake = made.lake("a")
    people = pa.table({"id": list(range(5000)), "name": [f"Name-{i:05}" for i in range(5000)]})
    lake.ingest(people, "people", key="id", sort="id")
    lake.tag("v1")
    lake.delete("people", "id >= 4000")
    for name in "ab":
        for reference in ("people@v1", "people"):
            made.lake(name)[reference].to_arrow()
    return made


def test_a_second_process_reads_from_the_copies(machines):
    """Another process on the machine asks the store for refs and the roots of versions, and for no other object."""
    lake = machines.lake("a")
    machines.counted.reset()
    assert lake["people"].to_arrow().num_rows == 4000
    assert machines.counted.bytes["read"] < 20_000


def test_what_was_erased_is_gone_on_every_machine(machines, monkeypatch):
    """The machine that erases has no copy left; another, full of copies, does not give the row under any reference."""
    monkeypatch.setattr("dataplat.versioning.erase._run.forget_copies", lambda _: None)  # the store's deletes suffice
    machines.lake("a").erase("people", "id = 77", reason="ticket 7")
    rest = b"".join(machines.copies("a"))
    assert b"Name-00077" not in rest
    for name in "ab":
        for reference in ("people@v1", "people"):
            assert 77 not in machines.lake(name)[reference].to_arrow()["id"].to_pylist()


def test_what_was_collected_is_gone_on_every_machine(machines):
    """A version that one machine has collected is told to be gone on another that has copies of all of it."""
    old = machines.lake("b")["people"].id
    lake = machines.lake("a")
    lake.delete("people", "id >= 3000")
    assert lake.gc("1", grace="0s").done.versions == 1
    with pytest.raises(DataplatError):
        machines.lake("b")[f"people@id:{old}"].to_arrow()
    assert machines.lake("b")["people"].to_arrow().num_rows == 3000


def test_verify_looks_at_the_store(machines):
    """Damage in the store is found though the copy of the part is right, and a damaged copy is no damage of the lake."""
    lake = machines.lake("a")
    assert lake.verify().ok
    for path in (machines.folder / "a" / "objects").glob("??/*"):
        path.write_bytes(b"damage")
    assert lake.verify().ok
    part = lake["people"].parts[0].id
    key = object_key(part, ".parquet")
    machines.inner.replace(key, machines.inner.read(key)[:-1] + b"?")
    assert not machines.lake("b").verify().ok
    assert machines.lake("b")["people"].to_arrow().num_rows == 4000


def test_two_lakes_share_copies(machines, tmp_path):
    """What one lake has fetched another that holds the same object does not fetch again."""
    other = Machines(tmp_path, MemoryStore())
    for info in list(machines.inner.list("")):
        other.inner.create(info.key, machines.inner.read(info.key))
    other.lake("a")["people"].to_arrow()
    assert other.counted.bytes["read"] < 20_000
