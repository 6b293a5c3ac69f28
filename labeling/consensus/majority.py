"""The label that most people, or those who count most, gave."""

from __future__ import annotations

import numpy as np

from dataplat.labeling.consensus._coded import Array, Coded
from dataplat.labeling.consensus._decided import Decided, nothing

_EQUAL = 1e-9  # shares nearer than this are equal: sums of weights are rounded


def majority(votes: Coded, weights: Array | None = None) -> Decided:
    """Return each task's label with the greatest sum of weights, each vote counting 1 unless told.

    Of equal ones the first in the order of labels is taken, and the task is tied. Where all votes of a task weigh
    nothing, each counts 1. Of a task without votes nothing is said: label -1, confidence 0.
    """
    weight = np.ones(len(votes)) if weights is None else weights
    total = np.bincount(votes.task, weight, len(votes.tasks))
    weight = np.where(total[votes.task] > 0, weight, 1.0)
    pairs, pair = np.unique(votes.task * max(len(votes.labels), 1) + votes.label, return_inverse=True)
    task, label = np.divmod(pairs, max(len(votes.labels), 1))
    share = np.bincount(pair, weight, len(pairs)) / np.bincount(votes.task, weight, len(votes.tasks))[task]
    best = np.full(len(votes.tasks), -np.inf)
    np.maximum.at(best, task, share)
    among = np.flatnonzero(share >= best[task] - _EQUAL)
    label, share = label[among], share[among]
    asked, first, many = np.unique(task[among], return_index=True, return_counts=True)
    decided = nothing(len(votes.tasks))
    decided.label[asked], decided.confidence[asked], decided.tied[asked] = label[first], share[first], many > 1
    return decided
