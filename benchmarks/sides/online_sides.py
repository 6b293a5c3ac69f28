"""One way to keep online features, measured: python online_sides.py WAY FOLDER KEYS BYTES [URL].

WAY is `dataplat` (its embedded store), `raw` (LMDB by hand: no state, no checksum, no undo), `mapped` (a snapshot file that
is mapped into memory, and written anew when something changes) or `redis` (dataplat's, at URL). Prints seconds and
microseconds as JSON.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

WAY, FOLDER, KEYS, BYTES = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
SPACE = "bench@1"


def items(numbers: Iterable[int], salt: int) -> Iterator[tuple[bytes, bytes]]:
    filler = random.Random(salt).randbytes(BYTES + 4096)
    for number in numbers:
        start = number & 4095
        yield b"\0" + number.to_bytes(15, "big"), filler[start : start + BYTES]


class Store:
    """dataplat's own."""

    def __init__(self) -> None:
        if WAY == "redis":
            from dataplat.config import Config
            from dataplat.feature_store.online.connect import online_store

            self.store = online_store(sys.argv[5], f"bench-{os.getpid()}", Config())
        else:
            from dataplat.feature_store.online.lmdb_store import LmdbStore

            self.store = LmdbStore(FOLDER / "online")

    def load(self, name: str, given: Iterable[tuple[bytes, bytes]]) -> None:
        from dataplat.feature_store.online.store import Snapshot

        live = self.store.snapshot(SPACE)
        self.store.load(SPACE, Snapshot(name, 1, {}, "c", live.id if live is not None else None), given)

    def change(self, given: Iterable[tuple[bytes, bytes]]) -> None:
        from dataplat.feature_store.online.store import Snapshot

        self.store.change(SPACE, Snapshot("changed", 1, {}, "c", "first"), given)

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self.store.read(SPACE, keys).records

    def push(self, number: int, filler: bytes) -> None:
        from dataplat.feature_store.online.store import Pushed

        self.store.push(SPACE, [Pushed(b"\0pushed %d" % (number % 997), b"%d" % number, number, number, filler)])

    def size(self) -> int:
        return (FOLDER / "online" / "data.mdb").stat().st_size if WAY != "redis" else self.store.size(SPACE).nbytes


class Raw:
    """LMDB with nothing around it: one transaction, one table."""

    def __init__(self) -> None:
        import lmdb

        self.env = lmdb.Environment(str(FOLDER / "raw"), map_size=2**40, max_spare_txns=2, readahead=False)

    def load(self, _: str, given: Iterable[tuple[bytes, bytes]]) -> None:
        with self.env.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(given, append=True)

    def change(self, given: Iterable[tuple[bytes, bytes]]) -> None:
        with self.env.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(given)

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self.env.begin() as transaction:
            return [transaction.get(key) for key in keys]

    def push(self, number: int, filler: bytes) -> None:
        with self.env.begin(write=True) as transaction:
            transaction.put(b"\1%d" % number, filler)

    def size(self) -> int:
        return (FOLDER / "raw" / "data.mdb").stat().st_size


class Mapped:
    """A file: a table of where hashes begin, hashes with offsets, records. A second one holds what was pushed."""

    def __init__(self) -> None:
        self.overlay: dict[bytes, bytes] = {}
        self.log = (FOLDER / "log").open("ab")

    def load(self, name: str, given: Iterable[tuple[bytes, bytes]]) -> None:
        import numpy as np
        import xxhash

        hashes, offsets, at = [], [], 0
        with (FOLDER / "records").open("wb", 2**20) as file:
            for key, record in given:
                hashes.append(xxhash.xxh3_64_intdigest(key))
                offsets.append(at)
                file.write(struct.pack("<HI", len(key), len(record)) + key + record)
                at += 6 + len(key) + len(record)
        order = np.argsort(hashed := np.array(hashes, np.uint64))
        bits = max(1, len(hashes).bit_length())
        starts = np.searchsorted(hashed[order] >> np.uint64(64 - bits), np.arange(2**bits + 1, dtype=np.uint64))
        table = np.stack([hashed[order], np.array(offsets, np.uint64)[order]], axis=1)
        with (FOLDER / f"{name}.new").open("wb") as file:
            file.write(struct.pack("<QQ", bits, len(hashes)))
            file.write(starts.astype(np.uint32).tobytes())
            file.write(table.tobytes())
            with (FOLDER / "records").open("rb") as records:
                while some := records.read(2**22):
                    file.write(some)
            file.flush()
            os.fsync(file.fileno())
        (FOLDER / f"{name}.new").rename(FOLDER / "snapshot")
        self.open()

    def open(self) -> None:
        with (FOLDER / "snapshot").open("rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.bits, count = struct.unpack_from("<QQ", self.map)
        self.table = 16 + 4 * (2**self.bits + 1)
        self.records = self.table + 16 * count

    def all(self) -> Iterator[tuple[bytes, bytes]]:
        at = self.records
        while at < len(self.map):
            keyed, length = struct.unpack_from("<HI", self.map, at)
            yield self.map[at + 6 : at + 6 + keyed], self.map[at + 6 + keyed : at + 6 + keyed + length]
            at += 6 + keyed + length

    def change(self, given: Iterable[tuple[bytes, bytes]]) -> None:
        new = dict(given)
        self.load("changed", ((key, new.get(key, record)) for key, record in self.all()))

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.one(key) for key in keys]

    def one(self, key: bytes) -> bytes | None:
        import xxhash

        if key in self.overlay:
            return self.overlay[key]
        hashed = xxhash.xxh3_64_intdigest(key)
        start, end = struct.unpack_from("<II", self.map, 16 + 4 * (hashed >> (64 - self.bits)))
        for place in range(start, end):
            found, at = struct.unpack_from("<QQ", self.map, self.table + 16 * place)
            if found == hashed:
                at += self.records
                keyed, length = struct.unpack_from("<HI", self.map, at)
                if self.map[at + 6 : at + 6 + keyed] == key:
                    return self.map[at + 6 + keyed : at + 6 + keyed + length]
        return None

    def push(self, number: int, filler: bytes) -> None:
        self.log.write(filler)
        self.log.flush()
        os.fdatasync(self.log.fileno())
        self.overlay[b"\1%d" % number] = filler

    def size(self) -> int:
        return sum(path.stat().st_size for path in FOLDER.iterdir() if path.name != "records")


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def p50(calls: Iterable[Callable[[], object]]) -> float:
    took = sorted(seconds(call) for call in calls)
    return took[len(took) // 2] * 1e6


def main() -> None:
    way = {"raw": Raw, "mapped": Mapped}.get(WAY, Store)()
    figures = {"load_s": seconds(lambda: way.load("first", items(range(KEYS), 1)))}
    draw = random.Random(5)
    drawn = [b"\0" + draw.randrange(KEYS).to_bytes(15, "big") for _ in range(20_000)]
    assert way.get(drawn[:1]) != [None]
    p50([lambda key=key: way.get([key]) for key in drawn])
    figures["get_1_us"] = p50([lambda key=key: way.get([key]) for key in drawn])
    figures["get_100_us"] = p50(
        [lambda start=start: way.get(drawn[start : start + 100]) for start in range(0, 20_000, 100)]
    )
    figures["change_s"] = seconds(lambda: way.change(items(range(0, KEYS, 100), 2)))
    figures["bytes"] = way.size()
    filler = random.Random(3).randbytes(BYTES)
    took = sorted(seconds(lambda number=number: way.push(number, filler)) for number in range(300))
    figures |= {"push_p50_ms": took[150] * 1e3, "push_p99_ms": took[297] * 1e3}
    if WAY in {"dataplat", "redis"}:

        def pusher(thread: int) -> None:
            for number in range(100):
                way.push(1_000_000 * (thread + 1) + number, filler)

        threads = [threading.Thread(target=pusher, args=(thread,)) for thread in range(16)]

        def together() -> None:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        figures["pushes_per_s"] = 1_600 / seconds(together)
    print(json.dumps(figures))


main()
