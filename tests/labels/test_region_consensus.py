"""Regions that people drew become one row for each row asked about, and read back as what they are."""

from __future__ import annotations

import json

import pytest

from dataplat.errors import ConfigError

BOXES = (
    '<View><Image name="i" value="$chart"/>'
    '<RectangleLabels name="b" toName="i"><Label value="x"/></RectangleLabels></View>'
)


def box(left):
    """Return a box as Label Studio writes it, `left` per cent from the left of 200 pixels."""
    where = {"x": left, "y": 10.0, "width": 20.0, "height": 20.0, "rotation": 0, "rectanglelabels": ["x"]}
    size = {"original_width": 200, "original_height": 100}
    return {"id": f"r{left}", "from_name": "b", "to_name": "i", "type": "rectanglelabels", "value": where} | size


@pytest.fixture
def drawn(desk_of):
    """A queue of six pictures: one agreed box each, on the last two a second one that only anna drew, or none at all."""
    desk = desk_of(config=BOXES, show=["chart"], key=[])
    desk.queue.push()
    for who, left in (("anna", 10.0), ("bob", 12.0)):
        for number in range(6):
            more = [box(60.0)] if who == "anna" and number == 4 else []
            result = [] if number == 5 else [box(left), *more]
            desk.site.answer(desk.placed(who)[desk.task(number)], desk.people[who], result)
    desk.queue.pull()
    return desk


def test_boxes_come_home_to_their_rows(drawn):
    """Each row that was answered has the middle of what was drawn, in per cent as it came; nothing drawn is an answer."""
    drawn.queue.consensus().commit(into="boxes")
    rows = drawn.lake["boxes"].to_arrow().sort_by("flight_id").to_pylist()
    assert [(row["flight_id"], row["regions"], row["disputed"], row["votes"]) for row in rows] == [
        (0, 1, 0, 2), (1, 1, 0, 2), (2, 1, 0, 2), (3, 1, 0, 2), (4, 1, 1, 2), (5, 0, 0, 2),
    ]  # fmt: skip
    assert [row["confidence"] for row in rows] == [1, 1, 1, 1, 0.5, 1]
    [item] = json.loads(rows[0]["result"])
    assert item["value"] == pytest.approx(
        {"x": 11.0, "y": 10.0, "width": 20.0, "height": 20.0, "rotation": 0.0, "rectanglelabels": ["x"]}
    )
    assert (item["original_width"], item["original_height"], item["from_name"]) == (200, 100, "b")
    assert json.loads(rows[5]["result"]) == []


def test_regions_that_were_agreed_on_are_prefilled_elsewhere(drawn):
    """What people agreed on may be the prefilled answer of another queue."""
    drawn.queue.consensus().commit(into="boxes")
    again = drawn.lake.label_queue(
        "again", source="flights", server=drawn.queue.server, config=BOXES, show=["chart"], annotators=["anna"],
        prelabel="boxes",
    )  # fmt: skip
    again.push()
    filled = [json.loads(text) for text in drawn.lake["again.tasks"].to_arrow()["prediction"].to_pylist() if text]
    assert sorted(len(result) for result in filled if result) == [1, 1, 1, 1, 1]


def test_methods_of_plain_labels_are_not_of_regions(drawn):
    """Another method than the majority is refused by its name."""
    with pytest.raises(ConfigError, match="dawid-skene"):
        drawn.queue.consensus("dawid-skene")
