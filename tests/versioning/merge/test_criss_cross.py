"""Merges in both directions, of older heads, of one dataset or all, against a recursion of its own on plain rows.

`DATAPLAT_CRISS_CROSS_CASES` sets how many (120 in `make test`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from dataplat._lake import Lake
from dataplat.errors import MergeConflict
from dataplat.lake.stores import MemoryStore
from dataplat.versioning.lakefile import create_lake

CASES = int(os.environ.get("DATAPLAT_CRISS_CROSS_CASES", "120"))
PHASES = [
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
]  # a history that failed is read as it is: shrinking takes minutes
KEYS = range(5)
COLUMNS = ("a", "b")


@dataclass
class Node:
    """What a commit holds of the dataset: rows by key, or a multiset of numbers; `parents` also by merges of it alone."""

    number: int
    parents: tuple[str, ...]
    rows: dict | Counter


class History:
    """A lake with one dataset and three branches, and what each of its commits should hold."""

    def __init__(self, keyed, first):
        self.keyed = keyed
        store = MemoryStore()
        create_lake(store)
        self.lake = Lake(store, "test", "memory")
        self.nodes = {}
        self.fresh = 100
        self.lake.ingest(self.table(first), into="t", key=["id"] if keyed else None)
        rows = dict(first) if keyed else Counter(id for id, _ in first)
        self.nodes[self.head("main")] = Node(0, (), rows)
        for branch in ("x", "y"):
            self.lake.branch(branch)

    def table(self, rows):
        """Return rows given as (key, cells)."""
        columns = [pa.array([id for id, _ in rows], pa.int64())]
        columns += [pa.array([cells[at] for _, cells in rows], pa.int64()) for at in range(len(COLUMNS))]
        return pa.table(columns, names=["id", *COLUMNS])

    def head(self, branch):
        """Return the id of a branch's newest commit."""
        return self.lake.refs.head(branch).commit_id

    def do(self, branch, op):
        """Do one operation; rows without a key are never added twice."""
        before = self.head(branch)
        rows = self.nodes[before].rows.copy()
        if op[0] == "delete":
            gone = [id for id in rows if id % len(KEYS) in op[1]]
            rows = type(rows)({id: rows[id] for id in rows if id not in gone})
            self.lake.delete("t", f"id % {len(KEYS)} in ({', '.join(map(str, sorted(op[1])))})", branch=branch)
        elif self.keyed:
            rows |= op[1]
            self.lake.ingest(self.table(list(op[1].items())), into="t", mode="upsert", branch=branch)
        else:
            new = [self.fresh + at for at in range(len(op[1]))]
            self.fresh += len(new)
            rows += Counter(new)
            self.lake.ingest(self.table([(id, (0, 0)) for id in new]), into="t", branch=branch)
        self.moved(branch, (before,), rows)

    def moved(self, branch, parents, rows):
        """Note what a branch holds now, and compare."""
        head = self.head(branch)
        if head not in self.nodes:
            self.nodes[head] = Node(len(self.nodes), parents, rows)
        found = self.lake["t@" + branch].to_arrow().to_pylist()
        if self.keyed:
            assert {row["id"]: (row["a"], row["b"]) for row in found} == rows
            assert len(found) == len(rows)
        else:
            assert Counter(row["id"] for row in found) == rows

    def merge(self, branch, theirs, policy, *, alone):
        """Merge a commit, and compare conflicts and rows."""
        ours = self.head(branch)
        merged = Plain(self.nodes, policy)
        base = merged.base({ours}, {theirs})
        rows = merged.rows(base, self.nodes[ours].rows, self.nodes[theirs].rows)
        try:
            result = self.lake.merge(f"@id:{theirs}", into=branch, policy=policy, dataset="t" if alone else None)
            told = result.conflicts
        except MergeConflict as error:
            assert policy is None
            told, rows = error.conflicts, self.nodes[ours].rows
        conflicts = {(row["key"] and json.loads(row["key"])["id"], row["column"]) for row in told.to_pylist()}
        assert conflicts == merged.conflicts
        self.moved(branch, (ours, theirs), rows)


@dataclass
class Plain:
    """A merge of commits by the rules alone; `conflicts` as (key, column)."""

    nodes: dict
    policy: str | None
    inner: bool = False

    def __post_init__(self):
        self.conflicts = set()

    def up(self, ids):
        """Return all commits from which some come, and themselves."""
        found = set(ids)
        for id in ids:
            found |= self.up(self.nodes[id].parents)
        return found

    def base(self, ours, theirs):
        """Return the rows that both sides began with: those of the lowest common ancestors, merged one after the other."""
        common = self.up(ours) & self.up(theirs)
        lowest = [id for id in common if not any(id in self.up(self.nodes[other].parents) for other in common)]
        lowest.sort(key=lambda id: -self.nodes[id].number)
        rows = self.nodes[lowest[0]].rows
        for at, id in enumerate(lowest[1:], 1):
            older = self.base(set(lowest[:at]), {id})
            rows = Plain(self.nodes, None, inner=True).rows(older, rows, self.nodes[id].rows)
        return rows

    def rows(self, base, ours, theirs):
        """Return three-way merged rows."""
        if isinstance(base, Counter):
            found = {}
            for id in {*base, *ours, *theirs}:
                mine, other = ours[id] - base[id], theirs[id] - base[id]
                found[id] = base[id] + (min(mine, other) if mine < 0 and other < 0 else mine + other)
            return +Counter(found)
        found = {id: self.row(id, base.get(id), ours.get(id), theirs.get(id)) for id in {*base, *ours, *theirs}}
        return {id: row for id, row in found.items() if row is not None}

    def row(self, id, base, ours, theirs):
        """Return what becomes of one row."""
        if ours is None or theirs is None or base in (ours, theirs):
            return self.one(id, "", base, ours, theirs, known=base is not None)
        cells = zip(COLUMNS, base or (None, None), ours, theirs, strict=True)
        return tuple(self.one(id, column, *cell, known=base is not None) for column, *cell in cells)

    def one(self, id, column, base, ours, theirs, *, known):
        """Return a row or cell as the side that changed it has it, else by the policy; of a base as it was before."""
        if ours == theirs or (theirs == base and (known or not column)):
            return ours
        if ours == base and (known or not column):
            return theirs
        self.conflicts.add((id, column))
        if self.inner:
            return base if known else ours
        return theirs if self.policy == "theirs" else ours


cells = st.tuples(st.integers(0, 2), st.integers(0, 2))
puts = st.tuples(st.just("put"), st.dictionaries(st.sampled_from(KEYS), cells, min_size=1, max_size=2))
deletes = st.tuples(st.just("delete"), st.sets(st.sampled_from(KEYS), min_size=1, max_size=2))
ops = st.lists(st.one_of(puts, puts, deletes), max_size=2)
policies = st.sampled_from(["ours", "theirs", "ours", "theirs", None])
merges = st.lists(
    st.tuples(st.sampled_from(["main", "x"]), st.sampled_from(["main", "x", "y"]), policies, st.booleans()),
    min_size=2,
    max_size=3,
)
rounds = st.lists(st.tuples(ops, ops, ops, merges), min_size=1, max_size=2)


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=CASES <= 300,
    database=None,
    phases=PHASES,
)
@given(st.booleans(), st.dictionaries(st.sampled_from(KEYS), cells, max_size=4), rounds, ops, ops, policies)
def test_criss_cross_merges_give_what_a_plain_recursion_gives(keyed, first, todo, mine, other, policy):
    """Branches that merge heads which the other has left, over and over, agree with plain rows after every merge."""
    history = History(keyed, list(first.items()))
    for main, x, y, crossing in todo:
        for branch, each in (("main", main), ("x", x), ("y", y)):
            for op in each:
                note(f"{branch}: {op}")
                history.do(branch, op)
        heads = {branch: history.head(branch) for branch in ("main", "x", "y")}
        for into, source, settled, alone in crossing:
            if into != source:
                note(f"{source} into {into}, {settled}, {alone}")
                history.merge(into, heads[source], settled, alone=alone)
    for branch, each in (("main", mine), ("x", other)):
        for op in each:
            note(f"{branch}: {op}")
            history.do(branch, op)
    for into, source in (("main", "x"), ("x", "main")):
        note(f"at last {source} into {into}, {policy}")
        history.merge(into, history.head(source), policy, alone=False)


@pytest.mark.parametrize("value", [0, 1])
def test_a_merge_of_one_dataset_is_known_before_the_lowest_ancestors_too(value):
    """What one branch took alone, older than the ancestors of a later criss-cross, is in the base of these."""
    history = History(True, [])
    history.do("y", ("put", {0: (0, 0)}))
    taken = history.head("y")
    history.merge("x", taken, "ours", alone=True)
    history.merge("main", taken, "ours", alone=False)
    history.do("x", ("put", {0: (0, 0)}))
    history.do("x", ("delete", {0}))
    mine, other = history.head("main"), history.head("x")
    history.merge("main", other, "ours", alone=False)
    history.merge("x", mine, "ours", alone=False)
    history.do("x", ("put", {0: (0, value)}))
    history.merge("main", history.head("x"), None, alone=False)
    assert history.nodes[history.head("main")].rows == {0: (0, value)}
