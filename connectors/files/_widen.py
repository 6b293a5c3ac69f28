"""Bring the schemas of several files of one input together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from dataplat.errors import SchemaMismatch

Join = Callable[[pa.DataType, pa.DataType], pa.DataType | None]


def widest(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """Return the narrowest type that holds the values of two typed columns exactly, or None.

    Of one family only: integers (unsigned beside signed where a signed one is wide enough), floats, decimals,
    times of the same zone, dates; null beside anything. Text stays text, whatever its encoding.
    """
    left, right = plain(left), plain(right)
    if left.equals(right) or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    for same, choose in _FAMILIES:
        if same(left) and same(right):
            return choose(left, right)
    if pa.types.is_list(left) and pa.types.is_list(right):
        inner = widest(left.value_type, right.value_type)
        return None if inner is None else pa.list_(inner)
    return _widest_struct(left, right) if pa.types.is_struct(left) and pa.types.is_struct(right) else None


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type without its encoding: dictionaries, views and large offsets hold the same values."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_large_list(kind) or pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return pa.list_(kind.value_field.with_type(plain(kind.value_type)))
    return kind


def _widest_struct(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    if {field.name for field in left} != {field.name for field in right}:
        return None
    fields = [(field.name, widest(field.type, right.field(field.name).type)) for field in left]
    return None if any(kind is None for _, kind in fields) else pa.struct(fields)


def _integers(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    signed = [pa.types.is_signed_integer(kind) for kind in (left, right)]
    if signed[0] == signed[1]:
        return max(left, right, key=lambda kind: kind.bit_width)
    unsigned, other = (right, left) if signed[0] else (left, right)
    bits = max(unsigned.bit_width * 2, other.bit_width)
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(bits)


def _decimals(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    scale = max(left.scale, right.scale)
    whole = max(left.precision - left.scale, right.precision - right.scale)
    if whole + scale > 76:
        return None
    return pa.decimal128(whole + scale, scale) if whole + scale <= 38 else pa.decimal256(whole + scale, scale)


_UNITS = ["s", "ms", "us", "ns"]


def _timestamps(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    if left.tz != right.tz:
        return None
    return pa.timestamp(max(left.unit, right.unit, key=_UNITS.index), left.tz)


def _times(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    unit = max(left.unit, right.unit, key=_UNITS.index)
    return pa.time32(unit) if unit in {"s", "ms"} else pa.time64(unit)


_FAMILIES: list[tuple[Callable[[pa.DataType], bool], Join]] = [
    (pa.types.is_integer, _integers),
    (pa.types.is_floating, lambda left, right: max(left, right, key=lambda kind: kind.bit_width)),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_timestamp, _timestamps),
    (pa.types.is_time, _times),
]


def require_names(found: Sequence[str], wanted: Sequence[str], where: str, other: str = "the others") -> None:
    """Raise `SchemaMismatch` where a file's columns are not those of the input, in whatever order."""
    sides = {"lacks": set(wanted) - set(found), "has besides": set(found) - set(wanted)}
    parts = [f"{what} {sorted(names)}" for what, names in sides.items() if names]
    if parts:
        raise SchemaMismatch(
            f"{where} {' and '.join(parts)}, compared with {other}: files of one input need the same columns; "
            "ingest them apart, or into one dataset one after the other"
        )


def combine(schema: pa.Schema, more: pa.Schema, join: Join, *, where: str, other: str, may_add: bool) -> pa.Schema:
    """Return a schema that holds both; raise `SchemaMismatch` naming both files and the columns.

    `may_add` lets a file have columns that others lack (NDJSON: a missing field is null).
    """
    if not may_add:
        require_names(more.names, schema.names, where, other)
    for field in more:
        at = schema.get_field_index(field.name)
        if at < 0:
            schema = schema.append(field)
            continue
        kind = join(schema.field(at).type, field.type)
        if kind is None:
            raise SchemaMismatch(
                f"column {field.name!r} is {field.type} in {where}, but {schema.field(at).type} in {other}, "
                "and no type holds both: convert one, or ingest them apart"
            )
        schema = schema.set(at, pa.field(field.name, kind, schema.field(at).nullable or field.nullable))
    return schema
