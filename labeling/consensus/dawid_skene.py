"""What is true and who errs how, found from votes alone (Dawid and Skene 1979, Applied Statistics 28)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataplat.errors import LabelError
from dataplat.labeling.consensus._coded import Array, Coded
from dataplat.labeling.consensus._decided import Decided, nothing

LEAST = 1e-10
"""The least chance that anything has: what nobody did yet is not impossible."""

MOST = 100_000_000
"""Numbers that are held at once (labels × tasks and answers of annotators): 800 MB, several times."""

_EQUAL = 1e-9
_SPARSE = 10_000_000  # pairs of annotator and label of which no table is made


@dataclass(frozen=True, slots=True)
class Model:
    """What the method found.

    Attributes:
        chances: labels × tasks: how likely each label is the true one.
        prior: of each label, how common it is.
        cells: the pairs of annotator and label that occur among the votes, as annotator × labels + label, ascending.
        errors: labels × cells: the chance that the annotator gives the label where that of the row is true.
        abstained: labels × annotators: the chance that they do not vote where that label is true; 1 of those whose
            silence says nothing.
        iterations: how often chances and errors were estimated in turn.
        converged: whether another turn would have added next to nothing.
        likelihoods: after each turn, the mean logarithm of the chance of a vote.
    """

    chances: Array
    prior: Array
    cells: Array
    errors: Array
    abstained: Array
    iterations: int
    converged: bool
    likelihoods: tuple[float, ...]

    def decided(self) -> Decided:
        """Return each task's likeliest label, the first of equal ones."""
        best = self.chances.max(axis=0, initial=0.0)
        equal = self.chances >= best - _EQUAL
        if not len(equal):
            return nothing(equal.shape[1])
        return Decided(equal.argmax(axis=0), best, equal.sum(axis=0) > 1)


def dawid_skene(
    votes: Coded,
    known: Array | None = None,
    *,
    abstaining: Array | None = None,
    iterations: int = 100,
    tolerance: float = 1e-5,
    smoothing: float = 0.0,
) -> Model:
    """Estimate in turn which labels are true and how each annotator errs, until that changes nothing (EM).

    It begins with the shares of votes. People who answer at random, or always the same, come to count nothing; one who
    takes two labels for each other comes to count for what is meant.

    Args:
        votes: who says what.
        known: of each task the number of its true label, or -1; these are held.
        abstaining: which annotators saw every task, so that it says something, too, where they do not vote.
        iterations: the most turns.
        tolerance: the gain in the mean log-likelihood of a vote below which it ends; 0 and below: never before.
        smoothing: answers for each true label that everybody is taken to have given besides, divided as those of all
            people together are. 1 to 3 help where people answered few tasks; 0 is the method as it was published.

    Raises:
        LabelError: There are so many labels that it would not fit in memory.
    """
    many, tasks = len(votes.labels), len(votes.tasks)
    cells, cell = _cells(votes)
    if many * (tasks + len(cells)) > MOST:
        raise LabelError(f"{many:,} labels of {tasks:,} tasks are too many for dawid-skene: take majority")
    held = np.flatnonzero(known >= 0) if known is not None else np.empty(0, np.int64)
    labels = known[held] if known is not None else held
    silent = np.zeros(len(votes.annotators), np.bool_) if abstaining is None else abstaining
    steps = _Steps(votes, cells, cell, silent, held, labels, smoothing)
    chances = steps.hold(_shares(votes))
    prior, errors, abstained = steps.estimate(chances)
    likelihoods: list[float] = []
    converged = False
    while len(likelihoods) < iterations and not converged and len(votes):
        chances, likelihood = steps.expect(prior, errors, abstained)
        prior, errors, abstained = steps.estimate(chances)
        converged = bool(likelihoods) and tolerance > 0 and likelihood - likelihoods[-1] < tolerance
        likelihoods.append(likelihood)
    return Model(chances, prior, cells, errors, abstained, len(likelihoods), converged, tuple(likelihoods))


@dataclass(frozen=True, slots=True)
class _Steps:
    """The two steps, label by label, so that each array that is walked is one of plain numbers."""

    votes: Coded
    cells: Array
    cell: Array
    silent: Array
    held: Array
    labels: Array
    smoothing: float

    @property
    def many(self) -> Array:
        """How many votes each task has."""
        return np.diff(self.votes.starts)

    def hold(self, chances: Array) -> Array:
        """Put what is known in place."""
        chances[:, self.held] = 0.0
        chances[self.labels, self.held] = 1.0
        return chances

    def estimate(self, chances: Array) -> tuple[Array, Array, Array]:
        """Return how common labels are, how annotators err, and how often they abstain (the M step)."""
        mass = chances.sum(axis=1)
        many, people = max(len(self.votes.labels), 1), len(self.votes.annotators)
        who, said = np.divmod(self.cells, many)
        errors = np.empty((len(chances), len(self.cells)))
        abstained = np.ones((len(chances), people))
        for label, chance in enumerate(chances):
            counts = np.maximum(np.bincount(self.cell, np.repeat(chance, self.many), len(self.cells)), LEAST)
            if self.smoothing:
                together = np.bincount(said, counts, many)
                counts += self.smoothing * (together / together.sum())[said]
            total = np.bincount(who, counts, people)
            asked = np.where(self.silent, np.maximum(total, mass[label] + self.smoothing), total)
            errors[label] = counts / asked[who]
            abstained[label, self.silent] = np.maximum(1 - (total / np.maximum(asked, LEAST))[self.silent], LEAST)
        return np.maximum(mass / max(chances.shape[1], 1), LEAST), errors, abstained

    def expect(self, prior: Array, errors: Array, abstained: Array) -> tuple[Array, float]:
        """Return how likely labels are, and the mean log-likelihood of a vote (the E step)."""
        silence = np.log(abstained)
        logs = np.log(errors) - silence[:, self.cells // max(len(prior), 1)]
        found = np.zeros((len(prior), len(self.votes.tasks)))
        asked = np.flatnonzero(self.many)
        for label, log in enumerate(logs):
            found[label, asked] = np.add.reduceat(log[self.cell], self.votes.starts[asked])
        found += (np.log(prior) + silence.sum(axis=1))[:, None]
        known = found[self.labels, self.held]
        highest = found.max(axis=0)
        found -= highest
        np.exp(found, out=found)
        total = found.sum(axis=0)
        found /= total
        likelihood = highest + np.log(total)
        likelihood[self.held] = known
        return self.hold(found), float(likelihood.sum() / len(self.votes))


def _cells(votes: Coded) -> tuple[Array, Array]:
    """Return the pairs of annotator and label that occur, and of each vote the place of its own among them."""
    many = max(len(votes.labels), 1)
    pairs = votes.annotator * many + votes.label
    if len(votes.annotators) * many > _SPARSE:
        cells, cell = np.unique(pairs, return_inverse=True)
        return cells, cell
    there = np.bincount(pairs, minlength=len(votes.annotators) * many) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[pairs]


def _shares(votes: Coded) -> Array:
    """Return each label's share of the votes of each task; of a task without votes, equal ones."""
    many, tasks = len(votes.labels), len(votes.tasks)
    counts = np.bincount(votes.label * tasks + votes.task, minlength=many * tasks).reshape(many, tasks)
    total = counts.sum(axis=0)
    return np.where(total > 0, counts / np.maximum(total, 1), 1 / max(many, 1))
