"""The online store in Redis, one server or a cluster, shared by machines.

Records lie in buckets, hashes that a cluster spreads over its nodes; the state, and pushed rows, in keys of one hash slot. A
request is one pipelined flush to each node that has something of it. It reads as of a state it knows, and reads again where
that one is not the live one any more, so it sees one snapshot whatever moves meanwhile (see `_redis_values`).

- A whole snapshot is a generation of its own, unseen until the state names it. A difference adds versions to records, unseen
  likewise. One writer of a space at a time: one that begins takes the turn of another, who is told so by `SnapshotConflict`.
- Pushed rows are added by a script, once each. They are as durable as Redis is told to make them: with an append-only file
  and `appendfsync always` before anybody sees them. Without, a push that was answered can be lost with the server until it is
  flushed to the lake; connecting says so.
- What a request asks for is tried again within its timeout while Redis is away; every step may be done twice.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from dataplat.errors import IntegrityError, KeyViolation, NotMaterialized, SnapshotConflict
from dataplat.feature_store.online import _redis_scripts as scripts
from dataplat.feature_store.online import weights
from dataplat.feature_store.online._redis_link import Link, answers
from dataplat.feature_store.online._redis_values import (
    Names,
    Part,
    Side,
    State,
    Turn,
    bucket_head,
    bucket_of,
    encoded,
    logged_row,
    pushed_arguments,
    reading,
    rows_head,
    spaces_key,
    state_of,
    version,
)
from dataplat.feature_store.online.store import RETRIES, Pushed, Reading, Size, Snapshot, checked_rows, overtaken

if TYPE_CHECKING:
    from dataplat.feature_store.online.connect import RedisSettings

Item: TypeAlias = tuple[bytes, bytes | None]

BATCH: Final = 5_000
"""Records of one flush."""
CHANGES: Final = 250
"""Records of one script: others wait for it."""
PATIENCE: Final = 60.0
"""Seconds for which a load waits for a Redis that is away."""
ROUNDS: Final = 30
"""How often a read begins again where what is live moves, before it is told that records are missing."""


class RedisStore:
    """An online store in Redis (see the module's docstring, and `OnlineStore` for the methods).

    Args:
        settings: how it is reached.
        lake_id: of the lake whose features it holds; keys of lakes do not meet.
    """

    def __init__(self, settings: RedisSettings, lake_id: str) -> None:
        self.settings = settings
        self.lake_id = lake_id
        self._link = Link(settings)
        self._names: dict[str, Names] = {}
        self._states: dict[str, tuple[bytes, State]] = {}  # as last seen, by space

    weight = staticmethod(weights.in_redis)
    kept_as = weights.REDIS

    def __repr__(self) -> str:
        return f"RedisStore({self.settings.place!r}, {self.lake_id!r})"

    @property
    def place(self) -> str:
        """The server, its database, and whose keys."""
        return f"redis:{self.settings.place}/{self.settings.database}/{self.lake_id}"

    def __reduce__(self) -> tuple[type[RedisStore], tuple[RedisSettings, str]]:
        return RedisStore, (self.settings, self.lake_id)

    # ------------------------------------------------------------------------------------------------ reads

    def snapshot(self, space: str) -> Snapshot | None:
        """Return the live snapshot, None where there is none."""
        found, _ = self._head(space)
        return found.live.snapshot if found is not None else None

    def previous(self, space: str) -> Snapshot | None:
        """Return the snapshot that a rollback would make live, None where there is none."""
        found, _ = self._head(space)
        return found.previous.snapshot if found is not None and found.previous is not None else None

    def read(self, space: str, keys: Sequence[bytes]) -> Reading:
        """Return the records and pushed rows of keys, all as of one moment."""
        for attempt in range(ROUNDS):
            raw, state = self._known(space)
            found = self._link.run(f"read {space}", partial(self._flush, space=space, state=state, keys=keys))
            if found[0][0] != raw:
                self._remember(space, found[0][0])
                continue
            seen = reading(state, keys, found)
            if seen is not None:
                return seen
            if attempt:
                time.sleep(0.002 * attempt)
        raise IntegrityError(
            f"{space}: records of snapshot {state.live.snapshot.id} are missing in Redis at {self.settings.place}: it forgot "
            "keys, or came back with less than it had; materialise again, in full"
        )

    def _flush(self, client: Any, space: str, state: State, keys: Sequence[bytes]) -> tuple[Any, Any, list[Part]]:
        """Ask for the head, the rows, and the records in their buckets, in one flush to each node."""
        names, live = self._of(space), state.live
        places: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(bucket_of(key, live.buckets), []).append(place)
        pipe = client.pipeline(transaction=False)
        pipe.hmget(names.head, "state", "sequence")
        pipe.hmget(names.rows, b"", *keys)
        for number, wanted in places.items():
            pipe.hmget(names.bucket(live.generation, live.buckets, number), b"", *(keys[place] for place in wanted))
        head, rows, *parts = answers(pipe)
        return head, rows, list(zip(places.values(), parts, strict=True))

    def pending(self, space: str, after: int = 0) -> Iterator[tuple[int, Pushed]]:
        """Yield (sequence, row) of pushed rows that are not settled, after a sequence, in order."""
        names = self._of(space)
        while True:
            state, newest = self._head(space)
            purged, _ = self._rows_head(space)
            after = max(after, purged, state.live.settled if state is not None else 0)
            some = list(range(after + 1, min(newest, after + CHANGES) + 1))
            if not some:
                return
            found = self._link.run(f"read rows pushed to {space}", methodcaller("hmget", names.log, some))
            for number, value in zip(some, found, strict=True):
                if value is not None:  # else settled meanwhile
                    yield number, logged_row(value)
            after = some[-1]

    def spaces(self) -> list[str]:
        """Return the names of all spaces, sorted."""
        found = self._link.run("list spaces", lambda client: client.smembers(spaces_key(self.lake_id)))
        return sorted(space.decode() for space in found)

    def size(self, space: str) -> Size:
        """Return how much a space takes: of records, without what Redis itself adds to them."""
        state, newest = self._head(space)
        purged, _ = self._rows_head(space)
        if state is None:
            return Size(0, 0, 0, newest - purged)
        live, before = state.live, state.previous
        apart = before is not None and before.generation != live.generation
        kept = before.snapshot.nbytes if before is not None and apart else 0
        return Size(live.snapshot.keys, live.snapshot.nbytes, kept, newest - max(purged, live.settled))

    # ------------------------------------------------------------------------------------------------ snapshots

    def load(
        self, space: str, snapshot: Snapshot, items: Iterable[tuple[bytes, bytes]], *, settled: int | None = None
    ) -> None:
        """Make a snapshot of (key, record) live, in the place of its parent."""
        if not self._due(space, snapshot, self._head(space)[0]):
            return
        turn = self._begin(space)
        if not self._due(space, snapshot, turn.state):
            return
        generation, buckets = secrets.token_hex(6), self._link.buckets
        names = self._of(space)
        heads = [names.bucket(generation, buckets, number) for number in range(buckets)]
        nbytes = 0
        try:
            self._announce(space, generation, buckets, heads, turn)
            for batch in _batches(items, BATCH):
                nbytes += self._write(space, snapshot, turn, heads, batch)
            keys = sum(self._piped(f"count {space}", lambda pipe: [pipe.hlen(head) for head in heads])) - buckets
            counted = msgspec.structs.replace(snapshot, keys=keys, nbytes=nbytes)
            side = Side(counted, generation, buckets, turn.number, turn.number, turn.settled(settled))
            self._flip(space, snapshot, turn, side)
        except BaseException:
            self._forget(space, generation)
            raise
        self._tidy(space)

    def change(self, space: str, snapshot: Snapshot, items: Iterable[Item], *, settled: int | None = None) -> None:
        """Make a snapshot live that differs from its parent in some keys; a record of None takes the key away."""
        state, _ = self._head(space)
        if not self._due(space, snapshot, state):
            return
        if state is None:
            raise self._conflict(space, snapshot, state)
        turn = self._begin(space)
        if turn.state is None or turn.state.live != state.live:
            raise self._conflict(space, snapshot, turn.state)
        keys = nbytes = 0
        for batch in _batches(items, BATCH):
            more = self._change(space, snapshot, turn, turn.state, batch)
            keys, nbytes = keys + more[0], nbytes + more[1]
        live = turn.state.live
        counted = msgspec.structs.replace(
            snapshot, keys=live.snapshot.keys + keys, nbytes=live.snapshot.nbytes + nbytes
        )
        side = msgspec.structs.replace(live, snapshot=counted, revision=turn.number, settled=turn.settled(settled))
        self._flip(space, snapshot, turn, side)
        self._tidy(space)

    def rollback(self, space: str) -> Snapshot:
        """Make the snapshot before live again, and return it."""
        state, _ = self._head(space)
        if state is None or state.previous is None:
            raise NotMaterialized(
                f"{space} has no snapshot before the live one in {self.settings.place}: it went back already?"
            )
        dead = (*state.dead, state.live.revision)
        back = State(state.previous, None, dead, secrets.token_hex(8))
        if not self._moved(space, 0, self._states[space][0], encoded(back)):
            raise SnapshotConflict(
                f"{space}: another snapshot went live while this one was rolled back; look, and try again"
            )
        self._tidy(space)
        return back.live.snapshot

    def drop(self, space: str) -> None:
        """Forget a space, its pushed rows too. Its sequence goes on from where it was, if it comes back."""
        names = self._of(space)
        keys = [*names.overlay, names.done]
        self._link.run(f"drop {space}", lambda client: client.eval(scripts.DROP, len(keys), *keys))
        self._states.pop(space, None)
        for generation in self._link.run(f"drop {space}", lambda client: client.hgetall(names.generations)):
            self._forget(space, generation.decode())
        self._link.run(f"drop {space}", lambda client: client.srem(spaces_key(self.lake_id), space))

    # ------------------------------------------------------------------------------------------------ pushed rows

    @property
    def together(self) -> bool:
        """Of a cluster no step is at several nodes."""
        return not self.settings.cluster

    def push(self, space: str, rows: Sequence[Pushed]) -> int:
        """Add rows to the overlay, all or none; return the sequence of the newest row of the space."""
        return self.push_all([(space, rows)])[0]

    def push_all(self, jobs: Sequence[tuple[str, Sequence[Pushed]]]) -> list[int]:
        """Add rows to several spaces, one after another on a cluster, else all or none; return the sequence of each."""
        checked = [(space, checked_rows(space, rows)) for space, rows in jobs]
        steps = [checked] if self.together else [[job] for job in checked]
        return [sequence for step in steps if step for sequence in self._push(step)]

    def _push(self, jobs: Sequence[tuple[str, Sequence[Pushed]]]) -> list[int]:
        """Add rows in one step."""
        keys = [key for space, _ in jobs for key in self._of(space).overlay]
        arguments: list[bytes | int] = []
        for _, rows in jobs:
            arguments += [len(rows), *(part for row in rows for part in pushed_arguments(row))]

        def work(client: Any) -> list[int]:
            pipe = client.pipeline(transaction=False)
            pipe.sadd(spaces_key(self.lake_id), *(space for space, _ in jobs))
            pipe.execute_command("EVAL", scripts.PUSH, len(keys), *keys, *arguments)
            return [int(sequence) for sequence in answers(pipe)[1]]

        return self._link.run(f"push to {', '.join(space for space, _ in jobs)}", work)

    def kept(self, space: str, idempotency: Sequence[bytes]) -> list[Pushed | None]:
        """Return of each idempotency key the row that was pushed under it first, if it is not purged."""
        names, what = self._of(space), f"look for rows pushed to {space}"
        found: list[Pushed | None] = [None] * len(idempotency)
        if not idempotency:
            return found
        known = self._link.run(what, methodcaller("hmget", names.known, list(idempotency)))
        there = [(place, sequence) for place, sequence in enumerate(known) if sequence is not None]
        if there:
            rows = self._link.run(what, methodcaller("hmget", names.log, [sequence for _, sequence in there]))
            for (place, _), value in zip(there, rows, strict=True):
                found[place] = None if value is None else logged_row(value)
        return found

    def settle(self, space: str, sequence: int) -> None:
        """Say that the live snapshot holds pushed rows up to a sequence."""
        for _ in range(ROUNDS):
            state, newest = self._head(space)
            if state is None:
                raise self._not_there(space)
            settled = max(state.live.settled, min(sequence, newest))
            live = msgspec.structs.replace(state.live, settled=settled)
            moved = State(live, state.previous, state.dead, secrets.token_hex(8))
            if self._moved(space, 0, self._states[space][0], encoded(moved)):
                self._tidy(space)
                return
        raise SnapshotConflict(f"{space}: snapshots went live again and again while rows were settled")

    # ------------------------------------------------------------------------------------------------ how it is done

    def _of(self, space: str) -> Names:
        found = self._names.get(space)
        if found is None:
            found = self._names[space] = Names(self.lake_id, space)
        return found

    def _head(self, space: str) -> tuple[State | None, int]:
        """Return the state of a space, and its newest sequence."""
        names = self._of(space)
        raw, sequence = self._link.run(f"look at {space}", lambda client: client.hmget(names.head, "state", "sequence"))
        state = self._remember(space, raw) if raw else None
        return state, int(sequence or 0)

    def _known(self, space: str) -> tuple[bytes, State]:
        """Return the state of a space as it was last seen."""
        found = self._states.get(space)
        if found is None:
            if self._head(space)[0] is None:
                raise self._not_there(space)
            found = self._states[space]
        return found

    def _remember(self, space: str, raw: bytes | None) -> State:
        if not raw:
            self._states.pop(space, None)
            raise self._not_there(space)
        state = state_of(raw)
        self._states[space] = raw, state
        return state

    def _rows_head(self, space: str) -> tuple[int, int]:
        names = self._of(space)
        return rows_head(self._link.run(f"look at {space}", lambda client: client.hget(names.rows, b"")))

    def _not_there(self, space: str) -> NotMaterialized:
        return NotMaterialized(f"{space} has no snapshot in Redis at {self.settings.place}; materialise it first")

    def _due(self, space: str, snapshot: Snapshot, state: State | None) -> bool:
        """Return whether a snapshot is not live yet; raise `SnapshotConflict` where its parent is not."""
        live = state.live.snapshot.id if state is not None else None
        if live not in {snapshot.id, snapshot.parent}:
            raise self._conflict(space, snapshot, state)
        return live != snapshot.id

    def _conflict(self, space: str, snapshot: Snapshot, state: State | None) -> SnapshotConflict:
        live = state.live.snapshot.id if state is not None else None
        if live == snapshot.parent:
            return SnapshotConflict(f"{space}: another writer began meanwhile; snapshot {snapshot.id} is given up")
        return overtaken(space, snapshot, live)

    def _list(self, space: str) -> None:
        self._link.run(f"list {space}", lambda client: client.sadd(spaces_key(self.lake_id), space))

    def _begin(self, space: str) -> Turn:
        """Take the turn to write."""
        self._list(space)
        names = self._of(space)
        number, raw, sequence, aborted = self._link.run(
            f"begin a snapshot of {space}", lambda client: client.eval(scripts.BEGIN, 1, names.head)
        )
        listed = tuple(int(each) for each in aborted.split(b",") if each)
        purged, _ = self._rows_head(space)
        return Turn(number, raw, state_of(raw) if raw else None, sequence, purged, listed)

    def _announce(self, space: str, generation: str, buckets: int, heads: list[str], turn: Turn) -> None:
        """Note a generation, so that it is found if its writer dies, and make its buckets."""
        names, head = self._of(space), bucket_head(turn.number, turn.number, turn.number)
        self._link.run(f"load {space}", lambda client: client.hset(names.generations, generation, buckets), PATIENCE)
        self._piped(f"load {space}", lambda pipe: [pipe.hset(bucket, b"", head) for bucket in heads])

    def _write(
        self, space: str, snapshot: Snapshot, turn: Turn, heads: list[str], batch: dict[bytes, bytes | None]
    ) -> int:
        """Write records of a load; return their bytes."""
        placed: dict[int, dict[bytes, bytes]] = {}
        nbytes = 0
        for key, record in batch.items():
            value = version(turn.number, record)
            nbytes += len(key) + len(value) - 12
            placed.setdefault(bucket_of(key, len(heads)), {})[key] = value
        names = self._of(space)

        def write(pipe: Any) -> None:
            pipe.hget(names.head, "writing")
            for number, values in placed.items():
                pipe.hset(heads[number], mapping=values)

        if self._piped(f"load {space}", write)[0] != b"%d" % turn.number:
            raise self._conflict(space, snapshot, self._head(space)[0])
        return nbytes

    def _change(
        self, space: str, snapshot: Snapshot, turn: Turn, state: State, batch: dict[bytes, bytes | None]
    ) -> tuple[int, int]:
        """Add a version to some records; return how many there are more, and bytes."""
        names, live = self._of(space), state.live
        placed: dict[int, list[bytes]] = {}
        for key, record in batch.items():
            placed.setdefault(bucket_of(key, live.buckets), []).extend((key, version(turn.number, record)))
        dead = ",".join(map(str, turn.dead(live)))
        begin = (turn.number, live.revision, state.before, dead)
        bucket = {number: names.bucket(live.generation, live.buckets, number) for number in placed}

        def change(pipe: Any) -> None:
            for number, arguments in placed.items():
                for start in range(0, len(arguments), 2 * CHANGES):
                    some = arguments[start : start + 2 * CHANGES]
                    pipe.execute_command("EVAL", scripts.CHANGE, 1, bucket[number], *begin, *some)

        done = self._piped(f"change {space}", change)
        if any(told for told, _, _ in done):
            raise self._conflict(space, snapshot, self._head(space)[0])
        return sum(more for _, more, _ in done), sum(larger for _, _, larger in done)

    def _flip(self, space: str, snapshot: Snapshot, turn: Turn, side: Side) -> None:
        """Make a side live."""
        raw, before = turn.raw, turn.state.live if turn.state is not None else None
        for _ in range(ROUNDS):
            state = State(side, before, turn.dead(before or side), secrets.token_hex(8))
            if self._moved(space, turn.number, raw, encoded(state)):
                return
            now, _ = self._head(space)
            if now is None or before is None or msgspec.structs.replace(now.live, settled=before.settled) != before:
                break
            raw, before = self._states[space][0], now.live  # rows were settled, nothing else
            side = msgspec.structs.replace(side, settled=max(side.settled, before.settled))
        raise self._conflict(space, snapshot, self._head(space)[0])

    def _moved(self, space: str, turn: int, raw: bytes, new: bytes) -> bool:
        """Return whether the state that was known could be replaced."""
        names = self._of(space)
        done = self._link.run(
            f"make a snapshot of {space} live",
            lambda client: client.eval(scripts.FLIP, 1, names.head, turn, raw, new),
            PATIENCE,
        )
        return bool(done)

    def _tidy(self, space: str) -> None:
        """Take away what no side needs: generations, and pushed rows."""
        names = self._of(space)
        state, _ = self._head(space)
        if state is None:
            return
        there = self._link.run(f"tidy {space}", lambda client: client.hkeys(names.generations))
        for generation in {name.decode() for name in there} - state.generations:
            self._forget(space, generation)
        while self._link.run(
            f"tidy {space}",
            lambda client: client.eval(scripts.PURGE, 5, *names.overlay, names.done, state.settled, CHANGES, RETRIES),
        ):
            pass

    def _forget(self, space: str, generation: str) -> None:
        """Take a generation away."""
        names = self._of(space)
        buckets = int(self._link.run(f"tidy {space}", lambda client: client.hget(names.generations, generation)) or 0)
        heads = [names.bucket(generation, buckets, number) for number in range(buckets)]
        self._piped(f"tidy {space}", lambda pipe: [pipe.unlink(head) for head in heads])
        self._link.run(f"tidy {space}", lambda client: client.hdel(names.generations, generation))

    def _piped(self, what: str, fill: Callable[[Any], object]) -> list[Any]:
        """Return the answers to what is put in a pipeline; patiently."""

        def work(client: Any) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            fill(pipe)
            return answers(pipe)

        return self._link.run(what, work, PATIENCE)

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self._link.close()


def _batches(items: Iterable[Item], most: int) -> Iterator[dict[bytes, bytes | None]]:
    """Yield items, some at a time; of a key that comes twice among them the later record."""
    batch: dict[bytes, bytes | None] = {}
    for key, record in items:
        if not key:
            raise KeyViolation("a record has an empty key")
        batch[key] = record
        if len(batch) >= most:
            yield batch
            batch = {}
    if batch:
        yield batch
