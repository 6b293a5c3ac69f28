"""What a source's rows come to: counted range of keys by range of keys, so that memory does not grow with the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dataplat.feature_store.kernel.order import starts_of, tied
from dataplat.feature_store.online.plan import flat
from dataplat.feature_store.windows import First, Last, LastN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dataplat._features._sources import ViewSource
    from dataplat.feature_store.kernel.facts import Facts
    from dataplat.feature_store.windows import Window

Words: TypeAlias = NDArray[np.uint64]

_ROWS: Final = 4_000_000
"""Rows that are looked at together."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the rows of a view are.

    Attributes:
        rows: rows that count.
        digests: of the different keys, in two columns.
        keyless: rows whose key is null.
        ties: rows that agree with the one ahead in key, event time and known time.
        events: the most events of one key in an exact window.
    """

    rows: int
    digests: Words
    keyless: int
    ties: int
    events: int


def measured(source: ViewSource, counted: Callable[[int], None] | None = None) -> Measured:
    """Count the rows of a source, and what of them lies together; `counted` is told of each range of them."""
    exact = [each for each in flat(source.view.features) if each.hop is None]
    rows = keyless = ties = events = 0
    digests = [np.zeros((0, 2), np.uint64)]
    for _, _, facts in source.ranges(max(1, -(-source.rows // _ROWS))):
        rows += len(facts)
        if counted is not None:
            counted(len(facts))
        starts = starts_of(facts)
        if facts.keyless is not None:
            keyless += int(facts.keyless.sum())
            named = ~facts.keyless[starts]
        else:
            named = np.ones(len(starts), bool)
        digests.append(np.column_stack((facts.high[starts[named]], facts.low[starts[named]])))
        if len(facts):
            ties += int((tied(facts) & (True if facts.keyless is None else ~facts.keyless[1:])).sum())
        events = max(events, _events(exact, facts, starts, named))
    return Measured(rows, np.concatenate(digests), keyless, ties, events)


def _events(exact: Sequence[Window], facts: Facts, starts: NDArray[np.int64], named: NDArray[np.bool_]) -> int:
    """Return the most events that one key has in the longest exact window."""
    if not exact or not named.any():
        return 0
    sizes = np.diff(np.append(starts, len(facts)))
    largest = int(sizes[named].max())
    if any(each.span is None and not isinstance(each, First | Last | LastN) for each in exact):
        return largest
    width = max((each.span for each in exact if each.span is not None), default=None)
    if width is None:
        return 0
    number = np.repeat(np.arange(len(starts)), sizes)
    low, high = int(facts.e.min()), int(facts.e.max())
    step = high - low + width + 2
    if step * (len(starts) + 1) >= 1 << 62:
        return largest
    places = number * step + (facts.e - low)
    within = np.arange(len(facts)) + 1 - np.searchsorted(places, places - width, "right")
    return int(within[named[number]].max())
