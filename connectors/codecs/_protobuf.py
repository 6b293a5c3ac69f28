"""Protobuf: schemas as text, compiled when they are met; messages parsed straight into columns by ptars.

Behind the frame stands which message of the schema it is, as a path: https://docs.confluent.io/platform/current/
schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.codecs._codec import NO_VALUE, Codec, Decoded, Records, Reject
from dataplat.connectors.codecs._groups import Group, decode_blocks, decode_groups, decode_others
from dataplat.errors import MissingExtra, SchemaError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAIN = "dataplat/message.proto"
_BUILT_IN = {
    "confluent/meta.proto": """
syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
""",
    "confluent/type/decimal.proto": """
syntax = "proto3";
package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
""",
}
"""What a schema may import without a reference to it: Confluent's converters write such; `google/type` is installed."""


class ProtobufCodec:
    """Decodes messages of the types that `text` defines; `references` are the files that it imports, by their names.

    Enums become their names, times and durations microseconds, a field of a `oneof` that is not set null.

    Raises:
        SchemaError: It cannot be compiled.
        MissingExtra: The packages that read Protobuf are not installed.
    """

    def __init__(self, text: str, references: Mapping[str, str] | None = None) -> None:
        self._file = _compiled(text, references or {})
        self._codecs: dict[tuple[int, ...], Codec | str] = {}

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return the rows; see `Codec`."""
        rejects: list[Reject] = []
        found: dict[tuple[tuple[int, ...], int], list[int] | NDArray[np.int64]] = {}
        if not records.values.null_count and pc.all(pc.starts_with(records.values, b"\0")).as_py():
            found[(0,), 1] = np.arange(len(records), dtype=np.int64)  # the usual case, in one look
        else:
            for i, value in enumerate(records.values.to_pylist()):
                path = NO_VALUE if value is None else _path(value)
                if isinstance(path, str):
                    rejects.append(Reject(i, path))
                else:
                    found.setdefault(path, []).append(i)  # type: ignore[union-attr]
        groups = [self._group(path, skip, np.asarray(index)) for (path, skip), index in found.items()]
        decoded = decode_groups(records, groups, like)
        rejects += decoded.rejects
        return Decoded(decoded.batch, decoded.rows, sorted(rejects, key=lambda reject: reject.index))

    def _group(self, path: tuple[int, ...], skip: int, index: NDArray[np.int64]) -> Group:
        codec = self._codecs.get(path)
        if codec is None:
            self._codecs[path] = codec = self._codec(path)
        return Group(f"message {'.'.join(map(str, path))}", index, codec, skip)

    def _codec(self, path: tuple[int, ...]) -> Codec | str:
        try:
            message = self._file.message_types_by_name.values()[path[0]]
            for place in path[1:]:
                message = message.nested_types[place]
        except IndexError:
            return "the schema has no message at this place"
        try:
            return _MessageCodec(message)
        except SchemaError as error:
            return str(error)


class _MessageCodec:
    """Decodes messages of one type: each is parsed by Google's library, so that only sound ones come before ptars.

    That costs two fifths of the rate, and finds in one pass what ptars takes in its stride (groups that do not end)
    or panics at.
    """

    def __init__(self, message: Any) -> None:
        from google.protobuf.message import DecodeError
        from google.protobuf.message_factory import GetMessageClass

        self._columns = _Columns(message)
        self._parse = GetMessageClass(message).FromString
        self._error = DecodeError

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return the rows; see `Codec`."""
        rejects, parse = [], self._parse
        for i, body in enumerate(records.values.to_pylist()):
            try:
                parse(body)
            except self._error as error:
                rejects.append(Reject(i, f"no such Protobuf message: {error}"))
        return decode_others(records, rejects, self._columns, like)


class _Columns:
    """Makes columns of sound messages."""

    def __init__(self, message: Any) -> None:
        from ptars import HandlerPool, PtarsConfig

        _refuse_holding_itself(message, ())
        config = PtarsConfig(
            timestamp_unit="us",
            time_unit="us",
            duration_unit="us",
            enum_repr="string",
            list_value_nullable=True,
            map_value_nullable=True,
        )
        try:
            self._handler = HandlerPool([message.file], config=config).get_for_message(message)
            read = self._handler.schema()
        except Exception as error:  # what a young library meets in odd schemas, it has no one type for
            raise SchemaError(f"{message.full_name} cannot be columns: {error}") from error
        if not len(read):
            raise SchemaError(f"{message.full_name} has no fields")
        self._schema = pa.schema([_nullable(field) for field in read])

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return the rows; see `Codec`."""
        return decode_blocks(records, self._schema, self._together, self._one)

    def _together(self, bodies: pa.BinaryArray) -> pa.RecordBatch | None:
        found = self._read(bodies)
        return None if isinstance(found, str) else found

    def _one(self, body: bytes) -> pa.RecordBatch | Reject:
        found = self._read(pa.array([body], pa.binary()))
        return Reject(0, f"no such Protobuf message: {found}") if isinstance(found, str) else found

    def _read(self, bodies: pa.BinaryArray) -> pa.RecordBatch | str:
        try:
            batch = self._handler.array_to_record_batch(pa.concat_arrays([bodies]) if bodies.offset else bodies)
            return batch.cast(self._schema)
        except (ValueError, OverflowError) as error:
            return str(error)
        except BaseException as error:
            if (
                type(error).__name__ != "PanicException"
            ):  # of Rust: each library has a class of its own, and exports none
                raise
            return str(error)


def _nullable(field: pa.Field) -> pa.Field:
    """Return the field with nothing in it that is never null: later schemas may do without it."""
    kind = field.type
    if pa.types.is_struct(kind):
        kind = pa.struct([_nullable(inner) for inner in kind])
    elif pa.types.is_list(kind):
        kind = pa.list_(_nullable(kind.value_field).type)
    elif pa.types.is_map(kind):
        kind = pa.map_(kind.key_type, _nullable(kind.item_field).type)
    return pa.field(field.name, kind)


def _refuse_holding_itself(message: Any, within: tuple[str, ...]) -> None:
    if message.full_name in within:
        raise SchemaError(f"the Protobuf message {message.full_name} holds itself, and cannot be a column")
    for field in message.fields:
        if field.message_type is not None:
            _refuse_holding_itself(field.message_type, (*within, message.full_name))


def _path(value: bytes) -> tuple[tuple[int, ...], int] | str:
    """Return the path of the message that a value begins with, and how many bytes that takes."""
    numbers: list[int] = []
    at, wanted = 0, 1
    while len(numbers) < wanted:
        number, at = _varint(value, at)
        if number is None or number < 0:
            return "the value ends within the path of its message, or it is none"
        numbers.append(number)
        wanted = 1 + numbers[0]
    return (tuple(numbers[1:]) or (0,)), at


def _varint(value: bytes, at: int) -> tuple[int | None, int]:
    """Return a zigzag number of at most five bytes, and where it ends."""
    number = 0
    for shift in range(0, 35, 7):
        if at >= len(value):
            break
        byte = value[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
    return None, at


def _compiled(text: str, references: Mapping[str, str]) -> Any:
    """Return the descriptor of the file, in a pool of its own."""
    try:
        import grpc_tools  # noqa: F401
        import ptars  # noqa: F401
        from google.protobuf import descriptor_pb2, descriptor_pool
    except ImportError as error:
        raise MissingExtra(f"messages in Protobuf need {error.name}: pip install 'dataplat[kafka-registry]'") from error
    with tempfile.TemporaryDirectory(prefix="dataplat-") as folder:
        for name, content in {**_BUILT_IN, **references, _MAIN: text}.items():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise SchemaError(f"a Protobuf schema refers to {name!r}, which is no name of a file to import")
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
        out = Path(folder, "compiled")
        # A process of its own: the compiler says what is wrong on stderr, and nowhere else.
        common = [f"-I{Path(place).parent.parent}" for place in import_module("google.type").__path__]
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", *common, "--include_imports"]
        command += [f"--descriptor_set_out={out}", _MAIN]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise SchemaError(f"the Protobuf schema cannot be compiled: {done.stderr.strip()}")
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool.FindFileByName(_MAIN)
