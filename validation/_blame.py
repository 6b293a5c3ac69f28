"""Which rows are to blame where a dataset fails as a whole: duplicates, and rows that a custom check says are bad."""

from __future__ import annotations

from collections.abc import Sequence

from dataplat.validation._compile import Plan, PlannedCheck
from dataplat.validation._dataset import DatasetChecker
from dataplat.validation._memory import Memory
from dataplat.validation._unique import repeated_rows
from dataplat.validation.report import CheckOutcome
from dataplat.validation.rules import Rule
from dataplat.validation.rules._unique import Unique
from dataplat.validation.subject import Subject


def blamed(
    plan: Plan, rules: Sequence[Rule], subject: Subject, failed: Sequence[CheckOutcome], memory_limit: int
) -> dict[int, set[int]] | None:
    """Return the positions of the rows to blame for `failed` checks, by number of block; None where one blames none.

    An aggregate, a check of the columns, one that could not be evaluated and most rules blame no row.
    """
    found: dict[int, set[int]] = {}
    for outcome in failed:
        rows = _rows_of(plan, rules, subject, outcome, memory_limit)
        if not rows:
            return None
        for block, positions in rows.items():
            found.setdefault(block, set()).update(positions)
    return found


def _rows_of(
    plan: Plan, rules: Sequence[Rule], subject: Subject, outcome: CheckOutcome, memory_limit: int
) -> dict[int, list[int]] | None:
    if outcome.status != "failed" or not outcome.failing or outcome.level != "dataset":
        return None
    which = outcome.name, outcome.column, outcome.number
    check = next((each for each in plan.dataset if (each.name, each.column, each.number) == which), None)
    if check is not None:
        return repeated_rows(subject, check.columns) if check.columns else _by_check(plan, subject, check, memory_limit)
    rule = next((each for each in rules if isinstance(each, Unique) and each.name == outcome.name), None)
    return None if rule is None else repeated_rows(subject, rule.columns)


def _by_check(plan: Plan, subject: Subject, check: PlannedCheck, memory_limit: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for block, row in DatasetChecker(plan, subject, (), memory_limit, Memory(None)).failing_rows(check):
        found.setdefault(block, []).append(row)
    return found
