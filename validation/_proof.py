"""What statistics prove without a row: that every value of a column within exact bounds passes a check.

A proof is only ever of a pass. Statistics are of the rows as written, so rows that were deleted since can only make
them wider than the rows that count: what they prove holds, and a violation falls through to the rows. NaN is in no
bound and is counted apart; what pandera makes of it is in `_NAN_PASSES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isnan
from typing import TYPE_CHECKING, Any, Final

from dataplat.lake.canonical import family
from dataplat.lake.part import ColumnStats

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.validation._compile import PlannedCheck

_WHOLE: Final = 2**53  # beyond, a float does not hold every integer
_FEW: Final = 1024  # integers between two bounds that are looked up one by one

_NAN_PASSES: Final = frozenset({"greater_than", "greater_than_or_equal_to", "not_equal_to", "notin"})
_DAY: Final = 86_400 * 10**9


def proven(check: PlannedCheck, stats: Mapping[str, ColumnStats], rows: int, kind: pa.DataType) -> bool:
    """Return whether no value of `check.column`, of type `kind`, among `rows` rows with these `stats` can fail `check`."""
    if not rows:
        return True
    try:
        known = stats[check.column] if check.column is not None else None
    except KeyError:
        return False
    if known is None:
        return False
    if check.name == "not_nullable" and check.check is None:
        return known.nulls == 0 and known.nans == 0
    return check.kind is not None and _values_pass(check, known, rows, kind)


def _values_pass(check: PlannedCheck, known: ColumnStats, rows: int, kind: pa.DataType) -> bool:
    assert check.kind is not None
    if known.nulls and not check.null_passes:
        return False
    if known.nans and check.kind not in _NAN_PASSES:
        return False
    if known.nulls + known.nans >= rows:
        return not known.nans  # of NaN alone the parameter decides, which may be NaN, too
    if known.low is None or known.high is None:
        return False
    test = _TESTS.get(check.kind)
    if test is None:
        return False
    order = _Order(kind, known.low, known.high)
    try:
        return test(order, check.parameters)
    except _Unordered:
        return False


class _Unordered(Exception):
    """A parameter cannot be compared with the bounds as Polars would compare it with the values."""


class _Order:
    """The bounds of a column, and how a check's parameter compares with them."""

    def __init__(self, kind: pa.DataType, low: Any, high: Any) -> None:
        self.kind = kind
        self.family = family(kind)
        decimal = self.family == "decimal"
        self.low: Any = Decimal(low) if decimal else low
        self.high: Any = Decimal(high) if decimal else high

    def value(self, given: Any) -> Any:
        """Return a parameter in the terms of the bounds; raise `_Unordered` where that could differ from Polars."""
        convert = _CONVERTERS.get(self.family)
        if convert is None:
            raise _Unordered
        return convert(self, given)


def _integer(order: _Order, given: Any) -> Any:
    if isinstance(given, bool):
        raise _Unordered
    if isinstance(given, int):
        return given
    if isinstance(given, float) and not isnan(given) and max(-order.low, order.high) < _WHOLE:
        return given
    raise _Unordered


def _float(order: _Order, given: Any) -> Any:
    import numpy as np

    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _Unordered
    exact = float(given)
    if exact != given or isnan(exact):
        raise _Unordered
    if order.kind.bit_width < 64 and float(np.float32(exact)) != exact:  # Polars would round it first
        raise _Unordered
    return exact


def _text(_: _Order, given: Any) -> Any:
    if not isinstance(given, str):
        raise _Unordered
    return given  # code points order as UTF-8 bytes do


def _boolean(_: _Order, given: Any) -> Any:
    if not isinstance(given, bool):
        raise _Unordered
    return given


def _decimal(_: _Order, given: Any) -> Any:
    if isinstance(given, bool) or not isinstance(given, Decimal | int):
        raise _Unordered
    return Decimal(given)


def _moment(order: _Order, given: Any) -> Any:
    zone = getattr(order.kind, "tz", None)
    if order.family == "date" and type(given) is date:
        return (given - date(1970, 1, 1)).days * _DAY
    if order.family in {"timestamp", "timestamp_tz"} and isinstance(given, datetime):
        if (given.tzinfo is None) != (zone is None):
            raise _Unordered
        since = given - datetime(1970, 1, 1, tzinfo=given.tzinfo and _utc())
        return _nanoseconds(since)
    if order.family == "duration" and isinstance(given, timedelta):
        return _nanoseconds(given)
    if order.family == "time" and isinstance(given, time) and given.tzinfo is None:
        return ((given.hour * 60 + given.minute) * 60 + given.second) * 10**9 + given.microsecond * 1000
    raise _Unordered


def _utc() -> Any:
    from datetime import UTC

    return UTC


def _nanoseconds(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * 10**9 + span.microseconds * 1000


_CONVERTERS: Final[Mapping[str, Callable[[_Order, Any], Any]]] = {
    "int": _integer,
    "float": _float,
    "string": _text,
    "bool": _boolean,
    "decimal": _decimal,
    "date": _moment,
    "time": _moment,
    "timestamp": _moment,
    "timestamp_tz": _moment,
    "duration": _moment,
}

_Test = Callable[[_Order, Mapping[str, Any]], bool]


def _in_range(order: _Order, given: Mapping[str, Any]) -> bool:
    low, high = order.value(given["min_value"]), order.value(given["max_value"])
    above = order.low >= low if given.get("include_min", True) else order.low > low
    below = order.high <= high if given.get("include_max", True) else order.high < high
    return bool(above and below)


def _isin(order: _Order, given: Mapping[str, Any]) -> bool:
    allowed = {order.value(each) for each in given["allowed_values"] if each is not None}
    if order.low == order.high:
        return order.low in allowed
    if order.family == "bool":
        return allowed == {True, False}
    if order.family != "int" or order.high - order.low >= _FEW:
        return False
    return all(each in allowed for each in range(order.low, order.high + 1))


def _notin(order: _Order, given: Mapping[str, Any]) -> bool:
    forbidden = [order.value(each) for each in given["forbidden_values"] if each is not None]
    return all(each < order.low or each > order.high for each in forbidden)


def _startswith(order: _Order, given: Mapping[str, Any]) -> bool:
    """Whatever lies between two texts that begin alike begins so, too."""
    start = given["string"]
    if order.family != "string" or not isinstance(start, str):
        raise _Unordered
    return bool(order.low.startswith(start) and order.high.startswith(start))


_TESTS: Final[Mapping[str, _Test]] = {
    "greater_than": lambda order, given: bool(order.low > order.value(given["min_value"])),
    "greater_than_or_equal_to": lambda order, given: bool(order.low >= order.value(given["min_value"])),
    "less_than": lambda order, given: bool(order.high < order.value(given["max_value"])),
    "less_than_or_equal_to": lambda order, given: bool(order.high <= order.value(given["max_value"])),
    "equal_to": lambda order, given: bool(order.low == order.high == order.value(given["value"])),
    "not_equal_to": lambda order, given: not order.low <= order.value(given["value"]) <= order.high,
    "in_range": _in_range,
    "isin": _isin,
    "notin": _notin,
    "str_startswith": _startswith,
}
