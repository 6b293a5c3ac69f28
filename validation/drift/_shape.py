"""What is drawn of two columns: shares of rows in bins that people can read."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dataplat.validation.drift._bins import NAN, NULL, pair_counts
from dataplat.validation.drift._column import Categories, Column, Numbers

BARS = 24
_MOST_VALUES = 16
_EDGE = 0.005  # of the rows of the reference lie beyond each end of the bars, unless values are few


@dataclass(frozen=True, slots=True)
class Shape:
    """Shares of rows of both sides by bin, labels telling what is in each."""

    labels: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


def shape_of(before: Column, after: Column) -> Shape:
    """Return bars for two columns of one kind; the reference says where they stand."""
    if isinstance(before, Numbers):
        assert isinstance(after, Numbers)
        return _bars(before, after)
    assert isinstance(after, Categories)
    merged = pair_counts(before, after)
    shown = merged.head(_MOST_VALUES)
    labels, sides = list(shown["value"]), [list(shown["before"]), list(shown["after"])]
    rest = [side.rows - side.nulls - sum(counts) for side, counts in zip((before, after), sides, strict=True)]
    return _shape(labels, sides, (before, after), [("others", rest), (NULL, [before.nulls, after.nulls])])


def _bars(before: Numbers, after: Numbers) -> Shape:
    ground = before if len(before.knots) else after
    beyond = [(NAN, [before.nans, after.nans]), (NULL, [before.nulls, after.nulls])]
    if not len(ground.knots):
        return _shape([], [[], []], (before, after), beyond)
    edges, labels = _whole_edges(ground) if ground.knots.dtype.kind in "iu" else _edges(ground)
    sides = []
    for side in (before, after):
        shares = np.diff(np.concatenate(([0.0], side.below(edges), [side.there])))
        sides.append(list(np.maximum(shares, 0) * side.rows))
    first, last = _text(edges[0], ground.kind), _text(edges[-1], ground.kind)
    ends = [[side.pop(0), side.pop()] for side in sides]
    shape = _shape(labels, sides, (before, after), [(f"{last} and more", [ends[0][1], ends[1][1]]), *beyond])
    return _led(f"less than {first}", (ends[0][0] / before.rows, ends[1][0] / after.rows), shape)


def _edges(ground: Numbers) -> tuple[np.ndarray, list[str]]:
    """Return the edges of even bars, each with what is at most in the one before the next, and their labels."""
    low, high = (float(value) for value in ground.quantiles(np.array([_EDGE, 1 - _EDGE])))
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = ground.finite
        low, high = (float(finite[0]), float(finite[-1])) if len(finite) else (0.0, 0.0)
    edges = np.linspace(low / 2, high / 2, BARS + 1) * 2 if high > low else np.array([low, low])  # halves: no overflow
    edges[-1] = np.nextafter(edges[-1], np.inf)  # the last bar holds its upper end
    texts = [_text(edge, ground.kind) for edge in edges]
    return edges, [f"{a} – {b}" if a != b else a for a, b in pairwise(texts)]


def _whole_edges(ground: Numbers) -> tuple[np.ndarray, list[str]]:
    """Return the edges of bars that hold as many whole numbers each."""
    low, high = (int(value) for value in ground.quantiles(np.array([_EDGE, 1 - _EDGE])))
    step = max(1, -(-(high - low + 1) // BARS))
    edges = np.arange(low, high + step + 1, step, dtype=object)
    lasts = [int(edge) - 1 for edge in edges[1:]]
    texts = [(_text(int(a), ground.kind), _text(b, ground.kind)) for a, b in zip(edges[:-1], lasts, strict=True)]
    return edges.astype(np.float64), [a if a == b else f"{a} – {b}" for a, b in texts]


def _led(label: str, shares: tuple[float, float], shape: Shape) -> Shape:
    """Return a shape with a further bar before the others, where it holds rows."""
    if not any(shares):
        return shape
    return Shape((label, *shape.labels), (shares[0], *shape.before), (shares[1], *shape.after))


def _shape(
    labels: list[str], sides: list[list[float]], columns: tuple[Column, Column], more: list[tuple[str, list[int]]]
) -> Shape:
    """Return shares, with further bins where they hold rows."""
    for label, counts in more:
        if any(counts):
            labels = [*labels, label]
            sides = [[*side, count] for side, count in zip(sides, counts, strict=True)]
    shares = [tuple(count / column.rows for count in side) for side, column in zip(sides, columns, strict=True)]
    return Shape(tuple(labels), shares[0], shares[1])


def _text(value: float, kind: str) -> str:
    try:
        if kind == "instant":
            return f"{dt.datetime.fromtimestamp(value / 1e6, dt.UTC):%Y-%m-%d %H:%M}"
        if kind == "date":
            return f"{dt.date(1970, 1, 1) + dt.timedelta(days=round(value))}"
        if kind in {"time", "duration"}:
            return str(dt.timedelta(seconds=round(value / 1e6)))
    except (OverflowError, ValueError):
        pass  # beyond what Python's calendar holds
    return f"{value:.4g}"
