"""Evolving the columns of a dataset: what users see, against plain rows, with old versions, and other writers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest
from dataplat.lake.stores import MemoryStore
from dataplat.versioning.lakefile import create_lake

EXAMPLES = int(os.environ.get("DATAPLAT_EVOLVE_EXAMPLES", "60"))  # `make proofs` asks for more
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]  # a walk that failed is read as it is: shrinking takes minutes
NAMES = ["a", "b", "c", "d", "e"]
WIDER = {"int8": "int16", "int16": "int32", "int32": "int64", "float32": "float64"}
TYPES = ["int8", "int32", "float32", "string"]


# ----------------------------------------------------------------------------------------------- against plain rows


@dataclass(frozen=True)
class Column:
    """A column of the oracle."""

    name: str
    kind: str
    nullable: bool = True


@dataclass
class Plain:
    """A dataset as a list of columns and of dicts: what the lake must look like."""

    columns: list[Column]
    key: str | None
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema."""
        kinds = {"string": pa.string(), "float32": pa.float32(), "float64": pa.float64()}
        return pa.schema(
            [pa.field(c.name, kinds.get(c.kind) or getattr(pa, c.kind)(), nullable=c.nullable) for c in self.columns]
        )

    def table(self, rows: list[dict[str, Any]]) -> pa.Table:
        """Return rows as the lake takes them."""
        return pa.Table.from_pylist(rows, self.schema)

    def copy(self) -> Plain:
        """Return what it is now."""
        return Plain(list(self.columns), self.key, [dict(row) for row in self.rows])


def bag(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """Rows as a multiset, whatever the order of columns."""
    return Counter(tuple(sorted(row.items())) for row in rows)


def values_of(column: Column, *, key: bool = False) -> st.SearchStrategy[Any]:
    """Draw values that fit a column."""
    values: st.SearchStrategy[Any] = st.sampled_from(["x", "y", ""]) if column.kind == "string" else st.integers(-2, 5)
    if column.kind.startswith("float"):
        values = st.sampled_from([0.0, 1.5, -2.25])
    return st.none() | values if column.nullable and not key else values


class Walk:
    """A walk of random changes, made on a lake and on plain rows."""

    def __init__(self, draw: Callable[..., Any], lake: Lake) -> None:
        self.draw, self.lake = draw, lake
        keyed = draw(st.booleans())
        columns = [Column("a", "int8"), Column("b", draw(st.sampled_from(TYPES))), Column("c", "int32")]
        self.plain = Plain(columns, "a" if keyed else None)
        self.before: list[tuple[str, Plain]] = []
        self.plain.rows = self.some_rows(columns, fresh=True)
        self.lake.ingest(self.plain.table(self.plain.rows), "d", key=["a"] if keyed else None)
        self.note()

    def note(self) -> None:
        """Check the head, and keep it to be looked at again at the end."""
        version = self.lake["d"]
        same(version, self.plain)
        self.before.append((version.id, self.plain.copy()))

    def some_rows(self, columns: list[Column], *, fresh: bool = False) -> list[dict[str, Any]]:
        """Draw rows; of a keyed dataset with keys that differ, and are new if they must be."""
        key = self.plain.key
        row = st.fixed_dictionaries({c.name: values_of(c, key=c.name == key) for c in columns})
        rows = self.draw(st.lists(row, min_size=1, max_size=4))
        if key is None:
            return rows
        held = {row[key] for row in self.plain.rows} if fresh and self.before else set()
        return [row for row in {row[key]: row for row in rows}.values() if row[key] not in held]

    def free(self) -> list[str]:
        """Names that no column has."""
        return [name for name in NAMES if name not in {c.name for c in self.plain.columns}]

    def step(self) -> None:
        """Make one change."""
        kinds = [self.evolve, self.evolve, self.append, self.append_more, self.delete, self.replace, self.compact]
        self.draw(st.sampled_from([*kinds, self.upsert] if self.plain.key else kinds))()
        self.note()

    def append(self) -> None:
        """Append rows."""
        rows = self.some_rows(self.plain.columns, fresh=True)
        if rows:
            self.lake.ingest(self.plain.table(rows), "d")
            self.plain.rows += rows

    def append_more(self) -> None:
        """Append rows with a column that the dataset has not (perhaps one of a name that was dropped)."""
        if not self.free():
            return
        new = Column(self.draw(st.sampled_from(self.free())), "string")
        rows = self.some_rows([*self.plain.columns, new], fresh=True)
        if rows:
            self.plain.columns.append(new)
            self.lake.ingest(self.plain.table(rows), "d")
            self.plain.rows = [{**row, new.name: None} for row in self.plain.rows] + rows

    def upsert(self) -> None:
        """Upsert rows."""
        rows = self.some_rows(self.plain.columns)
        key = str(self.plain.key)
        self.lake.ingest(self.plain.table(rows), "d", mode="upsert")
        given = {row[key] for row in rows}
        self.plain.rows = [row for row in self.plain.rows if row[key] not in given] + rows

    def delete(self) -> None:
        """Delete what a condition on some column selects."""
        column = self.draw(st.sampled_from(self.plain.columns))
        if column.kind == "string":
            where, keeps = f"{column.name} = 'x'", lambda value: value != "x"
        else:
            where, keeps = f"{column.name} > 1", lambda value: value is None or not value > 1
        self.lake.delete("d", where)
        self.plain.rows = [row for row in self.plain.rows if keeps(row[column.name])]

    def replace(self) -> None:
        """Replace all rows; where a column is left out, no part stays, and its name is free again."""
        others = [c for c in self.plain.columns if c.name != self.plain.key]
        if len(others) > 1 and self.draw(st.booleans()):
            self.plain.columns.remove(self.draw(st.sampled_from(others)))
        kept = [{c.name: row[c.name] for c in self.plain.columns} for row in self.plain.rows[::2]]
        key = self.plain.key
        held = {row[key] for row in kept} if key else set()
        more = [row for row in self.some_rows(self.plain.columns) if not key or row[key] not in held]
        self.plain.rows = kept + more
        self.lake.ingest(self.plain.table(self.plain.rows), "d", mode="replace")

    def compact(self) -> None:
        """Write parts anew."""
        self.lake.compact("d")

    def evolve(self) -> None:
        """Draw a change of columns, in the documented order of steps."""
        draw, after = self.draw, self.plain.copy()
        asked: dict[str, Any] = {}
        others = [c.name for c in after.columns if c.name != after.key]
        if len(after.columns) > 1 and others and draw(st.booleans()):
            asked["drop"] = [draw(st.sampled_from(others))]
            after.columns = [c for c in after.columns if c.name not in asked["drop"]]
            after.rows = [{c.name: row[c.name] for c in after.columns} for row in after.rows]
        if draw(st.booleans()):
            old = draw(st.lists(st.sampled_from([c.name for c in after.columns]), unique=True, min_size=1, max_size=2))
            free = [name for name in NAMES if name not in {c.name for c in after.columns} or name in old]
            asked["rename"] = dict(zip(old, draw(st.permutations(free)), strict=False))
            names = {c.name: asked["rename"].get(c.name, c.name) for c in after.columns}
            after.columns = [replace(c, name=names[c.name]) for c in after.columns]
            after.rows = [{new: row[old] for old, new in names.items()} for row in after.rows]
            after.key = names[after.key] if after.key else None
        free = [name for name in NAMES if name not in {c.name for c in after.columns}]
        if free and draw(st.booleans()):
            new = Column(draw(st.sampled_from(free)), draw(st.sampled_from(TYPES)))
            asked["add"] = {new.name: new.kind}
            after.columns.append(new)
        after.rows = [{c.name: row.get(c.name) for c in after.columns} for row in after.rows]
        at = draw(st.integers(0, len(after.columns) - 1))
        if after.columns[at].kind in WIDER and draw(st.booleans()):
            after.columns[at] = replace(after.columns[at], kind=WIDER[after.columns[at].kind])
            asked["widen"] = {after.columns[at].name: after.columns[at].kind}
        if draw(st.booleans()):
            asked["order"] = draw(st.permutations([c.name for c in after.columns]))[:2]
            first = [c for name in asked["order"] for c in after.columns if c.name == name]
            after.columns = [*first, *(c for c in after.columns if c not in first)]
        if draw(st.booleans()):
            column = draw(st.sampled_from(after.columns))
            asked["required"] = [column.name]
            place = after.columns.index(column)
            after.columns[place] = replace(column, nullable=False)
            if any(row[column.name] is None for row in after.rows):
                with pytest.raises(dp.SchemaMismatch, match="cannot be required"):
                    self.lake.evolve("d", **asked)
                return
        self.lake.evolve("d", **asked)
        self.plain = after


def same(version: Any, plain: Plain) -> None:
    """Hold a version against plain rows: schema, rows, pruned rows, and content id."""
    assert version.schema.equals(plain.schema, check_metadata=True)
    assert version.key == ((plain.key,) if plain.key else ())
    found = version.to_arrow()
    assert found.schema.equals(plain.schema, check_metadata=True)
    assert bag(found.to_pylist()) == bag(plain.rows)
    assert version.content_id == content_id(digest(plain.table(plain.rows).to_batches()), plain.schema)
    for column in plain.columns[:3]:
        if column.kind != "string":
            some = version.to_arrow(where=f"{column.name} >= 2").to_pylist()
            assert bag(some) == bag([row for row in plain.rows if (row[column.name] or 0) >= 2])


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=PHASES)
@given(st.data())
def test_evolved_data_are_plain_rows(data: st.DataObject) -> None:
    """Whatever is evolved, appended, upserted, deleted, replaced and compacted: every version is what plain rows are."""
    store = MemoryStore()
    create_lake(store)
    lake = Lake(store, "test", "memory")
    walk = Walk(data.draw, lake)
    for _ in range(data.draw(st.integers(1, 5))):
        walk.step()
    for version, plain in walk.before:
        same(lake[f"d@id:{version}"], plain)
    fresh = Lake(MemoryStore(), "test", "memory")
    create_lake(fresh.store)
    fresh.ingest(walk.plain.table(walk.plain.rows), "d", key=[walk.plain.key] if walk.plain.key else None)
    assert fresh["d"].content_id == lake["d"].content_id
    assert lake.verify().ok


def test_an_option_that_is_not_there(tmp_path):
    """An option that evolve does not have is refused by name, not passed over."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"a": [1]}), "t")
    with pytest.raises(dp.ConfigError, match="no option 'types'"):
        lake.evolve("t", types={"a": "double"})
