"""What a number may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from dataplat.errors import ContractError

Number: TypeAlias = int | float | Decimal


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both included; None is no bound."""

    low: Number | None
    high: Number | None

    def __contains__(self, value: Number | Fraction | None) -> bool:
        """Whether a number lies in it; NaN and None do not."""
        if value is None or value != value:  # noqa: PLR0124 - NaN, of any type
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def misses(self, least: Number | Fraction, most: Number | Fraction) -> bool:
        """Whether no number from `least` to `most` lies in it."""
        return (self.low is not None and most < self.low) or (self.high is not None and least > self.high)

    def __str__(self) -> str:
        parts = [f"min={self.low}" if self.low is not None else "", f"max={self.high}" if self.high is not None else ""]
        return ", ".join(part for part in parts if part)


def a_range(word: str, low: Number | None, high: Number | None, least: Number, most: Number) -> Range:
    """Return a range for a value that is `least` at least and `most` at most.

    Raises:
        ContractError: there is no bound, one that is no number, or that holds always, or nothing lies between them.
    """
    given = [bound for bound in (low, high) if bound is not None]
    if not given:
        raise ContractError(f"{word} needs min=, max= or both")
    for bound in given:
        if not _is_number(bound):
            raise ContractError(f"{word}: a bound is a number, not {bound!r}")
    if low is not None and high is not None and low > high:
        raise ContractError(f"{word}: no value can be at least {low} and at most {high}")
    if (low is not None and low > most) or (high is not None and high < least):
        raise ContractError(f"{word}({Range(low, high)}): the value is from {least} to {most}, so it can never hold")
    if not all(least <= bound <= most for bound in given):
        hint = f"; {high} % is {high / 100:g}" if most == 1 and high is not None and 1 < high <= 100 else ""
        raise ContractError(
            f"{word}({Range(low, high)}): the value is from {least} to {most}, so that bound always holds{hint}"
        )
    return Range(low, high)


def _is_number(bound: object) -> bool:
    return isinstance(bound, int | float | Decimal) and not isinstance(bound, bool) and not math.isnan(bound)
