"""Tasks drawn one after the other at known rates, so that any beginning of the queue is a sample with known chances.

Task i has rate w_i = (1 - audit) p_i + audit / N: p_i is its share of all scores, and the second term a floor under
which no task falls. It arrives at a_i = E_i / w_i with E_i exponential of mean 1, and the queue is in order of arrival.
That is drawing without replacement with chances in proportion to the rates, called exponential order sampling or
Gumbel-top-k (Efraimidis and Spirakis 2006; Kool, van Hoof and Welling 2019). Given the arrival t of the first task that
is not in a beginning of the queue, task i is in it exactly if a_i < t, with probability 1 - exp(-w_i t) whatever the
others do: that is what makes estimates from it unbiased (Duffield, Lund and Thorup 2007).

A task is of the stream `audit` with probability (audit / N) / w_i: each draw is one of the policy or, with probability
`audit`, one of pure chance, and this is the share of the latter in what was drawn.

E_i depends on the seed and the id of the task alone: who plans again gets the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from dataplat.errors import ConfigError, LabelError
from dataplat.lake.content_id import row_digests

Array: TypeAlias = np.ndarray[Any, Any]

AUDIT = 0.1
"""The share of draws that are by pure chance unless told."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Of each task its rate, when it arrives, and whether chance alone or the policy drew it."""

    rate: Array
    arrival: Array
    audit: Array


def draw(tasks: Sequence[str], scores: Any, *, seed: int | str, audit: float = AUDIT) -> Drawn:
    """Draw all tasks.

    Args:
        tasks: ids.
        scores: one for each, 0 or more: a task of twice the score is drawn twice as soon. NaN: nothing is known of it,
            it counts as the mean of the others. None: all are equal.
        seed: the same seed and task give the same luck.
        audit: the share of draws that are by pure chance; above 0, at most 1.

    Raises:
        ConfigError: The share is none.
        LabelError: A score is negative or infinite.
    """
    if not 0 < audit <= 1:
        raise ConfigError(f"the audit is a share of the draws, above 0 and at most 1, not {audit}: without it some tasks might have no chance")  # fmt: skip
    rate = rates(np.ones(len(tasks)) if scores is None else np.asarray(scores, np.float64), audit)
    one, two = _luck(tasks, seed)
    return Drawn(rate, -np.log(one) / rate, two * rate < audit / max(len(tasks), 1))


def rates(scores: Array, audit: float) -> Array:
    """Return the rates of draws, which sum to 1.

    Raises:
        LabelError: A score is negative or infinite.
    """
    known = scores[~np.isnan(scores)]
    if (known < 0).any() or np.isinf(known).any():
        raise LabelError(f"scores are numbers of 0 or more, and one is {known[(known < 0) | np.isinf(known)][0]:g}")
    filled = np.where(np.isnan(scores), known.mean() if len(known) else 1.0, scores)
    top = filled.max(initial=0.0)
    if top > 0:
        filled /= top  # the sum of huge scores is beyond all floats
    total = filled.sum()
    policy = filled / total if total > 0 else np.full(len(scores), 1 / max(len(scores), 1))
    return (1 - audit) * policy + audit / max(len(scores), 1)


def inclusion(rate: Array, until: float) -> Array:
    """Return the probability to arrive before `until`, which is the arrival of a task that does not count itself."""
    return -np.expm1(-rate * until)


def _luck(tasks: Sequence[str], seed: int | str) -> tuple[Array, Array]:
    """Return two numbers between 0 and 1 for each task, that say nothing of each other."""
    if not len(tasks):
        return np.empty(0), np.empty(0)
    ids = pa.array(tasks, pa.string())
    batch = pa.record_batch({"task": ids, "seed": pa.repeat(pa.scalar(f"order {seed}", pa.string()), len(ids))})
    digests = row_digests(batch)
    one, two = ((digests[:, lane] >> np.uint64(11)).astype(np.float64) + 0.5 for lane in (0, 1))
    return one * 2.0**-53, two * 2.0**-53
