"""What a model is unsure of (B. Settles, Active Learning Literature Survey, 2009, section 3.1)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from dataplat.errors import ConfigError
from dataplat.labeling.order._context import Context
from dataplat.labeling.order._policies import Uncertainty, Unsure
from dataplat.labeling.order._probabilities import confidence, predictions
from dataplat.labeling.order._tasks import by_task

Array: TypeAlias = np.ndarray[Any, Any]


def unsure(order: Uncertainty, context: Context) -> Array:
    """Return how unsure a model is of each task, from 0 to 1."""
    found = predictions(context, order.ref)
    if found is not None:
        return by_task(context, found.ids, unsureness(found.table, order.kind or "entropy"), "mean")
    if order.kind not in {None, "least"}:
        ids, _ = confidence(context, order.ref)  # raises where there is neither
        raise ConfigError(
            f"{order.ref} holds the confidence of one answer alone, from which there is no {order.kind}: take kind='least', or give it all probabilities"
        )
    ids, sure = confidence(context, order.ref)
    return by_task(context, ids, 1 - sure, "mean")


def unsureness(table: Array, kind: Unsure) -> Array:
    """Return the uncertainty of rows of probabilities: 0 where one label is certain, 1 where all are alike (but for `least`)."""
    if table.shape[1] < 2:
        return np.where(np.isnan(table[:, 0]), np.nan, 0.0)
    if kind == "entropy":
        return entropy(table) / float(np.log(table.shape[1]))
    top = np.sort(table, axis=1)[:, -2:]
    sure: Array = top[:, 1] if kind == "least" else top[:, 1] - top[:, 0]
    return 1 - sure


def entropy(table: Array) -> Array:
    """Return Shannon's entropy of rows of probabilities, in nats."""
    logs = np.log(table, out=np.zeros_like(table), where=table > 0)
    found: Array = -(table * logs).sum(axis=1)
    return found
