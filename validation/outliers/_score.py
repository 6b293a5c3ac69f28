"""How far each value of a column lies from the others, in units that outliers themselves do not move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

_MAD_TO_SIGMA = 1.482602218505602  # of a normal distribution
_MEAN_TO_SIGMA = 1.2533141373155003
_SIGMA_TO_IQR = 1.3489795003921634


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is usual in one column: values between `low` and `high`; `unit` is what a score of 1 is beyond `centre`."""

    low: float
    high: float
    centre: Callable[[Array], Array]
    unit: float

    def scores(self, values: Array) -> Array:
        """Return how far each value is out, in units, with its sign; 0 for NaN, infinite for infinities."""
        away = values - self.centre(values)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            scored = np.where(away == 0, 0.0, away / self.unit if self.unit else np.copysign(np.inf, away))
        return np.where(np.isnan(values), 0.0, scored)


def robust_z(values: Array, bound: float) -> Bounds | None:
    """Measure from the median in units of the median distance from it (Iglewicz and Hoaglin 1993).

    Where more than half of the values are equal that distance is 0, and the mean one takes its place.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    median = float(np.median(finite))
    apart = np.abs(finite - median)
    unit = float(np.median(apart)) * _MAD_TO_SIGMA or float(apart.mean()) * _MEAN_TO_SIGMA
    return Bounds(median - bound * unit, median + bound * unit, lambda each: np.full(len(each), median), unit)


def iqr(values: Array, bound: float) -> Bounds | None:
    """Measure from the quartiles in units of the distance between them (Tukey's fences).

    Where that is 0 it is taken from the mean distance, as it is in a normal distribution.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    lower, upper = (float(each) for each in np.quantile(finite, [0.25, 0.75]))
    unit = upper - lower or float(np.abs(finite - lower).mean()) * _MEAN_TO_SIGMA * _SIGMA_TO_IQR
    return Bounds(lower - bound * unit, upper + bound * unit, lambda each: np.clip(each, lower, upper), unit)
