"""What is usual in a dataset: how far its neighbouring batches were apart in the past."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dataplat.validation.drift._bins import bins_of
from dataplat.validation.drift._column import Column
from dataplat.validation.drift._distributions import normal_isf
from dataplat.validation.drift._measures import METHODS

ENOUGH = 20
"""Batches that a history needs before it says what is usual."""


@dataclass(frozen=True, slots=True)
class Usual:
    """Of one column: the noise between neighbouring batches beyond that of independent rows, and of how many batches.

    It is in units of the noise of independent rows, so that it holds for sides of other sizes.
    """

    method: str
    spread: float
    batches: int


def usual_of(history: Sequence[Mapping[str, Column]], methods: Mapping[str, str]) -> dict[str, Usual]:
    """Return what is usual in columns of which there are 20 batches or more.

    Args:
        history: Batches of rows, oldest first: what each version of a dataset added.
        methods: The statistic of each column.
    """
    found = {}
    for name, method in methods.items():
        batches = [column for side in history if (column := side.get(name)) is not None and column.rows]
        batches = [column for column in batches if column.kind == batches[-1].kind]
        if len(batches) >= ENOUGH:
            noises = np.array([_noise(one, two, method) for one, two in pairwise(batches)])
            found[name] = Usual(method, spread_of(noises), len(batches))
    return found


def spread_of(noises: np.ndarray) -> float:
    """Return the standard deviation of distances, taken for those of a normal deviate from 0.

    The lesser of what their median and their ninth tenth say: past drift, of up to a tenth of the batches, does not
    count as usual. Of few distances it is known only in part, which is put on top.
    """
    median, upper = np.quantile(noises, 0.5) / normal_isf(0.25), np.quantile(noises, 0.9) / normal_isf(0.05)
    return float(min(median, upper) * (1 + 1 / math.sqrt(len(noises))))


def _noise(before: Column, after: Column, method: str) -> float:
    return METHODS[method].measure(before, after, bins_of(before, after)).noise
