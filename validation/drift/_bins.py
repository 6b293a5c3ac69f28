"""Bins in which two columns are counted side by side: fixed by the reference, null and the unseen in their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from dataplat.validation.drift._column import Array, Categories, Numbers

QUANTILES = 10
MOST_CATEGORIES = 255
LEAST_EXPECTED = 5.0
LEAST_TOGETHER = 20

NULL, NAN, RARE, UNSEEN = "(null)", "(NaN)", "(rare)", "(unseen)"


@dataclass(frozen=True, slots=True)
class Bins:
    """Rows of both sides by bin; `error` is the most that a share of the two together may be off by."""

    labels: tuple[str, ...]
    before: Array
    after: Array
    error: float = 0.0

    @property
    def fit(self) -> Bins:
        """The bins that a test may count by: those of fewer than five expected rows on a side are put together."""
        together = self.before + self.after
        total = together.sum()
        smaller = min(self.before.sum(), self.after.sum())
        if not smaller:
            return self
        order = np.argsort(-together, kind="stable")[: int((together > 0).sum())]
        expected = together[order] * smaller / total
        own = int((expected >= LEAST_EXPECTED).sum())
        if own < len(order) and expected[own:].sum() < LEAST_EXPECTED:
            own = max(own - 1, 0)  # the rest is too few even together
        kept, rest = np.sort(order[:own]), order[own:]
        labels = [self.labels[at] for at in kept]
        before, after = self.before[kept], self.after[kept]
        if len(rest):
            labels.append(RARE)
            before, after = np.append(before, self.before[rest].sum()), np.append(after, self.after[rest].sum())
        return Bins(tuple(labels), before, after, self.error)


def bins_of(before: Numbers | Categories, after: Numbers | Categories) -> Bins:
    """Count two columns of one kind by the bins that the first, the reference, fixes."""
    if isinstance(before, Numbers):
        assert isinstance(after, Numbers)
        return _of_numbers(before, after)
    assert isinstance(after, Categories)
    return _of_categories(before, after)


def _of_numbers(before: Numbers, after: Numbers) -> Bins:
    """Bins between tenths of the reference, and one on each side of all that it held."""
    ground = before if len(before.knots) else after
    sides = [[], []] if not len(ground.knots) else [_between(side, ground) for side in (before, after)]
    names = [f"bin {number}" for number in range(len(sides[0]))]
    counts = [
        np.array([*shares, side.nans, side.nulls], np.float64)
        for shares, side in zip(sides, (before, after), strict=True)
    ]
    error = 2 * (before.error * before.there + after.error * after.there)
    return Bins((*names, NAN, NULL), counts[0], counts[1], error)


def edges_of(ground: Numbers) -> Array:
    """Return the upper edges of the bins between tenths of the reference; each bin holds its own edge."""
    return np.unique(ground.quantiles(np.linspace(0, 1, QUANTILES + 1)[1:]))


def _between(side: Numbers, ground: Numbers) -> list[float]:
    edges = edges_of(ground)
    under = side.below(np.array([ground.low]))
    shares = np.concatenate(([0.0], under, side.upto(edges), [side.there]))
    counts = np.maximum(np.diff(shares), 0) * side.rows
    return list(np.rint(counts) if side.exact else counts)


def _of_categories(before: Categories, after: Categories) -> Bins:
    """Bins of single values where both sides together hold enough of them, whichever side they are from.

    A choice by the reference's counts alone would be a choice of values that happened to be many there, and the other
    side would differ by that. A value of no row of the reference is `unseen`, one too rare for a bin of its own `rare`.
    """
    merged = pair_counts(before, after)
    smaller = min(before.rows, after.rows) / max(before.rows + after.rows, 1)
    together = pl.col("before") + pl.col("after")
    unlisted = before.unlisted + after.unlisted
    enough = (together >= max(LEAST_TOGETHER, 4 * unlisted)) & (together * smaller >= LEAST_EXPECTED)
    known = pl.lit(bool(before.unlisted)) | (pl.col("before") > 0)
    own = merged.filter(enough & known).head(MOST_CATEGORIES)
    new = int(merged.filter(enough & ~known)["after"].sum())
    counts = []
    for side, name, unseen in ((before, "before", 0), (after, "after", new)):
        rest = side.rows - side.nulls - int(own[name].sum()) - unseen
        counts.append(np.array([*own[name], rest, unseen, side.nulls], np.float64))
    error = sum(side.unlisted / side.rows for side in (before, after) if side.unlisted)
    return Bins((*own["value"], RARE, UNSEEN, NULL), counts[0], counts[1], error)


def pair_counts(before: Categories, after: Categories) -> pl.DataFrame:
    """Return the values of either side with their counts, the most frequent of both together first."""
    cut = min((side.cut for side in (before, after) if side.cut is not None), default=None)
    value = pl.col("value") if cut is None else pl.col("value").str.head(cut)
    one = before.counts.select(value, before=pl.col("count").cast(pl.Int64), after=pl.lit(0, pl.Int64))
    two = after.counts.select(value, before=pl.lit(0, pl.Int64), after=pl.col("count").cast(pl.Int64))
    summed = pl.concat((one, two)).group_by("value").agg(pl.col("before", "after").sum())
    return summed.sort(-(pl.col("before") + pl.col("after")), "value")
