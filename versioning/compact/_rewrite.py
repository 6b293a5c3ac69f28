"""What a compaction did: the runs of parts that it read, and the parts that it wrote for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dataplat.lake.part import Part

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from pyroaring import BitMap


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A run of adjacent parts, as they were when read, and the parts (with places) that hold their live rows, in order.

    All places from that of the first input up to, not including, `end` belong to the run.
    """

    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]
    end: int

    @property
    def first(self) -> int:
        """The place where the run begins."""
        return self.inputs[0].place


class DeletesCodec(Protocol):
    """How deletes objects are read and staged: Roaring bitmaps, unless a change brings a codec of its own.

    The simulator, whose deletes are JSON, gives `PlannedChange.codec` one of its own, and runs the real rebase.
    """

    def load(self, id: str | None) -> BitMap:
        """Return the positions in the object `id` (None: there are none)."""
        ...

    def stage(self, positions: Iterable[int] | npt.NDArray[np.integer]) -> tuple[str | None, int]:
        """Stage the positions and return the object's id and how many they are."""
        ...
