"""Compares columns side by side, and decides: drift, none, or undecided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from dataplat.errors import BadColumn, ConfigError
from dataplat.lake.schema import did_you_mean
from dataplat.validation.drift._bins import bins_of
from dataplat.validation.drift._column import CATEGORIES, Column, Numbers, alike
from dataplat.validation.drift._distributions import holm
from dataplat.validation.drift._history import Usual
from dataplat.validation.drift._measures import METHODS, Interval, Measure, Supremum, psi, scale_of
from dataplat.validation.drift._shape import shape_of
from dataplat.validation.drift.report import ColumnDrift, DriftReport, Verdict

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

    def methods(self, kinds: Mapping[str, str]) -> dict[str, str]:
        """Return the statistic of each column that is asked of, given what their values are compared as (`kind_of`)."""
        names = kinds if self.columns is None else [name for name in self.columns if name in kinds]
        return {name: self.method_of(name, kinds[name]) for name in names}

    def method_of(self, name: str, kind: str) -> str:
        """Return the statistic of a column."""
        asked = self.method if isinstance(self.method, str) else (self.method or {}).get(name)
        plain = "chi2" if kind in CATEGORIES else "ks"
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
    usual: Mapping[str, Usual] | None = None,
    titles: tuple[str, str] = ("before", "after"),
) -> DriftReport:
    """Compare two sides; pure, of exact columns and of profiles alike.

    Args:
        before: The reference: bins are fixed by it.
        after: What is compared with it.
        question: Which columns, how, and what counts.
        usual: What is usual in the history of the data, by column (`usual_of`): intervals are widened by it, since rows
            that depend on each other differ more than independent ones.
        titles: What the sides are called.

    Raises:
        BadColumn: A column that was asked for is on neither side, or nested.
    """
    return compare([Pair(before, after)], question or Question(), usual=usual or {}, titles=titles)


def compare(
    pairs: Iterable[Pair], question: Question, *, usual: Mapping[str, Usual], titles: tuple[str, str]
) -> DriftReport:
    """Compare pairs of sides as one family; see `drift_between`."""
    pairs = list(pairs)
    asked = [(pair, name) for pair in pairs for name in _names(pair, question)]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda each: _measured(each[0], each[1], question, usual.get(each[1])), asked))
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


def _measured(pair: Pair, name: str, question: Question, usual: Usual | None) -> _Found:
    sides = [side.get(name) for side in (pair.before, pair.after)]
    before, after = sides
    blank = ColumnDrift(column=name, slice=pair.slice, verdict="not comparable")
    if before is None or after is None:
        where = "before" if before is None else "after"
        return _Found(replace(blank, detail=f"there is no such column {where}"))
    blank = replace(blank, kind=before.kind, rows=(before.rows, after.rows), nulls=(before.nulls, after.nulls))
    both = alike(before, after)
    if both is None:
        return _Found(replace(blank, detail=f"it was {before.kind} and is {after.kind}"))
    before, after = both
    if not before.rows or not after.rows:
        return _Found(replace(blank, verdict="undecided", detail="there are no rows to compare"))
    method = METHODS[question.method_of(name, before.kind)]
    bins = bins_of(before, after)
    measure = method.measure(before, after, bins)
    missing = None
    if method.name == "wasserstein":
        apart = abs((before.nulls + _nans(before)) / before.rows - (after.nulls + _nans(after)) / after.rows)
        missing = Supremum(apart, scale_of(before.rows, after.rows))
    known = usual if usual is not None and usual.method == method.name else None
    drift = replace(
        blank,
        method=method.name,
        statistic=measure.statistic,
        effect=measure.effect,
        error=measure.error,
        min_effect=method.min_effect if question.min_effect is None else question.min_effect,
        psi=psi(bins.fit).statistic,
        history=known.batches if known else 0,
        shape=shape_of(before, after),
    )
    return _Found(drift, measure, known.spread if known else 0.0, missing)


def _nans(column: Column) -> int:
    return column.nans if isinstance(column, Numbers) else 0


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
