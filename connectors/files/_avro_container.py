"""Walk an Avro object container, block by block, and frame blocks anew.

Format: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

from __future__ import annotations

import bz2
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from dataplat.errors import SourceError

MAGIC = b"Obj\x01"
BLOCK_LIMIT = 256 << 20


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


_CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": lambda data: data,
    "deflate": lambda data: zlib.decompress(data, wbits=-15),
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
    "zstandard": _zstd,
}


@dataclass(slots=True)
class Container:
    """An open container: its schema, and its blocks from where the stream stands."""

    label: str
    schema: Any
    codec: str
    sync: bytes
    _stream: IO[bytes]

    @classmethod
    def open(cls, stream: IO[bytes], label: str) -> Container:
        """Read the header; raise `SourceError` where there is none."""
        if stream.read(4) != MAGIC:
            raise SourceError(f"{label} is no Avro file: it does not begin with {MAGIC!r}")
        try:
            meta = _read_map(stream)
            sync = _exactly(stream, 16)
            schema = json.loads(meta["avro.schema"])
        except (EOFError, KeyError, ValueError) as error:
            raise SourceError(f"{label} is truncated or damaged in its Avro header: {error}") from error
        codec = meta.get("avro.codec", b"null").decode()
        if codec not in _CODECS and codec != "snappy":
            raise SourceError(f"{label} is compressed with {codec!r}, which is no codec of Avro that we know")
        return cls(label, schema, codec, sync, stream)

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield (records, encoded bytes); raise `SourceError` with the row where the file breaks off."""
        row = 0
        while True:
            try:
                count = _read_long(self._stream)
            except EOFError as error:
                if error.args:
                    raise self._broken(row, error) from error
                return
            try:
                size = _read_long(self._stream)
                if count < 0 or not 0 <= size <= BLOCK_LIMIT:
                    raise ValueError(f"a block of {count} records and {size} bytes")
                data = _exactly(self._stream, size)
                if _exactly(self._stream, 16) != self.sync:
                    raise ValueError("the mark behind a block is wrong")
                yield count, data if self.codec == "snappy" else _CODECS[self.codec](data)
            except (EOFError, ValueError, OSError, zlib.error, lzma.LZMAError) as error:
                raise self._broken(row, error) from error
            row += count

    def _broken(self, row: int, error: Exception) -> SourceError:
        return SourceError(
            f"{self.label} is truncated or damaged behind row {row:,}: {error}; nothing was taken from it"
        )

    def framed(self, blocks: list[tuple[int, bytes]]) -> io.BytesIO:
        """Return a container of its own with these blocks."""
        codec = b"snappy" if self.codec == "snappy" else b"null"
        meta = {b"avro.schema": json.dumps(self.schema).encode(), b"avro.codec": codec}
        parts = [MAGIC, _long(len(meta))]
        for key, value in meta.items():
            parts += [_long(len(key)), key, _long(len(value)), value]
        parts += [_long(0), self.sync]
        for count, data in blocks:
            parts += [_long(count), _long(len(data)), data, self.sync]
        return io.BytesIO(b"".join(parts))


def _read_long(stream: IO[bytes]) -> int:
    """Read a zigzag variable-length integer; EOFError without arguments at a clean end."""
    shift = value = 0
    while True:
        byte = stream.read(1)
        if not byte:
            raise EOFError("the file ends in a number") if shift else EOFError
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _long(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    parts = []
    while size:
        data = stream.read(size)
        if not data:
            raise EOFError("the file ends in a block")
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def _read_map(stream: IO[bytes]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    while count := _read_long(stream):
        if count < 0:  # the block's size in bytes follows
            _read_long(stream)
        for _ in range(abs(count)):
            key = _exactly(stream, _read_long(stream)).decode()
            found[key] = _exactly(stream, _read_long(stream))
    return found
