"""Records in a table of LMDB: written in order where they come so, replaced with what they replace put aside, and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from dataplat.feature_store.online._lmdb_state import LONGEST, digest, fitted, sealed

if TYPE_CHECKING:
    import lmdb

    from dataplat.feature_store.online._lmdb_environment import Opened

Item: TypeAlias = tuple[bytes, bytes | None]

ABSENT: Final = b"\0"  # in what undoes a change: there was no record; else 1 and the record


def put(transaction: lmdb.Transaction[bytes], opened: Opened, slot: int, batch: list[Item]) -> None:
    """Write records, None takes one away; where all of them come behind what is there they are appended."""
    table = opened.slots[slot]
    if any(record is None for _, record in batch):
        for key, record in batch:
            if record is None:
                transaction.delete(fitted(key), db=table)
            else:
                transaction.put(fitted(key), sealed(record), db=table)
        return
    put_raw(transaction, opened, slot, [(fitted(key), sealed(record)) for key, record in batch if record is not None])


def put_raw(transaction: lmdb.Transaction[bytes], opened: Opened, slot: int, values: list[tuple[bytes, bytes]]) -> None:
    """Write values as they stand; where all of them come behind what is there they are appended."""
    with transaction.cursor(opened.slots[slot]) as cursor:
        _, added = cursor.putmulti(values, append=True)
        if added != len(values):  # not in order, or twice
            cursor.putmulti(values)


def replace(
    transaction: lmdb.Transaction[bytes], table: lmdb._Database, kept: lmdb._Database, items: list[Item]
) -> None:
    """Write records, and what was there before to `kept`; of a key that comes twice the later one."""
    wanted = {key if len(key) < LONGEST else fitted(key): record for key, record in items}
    with transaction.cursor(table) as cursor:
        before = cursor.getmulti(list(wanted))
        cursor.putmulti([(key, digest(record) + record) for key, record in wanted.items() if record is not None])
    for key, record in wanted.items():
        if record is None:
            transaction.delete(key, db=table)
    undo = [(key, b"\1" + value) for key, value in before]
    if len(undo) < len(wanted):
        there = {key for key, _ in before}
        undo += [(key, ABSENT) for key in wanted if key not in there]
    with transaction.cursor(kept) as cursor:
        cursor.putmulti(undo)


def undo(transaction: lmdb.Transaction[bytes], table: lmdb._Database, kept: lmdb._Database) -> None:
    """Put back what was there before."""
    with transaction.cursor(kept) as cursor:
        for key, before in cursor:
            if before == ABSENT:
                transaction.delete(key, db=table)
            else:
                transaction.put(key, before[1:], db=table)
