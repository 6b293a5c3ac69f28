"""Votes as numbers: what is counted, in one order whatever the order of the votes was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import BadColumn, KeyViolation, LabelError
from dataplat.lake.schema import did_you_mean

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Coded:
    """Votes sorted by task and annotator; a person votes once on a task.

    Attributes:
        tasks: the names of tasks, sorted; likewise `annotators` and `labels`.
        task: of each vote the number of its task, ascending; likewise `annotator` and `label`.
        starts: where the votes of each task begin, and the number of votes at the end.
        weight: of each vote; None where the table has no such column.
    """

    tasks: pa.Array
    annotators: pa.Array
    labels: pa.Array
    task: Array
    annotator: Array
    label: Array
    starts: Array
    weight: Array | None = None

    def __len__(self) -> int:
        return len(self.task)

    def only(self, kept: Array) -> Coded:
        """Return some of the votes, by a mask, under the same numbers."""
        task = self.task[kept]
        weight = None if self.weight is None else self.weight[kept]
        starts = np.searchsorted(task, np.arange(len(self.tasks) + 1))
        return Coded(
            self.tasks, self.annotators, self.labels, task, self.annotator[kept], self.label[kept], starts, weight
        )

    def known(self, truth: Mapping[Any, Any] | pa.Table | None) -> Array:
        """Return, for each task, the number of its true label, or -1 where it is not known.

        Raises:
            LabelError: A true label is one that nobody votes for and so has no number, or is none of the type.
        """
        found = np.full(len(self.tasks), -1, np.int64)
        if truth is None:
            return found
        pairs = truth if isinstance(truth, pa.Table) else pa.table({"task": list(truth), "label": list(truth.values())})
        pairs = pairs.filter(pc.is_in(pairs["task"], value_set=self.tasks))
        numbers = pc.index_in(_cast(pairs["label"], self.labels.type, "truth"), value_set=self.labels)
        found[np.asarray(pc.index_in(pairs["task"], value_set=self.tasks))] = np.asarray(numbers.fill_null(-1))
        return found


def coded(votes: pa.Table, truth: Mapping[Any, Any] | pa.Table | None = None) -> Coded:
    """Number tasks, annotators and labels of a table of votes; null labels are no votes.

    Labels of `truth` are numbered among the others, so that what nobody voted for can be the truth.

    Raises:
        BadColumn: `task`, `annotator` or `label` is missing.
        LabelError: A vote has no task or no annotator, or a weight that is none.
        KeyViolation: Somebody votes twice on one task.
    """
    for name in ("task", "annotator", "label"):
        if name not in votes.column_names:
            raise BadColumn(f"votes have no column {name!r}{did_you_mean(name, votes.column_names)}")
    votes = votes.filter(votes["label"].is_valid()).combine_chunks()
    for name in ("task", "annotator"):
        if votes[name].null_count:
            raise LabelError(f"{votes[name].null_count} votes say no {name}")
    tasks, task = _numbered(votes["task"])
    annotators, annotator = _numbered(votes["annotator"])
    labels, label = _numbered(votes["label"], _true_labels(truth, votes["label"].type))
    order = np.argsort(task * max(len(annotators), 1) + annotator, kind="stable")
    task, annotator, label = task[order], annotator[order], label[order]
    twice = np.flatnonzero((np.diff(task) == 0) & (np.diff(annotator) == 0))
    if len(twice):
        at = twice[0]
        raise KeyViolation(
            f"{annotators[annotator[at]].as_py()!r} votes twice on task {tasks[task[at]].as_py()!r}: keep the vote that counts"
        )
    weight = _weights(votes)
    starts = np.searchsorted(task, np.arange(len(tasks) + 1))
    return Coded(tasks, annotators, labels, task, annotator, label, starts, None if weight is None else weight[order])


def _numbered(column: pa.ChunkedArray, more: pa.Array | None = None) -> tuple[pa.Array, Array]:
    """Return the distinct values, sorted, and of each row the number of its value among them."""
    found = column.unique() if more is None else pa.chunked_array([column.unique(), more]).unique()
    values = found.take(pc.sort_indices(found))
    return values, np.asarray(pc.index_in(column, value_set=values)).astype(np.int64)


def _true_labels(truth: Mapping[Any, Any] | pa.Table | None, kind: pa.DataType) -> pa.Array | None:
    if truth is None:
        return None
    labels = truth["label"].combine_chunks() if isinstance(truth, pa.Table) else pa.array(list(truth.values()))
    return _cast(labels, kind, "truth").drop_null()


def _cast(labels: Any, kind: pa.DataType, whose: str) -> Any:
    try:
        return labels.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LabelError(f"labels of the {whose} are {labels.type}, those of the votes {kind}") from error


def _weights(votes: pa.Table) -> Array | None:
    if "weight" not in votes.column_names:
        return None
    weight = np.asarray(votes["weight"].cast(pa.float64()).fill_null(np.nan))
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise LabelError("the weight of a vote is a finite number from 0 on")
    return weight
