"""Row positions that no longer count, as bitmaps on the parts of a base version."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from dataplat.lake.deletes import load_deletes, stage_deletes, union

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dataplat.lake.part import Part
    from dataplat.versioning.modes._base import Base


class Deletions:
    """Collects deleted positions by part and turns them into bitmaps; a part with no row left is dropped."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._positions: dict[int, list[NDArray[np.int64]]] = defaultdict(list)
        self._parts: dict[int, Part] = {}  # by place: the same part may lie in a version twice

    def add(self, part: Part, positions: NDArray[np.int64]) -> None:
        """Delete the rows at `positions` (all live until now) of `part`."""
        if len(positions):
            self._parts[part.place] = part
            self._positions[part.place].append(positions)

    def finish(self) -> tuple[Mapping[int, tuple[str | None, int]], tuple[int, ...], int]:
        """Return (deletes by place as (bitmap id, cardinality), places of parts to drop, rows deleted)."""
        deletes: dict[int, tuple[str | None, int]] = {}
        drop: list[int] = []
        rows = 0
        for place, positions in self._positions.items():
            part = self._parts[place]
            edited = add_deletes(self._base, part, np.concatenate(positions))
            rows += edited.deleted - part.deleted
            if edited.live:
                deletes[place] = (edited.deletes, edited.deleted)
            else:
                drop.append(place)
        return deletes, tuple(drop), rows


def add_deletes(base: Base, part: Part, positions: NDArray[np.int64]) -> Part:
    """Return `part` with the rows at `positions` deleted besides those that were."""
    return part.with_deletes(*stage_deletes(base.stage, union(load_deletes(base.objects, part), positions)))
