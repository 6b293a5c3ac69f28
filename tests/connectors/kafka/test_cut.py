"""What one commit takes of a topic, and what is kept of a record."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dataplat.connectors.codecs import Records, open_codec
from dataplat.connectors.kafka import Topic
from dataplat.connectors.kafka._cut import Block, Cut, Piece, joined
from dataplat.connectors.kafka._kept import KEEPS, kept_in, parse_kept, without_kept
from dataplat.connectors.kafka._positions import Start, source_id
from dataplat.connectors.source import Rejects
from dataplat.errors import ConfigError, PositionConflict, SchemaMismatch, SourceError

TOPIC = Topic("t", "id", "c", (0, 1))


def records(*values, partition=0, first=0, times=None):
    """Return records with these values."""
    count = len(values)
    return Records(
        "t",
        partition,
        np.arange(first, first + count, dtype=np.int64),
        np.array(times or [-1] * count, np.int64),
        pa.array([b"k%d" % i for i in range(count)], pa.binary()),
        pa.array(values, pa.binary()),
    )


def block(*values, kept=(), **more):
    """Return them decoded as JSON."""
    found = records(*values, **more)
    return Block.of(found, open_codec("json").decode(found, None), kept, source_id(TOPIC, found.partition))


def cut(*blocks, start=None, end=9, partition=0):
    """Return a cut of one partition with these blocks."""
    piece = Piece(start or Start(0, None), end, list(blocks))
    schema = joined(None, [one.batch.schema for one in blocks if one.batch.num_rows], "t")
    return Cut(TOPIC, "t", {partition: piece}, schema)


def test_it_can_be_read_again():
    """Blocks with other columns are brought under one schema, and a second reading gives the same."""
    made = cut(block(b'{"a": 1}', b"x"), block(b'{"a": 2.5, "b": "y"}', first=2))
    (split,) = made.plan({})
    items = list(made.read(split))
    assert made.schema() == pa.schema([("a", pa.float64()), ("b", pa.string())])
    rows = [row for item in items if isinstance(item, pa.RecordBatch) for row in item.to_pylist()]
    assert rows == [{"a": 1.0, "b": None}, {"a": 2.5, "b": "y"}]
    assert [item.batch.column("offset").to_pylist() for item in items if isinstance(item, Rejects)] == [[1]]
    assert [type(item) for item in made.read(split)] == [type(item) for item in items]
    assert made.position(split)["records"] == 3


def test_somebody_else_has_read_on():
    """Where the dataset has another position by now, the cut does not hold."""
    made = cut(block(b'{"a": 1}'))
    with pytest.raises(PositionConflict, match="is read up to offset 7 by now"):
        made.plan({source_id(TOPIC, 0): {"end": 7}})
    with pytest.raises(PositionConflict, match="was not read before"):
        cut(block(b'{"a": 1}'), start=Start(3, {"end": 3})).plan({})


def test_rejects_alone():
    """Where no record is a row there is no column, and the error shows the first."""
    made = cut(block(b"x", b"y", first=5))
    assert made.rejected == 2
    with pytest.raises(SourceError, match=r"none of the 2 records.*t\[0\]@5"):
        made.schema()


def test_types_that_do_not_go_together():
    """Blocks that no promotion brings together are an error that names the column and both types."""
    with pytest.raises(SchemaMismatch, match="t: column 'a' is int64 so far, and string here"):
        cut(block(b'{"a": 1}'), block(b'{"a": "x"}'))


def test_all_that_can_be_kept():
    """Key, partition, offset, time and headers stand beside the row that the record is, not beside a reject."""
    batch = block(b"x", b'{"a": 1}', kept=KEEPS, times=[5, 1_700_000_000_001], first=40).batch
    (row,) = batch.to_pylist()
    assert (row["_key"], row["_partition"], row["_offset"], row["_headers"]) == (b"k1", 0, 41, None)
    assert row["_timestamp"].timestamp() == 1_700_000_000.001


def test_a_record_without_a_time():
    """It has none in its column."""
    assert block(b'{"a": 1}', kept=("timestamp",)).batch.column("_timestamp").to_pylist() == [None]


def test_a_value_that_has_the_name():
    """A value with a column of the name of one that is kept is refused, and which."""
    with pytest.raises(SchemaMismatch, match="have a column '_offset' of their own"):
        block(b'{"_offset": 1}', kept=("offset",))


def test_names_of_what_is_kept():
    """Each once, in the usual order; what the dataset keeps goes on being kept; what no record has is refused."""
    assert parse_kept(["offset", "key", "offset"]) == ("key", "offset")
    schema = pa.schema([("_partition", pa.int32()), ("n", pa.int64())])
    assert kept_in(schema, ["key"]) == ("key", "partition")
    assert without_kept(schema, ("partition",)).names == ["n"]
    with pytest.raises(ConfigError, match="records have no 'color'"):
        parse_kept(["color"])
