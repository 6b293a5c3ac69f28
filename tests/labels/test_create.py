"""Queues are made once, checked before anything is written, and changed without another task."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import (
    AlreadyExists,
    BadColumn,
    BadName,
    ConfigError,
    DatasetNotFound,
    LabelConfigError,
    LabelError,
)

MADE = {"source": "flights", "show": ["carrier", "dep_delay"], "choices": ["a", "b"]}


@pytest.fixture
def lake(memory_lake):
    """A lake of flights."""
    rows = pa.table({"flight_id": [1, 2, 3], "carrier": ["AA", "BB", "AA"], "dep_delay": [1.0, 2.0, 1.0]})
    memory_lake.ingest(rows, into="flights", key=["flight_id"])
    return memory_lake


def test_a_queue_is_datasets_in_one_commit(lake):
    """What a queue is lies in six datasets, which came together; opened by name it is the same."""
    before = len(lake.commits())
    queue = lake.label_queue("delays", **MADE)
    assert len(lake.commits()) == before + 1
    kinds = ("annotations", "placements", "queue", "regions", "relations", "tasks")
    assert sorted(each.name for each in lake.datasets()) == [*(f"delays.{kind}" for kind in kinds), "flights"]
    assert lake.label_queue("delays").spec == queue.spec
    assert [each.name for each in lake.label_queues()] == ["delays"]


def test_the_same_again_is_no_commit_and_another_is_refused(lake):
    """Made twice the same, nothing happens; otherwise the error says what differs."""
    lake.label_queue("delays", **MADE)
    before = len(lake.commits())
    lake.label_queue("delays", **MADE)
    assert len(lake.commits()) == before
    with pytest.raises(AlreadyExists, match="overlap 1 → 2"):
        lake.label_queue("delays", **MADE, overlap=2)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"show": ["carier"]}, LabelConfigError, "carier.*carrier"),
        ({"key": ["carier"]}, BadColumn, "carier.*carrier"),
        ({"source": "fligths"}, DatasetNotFound, "fligths"),
        ({"choices": None}, ConfigError, "say what is asked"),
        ({"choices": None, "config": "<View"}, LabelConfigError, "line 1"),
        ({"choices": None, "config": "<View><Text name='t' value='$x'/></View>"}, LabelConfigError, "asks nothing"),
        ({"overlap": 0}, ConfigError, "at least 1"),
        ({"gold": "nope"}, DatasetNotFound, "nope"),
        ({"annotators": ["anna"], "adjudicator": "anna"}, ConfigError, "anna decides"),
        ({"overlapp": 2}, ConfigError, "no option 'overlapp'"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_written(lake, options, error, told):
    """A column, a reference, a config that is not there: a clear error, and no dataset."""
    with pytest.raises(error, match=told):
        lake.label_queue("delays", **(MADE | options))
    assert [each.name for each in lake.datasets()] == ["flights"]


def test_names_that_cannot_be(lake):
    """A name is of letters, digits, _ and -; a dataset in its way is told."""
    with pytest.raises(BadName, match="cannot name a queue"):
        lake.label_queue("de lays", **MADE)
    lake.ingest(pa.table({"x": [1]}), into="delays.tasks")
    with pytest.raises(AlreadyExists, match=r"delays\.tasks"):
        lake.label_queue("delays", **MADE)


def test_what_a_task_is_cannot_change(lake):
    """Whom it asks may change; what is shown may not, and equal changes are no commit."""
    queue = lake.label_queue("delays", **MADE)
    assert queue.set(annotators="anna, bob", overlap=2).annotators == ("anna", "bob")
    before = len(lake.commits())
    queue.set(overlap=2)
    assert len(lake.commits()) == before
    with pytest.raises(LabelError, match="make another queue to show carrier"):
        queue.set(show=["carrier"])
    with pytest.raises(LabelError, match="key says what a task"):
        queue.set(key=["flight_id"])


def test_orders_are_kept_as_they_were_given(lake):
    """An order given as a value comes back as one."""
    queue = lake.label_queue("delays", **MADE, order=dp.uncertainty("predictions"))
    assert queue.spec.order == dp.uncertainty("predictions").to_dict()


def test_a_key_is_not_compared(new_lake):
    """Where no columns are named, pairwise compares the first two that are no key."""
    lake = new_lake()
    lake.ingest(pa.table({"id": [1], "left": ["a"], "right": ["b"]}), into="pairs", key=["id"])
    queue = lake.label_queue("better", source="pairs", template="pairwise")
    assert queue.spec.show == ("left", "right")
    assert 'toName="left,right"' in queue.spec.config
