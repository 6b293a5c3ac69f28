"""Labelling functions over the rows of a queue, held against what people said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat._labels._state import State
    from dataplat.labeling.weak import WeakLabels


def weak(state: State, functions: Sequence[Any]) -> WeakLabels:
    """Ask functions about the rows that the queue asks about, each task once; what people agree on is what is known."""
    from dataplat._labels._consensus import consensus
    from dataplat.labeling.task import identity_columns, task_ids
    from dataplat.labeling.weak import weak_labels

    columns = identity_columns(state.spec)
    people = consensus(state, "majority", None).table
    rows = zip(people["task"].to_pylist(), people["label"].to_pylist(), people["tied"].to_pylist(), strict=True)
    control = state.config.answer
    fixed = control is not None and control.values and control.dynamic is None
    return weak_labels(
        state.source.batches(where=state.spec.where),
        functions,
        task=lambda batch: task_ids(batch, columns, state.name),
        gold={task: label for task, label, tied in rows if not tied},
        labels=control.values if control is not None and fixed else None,
    )
