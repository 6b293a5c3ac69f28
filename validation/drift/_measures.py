"""How far two columns are apart: each statistic with its effect, the interval of the effect, and a p-value.

Intervals are those of the test itself: they leave out no effect exactly where the test finds a difference. A history
of the data widens them by `spread`, the noise that comes on top of what independent rows have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dataplat.validation.drift._bins import Bins
from dataplat.validation.drift._column import Column, Numbers
from dataplat.validation.drift._distributions import (
    chi2_isf,
    chi2_sf,
    kolmogorov_isf,
    kolmogorov_sf,
    noncentrality,
    normal_isf,
)
from dataplat.validation.drift._ks import distance, wasserstein

KS_MEDIAN = 0.8275735551899077
_QUANTILES = np.linspace(0, 1, 129)
_HUGE = 1e150  # squares of more are beyond all floats


@dataclass(frozen=True, slots=True)
class Interval:
    """The effects that the data leave open, between `low` and `high`."""

    low: float
    high: float


class Measure(Protocol):
    """What one statistic found in one column.

    `statistic` is as SciPy has it. `effect` is on the scale of the least effect that counts, without the part that
    chance alone is expected to add. `error` is the most by which quantiles instead of values may put it wrong.
    """

    @property
    def statistic(self) -> float: ...
    @property
    def effect(self) -> float: ...
    @property
    def error(self) -> float: ...
    @property
    def noise(self) -> float:
        """The distance in units of the noise of independent rows, what is expected of them taken out."""
        ...

    def interval(self, level: float, spread: float = 0.0) -> Interval:
        """Return the effects that are not refused at `level`."""
        ...

    def p_value(self, level: float, spread: float = 0.0) -> float:
        """Return the chance of such a distance between samples of one distribution."""
        ...


def scale_of(before: int, after: int) -> float:
    """Return the noise of a share between two sides of so many rows."""
    return math.sqrt(1 / before + 1 / after)


def _widened(base: float, level: float, spread: float) -> float:
    """Return by how much a history widens what is `base` wide for independent rows."""
    return math.sqrt(1 + (normal_isf(level / 2) * spread / base) ** 2) if spread else 1.0


@dataclass(frozen=True, slots=True)
class Supremum:
    """Kolmogorov–Smirnov: the greatest difference of the distribution functions."""

    statistic: float
    scale: float
    error: float = 0.0

    @property
    def effect(self) -> float:
        """The statistic itself."""
        return self.statistic

    @property
    def noise(self) -> float:
        """The distance beyond the median of equal distributions, in quadrature."""
        return math.sqrt(max(0.0, (self.statistic / self.scale) ** 2 - KS_MEDIAN**2))

    def interval(self, level: float, spread: float = 0.0) -> Interval:
        """Return the band of Dvoretzky, Kiefer and Wolfowitz around it, by Kolmogorov's limit."""
        base = kolmogorov_isf(level)
        half = base * self.scale * _widened(base, level, spread) + self.error
        return Interval(max(0.0, self.statistic - half), min(1.0, self.statistic + half))

    def p_value(self, level: float, spread: float = 0.0) -> float:
        """Return Kolmogorov's limit, on the safe side for few rows and for values that repeat."""
        wide = _widened(kolmogorov_isf(level), level, spread)
        return kolmogorov_sf(max(0.0, self.statistic - self.error) / (self.scale * wide))


@dataclass(frozen=True, slots=True)
class Binned:
    """Statistics of bins, all of which are near κ² · chi-square · (1/n + 1/m) between like samples.

    Args:
        statistic: as the field has it.
        square: chi-square, or what stands for it.
        df: its degrees of freedom.
        scale: the noise of a share.
        kappa: of the statistic.
        squared: whether the effect is the square (PSI) of a distance.
        error: by which the distance may be off.
    """

    statistic: float
    square: float
    df: int
    scale: float
    kappa: float
    squared: bool = False
    off: float = 0.0

    @property
    def effect(self) -> float:
        """The distance, less what chance is expected to add."""
        return self._out(self.noise * self.kappa * self.scale)

    @property
    def error(self) -> float:
        """By which the effect may be off."""
        root = self.noise * self.kappa * self.scale
        return self._out(root + self.off) - self._out(root)

    @property
    def noise(self) -> float:
        """The root of what chi-square is beyond its expectation."""
        return math.sqrt(max(0.0, self.square - self.df))

    def interval(self, level: float, spread: float = 0.0) -> Interval:
        """Return what the noncentral chi-square leaves open."""
        low, high = self._distances(level, 1.0)
        if spread:
            lower, upper = self._distances(level, self._wide(level, spread))
            low, high = min(low, lower), max(high, upper)
        return Interval(self._out(low), self._out(high))

    def p_value(self, level: float, spread: float = 0.0) -> float:
        """Return that of the chi-square test."""
        root = max(0.0, math.sqrt(self.square) - self.off / (self.kappa * self.scale))
        return chi2_sf((root / self._wide(level, spread)) ** 2, self.df)

    def _distances(self, level: float, wide: float) -> tuple[float, float]:
        """Return the bounds of the distance, where the noise is `wide` times that of independent rows."""
        low, high = noncentrality(self.square / wide**2, self.df, level)
        if self.square < self.df * wide**2:  # less than chance adds says nothing of how little more there may be
            high = max(high, noncentrality(self.df, self.df, level)[1])
        unit = self.kappa * self.scale * wide
        return max(0.0, math.sqrt(low) * unit - self.off), math.sqrt(high) * unit + self.off

    def _wide(self, level: float, spread: float) -> float:
        return _widened(math.sqrt(max(chi2_isf(level, self.df) - self.df, 1.0)), level, spread) if spread else 1.0

    def _out(self, distance: float) -> float:
        return distance**2 if self.squared else min(distance, 1.0)


@dataclass(frozen=True, slots=True)
class Area:
    """Wasserstein's distance in standard deviations of the reference.

    Between like samples the area is that of a Brownian bridge, whose mean is known and which is above it by `t`
    standard deviations with a chance of at most exp(-t²/2) (Borell, Tsirelson, Ibragimov, Sudakov).
    """

    statistic: float
    mean: float
    scale: float
    error: float = 0.0

    @property
    def effect(self) -> float:
        """The statistic itself."""
        return self.statistic

    @property
    def noise(self) -> float:
        """The distance beyond the mean of equal distributions, in quadrature."""
        return math.sqrt(max(0.0, (self.statistic / self.scale) ** 2 - self.mean**2))

    def interval(self, level: float, spread: float = 0.0) -> Interval:
        """Return what the area of a bridge leaves open."""
        base = self._base(level)
        half = base * self.scale * _widened(base, level, spread) + self.error
        return Interval(max(0.0, self.statistic - half), self.statistic + half)

    def p_value(self, level: float, spread: float = 0.0) -> float:
        """Return a bound of it."""
        wide = _widened(self._base(level), level, spread)
        above = max(0.0, (self.statistic - self.error) / (self.scale * wide) - self.mean)
        return math.exp(-(above**2) / 2)

    def _base(self, level: float) -> float:
        return self.mean + math.sqrt(2 * math.log(2 / level))


# ----------------------------------------------------------------------------------------------------- statistics


def ks(before: Numbers, after: Numbers) -> Supremum:
    """Measure two columns of numbers, NaN and null lying beyond all numbers, in this order."""
    value = max(_numbers_apart(before, after), abs(before.nulls / before.rows - after.nulls / after.rows))
    error = before.error * before.there + after.error * after.there
    return Supremum(value, scale_of(before.rows, after.rows), error)


def _numbers_apart(before: Numbers, after: Numbers) -> float:
    one, two = before.knots, after.knots
    if before.exact and after.exact:
        kind = np.promote_types(one.dtype, two.dtype)
        one, two = one.astype(kind, copy=False), two.astype(kind, copy=False)
        return distance(one, two, before.rows, after.rows)
    points = np.unique(np.concatenate((one, two)))
    apart = [np.abs(before.upto(points) - after.upto(points)), np.abs(before.below(points) - after.below(points))]
    return float(max((side.max() for side in apart if len(side)), default=0.0))


def area(before: Numbers, after: Numbers) -> Area:
    """Measure two columns of numbers by what it takes to move one onto the other."""
    scale = scale_of(max(before.numbers, 1), max(after.numbers, 1))
    one, two = before.finite, after.finite
    if not len(one) or not len(two):
        return Area(math.inf if len(one) or len(two) else 0.0, 0.0, scale)
    huge = max(abs(float(end)) for end in (one[0], one[-1], two[0], two[-1]))
    huge = huge if huge > _HUGE else 1.0  # what is that large is compared in units of itself
    unit = before.deviation if huge == 1 else float(np.std(one / huge))
    reach = 0.0  # of what is exact nothing is off
    if before.exact and after.exact:
        moved = wasserstein(one / huge, two / huge)
    else:
        ends = [end for side in (before, after) for end in (side.low, side.high) if math.isfinite(end)]
        points = np.unique(np.concatenate((one, two, ends)).astype(np.float64))
        apart = np.abs(before.upto(points) / before.there - after.upto(points) / after.there)
        moved = float((apart[:-1] * np.diff(points / huge)).sum())
        # not from quantile to quantile: the end of a long tail lies far beyond its last one
        reach = float(points[-1]) / huge - float(points[0]) / huge
    if not unit:
        return Area(math.inf if moved else 0.0, 0.0, scale)
    knots = np.clip(before.quantiles(_QUANTILES).astype(np.float64), one[0], one[-1]) / huge
    width = np.sqrt(_QUANTILES * (1 - _QUANTILES))
    mean = math.sqrt(2 / math.pi) * float(((width[1:] + width[:-1]) / 2 * np.diff(knots)).sum()) / unit
    return Area(moved / unit, mean, scale, (before.error + after.error) * reach / unit)


def chi_square(bins: Bins) -> Binned:
    """Measure bins by Pearson's chi-square; the effect is Cramér's V, as if both sides had as many rows.

    V of sides of unequal size depends on how unequal they are: of a value that one row in a thousand has on the small side
    and none on a large one, it says as much as of one that half of the rows have.
    """
    n, m = bins.before.sum(), bins.after.sum()
    kept = bins.before + bins.after > 0
    before, after = bins.before[kept], bins.after[kept]
    expected = (before + after) / (n + m)
    rest = ((before - n * expected) ** 2 / n + (after - m * expected) ** 2 / m) / expected
    square = float(rest.sum())
    p, q = before / n, after / m
    even = math.sqrt(float(((p - q) ** 2 / (p + q)).sum()) / 2)
    kappa = even / (math.sqrt(square) * _scale(bins)) if square and even else 0.5
    return _binned(square, square, kappa, bins)


def psi(bins: Bins) -> Binned:
    """Measure bins by the population stability index, each bin half a row richer, so that none is empty."""
    one, two = _shares(bins, 0.5)
    value = float(((two - one) * np.log(two / one)).sum())
    return _binned(value, value / _scale(bins) ** 2, 1.0, bins, squared=True)


def jensen_shannon(bins: Bins) -> Binned:
    """Measure bins by the root of the Jensen–Shannon divergence in bits."""
    one, two = _shares(bins)
    middle = (one + two) / 2
    terms = [float((side[side > 0] * np.log2(side[side > 0] / middle[side > 0])).sum()) for side in (one, two)]
    value = math.sqrt(max(0.0, sum(terms) / 2))
    kappa = 1 / math.sqrt(8 * math.log(2))
    return _binned(value, (value / kappa / _scale(bins)) ** 2, kappa, bins)


def hellinger(bins: Bins) -> Binned:
    """Measure bins by Hellinger's distance."""
    one, two = _shares(bins)
    value = math.sqrt(float(((np.sqrt(one) - np.sqrt(two)) ** 2).sum()) / 2)
    kappa = 1 / math.sqrt(8)
    return _binned(value, (value / kappa / _scale(bins)) ** 2, kappa, bins)


def _shares(bins: Bins, more: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    one, two = bins.before + more, bins.after + more
    return one / one.sum(), two / two.sum()


def _scale(bins: Bins) -> float:
    return scale_of(bins.before.sum(), bins.after.sum())


def _binned(statistic: float, square: float, kappa: float, bins: Bins, *, squared: bool = False) -> Binned:
    one, two = _shares(bins)
    middle = (one + two) / 2
    off = kappa * bins.error * math.sqrt(float((1 / middle[middle > 0]).sum())) if bins.error else 0.0
    return Binned(statistic, square, max(len(bins.labels) - 1, 1), _scale(bins), kappa, squared, off)


@dataclass(frozen=True, slots=True)
class Method:
    """A statistic by name: what it is called, the least effect that counts unless told, and how it is measured."""

    name: str
    title: str
    effect: str
    min_effect: float
    numbers_only: bool
    measure: Callable[[Column, Column, Bins], Measure]


def _on_numbers(function: Callable[[Numbers, Numbers], Measure]) -> Callable[[Column, Column, Bins], Measure]:
    def measure(before: Column, after: Column, _bins: Bins) -> Measure:
        assert isinstance(before, Numbers)
        assert isinstance(after, Numbers)
        return function(before, after)

    return measure


def _on_bins(function: Callable[[Bins], Measure]) -> Callable[[Column, Column, Bins], Measure]:
    return lambda _before, _after, bins: function(bins.fit)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("ks", "Kolmogorov–Smirnov", "D", 0.02, True, _on_numbers(ks)),
        Method("chi2", "chi-square", "V", 0.02, False, _on_bins(chi_square)),
        Method("psi", "population stability index", "PSI", 0.1, False, _on_bins(psi)),
        Method("js", "Jensen–Shannon distance", "JS", 0.1, False, _on_bins(jensen_shannon)),
        Method("hellinger", "Hellinger distance", "H", 0.1, False, _on_bins(hellinger)),
        Method("wasserstein", "Wasserstein distance in standard deviations", "W", 0.1, True, _on_numbers(area)),
    )
}
