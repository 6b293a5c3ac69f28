"""Labels of a queue as others read them: everybody's, one person's, what all come to."""

from __future__ import annotations

import base64
import csv
import json

import pyarrow as pa
import pytest

BOXES = (
    '<View><Image name="i" value="$chart"/>'
    '<RectangleLabels name="b" toName="i"><Label value="x"/></RectangleLabels></View>'
)


def lines(folder):
    """Return the rows of an exported CSV."""
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_everybody_one_or_what_all_come_to(answered, tmp_path):
    """All answers are 10, one person's 5, and of what all come to there is one a task."""
    assert answered.queue.export("csv", tmp_path / "all").answers == len(lines(tmp_path / "all")) == 10
    assert answered.queue.export("csv", tmp_path / "anna", whose="anna").answers == 5
    answered.queue.export("csv", tmp_path / "both", whose="consensus")
    rows = lines(tmp_path / "both")
    found = {(row["carrier"], float(row["dep_delay"])): row["label"] for row in rows}
    assert found[("AA", 20.0)] == "other"
    assert len(rows) == 5


def test_boxes_come_to_one(desk_of, tmp_path):
    """In COCO each picture has the boxes that both drew, once, in the middle."""
    desk = desk_of(config=BOXES, show=["chart"])
    desk.queue.push()
    for who, left in (("anna", 10.0), ("bob", 12.0)):
        for task in desk.placed(who).values():
            desk.site.answer(task, desk.people[who], [drawn(left)])
    desk.queue.pull()
    desk.queue.export("coco", tmp_path, whose="consensus")
    found = json.loads((tmp_path / "annotations.json").read_text())
    assert len(found["images"]) == len(found["annotations"]) == 6
    assert found["annotations"][0]["bbox"] == pytest.approx([11.0, 10.0, 20.0, 20.0])


def drawn(left):
    """Return a box as Label Studio writes it."""
    where = {"x": left, "y": 10.0, "width": 20.0, "height": 20.0, "rotation": 0, "rectanglelabels": ["x"]}
    size = {"original_width": 100, "original_height": 100}
    return {"id": f"r{left}", "from_name": "b", "to_name": "i", "type": "rectanglelabels", "value": where} | size


def test_the_page_shows_pictures_of_the_lake(desk_of, tmp_path):
    """Pictures in files are in the page itself, with the boxes that people drew."""
    (tmp_path / "one.png").write_bytes(PIXEL)
    desk = desk_of(config=BOXES, show=["chart"])
    rows = {"flight_id": [9], "carrier": ["ZZ"], "chart": [str(tmp_path / "one.png")], "dep_delay": [1.0]}
    desk.lake.ingest(pa.table(rows), into="flights", mode="replace", key=["flight_id"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dataplat._labels._media.media_links", lambda *_: "http://127.0.0.1/none.png")
        desk.queue.push()
    for who in ("anna", "bob"):
        [task] = desk.placed(who).values()
        desk.site.answer(task, desk.people[who], [drawn(10.0)])
    desk.queue.pull()
    page = desk.queue.report(tmp_path / "page.html").read_text()
    assert "data:image/png;base64," in page
    assert "<svg" in page
    assert "F1 of boxes" in page


PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
