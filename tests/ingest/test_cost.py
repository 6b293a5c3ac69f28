"""What an ordinary small commit asks of the store and of the machine: counts that must not creep up."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.stores import FileStore
from dataplat.testing.store_faults import CountingStore

OBJECTS = 4
"""Part, segment, manifest and commit."""


def rows(number: int) -> pa.Table:
    """Ten rows of their own, so that their part is, too."""
    return pa.table({"a": [number] * 10, "b": list(range(10))})


class Costs:
    """Calls of a lake's store, syncs of this process, and threads that it started."""

    def __init__(self, store: CountingStore) -> None:
        self.store = store
        self.syncs = 0
        self.threads = 0

    def reset(self) -> None:
        """Begin again at zero."""
        self.store.reset()
        self.syncs = self.threads = 0


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Lake, Costs]:
    """A lake with some commits, all of its folders made, and what it costs from here on."""
    made = dp.open(tmp_path / "lake")
    for digit in range(256):
        (tmp_path / "lake/objects" / f"{digit:02x}").mkdir(parents=True, exist_ok=True)
    store = CountingStore(FileStore(tmp_path / "lake"))
    lake = Lake(store, made.id, str(tmp_path))
    for number in range(3):  # threads that stay are started now
        lake.ingest(rows(number), into="d")
    costs = Costs(store)
    sync, start = os.fsync, threading.Thread.start

    def counting_sync(descriptor: int) -> None:
        costs.syncs += 1
        sync(descriptor)

    def counting_start(thread: threading.Thread) -> None:
        costs.threads += 1
        start(thread)

    monkeypatch.setattr(os, "fsync", counting_sync)
    monkeypatch.setattr(threading.Thread, "start", counting_start)
    costs.reset()
    return lake, costs


def test_an_append_of_ten_rows(counted: tuple[Lake, Costs]) -> None:
    """Four objects and a record, each synced with its folder; two looks for the head; no thread."""
    lake, costs = counted
    for number in range(3, 9):
        costs.reset()
        lake.ingest(rows(number), into="d")
        assert dict(costs.store.calls) == {"create": OBJECTS + 1, "read": 2}
        assert costs.syncs == 2 * (OBJECTS + 1)
        assert costs.threads == 0
    assert lake["d"].rows == 90


def test_an_append_behind_many_others_reads_little(tmp_path: Path) -> None:
    """However far the branch moved since an append was planned, a handful of reads brings it onto the head."""
    slow, fast = dp.open(tmp_path / "lake"), dp.open(tmp_path / "lake")
    slow.ingest(rows(0), into="d")
    store = CountingStore(FileStore(tmp_path / "lake"))
    behind = Lake(store, slow.id, str(tmp_path))
    with behind.transaction() as tx:
        tx.ingest(rows(1), into="d")
        for number in range(2, 40):
            fast.ingest(rows(number), into="d")
        store.reset()
    assert store.calls["read"] <= 8, "the head by the last writer's word, its number's next, manifest, a few segments"
    assert behind["d"].rows == 400
