"""How far two regions are the same: what both cover, as a share of what either does (intersection over union)."""

from __future__ import annotations

import math

import numpy as np

from dataplat.labeling.agreement._ratings import Array


def span_iou(ones: Array, others: Array) -> Array:
    """Return the share of each two spans, rows of start and end (exclusive).

    Spans of no length, which mark a place, are the same where they are equal, and share nothing else.
    """
    shared = np.clip(np.minimum(ones[:, 1], others[:, 1]) - np.maximum(ones[:, 0], others[:, 0]), 0, None)
    either = (ones[:, 1] - ones[:, 0]) + (others[:, 1] - others[:, 0]) - shared
    return _share(shared, either, ones, others)


def box_iou(ones: Array, others: Array) -> Array:
    """Return the share of each two boxes, rows of x, y, width, height and rotation (degrees clockwise about x, y)."""
    shared = np.ones(len(ones))
    for axis in (0, 1):
        low = np.maximum(ones[:, axis], others[:, axis])
        high = np.minimum(ones[:, axis] + ones[:, axis + 2], others[:, axis] + others[:, axis + 2])
        shared *= np.clip(high - low, 0, None)
    for turned in np.flatnonzero((ones[:, 4] != 0) | (others[:, 4] != 0)):
        shared[turned] = _shared_turned(ones[turned], others[turned])
    either = ones[:, 2] * ones[:, 3] + others[:, 2] * others[:, 3] - shared
    return _share(shared, either, ones, others)


def _share(shared: Array, either: Array, ones: Array, others: Array) -> Array:
    equal = (ones == others).all(axis=1).astype(np.float64)
    found: Array = np.divide(shared, either, out=equal, where=either > 0)
    return found


def _shared_turned(one: Array, other: Array) -> float:
    """Return the area that two boxes share: one is cut by each edge of the other (Sutherland and Hodgman 1974)."""
    shape, edges = _corners(one), _corners(other)
    for at in range(4):
        shape = _cut(shape, edges[at], edges[(at + 1) % 4])
        if len(shape) < 3:
            return 0.0
    x, y = np.array(shape).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _corners(box: Array) -> list[tuple[float, float]]:
    x, y, width, height, degrees = map(float, box)
    turn = math.radians(degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    return [
        (x + dx * cos - dy * sin, y + dx * sin + dy * cos)
        for dx, dy in ((0, 0), (width, 0), (width, height), (0, height))
    ]


def _cut(
    shape: list[tuple[float, float]], start: tuple[float, float], end: tuple[float, float]
) -> list[tuple[float, float]]:
    """Return what of a shape lies on the inner side of an edge."""
    along = end[0] - start[0], end[1] - start[1]
    sides = [along[0] * (y - start[1]) - along[1] * (x - start[0]) for x, y in shape]
    kept: list[tuple[float, float]] = []
    for at, (point, side) in enumerate(zip(shape, sides, strict=True)):
        before, before_side = shape[at - 1], sides[at - 1]
        if (side >= 0) != (before_side >= 0):
            part = before_side / (before_side - side)
            kept.append((before[0] + part * (point[0] - before[0]), before[1] + part * (point[1] - before[1])))
        if side >= 0:
            kept.append(point)
    return kept
