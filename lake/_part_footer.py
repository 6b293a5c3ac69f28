"""Joins the row groups of several small Parquet files into one file, without decoding a page.

Row groups are encoded side by side, each as a Parquet file of its own in memory. Pages do not know where they
lie; only the footer does. So a part is the pages of those files one after the other, under one footer in which
every offset is moved by as much as its pages were. The footer is Thrift in the compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), its fields are numbered by
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"PAR1"

_BOOLS, _BYTE, _I16, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = (
    (1, 2),
    3,
    4,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
)

# FileMetaData
_VERSION, _SCHEMA, _NUM_ROWS, _ROW_GROUPS, _KEY_VALUES, _CREATED_BY, _COLUMN_ORDERS = range(1, 8)
_COPIED: Final = ((_VERSION, 5), (_SCHEMA, _LIST))
_COPIED_LAST: Final = ((_KEY_VALUES, _LIST), (_CREATED_BY, _BINARY), (_COLUMN_ORDERS, _LIST))
# where an offset into the file stands, by the path of field numbers from the RowGroup down (1 also leads into lists)
_OFFSETS: Final = frozenset({(5,), (1, 2), (1, 4), (1, 6), (1, 3, 9), (1, 3, 10), (1, 3, 11), (1, 3, 14)})
_ORDINAL: Final = (7,)
_HOLD_OFFSETS: Final = frozenset({(1,), (1, 3)})


@dataclass(frozen=True, slots=True)
class RowGroupFooter:
    """The footer of a file with one row group: `fields` by number as raw bytes, `group` the raw RowGroup."""

    fields: dict[int, bytes]
    group: bytes
    rows: int


def split_file(file: memoryview) -> tuple[memoryview, RowGroupFooter]:
    """Split a Parquet file with one row group into its pages (without leading magic) and its footer."""
    size = int.from_bytes(file[-8:-4], "little")
    start = len(file) - 8 - size
    thrift = bytes(file[start:-8])
    fields: dict[int, bytes] = {}
    for number, _, begin, end in _fields(thrift, 0):
        fields[number] = thrift[begin:end]
    groups = fields.pop(_ROW_GROUPS)
    rows, _ = _integer(fields.pop(_NUM_ROWS), 0)
    if groups[0] != (1 << 4 | _STRUCT):
        raise ValueError("expected exactly one row group")
    return file[4:start], RowGroupFooter(fields, groups[1:], rows)


def join_footers(footers: Sequence[RowGroupFooter], offsets: Sequence[int]) -> bytes:
    """Return the end of a file, from its footer to the closing magic, whose i-th pages begin at `offsets[i]`."""
    first = footers[0].fields
    out = bytearray()
    last = 0
    for number, kind in _COPIED:
        last = _put(out, last, number, kind, first[number])
    last = _put(out, last, _NUM_ROWS, _I64, _zigzag(sum(footer.rows for footer in footers)))
    moved = [
        _move(footer.group, offset - len(MAGIC), i)
        for i, (footer, offset) in enumerate(zip(footers, offsets, strict=True))
    ]
    last = _put(out, last, _ROW_GROUPS, _LIST, _list_head(len(moved)) + b"".join(moved))
    for number, kind in _COPIED_LAST:
        if number in first:
            last = _put(out, last, number, kind, first[number])
    out.append(0)
    return bytes(out) + len(out).to_bytes(4, "little") + MAGIC


def _put(out: bytearray, last: int, number: int, kind: int, value: bytes) -> int:
    out.append((number - last) << 4 | kind)
    out += value
    return number


def _list_head(size: int) -> bytes:
    return bytes([size << 4 | _STRUCT]) if size < 15 else bytes([0xF0 | _STRUCT]) + _varint(size)


def _move(group: bytes, by: int, ordinal: int) -> bytes:
    """Return the RowGroup with every offset moved and its ordinal set."""
    if not by and not ordinal:  # the first lies where it was encoded to lie; a small part has no other
        return group
    out, done = bytearray(), 0
    for path, begin, end in _places(group, 0, ()):
        value, _ = _integer(group, begin)
        out += group[done:begin]
        out += _zigzag(ordinal if path == _ORDINAL else value + by if value else 0)  # 0 is "not there" in some
        done = end
    out += group[done:]
    return bytes(out)


def _places(data: bytes, at: int, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Yield path, begin and end of each integer that says where something lies, in order."""
    for number, kind, begin, end in _fields(data, at):
        here = (*path, number)
        if here in _OFFSETS or here == _ORDINAL:
            yield here, begin, end
        elif here in _HOLD_OFFSETS and kind == _STRUCT:
            yield from _places(data, begin, here)
        elif here in _HOLD_OFFSETS:
            size, item = _list_size(data, begin)
            for _ in range(size):
                yield from _places(data, item, here)
                item = _skip(data, item, _STRUCT)


def _fields(data: bytes, at: int) -> list[tuple[int, int, int, int]]:
    """Return (number, type, begin, end of the value) of each field of the struct at `at`."""
    found, number = [], 0
    while (head := data[at]) != 0:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        end = _skip(data, at, head & 0x0F)
        found.append((number, head & 0x0F, at, end))
        at = end
    return found


def _skip(data: bytes, at: int, kind: int) -> int:
    """Return where the value of type `kind` at `at` ends."""
    if kind in _BOOLS:
        return at
    if _I16 <= kind <= _I64:
        while data[at] & 0x80:
            at += 1
        return at + 1
    if kind == _BINARY:
        size, at = _unsigned(data, at)
        return at + size
    if kind == _STRUCT:
        while (head := data[at]) != 0:
            at += 1
            if not head >> 4:
                _, at = _integer(data, at)
            at = _skip(data, at, head & 0x0F)
        return at + 1
    if kind in (_LIST, _SET):
        size, item = _list_size(data, at)
        kind = data[at] & 0x0F
        for _ in range(size):
            item = item + 1 if kind in _BOOLS else _skip(data, item, kind)
        return item
    if kind == _MAP:
        return _skip_map(data, at)
    return at + {_BYTE: 1, _DOUBLE: 8, _UUID: 16}[kind]


def _skip_map(data: bytes, at: int) -> int:
    size, at = _unsigned(data, at)
    if not size:
        return at
    kinds = data[at] >> 4, data[at] & 0x0F
    at += 1
    for _ in range(size):
        for kind in kinds:
            at = at + 1 if kind in _BOOLS else _skip(data, at, kind)
    return at


def _list_size(data: bytes, at: int) -> tuple[int, int]:
    size = data[at] >> 4
    return (size, at + 1) if size < 15 else _unsigned(data, at + 1)


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while (byte := data[at]) & 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return value | byte << shift, at + 1


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return value >> 1 ^ -(value & 1), at


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 ^ value >> 63 if value < 0 else value << 1)
