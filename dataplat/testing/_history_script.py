"""Scripts of simulated writers: what each may try how often, what it runs as, and how its operations ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from dataplat.errors import (
    AlreadyExists,
    BranchProtected,
    CommitConflict,
    ContractFailed,
    KeyViolation,
    RefError,
    StoreTimeout,
)

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.testing._history_plans import Operation
    from dataplat.testing.simulator import Simulator

Outcome: TypeAlias = Literal["done", "refused", "in doubt", "died"]

REFUSALS = (AlreadyExists, BranchProtected, CommitConflict, ContractFailed, KeyViolation, RefError, StoreTimeout)
"""Errors that a writer may meet, and that promise that nothing was changed."""

FEEDS = frozenset({"append", "insert", "ingest", "upsert"})
DATASETS = ("events", "users", "stream")
LIMITS = (20, 40, 40)
"""Greatest keys that contracts allow; keys go to 47."""

KEYS = 12
"""Keys that are there from the beginning. They are few, so that writers meet; as many again may be added."""


@dataclass(slots=True)
class Attempt:
    """One operation as its writer saw it; `died` until it ends. Times are steps of the simulator."""

    id: str
    kind: str
    branch: str
    began: int
    ended: int = -1
    outcome: Outcome = "died"
    commit_id: str = ""


@dataclass(slots=True)
class Script:
    """How writers of one history behave: how many operations each, whether reads are retried, which kinds how often."""

    operations: int
    retries: bool
    attempts: int
    weights: dict[str, int]
    keep: str = "all"
    branches: tuple[str, ...] = ("main", "exp")
    auto: float = 0.0
    done: list[Attempt] = field(default_factory=list)
    erases: list[Operation] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)


class Process(Protocol):
    """What a session needs of a simulated writer."""

    name: str
    rng: Random

    @property
    def store(self) -> Store:
        """The writer's own way to the store."""
        ...

    def clock(self) -> int:
        """Return µs since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def token(self) -> str:
        """Return a nonce."""
        ...


class Founder:
    """A process alone on a store without faults: it lays the ground that writers then meet on."""

    name = "founder"

    def __init__(self, simulator: Simulator, seed: int) -> None:
        self.store: Store = simulator.store
        self.rng = Random(seed)
        self._simulator = simulator

    def clock(self) -> int:
        """Return the simulator's time, which stands still."""
        return self._simulator.now

    def monotonic(self) -> float:
        """Return it in seconds."""
        return self._simulator.now / 1e6

    def sleep(self, seconds: float) -> None:
        """Do not wait: there is nobody to wait for."""

    def token(self) -> str:
        """Return a nonce of the seed."""
        return self.rng.randbytes(16).hex()
