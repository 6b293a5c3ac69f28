"""Messages that name their schema by its id: each is decoded by its own, and all of them become rows of one.

The frame is that of Confluent's serializers: a zero byte, the id in four bytes (big-endian), the body. It may stand in a
header instead, there also as a one and a GUID of sixteen bytes.
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.codecs._codec import NO_VALUE, Codec, Decoded, Records, Reject
from dataplat.connectors.codecs._groups import Group, decode_groups
from dataplat.connectors.codecs._registry import Registered, SchemaRegistry
from dataplat.errors import SchemaError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME: Final = 5
"""Bytes before the body: a zero, and the id."""
VALUE_HEADER: Final = "__value_schema_id"
KEY_HEADER: Final = "__key_schema_id"
_LENGTHS: Final = {b"\0": FRAME, b"\1": 17}
"""Bytes that name a schema, by the first of them."""


class ByIdCodec:
    """Decodes messages by the schemas that `registry` has; where a `kind` ("AVRO") is given, only those of that one."""

    def __init__(self, registry: SchemaRegistry, kind: str | None = None) -> None:
        self._registry = registry
        self._kind = kind
        self._codecs: dict[int, Codec | str] = {}

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return the rows, in the order of the records; see `Codec`."""
        values, ids = framed(records.values, records.headers, VALUE_HEADER, self._registry)
        records = replace(records, values=values)
        groups = [
            Group(self._registry.called(id), np.flatnonzero(ids == id), self.codec(id), FRAME, id)
            for id in dict.fromkeys(ids[ids >= 0].tolist())
        ]
        decoded = decode_groups(records, groups, like, ids)
        alone = [Reject(int(i), unframed(records.values[int(i)].as_py())) for i in np.flatnonzero(ids < 0)]
        rejects = sorted([*decoded.rejects, *alone], key=lambda reject: reject.index)
        return replace(decoded, rejects=rejects)

    def codec(self, id: int) -> Codec | str:
        """Return what decodes bodies of a schema, or why nothing does."""
        known = self._codecs.get(id)
        if known is not None:
            return known
        try:
            schema = self._registry.schema(id)
        except SchemaError as error:
            return str(error)
        if schema is None:  # not remembered here: the registry may come to know it
            return f"it is not known to the registry at {self._registry.url}"
        self._codecs[id] = found = self._made(schema)
        return found

    def _made(self, schema: Registered) -> Codec | str:
        if self._kind is not None and schema.kind != self._kind:
            return f"it is of type {schema.kind}, and --format asks for {self._kind}: --format registry takes all"
        try:
            return _codec_of(schema)
        except SchemaError as error:
            return str(error)


def _codec_of(schema: Registered) -> Codec:
    if schema.kind == "AVRO":
        from dataplat.connectors.codecs._avro import AvroCodec

        return AvroCodec.of_text(schema.text, _texts(schema))
    if schema.kind == "PROTOBUF":
        from dataplat.connectors.codecs._protobuf import ProtobufCodec

        return ProtobufCodec(schema.text, _texts(schema))
    if schema.kind == "JSON":
        from dataplat.connectors.codecs._json_schema import JsonSchemaCodec

        return JsonSchemaCodec(schema.text, _texts(schema))
    raise SchemaError(f"there is no way to read the type {schema.kind!r}")


def _texts(schema: Registered) -> dict[str, str]:
    """Return the texts of all schemas that one refers to, by name, those of their references too."""
    found: dict[str, str] = {}
    for name, other in schema.references.items():
        found.update(_texts(other))
        found[name] = other.text
    return found


def framed(
    values: pa.BinaryArray, headers: pa.ListArray | None, header: str, registry: SchemaRegistry
) -> tuple[pa.BinaryArray, NDArray[np.int64]]:
    """Return values with a frame before each, and the id that each names its schema by; -1 where it has no frame.

    Where a header names the schema, all of the value is the body.
    """
    ids = ids_of(values)
    if headers is None or not len(headers.values):
        return values, ids
    fronts: list[bytes] = [b""] * len(values)
    for i, text in _named(headers, header):
        length = _LENGTHS.get(text[:1])
        if length is None or len(text) < length:
            continue
        guid = UUID(bytes=text[1:length]) if length > FRAME else None
        ids[i] = int.from_bytes(text[1:length], "big") if guid is None else registry.id_of(str(guid))
        fronts[i] = bytes(FRAME) + text[length:]  # the id is known; Protobuf has in the header which message it is, too
    ids[values.is_null().to_numpy(zero_copy_only=False)] = -1
    if not any(fronts):
        return values, ids
    return pc.binary_join_element_wise(pa.array(fronts, pa.binary()), values, b""), ids


def _named(headers: pa.ListArray, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the values of a header, and the records that have it."""
    flat = headers.flatten()
    found = np.flatnonzero(pc.equal(flat.field("name"), name).to_numpy(zero_copy_only=False))
    of = pc.list_parent_indices(headers).to_numpy()
    for place, value in zip(found.tolist(), flat.field("value").take(pa.array(found)).to_pylist(), strict=True):
        yield int(of[place]), value or b""


def ids_of(values: pa.BinaryArray) -> NDArray[np.int64]:
    """Return the id that each value begins with; -1 where it has no frame."""
    ids = np.full(len(values), -1, dtype=np.int64)
    _, offsets, data = values.buffers()
    if data is None or not len(values):
        return ids
    bounds = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    framed = np.flatnonzero((np.diff(bounds) >= FRAME) & values.is_valid().to_numpy(zero_copy_only=False))
    if len(framed):
        head = np.frombuffer(data, dtype=np.uint8)[bounds[framed, None] + np.arange(FRAME)].astype(np.int64)
        found = head[:, 1] << 24 | head[:, 2] << 16 | head[:, 3] << 8 | head[:, 4]
        ids[framed] = np.where(head[:, 0] == 0, found, -1)
    return ids


def unframed(value: bytes | None) -> str:
    if value is None:
        return NO_VALUE
    return (
        f"no frame of a schema registry: a message begins with a zero byte and the id of its schema, and this one of "
        f"{len(value):,} bytes with {value[:FRAME].hex(' ') or 'nothing'}"
    )
