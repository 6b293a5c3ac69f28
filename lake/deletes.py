"""Deletes: which row positions of a part no longer count, as a Roaring bitmap object.

The bytes are the portable serialisation (https://github.com/RoaringBitmap/RoaringFormatSpec) of a run-optimised
bitmap: the same positions give the same bytes, hence the same object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from dataplat.errors import IntegrityError, ObjectNotFound

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects, Stage
    from dataplat.lake.part import Part

SUFFIX: Final = ".bin"


def encode(positions: Iterable[int] | npt.NDArray[np.integer]) -> bytes:
    """Return the bytes of a set of row positions (0-based, any order, a `BitMap` or anything iterable)."""
    bitmap = BitMap(positions)
    bitmap.run_optimize()
    return bytes(bitmap.serialize())


def decode(data: bytes) -> BitMap:
    """Return the row positions that `encode` wrote; raise `IntegrityError` if they cannot be read."""
    try:
        return BitMap.deserialize(data)
    except (ValueError, IndexError) as error:
        raise IntegrityError(f"{len(data)} bytes of deletes are no Roaring bitmap: {error}") from error


def stage_deletes(stage: Stage, positions: Iterable[int] | npt.NDArray[np.integer]) -> tuple[str | None, int]:
    """Stage the bitmap and return its id and cardinality, for `Part.with_deletes`; no positions, no object."""
    bitmap = BitMap(positions)
    return (stage.put(encode(bitmap), SUFFIX) if bitmap else None), len(bitmap)


def load_deletes(objects: Objects, part: Part) -> BitMap:
    """Return the deleted positions of a part.

    Raises:
        IntegrityError: The bitmap is missing, or is not the one that the manifest counted.
    """
    if part.deletes is None:
        return BitMap()
    try:
        bitmap = decode(objects.read(part.deletes, SUFFIX))
    except ObjectNotFound as error:
        raise IntegrityError(
            f"the deletes {part.deletes} of part {part.id} are missing in the store: without them deleted rows would "
            "come back; restore the object from a copy, or roll back to a version before the delete"
        ) from error
    if len(bitmap) != part.deleted or (bitmap and bitmap.max() >= part.rows):
        raise IntegrityError(
            f"the deletes {part.deletes} hold {len(bitmap)} positions, but the manifest counts {part.deleted} of the "
            f"{part.rows} rows of part {part.id}"
        )
    return bitmap


def union(old: Iterable[int], new: Iterable[int]) -> BitMap:
    """Return the positions deleted by either."""
    return BitMap(old) | BitMap(new)


def live_mask(deletes: BitMap, start: int, stop: int) -> npt.NDArray[np.bool_]:
    """Return for each position from `start` to before `stop` whether it still counts."""
    mask = np.ones(stop - start, dtype=np.bool_)
    if deletes.range_cardinality(start, stop):
        positions = np.asarray(deletes.to_array()) if start == 0 else _within(deletes, start, stop)
        mask[positions[positions < stop].astype(np.int64) - start] = False
    return mask


def _within(deletes: BitMap, start: int, stop: int) -> npt.NDArray[np.uint32]:
    found: npt.NDArray[np.uint32] = np.asarray((deletes & BitMap(range(start, stop))).to_array())
    return found


# The two below let deletes win that came while a compaction ran.


def remap(deletes: BitMap, dropped: BitMap, first: int) -> npt.NDArray[np.int64]:
    """Return where positions of an old part lie in the row sequence of a compaction that kept row order.

    The compaction wrote the rows of the part that were not `dropped` (its deletes at that time), the first of them
    as row number `first` of its sequence. Positions in `dropped` have gone already and map to nothing.
    """
    late: npt.NDArray[np.int64] = np.asarray((deletes - dropped).to_array()).astype(np.int64)
    before = np.searchsorted(np.asarray(dropped.to_array()), late)  # dropped rows ahead of each
    return late - before + first


def split(rows: npt.NDArray[np.int64], sizes: Sequence[int]) -> Mapping[int, BitMap]:
    """Return by index of part the positions in it of row numbers that count through all parts, of `sizes` rows."""
    ends = np.cumsum(sizes)
    where = np.searchsorted(ends, rows, side="right")
    starts = ends - sizes
    return {int(i): BitMap((rows[where == i] - starts[i]).astype(np.uint32)) for i in np.unique(where)}
