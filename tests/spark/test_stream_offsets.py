"""A stream of new versions, asked as Spark asks it, trigger by trigger: what others do to the lake meanwhile."""

import json
import pickle

import pyarrow as pa
import pytest
from pyspark.sql.datasource import CaseInsensitiveDict

import dataplat as dp
from dataplat._spark._source import DataplatSource
from dataplat.errors import ConfigError, SourceError, SourceGap


def sent(value):
    """Send a value to another process."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301  (made here)


class Stream:
    """A query over a dataset; it is started again by making another with its `offset`."""

    def __init__(self, lake, offset=None, load="flights", **options):
        source = sent(DataplatSource(CaseInsensitiveDict({"path": load, "lake": lake.url, **options})))
        self.reader = sent(source).streamReader(source.schema())
        self.offset = self.reader.initialOffset() if offset is None else offset

    def plan(self):
        """Return the partitions of the next trigger."""
        end = json.loads(json.dumps(self.reader.latestOffset(self.offset, self.reader.getDefaultReadLimit())))
        start, self.offset = self.offset, end
        return [sent(partition) for partition in self.reader.partitions(start, end)]

    def read(self, partitions):
        """Return the rows of partitions, as tasks read them."""
        batches = [batch for each in partitions for batch in sent(self.reader).read(each)]
        return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

    def trigger(self):
        """Return the rows of the next trigger."""
        return self.read(self.plan())

    def rest(self):
        """Return the rows of triggers until there is nothing more, trigger by trigger."""
        found = []
        while True:
            before = self.offset
            rows = self.trigger()
            if self.offset == before:
                return found
            found.append(rows)


@pytest.fixture
def lake(tmp_path):
    """Return a lake with a dataset of four parts: 0, 1, 2 and 3, 4 and 5, 6."""
    lake = dp.open(tmp_path / "lake")
    for some in ([0, 1, 2], [3], [4], [5, 6]):
        add(lake, *some)
    return lake


def add(lake, *values, **options):
    """Append rows."""
    return lake.ingest(pa.table({"n": pa.array(values, pa.int64())}), into="flights", **options)


def test_rows_that_are_erased_before_they_are_read_do_not_come_and_no_others_are_missed(lake):
    """A part that is gone whole, behind or before the place where the stream is, moves none that is there."""
    stream = Stream(lake, maxPartsPerTrigger="1")
    assert stream.trigger() == [(0,), (1,), (2,)]
    lake.erase("flights", "n < 3", "asked for")
    lake.erase("flights", "n = 4", "asked for")
    again = Stream(lake, stream.offset, maxPartsPerTrigger="1")
    assert again.rest() == stream.rest() == [[(3,)], [(5,), (6,)]]
    add(lake, 7)
    assert again.rest() == [[(7,)]]


def test_compactions_and_collections_change_nothing_of_what_comes(lake):
    """A stream goes on, in the middle of a version too, as long as rules keep the versions that it has to read."""
    add(lake, 7)
    stream = Stream(lake, maxPartsPerTrigger="1", **{"from": "main~2"})
    assert stream.trigger() == [(5,), (6,)]
    whole = Stream(lake, maxPartsPerTrigger="1")
    assert whole.trigger() == [(0,), (1,), (2,)]
    lake.compact("flights")
    lake.gc(grace="0s")
    assert stream.rest() == [[(7,)]]
    assert whole.rest() == [[(3,)], [(4,)], [(5,), (6,)], [(7,)]]
    lake.compact("flights")
    assert stream.rest() == []


def test_versions_that_were_collected_before_they_were_read_end_a_stream(lake):
    """It is told which, nothing is passed over, and what is read begins anew."""
    stream = Stream(lake)
    assert len(stream.trigger()) == 7
    add(lake, 7)
    add(lake, 8)
    lake.compact("flights")
    lake.gc("1", grace="0s")
    with pytest.raises(SourceGap, match=r"commit \w+ \(append, .*collected.*new checkpointLocation"):
        Stream(lake, stream.offset).trigger()
    assert len(Stream(lake).trigger()) == 9


def test_rows_that_go_are_passed_over_when_they_may(lake):
    """Deletes and replaces: what they bring comes as rows, what they leave does not come again."""
    stream = Stream(lake, changes="ignore")
    assert len(stream.trigger()) == 7
    lake.delete("flights", "n < 5")
    assert stream.trigger() == []
    add(lake, 6, 7, mode="replace")
    assert stream.trigger() == [(7,)]
    strict = Stream(lake, stream.offset)
    lake.delete("flights", "n = 6")
    add(lake, 9)
    with pytest.raises(SourceError, match=r"\(delete, .*took rows away"):
        strict.trigger()
    assert stream.trigger() == [(9,)]


def test_columns_that_change_end_a_stream_after_what_came_before(lake):
    """Started again at the same offset it has the columns of now, and goes on."""
    stream = Stream(lake)
    assert len(stream.trigger()) == 7
    add(lake, 7)
    lake.evolve("flights", add=["m string"])
    lake.evolve("flights", drop=["n"])
    lake.ingest(pa.table({"m": ["new"]}), into="flights")
    assert stream.trigger() == [(7,)]
    with pytest.raises(SourceError, match=r"column 'n' of flights is gone since commit"):
        stream.trigger()
    assert Stream(lake, stream.offset).rest() == [[("new",)]]


def test_an_offset_of_another_lake_is_refused(lake, tmp_path):
    """No commit of it is there."""
    stream = Stream(lake)
    stream.trigger()
    other = dp.open(tmp_path / "other")
    add(other, 0)
    with pytest.raises(SourceGap, match="the checkpoint is of another lake"):
        Stream(other, stream.offset).trigger()


def test_rows_that_went_are_told_as_a_diff_names_them(tmp_path):
    """Added, removed, changed as they are now; whoever applies them in the order of their commits has the dataset."""
    lake = dp.open(tmp_path / "lake")
    rows = {n: f"s{n}" for n in range(4)}
    upsert(lake, rows)
    stream = Stream(lake, changes="rows")
    first = stream.trigger()
    assert [row[:3] for row in first] == [(n, f"s{n}", "added") for n in range(4)]
    upsert(lake, {1: "new", 7: "s7"})
    lake.delete("flights", "n = 0")
    upsert(lake, {2: "s2"})
    lake.evolve("flights", rename={"s": "text"}, add=["more float64"])
    lake.compact("flights")
    lake.ingest(pa.table({"n": [8], "text": ["s8"], "more": [0.5]}), into="flights", mode="upsert")
    told = stream.trigger()
    assert [row[:3] for row in told] == [
        (1, "new", "changed"),
        (7, "s7", "added"),
        (0, "s0", "removed"),
        (8, "s8", "added"),
    ]
    assert [row[3] for row in told] == sorted(row[3] for row in told)
    held = {}
    for n, text, change, _ in first + told:
        if change == "removed":
            del held[n]
        else:
            held[n] = text
    assert held == {row["n"]: row["text"] for row in lake["flights"].to_arrow().to_pylist()}
    upsert(lake, {8: "old"}, name="text")
    assert [row[:4] for row in Stream(lake, stream.offset, changes="rows").trigger()] == [(8, "old", None, "changed")]


def upsert(lake, rows, name="s"):
    """Upsert rows by key."""
    table = pa.table({"n": pa.array(rows, pa.int64()), name: list(rows.values())})
    if "flights" in lake and "more" in lake["flights"].schema.names:
        table = table.append_column("more", pa.nulls(len(rows), pa.float64()))
    lake.ingest(table, into="flights", mode="upsert", key="n")


def test_a_dataset_without_a_key_has_rows_that_go_and_come(lake):
    """Each commit is told whole, however little a trigger may read; a column of the same name is refused."""
    stream = Stream(lake, changes="rows", maxRowsPerTrigger="1", **{"from": "latest"})
    add(lake, 50, 6, mode="replace")
    lake.rollback("flights@main~1")
    found = stream.rest()
    assert len(found) == 2
    assert {row[:2] for row in found[1]} == {
        (n, {"added": "removed", "removed": "added"}[kind]) for n, kind, _ in found[0]
    }
    lake.ingest(pa.table({"_change": [1]}), into="odd")
    with pytest.raises(ConfigError, match="column '_change', which"):
        Stream(lake, load="odd", changes="rows")
