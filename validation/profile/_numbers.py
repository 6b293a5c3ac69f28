"""Numbers and times: sorted once, which gives ranks, distinct values and their counts."""

from __future__ import annotations

from decimal import MAX_PREC, Context, Decimal
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from dataplat.lake._hashing import MASK, mix_int
from dataplat.lake._hashing_scalars import values as laid_bare
from dataplat.validation.profile._arrays import bare, hashes_of, word_hashes
from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._points import Points
from dataplat.validation.profile._runs import starts_of
from dataplat.validation.profile._sums import float_sums, int_sums
from dataplat.validation.profile._times import Times
from dataplat.validation.profile._values import values_of

Array: TypeAlias = np.ndarray[Any, Any]

_PER_MICROSECOND: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
_FURTHEST: Final = 1 << 62
_EXACT: Final = Context(prec=MAX_PREC)


class NumbersMeasure:
    """Takes numbers, or times as integers.

    Sorting needs all numbers of the part at once: 8 bytes for each row that holds one, and as much again.
    """

    def __init__(self, name: str, kind: pa.DataType, family: str) -> None:
        self._name, self._kind, self._family = name, kind, family
        self._rows = self._nulls = self._nans = 0
        self._pieces: list[Array] = []

    def add(self, array: pa.Array) -> None:
        """Take some values."""
        array = bare(array)
        self._rows += len(array)
        if array.null_count:
            self._nulls += array.null_count
            array = array.drop_null()
        piece = self._numbers(array)
        if self._family == "float":
            there = ~np.isnan(piece)
            if not there.all():
                piece = piece[there]
            self._nans += len(array) - len(piece)
        self._pieces.append(piece)

    def finish(self) -> ColumnProfile:
        """Return what is known of all that were taken."""
        nothing = np.empty(0, np.float64 if self._family == "float" else np.int64)
        ordered = np.concatenate(self._pieces or [nothing])
        self._pieces = []
        ordered.sort()
        starts = starts_of(ordered)
        distinct, counts = ordered[starts], np.diff(starts, append=len(ordered))
        hashes = self._hashes(distinct)
        seed = mix_int(0, int(np.add.reduce(hashes)) + len(ordered) & MASK)
        shown = self._shown(ordered)
        negative, zeros = ordered.searchsorted(0, "left"), ordered.searchsorted(0, "right")
        finite, infinite = shown, (0, 0)
        if self._family == "float":
            low, high = ordered.searchsorted(-np.inf, "right"), ordered.searchsorted(np.inf, "left")
            finite, infinite = ordered[low:high], (int(low), len(ordered) - int(high))
        total, squares = (float_sums if self._family == "float" else int_sums)(finite)
        scale = self._kind.scale if self._family == "decimal" else 0
        whole = 10 ** max(-scale, 0)  # the last digit of some decimals stands for hundreds
        return ColumnProfile(
            name=self._name,
            family=self._family,
            scale=max(scale, 0),
            rows=self._rows,
            nulls=self._nulls,
            nans=self._nans,
            infinite=infinite,
            zeros=int(zeros - negative),
            negative=int(negative),
            total=total * whole,
            squares=squares * whole**2,
            low=self._scalar(shown[0]) if len(shown) else None,
            high=self._scalar(shown[-1]) if len(shown) else None,
            points=Points.of(self._ranked(shown), seed),
            values=values_of(hashes, counts, lambda at: [self._scalar(value) for value in self._shown(distinct[at])]),
            times=self._times(distinct, counts),
        )

    def _numbers(self, array: pa.Array) -> Array:
        """Return values without nulls as int64, uint64 or float64; decimals beyond int64 as Python integers."""
        kind = array.type
        if self._family == "decimal":
            return _unscaled(array)
        if self._family == "float":
            with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
                return laid_bare(array, kind.to_pandas_dtype()).astype(np.float64, copy=False) + 0.0  # −0.0 is 0.0
        if self._family == "int":
            dtype = kind.to_pandas_dtype()
            return laid_bare(array, dtype).astype(np.uint64 if dtype is np.uint64 else np.int64, copy=False)
        return laid_bare(array, np.int32 if kind.bit_width == 32 else np.int64).astype(np.int64, copy=False)

    def _hashes(self, distinct: Array) -> Array:
        kind = self._kind
        if self._family == "decimal" and distinct.dtype != object:
            return word_hashes(distinct.view(np.uint64), kind)
        if self._family == "decimal":
            return hashes_of(pa.array([self._decimal(value) for value in distinct], kind))
        if self._family in {"int", "float"}:
            return hashes_of(pa.array(distinct))
        return hashes_of(pa.array(distinct.astype(np.int32) if kind.bit_width == 32 else distinct).view(kind))

    def _shown(self, native: Array) -> Array:
        """Return times in the unit of profiles, days or microseconds (floored); other numbers as they are."""
        if self._family in {"int", "float", "decimal"}:
            return native
        if self._family == "date":
            return native if self._kind.bit_width == 32 else native // 86_400_000
        if self._kind.unit == "ns":
            return native // 1_000
        factor = _PER_MICROSECOND[self._kind.unit]
        return native if factor == 1 else np.clip(native, -_FURTHEST // factor, _FURTHEST // factor) * factor

    def _decimal(self, unscaled: Any) -> Decimal:
        return Decimal(int(unscaled)).scaleb(-self._kind.scale, _EXACT)

    def _scalar(self, value: Any) -> Any:
        """Return a number as profiles show it: a Python number, a decimal as its text."""
        if self._family == "decimal":
            return format(self._decimal(value), "f")
        return value.item()

    def _ranked(self, shown: Array) -> Array:
        """Return what ranks are kept of: int64, or float64 where numbers are floats or may be beyond int64."""
        if self._family == "decimal":
            shown = (shown / 10**self._kind.scale).astype(np.float64)  # Python integers are divided as such
        return shown.astype(np.float64) if pa.types.is_uint64(self._kind) else shown

    def _times(self, distinct: Array, counts: Array) -> Times | None:
        if self._family not in {"date", "timestamp", "timestamp_tz"}:
            return None
        return Times.of(self._shown(distinct), counts, "d" if self._family == "date" else "us")


def _unscaled(array: pa.Array) -> Array:
    """Return decimals as integers of their last digit: int64 where all are, else Python's."""
    width = array.type.bit_width
    if width <= 64:
        return laid_bare(array, f"<i{width // 8}").astype(np.int64, copy=False)
    limbs = laid_bare(array, "<i8", width // 64).reshape(-1, width // 64)
    if bool((limbs[:, 1:] == (limbs[:, :1] >> 63)).all()):
        return np.ascontiguousarray(limbs[:, 0])
    size = width // 8
    data = laid_bare(array, f"V{size}").tolist()
    wide = np.empty(len(array), object)
    wide[:] = [int.from_bytes(each, "little", signed=True) for each in data]
    return wide
