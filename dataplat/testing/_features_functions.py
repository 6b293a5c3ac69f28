"""The functions of windows over plain lists (PIT 16, 22, 23): one loop each, one rule at a time.

The formulas, which every engine must meet to the last bit:

    sum       floats: `math.fsum`; integers: the exact integer
    mean      the correctly rounded sum, divided by how many values there are
    std       of the sample: the root of the variance (n Σx² - (Σx)²) / (n (n - 1)), which is exact and rounded once
    quantile  sorted; h = q (n - 1); a + (b - a) (h - floor h) for the neighbours a, b of h; a itself where h is whole
    ratio     both as floats, then divided
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from dataplat.feature_store.definitions import Feature
from dataplat.feature_store.windows import (
    Count,
    DistinctCount,
    First,
    Last,
    LastN,
    Max,
    Mean,
    Min,
    Quantile,
    Ratio,
    Std,
    Sum,
    Window,
)
from dataplat.lake.schema import JsonType
from dataplat.testing._features_values import exact_sum, float_sum, is_nan, rank, rounded, same


def tile_of(e: int, d: int) -> int:
    """Return the number of the tile of an event: tile j covers (j·d, (j+1)·d], from the epoch in UTC (16)."""
    return (e - 1) // d


def begins(window: Window, t: int) -> int | None:
    """Return what events of the window at `t` are later than; None: nothing, it is lifelong (22).

    Exact: (t - w, t]. With hop(d): (floor_d(t - w), t], so whole tiles and the newest, open one.
    """
    if window.span is None:
        return None
    start = t - window.span
    return start if window.hop is None else start // window.hop * window.hop


def applied(window: Window, values: Sequence[Any]) -> Any:
    """Return the function of the values of a window's events, the oldest event first; nulls are there as None."""
    if isinstance(window, Count):
        return len(values)  # 23: of events, whatever they hold; 0 where there are none
    if not values:
        return None  # 23: other functions of no events are null
    if isinstance(window, First | Last):
        return values[0] if isinstance(window, First) else values[-1]
    if isinstance(window, LastN):
        return list(values[::-1][: window.n])  # the newest first, null where the event's value is
    found = [value for value in values if value is not None]  # 23: nulls are skipped
    if not found:
        return None
    if isinstance(window, DistinctCount):
        return len({same(value) for value in found})
    if any(is_nan(value) for value in found):
        return math.nan  # 23: NaN propagates
    return _of_numbers(window, found)


def _of_numbers(window: Window, found: list[Any]) -> Any:
    """Return the function of values none of which is null or NaN."""
    if isinstance(window, Min):
        return min(found, key=rank)
    if isinstance(window, Max):
        return max(found, key=rank)
    if isinstance(window, Sum):
        return sum(found) if isinstance(found[0], int) else float_sum(found)  # 24: integers stay integers
    if isinstance(window, Mean):
        total = rounded(Fraction(sum(found))) if isinstance(found[0], int) else float_sum(found)
        return total / len(found)
    if isinstance(window, Std):
        return _std(found)
    if isinstance(window, Quantile):
        return _quantile(found, window.q)
    raise NotImplementedError(type(window).__name__)


def _std(values: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample; null of fewer than two values, NaN where one is infinite."""
    n = len(values)
    total = exact_sum(values)
    if n < 2:
        return None
    if isinstance(total, float):
        return math.nan
    squares = sum((Fraction(value) ** 2 for value in values), Fraction(0))
    return math.sqrt(rounded((n * squares - total**2) / (n * (n - 1))))


def _quantile(values: Sequence[float], q: float) -> float:
    """Return the exact quantile, interpolated linearly."""
    ordered = [float(value) for value in sorted(values, key=rank)]
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    part = position - below
    if part == 0:
        return ordered[below]
    return ordered[below] + (ordered[below + 1] - ordered[below]) * part


def divided(above: Any, below: Any) -> float | None:
    """Return one value of a window divided by another; null where either is null, or the second is 0."""
    if above is None or below is None or below == 0:
        return None
    return float(above) / float(below)


def type_of(feature: Feature, types: Mapping[str, JsonType]) -> JsonType:
    """Return the type of a feature, given those of its source's columns (24): an integer stays one."""
    if isinstance(feature, Count | DistinctCount):
        return "int64"
    if isinstance(feature, Ratio | Mean | Std | Quantile):
        return "float64"
    assert feature.column is not None
    column = types[feature.column]
    if isinstance(feature, Sum):
        return "int64" if str(column).startswith(("int", "uint")) else "float64"
    return {"list": column} if isinstance(feature, LastN) else column
