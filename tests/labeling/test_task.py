"""Tasks: equal questions have one id in any encoding, others another; rows become JSON that says what they hold."""

import datetime as dt
import decimal
import json
import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import LabelConfigError
from dataplat.labeling._payload import plain_column
from dataplat.labeling.config import LabelConfig
from dataplat.labeling.spec import QueueSpec
from dataplat.labeling.task import collect, identity_columns, payload, task_ids
from dataplat.labeling.templates import choices_config
from dataplat.lake.scan import PART_COLUMN, ROW_COLUMN


def batch(**columns):
    """Return a record batch."""
    return pa.RecordBatch.from_pydict(columns)


def ids(rows, columns=None, queue="q"):
    """Return the tasks of rows as texts."""
    return task_ids(rows, columns or rows.schema.names, queue).to_pylist()


ROWS = batch(a=["x", "y", "x", None, ""], b=[1, 2, 1, 1, 1], c=[0.0, 1.5, -0.0, float("nan"), 1.5])


def test_ids_are_what_they_were():
    """The id of a task never changes: labels are joined to rows by it."""
    assert ids(ROWS) == [
        "7be1d26a7656f2acf055e371f36386a5",
        "8c54ff851bbffa32ef46bd7c81c493dd",
        "7be1d26a7656f2acf055e371f36386a5",
        "c97bc34f0333253cb402ece197ecec5a",
        "78770caa35cac5b9a280d133bc9056a8",
    ]


def test_equal_rows_are_one_question():
    """Equal values have one id, others another; null is not empty."""
    found = ids(ROWS)
    assert found[0] == found[2]
    assert len(set(found)) == 4
    assert all(len(each) == 32 and set(each) <= set("0123456789abcdef") for each in found)


def test_an_id_is_of_queue_columns_and_values():
    """Another queue or another column asks another question; columns that are not named, and their order, say nothing."""
    assert set(ids(ROWS, queue="q")).isdisjoint(ids(ROWS, queue="r"))
    assert ids(ROWS, ["a"])[0] != ids(ROWS.rename_columns(["z", "b", "c"]), ["z"])[0]
    assert ids(ROWS, ["a", "b"]) == ids(ROWS.select(["b", "c", "a"]), ["b", "a"])
    assert ids(ROWS, ["a"])[3] == ids(ROWS.set_column(1, "b", pa.array([9] * 5)), ["a"])[3]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("a", pa.large_string()),
        ("a", pa.string_view()),
        ("a", pa.dictionary(pa.int8(), pa.string())),
        ("b", pa.int8()),
        ("b", pa.uint64()),
        ("c", pa.float32()),
    ],
)
def test_the_encoding_says_nothing(column, kind):
    """Views, dictionaries, wide and narrow types of one family give the same ids, and so does any cut into batches."""
    at = ROWS.schema.get_field_index(column)
    other = ROWS.column(at)
    other = other.dictionary_encode() if pa.types.is_dictionary(kind) else other.cast(kind)
    assert ids(ROWS.set_column(at, column, other)) == ids(ROWS)
    assert ids(ROWS.slice(1, 3)) == ids(ROWS)[1:4]
    assert ids(ROWS.slice(0, 0)) == []


def test_a_column_that_is_not_there_is_named():
    """The nearest name is given."""
    with pytest.raises(LabelConfigError, match="no column 'carier' to identify a task by; did you mean 'carrier'"):
        task_ids(batch(carrier=["AA"]), ["carier"], "q")


def test_what_identifies_is_shown_or_key():
    """Columns shown, then those of the key, each once."""
    spec = QueueSpec(name="q", source="s", show=("a", "b"), key=("b", "id"), config="")
    assert identity_columns(spec) == ("a", "b", "id")


NEW_YORK = pa.timestamp("s", "America/New_York")


@pytest.mark.parametrize(
    ("array", "plain"),
    [
        (pa.array(["a", None]), ["a", None]),
        (pa.array([True, None]), [True, None]),
        (pa.array([2**53 - 1, 2**53, -(2**60)]), [2**53 - 1, str(2**53), str(-(2**60))]),
        (pa.array([1.5, float("nan"), float("-inf")]), [1.5, "nan", "-inf"]),
        (pa.array([0.1, None], pa.float32()), [0.1, None]),
        (pa.array([0.1], pa.float16()), [0.1]),
        (pa.array([decimal.Decimal("1.50"), None]), ["1.50", None]),
        (pa.array([b"a", None]), [{"sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}, None]),
        (pa.array([0, None], pa.timestamp("us")), ["1970-01-01T00:00:00", None]),
        (pa.array([1577836800123456789], pa.timestamp("ns")), ["2020-01-01T00:00:00.123456789"]),
        (pa.array([1577836800], NEW_YORK), ["2019-12-31T19:00:00-05:00"]),
        (pa.array([1577836800], pa.timestamp("s", "+05:30")), ["2020-01-01T05:30:00+05:30"]),
        (pa.array([1577836800], pa.timestamp("s", "Mars/Olympus")), ["2020-01-01T00:00:00+00:00"]),
        (pa.array([253402300800], pa.timestamp("s", "UTC")), ["10000-01-01T00:00:00+00:00"]),
        (pa.array([-1, 3_000_000, None], pa.date32()), ["1969-12-31", "10183-09-21", None]),
        (pa.array([86_400_000], pa.date64()), ["1970-01-02"]),
        (pa.array([3_723_000_000_001], pa.time64("ns")), ["01:02:03.000000001"]),
        (pa.array([3_723, None], pa.time32("s")), ["01:02:03", None]),
        (pa.array([-90_061_001, 5, None], pa.duration("ms")), ["-1 days 1:01:01.001", "0:00:00.005", None]),
        (pa.array([[1, None], None, []]), [[1, None], None, []]),
        (pa.array([[0.1]], pa.list_(pa.float32(), 1)), [[0.1]]),
        (pa.array([{"t": dt.datetime(2020, 1, 1), "b": b""}, None]).slice(1), [None]),  # noqa: DTZ001
        (pa.array([[("k", 2**60)], None], pa.map_(pa.string(), pa.int64())), [{"k": str(2**60)}, None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([None]), [None]),
    ],
)  # fmt: skip
def test_values_are_said_as_json_can(array, plain):
    """No value is rounded, cut or lost on the way to the page, whatever Python could hold of it; slices are as the whole."""
    assert plain_column(array) == plain
    assert plain_column(pa.concat_arrays([array[:1], array]).slice(1)) == plain
    json.dumps(plain_column(array), allow_nan=False)


def test_a_row_of_python_values_is_said_alike():
    """What Python holds of a row gives the payload that its columns give."""
    row = {
        "text": "a", "whole": 2**60, "bytes": b"a", "day": dt.date(2026, 11, 28), "exact": decimal.Decimal("0.10"),
        "when": dt.datetime(2026, 11, 28, tzinfo=dt.UTC), "many": [1, 2**53], "deep": {"x": [None]}, "no": None, "yes": True,
        "far": float("inf"),
    }  # fmt: skip
    columns = {name: plain_column(pa.array([value]))[0] for name, value in row.items()}
    assert payload(row) == columns


SPEC = QueueSpec(name="q", source="s", show=("a", "b"), key=("k",), config="")


def collected(batches, spec=SPEC, **options):
    """Return the questions of batches as rows, and how many rows there were."""
    rows = [pa.RecordBatch.from_pydict(each) if isinstance(each, dict) else each for each in batches]
    schema = rows[0].schema if rows else pa.schema({name: pa.string() for name in identity_columns(spec)})
    config = LabelConfig.from_xml(choices_config(list(spec.show), ["x"], schema))
    found = collect(rows, spec, config, **options)
    assert found.tasks.schema.names == ["task", "data", "rows", "part", "row"]
    return found.tasks.to_pylist(), found.rows


def test_equal_rows_are_asked_once_where_they_first_lie():
    """A task counts its rows and knows the first of them; what is not shown is not in its data."""
    first = {"a": ["x", "y"], "b": [1, 2], "k": [0, 0], PART_COLUMN: pa.array([0, 0], pa.uint32()), ROW_COLUMN: pa.array([3, 7], pa.uint32())}  # fmt: skip
    second = {"a": ["y", "x", "x"], "b": [2, 1, 1], "k": [0, 1, 1], PART_COLUMN: pa.array([1, 1, 1], pa.uint32()), ROW_COLUMN: pa.array([0, 1, 2], pa.uint32())}  # fmt: skip
    tasks, rows = collected([first, second], parts=["p0", "p1"])
    assert rows == 5
    assert [(json.loads(each["data"]), each["rows"], each["part"], each["row"]) for each in tasks] == [
        ({"a": "x", "b": 1}, 1, "p0", 3),
        ({"a": "y", "b": 2}, 2, "p0", 7),
        ({"a": "x", "b": 1}, 2, "p1", 1),
    ]
    assert [each["task"] for each in tasks] == ids(batch(a=["x", "y", "x"], b=[1, 2, 1], k=[0, 0, 1]))


def test_tasks_may_be_left_out():
    """What is known or held out is neither asked nor counted; rows without positions have none."""
    rows = {"a": ["x", "y", "x"], "b": [1, 2, 1], "k": [0, 0, 0]}
    out, *_ = ids(batch(**rows))
    tasks, read = collected([rows], without={out})
    assert [(each["rows"], each["part"], each["row"]) for each in tasks] == [(1, None, None)]
    assert read == 3


def test_a_config_that_gains_choices_keeps_all_tasks():
    """Neither another choice nor any other change of the page makes another question of a row."""
    rows = batch(a=["x", "y"], b=[1, 2], k=[0, 0])
    configs = [
        LabelConfig.from_xml(choices_config(["a", "b"], choices, rows.schema)) for choices in (["x"], ["x", "new"])
    ]
    assert configs[0].id != configs[1].id
    before, after = (collect([rows], SPEC, config).tasks for config in configs)
    assert before == after


def test_no_rows_ask_nothing():
    """No batches, or empty ones, give no tasks, in their columns."""
    empty = pa.RecordBatch.from_pydict({"a": pa.array([], pa.string()), "b": pa.array([], pa.int64()), "k": pa.array([], pa.int64())})  # fmt: skip
    assert collected([]) == ([], 0)
    assert collected([empty, empty]) == ([], 0)


def test_a_config_that_no_longer_fits_is_refused():
    """A source whose columns changed since is not asked about with a page that cannot show it."""
    config = LabelConfig.from_xml('<View><Text name="t" value="$a"/><Rating name="r" toName="t"/></View>')
    with pytest.raises(LabelConfigError, match="the column is binary"):
        collect([batch(a=[b""], b=[1], k=[0])], SPEC, config)


ROW = st.tuples(st.sampled_from("xyz"), st.integers(0, 2), st.integers(0, 1))


@settings(deadline=None)
@given(st.lists(st.lists(ROW, max_size=8), max_size=5))
def test_every_row_is_in_one_task(batches):
    """However rows are cut into batches, each is counted in the task that its values ask, in the order of first rows."""
    made = [
        batch(a=[row[0] for row in rows], b=[row[1] for row in rows], k=[row[2] for row in rows])
        for rows in batches
        if rows
    ]
    tasks, read = collected(made)
    rows = [row for rows in batches for row in rows]
    first = list(dict.fromkeys(rows))
    assert read == len(rows)
    assert [each["rows"] for each in tasks] == [rows.count(row) for row in first]
    assert [json.loads(each["data"]) for each in tasks] == [{"a": a, "b": b} for a, b, _ in first]


def test_memory_is_that_of_the_questions():
    """Many rows that ask few questions are streamed: nothing grows with them."""
    rows = batch(a=["x", "y"] * 1_000, b=[1, 2] * 1_000, k=[0] * 2_000)
    config = LabelConfig.from_xml(choices_config(["a", "b"], ["x"], rows.schema))
    collect([rows], SPEC, config)
    arrow = pa.total_allocated_bytes()
    peaks = []

    def stream():
        for number in range(50):
            yield rows
            if number in {10, 49}:
                peaks.append(tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - arrow)

    tracemalloc.start()
    try:
        found = collect(stream(), SPEC, config)
    finally:
        tracemalloc.stop()
    assert found.rows == 100_000
    assert peaks[1] - peaks[0] < 50_000
