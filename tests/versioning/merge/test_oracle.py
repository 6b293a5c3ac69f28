"""Merges of random branches against a plain oracle: results and conflicts agree, under every policy.

`DATAPLAT_MERGE_CASES` sets how many (150 in `make test`, 10,000 for the proof).
"""

from __future__ import annotations

import json
import os
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from dataplat._lake import Lake
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.parts import PartWriter
from dataplat.lake.scan import to_table
from dataplat.lake.schema import plain_schema
from dataplat.lake.stores import MemoryStore
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.manifest import ManifestEdit, load_manifest
from dataplat.versioning.merge import Planner, Settlement
from dataplat.versioning.publish import PlannedChange, commit

from .oracle import WIDTHS, Column, Merge, Table  # noqa: TID252

CASES = int(os.environ.get("DATAPLAT_MERGE_CASES", "150"))
KEYS = range(8)
VALUES = [None, 1, 2, 3]
NAMES = ["a", "b", "c", "d", "e"]
KINDS = {"int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64()}


class World:
    """A lake with one dataset, and what each branch of it should hold."""

    def __init__(self, keyed, rows):
        store = MemoryStore()
        create_lake(store)
        self.lake = Lake(store, "test", "memory")
        columns = {
            "id": Column("id", "int32", nullable=not keyed),
            "a": Column("a", "int32"),
            "b": Column("b", "int16"),
        }
        self.base = Table(keyed, columns)
        self.base.rows = [dict(zip(columns, row, strict=True)) for row in rows]
        self.time = 0
        self.fresh = 0
        self.lake.ingest(self.arrow(self.base, self.base.rows), into="t", key=["id"] if keyed else None)
        self.follow("main", self.base)
        self.lake.branch("exp")
        self.sides = {"main": self.base.copy(), "exp": self.base.copy()}

    def arrow(self, table, rows):
        """Return rows under the names and types of the branch."""
        fields = [pa.field(c.name, KINDS[c.kind], nullable=c.nullable) for c in table.columns.values()]
        return pa.Table.from_pylist(
            [{c.name: row.get(id) for id, c in table.columns.items()} for row in rows], schema=pa.schema(fields)
        )

    def do(self, branch, op):
        """Do one operation on the branch and on its model."""
        table = self.sides[branch]
        self.time += 1
        before = {row["id"]: row for row in table.rows} if table.keyed else {}
        getattr(self, op[0])(branch, table, *op[1:])
        after = {row["id"]: row for row in table.rows} if table.keyed else {}
        if op[0] != "compact":
            table.log.append((self.time, before, after))

    def put(self, branch, table, rows):
        """Upsert rows, or append them where there is no key."""
        rows = [self.fitting(table, row) for row in rows]
        if table.keyed:
            rows = list({row["id"]: row for row in rows}.values())
            gone = {row["id"] for row in rows}
            table.rows = [row for row in table.rows if row["id"] not in gone] + rows
            self.lake.ingest(self.arrow(table, rows), into="t", branch=branch, mode="upsert")
        else:
            table.rows = table.rows + rows
            self.lake.ingest(self.arrow(table, rows), into="t", branch=branch)
        table.changed = self.time

    def fitting(self, table, row):
        """Return values as a row that the columns allow."""
        made = dict(zip(table.columns, [row[0], *row[1:], *[None] * len(table.columns)], strict=False))
        for id, column in table.columns.items():
            if made[id] is None and not column.nullable:
                made[id] = 1
        if table.keyed:
            made["id"] = row[0]
        return made

    def delete(self, branch, table, keys):
        """Delete rows by the column id."""
        name = table.columns["id"].name if "id" in table.columns else None
        kept = [row for row in table.rows if row.get("id") not in keys]
        if name is None or len(kept) == len(table.rows):
            return
        table.rows = kept
        self.lake.delete("t", f"{name} in ({', '.join(map(str, keys))})", branch=branch)
        table.changed = self.time

    def replace(self, branch, table, rows, keep):
        """Replace all rows by new ones and some of the old; equal ones stay where they lie."""
        new = [self.fitting(table, row) for row in rows] + [row for row in table.rows if row.get("id") in keep]
        new = list({row["id"]: row for row in new}.values()) if table.keyed else new
        shown = [self.visible(table, row) for row in table.rows]
        new = [
            table.rows[shown.index(self.visible(table, row))] if self.visible(table, row) in shown else row
            for row in new
        ]
        before = self.lake["t@" + branch].id
        self.lake.ingest(self.arrow(table, new), into="t", branch=branch, mode="replace")
        if self.lake["t@" + branch].id != before:
            table.changed = self.time
        table.rows = new

    def visible(self, table, row):
        """Return the cells of columns that the branch has."""
        return {id: row.get(id) for id in table.columns}

    def compact(self, branch, table):
        """Write all rows anew, as a compaction does."""
        lake = self.lake
        head = lake["t@" + branch].manifest
        with Stage(lake.store) as stage:
            objects = Objects(lake.store, stage)
            rows = to_table(objects, head.parts(), head.schema)
            with PartWriter(stage, head.schema, key=head.key) as writer:
                for batch in rows.to_batches():
                    writer.write(batch)
                parts = writer.close()
            edit = ManifestEdit(add=parts, drop=[part.place for part in head.parts()])
            change = PlannedChange(dataset="t", mode="compact", base_version=head.id, edit=edit)
            commit(lake.io, branch, [change], stage)
        table.changed = self.time
        table.rows = [self.visible(table, row) for row in table.rows]

    def evolve(self, branch, table, what, pick, name):
        """Change the columns, where the change is one that may be made."""
        others = [id for id in table.columns if not (table.keyed and id == "id")]
        names = {column.name for column in table.columns.values()}
        id = others[pick % len(others)] if others else None
        asked = {}
        if what == "add" and name not in names:
            asked = {"add": {name: "int16"}}
        elif id is None:
            return
        elif what == "drop" and len(table.columns) > 1:
            asked = {"drop": [table.columns[id].name]}
        elif what == "rename" and name not in names:
            asked = {"rename": {table.columns[id].name: name}}
        elif what == "rename_key" and name not in names:
            asked = {"rename": {table.columns["id"].name: name}} if "id" in table.columns else {}
        elif what == "widen" and table.columns[id].kind != "int64":
            wider = WIDTHS[WIDTHS.index(table.columns[id].kind) + 1]
            asked = {"widen": {table.columns[id].name: wider}}
        elif what == "nullable" and not table.columns[id].nullable:
            asked = {"nullable": [table.columns[id].name]}
        elif what == "required" and table.columns[id].nullable and all(row.get(id) is not None for row in table.rows):
            asked = {"required": [table.columns[id].name]}
        elif what == "order":
            asked = {"order": [table.columns[id].name]}
        if not asked:
            return
        before = self.lake["t@" + branch].id
        self.lake.evolve("t", branch=branch, **asked)
        if self.lake["t@" + branch].id != before:
            table.changed = self.time
        self.follow(branch, table)

    def follow(self, branch, table):
        """Take over the columns as the branch has them: what evolve does is tested elsewhere."""
        columns = {}
        for column in self.lake["t@" + branch].manifest.schema_json:
            columns[column.get("stored", column["name"])] = Column(
                column["name"], column["type"], column.get("nullable", True)
            )
        table.columns = columns


def row(n):
    """Return a strategy of rows: a key and `n` values."""
    return st.tuples(st.sampled_from(KEYS), *[st.sampled_from(VALUES)] * n)


rows = st.lists(row(2), max_size=6)
puts = st.tuples(st.just("put"), st.lists(row(3), min_size=1, max_size=4))
deletes = st.tuples(st.just("delete"), st.lists(st.sampled_from(KEYS), min_size=1, max_size=3))
replaces = st.tuples(
    st.just("replace"), st.lists(row(3), max_size=3), st.sets(st.sampled_from(KEYS), min_size=1, max_size=8)
)
compacts = st.tuples(st.just("compact"))
evolves = st.tuples(
    st.just("evolve"),
    st.sampled_from(["add", "drop", "rename", "rename_key", "widen", "nullable", "required", "order"]),
    st.integers(0, 5),
    st.sampled_from(NAMES),
)
ops = st.lists(st.one_of(puts, puts, puts, deletes, deletes, replaces, compacts, evolves, evolves), max_size=4)


def merged(world, policy):
    """Return what the planner makes of the branches: (rows, columns, conflicts), the first two None where it stops."""
    lake = world.lake
    ours, theirs = (lake.refs.head(branch).commit for branch in ("main", "exp"))
    with Stage(lake.store) as stage:
        objects = Objects(lake.store, stage)
        plan = Planner(objects, stage, Settlement(policy)).merge(ours, theirs)
        conflicts = [
            (c.kind, json.loads(c.key) if c.key and c.kind != "column" else None, c.column) for c in plan.conflicts
        ]
        if plan.open:
            return None, None, conflicts, plan
        state = ours.dataset("t", objects.read)
        change = next(iter(plan.changes), None)
        if change is not None and change.restore is not None:
            state = change.restore
        manifest = load_manifest(objects, state.version)
        table = to_table(objects, manifest.parts(), manifest.schema)
        assert table.num_rows == manifest.rows
        if manifest.digest is not None:
            from dataplat.lake.content_id import digest

            assert digest(table.to_batches(), plain_schema(manifest.schema)) == manifest.digest
        return table, manifest, conflicts, plan


def check(world, policy):
    """Compare the planner with the oracle."""
    ours, theirs = world.sides["main"], world.sides["exp"]
    table, manifest, conflicts, plan = merged(world, policy)
    versions = [world.lake["t@main"].id, world.lake["t@exp"].id]
    base = plan.base.dataset("t", world.lake.objects.read).version
    if base in versions or versions[0] == versions[1]:
        expected = Merge(world.base, ours, theirs, policy)
        expected.result = theirs if versions[0] == base else ours
    else:
        expected = Merge(world.base, ours, theirs, policy).run()
    key = lambda value: None if value is None else next(iter(value.values()))  # noqa: E731
    found = Counter((kind, key(value), column) for kind, value, column in conflicts)
    if expected.kept and not world.base.keyed:
        return  # rows that the side that dropped a column has written since lack it, wherever they lie
    assert found == Counter(expected.conflicts)
    assert (table is None) == (expected.result is None)
    if table is None:
        return
    result = expected.result
    columns = [(c.name, c.kind, c.nullable) for c in result.columns.values()]
    assert [(c["name"], c["type"], c.get("nullable", True)) for c in manifest.schema_json] == columns
    names = [c.name for c in result.columns.values()]
    got = Counter(tuple(row[name] for name in names) for row in table.to_pylist())
    assert got == Counter(tuple(row[name] for name in names) for row in result.named())
    if plan.datasets and plan.datasets[0].action == "merged":
        check_counts(world, plan.datasets[0], result)


def check_counts(world, told, result):
    """The counts that are told lead from the rows of ours to those of the result."""
    assert told.rows_added - told.rows_removed == len(result.rows) - len(world.sides["main"].rows)
    assert min(told.rows_added, told.rows_removed, told.rows_changed, told.rows_merged) >= 0


RENAMED = ("evolve", "rename", 0, "c")
DROPPED = ("evolve", "drop", 0, "a")


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize(("dropper", "renamer"), [("main", "exp"), ("exp", "main")])
def test_rows_lack_what_their_side_dropped(keyed, dropper, renamer):
    """A value that a side wrote before it dropped the column does not come back where the other side keeps it."""
    world = World(keyed, [])
    world.do(renamer, ("put", [(0, None, None, None)]))
    world.do(renamer, RENAMED)
    world.do(dropper, ("put", [(1, 1, None, None)]))
    world.do(dropper, DROPPED)
    for policy in (None, "ours", "theirs", "newest"):
        check(world, policy)
    rows, *_ = merged(world, "ours" if renamer == "main" else "theirs")
    assert rows.column("c").null_count == (2 if keyed else 1)  # without a key the first column is what is dropped: "id"


@settings(
    max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=CASES <= 150, database=None
)
@given(st.booleans(), rows, ops, ops, st.booleans())
def test_merges_give_what_the_oracle_gives(keyed, first, mine, other, mixed):
    """Rows, columns and conflicts of a merge are those of the oracle, without and with each policy."""
    first = list({row[0]: row for row in first}.values()) if keyed else first
    world = World(keyed, first)
    todo = [("main", op) for op in mine]
    for at, op in enumerate(other):
        todo.insert(2 * at if mixed else len(todo), ("exp", op))
    for branch, op in todo:
        note(f"{branch}: {op}")
        world.do(branch, op)
    for policy in (None, "ours", "theirs", "newest"):
        note(f"policy {policy}")
        check(world, policy)
