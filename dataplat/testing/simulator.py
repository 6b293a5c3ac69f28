"""A deterministic simulator: many logical writers on one store, in an order, with faults and clocks drawn from a seed.

    def writer(me: Writer) -> None:
        ...  # uses me.store, me.clock(), me.sleep(s), me.rng and nothing else that varies from run to run

    simulator = Simulator(seed=17)
    for _ in range(4):
        simulator.spawn(writer)
    simulator.run()
    simulator.store  # what the history left behind, asked without faults: memory, or the store that was given

Each writer is a greenlet, and every call to its store is a point at which another may go on. A call may time out
(having taken effect, or taking effect at a later point, even after the writer tried again or died, or never), its
writer may be paused for long, or die before, during or after it. Nothing else switches, so a history is its seed:
the same seed gives the same `trace`. What must not happen in a writer: threads, real sleeping, a lock that is held
across a call to the store, bytes from `os.urandom` or times from the real clock.

The method is FoundationDB's (Zhou et al., "FoundationDB: A Distributed Unbundled Transactional Key Value Store",
SIGMOD 2021, section 4: deterministic simulation).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

from greenlet import getcurrent, greenlet

from dataplat.lake.stores import MemoryStore, Store
from dataplat.testing._sim_faults import Faults
from dataplat.testing._sim_store import InFlight, SimStore, TimedStore
from dataplat.testing.store_faults import SimulatedCrash

__all__ = ["Event", "Faults", "HistoryTooLong", "SimStore", "SimulatedCrash", "Simulator", "Writer"]

_EPOCH = 1_790_000_000_000_000
"""Where the virtual clock begins (µs; in September 2026)."""
_STEP = 1_000
"""The longest time between two scheduling points (µs)."""


class HistoryTooLong(AssertionError):
    """A history took more steps than it may: its writers do not come to an end."""


class Event(NamedTuple):
    """One thing that happened: at which step and virtual time (µs), to whose call, and how it went."""

    step: int
    time: int
    writer: str
    operation: str
    key: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.step:5} {(self.time - _EPOCH) / 1e6:11.6f} s  {self.writer:8} {self.operation:7} {self.key}  {self.outcome}"


_event = Event._make


class Writer:
    """One logical process: what its function may use, and how it ended."""

    def __init__(self, simulator: Simulator, name: str, run: Callable[[], Any], skew: int, seed: int) -> None:
        self.name = name
        self.skew = skew
        self.rng = Random(seed)
        self.store = SimStore(simulator, self)
        self.result: Any = None
        self.error: Exception | None = None
        self.crashed = False
        self.finished = False
        self._simulator = simulator
        self._run = run
        self.greenlet = greenlet(self._main, simulator.scheduler)

    def __repr__(self) -> str:
        state = "crashed" if self.crashed else "finished" if self.finished else "running"
        return f"<Writer {self.name}: {state}>"

    def clock(self) -> int:
        """Return the time of this writer's own, skewed, clock (µs since the epoch)."""
        return self._simulator.now + self.skew

    def monotonic(self) -> float:
        """Return the virtual time in seconds, for budgets."""
        return self._simulator.now / 1e6

    def sleep(self, seconds: float) -> None:
        """Let the others go on for so much virtual time."""
        self.store.check_alive()
        self._simulator.park(self, int(seconds * 1e6))

    def token(self, size: int = 16) -> str:
        """Return random hex digits for a nonce: of the seed, so that a replay writes the same bytes."""
        return self.rng.randbytes(size).hex()

    def _main(self) -> None:
        try:
            self.result = self._run()
        except SimulatedCrash:
            self.crashed = True
        except Exception as error:  # noqa: BLE001 - raised again by run(), with seed and writer
            self.error = error
        self.finished = True
        self._simulator.leave(self)


class Simulator:
    """Run writers on one store in an order, with faults, drawn from `seed`.

    `store` is what lies beneath, a new one in memory unless given; read it freely after `run`. One that is given is
    empty, and must not fail by itself: its objects get their times from the simulator, and everything else is its
    own, so that a seed is the same history on whatever keeps a store's promises. `max_steps` bounds a history
    (`HistoryTooLong`).
    """

    def __init__(
        self, seed: int, faults: Faults | None = None, *, max_steps: int = 100_000, store: Store | None = None
    ) -> None:
        self.seed = seed
        self.faults = Faults() if faults is None else faults
        self.max_steps = max_steps
        self.rng = Random(seed)
        self.now = _EPOCH
        self.step = 0
        self.trace: list[Event] = []
        self.writers: list[Writer] = []
        self.in_flight: list[InFlight] = []
        self.store: Store = (
            MemoryStore(clock=self._time, name=f"simulated {seed}") if store is None else TimedStore(store, self._time)
        )
        self.scheduler = getcurrent()
        self._ending = False
        self._too_long = False
        self._random = self.rng.random
        self._ready: list[Writer] = []
        self._parked: list[tuple[int, int, Writer]] = []

    def _time(self) -> int:
        return self.now

    def spawn(self, function: Callable[[Writer], Any], *, name: str = "", restarts: int = 0) -> Writer:
        """Add a writer that runs `function(writer)`, also while others run.

        When it dies, another is started in its place, at most `restarts` times, as a supervisor would.
        """
        name = name or f"w{len(self.writers) + 1}"
        skew = self.rng.randint(-self.faults.skew_us, self.faults.skew_us)

        def main() -> Any:
            try:
                return function(writer)
            except SimulatedCrash:
                if restarts and not self._ending:
                    self.spawn(function, name=name + "'", restarts=restarts - 1)
                raise

        writer = Writer(self, name, main, skew, self.rng.getrandbits(64))
        self.writers.append(writer)
        self._ready.append(writer)
        return writer

    def run(self) -> Simulator:
        """Run all writers to their ends, then let what is still under way land; raise the first error of a writer."""
        try:
            while self._ready or self._parked:  # comes back here whenever a writer has ended
                self._next().greenlet.switch()
                if self._too_long:
                    raise self._long()
        finally:
            self._end()
        while self.in_flight:
            self._land()
        for writer in self.writers:
            if writer.error is not None:
                writer.error.add_note(f"in writer {writer.name} of the simulated history with seed {self.seed}")
                raise writer.error
        return self

    def _next(self) -> Writer:
        """Let time pass until somebody can go on, and draw who does; a request under way may land."""
        self.step += 1
        if self.step > self.max_steps:
            raise self._long()
        rng = self._random
        self.now += 1 + int(rng() * _STEP)
        if self.in_flight and rng() < self.faults.land:
            self._land()
        parked, ready = self._parked, self._ready
        if parked:
            if not ready and parked[0][0] > self.now:
                self.now = parked[0][0]
            while parked and parked[0][0] <= self.now:
                ready.append(heappop(parked)[2])
        return ready[int(rng() * len(ready))]

    def _long(self) -> HistoryTooLong:
        return HistoryTooLong(f"the history with seed {self.seed} did not end within {self.max_steps} steps")

    def _land(self) -> None:
        request = self.in_flight.pop(int(self.rng.random() * len(self.in_flight)))
        self.record(request.writer, request.operation, request.key, "late: " + request.apply())

    def _end(self) -> None:
        """Unwind the writers that are left when a history is broken off."""
        self._ending = True
        for writer in self.writers:
            while not writer.finished and writer.greenlet:
                writer.store.dead = True
                writer.greenlet.switch()
            writer.finished = True

    def pause(self, writer: Writer) -> None:
        """Give up the turn of `writer`, which is running, until it is drawn again."""
        if self.step >= self.max_steps:
            self._too_long = True
            self.scheduler.switch()  # which ends all
            return
        drawn = self._next()
        if drawn is not writer:
            drawn.greenlet.switch()

    def park(self, writer: Writer, micros: int) -> None:
        """Take `writer`, which is running, out of the order until `micros` have passed."""
        self._ready.remove(writer)
        heappush(self._parked, (self.now + max(micros, 1), self.step, writer))
        self.pause(writer)

    def leave(self, writer: Writer) -> None:
        """Take `writer`, which has ended, out of the order."""
        if writer in self._ready:
            self._ready.remove(writer)

    def record(self, writer: str, operation: str, key: str, outcome: str) -> None:
        """Add an event to the trace."""
        self.trace.append(_event((self.step, self.now, writer, operation, key, outcome)))

    def fingerprint(self) -> str:
        """Return the SHA-256 of the trace: equal for equal histories."""
        return hashlib.sha256("\n".join(map(repr, self.trace)).encode()).hexdigest()

    def story(self) -> str:
        """Return the trace as text, one event per line, for a person who looks for a fault."""
        return "\n".join(map(str, self.trace))
