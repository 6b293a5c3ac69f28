"""Where a contract is asked: what it asks in other environments only is not asked, and the report says so."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol

from dataplat.validation.report import CheckOutcome, Level


class Named(Protocol):
    """A check as far as a report names it."""

    @property
    def name(self) -> str: ...
    @property
    def level(self) -> Level: ...
    @property
    def column(self) -> str | None: ...


def is_elsewhere(own: str | None, environment: str | None) -> bool:
    """Tell whether what is asked in `own` (None: everywhere) is not asked where the data is (None: all is asked)."""
    return environment is not None and own not in {None, environment}


def asked_in(schema: Any, own: str | None, environment: str | None) -> Any:
    """Return a pandera schema that asks nothing of the columns that are asked elsewhere; they may be there still.

    None where the whole contract, which is asked in `own`, is asked elsewhere.
    """
    if is_elsewhere(own, environment):
        return None
    elsewhere = _where(schema, own, environment)
    if not elsewhere:
        return schema
    asked = copy.deepcopy(schema)
    for name in elsewhere:
        column = asked.columns[name]
        asked.columns[name] = type(column)(None, nullable=True, required=False, regex=column.regex, name=column.name)
    return asked


def not_asked(
    schema: Any, own: str | None, environment: str | None, checks: Iterable[Named], rows: int
) -> list[CheckOutcome]:
    """Return outcomes of the columns that are asked elsewhere, and of these `checks` of theirs."""
    where = _where(schema, own, environment)
    found = [CheckOutcome("columns and types", "schema", "not asked", name) for name in where]
    found += [CheckOutcome(check.name, check.level, "not asked", check.column, rows=rows) for check in checks]
    return [_said(outcome, where.get(outcome.column or "", own)) for outcome in found]


def _said(outcome: CheckOutcome, where: str | None) -> CheckOutcome:
    return replace(outcome, detail="asked elsewhere only" if where is None else f"asked in {where} only")


def _where(schema: Any, own: str | None, environment: str | None) -> dict[Any, str | None]:
    """Return the columns that are asked in another environment only, and in which."""
    if is_elsewhere(own, environment):
        return dict.fromkeys(schema.columns, own)
    said = {name: (column.metadata or {}).get("environment") for name, column in schema.columns.items()}
    return {name: each for name, each in said.items() if is_elsewhere(each, environment)}
