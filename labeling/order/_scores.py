"""How much an order wants each task to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from dataplat.labeling.order._context import Context
from dataplat.labeling.order._policies import (
    Committee,
    Corrections,
    Diversity,
    DriftSlice,
    Order,
    Outliers,
    Sql,
    Uncertainty,
    order_from,
)

Array: TypeAlias = np.ndarray[Any, Any]


def scores(order: Order | Mapping[str, Any] | None, context: Context) -> Array:
    """Return a number for each task of the context, in their order: the higher, the sooner; NaN where nothing is known.

    Of a task that several rows ask, predictions count with their mean, everything else with the highest score.

    Raises:
        BadColumn: A column that it needs is not there, or holds something else.
        ConfigError: There is no such order, or its text cannot be read.
        LabelError: What it refers to does not hold what it needs.
    """
    policy = order_from(order)
    match policy:
        case Uncertainty():
            from dataplat.labeling.order._uncertainty import unsure

            return unsure(policy, context)
        case Committee():
            from dataplat.labeling.order._committee import dissent

            return dissent(policy, context)
        case Diversity():
            from dataplat.labeling.order._diversity import apart

            return apart(policy, context)
        case DriftSlice():
            from dataplat.labeling.order._drift_slice import grown

            return grown(policy, context)
        case Outliers():
            from dataplat.labeling.order._rows import far_out

            return far_out(policy, context)
        case Corrections():
            from dataplat.labeling.order._corrections import corrected

            return corrected(policy, context)
        case Sql():
            from dataplat.labeling.order._rows import expressed

            return expressed(policy, context)
        case _:
            return np.ones(len(context.tasks))
