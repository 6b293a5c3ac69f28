"""The two-sample Kolmogorov–Smirnov distance of sorted values, exact, without merging them."""

from __future__ import annotations

from typing import Any

import numpy as np

_STRIDE = 128
_SMALL = 4096


def distance(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], rows_a: int, rows_b: int) -> float:
    """Return the greatest difference of the distribution functions at any value.

    A mesh of every 128th value bounds the difference between its lines from both sides; only where that could beat
    the greatest one on the mesh are the values themselves looked at. The answer is that of a full merge.

    Args:
        a: Sorted values without NaN, of one type with `b`.
        b: The same of the other side.
        rows_a: Rows of the side, of which those without a value lie beyond all values.
        rows_b: The same of the other side.
    """
    if not len(a) or not len(b):
        return max(len(a) / rows_a, len(b) / rows_b)
    if len(a) + len(b) <= _SMALL:
        return _at(np.concatenate((a, b)), a, b, rows_a, rows_b)
    mesh = np.unique(np.concatenate((a[::_STRIDE], b[::_STRIDE], a[-1:], b[-1:])))
    upto_a, upto_b = (np.searchsorted(side, mesh, "right") for side in (a, b))
    below_a, below_b = (np.searchsorted(side, mesh, "left") for side in (a, b))
    best = float(np.abs(upto_a / rows_a - upto_b / rows_b).max())
    above = below_a[1:] / rows_a - upto_b[:-1] / rows_b
    under = upto_a[:-1] / rows_a - below_b[1:] / rows_b
    open_ = np.flatnonzero(np.maximum(above, -under) > best)
    if not len(open_):
        return best
    inside = [a[upto_a[cell] : below_a[cell + 1]] for cell in open_] + [
        b[upto_b[cell] : below_b[cell + 1]] for cell in open_
    ]
    return max(best, _at(np.concatenate(inside), a, b, rows_a, rows_b))


def _at(
    points: np.ndarray[Any, Any], a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], rows_a: int, rows_b: int
) -> float:
    share_a, share_b = np.searchsorted(a, points, "right") / rows_a, np.searchsorted(b, points, "right") / rows_b
    return float(np.abs(share_a - share_b).max()) if len(points) else 0.0


def wasserstein(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Return the area between the distribution functions of sorted values, in their unit."""
    values = np.concatenate((a, b)).astype(np.float64)
    values.sort()
    shares = (np.searchsorted(side, values[:-1], "right") / len(side) for side in (a, b))
    one, two = shares
    return float((np.abs(one - two) * np.diff(values)).sum())
