"""How fast a store answers, and how far its clock is from ours."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dataplat.errors import StoreError
from dataplat.lake.stores._probe import removed
from dataplat.lake.stores._protocol import Store

SMALL = 1 << 10
"""Bytes of an object whose latency is measured."""
LARGE = 32 << 20
"""Bytes of the object whose throughput is measured."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Of `calls` calls of one operation, one after the other: the median and the 95th percentile, in seconds."""

    operation: str
    calls: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured: latencies of small objects, bytes per second, and the store's clock minus ours (seconds)."""

    latencies: tuple[Latency, ...]
    large: int
    up: float
    down: float
    clock: float


def measure(store: Store, *, calls: int = 20, large: int = LARGE) -> Measures:
    """Measure `store` under `probe/`, and leave no object behind.

    Raises:
        StoreError: it does not do what is asked, or gives back other bytes.
    """
    prefix = f"probe/{os.urandom(8).hex()}-"
    keys = [f"{prefix}{number:03}" for number in range(calls)]
    big = f"{prefix}large"
    with removed(store, [*keys, big]):
        small = os.urandom(SMALL)
        created = [_timed(lambda key=key: store.create(key, small)) for key in keys]  # type: ignore[misc]
        ours = time.time()
        theirs = max(entry.created for entry in store.list(prefix)) / 1e6
        read = [_timed(lambda key=key: store.read(key)) for key in keys]  # type: ignore[misc]
        listed = [_timed(lambda: list(store.list(prefix, limit=1))) for _ in keys]
        data = os.urandom(large)
        up = _timed(lambda: store.create(big, data))
        back: list[bytes] = []
        down = _timed(lambda: back.append(store.read(big)))
        if back != [data]:
            raise StoreError(f"{store!r} gave back other bytes than the {large} that it was given")
    latencies = tuple(_latency(*timed) for timed in (("create", created), ("read", read), ("list", listed)))
    return Measures(latencies, large, large / up, large / down, theirs - ours)


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return max(time.perf_counter() - started, 1e-9)


def _latency(operation: str, seconds: Sequence[float]) -> Latency:
    ordered = sorted(seconds)
    return Latency(operation, len(ordered), ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)])
