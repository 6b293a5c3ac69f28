"""Arrow streams of requests and answers. What comes from outside is looked at before Arrow allocates anything for it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from dataplat.errors import SchemaError
from dataplat.feature_store.definitions import Entity
from dataplat.server._problems import Problem

if TYPE_CHECKING:
    import pyarrow as pa

MEDIA_TYPE: Final = b"application/vnd.apache.arrow.stream"
_PARAMETERS: Final = ("service", "closure", "statuses", "ages")
_SWITCHES: Final[Mapping[str, bool]] = {"true": True, "1": True, "false": False, "0": False}


def parameters(query: bytes) -> dict[str, Any]:
    """Return what the query of a request says beside its Arrow body: service, closure, statuses, ages.

    Raises:
        Problem: There is no service, an unknown name, or a switch that is neither true nor false.
    """
    found: dict[str, Any] = {"closure": None, "statuses": False, "ages": False}
    seen: set[str] = set()
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in _PARAMETERS:
            raise Problem("invalid", f"?{name}= is unknown; there are {', '.join(_PARAMETERS)}", field=f"?{name}")
        if name in seen:
            raise Problem("invalid", f"?{name}= stands there twice: nobody knows which one is meant", field=f"?{name}")
        seen.add(name)
        if name in ("statuses", "ages"):
            if value.lower() not in _SWITCHES:
                raise Problem("invalid", f"?{name}= is true or false, and not {value!r}", field=f"?{name}")
            found[name] = _SWITCHES[value.lower()]
        else:
            found[name] = value
    if not found.get("service"):
        raise Problem(
            "invalid", "an Arrow body names its service in the address: ?service=delay_model", field="?service"
        )
    return found


def table_of(body: bytes, most: int) -> pa.Table:
    """Return the rows of an Arrow stream.

    Raises:
        Problem: It is none, is compressed inside, or has more rows than `most`.
    """
    import pyarrow as pa

    try:
        _check(body, most)
        with pa.ipc.open_stream(pa.py_buffer(body)) as stream:
            table = stream.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, EOFError, struct.error, IndexError, ValueError) as error:
        raise Problem("malformed", f"the body is no Arrow stream: {error}") from error
    return table


def _check(body: bytes, most: int) -> None:
    """Refuse what would grow: compressed buffers, and more rows than a lookup takes."""
    import pyarrow as pa

    rows = 0
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        if message.type == "schema":
            continue
        batch = _batch(message.metadata.to_pybytes(), dictionary=message.type == "dictionary")
        if batch.offset(3):
            raise Problem(
                "unsupported-media-type", "the buffers of the Arrow stream are compressed; send them as they are"
            )
        rows += batch.int64(0) if message.type == "record batch" else 0
        if rows > most:
            detail = f"a lookup is of at most {most:,} entities: ask in several"
            raise Problem("too-many-entities", detail, more={"max_entities": most})


class _Table:
    """A table of a flatbuffer: just enough to see the length of a batch, and whether it is compressed.

    https://flatbuffers.dev/internals/, https://github.com/apache/arrow/blob/main/format/Message.fbs
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]
        self._size = struct.unpack_from("<H", data, self._fields)[0]

    def offset(self, field: int) -> int:
        """Return where a field lies, 0 if it is left out."""
        entry = 4 + 2 * field
        return int(struct.unpack_from("<H", self._data, self._fields + entry)[0]) if entry < self._size else 0

    def table(self, field: int) -> _Table:
        """Return a field that is a table."""
        at = self._at + self.offset(field)
        return _Table(self._data, at + struct.unpack_from("<I", self._data, at)[0])

    def int64(self, field: int) -> int:
        """Return a field that is a number of 64 bits."""
        offset = self.offset(field)
        return int(struct.unpack_from("<q", self._data, self._at + offset)[0]) if offset else 0


def _batch(metadata: bytes, *, dictionary: bool) -> _Table:
    """Return the RecordBatch of a message."""
    header = _Table(metadata, struct.unpack_from("<I", metadata, 0)[0]).table(2)
    return header.table(1) if dictionary else header


def columns_of(
    table: pa.Table, entities: Mapping[str, Entity], request: Mapping[str, str], space: str
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Return keys and columns of the request, in their types.

    Raises:
        Problem: A column is missing, unknown, or of another type.
    """
    from dataplat.feature_store.kernel.ondemand import typed
    from dataplat.feature_store.keys import typed_key

    known = {**entities, **request}
    if len(set(table.column_names)) < table.num_columns:
        raise Problem("invalid", "two columns of the Arrow stream have the same name")
    for name in table.column_names:
        if name not in known:
            raise Problem("invalid", f"unknown column {name!r}; {space} has {', '.join(known) or 'none'}", field=name)
    for name in known:
        if name not in table.column_names:
            raise Problem("invalid", f"the column {name!r} is missing", field=name)
    keys, rest = {}, {}
    for name, entity in entities.items():
        with _told(name):
            keys[name] = typed_key(entity, table.column(name), name).to_pylist()
    for name, kind in request.items():
        with _told(name):
            rest[name] = typed({name: table.column(name)}, {name: kind}).column(name).to_pylist()
    return keys, rest


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Say of which column an error is."""
    try:
        yield
    except SchemaError as error:
        raise Problem("invalid", str(error), field=name) from error


def stream_of(table: pa.Table) -> bytes:
    """Return rows as an Arrow stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
