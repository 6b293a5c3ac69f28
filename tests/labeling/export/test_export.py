"""Labels written for others hold what was said, and say what they could not hold."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.errors import ConfigError
from dataplat.labeling.export import FORMATS, export
from dataplat.labeling.export.coco import area, around, outline
from dataplat.labeling.export.conll import tagged

TEXT = (
    '<View><Text name="t" value="$text"/><Labels name="ner" toName="t"><Label value="PER"/><Label value="LOC"/></Labels>'
    '<Choices name="mood" toName="t"><Choice value="good"/><Choice value="bad"/></Choices>'
    '<Choices name="topic" toName="t" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices>'
    '<Rating name="stars" toName="t"/><TextArea name="note" toName="t"/></View>'
)


def span(start: int, end: int, text: str, label: str) -> dict[str, Any]:
    """Return a span of a text."""
    value = {"start": start, "end": end, "text": text[start:end], "labels": [label]}
    return {"id": f"{start}-{end}-{label}", "from_name": "ner", "to_name": "t", "type": "labels", "value": value}


def said(name: str, type: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return what a control says of a whole text."""
    return {"id": name, "from_name": name, "to_name": "t", "type": type, "value": value}


def test_coco_of_the_editor(edited: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    """Boxes, ellipses and polygons that people drew become COCO's, in pixels; points cannot."""
    found = export("coco", tmp_path, **edited("boxes"))
    document = json.loads((tmp_path / "annotations.json").read_bytes())
    (image,) = document["images"]
    assert (image["width"], image["height"]) == (640, 480)
    assert {each["name"] for each in document["categories"]} == {"R", "E", "P", "K"}
    box, ellipse, polygon = document["annotations"]
    assert box["bbox"] == pytest.approx([65.1, 93.4, 121.7, 60.8], abs=0.1)
    assert box["area"] == pytest.approx(box["bbox"][2] * box["bbox"][3])
    assert ellipse["area"] == pytest.approx(math.pi * ellipse["bbox"][2] * ellipse["bbox"][3] / 4, rel=0.02)
    assert len(polygon["segmentation"][0]) == 6
    assert box["attributes"]["annotator"] == "ada"
    assert found.left_out == {"points": 1}
    assert (found.answers, found.marks) == (1, 3)


def test_every_number_of_coco_refers_to_something(edited: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    """Pictures and categories that annotations name are there, and no number is there twice."""
    export("coco", tmp_path, **edited("boxes"))
    document = json.loads((tmp_path / "annotations.json").read_bytes())
    images = {each["id"] for each in document["images"]}
    categories = {each["id"] for each in document["categories"]}
    assert len({each["id"] for each in document["annotations"]}) == len(document["annotations"])
    assert all(each["image_id"] in images and each["category_id"] in categories for each in document["annotations"])


def test_a_turned_box_lies_within_the_one_around_it() -> None:
    """A box that is turned about its first corner keeps its area; the upright one around it is larger."""
    row = {
        "x": 100.0,
        "y": 50.0,
        "width": 40.0,
        "height": 20.0,
        "rotation": 90.0,
        "points": None,
        "type": "rectanglelabels",
    }
    shape = outline(row)
    assert around(row, shape) == pytest.approx([80, 50, 20, 40])
    assert area(shape) == pytest.approx(800)


def test_the_best_answer_is_the_truth_or_the_last(asked: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """COCO and CoNLL take one answer a task, and count the others; an annotator can be chosen."""
    text = "Ann met Bo"
    made = asked(TEXT, ({"text": text}, [[span(0, 3, text, "PER")], [span(8, 10, text, "LOC")]]))
    found = export("conll", tmp_path, **made)
    assert "Bo B-LOC" in (tmp_path / "train.conll").read_text()
    assert found.left_out == {"answers beside the best of their task": 1}
    export("conll", tmp_path, **made, annotator="ada")
    assert "Ann B-PER" in (tmp_path / "train.conll").read_text()


def test_conll_tags_every_token(asked: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """Spans are tagged to the letter, after emoji too; what the format cannot hold is counted."""
    text = "😀 Ann-Marie lives\nin New York."
    spans = [span(2, 11, text, "PER"), span(2, 5, text, "PER"), span(21, 29, text, "LOC"), span(0, 99, text, "LOC")]
    found = export("conll", tmp_path, **asked(TEXT, ({"text": text}, [spans]), ({"text": "skipped"}, ["skip"])))
    lines = (tmp_path / "train.conll").read_text().split("\n")
    assert lines == [
        "-DOCSTART- O", "", "😀 O", "Ann B-PER", "- I-PER", "Marie I-PER", "lives O", "", "in O", "New B-LOC",
        "York I-LOC", ". O", "", "",
    ]  # fmt: skip
    assert found.left_out == {"skipped answers": 1, "spans over a longer one": 1, "spans without a text": 1}
    assert found.marks == 2


@given(st.text(alphabet="ab \n.é😀", min_size=1, max_size=30), st.data())
def test_tags_give_the_spans_back(text: str, data: st.DataObject) -> None:
    """The signs of the tokens that a span's tags cover are the signs of the span; no other token has a tag."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = [
        (start, end, f"L{start}") for start, end in zip(cuts[::2], cuts[1::2], strict=False) if text[start:end].strip()
    ]
    found: dict[str, str] = {}
    tokens = [(token, tag) for token, tag in tagged(text, spans) if token]
    for token, tag in tokens:
        found[tag[2:]] = found.get(tag[2:], "") + token
    assert {label: "".join(text[start:end].split()) for start, end, label in spans} == {
        label: signs for label, signs in found.items() if label
    }
    assert "".join(token for token, _ in tokens) == "".join(text.split())
    assert sum(tag.startswith("B-") for _, tag in tokens) == len(spans)


def test_csv_has_a_row_for_every_answer(asked: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """What was shown, what was said by each control, and by whom; columns of one name are told apart."""
    text = '=Ann, "quoted"\nline'
    result = [
        span(1, 4, text, "PER"), said("mood", "choices", {"choices": ["good"]}),
        said("topic", "choices", {"choices": ["a", "b"]}), said("stars", "rating", {"rating": 4}),
        said("note", "textarea", {"text": ["one", "two"]}),
    ]  # fmt: skip
    found = export("csv", tmp_path, **asked(TEXT, ({"text": text, "mood": {"n": 1}}, [result, []])))
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["text"], first["mood"], first["label.mood"], first["topic"]) == (text, '{"n": 1}', "good", "a|b")
    assert (first["stars"], first["note"], first["annotator"]) == ("4.0", "one\ntwo", "ada")
    assert json.loads(first["ner"]) == [{"labels": ["PER"], "start": 1.0, "end": 4.0, "text": "Ann"}]
    assert (second["annotator"], second["ner"], second["label.mood"]) == ("bob", "", "")
    assert (found.answers, found.marks) == (2, 1)


def test_controls_of_a_region_lie_with_it(edited: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    """What a second control said of a region goes with the region, not with the task."""
    export("csv", tmp_path, **edited("page"))
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert "per" not in row
    assert {mark["text"]: mark.get("per") for mark in json.loads(row["label"])}["second"] == ["x"]


def test_hugging_face_knows_what_columns_are(asked: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """One choice is a class, several a list of them, spans are structs; the head of the README says so."""
    text = "Ann"
    result = [
        span(0, 3, text, "PER"), said("mood", "choices", {"choices": ["bad"]}),
        said("topic", "choices", {"choices": ["b"]}), said("stars", "rating", {"rating": 4}),
    ]  # fmt: skip
    found = export("huggingface", tmp_path, **asked(TEXT, ({"text": text, "n": 3}, [result]), ({"text": "x"}, [[]])))
    first, second = pq.read_table(tmp_path / "data").to_pylist()
    assert (first["text"], first["n"], first["mood"], first["topic"], first["stars"]) == ("Ann", 3, 1, [1], 4.0)
    assert first["ner"] == [{"start": 0.0, "end": 3.0, "text": "Ann", "label": 0, "said": None}]
    assert (second["mood"], second["n"], second["ner"]) == (None, None, [])
    head = (tmp_path / "README.md").read_text().split("---")[1]
    info = json.loads(head.strip().splitlines()[0].removeprefix("dataset_info: "))
    features = {each["name"]: each for each in info["features"]}
    assert features["mood"]["dtype"]["class_label"]["names"] == {"0": "good", "1": "bad"}
    assert features["n"]["dtype"] == "int64"
    schema = pq.read_schema(found.files[1])
    assert list(features) == schema.names
    assert [each["name"] for each in features["ner"]["list"]] == [
        each.name for each in schema.field("ner").type.value_type
    ]


def test_hugging_face_of_pictures(edited: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    """Regions of pictures are lists of structs with boxes in pixels."""
    export("huggingface", tmp_path, **edited("boxes"))
    (row,) = pq.read_table(tmp_path / "data").to_pylist()
    assert row["box"][0]["width"] == pytest.approx(121.7, abs=0.1)
    assert len(row["pol"][0]["points"]) == 6


def test_a_column_may_be_called_task(asked: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """Data that have a column of that name keep it; the id of the task takes another name."""
    made = asked(TEXT, ({"text": "a", "task": "mine"}, [[]]))
    export("huggingface", tmp_path, **made)
    export("csv", tmp_path, **made)
    (row,) = pq.read_table(tmp_path / "data").to_pylist()
    assert (row["task"], row["dataplat_id"]) == ("mine", f"{0:032x}")
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["task"] == "mine"


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_answered_is_an_empty_file(format: Any, asked: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """A queue that nobody has answered yet is exported all the same."""
    xml = TEXT.replace("<View>", '<View><Image name="i" value="$img"/>')
    found = export(format, tmp_path / "new" / "folder", **asked(xml, ({"text": "a"}, [])))
    assert found.answers == 0
    assert all(file.exists() for file in found.files)


@pytest.mark.parametrize("format", ["coco", "conll"])
def test_a_format_that_cannot_hold_it_says_so(
    format: Any, asked: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """No picture is no COCO, no text no CoNLL; and there are four formats."""
    xml = '<View><Audio name="a" value="$a"/><Rating name="r" toName="a"/></View>'
    made = asked(xml, ({"a": "https://x/y.wav"}, []))
    with pytest.raises(ConfigError, match="take csv or huggingface"):
        export(format, tmp_path, **made)
    with pytest.raises(ConfigError, match="no such format: yolo; there are coco"):
        export("yolo", tmp_path, **made)  # type: ignore[arg-type]
