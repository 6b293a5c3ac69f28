"""Asks the rules of a contract; an answer that cannot change is remembered by version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dataplat.validation._environment import is_elsewhere
from dataplat.validation._identity import check_id
from dataplat.validation._memory import Memory
from dataplat.validation._rows import FAULTS, fault_text
from dataplat.validation._spread import once
from dataplat.validation.report import CheckOutcome, Severity, Status
from dataplat.validation.rules import Context, Rule
from dataplat.validation.subject import Subject


def ask_rules(
    rules: Sequence[Rule],
    subject: Subject,
    context: Context,
    environment: str | None,
    defaults: tuple[str | None, Severity],
    memory: Memory,
) -> list[CheckOutcome]:
    """Return one outcome per rule; where it says nothing itself, environment and severity are the contract's."""
    own, severity = defaults
    found = []
    for rule in rules:
        base = CheckOutcome(rule.name, "dataset", "could not check", rule.column, severity=rule.severity or severity)
        base = replace(base, rows=subject.rows)
        elsewhere = [each for each in (own, rule.environment) if is_elsewhere(each, environment)]
        if elsewhere:
            found.append(replace(base, status="not asked", detail=f"asked in {elsewhere[-1]} only"))
        else:
            found.append(_ask(rule, base, subject, context, memory))
    return found


def _ask(rule: Rule, base: CheckOutcome, subject: Subject, context: Context, memory: Memory) -> CheckOutcome:
    severity = base.severity
    try:
        asked = check_id(rule.describe(), subject.title.partition("@")[0], list(map(str, subject.schema)))
        remembers = rule.remembers()
        if remembers and (known := memory.whole(subject.version, asked)) is not None:
            return replace(known, severity=severity, status=_status(known, severity))
        reads_parts = getattr(rule, "reads_parts", False)  # each by itself, as `context.memory` has it done
        answer: Any = rule.check(subject, context) if reads_parts else once(memory, rule.check, subject, context)
    except FAULTS as error:
        return replace(base, failing=None, detail=fault_text(error))
    if not isinstance(answer, CheckOutcome):
        return replace(
            base, failing=None, detail=f"a rule returns a CheckOutcome, and this one returned {answer!r:.80}"
        )
    outcome: CheckOutcome = replace(
        answer, severity=severity, status=_status(answer, severity), rows=answer.rows or subject.rows
    )
    if remembers:
        memory.keep_whole(subject.version, asked, outcome)
    return outcome


def _status(outcome: CheckOutcome, severity: Severity) -> Status:
    if outcome.status in {"failed", "warned"}:
        return "warned" if severity == "warn" else "failed"
    return outcome.status
