"""Values of a profile as people read them."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, Final

from dataplat.validation.profile._column import ColumnProfile

_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (a naive one: zones are written by hand)
_SPANS: Final = (("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000))


def shown(column: ColumnProfile, value: Any) -> str:
    """Return a value of a column as text: times as dates and clock, numbers in six digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if column.unit is not None:
        return _time(column.family, int(value))
    if isinstance(value, str) and column.family != "decimal":
        return value
    return figure(value)


def figure(value: Any) -> str:
    """Return a number as text: whole ones with thousands apart, others in six digits."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return {math.inf: "+inf", -math.inf: "-inf"}.get(value, "NaN")
        return f"{value:,.6g}" if 1e-4 <= abs(value) < 1e15 or value == 0 else f"{value:.5e}"
    return f"{value:,}"


def plain(column: ColumnProfile, value: Any) -> Any:
    """Return a value for machines: times as ISO texts, others as they are."""
    return _time(column.family, int(value)) if column.unit is not None and value is not None else value


def span(microseconds: int) -> str:
    """Return a duration in its largest unit: `36 h`, `250 ms`."""
    for unit, size in _SPANS:
        if abs(microseconds) >= size:
            return f"{microseconds / size:,.4g} {unit}"
    return f"{microseconds} µs"


def share(part: int, whole: int) -> str:
    """Return a share in per cent, so that only nothing is 0 and only all is 100."""
    if not part or not whole:
        return "0 %"
    if part == whole:
        return "100 %"
    return f"{min(max(100 * part / whole, 0.01), 99.99):.2f} %"


def _time(family: str, value: int) -> str:
    try:
        if family == "date":
            return (_EPOCH + dt.timedelta(days=value)).date().isoformat()
        if family == "duration":
            return span(value)
        moment = _EPOCH + dt.timedelta(microseconds=value)
    except OverflowError:  # beyond the years that Python knows
        return f"{value:,} {'days' if family == 'date' else 'µs'} since 1970"
    if family == "time":
        return moment.time().isoformat()
    return moment.isoformat(sep=" ") + ("Z" if family == "timestamp_tz" else "")
