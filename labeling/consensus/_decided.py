"""What a method says of each task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataplat.labeling.consensus._coded import Array


@dataclass(frozen=True, slots=True)
class Decided:
    """Of each task the number of its label (-1: none), how sure that is (0 to 1), and whether another label is as good."""

    label: Array
    confidence: Array
    tied: Array

    def settled(self, known: Array) -> Decided:
        """Return it with what is known put in place: -1 is not known, else the number of the label."""
        here = known >= 0
        return Decided(
            np.where(here, known, self.label), np.where(here, 1.0, self.confidence), np.where(here, False, self.tied)
        )


def nothing(tasks: int) -> Decided:
    """Return what is said before anybody voted."""
    return Decided(np.full(tasks, -1, np.int64), np.zeros(tasks), np.zeros(tasks, np.bool_))
