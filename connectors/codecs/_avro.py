"""Avro: many messages re-framed as one block of a container, so that Polars decodes them in one call.

Behind each message stands a number drawn for it, read as one more field: only where every number comes back did each
message end where it should, neither short nor with bytes left over.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.codecs._avro_wire import wire_of
from dataplat.connectors.codecs._codec import Decoded, Records, Reject
from dataplat.connectors.codecs._groups import decode_blocks
from dataplat.connectors.files._avro_container import Container
from dataplat.errors import MissingExtra, SchemaError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AvroCodec:
    """Decodes messages that were written with `schema`; `named` are schemas that it names and does not define.

    Raises:
        SchemaError: It cannot be columns.
        MissingExtra: fastavro is not installed.
    """

    def __init__(self, schema: Any, named: Mapping[str, Any] | None = None) -> None:
        try:
            import fastavro
        except ImportError as error:
            raise MissingExtra("messages in Avro need fastavro: pip install 'dataplat[kafka-registry]'") from error
        self._wire = wire = wire_of(schema, named)
        fields = [{"name": f"f{i}", "type": one} for i, one in enumerate(wire.fields)]
        record = {"type": "record", "name": "message", "fields": fields}
        self._alone = fastavro.parse_schema(record)
        self._reader = fastavro.schemaless_reader
        end = {"name": "end", "type": "double"}
        framed = {**record, "fields": [*fields, end]}
        self._container = Container("messages", framed, "null", bytes(16), io.BytesIO())

    @classmethod
    def of_text(cls, text: str, references: Mapping[str, str] | None = None) -> AvroCodec:
        """Return the codec of a schema as JSON, given the ones that it refers to by name.

        Raises:
            SchemaError: One of them is no JSON, or cannot be columns.
        """
        try:
            named = {name: json.loads(other) for name, other in (references or {}).items()}
            return cls(json.loads(text) if text.strip()[:1] in '{["' else text.strip(), named)
        except ValueError as error:
            if isinstance(error, SchemaError):
                raise
            raise SchemaError(f"the Avro schema is no JSON: {error}") from error

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return the rows; see `Codec`."""
        return decode_blocks(records, self._wire.kinds, self._together, self._one, self._wrong)

    def _together(self, bodies: pa.BinaryArray) -> pa.RecordBatch | None:
        """Return the rows, None where one of the messages is not what it should be."""
        ends = 1.0 + np.random.default_rng().random(len(bodies))
        framed = self._container.framed([(len(bodies), _joined(bodies, ends))])
        try:
            frame = pl.read_avro(framed)
            if len(frame) != len(bodies) or not np.array_equal(frame["end"].to_numpy(), ends):
                return None
            table = frame.drop("end").to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
            columns = [_chunk(column) for column in table.columns]
            return self._batch(columns)
        except _UNREADABLE:
            return None

    def _wrong(self, body: bytes) -> Reject | None:
        """Return what is wrong with the bytes of one message."""
        found = self._read(body)
        return found if isinstance(found, Reject) else None

    def _one(self, body: bytes) -> pa.RecordBatch | Reject:
        """Return the row of one message, or what is wrong with it."""
        value = self._read(body)
        if isinstance(value, Reject):
            return value
        for i, (held, kind) in enumerate(zip(self._wire.held, self._wire.kinds, strict=True)):
            try:
                self._wire.restore[i](pa.array([value[f"f{i}"]], held))
            except (ValueError, IndexError, ArithmeticError) as error:
                return Reject(0, f"column {kind.name!r} holds no {kind.type}: {error}", kind.name)
        return self._batch([pa.array([value[f"f{i}"]], held) for i, held in enumerate(self._wire.held)])

    def _read(self, body: bytes) -> Mapping[str, Any] | Reject:
        stream = io.BytesIO(body)
        try:
            value: Any = self._reader(stream, self._alone, None)
        except EOFError:
            return Reject(0, "the value ends within the Avro record")
        except Exception as error:  # noqa: BLE001 (bytes that are no record raise whatever it is that they hit)
            return Reject(0, f"no Avro record: {type(error).__name__}: {error}")
        left = len(body) - stream.tell()
        return Reject(0, f"{left:,} bytes are left behind the Avro record") if left else value

    def _batch(self, columns: list[pa.Array]) -> pa.RecordBatch:
        restored = [restore(column) for restore, column in zip(self._wire.restore, columns, strict=True)]
        return pa.RecordBatch.from_arrays(restored, schema=self._wire.kinds)


_NOTHING = pa.scalar(b"", pa.large_binary())
_UNREADABLE = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,  # how Polars meets lengths beyond the end: it says so on stderr, too
    pa.ArrowException,
    OSError,
    ValueError,
    IndexError,
)


def _joined(bodies: pa.BinaryArray, ends: NDArray[np.float64]) -> bytes:
    """Return the messages one after another, each with its number behind it."""
    places = np.arange(0, 8 * len(ends) + 8, 8, dtype=np.int32)
    numbers = pa.BinaryArray.from_buffers(
        pa.binary(), len(ends), [None, pa.py_buffer(places), pa.py_buffer(ends.astype("<f8"))]
    )
    joined = pc.binary_join_element_wise(bodies.cast(pa.large_binary()), numbers.cast(pa.large_binary()), _NOTHING)
    _, offsets, data = joined.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[joined.offset : joined.offset + len(joined) + 1]
    found: bytes = data.slice(int(bounds[0]), int(bounds[-1] - bounds[0])).to_pybytes()
    return found


def _chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
