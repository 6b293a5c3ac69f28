"""Cohen's κ of two raters, Fleiss' κ of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from dataplat.errors import ConfigError
from dataplat.labeling.agreement._coincidences import Coincidences
from dataplat.labeling.agreement._levels import order_of
from dataplat.labeling.agreement._ratings import MISSING, Array, Value, codes_of_ratings

Weights: TypeAlias = Literal["linear", "quadratic"]
_POWERS: Final = {"linear": 1, "quadratic": 2}


def cohen_kappa(a: Any, b: Any, weights: Weights | None = None, *, categories: Sequence[Value] | None = None) -> float:
    """Return Cohen's κ: agreement of two raters beyond what their own habits would give by chance (Cohen 1960).

    Args:
        a: the ratings of one, a value for each unit; None and NaN are missing, and units that only one rated are left out.
        b: those of the other, in the order of the same units.
        weights: how much a disagreement counts: None, all alike; `linear`, by the number of categories between;
            `quadratic`, by its square (Cohen 1968).
        categories: all categories in their order. None: those that occur, ascending (texts by their characters); one
            that nobody chose is no step of the scale then.

    Returns:
        κ, at most 1. NaN where both gave one and the same category to everything, or there is no unit: chance alone
        would agree always, and κ is 0/0.

    Raises:
        ConfigError: The raters rated a different number of units, values are numbers and texts together, a value is no
            category, or there are no such weights.

    Example:
        >>> round(cohen_kappa(["yes", "yes", "no", "no"], ["yes", "no", "no", "no"]), 3)
        0.5
    """
    return Contingency.of(a, b, categories).kappa(weights)


@dataclass(frozen=True, slots=True, eq=False)
class Contingency:
    """What two raters said of the same units: `counts[i, j]` units were `categories[i]` for one, `[j]` for the other."""

    categories: tuple[Value, ...]
    counts: Array

    @classmethod
    def of(cls, a: Any, b: Any, categories: Sequence[Value] | None = None) -> Contingency:
        """Count the units that both rated; arguments as of `cohen_kappa`."""
        coded = codes_of_ratings([a, b])
        both = coded.codes[:, (coded.codes != MISSING).all(axis=0)]
        if categories is None:
            categories = tuple(coded.values[at] for at in np.unique(both).tolist())
            place = np.searchsorted(np.unique(both), both)
        else:
            order_of(coded.values, categories)  # each value is one of them
            at = {value: number for number, value in enumerate(categories)}
            place = np.array([at[value] for value in coded.values] or [0], np.int64)[both]
        number = len(categories)
        return cls(
            tuple(categories), np.bincount(place[0] * number + place[1], minlength=number**2).reshape(number, number)
        )

    @property
    def agreement(self) -> float:
        """The share of units of which both said the same."""
        return float(np.trace(self.counts) / total) if (total := self.counts.sum()) else float("nan")

    def kappa(self, weights: Weights | None = None) -> float:
        """Return Cohen's κ; see `cohen_kappa`."""
        apart = apart_of(len(self.counts), weights)
        ones, others = self.counts.sum(axis=1), self.counts.sum(axis=0)
        chance = float(ones @ apart @ others)
        return 1 - float((apart * self.counts).sum()) * float(ones.sum()) / chance if chance else float("nan")


def apart_of(number: int, weights: str | None) -> Array:
    """Return how much each disagreement counts.

    Raises:
        ConfigError: There are no such weights.
    """
    if weights is not None and weights not in _POWERS:
        raise ConfigError(f"no weights {weights!r}: there are linear and quadratic, and None")
    steps = np.abs(np.subtract.outer(np.arange(number), np.arange(number)))
    return (steps > 0).astype(np.float64) if weights is None else steps.astype(np.float64) ** _POWERS[weights]


def fleiss_kappa(ratings: Any) -> float:
    """Return Fleiss' κ: agreement of many raters, who need not be the same for all units (Fleiss 1971).

    Each unit should have as many ratings as the others; where gaps make them differ, each unit counts with the share of
    its own pairs that agree, and categories with their share of all ratings. Units of fewer than two are left out.
    Against α it lacks the correction for few units, and has no levels of measurement.

    Args:
        ratings: raters x units, as `krippendorff_alpha` takes them.

    Returns:
        κ, at most 1. NaN where no unit has two ratings, or all ratings are the same.

    Raises:
        ConfigError: Ratings are no table, or numbers and texts together.

    Example:
        >>> round(fleiss_kappa([["a", "b", "b"], ["a", "b", "a"], ["a", "a", "b"]]), 3)
        0.1
    """
    return Coincidences.of(ratings).fleiss()
