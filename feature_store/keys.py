"""Keys of entities: in the entity's type, and as bytes under which online stores hold them (PIT 11, 12).

    key = value value …              of the entities, in their order
    value = tag length bytes         strings, binary, decimals: the length in 4 bytes
          | tag bytes                integers, times, floats, booleans: 8 bytes

so ('1', '23') never equals ('12', '3'), nor 1 '1'. Numbers are written such that bytes order as they do. A key of more
than 255 bytes is its SHA-256, since stores bound their keys. Equal keys are equal bytes, and different ones different,
as they are for `dataplat.lake.content_id.key_digests`: -0.0 is 0.0, and all NaN are one.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.errors import SchemaError
from dataplat.feature_store.definitions import Entity
from dataplat.lake.canonical import family, plain
from dataplat.lake.schema import did_you_mean, parse_type

if TYPE_CHECKING:
    import pyarrow as pa

Encoder: TypeAlias = "Callable[[Sequence[Any]], bytes | None]"

LONGEST: Final = 255
"""Bytes of a key that are written as they are."""
_TAGS: Final = {"string": b"s", "binary": b"b", "decimal": b"d", "int": b"i", "float": b"f", "bool": b"o"}
_TIMES: Final = frozenset({"date", "time", "timestamp", "timestamp_tz", "duration"})
_SIGN: Final = np.uint64(1 << 63)


def typed_keys(entities: Sequence[Entity], table: pa.Table, columns: Mapping[str, str], what: str) -> pa.Table:
    """Return the keys of rows: a column for each entity, called as it is, in its type.

    Widths, units and encodings are adapted where every value stays what it is; an integer is no string, nor a string one.

    Args:
        entities: whose keys they are, in order.
        table: the rows.
        columns: the column of each entity, by its name.
        what: whose rows they are, for errors (`weather`, `the spine`).

    Raises:
        SchemaError: A column is missing, or holds what is no key of its entity; column and value are named.
    """
    import pyarrow as pa

    found: list[pa.Array] = []
    for entity in entities:
        column = columns[entity.name]
        if column not in table.schema.names:
            raise SchemaError(
                f"{what} has no column {column!r}, the key of entity {entity.name}{did_you_mean(column, table.schema.names)}"
            )
        found.append(typed_key(entity, table.column(column), f"{what}.{column}"))
    if not found:
        return table.select([])
    return pa.table(found, [entity.name for entity in entities])


def typed_key(entity: Entity, column: pa.Array | pa.ChunkedArray, what: str) -> pa.Array:
    """Return one column in the type of its entity; raise `SchemaError` where it holds what is none of its keys."""
    import pyarrow as pa

    kind = dtype(entity)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        column = column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
    if column.type == kind:
        return column
    if plain(column.type) != column.type:
        column = _bare(column)
    if family(column.type) not in ("null", family(kind)):
        value = next((value.as_py() for value in column if value.is_valid), None)
        raise SchemaError(
            f"{what} holds {value!r} ({column.type}), which is no key of entity {entity.name} ({entity.dtype}): "
            "cast it, or declare the entity otherwise"
        )
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        for row, value in enumerate(column):
            try:
                _ = value.cast(kind)
            except pa.ArrowInvalid:
                raise SchemaError(
                    f"{what}, row {row}: {value.as_py()!r} is no key of entity {entity.name} ({entity.dtype})"
                ) from error
        raise SchemaError(f"{what} holds no keys of entity {entity.name} ({entity.dtype}): {error}") from error


def dtype(entity: Entity) -> pa.DataType:
    """Return the Arrow type of an entity's keys; raise `SchemaError` for one that keys cannot have."""
    kind = parse_type(entity.dtype)
    if family(kind) not in _TAGS and family(kind) not in _TIMES:
        raise SchemaError(f"entity {entity.name}: keys cannot be {entity.dtype}; string and int64 are usual")
    return kind


def _bare(column: pa.Array) -> pa.Array:
    """Return the values behind dictionaries, runs and extensions."""
    import pyarrow as pa
    import pyarrow.compute as pc

    while plain(column.type) != column.type:
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        elif pa.types.is_run_end_encoded(column.type):
            column = pc.run_end_decode(column)
        else:
            column = column.cast(column.type.value_type)
    return column


def encode(keys: pa.Table) -> pa.Array:
    """Return keys, as `typed_keys` gives them, as bytes; null where a value of the key is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pieces = [piece for column in keys.columns for piece in _pieces(column)]
    if not pieces:
        return pa.array([b""] * keys.num_rows, pa.binary())
    joined = pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.binary()))
    joined = joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
    longest = pc.max(pc.binary_length(joined)).as_py() or 0
    return pa.array([_bounded(key) for key in joined.to_pylist()], pa.binary()) if longest > LONGEST else joined


def _bounded(key: bytes | None) -> bytes | None:
    return key if key is None or len(key) <= LONGEST else b"#" + hashlib.sha256(key).digest()


def _pieces(column: pa.ChunkedArray) -> list[Any]:
    """Return what is joined for the values of one entity: null where the value is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column.combine_chunks()
    values = values if isinstance(values, pa.Array) else pa.concat_arrays(values.chunks)
    kind = family(values.type)
    if kind in ("string", "binary", "decimal"):
        text = values.cast(pa.string()).cast(pa.binary()) if kind == "decimal" else values.cast(pa.binary())
        lengths = np.asarray(pc.binary_length(text).fill_null(0)).astype(">u4")
        return [pa.scalar(_TAGS[kind], pa.binary()), _fixed(lengths), text]
    valid = values.is_valid()
    tag = b"u" if pa.types.is_unsigned_integer(values.type) else _TAGS.get(kind, b"t")
    words = pc.if_else(valid, _fixed(_words(values, kind).astype(">u8")), pa.scalar(None, pa.binary()))
    return [pa.scalar(tag, pa.binary()), words]


def _words(values: pa.Array, kind: str) -> Any:
    """Return values as unsigned integers."""
    import pyarrow as pa

    if kind == "float":
        floats = np.asarray(values.cast(pa.float64()).fill_null(0.0)) + 0.0  # -0.0 + 0.0 is 0.0
        return np.where(np.isnan(floats), np.nan, floats).view(np.uint64)
    if kind == "bool":
        return np.asarray(values.cast(pa.uint8()).fill_null(0)).astype(np.uint64)
    if pa.types.is_unsigned_integer(values.type):
        return np.asarray(values.fill_null(0)).astype(np.uint64)
    if kind in _TIMES and values.type.bit_width == 32:
        values = values.cast(pa.int32())
    return np.asarray(values.cast(pa.int64()).fill_null(0)).view(np.uint64) ^ _SIGN


def _fixed(words: Any) -> pa.Array:
    import pyarrow as pa

    kind = pa.binary(words.dtype.itemsize)
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(words), [None, pa.py_buffer(words)]).cast(pa.binary())


def encoder(entities: Sequence[Entity], prefix: bytes = b"") -> Encoder:
    """Return a function of the values of one key: the bytes that `encode` gives of it, behind a prefix; None for a null.

    It is for requests: strings and integers take less than a microsecond. It raises `SchemaError` for a value that is no
    key of its entity.
    """
    values = [_value_encoder(entity, b"") for entity in entities]

    def encoded(key: Sequence[Any]) -> bytes | None:
        found = b""
        for piece_of, value in zip(values, key, strict=True):
            piece = piece_of(value)
            if piece is None:
                return None
            found += piece
        return prefix + (_bounded(found) or b"")

    return encoded


def value_encoder(entity: Entity, prefix: bytes = b"") -> Callable[[Any], bytes | None]:
    """Return what `encoder` of one entity gives, as a function of the value itself."""
    encoded = _value_encoder(entity, prefix)
    longest = LONGEST + len(prefix)

    def bounded(value: Any) -> bytes | None:
        found = encoded(value)
        if found is None or len(found) <= longest:
            return found
        return prefix + (_bounded(found[len(prefix) :]) or b"")

    return bounded


def _value_encoder(entity: Entity, prefix: bytes) -> Callable[[Any], bytes | None]:
    import pyarrow as pa

    kind = dtype(entity)
    if pa.types.is_string(kind):
        return _string_encoder(entity, prefix)
    if pa.types.is_signed_integer(kind):
        return _integer_encoder(entity, kind.bit_width, prefix)
    return lambda value: _any_encoded(entity, value, prefix)


def _string_encoder(entity: Entity, prefix: bytes) -> Callable[[Any], bytes | None]:
    heads = [prefix + b"s" + struct.pack(">I", length) for length in range(LONGEST + 1)]

    def encoded(value: Any) -> bytes | None:
        if type(value) is not str:
            return _any_encoded(entity, value, prefix)
        try:
            text = value.encode()
        except UnicodeEncodeError as error:
            raise SchemaError(f"{entity.name}: {value!r} is no text that UTF-8 can hold") from error
        length = len(text)
        return (heads[length] if length <= LONGEST else prefix + b"s" + struct.pack(">I", length)) + text

    return encoded


def _integer_encoder(entity: Entity, width: int, prefix: bytes) -> Callable[[Any], bytes | None]:
    least, most = -1 << (width - 1), (1 << (width - 1)) - 1
    head, pack = prefix + b"i", struct.Struct(">Q").pack
    sign = 1 << 63

    def encoded(value: Any) -> bytes | None:
        if type(value) is int and least <= value <= most:
            return head + pack(value + sign)
        return _any_encoded(entity, value, prefix)

    return encoded


def _any_encoded(entity: Entity, value: Any, prefix: bytes) -> bytes | None:
    """Encode a value of any kind, by way of Arrow."""
    import pyarrow as pa

    if value is None:
        return None
    try:
        kind = dtype(entity)
        column = pa.array(
            [value.as_py() if isinstance(value, pa.Scalar) else value],
            pa.uint64() if type(value) is int and value >= 1 << 63 else None,
        )
        if pa.types.is_floating(kind) and pa.types.is_integer(column.type) and not isinstance(value, bool):
            column = pa.array([value], kind)  # JSON writes 3.0 as 3
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise SchemaError(f"{entity.name}: {value!r} is no key of that entity ({entity.dtype})") from error
    found: bytes | None = encode(pa.table({entity.name: typed_key(entity, column, entity.name)}))[0].as_py()
    return None if found is None else prefix + found
