"""Answers: what the real editor gave, whichever way it is read; malformed ones; any order; any cut."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import LabelServerError
from dataplat.labeling import answers as module
from dataplat.labeling.answers import Answers, Seen, read_export, read_tasks
from dataplat.labeling.config import LabelConfig
from dataplat.labeling.tables import schema

EDITOR = Path(__file__).parent / "editor"  # made by hand in Chromium, on Label Studio 1.23.2
NAMES = {1: "ada", 2: "bob"}
TASK = "a" * 32


def config(name: str) -> LabelConfig:
    """Read the config that the editor showed."""
    return LabelConfig.from_xml((EDITOR / f"{name}.xml").read_text())


def export(text: bytes, read_with: LabelConfig | None = None, block: int = 8 << 20, piece: int = 1000) -> Answers:
    """Read an export in pieces, and put what comes together."""
    pieces = (text[at : at + piece] for at in range(0, len(text), piece))
    found = list(read_export(pieces, read_with, NAMES, block=block))
    seen, foreign, unflat = {}, {}, {}
    for each in found:
        seen |= each.seen
        foreign |= each.foreign
        unflat |= each.unflat
    tables = [
        pa.concat_tables([getattr(each, name) for each in found] or [schema(name).empty_table()])
        for name in ("annotations", "regions", "relations")
    ]
    return Answers(*tables, seen, foreign, unflat)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows in an order that depends on nothing."""
    return sorted(table.to_pylist(), key=lambda row: (row["annotation"], row.get("item", 0)))


def same(one: Answers, two: Answers) -> None:
    """Fail where two readings differ in anything but order."""
    for name in ("annotations", "regions", "relations"):
        assert rows(getattr(one, name)) == rows(getattr(two, name))
    assert (one.seen, one.foreign, one.unflat) == (two.seen, two.foreign, two.unflat)


def answer(result: Any = (), **fields: Any) -> dict[str, Any]:
    """Return one answer as the server writes it."""
    usual = {
        "id": 7, "completed_by": 1, "result": list(result) if isinstance(result, tuple) else result,
        "was_cancelled": False, "lead_time": 2.5, "created_at": "2026-11-28T01:40:17.706346Z",
        "updated_at": "2026-11-28T01:40:18Z", "parent_prediction": None, "ground_truth": False, "project": 4,
    }  # fmt: skip
    return usual | fields


def task(*annotations: Any, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """Return one task as the server writes it."""
    usual: dict[str, Any] = {
        "id": 3, "annotations": list(annotations), "data": {"text": text, "dataplat_id": TASK},
        "updated_at": "2026-11-28T01:41:00Z", "project": 4,
    }  # fmt: skip
    return usual | fields


def region(value: dict[str, Any], type: str, **fields: Any) -> dict[str, Any]:
    """Return one item of a result."""
    return {"id": "r", "from_name": "c", "to_name": "t", "type": type, "value": value} | fields


def dumped(*tasks: Any) -> bytes:
    """Return an export, written as the server writes it."""
    return json.dumps(list(tasks), ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def one_region(value: dict[str, Any], type: str, *, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """Return the row of one region."""
    found = export(dumped(task(answer([region(value, type, **fields)]), text=text)))
    assert not found.unflat
    (row,) = found.regions.to_pylist()
    return row


@pytest.mark.parametrize("name", ["text", "page", "boxes"])
def test_export_listing_and_snapshot_give_the_same_rows(name: str) -> None:
    """What the editor stored is read alike from the export, from the listing of tasks and from a snapshot."""
    listed = json.loads((EDITOR / f"{name}.tasks.json").read_bytes())["tasks"]
    whole = export((EDITOR / f"{name}.export.json").read_bytes(), config(name))
    assert whole.annotations.num_rows
    same(whole, read_tasks(listed, config(name), NAMES))
    same(whole, export((EDITOR / f"{name}.snapshot.json").read_bytes(), config(name)))


def test_result_is_the_text_that_came() -> None:
    """`result` and `value` are slices of the listing, byte for byte."""
    listing = (EDITOR / "page.tasks.json").read_text()
    found = export((EDITOR / "page.export.json").read_bytes())
    for result in found.annotations["result"].to_pylist():
        assert f'"result":{result},"created_username"' in listing
    for value in found.regions["value"].to_pylist():
        assert f'"value":{value},' in listing


def test_spans_of_the_editor_are_code_points() -> None:
    """Offsets that the editor stored after emoji, line ends and entities cut the text that people marked."""
    found = export((EDITOR / "text.export.json").read_bytes(), config("text"))
    text = json.loads((EDITOR / "text.export.json").read_bytes())[0]["data"]["text"]
    spans = found.regions.to_pylist()
    assert [span["text"] for span in spans] == ["first", "second", "bold", "third", "zebra"]
    assert [text[int(span["start"]) : int(span["end"])] for span in spans] == [span["text"] for span in spans]


def test_spans_of_hypertext_are_places_in_what_is_read() -> None:
    """`globalOffsets` count the text without its tags; regions with two controls are two rows of one region."""
    found = export((EDITOR / "page.export.json").read_bytes(), config("page"))
    read = "😀 first\nline & 😀 second bold 😀 entity zebra"
    spans = [row for row in found.regions.to_pylist() if row["start"] is not None]
    assert [read[int(row["start"]) : int(row["end"])] for row in spans] == [row["text"] for row in spans]
    second = [row for row in spans if row["text"] == "second"]
    assert [row["labels"] for row in second] == [["B"], ["x"]]
    assert len({row["region"] for row in second}) == 1
    (relation,) = found.relations.to_pylist()
    assert (relation["from_region"], relation["direction"]) == (second[0]["region"], "right")


def test_a_skip_tells_why() -> None:
    """What a control called `…reason…` says of a skipped task is its reason."""
    found = export((EDITOR / "page.export.json").read_bytes(), config("page"))
    skipped = [row for row in found.annotations.to_pylist() if row["skipped"]]
    assert [row["reason"] for row in skipped] == ["cannot read it"]
    chosen = region({"choices": ["blurred"]}, "choices", from_name="Reason")
    told = export(dumped(task(answer([chosen], was_cancelled=True))))
    assert told.annotations["reason"].to_pylist() == ["blurred"]
    kept = export(dumped(task(answer([chosen]))))
    assert kept.annotations["reason"].to_pylist() == [None]


def test_boxes_are_in_pixels_without_a_picture() -> None:
    """Percent become pixels by the size that comes along: boxes, ellipses, keypoints, polygons."""
    found = export((EDITOR / "boxes.export.json").read_bytes(), config("boxes"))
    box, ellipse, point, polygon = found.regions.to_pylist()
    assert (box["image_width"], box["image_height"]) == (640, 480)
    assert [round(box[name], 1) for name in ("x", "y", "width", "height")] == [65.1, 93.4, 121.7, 60.8]
    assert round(ellipse["x"] + ellipse["width"] / 2, 1) == round(48.19391634980988 * 6.4, 1)
    assert [round(each) for each in point["points"]] == [430, 276]
    assert len(polygon["points"]) == 6
    assert point["x"] is None
    assert polygon["width"] is None


@pytest.mark.parametrize("said", ["😀", "b", "b 😀"])
def test_units_of_a_browser_become_code_points(said: str) -> None:
    """A span that counts UTF-16 units is told by its text, and stored in code points; so is one in code points."""
    text = "a😀😀 b 😀 c"
    at = text.rindex(said)
    units = len(text[:at].encode("utf-16-le")) // 2
    far = units + len(said.encode("utf-16-le")) // 2
    for start, end in ((units, far), (at, at + len(said))):
        row = one_region({"start": start, "end": end, "text": said, "labels": ["A"]}, "labels", text=text)
        assert (row["start"], row["end"]) == (at, at + len(said))


@pytest.mark.parametrize(
    ("value", "type", "expected"),
    [
        ({"choices": ["b", "a"]}, "choices", {"labels": ["b", "a"]}),
        ({"rating": 4}, "rating", {"number": 4.0, "labels": None}),
        ({"number": 3.5}, "number", {"number": 3.5}),
        ({"text": ["one", "two"]}, "textarea", {"text": "one\ntwo", "start": None}),
        ({"datetime": "2026-11-28"}, "datetime", {"text": "2026-11-28"}),
        ({"taxonomy": [["a", "b"], ["c"]]}, "taxonomy", {"labels": ["a / b", "c"]}),
        ({"selected": "left"}, "pairwise", {"labels": ["left"]}),
        ({"start": 1.5, "end": 2.25, "channel": 0, "labels": ["S"]}, "labels", {"start": 1.5, "end": 2.25}),
        ({"start": "0", "end": "2", "paragraphlabels": ["P"]}, "paragraphlabels", {"start": None, "labels": ["P"]}),
        ({"sequence": [{"frame": 3}, {"frame": 9}], "labels": ["car"]}, "videorectangle", {"start": 3, "end": 9}),
        ({"ranges": [{"start": 2, "end": 5}], "timelinelabels": ["t"]}, "timelinelabels", {"start": 2, "end": 5}),
        ({"format": "rle", "rle": [1, 2], "brushlabels": ["sky"]}, "brushlabels", {"labels": ["sky"], "x": None}),
        ({"new": {"of": 2030}}, "hologram", {"type": "hologram", "labels": None, "value": '{"new":{"of":2030}}'}),
    ],
)
def test_every_kind_is_laid_flat(value: dict[str, Any], type: str, expected: dict[str, Any]) -> None:
    """Each kind of item fills the columns that are meant for it; of kinds nobody knows the value is kept."""
    row = one_region(value, type)
    assert {name: row[name] for name in expected} == expected


def test_a_box_without_a_size_has_no_pixels() -> None:
    """Where the size of the picture did not come along there are no pixels, and percent are never taken for them."""
    row = one_region({"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["R"]}, "rectanglelabels")
    assert (row["x"], row["labels"]) == (None, ["R"])


@pytest.mark.parametrize(
    "result",
    [None, 7, "text", {"a": 1}, [None], [[]], [{"value": 3}], [region({"x": "left"}, "rectangle")],
     [region({"choices": ["a"]}, "choices"), region({"choices": [1]}, "choices")],
     [region({"points": [[1, 2], [3]]}, "polygon", original_width=9, original_height=9)],
     [region({}, "x", original_width=1e300)]],
)  # fmt: skip
def test_a_result_that_cannot_be_read_is_kept_and_counted(result: Any) -> None:
    """The answer is there with its result as it came, has no regions at all, and is named with the reason."""
    found = export(dumped(task(answer(result), answer([region({"choices": ["x"]}, "choices")], id=8))))
    first, second = found.annotations.to_pylist()
    assert json.loads(first["result"]) == result
    assert set(found.unflat) == {first["annotation"]}
    assert found.regions["annotation"].to_pylist() == [second["annotation"]]


@pytest.mark.parametrize(
    ("field", "value", "column"),
    [
        ("completed_by", "someone", "annotator"), ("lead_time", "long", "lead_time"), ("lead_time", [], "lead_time"),
        ("created_at", "yesterday", "created_at"), ("updated_at", 5, "updated_at"), ("was_cancelled", "no", None),
        ("parent_prediction", 1 << 70, "parent_prediction"), ("ground_truth", {}, "ground_truth"),
    ],
)  # fmt: skip
def test_a_field_that_is_not_what_it_should_be_empties_its_column(field: str, value: Any, column: str | None) -> None:
    """One odd field takes neither the other fields nor the other answers with it."""
    good = [region({"choices": ["x"]}, "choices")]
    found = export(dumped(task(answer(good, **{field: value}), answer(good, id=8))))
    first, second = found.annotations.to_pylist()
    assert first["result"] == second["result"]
    assert first["project"] == 4
    assert found.regions.num_rows == 2
    if column is not None:
        assert first[column] is None
        assert second[column] == export(dumped(task(answer(good)))).annotations[column][0].as_py()


@pytest.mark.parametrize("odd", [7, None, "x", [], [{"id": 1}]])
def test_what_is_no_annotation_is_kept_as_it_came(odd: Any) -> None:
    """Something else in the place of an annotation is an answer without an id, its text verbatim."""
    found = export(dumped(task(odd, odd, answer())))
    strange, usual = sorted(found.annotations.to_pylist(), key=lambda row: row["id"] or 0)
    assert json.loads(strange["result"]) == odd
    assert strange["annotation"].startswith("odd-")
    assert usual["id"] == 7
    whole = export(dumped(task() | {"annotations": "gone"}))
    assert whole.annotations["result"].to_pylist() == ['"gone"']


def test_tasks_of_nobody_are_counted() -> None:
    """Tasks without a `dataplat_id` are in no table, and said; so is what is no task."""
    found = export(
        dumped(task(answer(), data={"text": "x"}), task(answer(), data=None, id=5), 17, task(answer(), id=6))
    )
    assert found.foreign == {3: 1, 5: 1, -1: 0}
    assert found.seen == {6: Seen(TASK, datetime(2026, 11, 28, 1, 41, tzinfo=UTC), 1)}
    assert found.annotations.num_rows == 1


def test_who_answered_is_named() -> None:
    """The one who completed it counts, by the queue's name; others are user-ID; an account that is gone is null."""
    who = [2, {"id": 1, "email": "ada@example.com"}, 9, None]
    found = export(dumped(task(*[answer(id=at, completed_by=user) for at, user in enumerate(who)])))
    assert found.annotations["annotator"].to_pylist() == ["bob", "ada", "user-9", None]


def test_times_of_objects_are_those_of_texts() -> None:
    """An SDK that gives times as objects, with a zone or without, gives the same answers."""
    time = datetime(2026, 11, 28, 1, 40, 17, 706346)  # noqa: DTZ001 - as some give it
    texts = read_tasks([task(answer())], None, NAMES)
    for given_time in (time, time.replace(tzinfo=UTC)):
        same(texts, read_tasks([task(answer(created_at=given_time))], None, NAMES))


def test_half_a_character_loses_nothing() -> None:
    """An escape of half an emoji, which is no Unicode, is kept in the result and replaced in the text of the span."""
    span = region({"start": 0, "end": 1, "text": "\ud83d", "labels": ["A"]}, "labels")
    for found in (
        export(json.dumps([task(answer([span]), text="\ud83d\\ud83d")]).encode()),
        read_tasks([task(answer([span]), text="\ud83d\\ud83d")], None, NAMES),
    ):
        assert '"text":"\\ud83d"' in found.annotations["result"][0].as_py().replace(": ", ":")
        assert found.regions["text"].to_pylist() == ["\ufffd"]
        assert found.seen[3].task == TASK


def test_of_a_task_that_is_listed_twice_the_last_counts() -> None:
    """Where pages shifted meanwhile, the task that was updated last is taken, wherever it stands."""
    old = task(answer(lead_time=1.0))
    new = task(answer(lead_time=9.0), updated_at="2026-11-28T02:00:00Z")
    for both in ([old, new], [new, old]):
        assert read_tasks(both, None, NAMES).annotations["lead_time"].to_pylist() == [9.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"), (b"  \n", "is empty"), (b'{"detail": "no"}', "no JSON array"), (b"<html>", "no JSON array"),
        (b'[{"id":1},', "ends in the middle"), (b'[{"id":[1', "ends in the middle"), (b'[{"id":[1]', "broken"),
        (b'[{"id":1]', "broken"), (b'[{"data":"\xff"}]', "not UTF-8"),
    ],
)  # fmt: skip
def test_an_export_that_broke_is_said(text: bytes, message: str) -> None:
    """Half an export is never taken for a whole one."""
    with pytest.raises(LabelServerError, match=message):
        export(text)


def test_a_result_that_is_no_text_is_said() -> None:
    """Bytes that are no UTF-8 inside of a result are an error that shows them."""
    with pytest.raises(LabelServerError, match="not UTF-8"):
        export(dumped(task(answer())).replace(b'"result":[]', b'"result":["\xff"]'))


def test_nothing_answered_is_no_error() -> None:
    """An empty export gives no answers."""
    assert export(b" [ ] ").annotations.num_rows == 0
    assert read_tasks([], None, NAMES).seen == {}


TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=8) | st.sampled_from(['"', "\\", '\\"', "},{", "]"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 40), 1 << 40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ITEMS = st.builds(
    region,
    st.fixed_dictionaries(
        {},
        optional={
            "choices": st.lists(TEXTS, max_size=2), "start": st.integers(0, 9), "end": st.integers(0, 9), "text": TEXTS,
            "x": st.floats(0, 100), "y": st.floats(0, 100), "odd": VALUES,
        },
    ),
    st.sampled_from(["choices", "labels", "rectanglelabels", "strange"]),
    original_width=st.integers(0, 5000), original_height=st.integers(0, 5000),
)  # fmt: skip
ANNOTATIONS = st.builds(
    answer,
    st.lists(ITEMS | st.just({"from_id": "a", "to_id": "b", "type": "relation"}), max_size=3) | VALUES,
    was_cancelled=st.booleans(), lead_time=st.none() | st.floats(0, 1e6), extra=VALUES,
)  # fmt: skip


@st.composite
def exports(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw tasks with answers; ids are those of a server, so none is there twice."""
    tasks = draw(st.lists(st.lists(ANNOTATIONS, max_size=3), max_size=4))
    return [
        task(*[each | {"id": 10 * at + place} for place, each in enumerate(given)], text=draw(TEXTS), id=at)
        for at, given in enumerate(tasks)
    ]


@settings(max_examples=40, deadline=None)
@given(exports(), st.integers(1, 400), st.integers(1, 50), st.randoms(use_true_random=False))
def test_no_cut_and_no_order_changes_an_answer(
    tasks: list[dict[str, Any]], block: int, piece: int, shuffle: random.Random
) -> None:
    """Cut anywhere, shuffled, indented, or listed instead of exported: the same rows."""
    whole = export(dumped(*tasks))
    assert whole.annotations.num_rows == sum(len(each["annotations"]) for each in tasks)
    same(whole, export(dumped(*tasks), block=block, piece=piece))
    same(whole, read_tasks(tasks, None, NAMES))
    same(whole, export(json.dumps(tasks, indent=1, ensure_ascii=False).encode(), block=block))
    shuffle.shuffle(tasks)
    same(whole, export(dumped(*tasks), piece=piece))


@settings(max_examples=40, deadline=None)
@given(exports())
def test_the_loose_way_reads_what_the_quick_one_reads(tasks: list[dict[str, Any]]) -> None:
    """A malformed neighbour sends a whole block the loose way: nothing of the others changes."""
    quick = export(dumped(*tasks))
    loose = export(dumped(*tasks, {"id": "no number", "data": 5}))
    assert loose.foreign == {-1: 0}
    loose.foreign.clear()
    same(quick, loose)


@settings(max_examples=40, deadline=None)
@given(VALUES)
def test_any_result_at_all_is_kept(result: Any) -> None:
    """Whatever stands in `result`, the answer lands, and the same value stands in the table."""
    found = export(dumped(task(answer(result) | {"result": result})))
    assert msgspec.json.decode(found.annotations["result"][0].as_py()) == msgspec.json.decode(
        msgspec.json.encode(result)
    )


def test_the_schemas_are_those_of_the_queue() -> None:
    """The tables have the columns that the queue's datasets have, empty or not."""
    for found in (export(b"[]"), export(dumped(task(answer([region({"choices": ["x"]}, "choices")]))))):
        for name in ("annotations", "regions", "relations"):
            assert getattr(found, name).schema == schema(name)


def test_blocks_bound_what_is_held() -> None:
    """An export of many blocks is given in as many pieces, while it is still coming."""
    text = dumped(*[task(answer(), id=at, text="x" * 1000) for at in range(200)])
    taken = 0

    def pieces() -> Any:
        nonlocal taken
        for at in range(0, len(text), 4096):
            taken += 1
            yield text[at : at + 4096]

    first = next(module.read_export(pieces(), None, NAMES, block=16_384))
    assert 10 < first.annotations.num_rows < 30
    assert taken < 10
