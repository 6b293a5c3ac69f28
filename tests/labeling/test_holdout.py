"""Rows held out: found among the source's rows by content alone, or refused where they never could be."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import LabelError
from dataplat.labeling.holdout import check_comparable, tasks_asked
from dataplat.labeling.task import task_ids

SOURCE = pa.schema(
    {"text": pa.string(), "n": pa.int64(), "price": pa.decimal128(9, 2), "day": pa.timestamp("us", "UTC")}
)


def batch(texts, numbers, **more):
    """Return rows."""
    return pa.RecordBatch.from_pydict({"text": texts, "n": numbers} | more)


@settings(deadline=None)
@given(
    source=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), min_size=1),
    held=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), min_size=1),
    cut=st.integers(1, 5),
)
def test_rows_held_out_are_found_by_content(source, held, cut):
    """A row is held out exactly if one of the hold-out has its values, wherever and beside whatever else it lies."""
    rows = batch(*map(list, zip(*source, strict=True)))
    other = batch(*map(list, zip(*held, strict=True)), beside=[1.5] * len(held)).select(["beside", "n", "text"])
    pieces = [other.slice(start, cut) for start in range(0, len(held), cut)]
    out = set(tasks_asked(pieces, ["text", "n"], "q").to_pylist())
    assert [task in out for task in task_ids(rows, ["text", "n"], "q").to_pylist()] == [row in held for row in source]
    assert len(out) == len(set(held))


def test_no_rows_hold_nothing_out():
    """No batches give no tasks, as a column of texts."""
    assert tasks_asked([], ["text"], "q").to_pylist() == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text", pa.dictionary(pa.int32(), pa.large_string())),
        ("n", pa.uint8()),
        ("n", pa.null()),
        ("price", pa.decimal256(40, 2)),
        ("day", pa.timestamp("ns", "Europe/Berlin")),
    ],
)
def test_columns_of_one_kind_are_compared(name, kind):
    """Width, encoding, unit and zone say nothing."""
    at = SOURCE.get_field_index(name)
    check_comparable(SOURCE, SOURCE.set(at, pa.field(name, kind)), SOURCE.names, "test@v1")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text", pa.binary()),
        ("n", pa.string()),
        ("n", pa.float64()),
        ("price", pa.decimal128(9, 3)),
        ("price", pa.float64()),
        ("day", pa.timestamp("us")),
    ],
)
def test_columns_that_could_never_be_equal_are_refused(name, kind):
    """A hold-out that would hold nothing out is said to, with both types."""
    at = SOURCE.get_field_index(name)
    with pytest.raises(LabelError, match=f"rows of test@v1 cannot be told .* {name} is .* there and .* in the source"):
        check_comparable(SOURCE, SOURCE.set(at, pa.field(name, kind)), SOURCE.names, "test@v1")


def test_a_column_that_is_not_there_is_named():
    """What identifies a task must be in the hold-out."""
    with pytest.raises(LabelError, match="has no column 'text'; did you mean 'texts'.*told by text, n"):
        check_comparable(SOURCE, pa.schema({"texts": pa.string()}), ["text", "n"], "test")
