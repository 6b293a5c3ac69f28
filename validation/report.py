"""What a contract found: outcomes of checks, and the report that they add up to (standard library only)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES_PER_CHECK = 100
"""Failing rows that are kept per check; the rest are counted only."""

Level: TypeAlias = Literal["schema", "row", "dataset"]
Severity: TypeAlias = Literal["error", "warn"]
Status: TypeAlias = Literal["passed", "failed", "warned", "could not check", "not asked"]
How: TypeAlias = Literal["proven", "remembered", "scanned", "sampled", "skipped"]
"""How a check was settled: by statistics or by how the data is kept; by an earlier answer for the same part; by reading
all its values, or some; or not at all."""

HOW: tuple[How, ...] = ("proven", "remembered", "scanned", "sampled", "skipped")
"""Cheapest first."""

_ID = re.compile("[0-9a-f]{64}")
_SHOWN_EXAMPLES = 3
_SHOWN_NAME = 120
_SIGNS: Mapping[Status, str] = {
    "passed": "ok",
    "failed": "FAILED",
    "warned": "warning",
    "could not check": "NOT CHECKED",
    "not asked": "not asked",
}


@dataclass(frozen=True, slots=True)
class Example:
    """One failing row.

    `position` counts rows from 0: in the part (a Parquet object or file) that `part` names, else in the order in
    which they were read; None where a check speaks of no single row. `value` is the failing value as text (None is
    null); `key` the row's key columns as text, where asked.
    """

    position: int | None
    value: str | None
    key: tuple[tuple[str, str | None], ...] = ()
    part: str | None = None

    def __str__(self) -> str:
        where = ", ".join(f"{name}={'null' if value is None else value}" for name, value in self.key)
        if not where:
            where = "" if self.position is None else f"row {self.position}"
            where += f" of part {short_part(self.part)}" if where and self.part else ""
        value = "null" if self.value is None else self.value
        return f"{value} ({where})" if where else value

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {"part": self.part, "position": self.position, "value": self.value, "key": dict(self.key)}


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What became of one check.

    `name` is pandera's own (`greater_than_or_equal_to(0)`, `not_nullable`, `field_uniqueness`, ...); `number` its
    index among the checks of its column. `failing` counts rows exactly, and is None where no row can be named
    (schema, an aggregate, a check that could not be evaluated). `rows` are the rows that it speaks of. `settled` says
    how many rows were settled in which way.
    """

    name: str
    level: Level
    status: Status
    column: str | None = None
    number: int | None = None
    severity: Severity = "error"
    failing: int | None = 0
    rows: int = 0
    examples: tuple[Example, ...] = ()
    detail: str = ""
    settled: tuple[tuple[How, int], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the contract holds as far as this check goes: passed, failed with a warning only, or not asked here."""
        return self.status in {"passed", "warned", "not asked"}

    @property
    def how(self) -> How:
        """The dearest way in which rows were settled."""
        if self.status in {"could not check", "not asked"}:
            return "skipped"
        ways = [way for way, _ in self.settled]
        return max(ways, key=HOW.index) if ways else "proven" if self.level == "schema" else "scanned"

    @property
    def title(self) -> str:
        """Column and check in one short text."""
        name = self.name if len(self.name) <= _SHOWN_NAME else self.name[: _SHOWN_NAME - 1] + "…"
        return name if self.column is None else f"{self.column}: {name}"

    def line(self) -> str:
        """Return it as one line for people."""
        text = f"{_SIGNS[self.status]:<11} {self.title}"
        if self.status in {"failed", "warned"} and self.failing is not None:
            text += f": {self.failing:,} of {self.rows:,} rows"
        if self.examples and self.status != "passed":
            shown = "; ".join(str(example) for example in self.examples[:_SHOWN_EXAMPLES])
            text += f", e.g. {shown}"
        return f"{text}: {self.detail}" if self.detail else text

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "name": self.name,
            "column": self.column,
            "number": self.number,
            "level": self.level,
            "status": self.status,
            "how": self.how,
            "settled": dict(self.settled),
            "severity": self.severity,
            "failing": self.failing,
            "rows": self.rows,
            "examples": [example.to_dict() for example in self.examples],
            "detail": self.detail,
        }


Pictures: TypeAlias = "Callable[[], list[tuple[str, str]]]"
FailureSource: TypeAlias = "Callable[[Report], pa.Table]"


@dataclass(frozen=True, slots=True)
class Report:
    """Whether data meets a contract, check by check.

    `ok` only if every check was evaluated and none failed: what could not be checked fails; if `strict`, so does what
    was not asked, or asked of a sample only. `rows` are the rows of the dataset, `new_rows` those that row checks read.
    """

    contract: str
    contract_id: str
    rows: int
    new_rows: int
    checks: tuple[CheckOutcome, ...] = field(repr=False)
    data: str = ""
    """What was judged, such as `flights@main`."""
    version: str | None = None
    """Its version id, where it has one."""
    strict: bool = False
    seconds: float | None = field(default=None, compare=False)
    _failures: FailureSource | None = field(default=None, repr=False, compare=False)
    _beside: Pictures | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the contract is met."""
        return not self.failed

    @property
    def failed(self) -> tuple[CheckOutcome, ...]:
        """The checks because of which it is not met."""
        return tuple(check for check in self.checks if not check.ok or (self.strict and _is_open(check)))

    @property
    def coverage(self) -> float:
        """Share of (rows × checks) that were settled for certain: proven, remembered or scanned (1.0: all of them)."""
        asked = [check for check in self.checks if check.level != "schema"]
        total = sum(max(check.rows, 1) for check in asked)
        certain = sum(
            max(check.rows, 1) for check in asked if not _is_open(check) and check.status != "could not check"
        )
        return certain / total if total else 1.0

    @property
    def how(self) -> dict[How, int]:
        """How many checks were settled in which way."""
        return {way: count for way in HOW if (count := sum(check.how == way for check in self.checks))}

    @property
    def failures(self) -> pa.Table:
        """The rows that fail, as Arrow: part, row, check, column, value and the key columns (read when asked for).

        One row per failing row and check, at most 100,000 of them; `checks` count exactly. Rows by which the dataset
        as a whole fails (duplicates, custom checks) are the examples of their checks.
        """
        from dataplat.validation._failures import of_examples

        return of_examples(self.checks) if self._failures is None else self._failures(self)

    @property
    def summary(self) -> str:
        """What failed, as one line for an error message."""
        failed = [" ".join(check.line().split()) for check in self.failed]
        if not failed:
            return f"contract {self.contract} is met"
        more = len(failed) - _SHOWN_EXAMPLES
        tail = f"; and {more} more" if more > 0 else ""
        return f"contract {self.contract} is not met: {'; '.join(failed[:_SHOWN_EXAMPLES])}{tail}"

    def lines(self) -> list[str]:
        """Return the report as lines for people: a head, then what did not pass, then what did."""
        passed = [check for check in self.checks if check.status == "passed"]
        others = [check for check in self.checks if check.status != "passed"]
        head = f"contract {self.contract} ({self.contract_id[:12]}): {'met' if self.ok else 'NOT met'}"
        head += f", {len(passed)} of {len(self.checks)} checks passed, {self.rows:,} rows"
        head += f" ({', '.join(f'{count} {way}' for way, count in self.how.items())})" if self.checks else ""
        return [head, *(f"  {check.line()}" for check in (*others, *passed))]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "data": self.data,
            "version": self.version,
            "contract": self.contract,
            "contract_id": self.contract_id,
            "ok": self.ok,
            "strict": self.strict,
            "coverage": self.coverage,
            "how": dict(self.how),
            "rows": self.rows,
            "new_rows": self.new_rows,
            "checks": [check.to_dict() for check in self.checks],
        }

    def to_junit(self) -> str:
        """Return it as JUnit XML: a test case per check."""
        from dataplat.validation._junit import junit

        return junit(self)

    def to_html(self) -> str:
        """Return it as one self-contained HTML page (no network), with what each column holds, and drift side by side.

        Profiles are remembered by part; what is not yet is computed now.
        """
        from dataplat.validation.page import page

        return page(self)

    def pictures(self) -> list[tuple[str, str]]:
        """Return what a page shows beside the checks: sections as (title, HTML); none where the data is gone."""
        return [] if self._beside is None else self._beside()

    def _repr_html_(self) -> str:
        from dataplat.validation.page import fragment

        return fragment(self)

    def __str__(self) -> str:
        return "\n".join(self.lines())


def short_part(part: str) -> str:
    """Return what names a part: the beginning of an id, and a file by its whole name."""
    return part[:12] if _ID.fullmatch(part) else part


def _is_open(check: CheckOutcome) -> bool:
    """Whether a check was not asked, or of a sample only."""
    return check.how in {"sampled", "skipped"} and check.status != "could not check"


class Verdict(Protocol):
    """What a tally counts of a batch; `BatchVerdict` is one."""

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        ...

    @property
    def bad(self) -> int:
        """Rows that fail."""
        ...

    @property
    def outcomes(self) -> tuple[CheckOutcome, ...]:
        """What became of each check on the batch."""
        ...


@dataclass(slots=True)
class Tally:
    """Sums up the verdicts on batches, in bounded memory whatever fails."""

    rows: int = 0
    bad: int = 0
    _outcomes: dict[tuple[Any, ...], CheckOutcome] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        """Count one more batch; its rows follow those counted before."""
        for outcome in verdict.outcomes:
            identity = (outcome.level, outcome.column, outcome.name, outcome.number)
            moved = _moved(outcome, self.rows)
            known = self._outcomes.get(identity)
            self._outcomes[identity] = moved if known is None else _joined(known, moved)
        self.rows += verdict.rows
        self.bad += verdict.bad

    @property
    def outcomes(self) -> tuple[CheckOutcome, ...]:
        """The outcome of each check over all batches."""
        return tuple(self._outcomes.values())


def _moved(outcome: CheckOutcome, offset: int) -> CheckOutcome:
    if not offset or not outcome.examples:
        return outcome
    examples = (
        example if example.position is None else replace(example, position=example.position + offset)
        for example in outcome.examples
    )
    return replace(outcome, examples=tuple(examples))


_WORST: tuple[Status, ...] = ("not asked", "passed", "warned", "failed", "could not check")


def _joined(one: CheckOutcome, two: CheckOutcome) -> CheckOutcome:
    failing = None if one.failing is None or two.failing is None else one.failing + two.failing
    return replace(
        one,
        status=max(one.status, two.status, key=_WORST.index),
        failing=failing,
        rows=one.rows + two.rows,
        examples=(*one.examples, *two.examples)[:EXAMPLES_PER_CHECK],
        detail=one.detail or two.detail,
    )
