"""Streaming queries write versions: each batch once, whatever is run again."""

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._spark._stream_sink import Batch
from dataplat.errors import SourceGap
from servers.streams import Batches

pytestmark = pytest.mark.slow


@pytest.fixture
def batches(spark, tmp_path):
    """Return a stream of two columns, and an empty lake."""
    dp.open(tmp_path / "lake")
    return Batches(spark, tmp_path)


def rows(lake, reference):
    """Return the rows of a version, in order."""
    return sorted(lake[reference].to_arrow().to_pylist(), key=lambda row: (row["n"], str(row)))


def commits(lake, dataset):
    """Return how many commits changed a dataset."""
    return len(lake.log(dataset))


def some(first, count=3):
    """Return rows."""
    return [{"n": n, "s": f"s{n}"} for n in range(first, first + count)]


def test_each_batch_is_a_version_and_one_that_is_run_again_changes_nothing(batches):
    """Found behind commits of others, to the same dataset and elsewhere; the content id is the local one's."""
    for first in (0, 3, 6):
        batches.add(some(first))
    batches.run("flights")
    lake = dp.open(batches.lake)
    assert rows(lake, "flights") == some(0, 9)
    assert commits(lake, "flights") == 3
    lake.ingest(pa.table({"n": range(9), "s": [f"s{n}" for n in range(9)]}), into="locally")
    assert lake["flights"].content_id == lake["locally"].content_id
    assert batches.forget_last() == 2
    lake.ingest(pa.table({"n": [100], "s": ["by hand"]}), into="flights")
    lake.compact("flights")
    lake.delete("flights", "n = 4")
    before = lake["flights"].id, commits(lake, "flights")
    batches.run("flights")
    assert (lake["flights"].id, commits(lake, "flights")) == before
    batches.add(some(9))
    batches.add([])
    batches.run("flights")
    assert rows(lake, "flights") == [row for row in some(0, 12) if row["n"] != 4] + [{"n": 100, "s": "by hand"}]
    assert commits(lake, "flights") == before[1] + 1


def test_upserts_go_by_key_and_complete_output_replaces(batches):
    """An aggregate that is complete is the dataset; rows of a keyed one take each other's place."""
    batches.add([*some(0), {"n": 5, "s": "s5"}])
    batches.add([{"n": 1, "s": "new"}, {"n": 7, "s": "s7"}])
    batches.run("keyed", mode="upsert", key="n")
    lake = dp.open(batches.lake)
    assert [(row["n"], row["s"]) for row in rows(lake, "keyed")] == [
        (0, "s0"),
        (1, "new"),
        (2, "s2"),
        (5, "s5"),
        (7, "s7"),
    ]
    counts = batches.frame().groupBy("n").count()
    batches.run("counts", "other", frame=counts, output="complete")
    assert [(row["n"], row["count"]) for row in rows(lake, "counts")] == [(0, 1), (1, 2), (2, 1), (5, 1), (7, 1)]
    assert commits(lake, "counts") == 2


def test_batches_of_deletes_take_rows_away_by_key_once(batches, tmp_path):
    """A row that came again since stays, though Spark runs the batch again; keys that are not there are no matter."""
    batches.add(some(0, 4))
    batches.run("keyed", mode="upsert", key="n")
    (tmp_path / "gone").mkdir()
    gone = Batches(batches.spark, tmp_path / "gone", "n long")
    gone.lake = batches.lake
    gone.add([{"n": 1}, {"n": 9}, {"n": 1}])
    gone.add([{"n": 2}])
    gone.run("keyed", mode="delete", stream="gone")
    lake = dp.open(batches.lake)
    assert [row["n"] for row in rows(lake, "keyed")] == [0, 3]
    lake.ingest(pa.table({"n": [2], "s": ["again"]}), into="keyed", mode="upsert")
    assert gone.forget_last() == 1
    gone.run("keyed", mode="delete", stream="gone")
    assert [row["n"] for row in rows(lake, "keyed")] == [0, 2, 3]


def test_new_columns_are_taken_and_other_types_refused(batches):
    """Between two starts of a query its columns may change as those of any ingest may; what does not fit lands not at all."""
    batches.add(some(0, 1))
    batches.run("flights")
    batches.add([{"n": 1, "s": "x", "extra": 1.5}])
    batches.schema = "n long, s string, extra double"
    batches.run("flights")
    lake = dp.open(batches.lake)
    assert rows(lake, "flights") == [{"n": 0, "s": "s0", "extra": None}, {"n": 1, "s": "x", "extra": 1.5}]
    batches.add([{"n": "two", "s": "x", "extra": 1.5}])
    batches.schema = "n string, s string, extra double"
    with pytest.raises(Exception, match=r"(?s)SchemaMismatch.*column 'n'"):
        batches.run("flights")
    assert lake["flights"].rows == 2


def test_another_query_is_refused_until_it_is_said_to_take_over(batches, tmp_path):
    """A checkpoint that was deleted begins again at batch 0 with another id: its rows would be there twice."""
    batches.add(some(0))
    batches.run("flights")
    lake = dp.open(batches.lake)
    with pytest.raises(Exception, match=r"(?s)SourceGap: flights holds batches 0 to 0 of query .*twice"):
        batches.run("flights", "second")
    assert lake["flights"].rows == 3
    batches.add(some(3))
    batches.run("flights", "third", stream="north")
    assert lake["flights"].rows == 9
    held = query_of(lake)
    batches.run("flights", "fourth", takeover=held)
    assert lake["flights"].rows == 15
    with pytest.raises(Exception, match=r"(?s)SourceGap: flights holds batches 0 to 1 of query .*this is batch 1 of"):
        batches.run("flights")
    batches.add(some(6))
    with pytest.raises(
        Exception, match=r"(?s)SourceGap: batch \d of query .*elsewhere holds none of the batches before"
    ):
        batches.run("elsewhere", "third")
    assert "elsewhere" not in lake
    assert lake["flights"].rows == 15
    batches.lake = str(tmp_path / "other")
    dp.open(batches.lake)
    with pytest.raises(Exception, match=r"(?s)SourceGap: batch \d of query .*used with another lake"):
        batches.run("flights", "fourth")
    assert dp.open(batches.lake).datasets() == []


def query_of(lake):
    """Return the id of the query that feeds flights."""
    head = lake.refs.head("main").commit
    return head.dataset("flights", lake.objects.read).position("spark-stream", lake.objects.read)["query"]


@pytest.mark.parametrize(
    ("held", "takeover", "is_new"),
    [
        (None, None, True),
        ({"query": "a", "batch": 0}, None, False),
        ({"query": "b", "batch": 7}, "b", True),
    ],
)
def test_the_first_batch_lands_where_nothing_is_held_or_it_takes_over(held, takeover, is_new):
    """What is held decides, and nothing else."""
    assert Batch("a", 0).is_new(held, takeover, "d") is is_new


@pytest.mark.parametrize(
    ("number", "held", "takeover"),
    [(3, None, None), (3, None, "b"), (0, {"query": "b", "batch": 7}, None), (9, {"query": "b", "batch": 7}, "none")],
)
def test_what_would_double_or_lack_rows_is_refused(number, held, takeover):
    """Also where something else is taken over than what is there."""
    with pytest.raises(SourceGap, match="takeover"):
        Batch("a", number).is_new(held, takeover, "d")
