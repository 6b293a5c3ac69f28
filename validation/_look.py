"""What row checks find in blocks: what is remembered, row groups that statistics or dictionaries prove, rows."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeAlias

import pyarrow as pa
from pandera.backends.polars.register import register_polars_backends

from dataplat.validation._compile import Plan, PlannedCheck
from dataplat.validation._element_wise import Overdue
from dataplat.validation._memory import Found, Memory
from dataplat.validation._proof import proven
from dataplat.validation._rows import as_frame, check_rows, mask_of
from dataplat.validation.report import EXAMPLES_PER_CHECK, HOW, CheckOutcome, Example, Status
from dataplat.validation.subject import ROW, Block, Unit


@dataclass(frozen=True, slots=True)
class Told:
    """What a check came to over some blocks."""

    failing: int
    examples: tuple[Example, ...]
    fault: str
    settled: dict[str, int]


@dataclass(slots=True)
class Sum:
    """What a check came to, over the blocks so far."""

    check: PlannedCheck
    failing: int = 0
    rows: int = 0
    examples: list[Example] = field(default_factory=list)
    fault: str = ""
    settled: dict[str, int] = field(default_factory=dict)

    def add(self, found: Found, **settled: int) -> None:
        """Add what was found in rows that were `settled` in these ways."""
        self.failing += found.failing
        for how, rows in settled.items():
            self.rows += rows
            self.settled[how] = self.settled.get(how, 0) + rows
        room = EXAMPLES_PER_CHECK - len(self.examples)
        self.examples += found.examples[: max(room, 0)]

    def told(self) -> Told:
        """Return it without the check, as it travels."""
        return Told(self.failing, tuple(self.examples), self.fault, dict(self.settled))

    def take(self, told: Told) -> None:
        """Add what was told of other blocks."""
        self.fault = self.fault or told.fault
        self.add(Found(told.failing, told.examples), **told.settled)

    def outcome(self) -> CheckOutcome:
        if self.fault:
            return self.check.outcome("could not check", self.rows, self.fault)
        settled = tuple((way, self.settled[way]) for way in HOW if self.settled.get(way))
        passed = replace(self.check.outcome("passed", self.rows), settled=settled or (("proven", 0),))
        if not self.failing:
            return passed
        status: Status = "warned" if self.check.severity == "warn" else "failed"
        return replace(passed, status=status, failing=self.failing, examples=tuple(self.examples))


_Seen: TypeAlias = "tuple[Found | str, int]"
"""What was found, or why that is not known, in how many rows that were read."""

Todo: TypeAlias = "Sequence[tuple[Block, list[int]]]"
"""Blocks with rows to look at, each with the numbers of the checks that are open."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was told of each check, by number: of blocks that are remembered, and of those that were read; rows read."""

    remembered: Mapping[int, Told]
    read: Mapping[int, Told]
    rows_read: int


@dataclass(slots=True)
class Look:
    """Looks at blocks, where it is called.

    Only the columns of checks that are open are read. `asked` are the ids of what each check of the plan asks.
    """

    plan: Plan
    key: Sequence[str]
    asked: Sequence[str]
    memory: Memory
    threads: int
    sample: float | None = None
    rows_read: int = field(default=0, init=False)
    _faults: dict[str, str] = field(default_factory=dict, init=False)

    def __call__(self, todo: Todo) -> Seen:
        """Return what the checks came to, and remember it."""
        register_polars_backends()  # pandera does so at the first validation only
        before, self.rows_read = self.rows_read, 0
        numbers = sorted({number for _, pending in todo for number in pending})
        known = {number: Sum(self.plan.row[number]) for number in numbers}
        sums = {number: Sum(self.plan.row[number]) for number in numbers}
        left = []
        for block, pending in todo:
            still = [number for number in pending if not self._remembered(block, number, known[number])]
            if still:
                left.append((block, still))
        for block, pending, found in self._read(left):
            self._take(block, pending, found, sums)
        of_memory, of_rows = ({number: each.told() for number, each in side.items()} for side in (known, sums))
        seen = Seen(of_memory, of_rows, self.rows_read)
        self.rows_read += before
        return seen

    def _take(self, block: Block, pending: Sequence[int], found: Sequence[_Seen], sums: Mapping[int, Sum]) -> None:
        whole: dict[str, Found] = {}
        for number, (one, scanned) in zip(pending, found, strict=True):
            if isinstance(one, str):
                sums[number].fault = sums[number].fault or one
            elif self.sample is not None:
                sums[number].add(one, sampled=block.rows)
            else:
                sums[number].add(one, proven=block.rows - scanned, scanned=scanned)
                whole[self.asked[number]] = one
        self.memory.keep(block, whole)

    def _remembered(self, block: Block, number: int, total: Sum) -> bool:
        found = self.memory.find(block, self.asked[number])
        if found is None:
            return False
        total.add(found, remembered=block.rows)
        return True

    def _read(self, todo: Todo) -> Iterator[tuple[Block, list[int], list[_Seen]]]:
        """Yield what the rows say of each block, read by threads a few row groups ahead."""
        work = self._work(todo)
        found: list[_Seen] = []
        with ThreadPoolExecutor(self.threads, thread_name_prefix="dataplat-validate") as pool:
            ahead: deque[tuple[int, Future[list[_Seen]] | None]] = deque()

            def more(room: int) -> None:
                for at, unit, checks in islice(work, room):
                    ahead.append((at, None if unit is None else pool.submit(self._judge, unit, checks)))

            try:
                more(2 * self.threads)
                while ahead:
                    at, future = ahead.popleft()
                    block, pending = todo[at]
                    if future is None:  # the block's end
                        yield block, pending, found or [(Found(0), 0)] * len(pending)
                        found = []
                    else:
                        found = _joined(found, [(_placed(one, block), rows) for one, rows in future.result()])
                    more(1)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, todo: Todo) -> Iterator[tuple[int, Unit | None, list[PlannedCheck | None]]]:
        """Yield units with the checks that they leave open, and None behind each block's last."""
        for at, (block, pending) in enumerate(todo):
            checks = [self.plan.row[number] for number in pending]
            for place, unit in enumerate(block.units(self._columns(checks), self._texts(checks))):
                if not self._wanted(block, place):
                    continue
                stats = unit.stats
                still = [None if self._proven(check, stats, unit.rows) else check for check in checks]
                if any(still):
                    yield at, unit, still
            yield at, None, []

    def _wanted(self, block: Block, unit: int) -> bool:
        """Return whether a row group is in the sample: by its place, and so the same ones whenever it is asked."""
        return self.sample is None or zlib.crc32(f"{block.name}:{unit}".encode()) < self.sample * 2**32

    def _proven(self, check: PlannedCheck, stats: object, rows: int) -> bool:
        if check.column is None or not stats:
            return False
        return proven(check, stats, rows, self.plan.schema.field(check.column).type)  # type: ignore[arg-type]

    def _columns(self, checks: Sequence[PlannedCheck]) -> list[str]:
        names = self.plan.schema.names
        if any(check.column is None for check in checks):
            return list(names)
        needed = {check.column for check in checks} | set(self.key)
        return [name for name in names if name in needed]

    def _texts(self, checks: Sequence[PlannedCheck]) -> set[str]:
        """Return the columns of text that are asked of value by value."""
        if any(check.column is None for check in checks):
            return set()
        kinds = {field.name: field.type for field in self.plan.schema}
        return {check.column for check in checks if check.column and pa.types.is_string(kinds[check.column])}

    def _judge(self, unit: Unit, checks: Sequence[PlannedCheck | None]) -> list[_Seen]:
        """Return what each check found in how many rows read; None (proven) found nothing."""
        known = self._without_rows(unit, checks)
        asked = [check for check, one in zip(checks, known, strict=True) if check is not None and one is None]
        found: list[_Seen] = []
        for batch in unit.only(self._columns(asked)).read() if asked else ():
            self.rows_read += batch.num_rows
            positions = batch.column(ROW)
            names = [name for name in batch.schema.names if name in self.plan.schema.names]
            verdict = check_rows(self.plan, batch.select(names), self.key, asked)
            outcomes = verdict.outcomes[len(self.plan.shape) :]
            found = _joined(found, [(_found(outcome, positions), batch.num_rows) for outcome in outcomes])
        each = iter(found or [(Found(0), 0)] * len(asked))
        seen = [next(each) if one is None else (one, 0) for one in known]
        for check, (what, _) in zip(checks, seen, strict=True):
            if check is not None and isinstance(what, str):
                self._faults.setdefault(check.id, what)
        return seen

    def _without_rows(self, unit: Unit, checks: Sequence[PlannedCheck | None]) -> list[Found | str | None]:
        """Return what is known of each check before rows are read: None (proven) found nothing.

        One that could not be evaluated on other rows is not tried again: it may have run into its time limit.
        """
        dictionaries = {name: unit.dictionary(name) for name in self._texts([each for each in checks if each])}
        known: list[Found | str | None] = []
        for check in checks:
            if check is None:
                known.append(Found(0))
            elif check.id in self._faults:
                known.append(self._faults[check.id])
            else:
                values = dictionaries.get(check.column or "")
                known.append(None if values is None else _of_values(check, values, unit))
        return known


def _of_values(check: PlannedCheck, values: pa.Array, unit: Unit) -> Found | str | None:
    """Return what a check found where it passes these values, and null if there may be one; None where it does not."""
    column = str(check.column)
    if not check.null_passes:
        stats = unit.stats.get(column)
        if stats is None or stats.nulls:
            return None
    result = mask_of(check, as_frame(pa.table({column: values}), [column])) if len(values) else None
    if isinstance(result, Overdue):
        return result
    return Found(0) if result is None else None


def _found(outcome: CheckOutcome, positions: pa.Array) -> Found | str:
    if outcome.status == "could not check":
        return outcome.detail or "it could not be evaluated"
    examples = (
        replace(example, position=None if example.position is None else positions[example.position].as_py())
        for example in outcome.examples
    )
    return Found(outcome.failing or 0, tuple(examples))


def _placed(found: Found | str, block: Block) -> Found | str:
    if isinstance(found, str) or not found.examples:
        return found
    return replace(found, examples=tuple(replace(example, part=block.name) for example in found.examples))


def _joined(one: list[_Seen], two: list[_Seen]) -> list[_Seen]:
    return [(_both(a, b), m + n) for (a, m), (b, n) in zip(one, two, strict=True)] if one else two


def _both(one: Found | str, two: Found | str) -> Found | str:
    if isinstance(one, str):
        return one
    if isinstance(two, str):
        return two
    return Found(one.failing + two.failing, (*one.examples, *two.examples)[:EXAMPLES_PER_CHECK])
