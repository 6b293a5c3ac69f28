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
    low, high = (float(value) for value in ground.quantiles(np.array([_EDGE, 1 - _EDGE])))
    if not np.isfinite(high - low):
        finite = ground.finite
        low, high = (float(finite[0]), float(finite[-1])) if len(finite) else (0.0, 0.0)
    edges = np.linspace(low, high, BARS + 1) if high > low else np.array([low, low])
    sides = []
    for side in (before, after):
        within = side.upto(edges[1:])
        inner = np.diff(np.concatenate((side.below(edges[:1]), within)))
        shares = np.concatenate((side.below(edges[:1]), inner, [side.there - within[-1]]))
        sides.append(list(np.maximum(shares, 0) * side.rows))
    texts = [_text(edge, ground.kind) for edge in edges]
    labels = [f"< {texts[0]}", *(f"{a} – {b}" for a, b in pairwise(texts)), f"> {texts[-1]}"]
    return _shape(labels, sides, (before, after), beyond)


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
