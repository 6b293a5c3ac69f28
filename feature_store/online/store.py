"""What an online store does: one consistent read of a snapshot and of the rows pushed since, and how it moves on.

A store holds spaces, one for each served version of a service (`delay_model@3`). Of each it keeps the snapshot that is live,
what it takes to go back to the one before, and an overlay of pushed rows. Records and rows are bytes: what they mean is
decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from dataplat.errors import KeyViolation, SnapshotConflict

RETRIES = 250_000
"""How many of a space's settled pushes are still known by their idempotency key: a retry after as many more counts anew."""


class Snapshot(msgspec.Struct, frozen=True):
    """What a space was materialised from. A store counts `keys` and `nbytes` itself, whatever it is given.

    Attributes:
        id: names it; no two snapshots of a space have the same.
        at: as of when, microseconds UTC.
        pins: the version of each dataset that it was made from.
        closure: the hash of the definitions that it was made with.
        parent: the snapshot whose place it takes, by difference or as a whole; None: it is the first.
        made: when, microseconds UTC.
        keys: how many records it has.
        nbytes: of their keys and values.
        types: of the columns that records hold, by base and column, as `dataplat.feature_store.online.plan` has them.
    """

    id: str
    at: int
    pins: dict[str, str]
    closure: str
    parent: str | None = None
    made: int = 0
    keys: int = 0
    nbytes: int = 0
    types: dict[str, dict[str, Any]] = {}


class Reading(NamedTuple):
    """What one consistent read saw.

    Attributes:
        snapshot: the one that was live.
        sequence: of the newest row that had been pushed.
        records: of each key that was asked for, in order; None where there is none.
        pushed: of each key the rows that the snapshot does not hold yet, by (event time, known time, sequence).
    """

    snapshot: Snapshot
    sequence: int
    records: list[bytes | None]
    pushed: list[tuple[bytes, ...]]


class Pushed(msgspec.Struct, frozen=True, array_like=True):
    """A row that is pushed.

    Attributes:
        key: of the record that it belongs to.
        idempotency: counts once, however often it is sent.
        e: its event time, microseconds UTC.
        k: its known time.
        row: the row itself.
    """

    key: bytes
    idempotency: bytes
    e: int
    k: int
    row: bytes


class Size(NamedTuple):
    """How much a space takes.

    Attributes:
        keys: records of the live snapshot.
        nbytes: what they take in the store, its own overhead included where it tells.
        previous: what is kept to go back to the snapshot before.
        pushed: rows of the overlay.
    """

    keys: int
    nbytes: int
    previous: int
    pushed: int


class OnlineStore(Protocol):
    """Where features are served from. Safe to use from threads; processes open their own, on the same place.

    What changes a space happens whole or not at all, whoever dies meanwhile; a read that runs beside it sees the old state or
    the new one. Errors of all: `StoreError` where the store itself fails, `StoreTimeout` where nobody can say whether a
    change took effect; `IntegrityError` where it holds other bytes than were written.
    """

    @property
    def together(self) -> bool:
        """Whether `push_all` is one step: rows of several spaces are added all or none."""
        ...

    @property
    def place(self) -> str:
        """Where it is: stores of one place hold the same."""
        ...

    def snapshot(self, space: str) -> Snapshot | None:
        """Return the live snapshot, None where there is none."""
        ...

    def previous(self, space: str) -> Snapshot | None:
        """Return the snapshot that a rollback would make live, None where there is none."""
        ...

    def read(self, space: str, keys: Sequence[bytes]) -> Reading:
        """Return the records and pushed rows of keys, all as of one moment.

        Raises:
            NotMaterialized: the space has no snapshot.
        """
        ...

    def load(
        self, space: str, snapshot: Snapshot, items: Iterable[tuple[bytes, bytes]], *, settled: int | None = None
    ) -> None:
        """Make a snapshot of (key, record) live, in the place of its parent; fastest where keys ascend.

        Where a key comes twice the later record counts. One that is live already stays as it is: a load may be sent again.

        Args:
            space: the space.
            snapshot: what it is.
            items: all of its records.
            settled: the sequence up to which it holds pushed rows: they leave the overlay at the same moment, and come
                back with a rollback. By default none more than before.

        Raises:
            SnapshotConflict: the parent is not what is live, or there is a snapshot and it names no parent: what was looked
                at before the live one was made may not take its place.
        """
        ...

    def change(
        self, space: str, snapshot: Snapshot, items: Iterable[tuple[bytes, bytes | None]], *, settled: int | None = None
    ) -> None:
        """Make a snapshot live that differs from its parent in some keys; a record of None takes the key away.

        One that is live already stays as it is: a change may be sent again.

        Raises:
            SnapshotConflict: the parent is not what is live.
        """
        ...

    def rollback(self, space: str) -> Snapshot:
        """Make the snapshot before live again, and return it. One step: what it was before that is not kept.

        Raises:
            NotMaterialized: there is none before.
        """
        ...

    def push(self, space: str, rows: Sequence[Pushed]) -> int:
        """Add rows to the overlay, all or none; return the sequence of the newest row of the space.

        They are durable before any read sees them, and seen by every read after. A row whose idempotency key was pushed
        before is left out, the first counts. A space need not have a snapshot yet.
        """
        ...

    def push_all(self, jobs: Sequence[tuple[str, Sequence[Pushed]]]) -> list[int]:
        """Add rows to several spaces, as `push` does to one; return the sequence of each.

        All or none, where the store can (`together`); else one space after another, as they stand: whoever dies in between
        leaves those that come first.
        """
        ...

    def kept(self, space: str, idempotency: Sequence[bytes]) -> list[Pushed | None]:
        """Return of each idempotency key the row that was pushed under it first.

        None where there is none, or it is settled and was let go; what a rollback would bring back is there still.
        """
        ...

    def settle(self, space: str, sequence: int) -> None:
        """Say that the live snapshot holds pushed rows up to a sequence; beside `settled` of a change, which is safer."""
        ...

    def pending(self, space: str, after: int = 0) -> Iterator[tuple[int, Pushed]]:
        """Yield (sequence, row) of pushed rows that are not settled, after a sequence, in order."""
        ...

    def spaces(self) -> list[str]:
        """Return the names of all spaces, sorted."""
        ...

    def drop(self, space: str) -> None:
        """Forget a space, its pushed rows too. Its sequence goes on from where it was, if it comes back."""
        ...

    def size(self, space: str) -> Size:
        """Return how much a space takes; nothing where there is none."""
        ...

    def close(self) -> None:
        """Let go of files and connections; a closed store opens again when it is used."""
        ...


def overtaken(space: str, snapshot: Snapshot, live: str | None) -> SnapshotConflict:
    """Return the error of a snapshot whose parent is not what is live."""
    made = "is the first" if snapshot.parent is None else f"takes the place of {snapshot.parent}"
    return SnapshotConflict(
        f"{space}: snapshot {snapshot.id} {made}, and {live or 'none'} is live meanwhile; materialise again"
    )


def checked_rows(space: str, rows: Sequence[Pushed]) -> list[Pushed]:
    """Return rows that can be pushed.

    Raises:
        KeyViolation: a row has an empty key, no idempotency key, or a time that is no int64.
    """
    for number, row in enumerate(rows):
        if not row.key or not row.idempotency:
            what = "key" if not row.key else "idempotency key"
            raise KeyViolation(f"{space}: row {number} of a push has no {what}")
        if not (-(2**63) <= row.e < 2**63 and -(2**63) <= row.k < 2**63):
            raise KeyViolation(f"{space}: row {number} of a push has times beyond int64: e={row.e}, k={row.k}")
    return list(rows)
