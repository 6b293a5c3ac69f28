"""The values of tiles with how often each is there: from which extremes, quantiles and different values are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dataplat.errors import ConfigError
from dataplat.feature_store.kernel.columns import Ordered

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bag:
    """Values of tiles, in the order (tile, value).

    Attributes:
        place: the tile of each, by its place among them.
        values: no two of a tile are the same.
        times: how often each is there.
        whole: whether all values are there; else the least and the greatest of each tile are.
    """

    place: Ints
    values: pa.Array
    times: Ints
    whole: bool


def bag(place: Ints, values: pa.Array, *, whole: bool) -> Bag:
    """Return the bag of values, nulls left out; `place` never falls."""
    there = np.flatnonzero(np.asarray(values.is_valid()))
    return _packed(Bag(place[there], _take(values, there), np.ones(len(there), np.int64), whole))


def merged(one: Bag, other: Bag, before: int, place: Ints, sign: int = 1) -> Bag:
    """Return a bag of the values of both, or, with sign -1, of those of the first without those of the second.

    Args:
        one: a bag.
        other: another one.
        before: how many tiles the first is of; those of the second follow.
        place: the new place of each tile's.
        sign: of the second one.
    """
    import pyarrow as pa

    if one.values.type != other.values.type:
        raise ConfigError(f"tiles of {one.values.type} and of {other.values.type} cannot be added")
    places = np.concatenate((one.place, other.place + before))
    values = pa.concat_arrays([one.values, other.values])
    times = np.concatenate((one.times, sign * other.times))
    return _packed(Bag(place[places], values, times, one.whole))


def _packed(loose: Bag) -> Bag:
    """Return a bag in order, each value of a tile once; of those that keep the ends only these."""
    ordered = Ordered.of(loose.values)
    keys = ordered.extreme(greatest=True)
    order = np.lexsort((keys, loose.place))
    place, keys = loose.place[order], keys[order]
    fresh = np.concatenate(([True], (np.diff(place) != 0) | (np.diff(keys) != 0)))[: len(place)]
    starts = np.flatnonzero(fresh)
    times = np.add.reduceat(loose.times[order], starts) if len(starts) else loose.times
    place = place[starts]
    there = times > 0
    if not loose.whole:
        ends = np.diff(place, prepend=-1) != 0
        there &= ends | np.append(ends[1:], True)[: len(ends)]
        times = np.ones_like(times)
    kept = np.flatnonzero(there)
    values = ordered.column(
        keys[starts[kept]], np.ones(len(kept), bool)
    )  # from keys: NaN is one NaN, whatever its bits
    return Bag(place[kept], values, times[kept], loose.whole)


def _take(values: pa.Array, rows: Ints) -> pa.Array:
    import pyarrow as pa

    return values.take(pa.array(rows))
