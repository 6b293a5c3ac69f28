"""Decides from exact bounds whether a predicate can hold for any row: a small interpreter over intervals.

Every node answers which of true, false and null it may give for a row whose values lie within the statistics.
The answer may name too many, never too few, so what it rules out is certain. Columns are taken as unrelated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from dataplat.lake.canonical import family
from dataplat.lake.part import ColumnStats

Stats: TypeAlias = Mapping[str, ColumnStats]
Types: TypeAlias = Mapping[str, pa.DataType]

_TIMES: Final = frozenset({"date", "time", "timestamp", "timestamp_tz", "duration"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a predicate may give."""

    true: bool
    false: bool
    null: bool

    def __or__(self, other: Outcome) -> Outcome:
        return Outcome(self.true or other.true, self.false or other.false, self.null or other.null)


ANYTHING: Final = Outcome(true=True, false=True, null=True)
_NULL: Final = Outcome(true=False, false=False, null=True)


class Predicate(Protocol):
    """A node of a predicate."""

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return what the node may give for rows with these statistics."""
        ...


@dataclass(frozen=True, slots=True)
class Unknown:
    """An expression that is not understood here."""

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return that it may give anything."""
        return ANYTHING


@dataclass(frozen=True, slots=True)
class Constant:
    """True, false or null."""

    value: bool | None

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return that it gives its value."""
        return Outcome(self.value is True, self.value is False, self.value is None)


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    of: Predicate

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return the outcome with true and false exchanged."""
        inner = self.of.outcome(stats, rows, types)
        return Outcome(inner.false, inner.true, inner.null)


@dataclass(frozen=True, slots=True)
class And:
    """Conjunction, three-valued."""

    left: Predicate
    right: Predicate

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return true only if both may be true."""
        a, b = self.left.outcome(stats, rows, types), self.right.outcome(stats, rows, types)
        null = (a.null and (b.null or b.true)) or (b.null and a.true)
        return Outcome(a.true and b.true, a.false or b.false, null)


@dataclass(frozen=True, slots=True)
class Or:
    """Disjunction, three-valued."""

    left: Predicate
    right: Predicate

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return false only if both may be false."""
        a, b = self.left.outcome(stats, rows, types), self.right.outcome(stats, rows, types)
        null = (a.null and (b.null or b.false)) or (b.null and a.false)
        return Outcome(a.true or b.true, a.false and b.false, null)


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether a column is null; it never gives null."""

    column: str

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return by the count of nulls, which is exact."""
        known = stats.get(self.column)
        if known is None:
            return Outcome(true=True, false=True, null=False)
        return Outcome(known.nulls > 0, known.nulls < rows, null=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """A column compared with a value: `test` is one of `eq`, `lt`, `le`, `gt`, `ge`."""

    column: str
    test: str
    value: Any

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return by the bounds; Polars puts NaN above every number."""
        known, kind = stats.get(self.column), types.get(self.column)
        if self.value is None:
            return _NULL
        if known is None or kind is None:
            return ANYTHING
        found = Outcome(false=False, true=False, null=known.nulls > 0)
        if known.nulls >= rows:
            return found
        if known.low is None or known.high is None or self.value != self.value:
            return found | Outcome(true=True, false=True, null=False)
        if known.nans:
            found |= Outcome(self.test in {"gt", "ge"}, self.test not in {"gt", "ge"}, null=False)
        ways = list(_comparable(kind, known.low, known.high, self.value))
        if not ways:
            return ANYTHING
        for low, high, value in ways:
            found |= _TESTS[self.test](low, high, value)
        return found


@dataclass(frozen=True, slots=True)
class StartsWith:
    """Whether a string begins with a prefix."""

    column: str
    prefix: str

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return by what the bounds begin with."""
        known = stats.get(self.column)
        if known is None:
            return ANYTHING
        if known.nulls >= rows:
            return _NULL
        null = known.nulls > 0
        if not isinstance(known.low, str) or not isinstance(known.high, str) or not _is_string(types, self.column):
            return Outcome(true=True, false=True, null=null)
        low, high = known.low[: len(self.prefix)], known.high[: len(self.prefix)]
        return Outcome(low <= self.prefix <= high, not low == self.prefix == high, null)


@dataclass(frozen=True, slots=True)
class IsTrue:
    """A boolean column by itself."""

    column: str

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return by the bounds."""
        return Compare(self.column, "eq", value=True).outcome(stats, rows, types)


@dataclass(frozen=True, slots=True)
class IsIn:
    """Whether a column is one of several values."""

    each: tuple[Compare, ...]

    def outcome(self, stats: Stats, rows: int, types: Types) -> Outcome:
        """Return true only if one of them may be; what a null among them makes of no match differs by dialect."""
        true = any(one.outcome(stats, rows, types).true for one in self.each)
        return Outcome(true, false=True, null=True)


def _is_string(types: Types, column: str) -> bool:
    kind = types.get(column)
    return kind is not None and family(kind) == "string"


_TESTS: Final[Mapping[str, Callable[[Any, Any, Any], Outcome]]] = {
    "eq": lambda low, high, value: Outcome(low <= value <= high, not low == value == high, null=False),
    "lt": lambda low, high, value: Outcome(low < value, high >= value, null=False),
    "le": lambda low, high, value: Outcome(low <= value, high > value, null=False),
    "gt": lambda low, high, value: Outcome(high > value, low <= value, null=False),
    "ge": lambda low, high, value: Outcome(high >= value, low < value, null=False),
}


def _comparable(kind: pa.DataType, low: Any, high: Any, value: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield bounds and value on a common scale, in every way an engine may compare them; nothing if unknown.

    Engines compare an integer or a decimal with a float after rounding one to the other's type. Rounding keeps the
    order, so rounded bounds still bound the rounded values; the outcome is the union over the ways.
    """
    name = family(kind)
    if name in _TIMES:
        if isinstance(value, Instant) and value.family == name and type(low) is type(high) is int:
            yield low, high, value.nanoseconds
    elif name in {"string", "bool"}:
        wanted = str if name == "string" else bool
        if type(low) is type(high) is type(value) is wanted:
            yield low, high, value
    elif name in {"int", "float", "decimal"} and isinstance(value, (int, float, Fraction)):
        exact = [number for bound in (low, high) if (number := _number(bound)) is not None]
        if len(exact) < 2:
            return
        yield exact[0], exact[1], value
        if name != "int" or not isinstance(value, int):
            for width in (np.float64, np.float32, np.float16):
                least, most, sought = (_rounded(number, width) for number in (*exact, value))
                yield least, most, sought


@dataclass(frozen=True, slots=True)
class Instant:
    """A point or span of time of one family (see `canonical.family`), in nanoseconds."""

    family: str
    nanoseconds: int


def _number(bound: Any) -> int | float | Fraction | None:
    """Return the value of a bound of a number; one of a decimal is text."""
    if isinstance(bound, str):
        try:
            return Fraction(bound)
        except ValueError:
            return None
    return None if isinstance(bound, bool) or not isinstance(bound, (int, float)) else bound


def _rounded(value: float | Fraction, to: type[np.floating[Any]]) -> float:
    try:
        with np.errstate(over="ignore"):
            return float(to(float(value)))
    except OverflowError:  # float() of a huge integer or fraction
        return float("inf") if value > 0 else float("-inf")
