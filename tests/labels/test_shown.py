"""What goes to the server of a task: what it takes, and nothing that is held out."""

from __future__ import annotations

from contextlib import closing

import pyarrow as pa
import pytest

from dataplat._labels._media_source import media_of
from dataplat._labels._state import State
from dataplat.errors import LabelError
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.labeling.serve.media import NoMedia
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
    with pytest.raises(LabelError, match="rows of test cannot be told .* delay is string there and double"):
        pushed(site, lake, holdout=["test"])
    assert site.tasks() == []


PAGES = """<View><Image name="scan" valueList="$pages"/>
<RectangleLabels name="box" toName="scan"><Label value="x"/></RectangleLabels></View>"""


@pytest.mark.parametrize(
    ("pages", "links", "second"),
    [
        (["https://example.org/1.png", "two.png"], ["https://example.org/1.png", "pages[1]"], None),
        ([b"\x89PNG\r\n\x1a\n1", b"\x89PNG\r\n\x1a\n2"], ["pages[0]", "pages[1]"], b"\x89PNG\r\n\x1a\n2"),
    ],
)
def test_each_page_of_a_list_has_its_link(site, memory_lake, monkeypatch, pages, links, second):
    """Pictures in a list are linked one by one, and each link leads to its own."""
    monkeypatch.setattr("dataplat.labeling.serve.media_link", lambda *given: given[4])
    memory_lake.ingest(pa.table({"id": [0, 1], "pages": [pages[:1], pages]}), into="scans", key=["id"])
    with closing(LabelStudioServer(site.url, site.token)) as server:
        made = {"source": "scans", "config": PAGES, "annotators": ["ann"], "server": server}
        memory_lake.label_queue("q", **made).push()
    assert [task.data["pages"] for task in site.tasks()] == [links[:1], links]
    state = State.at_head(memory_lake, "q", "main")
    row = next(each for each in state.tasks.to_pylist() if each["row"] == 1)
    if second is not None:
        found = media_of(state, row, "pages[1]")
        assert found.read(0, found.size) == second
    for none in ("pages[2]", "pages[x]", "page"):
        with pytest.raises(NoMedia):
            media_of(state, row, none)
