"""Finding out whether a lake may live on a store."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.errors import ObjectExists, StoreUnsuitable
from dataplat.lake.stores._protocol import Store

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_WHY = "A lake needs that of racing creators of one name exactly one wins; without it commits would be lost in silence."


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was tried: `racers` creators of one key at once, in each of `rounds`; all of it took `seconds`."""

    racers: int
    rounds: int
    seconds: float


def probe(store: Store, *, racers: int = 16, rounds: int = 3) -> ProbeReport:
    """Try on `store` itself what a lake needs of it, under `probe/`; leave no object behind.

    Raise `StoreUnsuitable` with the reason where two racing creators both win, none wins, a loser's answer is wrong,
    or listing is out of order; `StoreError` where the store cannot be written at all.
    """
    from concurrent.futures import ThreadPoolExecutor

    started = time.perf_counter()
    prefix = f"probe/{os.urandom(8).hex()}-"
    keys = [f"{prefix}{number}" for number in range(rounds)]
    try:
        with ThreadPoolExecutor(racers) as pool:
            for key in keys:
                _race(store, key, racers, pool)
        _check_listing(store, prefix, keys)
        _check_ranges(store, keys[0])
    finally:
        for key in keys:
            store.delete(key)
    if leftover := [entry.key for entry in store.list(prefix)]:
        raise StoreUnsuitable(f"{store!r} still lists {leftover} after they were deleted. {_WHY}")
    return ProbeReport(racers, rounds, time.perf_counter() - started)


def _race(store: Store, key: str, racers: int, pool: ThreadPoolExecutor) -> None:
    from threading import Barrier

    start = Barrier(racers)
    bids = [f"{key} by racer {number}".encode() * 64 for number in range(racers)]

    def won(bid: bytes) -> bool:
        start.wait()
        try:
            store.create(key, bid)
        except ObjectExists:
            return False
        return True

    winners = [bid for bid, wins in zip(bids, list(pool.map(won, bids)), strict=True) if wins]
    if len(winners) != 1:
        raise StoreUnsuitable(f"{len(winners)} of {racers} racing creators of one name won on {store!r}. {_WHY}")
    if store.read(key) != winners[0]:
        raise StoreUnsuitable(f"{store!r} told one creator that it won, but holds other bytes. {_WHY}")


def _check_listing(store: Store, prefix: str, keys: list[str]) -> None:
    listed = [entry.key for entry in store.list(prefix)]
    first = [entry.key for entry in store.list(prefix, limit=1)]
    behind = [entry.key for entry in store.list(prefix, after=keys[0])]
    if (listed, first, behind) != (keys, keys[:1], keys[1:]):
        raise StoreUnsuitable(
            f"{store!r} created {keys} but lists {listed}, first {first}, and behind the first {behind}: "
            "a lake finds the head of a branch by the order of names"
        )


def _check_ranges(store: Store, key: str) -> None:
    if store.read(key, (1, 5)) != store.read(key)[1:5]:
        raise StoreUnsuitable(f"{store!r} gives wrong bytes when a range is read")
