"""Which keys have many rows: counted by tasks, piece by piece, before rows are moved. Counts come to the driver, and no rows.

A count decides only where rows go, so of facts some are looked at, and not all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from dataplat._features._spine import times_of
from dataplat._spark._features_pieces import FactParts, SpineParts, SpineRows
from dataplat._spark._features_routes import Heavy
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.cuts import is_cut
from dataplat.feature_store.times import NEVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataplat._spark._engine import SparkEngine
    from dataplat._spark._features_pieces import FactPiece
    from dataplat.feature_store.definitions import FeatureView

    Ints: TypeAlias = NDArray[np.int64]
    Words: TypeAlias = NDArray[np.uint64]

SHARE: Final = 256
"""Keys with at least one of so many rows of a piece are told of."""
MOST: Final = 64
"""So many keys of a piece at most."""
TIMES: Final = 64
"""Times of a key that are told."""
SAMPLED: Final = 32
"""Pieces of a source that are looked at."""


@dataclass(slots=True)
class Weights:
    """What was counted.

    Attributes:
        rows: of the spine.
        newest: its last time, microseconds.
        heavy: by the number of the group: keys that have many rows.
    """

    rows: int = 0
    newest: int = NEVER
    heavy: dict[int, list[Heavy]] = field(default_factory=dict)

    def add(self, other: Weights) -> None:
        """Add what was counted elsewhere."""
        self.rows += other.rows
        self.newest = max(self.newest, other.newest)
        for group, found in other.heavy.items():
            self.heavy.setdefault(group, []).extend(found)


@dataclass(frozen=True, slots=True)
class Weighing:
    """What is counted.

    Attributes:
        timestamp: the spine's column of times.
        groups: a view of each group: those of one ask the same of a spine.
        of_view: the group of each view, by its number.
        scales: by view, of how many pieces each stands for.
    """

    timestamp: str
    groups: tuple[FeatureView, ...]
    of_view: tuple[int, ...]
    scales: tuple[float, ...]

    def __call__(self, piece: SpineParts | SpineRows | FactParts) -> Weights:
        """Count the rows of a piece."""
        return self._facts(piece) if isinstance(piece, FactParts) else self._spine(piece)

    def _spine(self, piece: SpineParts | SpineRows) -> Weights:
        table = piece.table()
        t = times_of(table, self.timestamp)
        found = Weights(len(t), int(t.max(initial=NEVER)))
        for number, view in enumerate(self.groups):
            ask = Ask.of(view, table, t)
            some = ask if ask.keyless is None else ask.take(np.flatnonzero(~ask.keyless))
            found.heavy[number] = list(_heavy(some.high, some.low, some.t, 1.0))
        return found

    def _facts(self, piece: FactParts) -> Weights:
        if not is_cut(piece.view):  # whoever asks needs all facts of a key
            return Weights()
        sample = piece.sample()
        named = slice(None) if sample.keyless is None else ~sample.keyless
        scale = self.scales[piece.number] * piece.rows / max(1, len(sample))
        words = sample.high[named], sample.low[named], np.maximum(sample.e, sample.k)[named]
        return Weights(heavy={self.of_view[piece.number]: list(_heavy(*words, scale))})


def weigh(
    engine: SparkEngine,
    weighing: Weighing,
    spine: Sequence[SpineParts | SpineRows],
    sources: Sequence[Sequence[FactPiece]],
) -> Weights:
    """Count rows of keys."""
    pieces: list[SpineParts | SpineRows | FactParts] = list(spine)
    scales = []
    for own in sources:
        step = max(1, -(-len(own) // SAMPLED))
        scales.append(float(step))
        pieces += [each for each in own[::step] if isinstance(each, FactParts)]
    found = Weights()
    weighing = Weighing(weighing.timestamp, weighing.groups, weighing.of_view, tuple(scales))
    for each in engine.map(partial(_weighed, weighing), pieces):
        found.add(each)
    return found


def _weighed(weighing: Weighing, piece: SpineParts | SpineRows | FactParts) -> Weights:
    return weighing(piece)


def _heavy(high: Words, low: Words, t: Ints, scale: float) -> Iterator[Heavy]:
    """Yield the keys that have many of some rows, each of which stands for `scale` of them."""
    order = np.lexsort((t, low, high))
    high, low, t = high[order], low[order], t[order]
    fresh = np.ones(len(high), bool)
    fresh[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    starts = np.flatnonzero(fresh)
    counts = np.diff(np.append(starts, len(high)))
    many = np.flatnonzero(counts * SHARE >= len(high))
    many = many[np.argsort(-counts[many], kind="stable")[:MOST]]
    for each in many.tolist():
        first, count = int(starts[each]), int(counts[each])
        places = first + np.unique(np.linspace(0, count - 1, TIMES).astype(np.int64))
        yield Heavy(int(high[first]), int(low[first]), round(count * scale), tuple(t[places].tolist()))
