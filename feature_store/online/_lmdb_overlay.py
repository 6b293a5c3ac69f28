"""Pushed rows in LMDB: by the key of their record, so that a read finds them, and by sequence, so that a flush does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from dataplat.feature_store.online._lmdb_environment import Opened
from dataplat.feature_store.online._lmdb_state import (
    State,
    fitted,
    known_key,
    of_space,
    read_row,
    row_bytes,
    row_key,
    sealed,
    unsealed,
)
from dataplat.feature_store.online.store import RETRIES, Pushed

if TYPE_CHECKING:
    import lmdb

SOME: Final = 2_000
"""Rows of one transaction where many go."""


def add(
    transaction: lmdb.Transaction[bytes], opened: Opened, number: int, rows: Sequence[Pushed], sequence: int
) -> int:
    """Add rows that are not known yet; return the sequence of the last."""
    for row in rows:
        known = known_key(number, row.idempotency)
        if not transaction.put(known, (sequence + 1).to_bytes(8, "big"), overwrite=False, db=opened.known):
            continue
        sequence += 1
        transaction.put(row_key(number, row, sequence), sealed(row.row), db=opened.rows)
        transaction.put(of_space(number, sequence), row_bytes(row), append=False, db=opened.log)
    return sequence


def rows_of(
    transaction: lmdb.Transaction[bytes], opened: Opened, prefixes: Sequence[bytes], settled: int
) -> list[tuple[bytes, ...]]:
    """Return of each record's prefix the rows whose sequence is beyond `settled`, in order."""
    found = []
    with transaction.cursor(opened.rows) as cursor:
        for prefix in prefixes:
            rows: tuple[bytes, ...] = ()
            there = cursor.set_range(prefix)
            while there:
                key = cursor.key()
                if not key.startswith(prefix):
                    break
                if int.from_bytes(key[-8:], "big") > settled:
                    rows += (unsealed(cursor.value()),)
                there = cursor.next()
            found.append(rows)
    return found


def logged(transaction: lmdb.Transaction[bytes], opened: Opened, number: int, after: int) -> list[tuple[int, bytes]]:
    """Return some rows after a sequence, as they stand in the log."""
    prefix = of_space(number)[:4]
    found: list[tuple[int, bytes]] = []
    with transaction.cursor(opened.log) as cursor:
        there = cursor.set_range(of_space(number, after + 1))
        while there and len(found) < SOME and cursor.key().startswith(prefix):
            found.append((int.from_bytes(cursor.key()[4:], "big"), cursor.value()))
            there = cursor.next()
    return found


def of_idempotency(
    transaction: lmdb.Transaction[bytes], opened: Opened, number: int, idempotency: Sequence[bytes]
) -> list[bytes | None]:
    """Return the rows of idempotency keys, as they stand in the log; None of one that is not known, or was purged."""
    found: list[bytes | None] = []
    for each in idempotency:
        sequence = transaction.get(known_key(number, each), db=opened.known)
        found.append(None if sequence is None else transaction.get(number.to_bytes(4, "big") + sequence, db=opened.log))
    return found


def count(transaction: lmdb.Transaction[bytes], opened: Opened, state: State) -> int:
    """Return how many rows are not settled."""
    prefix = of_space(state.number)[:4]
    rows = 0
    with transaction.cursor(opened.log) as cursor:
        there = cursor.set_range(of_space(state.number, state.settled + 1))
        while there and cursor.key().startswith(prefix):
            rows += 1
            there = cursor.next()
    return rows


def purge(transaction: lmdb.Transaction[bytes], opened: Opened, number: int, settled: int, newest: int) -> bool:
    """Take some rows up to `settled` away, and idempotency keys that are too old; return whether there may be more."""
    gone = [each for each in logged(transaction, opened, number, 0) if each[0] <= settled]
    for sequence, value in gone:
        row = read_row(value)
        transaction.delete(row_key(number, row, sequence), db=opened.rows)
        transaction.delete(of_space(number, sequence), db=opened.log)
        transaction.put(of_space(number, sequence), fitted(row.idempotency), db=opened.settled)
    old = _old(transaction, opened, number, newest - RETRIES)
    for sequence, idempotency in old:
        transaction.delete(number.to_bytes(4, "big") + idempotency, db=opened.known)
        transaction.delete(of_space(number, sequence), db=opened.settled)
    return len(gone) == SOME or len(old) == SOME


def _old(transaction: lmdb.Transaction[bytes], opened: Opened, number: int, until: int) -> list[tuple[int, bytes]]:
    if until <= 0:
        return []
    prefix = of_space(number)[:4]
    found: list[tuple[int, bytes]] = []
    with transaction.cursor(opened.settled) as cursor:
        there = cursor.set_range(prefix)
        while there and len(found) < SOME and cursor.key().startswith(prefix):
            sequence = int.from_bytes(cursor.key()[4:], "big")
            if sequence > until:
                break
            found.append((sequence, cursor.value()))
            there = cursor.next()
    return found


def forget(transaction: lmdb.Transaction[bytes], opened: Opened, number: int) -> None:
    """Take all of a space's rows away."""
    prefix = of_space(number)[:4]
    for table in (opened.rows, opened.log, opened.known, opened.settled):
        with transaction.cursor(table) as cursor:
            there = cursor.set_range(prefix)
            while there and cursor.key().startswith(prefix):
                there = cursor.delete()
