"""What an LMDB store knows of a space, as bytes: the newest sequence first, for that alone moves with each push."""

from __future__ import annotations

from typing import Final

import msgspec
import xxhash

from dataplat.errors import IntegrityError
from dataplat.feature_store.online.store import Pushed, Snapshot

LONGEST: Final = 480
"""Bytes of a key as it stands in a table: LMDB takes 511, and 30 more may stand around it."""
_SIGN: Final = 2**63  # what makes an int64 an unsigned number of the same order


class Side(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot, where its records lie, and the sequence up to which it holds pushed rows."""

    snapshot: Snapshot
    slot: int
    settled: int


class Previous(msgspec.Struct, frozen=True, array_like=True):
    """The snapshot before: its own records, or those of the live one with what `undo` holds put back."""

    side: Side
    undo: int | None


class State(msgspec.Struct, frozen=True, array_like=True):
    """A space.

    Attributes:
        number: stands before its keys in tables that spaces share.
        revision: counts what went live.
        live: what is served.
        previous: what a rollback goes back to.
        dropped: only its sequence is still known.
    """

    number: int
    revision: int = 0
    live: Side | None = None
    previous: Previous | None = None
    dropped: bool = False

    @property
    def slots(self) -> set[int]:
        """The slots that it refers to."""
        found = set()
        if self.live is not None:
            found.add(self.live.slot)
        if self.previous is not None:
            found.add(self.previous.side.slot)
            if self.previous.undo is not None:
                found.add(self.previous.undo)
        return found

    @property
    def settled(self) -> int:
        """The sequence up to which rows are in the live snapshot."""
        return 0 if self.live is None else self.live.settled


_states = msgspec.msgpack.Decoder(State)
_rows = msgspec.msgpack.Decoder(Pushed)
digest = xxhash.xxh3_64_digest
_encode = msgspec.msgpack.Encoder().encode


def state_bytes(state: State, sequence: int) -> bytes:
    """Return what stands in `meta`."""
    return sequence.to_bytes(8, "big") + _encode(state)


def read_state(raw: bytes) -> tuple[State, int]:
    """Return a state, and the newest sequence."""
    return _states.decode(memoryview(raw)[8:]), int.from_bytes(raw[:8], "big")


def row_bytes(row: Pushed) -> bytes:
    """Return a pushed row as `log` has it."""
    return sealed(_encode(row))


def read_row(value: bytes) -> Pushed:
    """Return a pushed row from `log`."""
    return _rows.decode(unsealed(value))


def sealed(record: bytes) -> bytes:
    """Return a value with its checksum before it: LMDB has none, and a flipped bit would be a wrong feature."""
    return digest(record) + record


def unsealed(value: bytes) -> bytes:
    """Return a value, its checksum verified.

    Raises:
        IntegrityError: it is not what was written.
    """
    record = value[8:]
    if not value.startswith(digest(record)):
        raise IntegrityError(
            f"a record of the online store is not what was written ({len(value)} bytes that begin with {value[:4].hex()}); "
            "materialise the service again, in full"
        )
    return record


def fitted(key: bytes) -> bytes:
    """Return a key that fits in a table. Only one that was too long has `LONGEST` bytes, and it ends in its SHA-256."""
    if len(key) < LONGEST:
        return key
    from hashlib import sha256

    return key[: LONGEST - 32] + sha256(key).digest()


def of_space(number: int, sequence: int = 0) -> bytes:
    """Return the key of a sequence in `log` and `settled`."""
    return number.to_bytes(4, "big") + sequence.to_bytes(8, "big")


def known_key(number: int, idempotency: bytes) -> bytes:
    """Return the key of an idempotency key in `known`."""
    return number.to_bytes(4, "big") + fitted(idempotency)


def row_prefix(number: int, fit: bytes) -> bytes:
    """Return what the keys of a record's rows in `rows` begin with; `fit` is the record's key, fitted."""
    return number.to_bytes(4, "big") + len(fit).to_bytes(2, "big") + fit


def row_key(number: int, row: Pushed, sequence: int) -> bytes:
    """Return the key of a row in `rows`: by event time, known time, sequence."""
    times = (row.e + _SIGN).to_bytes(8, "big") + (row.k + _SIGN).to_bytes(8, "big")
    return row_prefix(number, fitted(row.key)) + times + sequence.to_bytes(8, "big")
