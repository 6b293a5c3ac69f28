"""Parts: what is written is read back bit for bit by every engine, known exactly, and the same for the same rows."""

from __future__ import annotations

import hashlib
import io
import math
import threading
from decimal import Decimal

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataplat.errors import SchemaError, SchemaMismatch
from dataplat.lake._part_footer import RowGroupFooter, join_footers, split_file
from dataplat.lake._part_pipeline import Pipeline
from dataplat.lake.content_id import digest, row_digests
from dataplat.lake.digest import Digest
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.part import ColumnStats
from dataplat.lake.parts import PartWriter, read_part
from dataplat.lake.stores import FileStore, MemoryStore

SCALARS = st.sampled_from(
    [
        (pa.null(), st.none()),
        (pa.bool_(), st.booleans()),
        (pa.int8(), st.integers(-128, 127)),
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.uint32(), st.integers(0, 2**32 - 1)),
        (pa.uint64(), st.integers(0, 2**64 - 1)),
        (pa.float16(), st.floats(width=16)),
        (pa.float32(), st.floats(width=32)),
        (pa.float64(), st.floats()),
        (pa.string(), st.text(max_size=4) | st.text("é", min_size=120, max_size=140)),
        (pa.binary(), st.binary(max_size=4)),
        (pa.binary(2), st.binary(min_size=2, max_size=2)),
        (pa.date32(), st.integers(-(2**31), 2**31 - 1)),
        (pa.time32("ms"), st.integers(0, 86_399_999)),
        (pa.time64("ns"), st.integers(0, 86_399 * 10**9)),
        (pa.timestamp("ns"), st.integers(-(2**63), 2**63 - 1)),
        (pa.timestamp("us", "Europe/Berlin"), st.integers(-(10**15), 10**15)),
        (pa.duration("ms"), st.integers(-(2**63), 2**63 - 1)),
        (pa.decimal128(9, 2), st.decimals(-1000, 1000, places=2)),
        (pa.decimal128(30, 0), st.integers(-(10**27), 10**27).map(Decimal)),
        (pa.decimal256(60, 2), st.decimals(-1000, 1000, places=2)),
    ]
)


def nested(inner):
    """Nested types of `inner` and their values."""
    return st.one_of(
        inner.map(lambda one: (pa.list_(one[0]), st.lists(one[1] | st.none(), max_size=3))),
        inner.map(lambda one: (pa.struct([("a.b", one[0])]), st.fixed_dictionaries({"a.b": one[1] | st.none()}))),
        inner.map(
            lambda one: (pa.map_(pa.string(), one[0]), st.lists(st.tuples(st.text(max_size=2), one[1]), max_size=2))
        ),
        inner.map(lambda one: (pa.list_(one[0], 2), st.lists(one[1] | st.none(), min_size=2, max_size=2))),
    )


KINDS = st.recursive(SCALARS, nested, max_leaves=3)


@st.composite
def tables(draw, kinds=KINDS):
    """Tables of one to three columns of any type; names with dots look like paths of Parquet and are not."""
    size = draw(st.integers(0, 20))
    columns = {}
    for name in draw(st.lists(st.sampled_from(["a", "a.b", "é", "list"]), min_size=1, max_size=3, unique=True)):
        kind, values = draw(kinds)
        cells = draw(st.lists(values | st.none(), min_size=size, max_size=size))
        columns[name] = pa.array(cells, kind)
    return pa.table(columns)


def write(stage, table, chunk=None, **settings):
    """The parts of a table."""
    with PartWriter(stage, table.schema, **settings) as writer:
        for batch in table.to_batches(max_chunksize=chunk):
            writer.write(batch)
        return writer.close()


def read(objects, parts, schema):
    """All rows of parts."""
    return pa.Table.from_batches([batch for part in parts for batch in read_part(objects, part)], schema)


def same(a, b):
    """Whether two tables are equal, NaN as itself (values that Python has no object for included)."""
    both = (row_digests(table.combine_chunks()) for table in (a, b))
    return a.schema == b.schema and len(a) == len(b) and np.array_equal(*both)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(tables(), st.integers(1, 7), st.integers(1, 12), st.integers(1, 7))
def test_what_is_written_is_read(table, row_group_rows, target_rows, chunk):
    """Any types, any sizes of row groups, parts and batches: the rows come back, in order, with their digest."""
    stage = Stage(MemoryStore())
    parts = write(stage, table, chunk, row_group_rows=row_group_rows, target_rows=target_rows, threads=0)
    assert same(read(Objects(stage.store, stage), parts, table.schema), table)
    assert sum(part.rows for part in parts) == len(table)
    total = Digest()
    for part in parts:
        total += part.digest
    assert total == digest(table.to_batches())


UNITS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}


def brute(column):
    """The statistics of a column, counted one by one."""
    kind = column.type
    if pa.types.is_temporal(kind):
        unit = 86_400 * 10**9 if pa.types.is_date(kind) else UNITS[kind.unit]
        counts = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).to_pylist()
        cells = [None if count is None else count * unit for count in counts]
    else:
        cells = [None] * len(column) if pa.types.is_nested(kind) else column.to_pylist()
    nans = sum(1 for cell in cells if isinstance(cell, float) and math.isnan(cell))
    valued = [cell for cell in cells if cell is not None and cell == cell]  # noqa: PLR0124
    bounded = valued and not (pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind))
    low, high = (min(valued), max(valued)) if bounded else (None, None)
    if pa.types.is_decimal(kind) and bounded:
        low, high = str(low), str(high)
    if isinstance(low, str) and max(len(low.encode()), len(high.encode())) > 256:
        low = high = None
    if pa.types.is_temporal(kind) and bounded and not -(2**63) <= low <= high < 2**63:
        low = high = None
    return ColumnStats(column.null_count if not pa.types.is_null(kind) else len(column), nans, low, high)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(tables(SCALARS | nested(SCALARS)), st.integers(1, 7))
def test_statistics_are_exact(table, row_group_rows):
    """Nulls, NaN and bounds of every column are those that counting finds."""
    parts = write(Stage(MemoryStore()), table, row_group_rows=row_group_rows, threads=0)
    for part in parts:
        for name in table.column_names:
            found, wanted = part.stats[name], brute(table.column(name))
            assert (found.nulls, found.nans) == (wanted.nulls, wanted.nans)
            if wanted.low is None:
                assert found.low is None or row_group_rows < len(table)
            if found.low is not None:
                assert (found.low, found.high) == (wanted.low, wanted.high)
            else:
                assert wanted.low is None or isinstance(wanted.low, str)  # one of 256 bytes, beside a longer one


def test_strings_are_ordered_by_their_bytes():
    """Bounds of strings are those of their UTF-8 bytes; one over 256 bytes leaves both out."""
    column = ["\U0001f600", "\uffff", "a"]
    (part,) = write(Stage(MemoryStore()), pa.table({"s": column, "long": ["x" * 257, "a", "b"]}), row_group_rows=2)
    assert part.stats["s"] == ColumnStats(0, 0, "a", "\U0001f600")
    assert part.stats["long"] == ColumnStats(0)


def test_a_name_with_a_dot_beside_a_field_of_that_path():
    """A column `a.b` of whole numbers and a text `b` in a struct `a` are one path to Parquet, and not to us."""
    stage = Stage(MemoryStore())
    table = pa.table({"a.b": [1, 2], "a": pa.array([{"b": "x"}, {"b": "z"}])})
    parts = write(stage, table)
    assert same(read(Objects(stage.store, stage), parts, table.schema), table)
    assert parts[0].stats["a.b"] == ColumnStats(0, 0, 1, 2)


def test_statistics_of_the_first_columns_the_key_and_the_sort_order():
    """Beyond 32 columns only those of the key and of the sort order are known."""
    table = pa.table({f"c{i}": [1] for i in range(40)})
    (part,) = write(Stage(MemoryStore()), table, key=["c35"], sort=["c39"], threads=0)
    assert list(part.stats) == [*(f"c{i}" for i in range(32)), "c35", "c39"]


MIXED = pa.table(
    {
        "id": pa.array(range(5000)),
        "word": pa.array([None if i % 7 == 0 else f"word {i % 50}" for i in range(5000)]),
        "text": pa.array([f"text {i}" for i in range(5000)]),
        "value": pa.array([None if i % 11 == 0 else i / 7 for i in range(5000)]),
        "at": pa.array(range(0, 5_000_000, 1000), pa.timestamp("us")),
        "list": pa.array([[i, None] for i in range(5000)]),
    }
)


@pytest.mark.parametrize("row_group_rows", [100, 700, 5000])
def test_other_engines_read_parts(tmp_path, row_group_rows):
    """pyarrow, Polars and DuckDB read the parts, however many row groups were joined to one footer."""
    store = FileStore(tmp_path / "lake")
    with Stage(store) as stage:
        parts = write(stage, MIXED, 333, row_group_rows=row_group_rows, target_rows=3500)
        stage.flush()
    paths = [str(Objects(store).local_path(part.id, ".parquet")) for part in parts]
    assert pa.concat_tables([pq.read_table(path, page_checksum_verification=True) for path in paths]).equals(MIXED)
    assert pl.read_parquet(paths).equals(pl.from_arrow(MIXED))
    found = duckdb.sql(f"select * from read_parquet({paths}, file_row_number = false)").to_arrow_table()
    assert found.cast(MIXED.schema).equals(MIXED)
    assert pl.scan_parquet(paths).filter(pl.col("id") == 4321).collect().height == 1
    metadata = pq.read_metadata(paths[0])
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)][:-1] == [row_group_rows] * (metadata.num_row_groups - 1)  # fmt: skip
    assert metadata.num_rows == parts[0].rows


def test_a_part_is_named_by_its_bytes(tmp_path):
    """Id, size and footer hash are those of the file, so `sha256sum` checks a lake."""
    store = FileStore(tmp_path / "lake")
    with Stage(store) as stage:
        (part,) = write(stage, MIXED)
        stage.flush()
    data = Objects(store).local_path(part.id, ".parquet").read_bytes()
    length = int.from_bytes(data[-8:-4], "little") + 8
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (part.id, part.size)
    assert hashlib.sha256(data[-length:]).hexdigest() == part.footer


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("chunk", [1, 77, 5000])
def test_same_rows_same_parts(threads, chunk):
    """How the input was batched and how many threads encode it changes not a byte."""
    settings = {"row_group_rows": 400, "target_rows": 1200}
    wanted = write(Stage(MemoryStore()), MIXED.slice(0, 3000), **settings, threads=0)
    assert write(Stage(MemoryStore()), MIXED.slice(0, 3000), chunk, **settings, threads=threads) == wanted
    assert [part.rows for part in wanted] == [1200, 1200, 600]


def test_the_last_rows_are_digested_beside_their_encoding(monkeypatch):
    """Many rows that end the input are digested in another thread, few in the caller's, and to the same sum."""
    rows = pa.table({"k": np.arange(20_000)})
    seen = []

    def digested(table):
        seen.append(threading.current_thread() is threading.main_thread())
        return digest(table.to_batches())

    monkeypatch.setattr("dataplat.lake._part_encode._digest", digested)
    for table, threads in ((rows, 2), (rows, 0), (rows.slice(0, 100), 2)):
        assert write(Stage(MemoryStore()), table, threads=threads)[0].digest == digest(table.to_batches())
    assert seen == [False, True, True]


def test_parts_close_at_their_size():
    """A part ends with the row group that brings it to `target_bytes`."""
    parts = write(Stage(MemoryStore()), MIXED, row_group_rows=500, target_bytes=20_000)
    assert len(parts) > 1
    assert all(part.size >= 20_000 for part in parts[:-1])


def test_parts_may_be_shorter_than_a_row_group():
    """`target_rows` holds even where a row group would be longer."""
    assert [part.rows for part in write(Stage(MemoryStore()), MIXED, target_rows=2000)] == [2000, 2000, 1000]


def test_wide_rows_make_short_row_groups(monkeypatch):
    """Row groups are bounded in memory, whatever the rows weigh."""
    monkeypatch.setattr("dataplat.lake.parts._ROW_GROUP_BYTES", 10_000)
    stage = Stage(MemoryStore())
    parts = write(stage, pa.table({"blob": [b"x" * 3000] * 20}))
    metadata = pq.read_metadata(io.BytesIO(stage.read(parts[0].id, ".parquet")))
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [3, 3, 3, 3, 3, 3, 2]


def test_floats_that_do_not_compress_are_stored_as_they_are():
    """Reading measured digits would take more than twice as long, for a few bytes less; all else is compressed."""
    stage = Stage(MemoryStore())
    noise = np.random.default_rng(1).normal(size=20_000)
    table = pa.table({"noise": noise, "price": np.round(noise, 2), "number": np.arange(20_000)})
    for rows, expected in (
        (table, {"noise": "UNCOMPRESSED", "price": "ZSTD", "number": "ZSTD"}),
        (table.append_column("many", pa.array([[1.5]] * 20_000)), dict.fromkeys(("noise", "price", "number"), "ZSTD")),
    ):
        parts = write(stage, rows)
        group = pq.read_metadata(io.BytesIO(stage.read(parts[0].id, ".parquet"))).row_group(0)
        found = {group.column(i).path_in_schema: group.column(i).compression for i in range(3)}
        assert found == expected
        assert same(read(Objects(stage.store, stage), parts, rows.schema), rows)


def test_rows_of_a_part_are_sorted_on_demand():
    """With `sort` each part is sorted within itself, nulls last, ties in the order they came."""
    table = pa.table({"k": [3, 1, None, 1, 9, 8, 7, 6], "n": list(range(8))})
    stage = Stage(MemoryStore())
    parts = write(stage, table, 3, sort=["k"], target_rows=5, row_group_rows=2)
    assert [part.rows for part in parts] == [5, 3]
    found = read(Objects(stage.store, stage), parts, table.schema)
    assert found.to_pydict() == {"k": [1, 1, 3, 9, None, 6, 7, 8], "n": [1, 3, 0, 4, 2, 7, 6, 5]}


def test_no_rows_no_parts():
    """Nothing written, or only empty batches, makes no part."""
    assert write(Stage(MemoryStore()), MIXED.slice(0, 0)) == []


def test_input_is_conformed():
    """A batch in other types of the same values is taken; one that does not fit is named."""
    stage = Stage(MemoryStore())
    with PartWriter(stage, pa.schema([("a", pa.dictionary(pa.int8(), pa.large_string())), ("b", pa.int8())])) as writer:
        assert writer.schema == pa.schema([("a", pa.string()), ("b", pa.int8())])
        writer.write(pa.record_batch({"b": pa.array([1], pa.int64()), "a": pa.array(["x"]).dictionary_encode()}))
        with pytest.raises(SchemaMismatch, match="column 'b', row 1: 300"):
            writer.write(pa.record_batch({"b": pa.array([300], pa.int64()), "a": pa.array(["x"])}))
        assert [part.rows for part in writer.close()] == [1]
    with pytest.raises(SchemaError, match="no column 'c' to sort or key by"):
        PartWriter(stage, writer.schema, key=["c"])


class FullStage(Stage):
    """A stage on a disk that is full."""

    def new_file(self, suffix):
        """Fail as the disk does."""
        raise OSError(28, "No space left on device")


def test_errors_in_the_workers_reach_the_caller(monkeypatch):
    """A full disk in the middle of a part is raised to the caller, and no thread is left."""
    monkeypatch.setattr("dataplat.lake._part_assembly._IN_MEMORY", 1000)
    others = set(threading.enumerate())  # of tests before this one; some may end meanwhile
    with pytest.raises(OSError, match="No space left"):
        write(FullStage(MemoryStore()), MIXED, row_group_rows=100)
    assert set(threading.enumerate()) <= others


def test_nothing_is_left_of_a_part_that_was_abandoned(tmp_path, monkeypatch):
    """An exception in the caller removes the unfinished file; nothing is in the store."""
    monkeypatch.setattr("dataplat.lake._part_assembly._IN_MEMORY", 1000)
    store = FileStore(tmp_path / "lake")

    def interrupted(stage):
        with PartWriter(stage, MIXED.schema, row_group_rows=100, threads=1) as writer:
            writer.write(MIXED.to_batches()[0])
            raise KeyboardInterrupt

    with Stage(store) as stage, pytest.raises(KeyboardInterrupt):
        interrupted(stage)
    assert [path for path in (tmp_path / "lake").rglob("*") if path.suffix == ".parquet"] == []


def test_deleted_rows_are_still_in_the_part():
    """`read_part` reads what was written, some columns of it, and knows a column that is not there."""
    stage = Stage(MemoryStore())
    (part,) = write(stage, pa.table({"a": [1, 2], "b": ["x", "y"]}))
    objects = Objects(stage.store, stage)
    assert [batch.to_pydict() for batch in read_part(objects, part.with_deletes("…", 1), ["b"])] == [{"b": ["x", "y"]}]
    with pytest.raises(SchemaError, match="no column 'c' in part"):
        next(read_part(objects, part, ["c"]))


# ------------------------------------------------------------------------------------------------------ pipeline


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(0, 3), st.integers(1, 120))
@settings(deadline=None)
def test_results_are_taken_in_order_within_the_budget(sizes, threads, budget):
    """Whatever the threads and the budget, results come in order and never more than the budget is under way."""
    taken, under_way, most = [], [0], [0]
    lock = threading.Lock()

    def task(number, size):
        with lock:
            under_way[0] += size
            most[0] = max(most[0], under_way[0])
        return number, size

    def take(result):
        with lock:
            under_way[0] -= result[1]
        taken.append(result[0])

    pipeline = Pipeline(take, threads, budget)
    for number, size in enumerate(sizes):
        pipeline.submit(lambda number=number, size=size: task(number, size), size)
    pipeline.finish()
    assert taken == list(range(len(sizes)))
    assert most[0] <= max([budget, *sizes])


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_an_error_stops_the_pipeline(threads):
    """The error of a task is raised, and nothing after it is taken."""
    taken = []
    pipeline = Pipeline(taken.append, threads, 100)

    def work():
        for number in range(50):
            pipeline.submit(lambda number=number: 1 // (number - 5), 60)
        pipeline.finish()

    with pytest.raises(ZeroDivisionError):
        work()
    pipeline.stop()
    assert len(taken) <= 5


# -------------------------------------------------------------------------------------------------------- footer


def test_offsets_beyond_four_gigabytes():
    """Offsets are moved by any amount, and row groups are numbered."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": ["x", "y"], "b": [1, 2]}), sink)
    _, footer = split_file(memoryview(sink.getvalue()))
    assert isinstance(footer, RowGroupFooter)
    end = join_footers([footer] * 20, [4 + i * 10**10 for i in range(20)])
    metadata = pq.read_metadata(io.BytesIO(b"PAR1" + end))
    assert (metadata.num_row_groups, metadata.num_rows) == (20, 40)
    first = [metadata.row_group(0).column(i) for i in range(2)]
    for number in range(20):
        for i, column in enumerate(first):
            moved = metadata.row_group(number).column(i)
            assert moved.data_page_offset == column.data_page_offset + number * 10**10
            assert moved.dictionary_page_offset == column.dictionary_page_offset + number * 10**10
            assert moved.statistics == column.statistics


def test_a_file_with_two_row_groups_cannot_be_joined():
    """Only files of one row group are taken apart."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1, 2]}), sink, row_group_size=1)
    with pytest.raises(ValueError, match="exactly one row group"):
        split_file(memoryview(sink.getvalue()))
