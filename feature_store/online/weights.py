"""What a record takes in the memory of an online store, its keeping included: arithmetic, held against real stores by tests.

LMDB maps its file: a record lies in a page of 4,096 bytes, which is resident once it was read, and the system takes it
back where memory is short. Redis has everything in memory, each string in one of jemalloc's size classes.
"""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

LMDB: Final = "pages of LMDB, of the snapshot and the one before; the system takes them back where memory is short"
REDIS: Final = "hashes of Redis, of the snapshot and the one before"
PAGE: Final = 4096
_HEADER: Final = 16
"""Bytes of a page that are no records."""
_NODE: Final = 8 + 2
"""Bytes of a record's header in a page, and of the pointer to it."""
_SEAL: Final = 8
"""Bytes of the checksum before each record."""
_VERSION: Final = 12
"""Bytes before each record in Redis: which revision wrote it, and how long it is."""
_ENTRY: Final = 24 + 12
"""Bytes of an entry of a hash, and of its table, which is half to wholly full."""


@runtime_checkable
class Weighs(Protocol):
    """An online store that says what a record takes of memory."""

    def weight(self, key: int, record: int) -> float:
        """Return the bytes of memory that a record takes, given those of its key and its own."""
        ...

    @property
    def kept_as(self) -> str:
        """How that is estimated, in words."""
        ...


def in_lmdb(key: int, record: int) -> float:
    """Return the bytes of pages that a record takes in LMDB, where records are written in the order of their keys.

    A record that is too large for two of it to lie in a page has pages of its own (http://www.lmdb.tech/doc/, MDB_node).
    """
    node = _NODE + key + _SEAL + record
    room = PAGE - _HEADER
    if node <= room // 2:
        return PAGE / (room // (node + node % 2))
    return -(-(_HEADER + _SEAL + record) // PAGE) * PAGE + PAGE / (room // (_NODE + key + 8))


def in_redis(key: int, record: int) -> float:
    """Return the bytes that a record takes in a hash of Redis."""
    return _ENTRY + _allocated(key) + _allocated(_VERSION + record)


def _allocated(length: int) -> int:
    """Return what a string of so many bytes takes: its header, its end, and what jemalloc rounds it up to."""
    header = 1 if length < 32 else 3 if length < 1 << 8 else 5 if length < 1 << 16 else 9
    wanted = header + length + 1
    if wanted <= 128:
        return max(8, -(-wanted // 16) * 16) if wanted > 8 else 8
    step = 1 << ((wanted - 1).bit_length() - 3)  # four classes between powers of two
    return -(-wanted // step) * step
