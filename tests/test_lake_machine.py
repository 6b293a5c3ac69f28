"""A stateful machine drives a lake and a plain dict side by side, with crashes at any call to the store."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CrashStore, SimulatedCrash
from dataplat.versioning.lakefile import create_lake

SCHEMA = pa.schema([("id", pa.int64()), ("n", pa.int32()), ("x", pa.float64()), ("s", pa.string())])
Row = tuple[int, int | None, float | None, str | None]

ids = st.integers(0, 12)
values = st.tuples(
    st.none() | st.integers(-3, 3),
    st.none() | st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf]),
    st.none() | st.sampled_from(["", "a", "ä", "null"]),
)
keyed_rows = st.dictionaries(ids, values, max_size=6)
bag_rows = st.lists(st.tuples(ids, values), max_size=6)
crashes = st.none() | st.tuples(st.integers(1, 25), st.sampled_from(["before", "after"]))


def table(rows: list[Row]) -> pa.Table:
    """Rows as the lake takes them."""
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def canonical(row: Row) -> tuple[Any, ...]:
    """Rows that are equal in dataplat's sense are equal here: NaN is NaN, and -0.0 is 0.0."""
    key, n, x, s = row
    return key, n, "nan" if x is not None and math.isnan(x) else x if x is None else x + 0.0, s


def bag_of(version_rows: pa.Table) -> Counter[tuple[Any, ...]]:
    """The rows of an Arrow table as a multiset."""
    return Counter(canonical(tuple(row.values())) for row in version_rows.to_pylist())  # type: ignore[arg-type]


class LakeMachine(RuleBasedStateMachine):
    """Branches of {dataset: rows}; `keyed` has the key `id`, `bag` has none."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = MemoryStore()
        create_lake(self.inner)
        self.model: dict[str, dict[str, list[Row]]] = {"main": {}}
        self.tags: dict[str, dict[str, list[Row]]] = {}
        self.history: dict[tuple[str, str], list[tuple[str, list[Row]]]] = {}

    @property
    def lake(self) -> Lake:
        """Every step opens the lake anew: nothing may live in memory only."""
        return Lake(self.inner, "test", "memory")

    def change(self, branch: str, dataset: str, rows: list[Row], crash: Any, act: Any) -> None:
        """Do something that makes `rows` of a dataset, perhaps dying on the way; then all of it or nothing is there."""
        before = self.model[branch].get(dataset)
        if crash is None:
            act(self.lake)
        else:
            at, when = crash
            try:
                act(Lake(CrashStore(self.inner, at, when), "test", "memory"))
            except SimulatedCrash:
                there = {info.name for info in self.lake.datasets(branch)}
                now = bag_of(self.lake.version(dataset, branch).to_arrow()) if dataset in there else None
                if now != Counter(map(canonical, rows)) or (before is None and now is None):
                    assert now == (None if before is None else Counter(map(canonical, before)))
                    return
        self.model[branch][dataset] = rows
        version = self.lake.version(dataset, branch).id
        self.history.setdefault((branch, dataset), []).append((version, rows))

    @rule(rows=bag_rows, crash=crashes, data=st.data())
    def append_bag(self, rows: list[Any], crash: Any, data: st.DataObject) -> None:
        """Appended rows come on top of those that were there."""
        branch = data.draw(st.sampled_from(sorted(self.model)))
        new = [(key, *rest) for key, rest in rows]
        after = self.model[branch].get("bag", []) + new
        self.change(branch, "bag", after, crash, lambda lake: lake.ingest(table(new), "bag", branch=branch))

    @rule(rows=keyed_rows, crash=crashes, data=st.data())
    def append_keyed(self, rows: dict[int, Any], crash: Any, data: st.DataObject) -> None:
        """Appending to a keyed dataset only inserts; an existing key is an error and nothing moves."""
        branch = data.draw(st.sampled_from(sorted(self.model)))
        new = [(key, *rest) for key, rest in rows.items()]
        there = self.model[branch].get("keyed", [])
        if {row[0] for row in there} & set(rows):
            with pytest.raises(dp.KeyViolation):
                self.lake.ingest(table(new), "keyed", key="id", branch=branch)
            return
        self.change(
            branch, "keyed", there + new, crash, lambda lake: lake.ingest(table(new), "keyed", key="id", branch=branch)
        )

    @rule(rows=keyed_rows, crash=crashes, data=st.data())
    def upsert(self, rows: dict[int, Any], crash: Any, data: st.DataObject) -> None:
        """Rows of the same key are replaced, others come on top."""
        branch = data.draw(st.sampled_from(sorted(self.model)))
        new = [(key, *rest) for key, rest in rows.items()]
        kept = [row for row in self.model[branch].get("keyed", []) if row[0] not in rows]
        self.change(
            branch,
            "keyed",
            kept + new,
            crash,
            lambda lake: lake.ingest(table(new), "keyed", mode="upsert", key="id", branch=branch),
        )

    @rule(rows=keyed_rows, crash=crashes, data=st.data())
    def replace(self, rows: dict[int, Any], crash: Any, data: st.DataObject) -> None:
        """The rows given are the dataset; giving the rows that it has makes no version."""
        branch = data.draw(st.sampled_from(sorted(self.model)))
        dataset = data.draw(st.sampled_from(["bag", "keyed"]))
        new = [(key, *rest) for key, rest in rows.items()]
        key = "id" if dataset == "keyed" else None
        self.change(
            branch,
            dataset,
            new,
            crash,
            lambda lake: lake.ingest(table(new), dataset, mode="replace", key=key, branch=branch),
        )

    @precondition(lambda self: any(self.model.values()))
    @rule(crash=crashes, data=st.data())
    def replace_with_the_same(self, crash: Any, data: st.DataObject) -> None:
        """The same rows in another order make no version and no commit."""
        branch = data.draw(st.sampled_from([name for name, datasets in sorted(self.model.items()) if datasets]))
        dataset = data.draw(st.sampled_from(sorted(self.model[branch])))
        rows = data.draw(st.permutations(self.model[branch][dataset]))
        before = self.lake.refs.head(branch).number
        self.lake.ingest(table(rows), dataset, mode="replace", branch=branch)
        assert self.lake.refs.head(branch).number == before

    @precondition(lambda self: any("keyed" in datasets for datasets in self.model.values()))
    @rule(rows=keyed_rows, limit=ids, crash=crashes, data=st.data())
    def replace_where(self, rows: dict[int, Any], limit: int, crash: Any, data: st.DataObject) -> None:
        """Only the slice is replaced; rows outside it are refused."""
        branch = data.draw(st.sampled_from([name for name, has in sorted(self.model.items()) if "keyed" in has]))
        new = [(key, *rest) for key, rest in rows.items()]
        where = f"id < {limit}"
        if any(key >= limit for key in rows):
            with pytest.raises(dp.PredicateError):
                self.lake.ingest(table(new), "keyed", mode="replace", where=where, branch=branch)
            return
        kept = [row for row in self.model[branch]["keyed"] if row[0] >= limit]
        self.change(
            branch,
            "keyed",
            kept + new,
            crash,
            lambda lake: lake.ingest(table(new), "keyed", mode="replace", where=where, branch=branch),
        )

    @precondition(lambda self: any(self.model.values()))
    @rule(n=st.integers(-3, 3), crash=crashes, data=st.data())
    def delete(self, n: int, crash: Any, data: st.DataObject) -> None:
        """Rows that the predicate selects go; null selects nothing."""
        branch = data.draw(st.sampled_from([name for name, datasets in sorted(self.model.items()) if datasets]))
        dataset = data.draw(st.sampled_from(sorted(self.model[branch])))
        kept = [row for row in self.model[branch][dataset] if row[1] is None or row[1] <= n]
        self.change(branch, dataset, kept, crash, lambda lake: lake.delete(dataset, where=f"n > {n}", branch=branch))

    @precondition(lambda self: any(len(past) > 1 for past in self.history.values()))
    @rule(crash=crashes, data=st.data())
    def rollback(self, crash: Any, data: st.DataObject) -> None:
        """An earlier version becomes the newest again."""
        branch, dataset = data.draw(st.sampled_from(sorted(name for name, past in self.history.items() if past)))
        version, rows = data.draw(st.sampled_from(self.history[branch, dataset]))
        self.change(branch, dataset, rows, crash, lambda lake: lake.rollback(f"{dataset}@id:{version}", branch=branch))

    @precondition(lambda self: len(self.model) < 4)
    @rule(data=st.data())
    def branch(self, data: st.DataObject) -> None:
        """A branch begins as a copy of another, and goes its own way."""
        source = data.draw(st.sampled_from(sorted(self.model)))
        name = f"exp{len(self.model)}"
        self.lake.branch(name, source)
        self.model[name] = {dataset: list(rows) for dataset, rows in self.model[source].items()}

    @precondition(lambda self: len(self.tags) < 3)
    @rule(data=st.data())
    def tag(self, data: st.DataObject) -> None:
        """A tag keeps what it named."""
        source = data.draw(st.sampled_from(sorted(self.model)))
        name = f"v{len(self.tags)}"
        self.lake.tag(name, source)
        self.tags[name] = {dataset: list(rows) for dataset, rows in self.model[source].items()}

    @initialize()
    def start(self) -> None:
        """A lake begins with no dataset."""
        assert self.lake.datasets() == []

    @invariant()
    def holds_the_rows(self) -> None:
        """Every branch and tag has exactly the model's rows, and their content id is that of the rows alone."""
        for name, datasets in {**self.model, **self.tags}.items():
            for dataset, rows in datasets.items():
                version = self.lake[f"{dataset}@{name}"]
                assert version.rows == len(rows)
                assert bag_of(version.to_arrow()) == Counter(map(canonical, rows))
                assert version.content_id == content_id(digest(table(rows).to_batches()), SCHEMA)

    @invariant()
    def diffs_agree(self) -> None:
        """The diff of two branches is what the model's rows differ by."""
        if len(self.model) < 2:
            return
        one, other = sorted(self.model)[:2]
        for dataset in self.model[one].keys() & self.model[other].keys():
            mine, theirs = (Counter(map(canonical, self.model[name][dataset])) for name in (one, other))
            summary = self.lake.diff(f"{dataset}@{one}", f"{dataset}@{other}").summary
            assert summary.added + summary.changed == (theirs - mine).total()
            assert summary.removed + summary.changed == (mine - theirs).total()


TestLakeMachine = LakeMachine.TestCase
TestLakeMachine.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
