"""Isolation forest: rows that few random cuts set apart (Liu, Ting and Zhou 2008), by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dataplat.errors import MissingExtra

Array: TypeAlias = np.ndarray[Any, Any]

TREES = 100
_ROWS = 262_144  # that are scored at once
_FAR = 1e38  # scikit-learn holds numbers as float32


@dataclass(frozen=True, slots=True)
class Isolated:
    """Rows that score above the bound, with what each owes most to one column.

    Args:
        rows: positions among the rows that were given.
        scores: of each, between 0 and 1: above 0.5 is easier to set apart than most.
        blame: of each, the number of the column whose usual value would lower the score most.
    """

    rows: Array
    scores: Array
    blame: Array


def isolated(columns: Sequence[Array], bound: float, seed: int) -> Isolated:
    """Grow a forest on rows and score them all; missing values count as the column's median.

    Args:
        columns: float64 numbers by column, all of one length.
        bound: the score above which a row is an outlier.
        seed: of the forest: the same rows and seed give the same answer.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import IsolationForest
    except ImportError as error:
        raise MissingExtra("the isolation forest needs scikit-learn: pip install 'dataplat[outliers]'") from error
    table = np.column_stack([_filled(column) for column in columns])
    medians = np.median(table, axis=0)
    forest = IsolationForest(n_estimators=TREES, random_state=seed).fit(table)
    scores = np.concatenate([_scores(forest, table[at : at + _ROWS]) for at in range(0, len(table), _ROWS)])
    rows = np.flatnonzero(scores > bound)
    found = table[rows]
    eased = np.empty((len(rows), table.shape[1]))
    for number, median in enumerate(medians):
        other = found.copy()
        other[:, number] = median
        eased[:, number] = _scores(forest, other)
    blame = eased.argmin(axis=1) if len(rows) else np.empty(0, np.int64)
    return Isolated(rows, scores[rows], blame)


def _scores(forest: Any, rows: Array) -> Array:
    return -forest.score_samples(rows) if len(rows) else np.empty(0)


def _filled(column: Array) -> Array:
    """Return a column whose missing values are the median, and infinities the farthest numbers there are."""
    finite = column[np.isfinite(column)]
    if not len(finite):
        return np.zeros(len(column))
    filled = np.where(np.isnan(column), np.median(finite), column)
    return np.clip(filled, -_FAR, _FAR)
