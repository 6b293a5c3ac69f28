"""The page of a queue: whole in one file, with what people drew where they drew it."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from dataplat.labeling import _thumbnail
from dataplat.labeling._thumbnail import data_uri
from dataplat.labeling.answers import read_tasks
from dataplat.labeling.config import LabelConfig
from dataplat.labeling.page import page as page_of
from dataplat.labeling.tables import schema

XML = (
    '<View><Image name="i" value="$img"/><RectangleLabels name="box" toName="i"><Label value="car"/></RectangleLabels>'
    '<EllipseLabels name="ell" toName="i"><Label value="e"/></EllipseLabels><PolygonLabels name="p" toName="i"><Label value="p"/></PolygonLabels>'
    '<Text name="t" value="$text"/><Labels name="ner" toName="t"><Label value="PER"/></Labels>'
    '<Choices name="mood" toName="t"><Choice value="good"/><Choice value="bad"/></Choices></View>'
)
TEXT = "😀 Ann <script>alert(1)</script> Marie"
SIZE = {"original_width": 200, "original_height": 100}


def picture(wide: int, high: int, kind: str = "PNG") -> bytes:
    """Return a red picture."""
    out = io.BytesIO()
    Image.new("RGB", (wide, high), (200, 0, 0)).save(out, kind)
    return out.getvalue()


def drawn(mood: str) -> list[dict[str, Any]]:
    """Return a result with a mark of each kind."""
    items: list[tuple[str, str, str, dict[str, Any]]] = [
        (
            "box",
            "i",
            "rectanglelabels",
            {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 15, "rectanglelabels": ["car"]},
        ),
        ("ell", "i", "ellipselabels", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["e"]}),
        ("p", "i", "polygonlabels", {"points": [[0, 0], [10, 0], [10, 10]], "polygonlabels": ["p"]}),
        ("ner", "t", "labels", {"start": 2, "end": 5, "text": "Ann", "labels": ["PER"]}),
        ("ner", "t", "labels", {"start": 0, "end": 9, "text": TEXT[0:9], "labels": ["<b>"]}),
        ("mood", "t", "choices", {"choices": [mood]}),
    ]
    return [
        {"id": str(at), "from_name": name, "to_name": to, "type": type, "value": value, **(SIZE if to == "i" else {})}
        for at, (name, to, type, value) in enumerate(items)
    ]


def made(**options: Any) -> str:
    """Return the page of three tasks: agreed, differing, and skipped."""
    source = f"data:image/png;base64,{base64.b64encode(picture(200, 100)).decode()}"
    tasks = []
    for at, moods in enumerate((("good", "good"), ("good", "bad"), (None,))):
        answers = [
            {
                "id": 10 * at + who, "completed_by": who, "result": [] if mood is None else drawn(mood), "lead_time": 3.0,
                "was_cancelled": mood is None, "ground_truth": who == 0 and at == 0,
                "created_at": "2026-11-28T01:40:00Z", "updated_at": "2026-11-28T01:40:00Z", "project": 1,
            }
            for who, mood in enumerate(moods)
        ]  # fmt: skip
        data = {"img": source if at == 0 else "s3://cars/1.jpg", "text": TEXT, "dataplat_id": f"{at:032x}"}
        tasks.append({"id": at, "data": data, "updated_at": "2026-11-28T01:40:00Z", "annotations": answers})
    config = LabelConfig.from_xml(XML)
    read = read_tasks(tasks, config, {0: "ada", 1: "<i>bob</i>"})
    rows = [
        {"task": task["data"]["dataplat_id"], "position": at, "stream": "fixed", "data": json.dumps(task["data"])}
        for at, task in enumerate(tasks)
    ]
    asked = pa.Table.from_pylist(rows, schema=schema("tasks"))
    tables = {"tasks": asked, "annotations": read.annotations, "regions": read.regions}
    return page_of("cars & <more>", **tables, config=config, **options)


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Any:
    """Open the page, with no network; errors of the console fail the test."""
    path = tmp_path / "queue.html"
    path.write_text(made(figures=[("agreement", "0.83")]), encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    yield page
    context.close()
    assert not wrong


def test_a_page_needs_nothing_beside_itself() -> None:
    """No script, no link to a file, no address but pictures that it holds; what people wrote is text."""
    html = made()
    assert not re.search(r"<script|<link|https?://|@import|url\(|<i>bob|s3:[^<]*src", html)
    assert set(re.findall(r'src="([^";]*)', html)) == {"data:image/png"}


def test_marks_lie_where_they_were_drawn(opened: Any) -> None:
    """A box covers the part of the picture that was marked, turned as it was; labels are words beside it."""
    image = opened.locator(".picture img").first.bounding_box()
    shape = opened.locator(".picture rect").first
    assert shape.get_attribute("transform") == "rotate(15.0 20.0 20.0)"
    over = opened.locator(".picture:has(img)").first.locator("ellipse").bounding_box()
    assert over["x"] - image["x"] == pytest.approx(image["width"] * 0.4, abs=3)
    assert over["y"] - image["y"] == pytest.approx(image["height"] * 0.3, abs=3)
    assert over["width"] == pytest.approx(image["width"] * 0.2, abs=4)
    assert opened.locator(".picture text").all_text_contents()[:3] == ["car", "e", "p"]


def test_spans_are_marked_to_the_letter(opened: Any) -> None:
    """Marked pieces are those that people marked, over each other too, each followed by its label."""
    text = opened.locator(".text").first
    assert text.locator("mark").all_inner_texts() == ["😀 ", "Ann", " <sc"]
    assert text.locator(".name").all_inner_texts() == ["PER", "<b>"]
    assert text.inner_text().replace("PER", "").replace("<b>", "") == TEXT


def test_tasks_on_which_people_differ_come_first(opened: Any) -> None:
    """The one that was answered in two ways stands first; skipped ones have no answers to show."""
    heads = opened.locator(".asked h3").all_inner_texts()
    assert [head.split()[:2] for head in heads] == [["Task", "1"], ["Task", "0"]]
    assert "people differ" in heads[0]
    assert "people differ" not in heads[1]
    cards = dict(
        zip(opened.locator(".cards span").all_inner_texts(), opened.locator(".cards b").all_inner_texts(), strict=True)
    )
    assert cards == {
        "tasks": "3", "answered": "2", "answers": "4", "skipped": "1", "people differ on": "1", "agreement": "0.83",
    }  # fmt: skip


def test_a_phone_need_not_scroll_sideways(opened: Any) -> None:
    """On a narrow screen pictures and texts fit."""
    opened.set_viewport_size({"width": 390, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pictures_come_from_whoever_has_them() -> None:
    """A function that finds pictures is asked by task and column; without one, what was drawn has a sheet of its size."""
    asked: list[tuple[int, str]] = []

    def find(task: dict[str, Any], column: str) -> str | None:
        asked.append((task["position"], column))
        return data_uri(picture(50, 25))

    assert made(picture=find).count("<img") == 4
    assert sorted(asked) == [(0, "img"), (1, "img")]
    assert made().count('class="picture empty"') == 2


def test_nobody_has_answered() -> None:
    """A queue without answers has a page."""
    empty = {name: schema(name).empty_table() for name in ("tasks", "annotations", "regions")}
    assert "Nobody has answered yet" in page_of("new", **empty, config=LabelConfig.from_xml(XML))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_picture_is_made_smaller(kind: str) -> None:
    """Its longer side is what was asked for, and its shape is kept."""
    uri = data_uri(picture(1000, 500, kind), 100)
    assert uri is not None
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
        assert image.size == (100, 50)


def test_what_is_no_picture_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is none, a broken picture stays as it is, and a large one is left out where nothing makes it smaller."""
    assert data_uri(b"<svg onload='x'>") is None
    assert data_uri(b"\x89PNG broken") == "data:image/png;base64," + base64.b64encode(b"\x89PNG broken").decode()
    small = picture(10, 10)
    assert data_uri(small) == "data:image/png;base64," + base64.b64encode(small).decode()
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    monkeypatch.setattr(_thumbnail, "_MOST", 10)
    assert data_uri(small) is None
