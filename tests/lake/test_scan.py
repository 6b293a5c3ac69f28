"""Scans: the rows that count, in order, in one schema, whatever the parts look like; damage is never a wrong row."""

from __future__ import annotations

import os
import threading
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataplat.errors import IntegrityError, SchemaError
from dataplat.lake.deletes import stage_deletes
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.parts import PartWriter
from dataplat.lake.scan import PART_COLUMN, ROW_COLUMN, scan, to_table
from dataplat.lake.stores import FileStore, MemoryStore
from dataplat.lake.where import parse_where

SCHEMA = pa.schema([("n", pa.int64()), ("s", pa.string())])


def rows_of(size, first=0):
    """A table of numbers and their names, every fifth name null."""
    return pa.table({"n": range(first, first + size), "s": [None if n % 5 == 0 else f"s{n}" for n in range(first, first + size)]}, SCHEMA)  # fmt: skip


def written(stage, table, **settings):
    """The parts of a table."""
    with PartWriter(stage, table.schema, threads=0, with_digests=False, **settings) as writer:
        for batch in table.to_batches():
            writer.write(batch)
        return writer.close()


def deleting(stage, parts, gone):
    """The parts without the rows whose number over all parts is in `gone`."""
    found, first = [], 0
    for part in parts:
        here = [row - first for row in sorted(gone) if first <= row < first + part.rows]
        found.append(part.with_deletes(*stage_deletes(stage, here)))
        first += part.rows
    return found


@pytest.fixture
def stage():
    """A stage over a store in memory; what is staged can be scanned."""
    with Stage(MemoryStore()) as stage:
        yield stage


@pytest.fixture
def objects(stage):
    """The objects of that stage."""
    return Objects(stage.store, stage)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.integers(0, 40), st.integers(1, 9), st.integers(1, 20), st.sets(st.integers(0, 39)), st.none() | st.integers(1, 9), st.integers(0, 3),
    st.sampled_from([None, "n > 10 and n < 30", "s is null", "n = 7 or s = 's9'", "true", "false"]), st.sampled_from([None, [], ["s"], ["s", "n"]]),
)  # fmt: skip
def test_rows_that_count_and_match_in_order(
    size, row_group_rows, target_rows, gone, batch_rows, threads, text, columns
):
    """Any cut into parts and row groups, any deletes, any threads: the same rows as from the table itself."""
    table = rows_of(size)
    where = None if text is None else parse_where(text, SCHEMA)
    mask = np.array([row not in gone for row in range(size)], dtype=bool)
    if where is not None:
        mask &= where.mask(table).to_numpy(zero_copy_only=False)
    wanted = table.append_column("row", pa.array(range(size))).filter(pa.array(mask))
    with Stage(MemoryStore()) as stage:
        parts = deleting(stage, written(stage, table, row_group_rows=row_group_rows, target_rows=target_rows), gone)
        arguments = {"columns": columns, "where": where, "threads": threads}
        objects = Objects(stage.store, stage)
        batches = list(scan(objects, parts, SCHEMA, **arguments, batch_rows=batch_rows))
        placed = to_table(objects, parts, SCHEMA, **arguments, with_positions=True)
    assert sum(len(batch) for batch in batches) == len(wanted)
    assert all(len(batch) <= (batch_rows or row_group_rows) for batch in batches)
    if columns != []:
        output = SCHEMA if columns is None else pa.schema([SCHEMA.field(name) for name in columns])
        assert pa.Table.from_batches(batches, output) == wanted.select(output.names)
        assert placed.select(output.names) == wanted.select(output.names)
    starts = np.cumsum([0, *(part.rows for part in parts)])
    assert (starts[placed[PART_COLUMN].to_numpy()] + placed[ROW_COLUMN].to_numpy()).tolist() == wanted[
        "row"
    ].to_pylist()
    assert placed.schema.field(ROW_COLUMN).type == pa.uint32()


def test_an_empty_scan_has_a_schema(objects):
    """Without parts there are no batches, and a table of the right columns."""
    assert list(scan(objects, [], SCHEMA)) == []
    assert to_table(objects, [], SCHEMA, columns=["s"], with_positions=True).schema.names == [
        "s",
        PART_COLUMN,
        ROW_COLUMN,
    ]


def test_an_unknown_column_is_refused_at_once(objects):
    """A wrong name is an error of the call, before anything is read."""
    with pytest.raises(SchemaError, match=r"no column 'nn'; did you mean 'n'\?"):
        scan(objects, [], SCHEMA, columns=["nn"])


def test_older_parts_are_brought_to_the_schema(stage, objects):
    """A column that a part lacks is null, a narrower type is widened, a column that was dropped is not there."""
    old = written(stage, pa.table({"gone": [1, 2], "n": pa.array([1, 2], pa.int8())}))
    new = written(stage, pa.table({"n": pa.array([3], pa.int64()), "s": ["x"]}))
    found = to_table(objects, [*old, *new], SCHEMA)
    assert found.to_pydict() == {"n": [1, 2, 3], "s": [None, None, "x"]}
    assert found.schema == SCHEMA
    where = parse_where("s is null", SCHEMA)
    assert to_table(objects, [*old, *new], SCHEMA, where=where).to_pydict() == {"n": [1, 2], "s": [None, None]}
    where = parse_where("n = 2", SCHEMA)
    assert to_table(objects, [*old, *new], SCHEMA, where=where, columns=["n"]).to_pydict() == {"n": [2]}


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (pa.array([1_704_067_200_000], pa.timestamp("ms")), pa.timestamp("us"), "a = '2024-01-01'"),
        (pa.array([19_723], pa.date32()), pa.timestamp("ns"), "a = '2024-01-01'"),
        (pa.array([5], pa.int8()), pa.float64(), "a between 4.5 and 5.5"),
        (pa.array([5], pa.int8()), pa.decimal128(9, 2), "a = 5.00"),
        (pa.array([Decimal("5.1")]), pa.decimal128(20, 4), "a = 5.1"),
        (pa.array([86_399_999], pa.time32("ms")), pa.time64("us"), "a > '23:59:59'"),
    ],
)
def test_statistics_survive_a_wider_type(stage, objects, old, new, text):
    """What an older part's bounds mean does not change with the unit, scale or width of its column."""
    schema = pa.schema([("a", new)])
    parts = written(stage, pa.table({"a": old}))
    where = parse_where(text, schema)
    assert len(to_table(objects, parts, schema, where=where)) == 1
    assert where.may_match(parts[0].stats, 1, {"a": new})


def test_a_part_of_another_type_is_named(stage, objects):
    """A part that cannot be brought to the schema without loss is an integrity error, not a cast."""
    parts = written(stage, pa.table({"n": ["x"]}))
    with pytest.raises(IntegrityError, match=f"part {parts[0].id} does not fit the schema.*'n'"):
        to_table(objects, parts, SCHEMA)


def test_columns_whose_names_look_like_paths(stage, objects):
    """A column `a.b` is neither the field `b` of a struct `a` nor read with a column `a`."""
    table = pa.table({"a": [{"b": 1}], "a.b": [2], "a.c": [3]})
    parts = written(stage, table)
    for names in (["a"], ["a.b"], ["a.c", "a"]):
        assert to_table(objects, parts, table.schema, columns=names).equals(table.select(names))


def test_stopping_early_leaves_no_thread(stage, objects):
    """A scan that is given up reads no more, and its threads end."""
    parts = written(stage, rows_of(100), row_group_rows=5, target_rows=10)
    others = set(threading.enumerate())  # of tests before this one; some may end meanwhile
    batches = scan(objects, parts, SCHEMA, threads=2)
    assert next(batches).column("n")[0].as_py() == 0
    mine = set(threading.enumerate()) - others
    assert mine
    batches.close()
    for thread in mine:
        thread.join(60)
    assert not [thread.name for thread in mine if thread.is_alive()]


def test_few_row_groups_are_ahead(stage):
    """However slow the reader, only a few row groups are decoded ahead of it."""
    parts = written(stage, rows_of(100), target_rows=5, row_group_rows=5)
    opened = []

    class Watched(Objects):
        def read(self, object_id, suffix, *, verify=True):
            opened.append(object_id)
            return super().read(object_id, suffix, verify=verify)

    batches = scan(Watched(stage.store, stage), parts, SCHEMA, threads=2)
    for taken in range(1, 10):
        next(batches)
        assert len(opened) <= taken + 4


# ------------------------------------------------------------------------------------------------------- damage


NESTED = pa.table(
    {
        "n": pa.array([1, None] * 4),
        "s": pa.array(["x", None, "y", "x"] * 2),
        "l": pa.array([[1], None, [], [2, 3]] * 2),
        "m": pa.array([[("a", [1, 2])], None, [], [("b", None)]] * 2, pa.map_(pa.string(), pa.list_(pa.int8()))),
        "f": pa.array([[1, 2], None] * 4, pa.list_(pa.int64(), 2)),
        "st": pa.array([{"x": [1, 2]}, None, {"x": None}, {"x": []}] * 2),
    }
)


@pytest.fixture
def local(tmp_path):
    """A part in a local store: its objects, the part, its file and its bytes."""
    store = FileStore(tmp_path / "lake")
    with Stage(store) as stage:
        (part,) = written(stage, NESTED, row_group_rows=4)
        stage.flush()
    objects = Objects(store)
    path = objects.local_path(part.id, ".parquet")
    path.chmod(0o644)
    return objects, part, path, path.read_bytes()


BITS = int(os.environ.get("DATAPLAT_FLIPPED_BITS", "5"))
"""Of how many bits of the pages one is turned; `make proofs` turns each."""


def test_no_flipped_bit_gives_a_wrong_row(local):
    """Turn bits of the pages, and some of the footer: the rows are right, or it is an error that names the part."""
    objects, part, path, data = local
    footer = (len(data) - 8 - int.from_bytes(data[-8:-4], "little")) * 8
    caught = 0
    for place in [*range(0, footer, BITS), *range(footer, len(data) * 8, 37)]:
        bad = bytearray(data)
        bad[place // 8] ^= 1 << place % 8
        path.write_bytes(bad)
        try:
            found = to_table(objects, [part], NESTED.schema, threads=0)
        except IntegrityError as error:
            assert part.id in str(error)  # noqa: PT017
            caught += 1
        else:
            assert found.equals(NESTED)
    assert caught > footer // (2 * BITS)


@pytest.mark.parametrize("length", [0, 3, 8, 100, -1])
def test_a_file_that_was_cut(local, length):
    """A file cut short, or empty, is an integrity error that says what to do."""
    objects, part, path, data = local
    path.write_bytes(data[:length])
    with pytest.raises(
        IntegrityError, match=rf"part {part.id} is damaged .* bytes, not {len(data)}.*put the object back"
    ):
        to_table(objects, [part], NESTED.schema)


def test_a_footer_that_points_elsewhere(local):
    """A footer whose length leads out of the file is damage."""
    objects, part, path, data = local
    path.write_bytes(data[:-8] + b"\xff\xff\xff\x7f" + data[-4:])
    with pytest.raises(IntegrityError, match="its footer is cut"):
        to_table(objects, [part], NESTED.schema)


def test_a_part_that_is_gone(local):
    """A missing part is an integrity error that names it and how many rows it held."""
    objects, part, path, _ = local
    path.unlink()
    with pytest.raises(IntegrityError, match=rf"part {part.id} is missing in the store \(8 rows\)"):
        to_table(objects, [part], NESTED.schema)


def test_remote_bytes_are_hashed(objects, stage):
    """What comes from a store without files is checked as a whole."""
    (part,) = written(stage, NESTED)
    stage.flush()
    key = f"objects/{part.id[:2]}/{part.id[2:]}.parquet"
    data = bytearray(stage.store.read(key))
    data[10] ^= 1
    stage.store.delete(key)
    stage.store.create(key, bytes(data))
    with pytest.raises(IntegrityError, match=part.id[2:]):
        to_table(Objects(stage.store), [part], NESTED.schema)


def test_lost_deletes_are_not_forgotten(objects, stage):
    """Without its bitmap a part is not read: deleted rows would come back."""
    (part,) = written(stage, rows_of(3))
    with pytest.raises(IntegrityError, match="deleted rows would come back"):
        to_table(objects, [part.with_deletes("0" * 64, 1)], SCHEMA)
