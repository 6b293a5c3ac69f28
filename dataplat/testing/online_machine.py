"""A stateful Hypothesis machine that drives any online store beside dictionaries and compares after each step.

class MyMachine(OnlineMachine):
    def make_store(self):
        return MyStore(...)

TestMyStore = MyMachine.TestCase
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dataplat.errors import NotMaterialized, SnapshotConflict
from dataplat.feature_store.online.store import OnlineStore, Pushed, Snapshot

Records: TypeAlias = dict[bytes, bytes]

SPACES = ("a@1", "a@2")
KEYS = (b"a", b"b", b"aa", b"a\0", b"k" * 600, b"k" * 601)
_RECORDS = st.binary(max_size=6)
_ITEMS = st.lists(st.tuples(st.sampled_from(KEYS), _RECORDS), max_size=6)
_CHANGES = st.lists(st.tuples(st.sampled_from(KEYS), st.none() | _RECORDS), max_size=6)
_TIMES = st.integers(-2, 2)
_SETTLED = st.none() | st.integers(0, 12)
_STALE = st.sampled_from(["", "", "", "", "another", "none"])
"""Which parent a snapshot names: now and then not the one that is live."""


@dataclass(frozen=True)
class Side:
    """A snapshot of the model."""

    id: str
    records: Records
    settled: int


@dataclass
class Model:
    """A space, as dictionaries: sequences are places in `log`; what was dropped is None there."""

    live: Side | None = None
    previous: Side | None = None
    log: list[Pushed | None] = field(default_factory=list)
    known: set[bytes] = field(default_factory=set)
    forgotten: int = 0
    """The sequence when it was dropped."""

    def settled(self, given: int | None) -> int:
        """Return what a new snapshot holds of pushed rows."""
        before = self.live.settled if self.live is not None else self.forgotten
        return before if given is None else max(before, min(given, len(self.log)))

    def rows(self) -> list[tuple[int, Pushed]]:
        """Return the rows of the overlay by sequence."""
        settled = self.live.settled if self.live is not None else 0
        return [(number, row) for number, row in enumerate(self.log, 1) if row is not None and number > settled]

    def move(self, side: Side) -> None:
        """Make a side live."""
        self.previous, self.live = self.live, side

    @property
    def there(self) -> bool:
        """Whether the space is listed."""
        return self.live is not None or any(self.log)


class OnlineMachine(RuleBasedStateMachine):
    """A store and dictionaries that get the same calls must give the same answers."""

    def make_store(self) -> OnlineStore:
        """Return a new, empty store."""
        raise NotImplementedError

    @initialize()
    def start(self) -> None:
        """Begin with nothing."""
        self.store = self.make_store()
        self.models = {space: Model() for space in SPACES}
        self.number = 0

    def teardown(self) -> None:
        """Close the store."""
        if hasattr(self, "store"):
            self.store.close()

    def _snapshot(self, parent: str | None) -> Snapshot:
        self.number += 1
        return Snapshot(f"s{self.number}", self.number, {"d": "v"}, "closure", parent)

    @rule(space=st.sampled_from(SPACES), items=_ITEMS, settled=_SETTLED, stale=_STALE)
    def load(self, space: str, items: list[tuple[bytes, bytes]], settled: int | None, stale: str) -> None:
        """Load a whole snapshot, now and then in the place of what is not live."""
        model = self.models[space]
        live = None if model.live is None else model.live.id
        parent = {"": live, "another": "another", "none": None}[stale]
        snapshot = self._snapshot(parent)
        try:
            self.store.load(space, snapshot, iter(items), settled=settled)
        except SnapshotConflict:
            assert parent != live
            return
        assert parent == live
        model.move(Side(snapshot.id, dict(items), model.settled(settled)))

    @rule(space=st.sampled_from(SPACES), items=_CHANGES, settled=_SETTLED, stale=_STALE)
    def change(self, space: str, items: list[tuple[bytes, bytes | None]], settled: int | None, stale: str) -> None:
        """Load a difference, now and then one to what is not live."""
        model = self.models[space]
        live = None if model.live is None else model.live.id
        snapshot = self._snapshot({"": live, "another": "another", "none": None}[stale])
        try:
            self.store.change(space, snapshot, iter(items), settled=settled)
        except SnapshotConflict:
            assert stale or model.live is None
            return
        assert model.live is not None
        assert not stale
        records = dict(model.live.records)
        for key, record in items:
            records.pop(key, None)
            if record is not None:
                records[key] = record
        model.move(Side(snapshot.id, records, model.settled(settled)))

    @rule(space=st.sampled_from(SPACES))
    def rollback(self, space: str) -> None:
        """Go back one step."""
        model = self.models[space]
        before = self.store.previous(space)
        try:
            snapshot = self.store.rollback(space)
        except NotMaterialized:
            assert (model.previous, before) == (None, None)
            return
        assert model.previous is not None
        assert before == snapshot
        assert snapshot.id == model.previous.id
        model.live, model.previous = model.previous, None

    @rule(
        space=st.sampled_from(SPACES),
        drawn=st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 9), _TIMES, _TIMES, _RECORDS), max_size=4),
    )
    def push(self, space: str, drawn: list[tuple[bytes, int, int, int, bytes]]) -> None:
        """Push rows, some that were pushed before."""
        model = self.models[space]
        rows = [Pushed(key, b"%d" % name, e, k, record) for key, name, e, k, record in drawn]
        for row in rows:
            if row.idempotency not in model.known:
                model.known.add(row.idempotency)
                model.log.append(row)
        if rows:
            assert self.store.push(space, rows) == len(model.log)

    @rule(space=st.sampled_from(SPACES), sequence=st.integers(0, 12))
    def settle(self, space: str, sequence: int) -> None:
        """Settle rows."""
        model = self.models[space]
        try:
            self.store.settle(space, sequence)
        except NotMaterialized:
            assert model.live is None
            return
        assert model.live is not None
        model.live = replace(model.live, settled=model.settled(sequence))

    @rule(space=st.sampled_from(SPACES))
    def drop(self, space: str) -> None:
        """Forget a space."""
        self.store.drop(space)
        count = len(self.models[space].log)
        self.models[space] = Model(log=[None] * count, forgotten=count)

    @rule()
    def close(self) -> None:
        """Close the store, which opens again."""
        self.store.close()

    @invariant()
    def same(self) -> None:
        """Every key of every space, and what is pending, is as the model has it."""
        if not hasattr(self, "store"):
            return
        for space, model in self.models.items():
            assert list(self.store.pending(space)) == model.rows()
            if model.live is None:
                assert self.store.snapshot(space) is None
                continue
            found = self.store.read(space, KEYS)
            assert found.snapshot.id == model.live.id
            assert found.snapshot.keys == len(model.live.records)
            assert found.sequence == len(model.log)
            assert found.records == [model.live.records.get(key) for key in KEYS]
            assert found.pushed == [_rows(model, key) for key in KEYS]
        listed = set(self.store.spaces())
        assert {space for space, model in self.models.items() if model.there} <= listed


def _rows(model: Model, key: bytes) -> tuple[bytes, ...]:
    rows = [(row.e, row.k, number, row.row) for number, row in model.rows() if row.key == key]
    return tuple(row[3] for row in sorted(rows))
