"""Deletes as Roaring bitmaps: those of one part by two writers united, and how a compaction reads and stages them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.versioning.rebase import MergedDeletes, MergesDeletes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from pyroaring import BitMap

    from dataplat.lake.objects import Stage
    from dataplat.lake.part import Part


def unites_deletes(stage: Stage) -> MergesDeletes:
    """Return a function that stages the union of two bitmaps in `stage`."""

    def unite(part: Part, ours: str, theirs: str) -> MergedDeletes:
        from dataplat.lake.deletes import SUFFIX, decode, encode

        mine, other = (decode(stage.read(id, SUFFIX)) for id in (ours, theirs))
        before = None if part.deletes is None else decode(stage.read(part.deletes, SUFFIX))
        both = mine & other if before is None else (mine - before) & (other - before)
        union = mine | other
        return MergedDeletes(stage.put(encode(union), SUFFIX), len(union), len(both))

    return unite


@dataclass(frozen=True, slots=True)
class RoaringCodec:
    """Reads deletes of the store or of `stage`, and puts new ones there; see `compact.DeletesCodec`."""

    of: Stage

    def load(self, id: str | None) -> BitMap:
        """Return the positions in a deletes object; none where there is no object."""
        from pyroaring import BitMap

        from dataplat.lake.deletes import SUFFIX, decode

        return BitMap() if id is None else decode(self.of.read(id, SUFFIX))

    def stage(self, positions: Iterable[int] | npt.NDArray[np.integer]) -> tuple[str | None, int]:
        """Stage the positions; return the object's id and how many they are."""
        from dataplat.lake.deletes import stage_deletes

        return stage_deletes(self.of, positions)
