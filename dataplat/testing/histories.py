"""Histories of many logical writers on one lake, with faults, each judged when it is over.

    python -m dataplat.testing.histories 2000            # seeds 0 to 1999
    python -m dataplat.testing.histories 1 --seed 1234 --story

Writers append, insert, upsert, delete, replace, read sources from positions, drop, rename, evolve, roll back, commit
to two datasets at once, compact, create and delete branches, merge them, cherry-pick and revert, hold branches to
contracts, tag, read under a lease, and collect what is not needed; requests time out and land late or never, writers
die and start again. Afterwards no commit may be lost or doubled, refs must be linearizable, rows, digests and counts
those of a plain dict to which the same operations were done one after the other, and data and positions together;
compactions changed no row, branches always met their contracts; everything that a branch or tag needs is there, and
after one more collection nothing else. See `docs/reliability.md`.
"""

# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from random import Random

from dataplat.lake.stores import Store
from dataplat.testing._history_check import Checker
from dataplat.testing._history_erase import PAIRS, erase_all
from dataplat.testing._history_kept import clean_up
from dataplat.testing._history_model import Broken
from dataplat.testing._history_plans import Operation
from dataplat.testing._history_script import Attempt, Founder, Script
from dataplat.testing._history_writer import Session
from dataplat.testing._sim_memo import forget_remembered, remembering
from dataplat.testing.simulator import Faults, Simulator
from dataplat.versioning._cache import forget_decoded

__all__ = ["Broken", "Failure", "History", "Verdict", "failures", "run_history", "verdicts"]

BRANCHES = ("main", "exp")
WEIGHTS = {
    "append": 6,
    "insert": 5,
    "upsert": 8,
    "ingest": 6,
    "delete": 6,
    "replace": 3,
    "pair": 3,
    "rollback": 4,
    "branch": 2,
    "unbranch": 1,
    "tag": 2,
    "drop": 1,
    "rename": 2,
    "gc": 4,
    "read": 2,
    "slow": 2,
    "again": 3,
    "compact": 5,
    "evolve": 1,
    "merge": 6,
    "pick": 2,
    "revert": 2,
    "protect": 2,
    "unprotect": 1,
    "erase": 2,
}
MIXED = ((1, 2, 2, 3, 4, 6), (2, 2, 2, 3, 4, 5))
"""What is drawn from, evenly: operations of a writer, and writers. Many histories are short, some are not."""
FOCUSED = ((2, 3, 4, 5, 6), (2, 3, 4, 5))
"""The same where weights are given."""
BETWEEN = frozenset({"branch", "merge", "pick", "unbranch"})
MERGES = frozenset({"merge", "pick", "revert"})
"""Not together with erases: the model does not know which rows were erased when a merge looked for conflicts."""
MONTHS = 60 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class History:
    """One history that ran: its simulator, for the trace and what it left, and what its writers tried."""

    simulator: Simulator
    attempts: list[Attempt]
    keep: str = "all"
    erases: list[Operation] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)
    """Ids of the erases that said that nothing is left."""

    def check(self) -> None:
        """Raise `Broken` if an invariant does not hold."""
        with _simulated():
            self._check()

    def _check(self) -> None:
        forget_decoded()
        store = self.simulator.store
        checker = Checker(store, self.attempts, BRANCHES, self.keep, self.erases)
        if self.erases:
            checker.check_erased(self.erased)
            self.simulator.now += MONTHS
            erase_all(store, self.simulator, self.erases)
            forget_decoded()
            checker = Checker(store, self.attempts, BRANCHES, self.keep, self.erases)
            checker.check_erased({operation.id for operation in self.erases})
        checker.check()
        if any(attempt.kind in {"gc", "erase"} for attempt in self.attempts):
            self.simulator.now += MONTHS  # nothing is under way any more, and nobody holds a lease
            clean_up(store, self.keep, self.simulator)


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed whose history broke an invariant, or raised what a writer must not meet."""

    seed: int
    error: Exception

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {type(self.error).__name__}: {self.error}\n"
            f"  replay: python -m dataplat.testing.histories 1 --seed {self.seed} --story"
        )


def run_history(
    seed: int,
    *,
    faults: Faults | None = None,
    weights: Mapping[str, int] | None = None,
    store: Store | None = None,
) -> History:
    """Run the history of `seed` and return it, unjudged.

    `faults` and `weights` (how often which operation is drawn) are of the seed's own drawing unless given. `store` is
    an empty one to run it on, instead of one in memory: it is the same history there, and has the same end.

    Raises:
        Exception: Whatever a writer met that no writer may meet (a missing object, a damaged one, a bug).
    """
    forget_decoded()
    forget_remembered()
    rng = Random(seed)
    simulator = Simulator(seed, faults or Faults.drawn(rng), store=store)
    branches = rng.choice((("main",), BRANCHES))
    sizes = MIXED if weights is None else FOCUSED
    script = Script(
        operations=rng.choice(sizes[0]),
        retries=rng.random() < 0.4,
        attempts=rng.choice((1, 2, 6, 10)),
        weights=_fitting(_drawn_weights(rng) if weights is None else weights, branches),
        keep=rng.choice(("all", "1", "2")),
        branches=branches,
        auto=rng.choice((0.0, 0.2)),
    )
    _lay_ground(simulator, script)
    for _ in range(rng.choice(sizes[1])):
        simulator.spawn(lambda me: Session(simulator, me, script).run(), restarts=1)
    with _simulated():
        simulator.run()
    return History(simulator, script.done, script.keep, script.erases, script.erased)


@contextmanager
def _simulated() -> Iterator[None]:
    """Let erases look at pairs, and pure functions remember; may be entered again inside."""
    before = [vars(owner)[name] for owner, name, _ in PAIRS]
    for owner, name, other in PAIRS:
        setattr(owner, name, other)
    try:
        with remembering():
            yield
    finally:
        for (owner, name, _), original in zip(PAIRS, before, strict=True):
            setattr(owner, name, original)


def _lay_ground(simulator: Simulator, script: Script) -> None:
    """Put into the store what every history begins with."""
    keys, attempts = _ground(script.branches)
    for key, data in keys:
        simulator.store.create(key, data)
    script.done += attempts


@cache
def _ground(branches: tuple[str, ...]) -> tuple[list[tuple[str, bytes]], list[Attempt]]:
    """Return the keys of a new lake with what `Session.found` puts into it, and what its founder tried."""
    simulator = Simulator(0, Faults.none())
    script = Script(operations=0, retries=False, attempts=1, weights={}, branches=branches)
    Session(simulator, Founder(simulator, 0), script).found()
    return [(info.key, simulator.store.read(info.key)) for info in simulator.store.list("")], script.done


def _drawn_weights(rng: Random) -> dict[str, int]:
    """Draw what one history is about; what costs much (each erase and each collection looks at all) is in a share."""
    weights = {kind: weight * rng.choice((0, 1, 1, 3)) for kind, weight in WEIGHTS.items()} | {"ingest": 6}
    left_out = rng.choice((MERGES, *3 * (frozenset({"erase"}),))) | rng.choice((frozenset(), frozenset({"gc"})))
    return {kind: weight for kind, weight in weights.items() if kind not in left_out}


def _fitting(weights: Mapping[str, int], branches: tuple[str, ...]) -> dict[str, int]:
    """Leave out what takes two branches where there is one."""
    return {kind: weight for kind, weight in weights.items() if len(branches) > 1 or kind not in BETWEEN}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one history went: its attempts by kind and outcome, and its failure, if it is one."""

    seed: int
    ends: Counter[tuple[str, str]]
    failure: Failure | None = None


def verdicts(seeds: Iterable[int], *, weights: Mapping[str, int] | None = None) -> Iterator[Verdict]:
    """Run and judge the histories of `seeds` (see `run_history`), one after the other."""
    for seed in seeds:
        ends: Counter[tuple[str, str]] = Counter()
        try:
            with _simulated():
                run = run_history(seed, weights=weights)
                ends.update((attempt.kind, attempt.outcome) for attempt in run.attempts)
                run.check()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            yield Verdict(seed, ends, Failure(seed, error))
        else:
            yield Verdict(seed, ends)


def failures(seeds: Iterable[int], *, weights: Mapping[str, int] | None = None) -> Iterator[Failure]:
    """Run and judge the histories of `seeds` (see `run_history`); yield those that fail."""
    return (verdict.failure for verdict in verdicts(seeds, weights=weights) if verdict.failure is not None)


def main(arguments: list[str] | None = None) -> int:
    """Run histories; print how many a second, and the seeds of those that failed. Return 1 if one did."""
    parser = argparse.ArgumentParser(
        prog="python -m dataplat.testing.histories", description="Run simulated histories."
    )
    parser.add_argument("number", type=int, nargs="?", default=2000, help="how many (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--story", action="store_true", help="print what happened, call by call")
    options = parser.parse_args(arguments)
    if options.story:
        return _tell(options.seed)
    began = time.perf_counter()
    found = 0
    for failure in failures(range(options.seed, options.seed + options.number)):
        found += 1
        print(failure, flush=True)
    seconds = time.perf_counter() - began
    print(f"{options.number:,} histories in {seconds:.1f} s ({options.number / seconds:.0f}/s), {found} failed")
    return 1 if found else 0


def _tell(seed: int) -> int:
    run = run_history(seed)
    print(run.simulator.story())
    for attempt in run.attempts:
        print(attempt)
    print(dict(Counter(attempt.outcome for attempt in run.attempts)))
    run.check()
    print("every invariant holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
