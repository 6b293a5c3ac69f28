"""How much each annotator counts, by how often they are right where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dataplat.errors import LabelError
from dataplat.labeling.consensus._coded import Array, Coded
from dataplat.lake.schema import did_you_mean

LEAST = 0.01
"""What a vote of somebody who is no better than chance weighs: it decides only where there is no other."""

_ASSUMED = 2.0  # answers on gold tasks that everybody is taken to have given, as right as all annotators together


def by_truth(votes: Coded, known: Array) -> Array:
    """Return the weight of each annotator: the log-odds of being right, which is best for independent voters.

    The accuracy on tasks of known truth is drawn a little towards that of all annotators, so that nobody is infallible
    after three answers, and who answered none counts as the average does. With K labels a vote that is right with
    chance p weighs log(p (K - 1) / (1 - p)) (Nitzan and Paroush 1982, for more than two labels).

    Raises:
        LabelError: No vote is on a task whose truth is known.
    """
    truth = known[votes.task]
    asked = truth >= 0
    if not asked.any():
        raise LabelError("nobody answered a task whose truth is known: nothing to weigh annotators by")
    many = len(votes.annotators)
    right = np.bincount(votes.annotator[asked], votes.label[asked] == truth[asked], many)
    answers = np.bincount(votes.annotator[asked], minlength=many)
    together = right.sum() / answers.sum()
    accuracy = np.clip((right + _ASSUMED * together) / (answers + _ASSUMED), 1e-3, 1 - 1e-3)
    odds = np.log(accuracy * max(len(votes.labels) - 1, 1) / (1 - accuracy))
    weights: Array = np.maximum(odds, LEAST)
    return weights


def by_name(votes: Coded, weights: Mapping[str, float]) -> Array:
    """Return the weight of each annotator as it was given.

    Raises:
        LabelError: Somebody who votes has none, or one is no finite number from 0 on.
    """
    names = votes.annotators.to_pylist()
    for name in names:
        if name not in weights:
            raise LabelError(f"no weight for annotator {name!r}{did_you_mean(str(name), map(str, weights))}")
    found = np.array([float(weights[name]) for name in names])
    if not (np.isfinite(found) & (found >= 0)).all():
        wrong = names[int(np.argmin(np.isfinite(found) & (found >= 0)))]
        raise LabelError(f"the weight of annotator {wrong!r} is {weights[wrong]!r}, not a finite number from 0 on")
    return found
