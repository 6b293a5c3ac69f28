"""What a cell is, in training and in serving alike (PIT 4): depends on nothing that was not known at its time."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """The status of a cell: how its value came to be, or why there is none.

    With V the rows of the key that were known and servable at `t`: `MISSING_KEY`: V is empty (or the key is null).
    `NOT_YET`: all of V has `e > t`. `EXPIRED`: the newest with `e <= t` is older than the ttl. Else the value is
    `PRESENT`, `NULL`, or `DEFAULTED` (the feature's default in the place of a null, or of any of the three before).
    `ERROR`: an on-demand expression failed.
    """

    PRESENT = 0
    NULL = 1
    DEFAULTED = 2
    MISSING_KEY = 3
    NOT_YET = 4
    EXPIRED = 5
    ERROR = 6

    @property
    def word(self) -> str:
        """The word for it, as responses and columns have it."""
        return self.name.lower()


NAMES = tuple(status.word for status in Status)
"""Words by code: an Arrow dictionary of statuses."""
