"""Finding out whether a lake may live on a store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataplat.errors import ObjectExists, ObjectNotFound, StoreError, StoreUnsuitable
from dataplat.lake.stores._protocol import Store

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_WHY = "A lake needs that of racing creators of one name exactly one wins; without it commits would be lost in silence."


@dataclass(frozen=True, slots=True)
class ProbeCheck:
    """One thing that was tried and held: its name, what was found, how many calls it took, and seconds."""

    name: str
    found: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was tried: `racers` creators of one key at once, in each of `rounds`; all of it took `seconds`."""

    racers: int
    rounds: int
    seconds: float
    checks: tuple[ProbeCheck, ...] = ()


def probe(store: Store, *, racers: int = 16, rounds: int = 3) -> ProbeReport:
    """Try on `store` itself what a lake needs of it, under `probe/`; leave no object behind.

    Raise `StoreUnsuitable` with the operation and the reason where two racing creators both win, none wins, a loser's
    answer is wrong, what was written is not read or listed at once, listing is out of order, ranges are wrong or what
    was deleted is still there; `StoreError` where the store cannot be written at all.
    """
    from concurrent.futures import ThreadPoolExecutor

    started = time.perf_counter()
    prefix = f"probe/{os.urandom(8).hex()}-"
    keys = [f"{prefix}{number:03}" for number in range(rounds)]
    trial = _Trial(store)
    with removed(store, [*keys, f"{prefix}again"]):
        with ThreadPoolExecutor(racers) as pool, trial.check("create if absent") as tell:
            for key in keys:
                _race(trial, key, racers, pool)
            tell(f"1 of {racers} racers won {rounds} times, the others read its bytes")
        with trial.check("read what was written") as tell:
            _read_back(trial, f"{prefix}again", keys)
            tell("at once, missing and refused names are said")
        with trial.check("list in order") as tell:
            _check_listing(trial, prefix, keys)
            tell("all, the first, and those behind a name")
        with trial.check("read a range") as tell:
            _check_ranges(trial, keys[0])
            tell("inside and past the end")
    with trial.check("delete") as tell:
        _check_deleted(trial, prefix, keys)
        tell("what was deleted is gone at once")
    return ProbeReport(racers, rounds, time.perf_counter() - started, tuple(trial.checks))


@contextmanager
def removed(store: Store, keys: Sequence[str]) -> Iterator[None]:
    """Delete `keys` at the end; what cannot be deleted says so only where nothing else failed."""
    try:
        yield
    except BaseException:
        for key in keys:
            with suppress(StoreError):
                store.delete(key)
        raise
    for key in keys:
        store.delete(key)


@dataclass(slots=True)
class _Trial:
    """A store under trial, and what was found so far."""

    store: Store
    checks: list[ProbeCheck] = field(default_factory=list)
    calls: int = 0

    @contextmanager
    def check(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a check, and count its calls."""
        told: list[str] = []
        before, started = self.calls, time.perf_counter()
        yield told.append
        self.checks.append(ProbeCheck(name, told[0], self.calls - before, time.perf_counter() - started))

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Read, counted."""
        self.calls += 1
        return self.store.read(key, byte_range)

    def create(self, key: str, data: bytes) -> None:
        """Create, counted."""
        self.calls += 1
        self.store.create(key, data)

    def list(self, prefix: str, after: str | None = None, limit: int | None = None) -> list[str]:
        """Return names, counted."""
        self.calls += 1
        return [entry.key for entry in self.store.list(prefix, after, limit)]

    def delete(self, key: str) -> None:
        """Delete, counted."""
        self.calls += 1
        self.store.delete(key)

    def refused(self, operation: str, text: str) -> StoreUnsuitable:
        """Return the refusal, which names the operation that failed."""
        return StoreUnsuitable(f"{operation} does not do on {self.store!r} what a lake needs: {text}")


def _race(trial: _Trial, key: str, racers: int, pool: ThreadPoolExecutor) -> None:
    from threading import Barrier

    start = Barrier(racers)
    bids = [f"{key} by racer {number}".encode() * 64 for number in range(racers)]

    def seen(bid: bytes) -> tuple[bool, bytes]:
        start.wait()
        try:
            trial.store.create(key, bid)
        except ObjectExists:
            return False, trial.store.read(key)
        return True, bid

    answers = list(pool.map(seen, bids))
    trial.calls += 2 * racers - 1
    winners = [bid for won, bid in answers if won]
    if len(winners) != 1:
        raise trial.refused("create", f"{len(winners)} of {racers} racing creators of one name won. {_WHY}")
    if trial.read(key) != winners[0]:
        raise trial.refused("create", f"it told one creator that it won, but holds other bytes. {_WHY}")
    if any(data != winners[0] for _, data in answers):
        raise trial.refused("read", f"a creator that lost read other bytes than the winner wrote. {_WHY}")


def _read_back(trial: _Trial, key: str, keys: list[str]) -> None:
    for name, expected in ((key, ObjectNotFound), (keys[0], ObjectExists)):
        try:
            if expected is ObjectNotFound:
                trial.read(name)
            else:
                trial.create(name, b"again")
        except expected:
            continue
        raise trial.refused("read" if expected is ObjectNotFound else "create", f"{name} gave no {expected.__name__}")
    trial.create(key, b"written")
    try:
        data = trial.read(key)
    except ObjectNotFound:
        data = b""
    if data != b"written":
        raise trial.refused("read", "what was written a moment ago is not read, or not as it was written")
    if trial.list(key) != [key]:
        raise trial.refused("list", "what was written a moment ago is not listed")
    trial.delete(key)


def _check_listing(trial: _Trial, prefix: str, keys: list[str]) -> None:
    listed = trial.list(prefix)
    first = trial.list(prefix, limit=1)
    behind = trial.list(prefix, after=keys[0])
    if (listed, first, behind) != (keys, keys[:1], keys[1:]):
        raise trial.refused(
            "list",
            f"it created {keys} but lists {listed}, first {first}, and behind the first {behind}: a lake finds the "
            "head of a branch by the order of names",
        )


def _check_ranges(trial: _Trial, key: str) -> None:
    data = trial.read(key)
    for start, stop in ((1, 5), (len(data) - 3, len(data) + 10)):
        if trial.read(key, (start, stop)) != data[start:stop]:
            raise trial.refused("read", f"the range {start} to {stop} of {len(data)} bytes has wrong bytes")


def _check_deleted(trial: _Trial, prefix: str, keys: list[str]) -> None:
    if leftover := trial.list(prefix):
        raise trial.refused("delete", f"{leftover} are still listed after they were deleted")
    try:
        trial.read(keys[0])
    except ObjectNotFound:
        return
    except StoreError as error:
        raise trial.refused("read", f"a deleted name gives another error than that it is not there: {error}") from error
    raise trial.refused("delete", f"{keys[0]} is still read after it was deleted")
