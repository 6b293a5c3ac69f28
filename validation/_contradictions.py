"""Finds checks of a column that no value can meet together: an error of the contract, not of the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from typing import Any

from dataplat.errors import ContractError
from dataplat.validation._compile import check_name


@dataclass(frozen=True, slots=True)
class _Bound:
    """What a value has to be at least, or at most; `open`: the bound itself does not do."""

    check: Any
    value: Any
    open: bool


def refuse_contradictions(name: str, schema: Any) -> None:
    """Raise `ContractError` where bounds and allowed values of a column leave nothing between them."""
    for column in schema.columns.values():
        for check in column.checks:
            if _kind(check) == "isin" and not check._check_kwargs["allowed_values"]:  # noqa: SLF001
                raise ContractError(
                    f"contract {name}: no value of column {column.name!r} can meet {check_name(check)}, which allows none"
                )
        highs = [bound for check in column.checks for bound in _highs(check)]
        for low in (bound for check in column.checks for bound in _lows(check)):
            for high in highs:
                if _crossed(low, high):
                    raise ContractError(
                        f"contract {name}: no value of column {column.name!r} can meet both "
                        f"{check_name(low.check)} and {check_name(high.check)}"
                    )


def _kind(check: Any) -> str:
    return str(check._check_fn)  # noqa: SLF001


def _lows(check: Any) -> Iterator[_Bound]:
    given = check._check_kwargs  # noqa: SLF001
    match _kind(check):
        case "greater_than" | "greater_than_or_equal_to" as kind:
            yield _Bound(check, given["min_value"], kind == "greater_than")
        case "in_range":
            yield _Bound(check, given["min_value"], not given.get("include_min", True))
        case "equal_to":
            yield _Bound(check, given["value"], open=False)
        case "isin":
            yield from _end(check, min)


def _highs(check: Any) -> Iterator[_Bound]:
    given = check._check_kwargs  # noqa: SLF001
    match _kind(check):
        case "less_than" | "less_than_or_equal_to" as kind:
            yield _Bound(check, given["max_value"], kind == "less_than")
        case "in_range":
            yield _Bound(check, given["max_value"], not given.get("include_max", True))
        case "equal_to":
            yield _Bound(check, given["value"], open=False)
        case "isin":
            yield from _end(check, max)


def _end(check: Any, end: Any) -> Iterator[_Bound]:
    allowed = [value for value in check._check_kwargs["allowed_values"] if value is not None]  # noqa: SLF001
    if any(isinstance(value, float) and isnan(value) for value in allowed):  # NaN has no order
        return
    try:
        yield _Bound(check, end(allowed), open=False)
    except (TypeError, ValueError):  # values of different types, or none
        return


def _crossed(low: _Bound, high: _Bound) -> bool:
    try:
        return bool(low.value > high.value or ((low.open or high.open) and low.value == high.value))
    except TypeError:  # bounds of different types: pandera will say so on data
        return False
