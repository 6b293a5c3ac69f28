"""Lay scalar Arrow arrays bare as canonical words: numbers, times, decimals, strings.

Every function takes an array of one family (any width, unit or layout, any slice) and returns its words without
looking at nulls: what lies under a null is never read by anybody.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from dataplat.errors import ConfigError
from dataplat.lake._hashing import REMAINDER, WIDE, Lane, Positions, chain

if TYPE_CHECKING:
    import pyarrow as pa

Pair: TypeAlias = tuple[Lane, Lane]

_NAN: Final = np.uint64(0x7FF8000000000000)
_PER_MICROSECOND: Final = {"s": 1_000_000, "ms": 1_000}

# XXH3-128 of nothing, of one short and of one long string, as the reference implementation gives them.
_XXH3_OF: Final = (b"", b"dataplat", b"dataplat" * 64)
_XXH3_LOW: Final = [0x6001C324468D497F, 0x166A8D538C59D535, 0x26D38963876CAA03]
_XXH3_HIGH: Final = [0x99AA06D3014798D8, 0xA4B9C9A618D6931D, 0x599407E6BADDBB76]


def null_positions(array: pa.Array) -> Positions | None:
    """Return the rows of the array that are null by its own validity bitmap, or None where there are none."""
    if array.null_count == 0:
        return None
    buffer = array.buffers()[0]
    if buffer is None:  # the null type has no bitmap: all of it is null
        return np.arange(len(array), dtype=np.int64)
    return np.flatnonzero(_bits(buffer, array.offset, len(array)) == 0)


def _bits(buffer: pa.Buffer, offset: int, length: int) -> npt.NDArray[np.uint8]:
    """Return the bits of a bitmap as bytes 0 or 1."""
    whole = np.frombuffer(buffer, np.uint8)[offset // 8 : (offset + length + 7) // 8]
    return np.unpackbits(whole, bitorder="little")[offset % 8 : offset % 8 + length]


def values(array: pa.Array, kind: npt.DTypeLike, per_row: int = 1) -> npt.NDArray[Any]:
    """Return the fixed-width values of the array as a view of its buffer (`per_row` items of `kind` each)."""
    buffer = array.buffers()[1]
    if buffer is None or len(array) == 0:
        return np.empty(0, kind)
    size = np.dtype(kind).itemsize * per_row
    view = memoryview(buffer)[array.offset * size : (array.offset + len(array)) * size]
    return np.frombuffer(view, kind)


def bool_words(array: pa.Array) -> Pair:
    """Words of booleans: 0 or 1."""
    if len(array) == 0:
        return _both(np.empty(0, np.uint64))
    return _both(_bits(array.buffers()[1], array.offset, len(array)).astype(np.uint64))


def int_words(array: pa.Array) -> Pair:
    """Words of integers: two's complement; beyond int64 (only uint64 can be) the chain of 256 bits."""
    kind = array.type.to_pandas_dtype()
    if kind is not np.uint64:
        return _both(values(array, kind).astype(np.int64, copy=False).view(np.uint64))
    words = values(array, np.uint64)
    zero = np.zeros(1, np.uint64)
    return _with_wide(words, np.flatnonzero(words.view(np.int64) < 0), lambda at: (words[at], zero, zero, zero))


def float_words(array: pa.Array) -> Pair:
    """Words of floats: the bits of the float64 of that value, −0.0 as 0.0, one NaN."""
    with np.errstate(invalid="ignore"):  # a signalling NaN may warn; it becomes the one NaN below
        numbers = values(array, array.type.to_pandas_dtype()).astype(np.float64, copy=False) + 0.0  # −0.0 + 0.0 = 0.0
    bits = numbers.view(np.uint64)
    nans = np.isnan(numbers)
    if nans.any():
        bits[nans] = _NAN
    return _both(bits)


def decimal_words(array: pa.Array) -> Pair:
    """Words of decimals: the unscaled integer (the scale is part of the salt)."""
    width = array.type.bit_width
    if width <= 64:
        return _both(values(array, f"<i{width // 8}").astype(np.int64, copy=False).view(np.uint64))
    limbs = values(array, "<u8", width // 64).reshape(-1, width // 64)
    low = np.ascontiguousarray(limbs[:, 0])
    sign = _sign(low)
    wide = np.flatnonzero((limbs[:, 1:] != sign[:, None]).any(axis=1))

    def four(at: Positions) -> tuple[Lane, ...]:
        top = _sign(limbs[at, -1])
        return tuple(limbs[at, i] if i < limbs.shape[1] else top for i in range(4))

    return _with_wide(low, wide, four)


def date_words(array: pa.Array) -> Pair:
    """Words of dates: days since 1970-01-01; a date64 inside a day keeps its milliseconds as remainder."""
    if array.type.bit_width == 32:
        return _both(values(array, np.int32).astype(np.int64).view(np.uint64))
    return _divided(values(array, np.int64), 86_400_000)


def clock_words(array: pa.Array) -> Pair:
    """Words of timestamps, times and durations: microseconds, and the nanoseconds beyond as remainder."""
    kind: npt.DTypeLike = np.int32 if array.type.bit_width == 32 else np.int64
    counts = values(array, kind).astype(np.int64, copy=False)
    unit = array.type.unit
    if unit == "us":
        return _both(counts.view(np.uint64))
    if unit == "ns":
        return _divided(counts, 1_000)
    factor = _PER_MICROSECOND[unit]
    scaled = (counts * factor).view(np.uint64)  # wraps where the range of int64 ends; those are told apart below
    most = np.iinfo(np.int64).max // factor
    beyond = np.flatnonzero((counts > most) | (counts < -most))
    return _with_wide(scaled, beyond, lambda at: _product(counts[at], factor))


def string_words(array: pa.Array) -> Pair:
    """Words of strings and binaries: the low and the high half of XXH3-128 (seed 0) of the bytes."""
    import pyarrow as pa

    if len(array) == 0:
        return _both(np.empty(0, np.uint64))
    if pa.types.is_string(array.type):
        array = array.view(pa.binary())  # bytes as they are, valid UTF-8 or not
    elif pa.types.is_large_string(array.type):
        array = array.view(pa.large_binary())
    elif pa.types.is_string_view(array.type):
        array = array.view(pa.binary_view())
    elif pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary())
    _check_xxh3()
    return _xxh3(array)


def _xxh3(array: pa.Array) -> Pair:
    import polars as pl
    import polars_hash  # noqa: F401  # registers the namespace `nchash`

    frame = pl.DataFrame({"": pl.from_arrow(array)})
    hashed = frame.select(pl.col("").nchash.xxh3_128())  # type: ignore[attr-defined]
    whole = pl.col("")
    halves = hashed.select(
        low=whole.cast(pl.UInt64, wrap_numerical=True),
        high=(whole // pl.lit(1 << 64, dtype=pl.UInt128)).cast(pl.UInt64),
    )
    return values(halves["low"].to_arrow(), np.uint64), values(halves["high"].to_arrow(), np.uint64)


@cache
def _check_xxh3() -> None:
    """Hold the plugin to the definition once a process: a hash that drifted would break every content id."""
    import pyarrow as pa

    low, high = _xxh3(pa.array(_XXH3_OF, pa.binary()))
    if low.tolist() != _XXH3_LOW or high.tolist() != _XXH3_HIGH:
        raise ConfigError(
            "the installed polars-hash does not compute XXH3-128 as the content id defines it; upgrade it"
        )


def _both(words: Lane) -> Pair:
    return words, words


def _sign(limb: Lane) -> Lane:
    return (limb.view(np.int64) >> 63).view(np.uint64)


def _with_wide(words: Lane, wide: Positions, limbs: Any) -> Pair:
    """Replace the words of integers that do not fit in 64 bits by the chain of their four limbs, per lane."""
    if len(wide) == 0:
        return _both(words)
    four = limbs(wide)
    lanes = words.copy(), words.copy()
    for lane, out in enumerate(lanes):
        out[wide] = chain(lane, WIDE, *four)
    return lanes


def _divided(counts: npt.NDArray[np.int64], divisor: int) -> Pair:
    """Return the floored quotient as word; where something remains, the chain of quotient and remainder."""
    quotient = counts // divisor
    rest = counts - quotient * divisor
    words = quotient.view(np.uint64)
    uneven = np.flatnonzero(rest)
    if len(uneven) == 0:
        return _both(words)
    lanes = words.copy(), words.copy()
    limbs = words[uneven], rest[uneven].view(np.uint64)
    for lane, out in enumerate(lanes):
        out[uneven] = chain(lane, REMAINDER, *limbs)
    return lanes


def _product(counts: npt.NDArray[np.int64], factor: int) -> tuple[Lane, ...]:
    """Return the 256-bit two's complement limbs of `counts * factor` (factor < 2**32), by 32-bit halves."""
    low = (counts & 0xFFFFFFFF) * factor  # < 2**52: no overflow
    high = (counts >> 32) * factor + (low >> 32)  # |…| < 2**52
    limb = ((high & 0xFFFFFFFF) << 32 | (low & 0xFFFFFFFF)).view(np.uint64)
    upper = (high >> 32).view(np.uint64)
    top = _sign(upper)
    return limb, upper, top, top
