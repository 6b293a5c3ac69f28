"""Gold tasks: everybody answers them, and who answers too few rightly gets no more."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from dataplat.errors import BadColumn, LabelError

GOLD = pa.table(
    {
        "carrier": [f"G{number}" for number in range(6)],
        "dep_delay": [float(number) for number in range(6)],
        "label": ["carrier", "weather", "other"] * 2,
    }
)


@pytest.fixture
def gold_desk(desk_of):
    """A queue with six gold tasks, of which both people have as many before them as of others."""

    def make(gold=GOLD, **options):
        desk = desk_of(gold_every=2)
        desk.lake.ingest(gold, into="truth")
        desk.queue.set(gold="truth", **options)
        desk.queue.push()
        return desk

    return make


def gold_answers(desk, annotator, right):
    """Have somebody answer gold tasks, the first `right` of them rightly."""
    placed = desk.placed(annotator)
    rows = [row for row in desk.state.tasks.to_pylist() if row["stream"] == "gold" and row["task"] in placed]
    for number, row in enumerate(rows):
        result = json.loads(row["expected"])
        if number >= right:
            result = desk.state.config.result_of({"carrier": "other"}.get(label(result), "carrier"))
        desk.site.answer(placed[row["task"]], desk.people[annotator], result)
    return len(rows)


def label(result):
    """Return the choice in a result."""
    return result[0]["value"]["choices"][0]


def test_everybody_has_gold_and_scores_follow(gold_desk):
    """Gold tasks lie before everybody, among the others; the share that is right is told, and no label comes of them."""
    desk = gold_desk()
    streams = [row["stream"] for row in desk.state.tasks.to_pylist()]
    assert (streams.count("gold"), streams.count("fixed")) == (6, 5)
    assert gold_answers(desk, "anna", 9) >= 4
    count = gold_answers(desk, "bob", 1)
    desk.queue.pull()
    told = {each.name: each.gold for each in desk.queue.status().annotators}
    assert told == {"anna": 1.0, "bob": pytest.approx(1 / count)}
    assert desk.queue.consensus().rows().num_rows == 0


def test_who_is_wrong_too_often_gets_no_more(gold_desk):
    """After five gold tasks, most of them wrong, what is new goes to the others."""
    desk = gold_desk()
    assert gold_answers(desk, "bob", 1) >= 5
    desk.queue.pull()
    new = {"flight_id": [7], "carrier": ["CC"], "chart": ["https://example.org/7.png"], "dep_delay": [7.0]}
    desk.lake.ingest(pa.table(new), into="flights")
    result = desk.queue.push()
    assert result.paused == ("bob",)
    assert result.placed["bob"] == 0
    assert result.placed["anna"] >= 1
    assert {each.name: each.paused for each in desk.queue.status().annotators} == {"anna": False, "bob": True}


def test_a_row_of_the_source_that_is_gold_is_asked_as_gold(gold_desk):
    """A question that is in both is one task, and its answer is known."""
    gold = pa.table({"carrier": ["AA"], "dep_delay": [0.0], "label": ["carrier"]})
    desk = gold_desk(gold)
    rows = {row["task"]: row["stream"] for row in desk.state.tasks.to_pylist()}
    assert rows[desk.task(0)] == "gold"
    assert len(rows) == 5


def test_gold_that_cannot_be_is_told(desk_of):
    """No column of answers, an answer that nobody can give, two answers to what looks the same."""
    desk = desk_of()
    desk.lake.ingest(GOLD.rename_columns(["carrier", "dep_delay", "lable"]), into="nameless")
    with pytest.raises(BadColumn, match="no column 'label'.*lable"):
        desk.queue.set(gold="nameless")
    desk.lake.ingest(pa.table({"carrier": ["G"], "dep_delay": [1.0], "label": ["snow"]}), into="foreign")
    desk.queue.set(gold="foreign")
    with pytest.raises(LabelError, match="'snow'.*carrier, weather, other"):
        desk.queue.push()
    twice = pa.table({"carrier": ["G", "G"], "dep_delay": [1.0, 1.0], "label": ["carrier", "other"]})
    desk.lake.ingest(twice, into="twice")
    desk.queue.set(gold="twice")
    with pytest.raises(LabelError, match="different answers"):
        desk.queue.push()


def test_boxes_are_gold_by_what_they_share(desk_of):
    """Of regions a task counts by F1: near enough is right, elsewhere is wrong."""
    boxes = (
        '<View><Image name="i" value="$chart"/>'
        '<RectangleLabels name="b" toName="i"><Label value="x"/></RectangleLabels></View>'
    )
    desk = desk_of(config=boxes, show=["chart"], overlap=1)
    right = [drawn(10.0), drawn(60.0)]
    desk.lake.ingest(pa.table({"chart": ["https://example.org/gold.png"], "right": [json.dumps(right)]}), into="truth")
    desk.queue.set(gold="truth", answer="right", gold_every=2)
    desk.queue.push()
    [gold] = [row["task"] for row in desk.state.tasks.to_pylist() if row["stream"] == "gold"]
    desk.site.answer(desk.placed("anna")[gold], desk.people["anna"], [drawn(11.0), drawn(61.0)])
    desk.site.answer(desk.placed("bob")[gold], desk.people["bob"], [drawn(11.0), drawn(30.0)])
    desk.queue.pull()
    assert {each.name: each.gold for each in desk.queue.status().annotators} == {"anna": 1.0, "bob": 0.5}


def drawn(left):
    """Return a box as Label Studio writes it."""
    where = {"x": left, "y": 10.0, "width": 20.0, "height": 20.0, "rotation": 0, "rectanglelabels": ["x"]}
    size = {"original_width": 100, "original_height": 100}
    return {"id": f"r{left}", "from_name": "b", "to_name": "i", "type": "rectanglelabels", "value": where} | size


def test_several_choices_are_gold_as_labels_have_them(desk_of):
    """Where several may be chosen, an answer is a list of them or the text that labels are: `a|b`."""
    several = (
        '<View><Text name="t" value="$carrier"/><Choices name="c" toName="t" choice="multiple">'
        '<Choice value="late"/><Choice value="lost"/></Choices></View>'
    )
    desk = desk_of(config=several, show=["carrier"])
    desk.lake.ingest(pa.table({"carrier": ["G", "H"], "label": ["late|lost", "lost"]}), into="truth")
    desk.queue.set(gold="truth")
    desk.queue.push()
    expected = [row["expected"] for row in desk.state.tasks.to_pylist() if row["stream"] == "gold"]
    assert sorted(json.loads(each)[0]["value"]["choices"] for each in expected) == [["late", "lost"], ["lost"]]
