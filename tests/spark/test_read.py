"""A version read by Spark, as it is."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._spark._read import grouped
from dataplat._spark._source import DataplatSource
from dataplat.errors import PredicateError


@pytest.fixture
def lake(tmp_path):
    """Return a lake with a dataset of three versions, the last of which has deletes and other columns."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"n": pa.array(range(10), pa.int32()), "s": [f"s{i}" for i in range(10)]}), into="t", key="n")
    lake.tag("v1")
    lake.delete("t", where="n < 3")
    lake.branch("dev")
    lake.evolve("t", rename={"s": "name"}, add={"more": {"list": "int64"}}, widen={"n": "int64"})
    lake.ingest(pa.table({"n": [2**40], "name": ["new"], "more": [[1, None]]}), into="t")
    return lake


def sent(value):
    """Send a value to another process."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301  (made here)


def rows(lake, reference, **options):
    """Return the rows of a version as tasks read them, in this process."""
    source = sent(DataplatSource({"path": reference, "lake": lake.url, **options}))
    schema = source.schema()
    read = sent(source).reader(schema)
    partitions = sent(read.partitions())
    batches = [batch for each in partitions for batch in sent(read).read(each)]
    names = schema.names
    return [tuple(row[name] for name in names) for batch in batches for row in batch.to_pylist()]


def test_any_reference_is_read(lake):
    """A tag, a branch, a version back, an id: deletes hold, columns have the names and types of that version."""
    old = [(n, f"s{n}") for n in range(10)]
    assert rows(lake, "t@v1") == old
    assert rows(lake, "t@dev") == old[3:]
    assert rows(lake, "t@main~3") == old
    assert rows(lake, f"t@id:{lake['t@v1'].id[:16]}") == old
    assert rows(lake, "t") == [*[(n, s, None) for n, s in old[3:]], (2**40, "new", [1, None])]
    assert rows(lake, "t", columns="name, n")[-1] == ("new", 2**40)


def test_every_type_is_read_as_it_lies(tmp_path, every_type):
    """A column of each type that Spark knows."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(every_type, into="t")
    assert rows(lake, "t") == [tuple(row.values()) for row in lake["t"].to_arrow().to_pylist()]


def test_an_empty_version_is_read(tmp_path):
    """No row and no part: a schema."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"n": pa.array([], pa.int64())}), into="t")
    assert rows(lake, "t") == []


def test_a_version_is_pinned_when_its_schema_is_asked(lake):
    """Whoever commits between schema and read, and between plan and tasks: the rows are of one version."""
    source = DataplatSource({"path": "t", "lake": lake.url})
    schema = source.schema()
    lake.evolve("t", drop=["name"])
    lake.delete("t", where="n > 5")
    read = reader_of(source, schema)
    partitions = read.partitions()
    lake.ingest(pa.table({"n": [1], "more": [[7]]}), into="t", mode="replace")
    assert sum(batch.num_rows for each in partitions for batch in read.read(each)) == 8


def reader_of(source, schema):
    """Return the reader that a process gets that was sent the source."""
    return sent(source).reader(schema)


def test_small_parts_are_read_together(lake):
    """Parts are grouped in their order, up to a size; a large one is alone."""
    parts = [part for part in lake["t"].parts for _ in range(5)]
    size = max(part.size for part in parts)
    groups = list(grouped(parts, 2 * size))
    assert [part for group in groups for part in group] == parts
    assert all(sum(part.size for part in group) <= 2 * size for group in groups)
    assert len(groups) < len(parts)
    assert len(list(grouped(parts, 1))) == len(parts)


def test_no_group_of_parts_is_a_rest(lake):
    """Tasks are about as long: the last does not begin when others are done."""
    part = lake["t"].parts[0]
    assert [len(group) for group in grouped([part] * 10, 3 * part.size)] == [3, 2, 3, 2]
    assert [len(group) for group in grouped([part] * 4, 3 * part.size)] == [2, 2]


def test_parts_that_cannot_match_are_no_task(tmp_path, reads, monkeypatch):
    """Of four parts only the one of which `where` may select rows is in a partition, and is read."""
    lake = dp.open(tmp_path / "lake")
    for start in range(0, 400, 100):
        lake.ingest(pa.table({"n": range(start, start + 100), "s": [f"s{i}" for i in range(100)]}), into="t")
    monkeypatch.setattr("dataplat._spark._read.GROUP", 1)
    found = {}
    for where in (None, "n >= 250 and n < 260"):
        options = {} if where is None else {"where": where}
        read = reader_of(*asked(DataplatSource({"path": "t", "lake": lake.url, **options})))
        partitions = read.partitions()
        reads.clear()
        rows = [row for each in partitions for batch in read.read(each) for row in batch.column("n").to_pylist()]
        found[where] = len(partitions), rows, len(reads.parts)
    assert found == {None: (4, list(range(400)), 4), "n >= 250 and n < 260": (1, list(range(250, 260)), 1)}


def test_a_condition_is_of_the_names_of_now(tmp_path):
    """Columns whose names were swapped: what is known of parts is of the names that they have now."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"a": [1, 2, 3], "b": [100, 200, 300]}), into="t")
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
        lake.evolve("t", rename={old: new})
    assert [row[0] for row in rows(lake, "t", columns="a", where="a >= 200")] == [200, 300]
    assert [row[0] for row in rows(lake, "t", columns="b", where="b <= 2")] == [1, 2]


def asked(source):
    """Return a source, and its schema as Spark hands it back."""
    return source, source.schema()


@pytest.mark.parametrize(("where", "said"), [("m = 1", "m"), ("n >", "n >"), ("name like", "name like")])
def test_a_where_that_is_wrong_is_refused_before_a_task(lake, where, said):
    """A column that is not there, and what is no condition."""
    with pytest.raises(PredicateError, match=said):
        reader_of(*asked(DataplatSource({"path": "t", "lake": lake.url, "where": where})))


@pytest.mark.parametrize("pushes", ["false", "true"])
def test_a_frame_answers_each_question_for_itself(spark, lake, pushes):
    """Spark 4.2.0 would keep what a filter selected for the next question, so it is handed none; `where` holds for all."""
    session = spark.newSession()
    session.conf.set("spark.sql.python.filterPushdown.enabled", pushes)
    read = session.read.format("dataplat").option("lake", lake.url)
    frame = read.load("t@v1")
    assert [frame.count(), frame.where("n = 5").count(), frame.count()] == [10, 1, 10]
    assert frame.where("n < 7").agg({"n": "max"}).first()[0] == 6
    assert frame.agg({"n": "max"}).first()[0] == 9
    some = read.option("where", "n >= 4 and s <> 's8'").load("t@v1")
    assert [some.count(), some.where("n = 5").count(), some.where("n = 3").count(), some.count()] == [5, 1, 0, 5]


def test_spark_reads_versions(spark, lake):
    """The short name is found without registration; filters, columns and joins of two versions give the version's rows."""

    def load(reference, **options):
        return spark.read.format("dataplat").options(lake=lake.url, **options).load(reference)

    now = load("t")
    assert now.schema.simpleString() == "struct<n:bigint,name:string,more:array<bigint>>"
    assert sorted(map(tuple, now.collect()), key=str) == sorted(rows(lake, "t"), key=str)
    assert [row.n for row in now.where("n between 4 and 5 and name like 's%' and n % 2 = 0").collect()] == [4]
    assert now.where("more is not null").count() == 1
    assert load("t@v1", columns="n").join(now, "n", "left_anti").count() == 3
    assert load("t").where("n > 5").select("name").agg({"name": "max"}).collect()[0][0] == "s9"


def test_spark_has_every_type(spark, tmp_path, every_type):
    """Read by Spark and written by Spark in one plan: the content of the new dataset is that of the old one."""
    lake = dp.open(tmp_path / "lake")
    kept = [at for at in range(every_type.num_columns) if not pa.types.is_null(every_type.schema.field(at).type)]
    lake.ingest(every_type.select(kept), into="t")
    read = spark.read.format("dataplat").option("lake", lake.url).load("t")
    read.write.format("dataplat").option("lake", lake.url).mode("append").save("u")
    assert lake["u"].content_id == lake["t"].content_id
