"""Cast rows to a canonical schema without loss, or say which value does not fit.

Arrow's own safe cast is not enough: it rounds float64 to float32 and float to decimal, cuts the time off a
timestamp that becomes a date, and turns list views into broken lists (pyarrow 26). So each column is first laid
plain, then cast where its family allows, then compared with what it was wherever the cast may round.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from dataplat.errors import SchemaError, SchemaMismatch
from dataplat.lake.canonical import family
from dataplat.lake.schema import type_text, type_to_json

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)

_NUMBERS: Final = frozenset({"int", "float", "decimal"})
_DAYS: Final = frozenset({"date", "timestamp"})


class _Unfit(Exception):
    """Some value of an array does not fit; `reason` may say why."""


def conform_rows(rows: Rows, schema: pa.Schema, first_row: int = 0) -> Rows:
    """Cast each column of `rows` to its type in `schema` (same columns, any order)."""
    columns = [conform_column(rows.column(field.name), field, first_row) for field in schema]
    return type(rows).from_arrays(columns, schema=schema)


def conform_column(
    column: pa.Array | pa.ChunkedArray, field: pa.Field, first_row: int = 0
) -> pa.Array | pa.ChunkedArray:
    """Cast one column, chunk by chunk; raise `SchemaMismatch` with name, row (from 1) and value."""
    if not isinstance(column, pa.ChunkedArray):
        return _conform_array(column, field, first_row)
    chunks, row = [], first_row
    for chunk in column.chunks:
        chunks.append(_conform_array(chunk, field, row))
        row += len(chunk)
    return pa.chunked_array(chunks, type=field.type)


def _conform_array(array: pa.Array, field: pa.Field, first_row: int) -> pa.Array:
    if not field.nullable and array.null_count:
        row = first_row + pc.index(pc.is_null(array), pa.scalar(True)).as_py()
        raise SchemaMismatch(
            f"column {field.name!r}, row {row + 1:,}: null, but the column is declared as never null (of a dataset "
            f"that is there: `dataplat version evolve NAME --nullable {field.name}` allows it)"
        )
    if array.type == field.type:
        return array
    try:
        return _cast(array, field.type)
    except (_Unfit, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        row = _first_unfit(array, field.type)
        if row is None:  # the types never go together, whatever the values
            raise SchemaMismatch(
                f"column {field.name!r} is {_words(array.type)} in the input, but {_words(field.type)} is wanted"
            ) from error
        value = repr(array[row].as_py() if array[row].is_valid else None)
        shown = value if len(value) <= 80 else value[:77] + "…"
        raise SchemaMismatch(
            f"column {field.name!r}, row {first_row + row + 1:,}: {shown} ({_words(array.type)}) does not fit {_words(field.type)} without loss"
        ) from error


def _words(kind: pa.DataType) -> str:
    try:
        return type_text(type_to_json(kind))
    except SchemaError:
        return str(kind)


def _first_unfit(array: pa.Array, kind: pa.DataType) -> int | None:
    """Return the first row that does not fit (by bisection), or None if not even no rows do."""
    if not _fits(array.slice(0, 0), kind):
        return None
    low, high = 0, len(array)  # the first `low` rows fit, the first `high` do not
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(array.slice(low, middle - low), kind):
            low = middle
        else:
            high = middle
    return low


def _fits(array: pa.Array, kind: pa.DataType) -> bool:
    try:
        _cast(array, kind)
    except (_Unfit, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    array = _laid_plain(array)
    if array.type == kind:
        return array
    old, new = family(array.type), family(kind)
    if old == "null":
        return pa.nulls(len(array), kind)
    if not (old == new or {old, new} <= _NUMBERS or {old, new} <= _DAYS):
        raise _Unfit
    if new == "list":
        return _cast_list(array, kind)
    if new == "map":
        return _cast_map(array, kind)
    if new == "struct":
        return _cast_struct(array, kind)
    return _cast_leaf(array, kind, old, new)


def _laid_plain(array: pa.Array) -> pa.Array:
    while True:
        if isinstance(array.type, pa.DictionaryType):
            array = _without_view(array.dictionary).take(array.indices)
        elif isinstance(array.type, pa.RunEndEncodedType):
            array = pc.run_end_decode(array)
        elif isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        else:
            return array


def _without_view(values: pa.Array) -> pa.Array:
    """Cast views, which Arrow cannot take from (pyarrow 26)."""
    if types.is_string_view(values.type):
        return values.cast(pa.string())
    return values.cast(pa.binary()) if types.is_binary_view(values.type) else values


def _cast_leaf(array: pa.Array, kind: pa.DataType, old: str, new: str) -> pa.Array:
    if old == "int" and new == "decimal":  # Arrow asks for room for the widest integer; the values may need less
        wide = pa.decimal256(76, kind.scale) if kind.scale >= 0 else pa.decimal256(76, 0)
        return array.cast(wide).cast(kind)
    if old == "decimal" and new == "int" and array.type.scale > 0:
        return array.cast(pa.decimal256(76, 0)).cast(kind)
    if old == "int" and new == "float":  # the safe cast refuses 2**62, which a float holds
        cast = array.cast(kind, safe=False)
        if not _same(array, cast, old):
            raise _Unfit
        return cast
    cast = array.cast(kind)
    risky = (
        (new == "float" and old != "int" and kind != pa.float64())
        or (old == "decimal" and new == "float")
        or (old == "float" and new == "decimal")
        or (types.is_timestamp(array.type) and new == "date")
    )
    if risky and not _same(array, cast, old):
        raise _Unfit
    return cast


def _same(before: pa.Array, after: pa.Array, old: str) -> bool:
    """Whether casting back gives what was there; NaN is NaN."""
    if old == "decimal":  # the nearest float of 0.1 is not 0.1, but casting back would round to it
        return all(a is None or a == _exact(b) for a, b in zip(before.to_pylist(), after.to_pylist(), strict=True))
    if family(after.type) == "decimal":
        return all(a is None or _exact(a) == b for a, b in zip(before.to_pylist(), after.to_pylist(), strict=True))
    back = after.cast(before.type)
    same = pc.equal(before, back)
    if old == "float":
        same = pc.or_(same, pc.and_(pc.is_nan(before), pc.is_nan(back)))
    return pc.all(same, min_count=0).as_py() is not False


def _exact(value: float) -> object:
    from decimal import Decimal

    return Decimal(value)


def _cast_list(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if not (types.is_list_view(array.type) or types.is_large_list_view(array.type)):  # these have no cast
        array = _bared(array)
    values = _cast(_flat(array), kind.value_type)
    lengths = pc.list_value_length(array)
    if types.is_fixed_size_list(kind):
        if pc.all(pc.equal(lengths, kind.list_size), min_count=0).as_py() is False:
            raise _Unfit
        return _fixed(values, array, kind)
    offsets = np.zeros(len(array) + 1, dtype=np.int64)
    np.cumsum(lengths.fill_null(0).to_numpy(zero_copy_only=False), out=offsets[1:])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise _Unfit
    return pa.ListArray.from_arrays(
        pa.array(offsets.astype(np.int32)), values, type=kind, mask=array.is_null() if array.null_count else None
    )


def _flat(array: pa.Array) -> pa.Array:
    """Return the items of a list, without what lies under nulls."""
    try:
        return array.flatten()
    except pa.ArrowNotImplementedError:  # none to make an array of, of an extension type
        return pa.nulls(0, _bare(array.type.value_type))


def _bared(array: pa.Array) -> pa.Array:
    """Lay extension types and views inside plain: Arrow cannot flatten or filter some of them (pyarrow 26)."""
    bare = _bare(array.type)
    return array if bare == array.type else array.cast(bare)


def _bare(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _bare(kind.storage_type)
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return pa.string() if types.is_string_view(kind) else pa.binary()
    if types.is_struct(kind):
        return pa.struct([kind.field(i).with_type(_bare(kind.field(i).type)) for i in range(kind.num_fields)])
    if types.is_map(kind):
        return pa.map_(_bare(kind.key_type), _bare(kind.item_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(_bare(kind.value_type), kind.list_size)
    for make in (pa.list_, pa.large_list):
        if isinstance(kind, type(make(pa.null()))):
            return make(_bare(kind.value_type))
    return kind


def _fixed(values: pa.Array, array: pa.Array, kind: pa.DataType) -> pa.Array:
    if not array.null_count:
        return pa.FixedSizeListArray.from_arrays(values, type=kind)
    valid = np.repeat(array.is_valid().to_numpy(zero_copy_only=False), kind.list_size)
    slots = np.where(valid, np.cumsum(valid) - 1, 0)
    spread = values.take(pa.array(slots, mask=~valid))  # a null list still takes up `size` slots
    return pa.FixedSizeListArray.from_arrays(spread, type=kind, mask=array.is_null())


def _cast_map(array: pa.Array, kind: pa.DataType) -> pa.Array:
    array = _bared(array)
    entries = pa.ListArray.from_arrays(array.offsets, pa.StructArray.from_arrays([array.keys, array.items], ["k", "v"]))
    flat = entries.flatten() if not array.null_count else entries.filter(array.is_valid()).flatten()
    keys, items = _cast(flat.field(0), kind.key_type), _cast(flat.field(1), kind.item_type)
    lengths = pc.if_else(array.is_valid(), pc.list_value_length(entries), 0)
    offsets = np.zeros(len(array) + 1, dtype=np.int32)
    np.cumsum(lengths.to_numpy(zero_copy_only=False), out=offsets[1:])
    return pa.MapArray.from_arrays(
        pa.array(offsets), keys, items, type=kind, mask=array.is_null() if array.null_count else None
    )


def _cast_struct(array: pa.Array, kind: pa.DataType) -> pa.Array:
    names = {array.type.field(i).name for i in range(array.type.num_fields)}
    fields = [kind.field(i) for i in range(kind.num_fields)]
    if names != {field.name for field in fields}:
        raise _Unfit
    flat = dict(zip((array.type.field(i).name for i in range(array.type.num_fields)), array.flatten(), strict=True))
    children = [_cast(flat[field.name], field.type) for field in fields]
    return pa.StructArray.from_arrays(children, fields=fields, mask=array.is_null() if array.null_count else None)
