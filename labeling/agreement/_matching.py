"""Which region of one person is which of the other's: the matching of most weight, each region once at most."""

from __future__ import annotations

import numpy as np

from dataplat.labeling.agreement._ratings import Array


def matched(shares: Array, same: Array, threshold: float) -> tuple[Array, Array]:
    """Return which rows go with which columns: as many as can, of those the ones that share most, then of equal labels.

    Args:
        shares: intersection over union of each two regions.
        same: whether their labels are equal.
        threshold: what two regions share at least to be one; those that share nothing never are.
    """
    near = (shares >= threshold) & (shares > 0)
    rows, columns = np.nonzero(near)
    rivals = (near.sum(axis=1)[rows] > 1) | (near.sum(axis=0)[columns] > 1)
    if not rivals.any():
        return rows, columns
    ones, others = np.unique(rows[rivals]), np.unique(columns[rivals])  # all others are each other's only choice
    part = np.ix_(ones, others)
    most = min(len(ones), len(others)) + 1
    weights = np.where(near[part], 1 + (shares[part] + 1e-6 * same[part]) / (2 * most), 0.0)
    one, other = assignment(weights)
    kept = near[part][one, other]
    return np.append(rows[~rivals], ones[one[kept]]), np.append(columns[~rivals], others[other[kept]])


def assignment(weights: Array) -> tuple[Array, Array]:
    """Return the assignment of rows to columns of the greatest sum, by shortest augmenting paths (Kuhn; Munkres 1957).

    Each row of the smaller side has one of the other. Takes the cube of the smaller side and some.
    """
    if weights.shape[0] > weights.shape[1]:
        columns, rows = assignment(weights.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    rows, columns = weights.shape
    cost = weights.max(initial=0.0) - weights
    high, deep = np.zeros(rows + 1), np.zeros(columns + 1)  # the potentials of rows and columns; 0 is nobody
    owner = np.zeros(columns + 1, np.int64)
    for row in range(1, rows + 1):
        owner[0] = row
        _augment(cost, high, deep, owner)
    found = np.flatnonzero(owner[1:])
    of = owner[1:][found] - 1
    order = np.argsort(of)
    return of[order], found[order]


def _augment(cost: Array, high: Array, deep: Array, owner: Array) -> None:
    """Give the row that `owner[0]` names a column, moving others along the cheapest path."""
    columns = len(deep)
    least, before = np.full(columns, np.inf), np.zeros(columns, np.int64)
    done = np.zeros(columns, bool)
    at = 0
    while owner[at]:
        done[at] = True
        row = owner[at]
        reached = cost[row - 1] - high[row] - deep[1:]
        better = ~done[1:] & (reached < least[1:])
        least[1:][better] = reached[better]
        before[1:][better] = at
        at = int(np.where(done, np.inf, least).argmin())
        step = least[at]
        high[owner[done]] += step
        deep[done] -= step
        least[~done] -= step
    while at:
        owner[at] = owner[before[at]]
        at = int(before[at])
