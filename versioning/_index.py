"""Indexes: a root that would list many segments lists objects that list them, so that it stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec

from dataplat.errors import IntegrityError
from dataplat.versioning._cache import DecodedCache
from dataplat.versioning._frames import pack, unpack
from dataplat.versioning._json import canonical
from dataplat.versioning._root import SegmentRef, summary
from dataplat.versioning._stats import united

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
    *,
    deep: bool = True,
) -> Iterator[SegmentRef]:
    """Yield the segments among and below `refs`, but for those below an index that is not `wanted`.

    Unless `deep` it yields what lies one level below, indexes too.
    """
    for ref in refs:
        if not ref.level:
            yield ref
        elif wanted(ref):
            yield from leaves(children(ref, read), read, wanted) if deep else children(ref, read)


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
    names = sorted(set.intersection(*(set(ref.stats) for ref in refs)))
    rows = [ref.rows for ref in refs]
    bounds = {name: united([ref.bounds[name] for ref in refs], rows, decimal=name in decimals) for name in names}
    return SegmentRef(
        id=stage.put(data, ".bin"),
        size=len(data),
        level=refs[0].level + 1,
        parts=sum(ref.parts for ref in refs),
        rows=sum(ref.rows for ref in refs),
        first=min(ref.first for ref in refs),
        last=max(ref.last for ref in refs),
        stats=summary(bounds),
    )
