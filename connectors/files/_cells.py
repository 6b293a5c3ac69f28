"""Texts to typed values, one column at a time, telling which texts do not fit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.files import _types as t
from dataplat.errors import SchemaError

Mask = npt.NDArray[np.bool_]


def decode(values: pa.Array) -> tuple[pa.Array, Mask]:
    """Return binary `values` as strings, and which of them are not UTF-8 (they become null)."""
    return _convert(values, pa.string())


def parse(values: pa.Array, kind: pa.DataType, *, strict: bool) -> tuple[pa.Array, Mask]:
    """Return strings as `kind`, and which do not fit (they become null).

    `strict` holds inferred types to the texts that inference takes for them (no leading zeros, no signs, no
    hexadecimal); a type that was asked for takes what Arrow parses.
    """
    if pa.types.is_boolean(kind):
        return _parse_bool(values)
    if pa.types.is_null(kind):
        return pa.nulls(len(values)), _as_mask(values.is_valid())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return pc.cast(values, kind), np.zeros(len(values), dtype=np.bool_)
    if pa.types.is_time(kind):
        return _parse_time(values, kind)
    if pa.types.is_duration(kind):
        return _parse_duration(values, kind)
    if pa.types.is_nested(kind) or pa.types.is_dictionary(kind):
        raise SchemaError(f"a text cannot be read as {kind}: choose a plain type and convert later")
    if not pa.types.is_temporal(kind):
        values = pc.ascii_trim(values, " \t")
    misfit = np.zeros(len(values), dtype=np.bool_)
    pattern = _STRICT.get(kind) if strict else None
    if pattern is not None:
        misfit = ~_as_mask(pc.fill_null(t.matches(values, pattern), True))
        values = pc.if_else(pa.array(misfit), None, values)
    parsed, failed = _convert(values, kind)
    return parsed, failed | misfit


_STRICT = {
    t.INT64: t.INT_TEXT,
    t.DECIMAL: t.INT_TEXT,
    t.FLOAT64: f"({t.FLOAT_TEXT})|({t.NAN_TEXT})",
    t.DATE: t.DATE_TEXT,
    pa.timestamp("us"): f"({t.NAIVE_TEXT})|({t.DATE_TEXT})",
    pa.timestamp("ns"): f"({t.NAIVE_TEXT})|({t.DATE_TEXT})",
    pa.timestamp("us", "UTC"): t.AWARE_TEXT,
    pa.timestamp("ns", "UTC"): t.AWARE_TEXT,
}


def plausible(values: pa.Array, kind: pa.DataType) -> bool:
    """Return whether every string is one that inference would take for `kind`."""
    pattern = _STRICT.get(kind)
    if pattern is None:
        return True
    if not pc.all(t.matches(values, pattern), min_count=0).as_py():
        return False
    return not kind.equals(t.FLOAT64) or t.floats_hold(values)


def _parse_bool(values: pa.Array) -> tuple[pa.Array, Mask]:
    true = pc.is_in(values, value_set=pa.array(t.TRUE_WORDS))
    false = pc.is_in(values, value_set=pa.array(t.FALSE_WORDS))
    known = pc.or_(true, false)
    misfit = _as_mask(pc.and_(values.is_valid(), pc.invert(known)))
    return pc.if_else(known, true, None), misfit


def _parse_time(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Mask]:
    """Parse `hh:mm[:ss[.f…]]`, as a moment of a day: Arrow casts no text to a time."""
    misfit = ~_as_mask(pc.fill_null(t.matches(values, t.TIME_TEXT), True))
    moments = pc.binary_join_element_wise("1970-01-01", pc.if_else(pa.array(misfit), None, values), " ")
    parsed, failed = _convert(moments, pa.timestamp(kind.unit))
    return parsed.cast(kind), failed | misfit


def _parse_duration(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Mask]:
    """Parse ISO 8601 durations of days and less, or whole numbers of the type's unit, as CSV is written."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    counts: list[int | None] = []
    failed = np.zeros(len(values), dtype=np.bool_)
    for i, text in enumerate(values.to_pylist()):
        count = None if text is None else t.duration_count(text, per_second)
        failed[i] = text is not None and count is None
        counts.append(count)
    return pa.array(counts, pa.int64()).cast(kind), failed


def _convert(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Mask]:
    """Cast; where that fails halve until the values that do not fit are alone."""
    try:
        return pc.cast(values, kind), np.zeros(len(values), dtype=np.bool_)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if isinstance(error, pa.ArrowNotImplementedError):
            raise SchemaError(f"a text cannot be read as {kind}: choose a plain type and convert later") from error
        if len(values) == 1:
            return pa.nulls(1, kind), np.ones(1, dtype=np.bool_)
    middle = len(values) // 2
    left, right = _convert(values.slice(0, middle), kind), _convert(values.slice(middle), kind)
    return pa.concat_arrays([left[0], right[0]]), np.concatenate([left[1], right[1]])


def _as_mask(values: pa.Array) -> Mask:
    mask: Mask = values.to_numpy(zero_copy_only=False)
    return mask
