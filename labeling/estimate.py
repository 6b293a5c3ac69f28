"""What is true of all tasks of a queue, estimated from those that were answered, though they were not drawn alike.

Each task that a sampling order has put into the queue has a known probability to be in its closed beginning, the tasks
before the first one that is still open (`dataplat.labeling.order._sample`). Weighing each answer by one over that
probability gives sums that are right in the mean, whatever the policy preferred (Horvitz and Thompson 1952; for order
sampling Duffield, Lund and Thorup 2007). Answers beyond the first open task are left out: who answers them out of turn
is not known to chance.

Two things are assumed. A task is closed or not for reasons other than its answer: to stop as soon as the figures please
biases them, as it does any. And a task that was skipped has no answer; estimates are then of the tasks that can be
answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.errors import BadColumn, ConfigError, LabelError

if TYPE_CHECKING:
    import pyarrow as pa

Array: TypeAlias = np.ndarray[Any, Any]

STREAMS: Final = frozenset({"policy", "audit"})
"""Streams of tasks that were drawn at a known rate."""

_WHOLE: Final = 1 - 1e-9  # rates of one push sum to 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error and the interval that holds the truth with `confidence`.

    `tasks` is how many answers it comes from, `effective` how many of equal weight would be worth as much (Kish 1965).
    """

    value: float
    error: float
    low: float
    high: float
    confidence: float
    tasks: int
    effective: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}, from {self.tasks:,} tasks)"


@dataclass(frozen=True, slots=True)
class Sample:
    """The closed beginning of a queue: its tasks, and how probable it was that each would be in it."""

    tasks: tuple[str, ...]
    probabilities: Array

    def total(self, values: Mapping[str, float | None], *, confidence: float = 0.95) -> Estimate:
        """Return the sum of a value over all tasks that there are (Horvitz and Thompson), those without one being 0.

        Args:
            values: by task; a task of the sample that has none, or None, counts as 0: skipped.
            confidence: of the interval.
        """
        weights, found = 1 / self.probabilities, np.nan_to_num(self._values(values))
        variance = float(((1 - self.probabilities) * (weights * found) ** 2).sum())
        return self._estimate(float(weights @ found), variance, ~np.isnan(self._values(values)), confidence)

    def mean(self, values: Mapping[str, float | None], *, confidence: float = 0.95) -> Estimate:
        """Return the mean of a value over all tasks that have one (Hajek 1971): the weighted sum over that of the weights.

        It needs not know how many tasks there are, and its error is that of the values' distance from the mean: where
        all are alike there is none. The price is a bias of the order of one over the sample's size.

        Args:
            values: by task; tasks that have none, or None, are left out: skipped.
            confidence: of the interval.

        Returns:
            The mean; NaN where no task of the sample has a value.
        """
        found = self._values(values)
        there = ~np.isnan(found)
        weights = there / self.probabilities
        size = float(weights.sum())
        if not size:
            return Estimate(*(float("nan"),) * 4, confidence, 0, 0.0)
        value = float(weights @ np.nan_to_num(found)) / size
        away = np.where(there, found - value, 0.0)
        variance = float(((1 - self.probabilities) * (weights * away) ** 2).sum()) / size**2
        return self._estimate(value, variance, there, confidence)

    def accuracy(self, truth: Mapping[str, Any], predicted: Mapping[str, Any], *, confidence: float = 0.95) -> Estimate:
        """Return the share of tasks that a prediction has right, of all those that have both a label and a prediction.

        Args:
            truth: labels by task, None where there is none.
            predicted: predictions by task.
            confidence: of the interval.
        """
        both = [task for task in self.tasks if truth.get(task) is not None and predicted.get(task) is not None]
        return self.mean({task: float(truth[task] == predicted[task]) for task in both}, confidence=confidence)

    @property
    def population(self) -> float:
        """How many tasks there are to ask, as the sample has it: the sum of the weights."""
        return float((1 / self.probabilities).sum())

    def _values(self, values: Mapping[str, float | None]) -> Array:
        given = (values.get(task) for task in self.tasks)
        return np.array([np.nan if value is None else float(value) for value in given], np.float64)

    def _estimate(self, value: float, variance: float, there: Array, confidence: float) -> Estimate:
        if not 0 < confidence < 1:
            raise ConfigError(f"a confidence is between 0 and 1, not {confidence}")
        error = float(np.sqrt(variance))
        reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
        weights = there / self.probabilities
        square = float((weights**2).sum())
        effective = float(weights.sum()) ** 2 / square if square else 0.0
        return Estimate(value, error, value - reach, value + reach, confidence, int(there.sum()), effective)


def closed_sample(tasks: pa.Table, closed: Collection[str]) -> Sample:
    """Return the tasks before the first one that is open, with the probability of each to be there.

    Tasks that one push put in order were drawn together; several pushes are several draws, each with its own first open
    task. Gold tasks and those of a fixed order are passed over.

    Args:
        tasks: a queue's tasks (`dataplat.labeling.tables`): `task`, `position`, `stream`, `rate`, `arrival`,
            `probability`.
        closed: ids of those that nobody has to answer any more, answered or skipped.

    Raises:
        BadColumn: A column is not there.
        LabelError: No task was drawn at a known rate: the order is fixed.
    """
    for name in ("task", "position", "stream", "rate", "arrival", "probability"):
        if name not in tasks.column_names:
            raise BadColumn(f"no column {name!r} in the tasks: they have {', '.join(tasks.column_names)}")
    rows = [row for row in tasks.sort_by("position").to_pylist() if _is_drawn(row)]
    if not rows:
        raise LabelError(
            "no task of this queue was drawn at a known rate, so nothing follows for the others: an order that samples is needed, such as uncertainty(…) or random()"
        )
    done = frozenset(closed)
    found = [each for drawn in _draws(rows) for each in _beginning(drawn, done)]
    return Sample(tuple(task for task, _ in found), np.array([chance for _, chance in found], np.float64))


def _is_drawn(row: Mapping[str, Any]) -> bool:
    return row["stream"] in STREAMS and row["rate"] is not None and row["position"] is not None


def _draws(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the tasks of each draw: arrivals ascend in it, and its rates sum to 1 where all of it is queued."""
    draws: list[list[Mapping[str, Any]]] = []
    summed = 1.0
    for row in rows:
        if summed >= _WHOLE or row["arrival"] < draws[-1][-1]["arrival"]:
            draws.append([])
            summed = 0.0
        draws[-1].append(row)
        summed += row["rate"]
    return draws


def _beginning(drawn: Sequence[Mapping[str, Any]], closed: frozenset[str]) -> list[tuple[str, float]]:
    """Return the tasks of a draw before its first open one, each with the probability to have come before that."""
    first = next((number for number, row in enumerate(drawn) if row["task"] not in closed), len(drawn))
    until = drawn[first]["arrival"] if first < len(drawn) else max(map(_until, drawn))
    return [(row["task"], float(-np.expm1(-row["rate"] * until))) for row in drawn[:first]]


def _until(row: Mapping[str, Any]) -> float:
    """Return before when tasks had to arrive to be queued at all, as the probability of one of them has it."""
    chance = row["probability"]
    return float("inf") if chance is None or chance >= 1 else float(-np.log1p(-chance) / row["rate"])
