"""Column profiles as bytes: the same profile, the same bytes."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._lengths import Lengths
from dataplat.validation.profile._points import Points
from dataplat.validation.profile._times import Times
from dataplat.validation.profile._values import Values

Array: TypeAlias = np.ndarray[Any, Any]

_PLAIN: Final = ("name", "family", "rows", "scale", "nulls", "nans", "infinite", "zeros", "negative", "low", "high")


def encode(column: ColumnProfile) -> bytes:
    """Return a column's profile as bytes."""
    values, patterns = _values(column.values), _values(column.patterns)
    points, lengths, times = column.points, column.lengths, column.times
    return msgspec.msgpack.encode(
        [
            [getattr(column, name) for name in _PLAIN],
            _integer(column.total),
            _integer(column.squares),
            points and [points.count, points.values.dtype.str, _raw(points.values), _raw(points.keys), points.parts],
            values,
            lengths and [lengths.low, lengths.high, lengths.total, _raw(lengths.bins), _raw(lengths.counts)],
            patterns,
            times and [times.unit, times.rung, _raw(times.slots), _raw(times.counts)],
        ]
    )


def decode(data: bytes) -> ColumnProfile:
    """Read what `encode` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        plain, total, squares, points, values, lengths, patterns, times = msgspec.msgpack.decode(data, strict=True)
        known: dict[str, Any] = dict(zip(_PLAIN, plain, strict=True))
        known["infinite"] = tuple(known["infinite"])
        return ColumnProfile(
            **known,
            total=_number(total),
            squares=_number(squares),
            points=points and Points(points[0], _array(points[2], points[1]), _array(points[3], "<u2"), points[4]),
            values=_decoded(values),
            lengths=lengths and Lengths(lengths[0], lengths[1], lengths[2], *_arrays(lengths[3:])),
            patterns=_decoded(patterns),
            times=times and Times(times[0], times[1], *_arrays(times[2:])),
        )
    except (msgspec.MsgspecError, ValueError, TypeError, IndexError) as error:
        raise ValueError(f"{len(data)} bytes are no profile of a column: {error}") from error


def _values(values: Values | None) -> Any:
    if values is None:
        return None
    arrays = [_raw(values.hashes), _raw(values.keys), _raw(values.counts)]
    return [values.size, values.rows, values.parts, *arrays, values.shown.tolist(), values.unlisted, values.within]


def _decoded(told: Any) -> Values | None:
    if told is None:
        return None
    size, rows, parts, hashes, keys, counts, shown, unlisted, within = told
    texts = np.empty(len(shown), object)
    texts[:] = shown
    arrays = (_array(hashes, "<u8"), _array(keys, "<u8"), _array(counts, "<i8"))
    return Values(size, rows, parts, *arrays, texts, unlisted, tuple(within))


def _integer(value: int) -> tuple[int, bytes]:
    """Return an integer without the zeros that it ends with: sums of floats end with a thousand."""
    zeros = (value & -value).bit_length() - 1 if value else 0
    value >>= zeros
    return zeros, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def _number(told: tuple[int, bytes]) -> int:
    zeros, data = told
    return int.from_bytes(data, "little", signed=True) << zeros


def _raw(array: Array) -> bytes:
    return array.tobytes()


def _arrays(told: list[bytes]) -> tuple[Array, Array]:
    one, two = told
    return _array(one, "<i8"), _array(two, "<i8")


def _array(data: bytes, kind: str) -> Array:
    return np.frombuffer(data, kind)
