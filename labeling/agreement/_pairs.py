"""Who agrees with whom: every two annotators of the same tasks side by side."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from dataplat.errors import ConfigError
from dataplat.labeling.agreement._kappa import Contingency, Weights
from dataplat.labeling.agreement._ratings import MISSING, codes_of


def pairwise_kappa(tasks: Any, annotators: Any, labels: Any, weights: Weights | None = None) -> pa.Table:
    """Return Cohen's κ of every two annotators who answered tasks in common, those who agree least first.

    Args:
        tasks: of each answer the task.
        annotators: of each answer who gave it; of several by one person to one task the last counts.
        labels: of each answer what it says; None where nothing.
        weights: as of `cohen_kappa`.

    Returns:
        A table: `one`, `other`, `tasks` (in common), `agreement` (the share of equal answers), `kappa` (null where it is
        not defined).

    Raises:
        ConfigError: There are not as many tasks, annotators and labels, or one has no task or annotator.
    """
    task, who, said = codes_of(tasks), codes_of(annotators), codes_of(labels)
    if not len(task.codes) == len(who.codes) == len(said.codes):
        raise ConfigError("every answer has a task, an annotator and a label: there are not as many of each")
    if (task.codes == MISSING).any() or (who.codes == MISSING).any():
        raise ConfigError("every answer has a task and an annotator, and one has not")
    table = np.full((len(who.values), len(task.values)), MISSING)
    table[who.codes, task.codes] = said.codes
    rows = [_pair(table[one], table[two], weights) for one, two in combinations(range(len(who.values)), 2)]
    names = list(combinations(map(str, who.values), 2))
    found = [(*name, *row) for name, row in zip(names, rows, strict=True) if row[0]]
    found.sort(key=lambda row: (row[4] is None, row[4] or 0.0, row[:2]))
    kinds = (pa.string(), pa.string(), pa.int64(), pa.float64(), pa.float64())
    columns = zip(*found, strict=True) if found else ((),) * 5
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)],
        ["one", "other", "tasks", "agreement", "kappa"],
    )


def _pair(one: Any, two: Any, weights: Weights | None) -> tuple[int, float, float | None]:
    both = (one != MISSING) & (two != MISSING)
    counted = Contingency.of(one[both], two[both])
    kappa = counted.kappa(weights)
    return int(both.sum()), counted.agreement, None if np.isnan(kappa) else kappa
