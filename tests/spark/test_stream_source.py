"""New versions of a dataset are a stream: what each commit brought, once, and an error where rows went."""

from contextlib import contextmanager
from dataclasses import asdict

import pyarrow as pa
import pytest
from pyspark.errors import StreamingQueryException

import dataplat as dp
from dataplat._spark._stream_steps import Offset

pytestmark = pytest.mark.slow


@pytest.fixture
def lake(tmp_path):
    """Return a lake with a dataset of three rows."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"n": [0, 1, 2]}), into="flights")
    return lake


class Reader:
    """A query that reads a dataset into memory, run after run."""

    def __init__(self, spark, folder):
        self.spark, self.folder = spark, folder

    def stream(self, load="flights", lake="lake", **options):
        """Return a stream."""
        stream = self.spark.readStream.format("dataplat").option("lake", str(self.folder / lake))
        return stream.options(**options).load(load)

    def run(self, load="flights", name="first", lake="lake", **options):
        """Return, batch by batch, the values of n that came."""
        came = []
        stream = self.stream(load, lake, **options).writeStream
        writer = stream.foreachBatch(lambda frame, _: came.append(sorted(row.n for row in frame.collect())))
        writer = writer.option("checkpointLocation", str(self.folder / name))
        for attempt in range(5):
            try:
                writer.trigger(availableNow=True).start().awaitTermination()
                break
            except StreamingQueryException as error:  # Spark gives a source 10 s to start
                if attempt == 4 or "failed to connect back" not in str(error):
                    raise
        return [some for some in came if some]


@contextmanager
def running(writer, checkpoint):
    """Run a query meanwhile."""
    query = writer.option("checkpointLocation", str(checkpoint)).trigger(processingTime="50 milliseconds").start()
    try:
        yield query
    finally:
        query.stop()


@pytest.fixture
def reader(spark, tmp_path):
    """Return a reader of the lake."""
    return Reader(spark, tmp_path)


def add(lake, *values, **options):
    """Append rows."""
    return lake.ingest(pa.table({"n": pa.array(values, pa.int64())}), into="flights", **options)


def test_what_commits_bring_is_read_once_and_compactions_are_passed_over(reader, lake):
    """First all that is there, then what is new; the same checkpoint goes on where it was."""
    add(lake, 3)
    assert reader.run() == [[0, 1, 2, 3]]
    add(lake, 4)
    lake.compact("flights")
    lake.describe("flights", "words")
    lake.ingest(pa.table({"n": [1]}), into="other")
    add(lake, 5, 6)
    assert reader.run() == [[4, 5, 6]]
    lake.compact("flights")
    assert reader.run() == []
    assert reader.run(name="latest", **{"from": "latest"}) == []
    assert reader.run(name="back", **{"from": "main~1"}) == [[5, 6]]
    lake.ingest(pa.table({"n": [7], "more": ["x"]}), into="flights")
    assert reader.run() == [[7]]


def test_a_trigger_reads_no_more_than_it_may(reader, lake):
    """Parts, rows or bytes; at least one part, so that it goes on."""
    for n in range(3, 8):
        add(lake, n)
    assert reader.run(name="parts", maxPartsPerTrigger="2") == [[0, 1, 2, 3], [4, 5], [6, 7]]
    assert reader.run(name="rows", maxRowsPerTrigger="4") == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert reader.run(name="bytes", maxBytesPerTrigger="1", **{"from": "main~2"}) == [[6], [7]]
    with pytest.raises(Exception, match="ConfigError: Spark takes one limit"):
        reader.run(name="two", maxBytesPerTrigger="1", maxRowsPerTrigger="4")


def test_rows_that_went_end_the_stream_unless_it_may_go_on(reader, lake):
    """What came before is read; then the error names the commit and says what to do; a rollback is told as one."""
    assert reader.run() == [[0, 1, 2]]
    add(lake, 3)
    lake.delete("flights", "n = 1")
    add(lake, 4)
    with pytest.raises(Exception, match=r"(?s)SourceError: commit \w+ \(delete, .*took rows away"):
        reader.run(maxRowsPerTrigger="1")
    assert reader.run(changes="ignore") == [[4]]
    lake.rollback("flights@main~2")
    with pytest.raises(Exception, match=r"(?s)SourceError: commit \w+ \(rollback, .*behind what was read"):
        reader.run()


def test_a_trigger_waits_until_there_are_rows_enough(reader, lake):
    """Fewer than `minRowsPerTrigger` are not read; who reads what is there now, and ends, reads them all the same."""
    stream = reader.stream(minRowsPerTrigger="5")
    with running(stream.writeStream.format("memory").queryName("enough"), reader.folder / "enough") as query:

        def came():
            query.processAllAvailable()
            return sorted(row.n for row in reader.spark.table("enough").collect())

        assert came() == []
        add(lake, 3)
        assert came() == []
        add(lake, 4, 5)
        assert came() == [0, 1, 2, 3, 4, 5]
        add(lake, 6)
        assert came() == [0, 1, 2, 3, 4, 5]
    assert reader.run(minRowsPerTrigger="50") == [[0, 1, 2, 3, 4, 5, 6]]


def test_what_is_no_branch_or_has_no_such_commit_is_refused(reader, lake):
    """A tag does not move, and a branch that was made anew has another history."""
    lake.refs.create_branch("work", lake.refs.head("main").commit)
    add(lake, 3, branch="work")
    assert reader.run("flights@work") == [[0, 1, 2, 3]]
    lake.refs.delete_branch("work")
    lake.refs.create_branch("work", lake.refs.head("main").commit)
    with pytest.raises(Exception, match=r"(?s)SourceGap: the stream had read flights up to commit"):
        reader.run("flights@work")
    add(lake, 9)
    with pytest.raises(Exception, match="ConfigError: 'flights@main~1' is one version"):
        reader.run("flights@main~1", name="other")
    with pytest.raises(Exception, match="ConfigError: unknown changes"):
        reader.run(name="other", changes="all")


def test_offsets_are_what_a_checkpoint_keeps():
    """Their JSON form is part of a user's checkpoints and does not change."""
    assert asdict(Offset("c", "d", 2)) == {"after": "c", "within": "d", "place": 2}
