"""Values as PIT.md sees them, in plain Python: their order, when keys are equal, exact sums, and times.

Slow and plain on purpose: this is what the kernel is held against. Numbers in comments are rules of PIT.md.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from dataplat.errors import SchemaError
from dataplat.lake.schema import JsonType

_TIMES: Final = re.compile(r"timestamp\[(s|ms|us|ns)(?:, (.+))?\]")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock's
_NANOSECONDS: Final = {"day": 86_400 * 10**9, "s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
_INT64: Final = range(-(2**63), 2**63)


def is_nan(value: Any) -> bool:
    """Say whether it is a float that is no number."""
    return isinstance(value, float) and math.isnan(value)


def rank(value: Any) -> tuple[Any, ...]:
    """Return what orders values where rows tie: nulls first, NaN last (6); -0.0 before 0.0, so that nothing is left open.

    Strings are in the order of their code points, lists in that of their first elements that differ.
    """
    if value is None:
        return (0,)
    if is_nan(value):
        return (2,)
    if isinstance(value, float):
        return (1, value, math.copysign(1.0, value))
    if isinstance(value, list | tuple):
        return (1, tuple(rank(each) for each in value))
    return (1, value)


def same(value: Any) -> Any:
    """Return what is equal exactly for values that are equal: all NaN are, and -0.0 and 0.0; 1 and "1" are not."""
    if is_nan(value):
        return ("nan",)
    if isinstance(value, float):
        return ("float", value + 0.0)
    if isinstance(value, list | tuple):
        return ("list", tuple(same(each) for each in value))
    return (type(value).__name__, value)


def bits(value: Any) -> Any:
    """Return what is equal exactly for values whose bits are: -0.0 is not 0.0, one NaN is as good as another."""
    if isinstance(value, float):
        return ("nan",) if math.isnan(value) else ("float", struct.pack("<d", value))
    if isinstance(value, list | tuple):
        return ("list", tuple(bits(each) for each in value))
    return (type(value).__name__, value)


def key_of(values: Sequence[Any], dtypes: Sequence[str], what: Sequence[str]) -> tuple[Any, ...] | None:
    """Return a key: a tuple of typed values (11), so ('1', '23') is not ('12', '3'). None if one of them is null (12).

    Raises:
        SchemaError: A value is not of the entity's type.
    """
    for value, dtype, column in zip(values, dtypes, what, strict=True):
        fits = isinstance(value, str) if dtype == "string" else type(value) is int and value in _INT64
        if value is not None and not fits:
            raise SchemaError(f"{column} holds {value!r}, which is no {dtype}")
    return None if any(value is None for value in values) else tuple(values)


def micros_of(count: int | None, kind: JsonType, what: str, zone: str | None = None) -> int | None:
    """Return a time, given as the count that Arrow holds, as microseconds UTC: floored (14); None for null.

    Raises:
        SchemaError: It is no time, a naive one without a zone (13), or a wall time that the zone does not have.
    """
    if kind == "date":
        unit, aware = "day", None
    elif (match := _TIMES.fullmatch(str(kind))) is not None:
        unit, aware = match[1], match[2]
    else:
        raise SchemaError(f"{what} holds {kind}, and no times")
    if aware is None and zone is None:
        raise SchemaError(f"{what} holds times without a zone")  # 13
    if count is None:
        return None
    micros = count * _NANOSECONDS[unit] // 1000  # 14: Python's // floors, below zero too
    return micros if aware is not None or zone is None else _from_wall(micros, zone, what)


def _from_wall(micros: int, zone: str, what: str) -> int:
    """Return the instant of a wall time (13): of one that is there twice the first, one that is not there is refused."""
    wall = _EPOCH + timedelta(microseconds=micros)
    instant = wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    if instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != wall:
        raise SchemaError(f"{what} holds {wall}, which clocks of {zone} never showed")
    return (instant.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)


def exact_sum(values: Iterable[Any]) -> Fraction | float:
    """Return the sum without any rounding; of NaN and infinities what IEEE 754 says, whatever their order."""
    found = list(values)
    wild = [value for value in found if isinstance(value, float) and not math.isfinite(value)]
    if any(math.isnan(value) for value in wild) or len(set(wild)) > 1:
        return math.nan  # also inf and -inf
    return wild[0] if wild else sum(map(Fraction, found), Fraction(0))


def rounded(exact: Fraction | float) -> float:
    """Return the nearest float (ties to even); infinite beyond the largest."""
    if isinstance(exact, float):
        return exact
    try:
        return exact.numerator / exact.denominator  # correctly rounded, Python promises
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def float_sum(values: Sequence[float]) -> float:
    """Return the correctly rounded sum of floats (23): `math.fsum`, and by fractions what that refuses."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # intermediate overflow; inf and -inf
        return rounded(exact_sum(values))


def json_cell(value: Any) -> Any:
    """Return a value as JSON has it: NaN and infinities are strings, never null (24)."""
    if isinstance(value, list | tuple):
        return [json_cell(each) for each in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
