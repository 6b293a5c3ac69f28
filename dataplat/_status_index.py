"""The files that a version is, as bytes that are compared and kept: what a folder of 100,000 files is asked against.

Bytes of one kind lie together: names, sizes, times of change, digests. So an unchanged folder is equal bytes, and
of a changed one the files that differ are found without a row, or a library that reads rows.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from struct import Struct
from typing import TYPE_CHECKING, Final, TypeAlias

from dataplat.connectors.files._folder import path_order

if TYPE_CHECKING:
    from dataplat.connectors.files._folder import Listing

FileRow: TypeAlias = "tuple[int | None, int | None, str | None]"
"""Size (bytes), time of change (ns) and SHA-256 of a file as a row has them."""

_HEAD: Final = Struct("<QQ")
_SHA_BYTES: Final = 32
_BLOCK: Final = 1024  # files


@dataclass(frozen=True, slots=True)
class Index:
    """The files of a version in order of their paths: joined names, sizes (bytes), times (ns), SHA-256 one after the other."""

    names: bytes
    sizes: array[int]
    times: array[int]
    digests: bytes

    @classmethod
    def of(cls, rows: Mapping[str, FileRow]) -> Index | None:
        """Return the index of rows by path; None where they are not those of the files of a folder, each with all it has."""
        try:
            order = sorted(rows, key=path_order)
            held = [rows[name] for name in order]
            sizes = array("q", [row[0] for row in held if row[0] is not None])
            times = array("q", [row[1] for row in held if row[1] is not None])
            found = cls("\0".join(order).encode(), sizes, times, bytes.fromhex("".join(row[2] or "" for row in held)))
        except (AttributeError, TypeError, ValueError):
            return None
        if not len(sizes) == len(times) == len(order) == len(found.digests) // _SHA_BYTES:
            return None
        as_held = found.file_names == order and all(found.sha256(place) == row[2] for place, row in enumerate(held))
        return found if as_held else None

    @classmethod
    def decode(cls, data: bytes) -> Index | None:
        """Return what `encode` made; None of other bytes."""
        if len(data) < _HEAD.size:
            return None
        files, named = _HEAD.unpack_from(data)
        if len(data) != _HEAD.size + named + files * (16 + _SHA_BYTES):
            return None
        at = _HEAD.size + named
        sizes, times = (_numbers(data[at + 8 * files * n : at + 8 * files * (n + 1)]) for n in range(2))
        return cls(data[_HEAD.size : at], sizes, times, data[at + 16 * files :])

    def encode(self) -> bytes:
        """Return it as bytes."""
        numbers = (_bytes(self.sizes), _bytes(self.times))
        return b"".join((_HEAD.pack(len(self.sizes), len(self.names)), self.names, *numbers, self.digests))

    @property
    def file_names(self) -> list[str]:
        """The names with `/`."""
        return self.names.decode().split("\0")

    def sha256(self, place: int) -> str:
        """Return the digest of the file at a place."""
        return self.digests[_SHA_BYTES * place : _SHA_BYTES * (place + 1)].hex()

    def is_listing(self, files: Listing) -> bool:
        """Whether names, sizes and times are those of a folder."""
        return self._has_names(files) and (self.sizes, self.times) == (files.sizes, files.times)

    def places(self, files: Listing) -> Iterator[int | None]:
        """Yield for each file of a folder the place of that name here, None where there is none."""
        if self._has_names(files):
            return iter(range(len(files.names)))
        return map(dict(zip(self.file_names, count(), strict=False)).get, files.names)

    def differing(self, files: Listing) -> Iterator[tuple[int, int | None]]:
        """Yield number and place of each file of a folder that may differ in name, size or time: no other one does.

        Where all names are the same, a block of files whose sizes and times are the same bytes is passed over whole.
        """
        if not self._has_names(files):
            yield from enumerate(self.places(files))
            return
        for start in range(0, len(self.sizes), _BLOCK):
            block = slice(start, start + _BLOCK)
            if (self.sizes[block], self.times[block]) != (files.sizes[block], files.times[block]):
                yield from ((number, number) for number in range(start, min(block.stop, len(self.sizes))))

    def _has_names(self, files: Listing) -> bool:
        return len(files.names) == len(self.sizes) and "\0".join(files.names).encode() == self.names


def _numbers(data: bytes) -> array[int]:
    numbers = array("q", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _bytes(numbers: array[int]) -> bytes:
    return _numbers(numbers.tobytes()).tobytes()
