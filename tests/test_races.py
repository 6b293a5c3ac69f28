"""Two writers of one dataset: the slower one's change is what it would have been after the other's, or an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import HealthCheck, given, settings

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CountingStore
from dataplat.versioning.lakefile import create_lake

Rows = list[tuple[int, int]]
SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.int64())])

rows = st.dictionaries(st.integers(0, 6), st.integers(0, 3), min_size=1, max_size=4).map(
    lambda found: list(found.items())
)
modes = st.sampled_from(["append", "upsert", "delete", "replace", "replace where", "rollback"])


def table(values: Rows) -> pa.Table:
    """Rows as a table."""
    return pa.table({"id": [row[0] for row in values], "v": [row[1] for row in values]}, SCHEMA)


def new_store() -> MemoryStore:
    """A store with an empty lake."""
    store = MemoryStore()
    create_lake(store)
    return store


@dataclass(frozen=True)
class Change:
    """A change of dataset `d`, and what it makes of a list of rows."""

    mode: str
    rows: Rows

    def do(self, lake: Lake, *, keyed: bool) -> None:
        """Do it."""
        if self.mode == "delete":
            lake.delete("d", f"v = {self.rows[0][1]}")
        elif self.mode == "rollback":
            lake.rollback("d@first")
        elif self.mode == "replace where":
            inside = [row for row in self.rows if row[0] < 3]
            lake.ingest(table(inside), "d", mode="replace", where="id < 3")
        else:
            mode = "append" if self.mode == "upsert" and not keyed else self.mode
            lake.ingest(table(self.rows), "d", mode=mode)

    def model(self, before: Rows, first: Rows, *, keyed: bool) -> Rows | None:
        """Return the rows afterwards; None where it must be refused."""
        if self.mode == "delete":
            return [row for row in before if row[1] != self.rows[0][1]]
        if self.mode == "rollback":
            return first
        if self.mode == "replace":
            return self.rows
        if self.mode == "replace where":
            return [row for row in before if row[0] >= 3] + [row for row in self.rows if row[0] < 3]
        keys = {row[0] for row in self.rows}
        if self.mode == "upsert" and keyed:
            return [row for row in before if row[0] not in keys] + self.rows
        return None if keyed and keys & {row[0] for row in before} else before + self.rows


class Outrun(CountingStore):
    """A store on which somebody else does something just before a key that begins with `moment` is created."""

    def __init__(self, inner: MemoryStore, moment: str, meanwhile: Callable[[], object]) -> None:
        super().__init__(inner)
        self.moment, self.meanwhile = moment, meanwhile
        self.happened = False

    def create(self, key: str, data: Any) -> None:
        """Let the other go first, once."""
        if not self.happened and key.startswith(self.moment):
            self.happened = True
            self.meanwhile()
        super().create(key, data)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    keyed=st.booleans(),
    first=rows,
    since=rows,
    quick=st.builds(Change, modes, rows),
    slow=st.builds(Change, modes, rows),
    moment=st.sampled_from(["objects/", "refs/branches/"]),
)
def test_the_slower_writer(keyed: bool, first: Rows, since: Rows, quick: Change, slow: Change, moment: str) -> None:
    """Whatever two writers do to the same rows, it ends as if one had followed the other, or the slower one failed."""
    inner = new_store()
    lake = Lake(inner, "test", "memory")
    lake.ingest(table(first), "d", key="id" if keyed else None)
    lake.tag("first")
    lake.ingest(table(since), "d", mode="upsert" if keyed else "append")
    before = Change("upsert", since).model(first, first, keyed=keyed)
    assert before is not None

    def meanwhile() -> None:
        try:
            quick.do(lake, keyed=keyed)
        except dp.KeyViolation:
            return

    store = Outrun(inner, moment, meanwhile)
    error: dp.DataplatError | None = None
    try:
        slow.do(Lake(store, "test", "memory"), keyed=keyed)
    except dp.DataplatError as raised:
        error = raised
    made = quick.model(before, first, keyed=keyed) if store.happened else None
    between = before if made is None else made
    after = slow.model(between, first, keyed=keyed)
    if error is not None:
        allowed = dp.CommitConflict if slow.mode == "rollback" else dp.KeyViolation
        assert isinstance(error, allowed), error
        assert slow.mode == "rollback" or after is None or slow.model(before, first, keyed=keyed) is None
        after = between
    now = lake["d"]
    assert after is not None
    assert Counter(tuple(row.values()) for row in now.to_arrow().to_pylist()) == Counter(after)
    assert now.rows == len(after)
    assert lake.verify().ok
    assert now.content_id == content_id(digest(table(after).to_batches()), SCHEMA)
