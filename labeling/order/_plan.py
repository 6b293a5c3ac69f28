"""Positions of tasks in a queue, with what estimates need to know of how they came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dataplat.errors import LabelError
from dataplat.labeling.order._policies import Order, order_from
from dataplat.labeling.order._sample import AUDIT, draw, inclusion


def plan(
    order: Order | Mapping[str, Any] | None,
    tasks: Sequence[str],
    scores: Any = None,
    seed: int | str = 0,
    audit: float | None = None,
    *,
    start: int = 0,
    limit: int | None = None,
) -> pa.Table:
    """Return where each task stands in the queue.

    Args:
        order: an order, or what its `to_dict` gave; None: as the tasks are given.
        tasks: ids of all tasks that there are to ask, the whole of what estimates will speak of.
        scores: what `scores` gave for them; None: all are equal.
        seed: of the queue: the same seed, tasks and scores give the same plan.
        audit: the share of draws by pure chance; None: the order's own.
        start: the first position that is given.
        limit: the most tasks to queue; None: all.

    Returns:
        A table of as many rows as tasks, in their order: `task`, `position` (null beyond the limit), `stream` (`policy`,
        `audit` or `fixed`), `rate`, `arrival` and `probability` (to be among the tasks queued: 1 where that is all of
        them). The last three are null where the order is fixed.

    Raises:
        ConfigError: There is no such order, or the audit is no share.
        LabelError: There are not as many scores as tasks, or one of a sampling order is negative or infinite.
    """
    policy = order_from(order)
    if scores is not None and len(scores) != len(tasks):
        raise LabelError(f"{len(scores)} scores for {len(tasks)} tasks")
    ids = pa.array(tasks, pa.string())
    if policy is None or not policy.samples:
        places = np.arange(len(ids)) if policy is None or scores is None else _descending(scores)
        return _table(ids, _positions(places, start, limit))
    share = (policy.audit if policy.audit is not None else AUDIT) if audit is None else audit
    drawn = draw(tasks, scores, seed=seed, audit=share)
    places = np.lexsort((np.asarray(ids), drawn.arrival))
    beyond = len(ids) if limit is None else limit
    until = drawn.arrival[places[beyond]] if beyond < len(ids) else np.inf
    streams = np.where(drawn.audit, "audit", "policy")
    chances = inclusion(drawn.rate, until)
    return _table(ids, _positions(places, start, limit), streams, drawn.rate, drawn.arrival, chances)


def _positions(places: np.ndarray[Any, Any], start: int, limit: int | None) -> pa.Array:
    """Return the position of each task, given which comes when; null from the limit on."""
    found = np.empty(len(places), np.int64)
    found[places] = np.arange(len(places))
    return pa.array(found + start, mask=None if limit is None else found >= limit)


def _descending(scores: Any) -> np.ndarray[Any, Any]:
    """Return the places of scores, the highest first, those that nobody knows last; equal ones as they were given."""
    found = np.asarray(scores, np.float64)
    return np.argsort(-np.where(np.isnan(found), -np.inf, found), kind="stable")


def _table(ids: pa.Array, positions: pa.Array, streams: Any = None, *numbers: Any) -> pa.Table:
    arrays = [
        ids,
        positions,
        pa.array(streams if streams is not None else ["fixed"] * len(ids), pa.string()),
        *(pa.array(each, pa.float64()) for each in numbers or ([None] * len(ids),) * 3),
    ]
    return pa.Table.from_arrays(arrays, ["task", "position", "stream", "rate", "arrival", "probability"])
