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
        pairs = pa.table({"task": list(truth), "label": list(truth.values())}) if isinstance(truth, Mapping) else truth
        tasks = pc.index_in(_cast(_plain(pairs["task"]), self.tasks.type, "tasks of the truth"), value_set=self.tasks)
        labels = pc.index_in(
            _cast(_plain(pairs["label"]), self.labels.type, "labels of the truth"), value_set=self.labels
        )
        here = np.asarray(tasks.is_valid())
        found[np.asarray(tasks.fill_null(-1))[here]] = np.asarray(labels.fill_null(-1))[here]
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
    votes = pa.table({name: _plain(votes[name]) for name in votes.column_names})
    votes = votes.filter(votes["label"].is_valid())
    for name in ("task", "annotator"):
        if votes[name].null_count:
            raise LabelError(f"{votes[name].null_count} votes say no {name}")
    tasks, task = _numbered(votes["task"])
    annotators, annotator = _numbered(votes["annotator"])
    labels, label = _numbered(votes["label"], _true_labels(truth, votes["label"].type))
    order = np.argsort(task * max(len(annotators), 1) + annotator)
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


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without dictionaries and wide texts, which other libraries write."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    wide = pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind)
    return column.cast(pa.string() if wide else kind)


def _numbered(column: pa.ChunkedArray, more: pa.Array | None = None) -> tuple[pa.Array, Array]:
    """Return the distinct values, sorted, and of each row the number of its value among them."""
    rows = len(column)
    if more is not None:
        column = pa.chunked_array([*column.chunks, more], column.type)
    encoded = pa.concat_arrays(column.chunks).dictionary_encode() if column.num_chunks else None
    if encoded is None:
        return pa.array([], column.type), np.empty(0, np.int64)
    order = np.asarray(pc.sort_indices(encoded.dictionary))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return encoded.dictionary.take(pa.array(order)), rank[np.asarray(encoded.indices)[:rows]]


def _true_labels(truth: Mapping[Any, Any] | pa.Table | None, kind: pa.DataType) -> pa.Array | None:
    if truth is None:
        return None
    labels = pa.array(list(truth.values())) if isinstance(truth, Mapping) else _plain(truth["label"]).combine_chunks()
    return _cast(labels, kind, "labels of the truth").drop_null()


def _cast(values: Any, kind: pa.DataType, what: str) -> Any:
    try:
        return values.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LabelError(f"the {what} are {values.type}, those of the votes {kind}") from error


def _weights(votes: pa.Table) -> Array | None:
    if "weight" not in votes.column_names:
        return None
    weight = np.asarray(votes["weight"].cast(pa.float64()).fill_null(np.nan))
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise LabelError("the weight of a vote is a finite number from 0 on")
    return weight
