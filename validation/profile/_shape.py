"""What is drawn of a column: rows by bins that people can read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._format import shown

BARS: Final = 24
_EDGE: Final = 0.005  # of the numbers lie beyond each end, before an end is drawn in
_WHOLE: Final = 1 << 53  # a span of whole numbers that floats tell apart
_REACH: Final = 0.5  # of what lies between: so far out the least and the greatest are still drawn
_CLOCK: Final = ((30 * 86_400e6, 10), (7_200e6, 16), (120e6, 19))  # of longer spans so many characters are told


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows by bin, a label telling what is in each; `ordered` where bins follow one another."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    ordered: bool

    @property
    def ends(self) -> tuple[str, str]:
        """What stands at the first and the last bar."""
        if not self.labels:
            return "", ""
        return self.labels[0].split(" – ")[0], self.labels[-1].split(" – ")[-1]


def shape_of(column: ColumnProfile, bars: int = BARS) -> Shape:
    """Return numbers by evenly spaced bins, few distinct numbers and other values by value."""
    values = column.values
    if values is None:
        return _lengths(column)
    if not column.numeric or (column.unit is None and not values.wide and values.distinct <= bars):
        listed = column.frequent(None if column.numeric else bars)
        if column.numeric:
            listed = tuple(sorted(listed, key=lambda pair: float(pair[0])))
        return Shape(tuple(shown(column, v) for v, _ in listed), tuple(n for _, n in listed), column.numeric)
    return _numbers(column, bars)


def _numbers(column: ColumnProfile, bars: int) -> Shape:
    low, left, right, high = (float(each) for each in column.quantile([0, _EDGE, 1 - _EDGE, 1]))
    if not (np.isfinite(left) and np.isfinite(right)):
        return Shape((), (), ordered=True)
    reach = (right - left) * _REACH
    start, stop = max(low, left - reach), min(high, right + reach)
    if not stop > start:
        start, stop = left, max(right, np.nextafter(left, np.inf))
    whole = column.family == "int" and stop - start < _WHOLE
    edges = _whole_edges(start, stop, bars) if whole else np.linspace(start, stop, bars + 1)
    counts = column.histogram(np.append(edges[:-1], edges[-1] - 1) if whole else edges)
    texts = [_text(column, float(edge), stop - start) for edge in edges]
    labels = [f"{a} – {b}" for a, b in pairwise(texts)]
    if whole:
        labels = [f"{a:,}" if b - a == 1 else f"{a:,} – {b - 1:,}" for a, b in pairwise(edges.tolist())]
        start, stop = int(edges[0]), int(edges[-1]) - 1
    told = [*counts.tolist()]
    below, above = round(column.cdf(start, below=True) * column.there), round((1 - column.cdf(stop)) * column.there)
    if below:
        labels, told = [f"< {texts[0]}", *labels], [below, *told]
    if above:
        labels, told = [*labels, f"> {texts[-1]}"], [*told, above]
    return Shape(tuple(labels), tuple(told), ordered=True)


def _whole_edges(start: float, stop: float, bars: int) -> np.ndarray[Any, Any]:
    """Return edges so that as many whole numbers lie between any two neighbours."""
    first, last = int(np.ceil(start)), int(np.floor(stop))
    step = -(-(last - first + 1) // bars)
    return np.arange(first, last + step + 1, step, dtype=np.int64)


def _text(column: ColumnProfile, edge: float, span: float) -> str:
    """Return an edge without digits that say nothing beside the `span` of all bars."""
    if column.family in {"timestamp", "timestamp_tz"}:
        text = shown(column, edge)
        length = next((length for longer, length in _CLOCK if span > longer), len(text))
        return text[:length]
    if column.unit is not None or not np.isfinite(span) or span <= 0:
        return shown(column, edge)
    return shown(column, round(edge, max(0, int(np.ceil(-np.log10(span))) + 2)))


def _lengths(column: ColumnProfile) -> Shape:
    lengths = column.lengths
    if lengths is None or not len(lengths.bins):
        return Shape((), (), ordered=True)
    labels = [str(each) if each <= 256 else f"> {256 << each - 257:,}" for each in lengths.bins.tolist()]
    return Shape(tuple(labels), tuple(lengths.counts.tolist()), ordered=True)
