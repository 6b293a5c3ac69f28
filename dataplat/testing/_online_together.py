"""What online stores must do where several use one at once: readers, those who push, those who make snapshots."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from dataplat.errors import SnapshotConflict
from dataplat.feature_store.online.store import OnlineStore
from dataplat.testing._online_samples import SPACE, row, snapshot


class TogetherConformance:
    """Readers, pushers and writers at once."""

    def test_readers_see_one_snapshot(self, store: OnlineStore) -> None:
        """While snapshots go live and are gone back from, every read sees all keys of one, the one that it names."""
        keys = [b"k%d" % number for number in range(40)]
        store.load(SPACE, snapshot("0"), [(key, b"0") for key in keys])
        done = threading.Event()

        def reader() -> int:
            reads = 0
            while not done.is_set() or reads < 5:
                found = store.read(SPACE, keys)
                assert set(found.records) == {found.snapshot.id.encode()}
                reads += 1
            return reads

        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(reader) for _ in range(3)]
            try:
                live = "0"
                for step in range(1, 40):
                    items = [(key, b"%d" % step) for key in keys]
                    if step % 4 == 0:
                        store.load(SPACE, snapshot(f"{step}", live), items)
                    else:
                        store.change(SPACE, snapshot(f"{step}", live), items)
                    live = store.rollback(SPACE).id if step % 3 == 0 else f"{step}"
            finally:
                done.set()
            assert all(each.result() >= 5 for each in readers)

    def test_pushes_at_once(self, store: OnlineStore) -> None:
        """Rows that many threads push at once, some of them the same, are there once each, with sequences of their own."""
        store.load(SPACE, snapshot("s1"), [])
        together = threading.Barrier(8)

        def pusher(thread: int) -> list[int]:
            together.wait()
            return [store.push(SPACE, [row(b"a", f"{thread % 4}-{number}", number)]) for number in range(25)]

        with ThreadPoolExecutor(8) as pool:
            sequences = list(pool.map(pusher, range(8)))
        assert all(each == sorted(each) for each in sequences)
        found = store.read(SPACE, [b"a"])
        assert found.sequence == 100
        assert sorted(found.pushed[0]) == sorted(
            f"{thread}-{number}".encode() for thread in range(4) for number in range(25)
        )
        assert [number for number, _ in store.pending(SPACE)] == list(range(1, 101))

    def test_a_pushed_row_is_seen_at_once(self, store: OnlineStore, again: Callable[[], OnlineStore]) -> None:
        """What a push returned for is in the next read of another who holds the store."""
        store.load(SPACE, snapshot("s1"), [])
        other = again()
        for number in range(20):
            sequence = store.push(SPACE, [row(b"a", f"{number}", number)])
            found = other.read(SPACE, [b"a"])
            assert found.sequence == sequence
            assert len(found.pushed[0]) == number + 1

    def test_two_load_at_once(self, store: OnlineStore) -> None:
        """Of loads in the place of one snapshot one at most goes live, whole; each that does not says so."""
        keys = [b"k%d" % number for number in range(300)]
        for parent in (None, "again"):
            together = threading.Barrier(4)

            def loader(name: str, parent: str | None = parent, together: threading.Barrier = together) -> str | None:
                together.wait()
                try:
                    store.load(SPACE, snapshot(name, parent), [(key, name.encode()) for key in keys])
                except SnapshotConflict:
                    return None
                return name

            with ThreadPoolExecutor(4) as pool:
                landed = [
                    name for name in pool.map(loader, [f"{parent} {each}" for each in "abcd"]) if name is not None
                ]
            assert len(landed) <= 1
            live = store.snapshot(SPACE)
            assert (None if live is None else live.id) == (landed[0] if landed else parent)
            store.load(SPACE, snapshot("again", None if live is None else live.id), [(key, b"again") for key in keys])
            assert set(store.read(SPACE, keys).records) == {b"again"}

    def test_two_change_at_once(self, store: OnlineStore) -> None:
        """Of changes to one parent one at most goes live, whole; each that does not says so."""
        keys = [b"k%d" % number for number in range(300)]
        store.load(SPACE, snapshot("s1"), [(key, b"s1") for key in keys])
        together = threading.Barrier(4)

        def changer(name: str) -> str | None:
            together.wait()
            try:
                store.change(SPACE, snapshot(name, "s1"), [(key, name.encode()) for key in keys])
            except SnapshotConflict:
                return None
            return name

        with ThreadPoolExecutor(4) as pool:
            landed = [name for name in pool.map(changer, ["a", "b", "c", "d"]) if name is not None]
        assert len(landed) <= 1
        found = store.read(SPACE, keys)
        assert found.snapshot.id == (landed[0] if landed else "s1")
        assert set(found.records) == {found.snapshot.id.encode()}
        store.change(SPACE, snapshot("next", found.snapshot.id), [(key, b"next") for key in keys])
        assert set(store.read(SPACE, keys).records) == {b"next"}
        assert store.rollback(SPACE).id == found.snapshot.id
        assert set(store.read(SPACE, keys).records) == {found.snapshot.id.encode()}
