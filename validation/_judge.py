"""Judges rows block by block, the cheapest way first: statistics, what is remembered, row groups, rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from dataplat.lake.engine import in_runs
from dataplat.validation._compile import Plan, PlannedCheck
from dataplat.validation._identity import check_id
from dataplat.validation._look import Look, Sum, Todo, Told
from dataplat.validation._memory import Found, Memory
from dataplat.validation._proof import proven
from dataplat.validation.report import CheckOutcome
from dataplat.validation.subject import Block, Subject

AT_ONCE: Final = 8
"""Blocks that one call of an engine looks at."""

Came: TypeAlias = "Callable[[Any], Literal['new', 'held'] | None]"
"""Of a block whose rows all passed the row checks: whether just now, as they came, or in a version before."""


def _nobody_knows(_: Block) -> None:
    return None


@dataclass(slots=True)
class Judge:
    """Evaluates the row checks of a plan on a subject.

    A check is settled by what is remembered of the version, or of a version before for the blocks that both have; else
    per block: by the block's statistics, by what is remembered of the block, else by its row groups, those left out that
    statistics or dictionaries prove. Only the columns of checks that are still open are read.
    """

    plan: Plan
    subject: Subject
    key: Sequence[str]
    memory: Memory
    came: Came = _nobody_knows
    sample: float | None = None
    rows_read: int = field(default=0, init=False)
    _new: dict[str, frozenset[int] | None] = field(default_factory=dict, init=False)

    def run(self) -> list[CheckOutcome]:
        """Return one outcome per row check."""
        checks = self.plan.row
        asked = [self._asked(check) for check in checks]
        version = self.subject.version
        known = [self.memory.whole(version, one) for one in asked]
        open_ = [number for number, outcome in enumerate(known) if outcome is None]
        sums = {number: Sum(checks[number]) for number in open_}
        if open_:
            self._over_blocks(sums, asked)
        found: list[CheckOutcome] = []
        for number, check in enumerate(checks):
            outcome = known[number] or sums[number].outcome()
            if known[number] is None and outcome.how != "sampled":
                self.memory.keep_whole(version, asked[number], outcome)
            found.append(_named(outcome, check))
        return found

    def _over_blocks(self, sums: Mapping[int, Sum], asked: Sequence[str]) -> None:
        todo: list[tuple[Block, list[int]]] = []
        left = {number: self._not_vouched(asked[number], total) for number, total in sums.items()}
        for at in sorted(set().union(*left.values())):
            block = self.subject.blocks[at]
            pending = [
                number for number, total in sums.items() if at in left[number] and not self._settled(block, total)
            ]
            came = self.came(block) if pending else None
            if came is not None:
                self._taken(block, [(sums[number], asked[number]) for number in pending], new=came == "new")
                continue
            if pending:
                todo.append((block, pending))
        self._look_at(todo, sums, asked)

    def _look_at(self, todo: Todo, sums: Mapping[int, Sum], asked: Sequence[str]) -> None:
        """Have the engine look at blocks: a few at a time where they travel, else at all of them together."""
        look = Look(self.plan, tuple(self.key), tuple(asked), self.memory, self.subject.threads, self.sample)
        read: list[Mapping[int, Told]] = []
        for seen in self.memory.engine.map(look, in_runs(self.memory.engine, todo, AT_ONCE)):
            self.rows_read += seen.rows_read
            for number, told in seen.remembered.items():
                sums[number].take(told)
            read.append(seen.read)
        for number, told in ((number, told) for each in read for number, told in each.items()):
            sums[number].take(told)

    def _taken(self, block: Block, checks: Sequence[tuple[Sum, str]], *, new: bool) -> None:
        """Take the rows of a block for good: they passed as they came."""
        for total, _ in checks:
            total.add(Found(0), **{"scanned" if new else "remembered": block.rows})
        if new:
            self.memory.keep(block, {asked: Found(0) for _, asked in checks}, new=True)

    def _not_vouched(self, asked: str, total: Sum) -> Collection[int]:
        """Return the blocks with rows that no version before passed; those of the others are added up."""
        blocks = self.subject.blocks
        for version in self.subject.earlier:
            outcome = self.memory.whole(version, asked)
            if outcome is None:
                continue
            new = self._new_since(version) if outcome.failing == 0 else None
            if new is None:
                break
            total.add(Found(0), **_as_before(outcome, self.subject.rows - sum(blocks[at].rows for at in new)))
            return new
        return range(len(blocks))

    def _new_since(self, version: str) -> Collection[int] | None:
        if version not in self._new:
            new = self.subject.new_since(version)
            self._new[version] = None if new is None else frozenset(new)
        return self._new[version]

    def _settled(self, block: Block, total: Sum) -> bool:
        check = total.check
        if check.column is None or check.column not in self.plan.schema.names:
            return False
        if not proven(check, block.stats, block.written, self.plan.schema.field(check.column).type):
            return False
        total.add(Found(0), proven=block.rows)
        return True

    def _asked(self, check: PlannedCheck) -> str:
        """Return the id of what is asked of the columns as they are stored, with the key that examples name."""
        names = self.plan.schema.names if check.column is None else [check.column]
        stored = [self.subject.stored(name) for name in names]
        keys = [[name, self.subject.stored(name)] for name in self.key]
        return check_id(check.id, stored, keys)


def _as_before(outcome: CheckOutcome, rows: int) -> dict[str, int]:
    """Return how `rows` rows are settled of those that passed in a version before: deletes may have left fewer."""
    proven = dict(outcome.settled).get("proven", 0)
    if proven == outcome.rows:
        return {"proven": rows}
    return {"proven": proven, "remembered": rows - proven} if rows == outcome.rows else {"remembered": rows}


def _named(outcome: CheckOutcome, check: PlannedCheck) -> CheckOutcome:
    """Return an outcome, which may be of the same check in another contract, as that of `check`."""
    status = outcome.status
    if status in {"failed", "warned"}:
        status = "warned" if check.severity == "warn" else "failed"
    return replace(outcome, number=check.number, severity=check.severity, status=status)
