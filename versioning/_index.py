"""Indexes: a root that would list many segments lists objects that list them, so that it stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dataplat.errors import IntegrityError
from dataplat.versioning._cache import DecodedCache
from dataplat.versioning._frames import pack, unpack
from dataplat.versioning._json import canonical
from dataplat.versioning._root import SegmentRef

if TYPE_CHECKING:
    from dataplat.lake.objects import Stage

_FAN_OUT: Final = 32
"""So many neighbours of one level become one index of the next."""

_indexes: Final = DecodedCache[list[SegmentRef]](8 * 1024 * 1024)


def children(ref: SegmentRef, read: Callable[[str, str], bytes]) -> Sequence[SegmentRef]:
    """Return what an index lists."""

    def load() -> tuple[int, list[SegmentRef]]:
        document = unpack(read(ref.id, ".bin"), f"index {ref.id}")
        try:
            return ref.size, msgspec.json.decode(document, type=list[SegmentRef])
        except msgspec.MsgspecError as error:
            raise IntegrityError(f"{ref.id} is not an index: {error}. Run `dataplat version verify`.") from error

    return _indexes.get(ref.id, load)


def leaves(
    refs: Iterable[SegmentRef],
    read: Callable[[str, str], bytes],
    wanted: Callable[[SegmentRef], bool] = lambda _: True,
) -> Iterator[SegmentRef]:
    """Yield the segments among and below `refs`, but for those below an index that is not `wanted`."""
    for ref in refs:
        if not ref.level:
            yield ref
        elif wanted(ref):
            yield from leaves(children(ref, read), read, wanted)


def indexed(refs: Sequence[SegmentRef], decimals: set[str], stage: Stage) -> tuple[SegmentRef, ...]:
    """Return `refs`, in order, with runs of many neighbours of a level put under indexes."""
    packed: list[SegmentRef] = []
    for _, run in groupby(refs, key=lambda ref: ref.level):
        group = list(run)
        while len(group) >= _FAN_OUT:
            packed.append(_index(group[:_FAN_OUT], decimals, stage))
            del group[:_FAN_OUT]
        packed += group
    return tuple(packed) if len(packed) == len(refs) else indexed(packed, decimals, stage)


def _index(refs: Sequence[SegmentRef], decimals: set[str], stage: Stage) -> SegmentRef:
    (data,) = pack([canonical(refs)])
    names = set.intersection(*(set(ref.stats) for ref in refs))
    return SegmentRef(
        id=stage.put(data, ".bin"),
        size=len(data),
        level=refs[0].level + 1,
        parts=sum(ref.parts for ref in refs),
        rows=sum(ref.rows for ref in refs),
        first=min(ref.first for ref in refs),
        last=max(ref.last for ref in refs),
        stats={name: _union(name, refs, int if name in decimals else None) for name in sorted(names)},
    )


def _union(name: str, refs: Sequence[SegmentRef], order: Callable[[Any], Any] | None) -> tuple[Any, Any, int, int]:
    rows: list[tuple[Any, Any, int, int]] = [ref.stats[name] for ref in refs]
    nulls, nans = sum(row[2] for row in rows), sum(row[3] for row in rows)
    holding = [row for row, ref in zip(rows, refs, strict=True) if row[2] + row[3] < ref.rows]
    if not holding or any(low is None or high is None for low, high, _, _ in holding):
        return None, None, nulls, nans
    return min((row[0] for row in holding), key=order), max((row[1] for row in holding), key=order), nulls, nans
