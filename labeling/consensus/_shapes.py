"""How much regions of one kind cover each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from dataplat.labeling.consensus._coded import Array

_ACROSS: Final = 64  # points that a side of what is covered together is looked at by


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text, a sound or a film."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Outline:
    """Any other area, by its corners in turn (n × 2)."""

    corners: Array


Shape: TypeAlias = "Span | Box | Outline"


def shape_of(region: Mapping[str, Any]) -> Shape | None:
    """Return the shape of a row of `regions`; None where it has none, as brush strokes and single points."""
    if region["points"] is not None:
        corners = np.array(region["points"], np.float64).reshape(-1, 2)
        return Outline(corners) if len(corners) >= 3 else None
    if None not in {region["x"], region["y"], region["width"], region["height"]}:
        return _box(*(float(region[name] or 0) for name in ("x", "y", "width", "height", "rotation")))
    if region["start"] is not None and region["end"] is not None:
        return Span(region["start"], region["end"])
    return None


def _box(x: float, y: float, width: float, height: float, rotation: float) -> Shape | None:
    """Return a rectangle that is turned clockwise about its corner at the top left, as the editor does it."""
    if not (width > 0 and height > 0):
        return None
    if rotation % 360 == 0:
        return Box(x, y, x + width, y + height)
    sine, cosine = math.sin(math.radians(rotation)), math.cos(math.radians(rotation))
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    return Outline(corners @ np.array([(cosine, sine), (-sine, cosine)]) + (x, y))


def overlaps(shapes: Sequence[Shape]) -> Array:
    """Return for each two of some shapes what they share of what they cover together (intersection over union).

    Spans and upright boxes exactly; other outlines by looking at 64 × 64 points, to about a hundredth. Shapes of
    different kinds share nothing, but a box is an outline to an outline.
    """
    found = np.eye(len(shapes))
    spans = [n for n, shape in enumerate(shapes) if isinstance(shape, Span)]
    boxes = [n for n, shape in enumerate(shapes) if isinstance(shape, Box)]
    found[np.ix_(spans, spans)] = _of_spans([shape for shape in shapes if isinstance(shape, Span)])
    found[np.ix_(boxes, boxes)] = _of_boxes([shape for shape in shapes if isinstance(shape, Box)])
    outlines = {n: _corners(shape) for n, shape in enumerate(shapes) if not isinstance(shape, Span)}
    for one, first in outlines.items():
        for two, second in outlines.items():
            if one < two and not (isinstance(shapes[one], Box) and isinstance(shapes[two], Box)):
                found[one, two] = found[two, one] = _of_outlines(first, second)
    return found


def _of_spans(spans: list[Span]) -> Array:
    start, end = (np.array([getattr(span, name) for span in spans], np.float64) for name in ("start", "end"))
    shared = np.minimum(end[:, None], end) - np.maximum(start[:, None], start)
    covered = np.maximum(end[:, None], end) - np.minimum(start[:, None], start)
    same = (start[:, None] == start) & (end[:, None] == end)  # also where they are empty
    return np.where(same, 1.0, np.maximum(shared, 0) / np.where(covered > 0, covered, 1))


def _of_boxes(boxes: list[Box]) -> Array:
    left, top, right, bottom = (
        np.array([getattr(box, name) for box in boxes], np.float64) for name in ("left", "top", "right", "bottom")
    )
    across = np.maximum(np.minimum(right[:, None], right) - np.maximum(left[:, None], left), 0)
    down = np.maximum(np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top), 0)
    area = (right - left) * (bottom - top)
    shared: Array = across * down / (area[:, None] + area - across * down)
    return shared


def _corners(shape: Box | Outline) -> Array:
    if isinstance(shape, Outline):
        return shape.corners
    return np.array(
        [(shape.left, shape.top), (shape.right, shape.top), (shape.right, shape.bottom), (shape.left, shape.bottom)]
    )


def _of_outlines(one: Array, two: Array) -> float:
    low = np.minimum(one.min(axis=0), two.min(axis=0))
    high = np.maximum(one.max(axis=0), two.max(axis=0))
    if (np.minimum(one.max(axis=0), two.max(axis=0)) < np.maximum(one.min(axis=0), two.min(axis=0))).any():
        return 0.0
    steps = (np.arange(_ACROSS) + 0.5) / _ACROSS
    x, y = np.meshgrid(*(low[side] + steps * (high - low)[side] for side in (0, 1)))
    inside = [_inside(corners, x, y) for corners in (one, two)]
    union = (inside[0] | inside[1]).sum()
    return float((inside[0] & inside[1]).sum() / union) if union else 0.0


def _inside(corners: Array, x: Array, y: Array) -> Array:
    """Return which points lie inside: those from which a ray crosses the outline an odd number of times."""
    found = np.zeros(x.shape, np.bool_)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 != y2:
            found ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return found
