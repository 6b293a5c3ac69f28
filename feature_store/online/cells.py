"""How the values of a column lie in records: of fixed width where their type has one, else as bytes behind the others.

    fixed   booleans, integers, floats; dates, times, durations as the counts that Arrow holds
    bytes   strings and binary as they are; lists of numbers as a byte 0 and the numbers, one after the other
            all others (and lists with nulls) as a byte 1 and an Arrow batch of one value, without its schema

Values are plain Python: times are counts, as `dataplat.feature_store.kernel` has them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_CHARS: Final = {
    "bool": "?",
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "halffloat": "e",
    "float": "f",
    "double": "d",
}
_DTYPES: Final = {
    "?": "?",
    "b": "i1",
    "h": "<i2",
    "i": "<i4",
    "q": "<i8",
    "B": "u1",
    "H": "<u2",
    "I": "<u4",
    "Q": "<u8",
}
_DTYPES_OF_FLOATS: Final = {"e": "<f2", "f": "<f4", "d": "<f8"}


@dataclass(frozen=True, slots=True)
class Cell:
    """How one column lies in records.

    Attributes:
        kind: its Arrow type.
        char: what `struct` calls it; empty where it has no fixed width.
        load: returns the value of bytes, where it has none.
    """

    kind: pa.DataType
    char: str
    load: Callable[[bytes], Any]

    @classmethod
    def of(cls, kind: pa.DataType) -> Cell:
        """Return how a column of a type lies in records."""
        import pyarrow as pa

        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if char := _char(kind):
            return cls(kind, char, bytes)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return cls(kind, "", _text)
        if _is_binary(kind):
            return cls(kind, "", bytes)
        return cls(kind, "", _loader(kind))

    @property
    def dtype(self) -> str:
        """What numpy calls it, where it has a fixed width."""
        return _DTYPES.get(self.char) or _DTYPES_OF_FLOATS[self.char]

    @property
    def floating(self) -> bool:
        """Whether its values are floats."""
        return self.char in _DTYPES_OF_FLOATS

    def fixed(self, column: pa.Array) -> NDArray[Any]:
        """Return values as an array; nulls are 0."""
        import pyarrow as pa

        column = _plain(column, self.kind)
        if pa.types.is_temporal(self.kind):
            column = column.cast(pa.int32() if self.kind.bit_width == 32 else pa.int64())
        if self.char == "?":
            column = column.cast(pa.uint8())
        filled = column if column.null_count == 0 else column.fill_null(pa.scalar(0).cast(column.type))
        return np.asarray(filled).astype(self.dtype, copy=False)

    def dump(self, column: pa.Array) -> pa.Array:
        """Return values as binary, where they have no fixed width; null where they are."""
        import pyarrow as pa

        column = _plain(column, self.kind)
        if self.load is _text or _is_binary(self.kind):
            return column.cast(pa.binary())
        return _dumped(column, self.kind)

    def values(self, column: pa.Array) -> list[Any]:
        """Return values in Python, None for nulls; what has no fixed width as bytes."""
        import pyarrow as pa

        if not self.char:
            return list(self.dump(column).to_pylist())
        column = _plain(column, self.kind)
        if pa.types.is_temporal(self.kind):
            column = column.cast(pa.int32() if self.kind.bit_width == 32 else pa.int64())
        return list(column.to_pylist())


def _char(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return "i" if kind.bit_width == 32 else "q"
    return _CHARS.get(str(kind), "")


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    tests = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(test(kind) for test in tests)


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        column = column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
    return column if column.type == kind else column.cast(kind)


def _text(data: bytes) -> str:
    return data.decode()


def _numbers_inside(kind: pa.DataType) -> str:
    """Return what `struct` calls the numbers of a list; empty where it holds others."""
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "" if pa.types.is_temporal(kind.value_type) else _CHARS.get(str(kind.value_type), "").replace("?", "")
    return ""


def _loader(kind: pa.DataType) -> Callable[[bytes], Any]:
    import pyarrow as pa

    char = _numbers_inside(kind)
    width = struct.calcsize(f"<{char}") if char else 1
    schema = pa.schema([("x", kind)])

    def load(data: bytes) -> Any:
        if not data:
            return None
        if data[0] == 0:
            return list(struct.unpack_from(f"<{(len(data) - 1) // width}{char}", data, 1))
        return pa.ipc.read_record_batch(pa.py_buffer(data)[1:], schema).column(0)[0].as_py()

    return load


def _dumped(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values of lists and other types as binary."""
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = pa.schema([("x", kind)])
    plain = np.zeros(len(column), bool)
    if char := _numbers_inside(kind):
        inside = pc.list_flatten(column)
        counts = np.asarray(pc.list_value_length(column).fill_null(0)).astype(np.int64)
        ends = np.cumsum(counts)
        if inside.null_count:
            nulls = np.concatenate(([0], np.cumsum(np.asarray(inside.is_null()))))
            plain = nulls[ends] == nulls[ends - counts]
        else:
            plain[:] = True
        numbers = Cell(kind.value_type, char, bytes).fixed(inside).tobytes()
        width = struct.calcsize(f"<{char}")
        ends = ends * width
        starts = ends - counts * width
    found: list[bytes | None] = []
    for at, value in enumerate(column):
        if not value.is_valid:
            found.append(None)
        elif plain[at]:
            found.append(b"\x00" + numbers[starts[at] : ends[at]])
        else:
            batch = pa.record_batch([column.slice(at, 1)], schema=schema)
            found.append(b"\x01" + batch.serialize().to_pybytes())
    return pa.array(found, pa.binary())
