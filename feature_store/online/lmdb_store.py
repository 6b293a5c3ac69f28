"""The embedded online store: an LMDB environment that all worker processes of a machine share.

LMDB (http://www.lmdb.tech/doc/) gives each reader a snapshot of its own and writers a turn each; nobody waits for the other.

- A whole snapshot is written beside the live one, in transactions of some megabytes between which pushes get their turn, and
  goes live by one that moves a pointer. A difference is one transaction, with what it replaced put aside; one too large for
  memory is a whole snapshot, copied and changed. So whoever is killed leaves the old snapshot or the new one.
- Pushed rows stay in the overlay as long as either the live snapshot or the one before lacks them: a settled sequence hides
  them, and a rollback moves it back.
- Every value has a checksum. A page that is not what was written can still be a crash of the process: LMDB trusts its tree.

The folder belongs on a disk of this machine, not on a network's, and its processes into one space of process ids (containers
that share it do not see each other die). It needs no server and no care: pages of dead readers are freed when a snapshot
comes.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import msgspec

from dataplat.errors import KeyViolation, NotMaterialized
from dataplat.feature_store.online import _lmdb_overlay as overlay
from dataplat.feature_store.online import _lmdb_records as records
from dataplat.feature_store.online import weights
from dataplat.feature_store.online._group import GroupCommit
from dataplat.feature_store.online._lmdb_environment import Environment, Opened, environment
from dataplat.feature_store.online._lmdb_state import (
    LONGEST,
    Previous,
    Side,
    State,
    fitted,
    read_row,
    read_state,
    row_prefix,
    state_bytes,
    unsealed,
)
from dataplat.feature_store.online.store import Pushed, Reading, Size, Snapshot, checked_rows, overtaken

if TYPE_CHECKING:
    import lmdb

    from dataplat.errors import SnapshotConflict

Item: TypeAlias = tuple[bytes, bytes | None]

BATCH: Final = 16 * 2**20
"""Bytes of a batch in memory that is one transaction of a load, less than half of it records: a push waits for one."""
TOGETHER: Final = 64
"""Items of which the bytes are counted together."""
IN_MEMORY: Final = 64 * 2**20
"""Bytes of a difference that are one transaction."""


class LmdbStore:
    """An online store in a folder (see the module's docstring, and `OnlineStore` for the methods).

    Args:
        folder: where; made when it is first written to. Two lakes must not share one.
    """

    together: Final = True

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._environment = environment(self.folder)
        self._seen: dict[str, tuple[bytes, State, Side, int]] = {}  # what bytes of `meta` say, by space
        self._pushes = GroupCommit(partial(_push, self._environment))

    weight = staticmethod(weights.in_lmdb)
    kept_as = weights.LMDB

    def __repr__(self) -> str:
        return f"LmdbStore({str(self.folder)!r})"

    @property
    def place(self) -> str:
        """The folder, and whose: a path means another one on another machine."""
        return f"{platform.node()}:{self._environment.folder}"

    def __reduce__(self) -> tuple[type[LmdbStore], tuple[Path]]:
        return LmdbStore, (self.folder,)

    # ------------------------------------------------------------------------------------------------ reads

    def snapshot(self, space: str) -> Snapshot | None:
        """Return the live snapshot, None where there is none."""
        with self._environment.reading() as (transaction, opened):
            state, _ = _state(transaction, opened, space)
        return state.live.snapshot if state is not None and state.live is not None else None

    def previous(self, space: str) -> Snapshot | None:
        """Return the snapshot that a rollback would make live, None where there is none."""
        with self._environment.reading() as (transaction, opened):
            state, _ = _state(transaction, opened, space)
        return state.previous.side.snapshot if state is not None and state.previous is not None else None

    def read(self, space: str, keys: Sequence[bytes]) -> Reading:
        """Return the records and pushed rows of keys, all as of one moment."""
        found = self._environment
        with found.guard:  # one call less each time: this is what a request waits for
            try:
                opened = cast("Opened", found.opened)
                transaction = opened.env.begin()
            except Exception:  # noqa: BLE001 - not open, or told apart there
                transaction, opened = found.begin()
            try:
                get = transaction.get
                raw = get(space.encode(), None, opened.meta)
                seen = self._seen.get(space)
                if seen is None or raw != seen[0]:
                    seen = self._looked(space, raw)
                _, state, live, sequence = seen
                table = opened.slots[live.slot]
                values = [get(key if len(key) < LONGEST else fitted(key), None, table) for key in keys]
                pushed: list[tuple[bytes, ...]] = [()] * len(keys)
                if sequence > live.settled:
                    prefixes = [row_prefix(state.number, fitted(key)) for key in keys]
                    pushed = overlay.rows_of(transaction, opened, prefixes, live.settled)
            except found.errors as error:
                raise found.problem(error) from error
            finally:
                transaction.abort()
        records = [None if value is None else unsealed(value) for value in values]
        return Reading(live.snapshot, sequence, records, pushed)

    def _looked(self, space: str, raw: bytes | None) -> tuple[bytes, State, Side, int]:
        """Return what is read of a space whose state has moved, and remember it."""
        state, sequence = read_state(raw) if raw is not None else (None, 0)
        if raw is None or state is None or state.live is None:
            raise NotMaterialized(f"{space} has no snapshot in {self.folder}; materialise it first")
        self._seen[space] = seen = raw, state, state.live, sequence
        return seen

    def pending(self, space: str, after: int = 0) -> Iterator[tuple[int, Pushed]]:
        """Yield (sequence, row) of pushed rows that are not settled, after a sequence, in order."""
        while True:
            with self._environment.reading() as (transaction, opened):
                state, sequence = _state(transaction, opened, space)
                if state is None:
                    return
                after = max(after, state.settled)
                some = [] if sequence <= after else overlay.logged(transaction, opened, state.number, after)
            yield from ((number, read_row(value)) for number, value in some)
            if not some:
                return
            after = some[-1][0]

    def spaces(self) -> list[str]:
        """Return the names of all spaces, sorted."""
        with self._environment.reading() as (transaction, opened):
            return sorted(space for space, state in _all(transaction, opened) if not state.dropped)

    def size(self, space: str) -> Size:
        """Return how much a space takes."""
        with self._environment.reading() as (transaction, opened):
            state, _ = _state(transaction, opened, space)
            if state is None or state.live is None:
                return Size(0, 0, 0, 0 if state is None else overlay.count(transaction, opened, state))
            taken = {slot: _taken(transaction, opened.slots[slot]) for slot in state.slots}
            live = taken.pop(state.live.slot)
            pushed = overlay.count(transaction, opened, state)
            return Size(state.live.snapshot.keys, live, sum(taken.values()), pushed)

    # ------------------------------------------------------------------------------------------------ snapshots

    def load(
        self, space: str, snapshot: Snapshot, items: Iterable[tuple[bytes, bytes]], *, settled: int | None = None
    ) -> None:
        """Make a snapshot of (key, record) live, in the place of its parent; fastest where keys ascend."""
        if not self._due(space, snapshot)[0]:
            return
        slot = self._slot()
        try:
            self._fill(slot, items)
            self._flip(space, snapshot, slot, settled, None)
        finally:
            self._environment.release(slot)
        self._purge(space)

    def change(self, space: str, snapshot: Snapshot, items: Iterable[Item], *, settled: int | None = None) -> None:
        """Make a snapshot live that differs from its parent in some keys; a record of None takes the key away."""
        due, state = self._due(space, snapshot)
        if not due:
            return
        if state is None or state.live is None:
            raise self._conflict(space, snapshot, state)
        batches = _batches(items, IN_MEMORY)
        first, more = next(batches, []), next(batches, None)
        if more is None:
            self._change(space, snapshot, first, settled)
        else:
            self._rebuild(space, snapshot, state, chain([first, more], batches), settled)
        self._purge(space)

    def rollback(self, space: str) -> Snapshot:
        """Make the snapshot before live again, and return it."""

        def work(transaction: lmdb.Transaction[bytes], opened: Opened) -> Snapshot:
            state, sequence = _state(transaction, opened, space)
            if state is None or state.live is None or state.previous is None:
                raise NotMaterialized(
                    f"{space} has no snapshot before the live one in {self.folder}: it went back already?"
                )
            side, undo = state.previous.side, state.previous.undo
            if undo is None:
                transaction.drop(opened.slots[state.live.slot], delete=False)
            else:
                records.undo(transaction, opened.slots[side.slot], opened.slots[undo])
                transaction.drop(opened.slots[undo], delete=False)
            back = State(state.number, state.revision + 1, side)
            transaction.put(space.encode(), state_bytes(back, sequence), db=opened.meta)
            return side.snapshot

        return self._environment.write(work)

    def drop(self, space: str) -> None:
        """Forget a space, its pushed rows too. Its sequence goes on from where it was, if it comes back."""

        def work(transaction: lmdb.Transaction[bytes], opened: Opened) -> None:
            state, sequence = _state(transaction, opened, space)
            if state is None:
                return
            for slot in state.slots:
                transaction.drop(opened.slots[slot], delete=False)
            overlay.forget(transaction, opened, state.number)
            left = State(state.number, state.revision + 1, dropped=True)
            transaction.put(space.encode(), state_bytes(left, sequence), db=opened.meta)

        self._environment.write(work)

    # ------------------------------------------------------------------------------------------------ pushed rows

    def push(self, space: str, rows: Sequence[Pushed]) -> int:
        """Add rows to the overlay, all or none; return the sequence of the newest row of the space."""
        return self.push_all([(space, rows)])[0]

    def push_all(self, jobs: Sequence[tuple[str, Sequence[Pushed]]]) -> list[int]:
        """Add rows to several spaces, all or none; return the sequence of each."""
        return self._pushes.do([(space, checked_rows(space, rows)) for space, rows in jobs])

    def kept(self, space: str, idempotency: Sequence[bytes]) -> list[Pushed | None]:
        """Return of each idempotency key the row that was pushed under it first, if it is not purged."""
        with self._environment.reading() as (transaction, opened):
            state, _ = _state(transaction, opened, space)
            if state is None:
                return [None] * len(idempotency)
            found = overlay.of_idempotency(transaction, opened, state.number, idempotency)
        return [None if value is None else read_row(value) for value in found]

    def settle(self, space: str, sequence: int) -> None:
        """Say that the live snapshot holds pushed rows up to a sequence."""

        def work(transaction: lmdb.Transaction[bytes], opened: Opened) -> None:
            state, newest = _state(transaction, opened, space)
            if state is None or state.live is None:
                raise NotMaterialized(f"{space} has no snapshot in {self.folder} that could hold pushed rows")
            live = msgspec.structs.replace(state.live, settled=max(state.live.settled, min(sequence, newest)))
            moved = msgspec.structs.replace(state, live=live)
            transaction.put(space.encode(), state_bytes(moved, newest), db=opened.meta)

        self._environment.write(work)
        self._purge(space)

    # ------------------------------------------------------------------------------------------------ how it is done

    def _slot(self) -> int:
        """Claim a slot to build in."""

        def work(transaction: lmdb.Transaction[bytes], opened: Opened) -> int:
            return self._environment.claim(transaction, opened, _used(transaction, opened))

        opened = self._environment.opened
        if opened is not None:
            opened.env.reader_check()  # pages that a reader keeps who died are free to be written
        return self._environment.write(work)

    def _fill(self, slot: int, items: Iterable[Item]) -> None:
        """Write records to a slot that nobody reads, some megabytes a transaction."""
        for batch in _batches(items, BATCH):
            self._environment.write(partial(records.put, slot=slot, batch=batch))

    def _flip(self, space: str, snapshot: Snapshot, slot: int, settled: int | None, based: State | None) -> None:
        """Make the records of a slot live; where it is `based` on a state, that must hold still."""

        def work(transaction: lmdb.Transaction[bytes], opened: Opened) -> None:
            state, sequence = _made(transaction, opened, space)
            if _live_id(state) != snapshot.parent or (based is not None and state.revision != based.revision):
                raise self._conflict(space, snapshot, state)
            if state.previous is not None:
                gone = state.previous.undo if state.previous.undo is not None else state.previous.side.slot
                transaction.drop(opened.slots[gone], delete=False)
            side = _side(transaction, opened, snapshot, slot, _settled(state, sequence, settled))
            before = Previous(state.live, None) if state.live is not None else None
            new = State(state.number, state.revision + 1, side, before)
            transaction.put(space.encode(), state_bytes(new, sequence), db=opened.meta)

        self._environment.write(work)

    def _due(self, space: str, snapshot: Snapshot) -> tuple[bool, State | None]:
        """Return whether a snapshot is not live yet, and the state in which its parent is.

        Raises:
            SnapshotConflict: the parent is not what is live.
        """
        with self._environment.reading() as (transaction, opened):
            state, _ = _state(transaction, opened, space)
        live = _live_id(state)
        if live == snapshot.id:
            return False, state
        if live != snapshot.parent:
            raise self._conflict(space, snapshot, state)
        return True, state

    def _conflict(self, space: str, snapshot: Snapshot, state: State | None) -> SnapshotConflict:
        return overtaken(space, snapshot, _live_id(state))

    def _change(self, space: str, snapshot: Snapshot, items: list[Item], settled: int | None) -> None:
        """Change the live records in one transaction, and put aside what undoes it."""
        claimed: list[int] = []

        def work(transaction: lmdb.Transaction[bytes], opened: Opened) -> None:
            state, sequence = _made(transaction, opened, space)
            if state.live is None or _live_id(state) != snapshot.parent:
                raise self._conflict(space, snapshot, state)
            if state.previous is not None:
                gone = state.previous.undo if state.previous.undo is not None else state.previous.side.slot
                transaction.drop(opened.slots[gone], delete=False)
            if not claimed:
                claimed.append(self._environment.claim(transaction, opened, _used(transaction, opened)))
            undo, slot = claimed[0], state.live.slot
            records.replace(transaction, opened.slots[slot], opened.slots[undo], items)
            side = _side(transaction, opened, snapshot, slot, _settled(state, sequence, settled))
            new = State(state.number, state.revision + 1, side, Previous(state.live, undo))
            transaction.put(space.encode(), state_bytes(new, sequence), db=opened.meta)

        try:
            self._environment.write(work)
        finally:
            for slot in claimed:
                self._environment.release(slot)

    def _rebuild(
        self, space: str, snapshot: Snapshot, state: State, batches: Iterable[list[Item]], settled: int | None
    ) -> None:
        """Change a copy of the live records, some megabytes a transaction, and make it live."""
        assert state.live is not None
        slot = self._slot()
        try:
            after: bytes | None = None
            while some := self._copied(state.live.slot, after):
                self._environment.write(partial(records.put_raw, slot=slot, values=some))
                after = some[-1][0]
            for batch in batches:
                self._fill(slot, batch)
            self._flip(space, snapshot, slot, settled, state)
        finally:
            self._environment.release(slot)

    def _copied(self, slot: int, after: bytes | None) -> list[tuple[bytes, bytes]]:
        """Return some megabytes of what stands in a slot behind a key."""
        with self._environment.reading() as (transaction, opened), transaction.cursor(opened.slots[slot]) as cursor:
            found, held = [], 0
            there = cursor.first() if after is None else cursor.set_range(after + b"\0")
            if there:
                for key, value in cursor:
                    found.append((key, value))
                    held += len(key) + len(value)
                    if held >= BATCH:
                        break
            return found

    def _purge(self, space: str) -> None:
        """Take pushed rows away that neither the live snapshot nor the one before lacks."""
        while self._environment.write(lambda transaction, opened: self._purged(transaction, opened, space)):
            pass

    def _purged(self, transaction: lmdb.Transaction[bytes], opened: Opened, space: str) -> bool:
        state, sequence = _state(transaction, opened, space)
        if state is None or state.live is None:
            return False
        sides = [state.live] if state.previous is None else [state.live, state.previous.side]
        return overlay.purge(transaction, opened, state.number, min(side.settled for side in sides), sequence)

    def close(self) -> None:
        """Close the files for the whole process; they open again when they are used."""
        self._environment.close()


def _state(transaction: lmdb.Transaction[bytes], opened: Opened, space: str) -> tuple[State | None, int]:
    raw = transaction.get(space.encode(), None, opened.meta)
    return read_state(raw) if raw is not None else (None, 0)


def _live_id(state: State | None) -> str | None:
    return None if state is None or state.live is None else state.live.snapshot.id


def _made(transaction: lmdb.Transaction[bytes], opened: Opened, space: str) -> tuple[State, int]:
    """Return the state of a space, a new one where there is none."""
    state, sequence = _state(transaction, opened, space)
    if state is None:
        state = State(1 + max((known.number for _, known in _all(transaction, opened)), default=0))
    return (msgspec.structs.replace(state, dropped=False) if state.dropped else state), sequence


def _push(environment: Environment, several: list[list[tuple[str, list[Pushed]]]]) -> list[list[int]]:
    """Add rows to spaces, in one transaction."""

    def work(transaction: lmdb.Transaction[bytes], opened: Opened) -> list[list[int]]:
        return [[_added(transaction, opened, space, rows) for space, rows in jobs] for jobs in several]

    return environment.write(work)


def _added(transaction: lmdb.Transaction[bytes], opened: Opened, space: str, rows: list[Pushed]) -> int:
    state, sequence = _made(transaction, opened, space)
    sequence = overlay.add(transaction, opened, state.number, rows, sequence)
    transaction.put(space.encode(), state_bytes(state, sequence), db=opened.meta)
    return sequence


def _batches(items: Iterable[Item], most: int) -> Iterator[list[Item]]:
    """Yield items, some bytes of them at a time."""
    batch: list[Item] = []
    held, rest = 0, iter(items)
    while some := list(islice(rest, TOGETHER)):
        keys, values = zip(*some, strict=True)
        if not all(keys):
            raise KeyViolation("a record has an empty key")
        batch += some
        held += 200 * len(some) + sum(map(len, keys)) + sum(map(len, filter(None, values)))
        if held >= most:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _side(transaction: lmdb.Transaction[bytes], opened: Opened, snapshot: Snapshot, slot: int, settled: int) -> Side:
    counted = msgspec.structs.replace(
        snapshot,
        keys=transaction.stat(opened.slots[slot])["entries"],
        nbytes=_taken(transaction, opened.slots[slot]),
    )
    return Side(counted, slot, settled)


def _settled(state: State, sequence: int, settled: int | None) -> int:
    return state.settled if settled is None else max(state.settled, min(settled, sequence))


def _taken(transaction: lmdb.Transaction[bytes], table: lmdb._Database) -> int:
    stat = transaction.stat(table)
    return stat["psize"] * (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])


def _all(transaction: lmdb.Transaction[bytes], opened: Opened) -> Iterator[tuple[str, State]]:
    with transaction.cursor(opened.meta) as cursor:
        for key, raw in cursor:
            if not key.startswith(b"\0"):
                yield key.decode(), read_state(raw)[0]


def _used(transaction: lmdb.Transaction[bytes], opened: Opened) -> set[int]:
    return set().union(*(state.slots for _, state in _all(transaction, opened)))
