"""What is true of all tasks of a queue, from the beginning of it that is answered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dataplat.errors import BadColumn

if TYPE_CHECKING:
    from dataplat._labels._state import State
    from dataplat.labeling.estimate import Estimate, Sample


def sample(state: State) -> Sample:
    """Return the tasks before the first open one, each with the chance that it had to be among them.

    A task is closed when it has all its answers, or when everybody answered or skipped it.
    """
    from dataplat.labeling.estimate import closed_sample

    rows = state.annotations.to_arrow(columns=["task", "annotator", "skipped"]).to_pylist()
    people = {(row["task"], row["annotator"]) for row in rows if row["annotator"] != state.spec.adjudicator}
    said = {(row["task"], row["annotator"]) for row in rows if not row["skipped"]} & people
    answers, seen = Counter(task for task, _ in said), Counter(task for task, _ in people)
    everybody = max(len(state.spec.annotators), 1)
    closed = [task for task in seen if answers[task] >= state.spec.overlap or seen[task] >= everybody]
    return closed_sample(state.tasks, closed)


def accuracy(state: State, predictions: str, confidence: float) -> Estimate:
    """Estimate the share of all tasks that predictions have right, the labels being those of the majority."""
    from dataplat._labels._consensus import consensus
    from dataplat._labels._rows import tasks_of

    predicted = state.referred(predictions)
    names = predicted.schema.names
    column = next((name for name in ("label", "prediction") if name in names), None)
    if column is None:
        raise BadColumn(f"{predictions} has no column label or prediction; it has {', '.join(names)}")
    rows = tasks_of(state, predicted, [column])
    labels = consensus(state, "majority", None).table
    return sample(state).accuracy(
        dict(zip(labels["task"].to_pylist(), labels["label"].to_pylist(), strict=True)),
        {
            task: None if label is None else str(label)
            for task, label in zip(rows["task"].to_pylist(), rows[column].to_pylist(), strict=True)
        },
        confidence=confidence,
    )
