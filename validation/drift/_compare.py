"""Compares columns side by side, and decides: drift, none, or undecided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dataplat.errors import BadColumn, ConfigError
from dataplat.lake.schema import did_you_mean
from dataplat.validation.drift._bins import bins_of
from dataplat.validation.drift._column import Column, Numbers
from dataplat.validation.drift._distributions import holm, normal_isf
from dataplat.validation.drift._measures import METHODS, Interval, Measure, Supremum, psi, scale_of
from dataplat.validation.drift._shape import shape_of
from dataplat.validation.drift.report import ColumnDrift, DriftReport, Verdict

HISTORY = 20
"""Versions that a history needs before it says what is usual."""

Columns = Mapping[str, Column]
_THREADS = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides to compare: all rows, or those of one `slice`."""

    before: Columns
    after: Columns
    slice: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """How to compare.

    Args:
        columns: which; None is all that the reference has and that are not nested.
        method: a statistic for all columns, or by column; what is not named (or does not fit, as a statistic of numbers
            does not fit texts) is `ks` for numbers and `chi2` for categories.
        min_effect: the least effect that counts, in the unit of the statistic; None is the one of the statistic.
        alpha: the chance of any false alarm in the whole report.
    """

    columns: Sequence[str] | None = None
    method: str | Mapping[str, str] | None = None
    min_effect: float | None = None
    alpha: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what is no method and no chance."""
        named = [self.method] if isinstance(self.method, str) else list((self.method or {}).values())
        for name in named:
            if name not in METHODS:
                raise ConfigError(f"no method {name!r}{did_you_mean(name, METHODS)}")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"alpha is a chance between 0 and 1, not {self.alpha}")
        if self.min_effect is not None and not (self.min_effect >= 0 and math.isfinite(self.min_effect)):
            raise ConfigError(f"the least effect is a number of 0 or more, not {self.min_effect}")

    def method_of(self, name: str, column: Column) -> str:
        """Return the statistic of a column."""
        asked = self.method if isinstance(self.method, str) else (self.method or {}).get(name)
        plain = "ks" if isinstance(column, Numbers) else "chi2"
        return plain if asked is None or (METHODS[asked].numbers_only and plain != "ks") else asked


@dataclass(frozen=True, slots=True)
class _Found:
    """What was measured of one column, before the family decides."""

    drift: ColumnDrift
    measure: Measure | None = None
    spread: float = 0.0
    missing: Supremum | None = None


def drift_between(
    before: Columns,
    after: Columns,
    question: Question | None = None,
    *,
    history: Sequence[Columns] = (),
    titles: tuple[str, str] = ("before", "after"),
) -> DriftReport:
    """Compare two sides; pure, of exact columns and of profiles alike.

    Args:
        before: The reference: bins are fixed by it.
        after: What is compared with it.
        question: Which columns, how, and what counts.
        history: Earlier batches of the data, oldest first. Of 20 or more the distances between neighbours say what is
            usual, and intervals are widened by it: rows that depend on each other differ more than independent ones.
        titles: What the sides are called.

    Raises:
        BadColumn: A column that was asked for is on neither side, or nested.
    """
    return compare([Pair(before, after)], question or Question(), history=history, titles=titles)


def compare(
    pairs: Iterable[Pair], question: Question, *, history: Sequence[Columns] = (), titles: tuple[str, str]
) -> DriftReport:
    """Compare pairs of sides as one family; see `drift_between`."""
    pairs = list(pairs)
    asked = [(pair, name) for pair in pairs for name in _names(pair, question)]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda each: _measured(each[0], each[1], question, history), asked))
    level = question.alpha / max(1, sum(each.measure is not None for each in found))
    adjusted = iter(holm([each.measure.p_value(level, each.spread) for each in found if each.measure is not None]))
    columns = tuple(
        each.drift if each.measure is None else _decided(each, level, next(adjusted), question.alpha) for each in found
    )
    new = [name for name in pairs[0].after if name not in pairs[0].before] if pairs and question.columns is None else []
    return DriftReport(titles[0], titles[1], columns, tuple(new), question.alpha)


def _names(pair: Pair, question: Question) -> list[str]:
    if question.columns is None:
        return list(pair.before)
    for name in question.columns:
        if name not in pair.before and name not in pair.after:
            raise BadColumn(f"no column {name!r} that can be compared{did_you_mean(name, pair.before)}")
    return list(dict.fromkeys(question.columns))


def _measured(pair: Pair, name: str, question: Question, history: Sequence[Columns]) -> _Found:
    sides = [side.get(name) for side in (pair.before, pair.after)]
    before, after = sides
    blank = ColumnDrift(column=name, slice=pair.slice, verdict="not comparable")
    if before is None or after is None:
        where = "before" if before is None else "after"
        return _Found(replace(blank, detail=f"there is no such column {where}"))
    blank = replace(blank, kind=before.kind, rows=(before.rows, after.rows), nulls=(before.nulls, after.nulls))
    if before.kind != after.kind:
        return _Found(replace(blank, detail=f"it was {before.kind} and is {after.kind}"))
    if not before.rows or not after.rows:
        return _Found(replace(blank, verdict="undecided", detail="there are no rows to compare"))
    method = METHODS[question.method_of(name, before)]
    bins = bins_of(before, after)
    measure = method.measure(before, after, bins)
    missing = None
    if method.name == "wasserstein":
        apart = abs((before.nulls + _nans(before)) / before.rows - (after.nulls + _nans(after)) / after.rows)
        missing = Supremum(apart, scale_of(before.rows, after.rows))
    spread, versions = _spread(name, method.name, history)
    drift = replace(
        blank,
        method=method.name,
        statistic=measure.statistic,
        effect=measure.effect,
        error=measure.error,
        min_effect=method.min_effect if question.min_effect is None else question.min_effect,
        psi=psi(bins.fit).statistic,
        history=versions,
        shape=shape_of(before, after),
    )
    return _Found(drift, measure, spread, missing)


def _nans(column: Column) -> int:
    return column.nans if isinstance(column, Numbers) else 0


def _spread(name: str, method: str, history: Sequence[Columns]) -> tuple[float, int]:
    """Return the noise of neighbours in a history, beyond that of independent rows, and how many versions it is from.

    The lesser of what the median and the ninth tenth say of a normal deviate: a past drift or two do not count. Of few
    versions it is known to a part, which is put on top.
    """
    batches = [side[name] for side in history if name in side]
    batches = [batch for batch in batches if batch.rows and isinstance(batch, type(batches[-1]))]
    if len(batches) < HISTORY:
        return 0.0, 0
    noises = np.array([_noise(one, two, method) for one, two in pairwise(batches)])
    median, upper = np.quantile(noises, 0.5) / normal_isf(0.25), np.quantile(noises, 0.9) / normal_isf(0.05)
    return float(min(median, upper) * (1 + 1 / math.sqrt(len(noises)))), len(batches)


def _noise(before: Column, after: Column, method: str) -> float:
    return METHODS[method].measure(before, after, bins_of(before, after)).noise


def _decided(found: _Found, level: float, adjusted: float, alpha: float) -> ColumnDrift:
    assert found.measure is not None
    drift, interval = found.drift, found.measure.interval(level, found.spread)
    verdict = _verdict(interval, adjusted, drift.min_effect, alpha)
    detail = ""
    if found.missing is not None:
        gone = _verdict(found.missing.interval(level), found.missing.p_value(level), METHODS["ks"].min_effect, level)
        if _WORST.index(gone) > _WORST.index(verdict):
            verdict, detail = gone, "by the share of rows without a value"
    return replace(
        drift,
        low=interval.low,
        high=interval.high,
        p_value=found.measure.p_value(level, found.spread),
        p_adjusted=adjusted,
        verdict=verdict,
        detail=detail,
    )


_WORST: tuple[Verdict, ...] = ("none", "undecided", "drift")


def _verdict(interval: Interval, p: float, min_effect: float, alpha: float) -> Verdict:
    if interval.low > min_effect and p <= alpha:
        return "drift"
    return "none" if interval.high <= min_effect else "undecided"
