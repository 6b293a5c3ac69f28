"""What travels is stored once, also where a collection may yet delete the key that it had."""

from __future__ import annotations

import pyarrow as pa

from dataplat._lake import Lake
from dataplat.lake._object_keys import parse_key
from dataplat.lake.stores import MemoryStore, Store
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.transfer import fetched, forwarded
from dataplat.versioning.transfer._collections import Renewal


def lake_on(store: Store) -> Lake:
    """Open what is in a store."""
    return Lake(store, "test", "memory")


def names(store: Store) -> list[tuple[str, str] | None]:
    """Return id and suffix of each object, as often as it is there."""
    return [parse_key(info.key) for info in store.list("objects/")]


def push(source: Store, target: Store) -> None:
    """Push main as `Lake.push` does beside collections of the target."""
    ours, theirs = lake_on(source), lake_on(target)
    head = ours.refs.head("main").commit
    renewal = Renewal(ours.io, theirs.io)
    lacking = fetched(ours.io, theirs.io, [head], place=renewal.key)
    forwarded(ours.io, theirs.io, "main", head, renew=renewal.ready(lacking))


def test_what_a_push_brings_back_is_stored_once() -> None:
    """Objects whose keys are condemned for a week are sent once, to one other key, and by later pushes not at all."""
    target, rows = MemoryStore(), pa.table({"id": range(900, 950), "v": range(50)})
    create_lake(target)
    theirs = lake_on(target)
    theirs.ingest(rows, "lost", key="id")
    theirs.ingest(pa.table({"id": [1], "v": [1]}), "lost", mode="replace")
    assert theirs.gc("1", grace="0s").done.objects > 0
    source = MemoryStore()
    for info in target.list(""):
        source.create(info.key, target.read(info.key))
    for number in range(3):
        lake_on(source).ingest(rows, f"found{number}", key="id")
        push(source, target)
        assert len(names(target)) == len(set(names(target)))
        assert set(names(source)) <= set(names(target))
    assert any("~" in info.key for info in target.list("objects/"))
    assert lake_on(target)["found2"].to_arrow() == rows
    assert lake_on(target).verify().ok
