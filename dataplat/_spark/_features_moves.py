"""Whether corrections move events from one key to another: then keys cannot be worked on apart (PIT 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from dataplat._spark._features_packets import VIEW, Packet, frame_of, result, results, then
from dataplat.feature_store.kernel.order import events_between, unmoved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataplat._spark._engine import SparkEngine
    from dataplat._spark._features_pieces import FactPiece
    from dataplat.feature_store.definitions import FeatureView

    Sides: TypeAlias = Iterator[tuple[int, Iterator[Packet]]]

EVENTS: Final = 4_000_000
"""Rows of which events are compared in one task."""


def moves(engine: SparkEngine, views: Sequence[FeatureView], facts: Sequence[Sequence[FactPiece]]) -> set[int]:
    """Return the numbers of the views of which some event has rows of several keys."""
    pieces = [piece for view, own in zip(views, facts, strict=True) if view.view.row_key for piece in own]
    if not pieces:
        return set()
    count = max(1, -(-sum(piece.rows for piece in pieces) // EVENTS))
    found = results(engine, then(frame_of(engine, pieces, _Events(count)), count, _moved))
    return {number for told in found for number in told}


@dataclass(frozen=True)
class _Events:
    """Brings the events of a piece, and their keys, to tasks by ranges of events."""

    count: int

    def __call__(self, piece: FactPiece) -> Iterator[Packet]:
        rows = piece.facts()
        for number in range(self.count):
            first, last = (number << 64) // self.count, ((number + 1 << 64) - 1) // self.count
            yield Packet(number, VIEW + piece.number, 0, events_between(rows, first, last).tobytes())


def _moved(sides: Sides) -> Iterator[Packet]:
    """Tell the views of which an event of this range moves."""
    found = []
    for side, packets in sides:
        rows: NDArray[np.uint64] = np.concatenate(
            [np.frombuffer(each.data, np.uint64).reshape(-1, 5) for each in packets]
        )
        if not unmoved(rows):
            found.append(side - VIEW)
    if found:
        yield result(0, found)
