"""How a space lies in Redis: names of keys, the state, versions of a record, pushed rows. Nothing here speaks to a server.

A record keeps, beside its newest version, those that the live snapshot and the one before need; each begins with the
revision that wrote it. Readers take the newest that is no newer than the live revision, and none that is dead: of a writer
who never came to an end, or of a snapshot that was rolled back. So what is served changes for all keys at once, on however
many nodes they are, when the state does.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from zlib import crc32

import msgspec

from dataplat.feature_store.online.store import Pushed, Reading, Snapshot

ABSENT: Final = 2**32 - 1
"""The length of a version that says that there is no record."""
_VERSION: Final = struct.Struct(">QI")
_HEAD: Final = struct.Struct(">QQQ")
_ROW: Final = struct.Struct(">IQQQ")
_TIMES: Final = struct.Struct(">QQ")
_LOGGED: Final = struct.Struct(">II")
_SIGN: Final = 2**63  # what makes an int64 an unsigned number of the same order


Part: TypeAlias = tuple[list[int], list[bytes | None]]
"""Places in a request, and what was answered of them: the head of their bucket, and records."""


class Side(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot, and where its records lie: in the buckets of a generation, up to a revision."""

    snapshot: Snapshot
    generation: str
    buckets: int
    revision: int
    base: int  # the revision that wrote the generation
    settled: int


class State(msgspec.Struct, frozen=True, array_like=True):
    """What is served of a space, and what a rollback goes back to; `dead` revisions count nowhere."""

    live: Side
    previous: Side | None
    dead: tuple[int, ...]
    nonce: str

    @property
    def settled(self) -> int:
        """The sequence up to which pushed rows are held by both sides."""
        return self.live.settled if self.previous is None else min(self.live.settled, self.previous.settled)

    @property
    def generations(self) -> set[str]:
        """Those that are needed."""
        return {side.generation for side in (self.live, self.previous) if side is not None}

    @property
    def before(self) -> int:
        """The revision before the live one that its generation must keep: its own where there is none."""
        same = self.previous is not None and self.previous.generation == self.live.generation
        return self.previous.revision if same and self.previous is not None else self.live.revision


@dataclass(frozen=True, slots=True)
class Turn:
    """What a writer that began has: its revision, and the state it began at."""

    number: int
    raw: bytes
    state: State | None
    sequence: int
    purged: int
    aborted: tuple[int, ...]

    def settled(self, given: int | None) -> int:
        """Return the sequence up to which its snapshot holds pushed rows."""
        before = self.state.live.settled if self.state is not None else self.purged
        return before if given is None else max(before, min(given, self.sequence))

    def dead(self, kept: Side) -> tuple[int, ...]:
        """Return revisions that count nowhere, as far as a side that is kept could hold records of theirs."""
        known = (*(self.state.dead if self.state is not None else ()), *self.aborted)
        return tuple(sorted({number for number in known if number > kept.base}))


state_of = msgspec.msgpack.Decoder(State).decode
encoded = msgspec.msgpack.Encoder().encode


class Names:
    """The keys of one space. What stands in braces decides on which node of a cluster a key is.

    Args:
        lake: the id of the lake.
        space: the space.
    """

    def __init__(self, lake: str, space: str) -> None:
        self._space = f"{lake}/{space}"
        tag = f"dataplat:{{{self._space}}}"
        self.head = f"{tag}:head"
        self.rows = f"{tag}:rows"
        self.log = f"{tag}:log"
        self.known = f"{tag}:known"
        self.done = f"{tag}:done"
        self.generations = f"{tag}:generations"
        self.overlay = (self.head, self.rows, self.log, self.known)

    def bucket(self, generation: str, buckets: int, number: int) -> str:
        """Return the key of one of a generation's buckets; an only one is where the head is."""
        tag = self._space if buckets == 1 else f"{self._space}/{number}"
        return f"dataplat:{{{tag}}}:{generation}"


def spaces_key(lake: str) -> str:
    """Return the key of the set of a lake's spaces."""
    return f"dataplat:{{{lake}}}:spaces"


def bucket_of(key: bytes, buckets: int) -> int:
    """Return the bucket of a record."""
    return crc32(key) % buckets if buckets > 1 else 0


# ---------------------------------------------------------------------------------------------------------------- records


def bucket_head(before: int, base: int, revision: int) -> bytes:
    """Return what a bucket says of itself: who wrote it last, and what two revisions before can still be read."""
    return _HEAD.pack(before, base, revision)


def readable(head: bytes | None, revision: int) -> bool:
    """Return whether a bucket's records can be read as of a revision."""
    if head is None:
        return False
    before, base, newest = _HEAD.unpack(head)
    return bool(revision >= newest or revision in {before, base})


def version(revision: int, record: bytes | None) -> bytes:
    """Return one version of a record."""
    return _VERSION.pack(revision, ABSENT) if record is None else _VERSION.pack(revision, len(record)) + record


def record_at(value: bytes | None, revision: int, dead: Sequence[int]) -> bytes | None:
    """Return a record as of a revision."""
    if value is None:
        return None
    wrote, length = _VERSION.unpack_from(value)
    if len(value) == 12 + length and wrote <= revision and wrote not in dead:
        return value[12:]
    found, at = None, 0
    while at < len(value):
        wrote, length = _VERSION.unpack_from(value, at)
        size = 0 if length == ABSENT else length
        if wrote <= revision and wrote not in dead:
            found = None if length == ABSENT else value[at + 12 : at + 12 + size]
        at += 12 + size
    return found


# ---------------------------------------------------------------------------------------------------------------- rows


def pushed_arguments(row: Pushed) -> tuple[bytes, bytes, bytes, bytes]:
    """Return a row as the script takes it."""
    return row.key, row.idempotency, _TIMES.pack(row.e + _SIGN, row.k + _SIGN), row.row


def rows_head(value: bytes | None) -> tuple[int, int]:
    """Return up to which sequence rows were purged, and the newest that was pushed."""
    return _TIMES.unpack(value) if value is not None else (0, 0)


def rows_at(value: bytes | None, settled: int, newest: int) -> tuple[bytes, ...]:
    """Return the rows of a key whose sequences lie in (settled, newest], by (e, k, sequence)."""
    if value is None:
        return ()
    found, at = [], 0
    while at < len(value):
        length, e, k, sequence = _ROW.unpack_from(value, at)
        if settled < sequence <= newest:
            found.append((e, k, sequence, value[at + 28 : at + 28 + length]))
        at += 28 + length
    found.sort(key=lambda row: row[:3])
    return tuple(row[3] for row in found)


def logged_row(value: bytes) -> Pushed:
    """Return a row from the log."""
    keyed, knowing = _LOGGED.unpack_from(value)
    key, at = value[8 : 8 + keyed], 8 + keyed + knowing
    e, k = _TIMES.unpack_from(value, at)
    return Pushed(key, value[8 + keyed : at], e - _SIGN, k - _SIGN, value[at + 16 :])


# ---------------------------------------------------------------------------------------------------------------- reads


def reading(state: State, keys: Sequence[bytes], found: tuple[Any, Any, list[Part]]) -> Reading | None:
    """Return what was read as of a state; None where something moved that it needs."""
    (_, newest), (rows, *pushed), parts = found
    live, sequence = state.live, int(newest or 0)
    purged, known = rows_head(rows)
    if purged > live.settled or known < sequence:
        return None
    records: list[bytes | None] = [None] * len(keys)
    for places, (head, *values) in parts:
        if not readable(head, live.revision):
            return None
        for place, value in zip(places, values, strict=True):
            records[place] = record_at(value, live.revision, state.dead)
    return Reading(live.snapshot, sequence, records, [rows_at(value, live.settled, sequence) for value in pushed])
