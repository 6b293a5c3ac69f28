"""What goes to the server of a task: what it takes, and nothing that is held out."""

from __future__ import annotations

from contextlib import closing

import pyarrow as pa
import pytest

from dataplat.errors import LabelError
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.testing.label_server import FakeLabelStudio

ROWS = pa.table({"id": range(4), "text": ["a", None, "c", "d"], "delay": [1.5, None, 2.0, 3.0]})
MADE = {"source": "rows", "show": ["text", "delay"], "choices": ["x", "y"], "annotators": ["ann"]}


@pytest.fixture
def site():
    """A fake server on which ann has an account."""
    with FakeLabelStudio() as serving:
        serving.add_user("ann")
        yield serving


@pytest.fixture
def lake(memory_lake):
    """A lake of rows with nulls."""
    memory_lake.ingest(ROWS, into="rows", key=["id"])
    return memory_lake


def pushed(site, lake, **options):
    """Return the data of tasks that a queue puts on the server."""
    with closing(LabelStudioServer(site.url, site.token)) as server:
        queue = lake.label_queue("q", **MADE, **options, server=server)
        queue.push()
    return [{name: task.data[name] for name in ("text", "delay")} for task in site.tasks()]


def test_nulls_and_numbers_go_as_the_server_takes_them(site, lake):
    """Label Studio refuses a whole import for one null: it becomes empty, and numbers are text."""
    assert pushed(site, lake) == [
        {"text": "a", "delay": "1.5"},
        {"text": "", "delay": ""},
        {"text": "c", "delay": "2.0"},
        {"text": "d", "delay": "3.0"},
    ]


def test_rows_held_out_are_not_asked(site, lake):
    """A row whose content lies in a hold-out is no task, also where the hold-out is another dataset of other columns."""
    lake.ingest(pa.table({"delay": [2.0, 9.0], "text": ["c", "a"], "more": [0, 0]}), into="test")
    assert [each["text"] for each in pushed(site, lake, holdout=["test"])] == ["a", "", "d"]


def test_a_hold_out_that_could_hold_nothing_out_is_refused(site, lake):
    """Delays as text are no delays as numbers: every row would be asked, so none is."""
    lake.ingest(pa.table({"delay": ["2.0"], "text": ["c"]}), into="test")
    with pytest.raises(LabelError, match="rows of test@main cannot be told .* delay is string there and double"):
        pushed(site, lake, holdout=["test"])
    assert site.tasks() == []
