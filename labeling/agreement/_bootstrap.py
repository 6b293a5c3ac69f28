"""Intervals of agreement: units are drawn again and again, and agreement is computed of each draw.

Of ratings, whole units are drawn with all that was said of them (as Zapf et al. 2016 recommend): people's answers to one
unit depend on each other, units do not. Units of the same ratings are drawn together as one number, which is the same
draw at the price of the distinct ones alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dataplat.errors import ConfigError
from dataplat.labeling.agreement._coincidences import Coincidences
from dataplat.labeling.agreement._kappa import Contingency, Weights
from dataplat.labeling.agreement._levels import Level
from dataplat.labeling.agreement._ratings import MISSING, Array, Value, codes_of_ratings

ROUNDS = 1_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with the interval that its like fall into.

    `rounds` is how many draws had the number defined; where few have, as with one category that almost everything is
    given, the interval says little.
    """

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE
    rounds: int = ROUNDS

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def resampled(
    counts: Array,
    statistic: Callable[[Array], float],
    *,
    rounds: int = ROUNDS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """Return the percentile interval of a statistic over units drawn with replacement (Efron 1979).

    Args:
        counts: how many units there are of each kind.
        statistic: gives the number for so many units of each kind.
        rounds: how many draws.
        confidence: the share of them that the interval holds.
        seed: of the draws.

    Raises:
        ConfigError: There are no rounds, or the confidence is no share.
    """
    if rounds < 1 or not 0 < confidence < 1:
        raise ConfigError(f"intervals need rounds and a confidence between 0 and 1, not {rounds} and {confidence}")
    value, total = statistic(counts), int(counts.sum())
    if not total or np.isnan(value):
        return Interval(value, float("nan"), float("nan"), confidence, 0)
    generator, shares = np.random.default_rng(seed), counts / total
    drawn = np.array([statistic(generator.multinomial(total, shares)) for _ in range(rounds)])
    drawn = drawn[~np.isnan(drawn)]
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2]) if len(drawn) else (np.nan, np.nan)
    return Interval(value, float(low), float(high), confidence, len(drawn))


def alpha_interval(
    ratings: Any,
    level: Level = "nominal",
    *,
    categories: Sequence[Value] | None = None,
    rounds: int = ROUNDS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """Return Krippendorff's α with its bootstrap interval; arguments as of `krippendorff_alpha`.

    Args:
        ratings: raters x units.
        level: of measurement.
        categories: the order of ordinal texts.
        rounds: how often units are drawn.
        confidence: the share of draws that the interval holds.
        seed: the same seed gives the same interval.
    """
    return _of_coincidences(
        ratings,
        lambda found: found.alpha(level, categories=categories),
        rounds=rounds,
        confidence=confidence,
        seed=seed,
    )


def fleiss_interval(ratings: Any, *, rounds: int = ROUNDS, confidence: float = CONFIDENCE, seed: int = 0) -> Interval:
    """Return Fleiss' κ with its bootstrap interval; arguments as of `fleiss_kappa` and `alpha_interval`."""
    return _of_coincidences(ratings, Coincidences.fleiss, rounds=rounds, confidence=confidence, seed=seed)


def cohen_interval(
    a: Any,
    b: Any,
    weights: Weights | None = None,
    *,
    categories: Sequence[Value] | None = None,
    rounds: int = ROUNDS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """Return Cohen's κ with its bootstrap interval; arguments as of `cohen_kappa` and `alpha_interval`."""
    table = Contingency.of(a, b, categories)
    shape = table.counts.shape
    return resampled(
        table.counts.ravel(),
        lambda drawn: replace(table, counts=drawn.reshape(shape)).kappa(weights),
        rounds=rounds,
        confidence=confidence,
        seed=seed,
    )


def _of_coincidences(
    ratings: Any, statistic: Callable[[Coincidences], float], *, rounds: int, confidence: float, seed: int
) -> Interval:
    kinds = _Kinds.of(ratings)
    return resampled(
        kinds.counts, lambda drawn: statistic(kinds.drawn(drawn)), rounds=rounds, confidence=confidence, seed=seed
    )


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Units by what was said of them, whoever said it: how many there are of each kind, and the pairs in one of them.

    Entry i says that a unit of kind `kind[i]` adds `pairs[i]` to the coincidences number `entry[i]` of `all`.
    """

    counts: Array
    all: Coincidences
    kind: Array
    entry: Array
    pairs: Array

    @classmethod
    def of(cls, ratings: Any) -> _Kinds:
        coded = codes_of_ratings(ratings)
        sets = np.sort(coded.codes, axis=0).T  # -1, missing, first
        sets = sets[(sets != MISSING).sum(axis=1) > 1]
        kinds, counts = _unique_rows(sets, len(coded.values))
        found = [_entries(kinds, one, two) for one in range(kinds.shape[1]) for two in range(one + 1, kinds.shape[1])]
        kind, size, low, high = (np.concatenate(each) for each in zip(*found, strict=True)) if found else (np.empty(0, np.int64),) * 4  # fmt: skip
        number = max(len(coded.values), 1)
        keys, entry = np.unique((size * number + low) * number + high, return_inverse=True)
        empty = np.zeros(len(keys), np.int64)
        whole = Coincidences(coded.values, keys // number**2, keys // number % number, keys % number, empty)
        return cls(counts, whole, kind, entry, np.ones(len(kind), np.int64))

    def drawn(self, counts: Array) -> Coincidences:
        """Return the coincidences of so many units of each kind."""
        summed = np.bincount(self.entry, self.pairs * counts[self.kind], minlength=len(self.all.count))
        return replace(self.all, count=summed.astype(np.int64))


def _unique_rows(rows: Array, values: int) -> tuple[Array, Array]:
    """Return the distinct rows, and how often each is there; rows of few small codes are compared as one number."""
    width = rows.shape[1]
    if (values + 1) ** width >= 1 << 62:
        found, counts = np.unique(rows, axis=0, return_counts=True)
        return found, counts
    place = (values + 1) ** np.arange(width)
    _, first, counts = np.unique((rows + 1) @ place, return_index=True, return_counts=True)
    return rows[first], counts


def _entries(kinds: Array, one: int, two: int) -> tuple[Array, Array, Array, Array]:
    """Return the pairs of two places in each kind: the kind, how many ratings it has, the lower and the higher value."""
    there = np.flatnonzero(kinds[:, one] != MISSING)
    return there, (kinds[there] != MISSING).sum(axis=1), kinds[there, one], kinds[there, two]
