"""A stateful Hypothesis machine that drives any store beside a plain dict and compares after each step.

class MyMachine(StoreMachine):
    def make_store(self):
        return MyStore(...)

TestMyStore = MyMachine.TestCase
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dataplat.errors import ObjectExists, ObjectNotFound
from dataplat.lake.stores import Store

_FOLDERS = st.lists(st.sampled_from(["a", "b", "a-b", "a b", "aa", "A", "0"]), max_size=3)
_NAMES = st.sampled_from(["1.x", "10.x", "2.x", "-.x", "~.x", "%2F.x"])
KEYS = st.builds(lambda folders, name: "/".join([*folders, name]), _FOLDERS, _NAMES)
"""Keys that meet often, in nested folders; none is the folder of another."""
DATA = st.binary(max_size=40)
PREFIXES = st.one_of(KEYS, st.just(""), st.builds(lambda key, size: key[:size].rstrip("/"), KEYS, st.integers(0, 8)))


class StoreMachine(RuleBasedStateMachine):
    """A store and a dict that get the same calls must give the same answers."""

    def make_store(self) -> Store:
        """Return a new, empty store."""
        raise NotImplementedError

    def reopen(self, store: Store) -> Store:
        """Return the same store as another process would open it."""
        return store

    @initialize()
    def start(self) -> None:
        """Begin with an empty store and an empty dict."""
        self.store = self.make_store()
        self.model: dict[str, bytes] = {}

    @rule(key=KEYS, data=DATA)
    def create(self, key: str, data: bytes) -> None:
        """Create one object."""
        try:
            self.store.create(key, data)
        except ObjectExists:
            assert key in self.model
        else:
            assert key not in self.model
            self.model[key] = data

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        """Delete one object, or nothing."""
        self.store.delete(key)
        self.model.pop(key, None)

    @rule(
        key=KEYS,
        span=st.none() | st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: (min(pair), max(pair))),
    )
    def read(self, key: str, span: tuple[int, int] | None) -> None:
        """Read one object, whole or in part."""
        try:
            answer: Any = self.store.read(key, span)
        except ObjectNotFound:
            answer = None
        expected = self.model.get(key)
        assert answer == (expected if expected is None or span is None else expected[slice(*span)])

    @rule(prefix=PREFIXES, after=st.none() | PREFIXES, limit=st.none() | st.integers(0, 5))
    def listed(self, prefix: str, after: str | None, limit: int | None) -> None:
        """List from anywhere."""
        answer = [(entry.key, entry.size) for entry in self.store.list(prefix, after, limit)]
        keys = [key for key in sorted(self.model) if key.startswith(prefix) and (after is None or key > after)]
        assert answer == [(key, len(self.model[key])) for key in keys[:limit]]

    @rule()
    def reopened(self) -> None:
        """Open the store anew."""
        self.store = self.reopen(self.store)

    @invariant()
    def same_keys(self) -> None:
        """Both hold the same keys."""
        assert [entry.key for entry in self.store.list("")] == sorted(self.model)
