"""The load proof: minutes of lookups while snapshots are swapped and workers are killed; no wrong value, no failed request.

python -m benchmarks.features_load [--seconds 600] [--swap 5] [--kill 30] [--workers 2] [--connections 32]

Every value tells which snapshot and which key it is of. An answer is wrong if any of its values is not of its key and of the
snapshot that it names, or if that snapshot was replaced before the request was made. A request may be lost only with the
worker that was at it: as many connections as end when a worker is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks._load import Load, load, request
from benchmarks._served import Shape, expected, fill

PER_REQUEST = 4
"""Keys of one request."""


@dataclass
class Trouble:
    """What is done to the server meanwhile, and when."""

    live: list[tuple[float, int]] = field(default_factory=list)
    """When a snapshot was live at the latest, and its number."""
    killed: list[float] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass
class Proof:
    """What was found."""

    seen: Load
    wrong: int
    snapshots: int
    swaps: int
    kills: int
    unexplained: int

    @property
    def held(self) -> bool:
        """Whether nothing was wrong, and nothing failed that a death does not explain."""
        return self.wrong == 0 and not self.seen.other and self.seen.refused == 0 and self.unexplained == 0


def prove(seconds: float, swap: float, kill: float, workers: int, connections: int) -> Proof:
    """Put a server under load for some seconds."""
    shape = Shape(keys=500, views=3, features=5)
    with tempfile.TemporaryDirectory(prefix="features-load-") as name:
        from dataplat.feature_store.online.lmdb_store import LmdbStore

        folder, trouble = Path(name), Trouble()
        store = LmdbStore(folder / "online")
        fill(store, shape, 1)
        trouble.live.append((time.perf_counter(), 1))
        told = {
            "folder": str(folder / "online"),
            "shape": {"keys": shape.keys, "views": shape.views, "features": shape.features},
            "flags": {"port": 0, "workers": workers, "access_log": ""},
        }
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._served", json.dumps(told)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            place = urlsplit(server.stdout.readline().strip())
            assert place.hostname is not None
            assert place.port is not None
            _wait_for(server.pid, workers)
            threads = [
                threading.Thread(target=_swap, args=(trouble, store, shape, swap)),
                threading.Thread(target=_kill, args=(trouble, server.pid, kill)),
            ]
            for thread in threads:
                thread.start()
            found = _asked(place.hostname, place.port, shape, trouble, seconds, connections)
            trouble.ended.set()
            for thread in threads:
                thread.join()
            return found
        finally:
            trouble.ended.set()
            server.send_signal(signal.SIGTERM)
            server.wait(30)
            assert server.stdout is not None
            server.stdout.close()
            store.close()


def _asked(host: str, port: int, shape: Shape, trouble: Trouble, seconds: float, connections: int) -> Proof:
    """Ask for keys that are drawn, and hold each answer to what it should be."""
    rng = random.Random(7)
    asked = [[rng.randrange(shape.keys) for _ in range(PER_REQUEST)] for _ in range(400)]
    requests = [
        request(
            "/features/lookup",
            json.dumps({"service": "bench", "entities": {"airport": [f"k{key}" for key in keys]}}).encode(),
        )
        for keys in asked
    ]
    known: dict[tuple[int, int], dict[str, object]] = {}
    snapshots: set[int] = set()
    wrong = 0

    def check(place: int, body: bytes, began: float) -> None:
        nonlocal wrong
        told = json.loads(body)
        number = int(told["snapshot"][1:])
        snapshots.add(number)
        oldest = max((live for at, live in list(trouble.live) if at <= began), default=1)
        good = number >= oldest
        for at, key in enumerate(asked[place]):
            if (key, number) not in known:
                if len(known) > 20_000:
                    known.clear()
                known[key, number] = expected(shape, key, number)
            good = good and {name: column[at] for name, column in told["features"].items()} == known[key, number]
        wrong += not good

    seen = load(host, port, requests, connections, seconds=seconds, check=check, renew=200)
    unexplained = sum(not any(0 <= lost - killed < 2.0 for killed in trouble.killed) for lost in seen.lost_at)
    return Proof(seen, wrong, len(snapshots), len(trouble.live) - 1, len(trouble.killed), unexplained)


def _swap(trouble: Trouble, store: object, shape: Shape, every: float) -> None:
    number = 1
    while not trouble.ended.wait(every):
        number += 1
        fill(store, shape, number)  # type: ignore[arg-type]
        trouble.live.append((time.perf_counter(), number))


def _kill(trouble: Trouble, server: int, every: float) -> None:
    rng = random.Random(3)
    while not trouble.ended.wait(every):
        if len(found := workers_of(server)) > 1:
            trouble.killed.append(time.perf_counter())
            os.kill(rng.choice(found), signal.SIGKILL)


def workers_of(server: int) -> list[int]:
    """Return the processes of the workers of a supervisor."""
    found = subprocess.run(["pgrep", "-P", str(server)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def _wait_for(server: int, workers: int) -> None:
    end = time.monotonic() + 60
    while len(workers_of(server)) < workers and time.monotonic() < end:
        time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features_load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--swap", type=float, default=5.0)
    parser.add_argument("--kill", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args()
    found = prove(given.seconds, given.swap, given.kill, given.workers, given.connections)
    seen = found.seen
    print(
        f"{seen.answered:,} answers in {seen.seconds:.0f} s, of {found.snapshots} snapshots ({found.swaps} swaps); "
        f"{found.kills} workers killed, {seen.lost} requests lost with them, {found.unexplained} otherwise; "
        f"{found.wrong} wrong, {sum(seen.other.values())} of another status, {seen.refused} refused; "
        f"p50 {seen.quantile(0.5) * 1000:.1f} ms, p99 {seen.quantile(0.99) * 1000:.1f} ms"
    )
    return 0 if found.held else 1


if __name__ == "__main__":
    sys.exit(main())
