"""The few distributions that a test needs, from the standard library alone: Kolmogorov, chi-square, Holm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

_NORMAL = NormalDist()
_STEPS = 60  # of a bisection: enough for the last digits that a verdict could turn on


def kolmogorov_sf(x: float) -> float:
    """Return the chance that the supremum of a Brownian bridge is above `x`: the limit of KS tests."""
    if x <= 0.04:  # below, 1 to the last digit
        return 1.0
    if x < 1.18:
        q = math.exp(-(math.pi**2) / (8 * x * x))
        return 1.0 - math.sqrt(2 * math.pi) / x * (q + q**9 + q**25 + q**49)
    q = math.exp(-2 * x * x)
    return 2 * (q - q**4 + q**9 - q**16)


def kolmogorov_isf(p: float) -> float:
    """Return the `x` that is exceeded with chance `p`."""
    if p >= 1:
        return 0.0
    return _root(lambda x: kolmogorov_sf(x) - p, 0.04, math.sqrt(-math.log(max(p, 1e-300) / 2)) + 1)


def chi2_sf(x: float, df: float) -> float:
    """Return the chance that a chi-square of `df` degrees of freedom is above `x`.

    The regularised incomplete gamma function by its series or its continued fraction: DLMF 8.7.1 and 8.9.2.
    """
    if x <= 0:
        return 1.0
    a, half = df / 2, x / 2
    front = math.exp(a * (math.log(x) - math.log(2)) - half - math.lgamma(a))
    if half < a + 1:
        term = total = 1 / a
        while term > total * 1e-17:
            a += 1
            term *= half / a
            total += term
        return max(0.0, 1.0 - front * total)
    return front * _continued(a, half)


def _continued(a: float, x: float) -> float:
    """Evaluate the continued fraction of the upper incomplete gamma function by Lentz's method."""
    b = x + 1 - a
    c, d = 1e300, 1 / b
    value = d
    for i in range(1, 100_000):
        factor = -i * (i - a)
        b += 2
        d = 1 / (factor * d + b)
        c = b + factor / c
        value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


def chi2_isf(p: float, df: float) -> float:
    """Return the `x` that a chi-square of `df` degrees of freedom exceeds with chance `p`."""
    most = df + 40 * math.sqrt(2 * df) - 4 * math.log(max(p, 1e-300)) + 40
    return _root(lambda x: chi2_sf(x, df) - p, 0.0, most)


def noncentrality(x: float, df: float, level: float) -> tuple[float, float]:
    """Return the bounds of the noncentrality of a chi-square that was seen as `x`, each exceeded with chance `level` / 2.

    The noncentral distribution function is Sankaran's approximation (Biometrika 1963), good to three digits and more.
    """
    z = normal_isf(level / 2)
    most = (math.sqrt(x) + z + 1) ** 2
    low = 0.0
    if chi2_sf(x, df) < level / 2:
        low = _root(lambda value: _sankaran(x, df, value) - z, 0.0, most)
    return low, _root(lambda value: _sankaran(x, df, value) + z, 0.0, most)


def _sankaran(x: float, df: float, value: float) -> float:
    """Return the normal deviate of `x` under a noncentral chi-square; it falls as the noncentrality `value` grows."""
    one, two, three = df + value, df + 2 * value, df + 3 * value
    h = 1 - 2 * one * three / (3 * two * two)
    p = two / one**2
    m = (h - 1) * (1 - 3 * h)
    centre = 1 + h * p * (h - 1 - (1 - h / 2) * m * p)
    return float(((x / one) ** h - centre) / (h * math.sqrt(2 * p) * (1 + m * p / 2)))


def normal_isf(p: float) -> float:
    """Return the deviate that a standard normal exceeds with chance `p`."""
    return -_NORMAL.inv_cdf(max(p, 1e-300))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values as they count in a family: no alarm at all in it is then kept to its level (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    adjusted, worst = [1.0] * len(p_values), 0.0
    for rank, number in enumerate(order):
        worst = max(worst, (len(p_values) - rank) * p_values[number])
        adjusted[number] = min(1.0, worst)
    return adjusted


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function is zero between `low` and `high`."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
