"""Answers: `make BYTES FILE` writes an export as Label Studio would, `dataplat FILE` and `pandas FILE` read it to Arrow.

Two answers a task: of texts one choice and three spans, of every fourth task a picture with five boxes.
"""

import json
import sys
import time
from pathlib import Path

what, *given = sys.argv[1:]
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "😀",
    "snow",
    "falls",
    "on",
    "red",
    "hills",
    "and",
    "nobody",
    "minds",
    "it",
    "at",
    "all",
]


def spans(draw, text):
    """Return a choice and three spans."""
    items = [
        {
            "value": {"choices": [draw.choice(["good", "bad", "odd"])]},
            "id": f"c{draw.random():.8f}",
            "from_name": "mood",
            "to_name": "text",
            "type": "choices",
            "origin": "manual",
        }
    ]
    for _ in range(3):
        start = draw.randrange(0, len(text) - 12)
        end = start + draw.randrange(3, 12)
        value = {"start": start, "end": end, "text": text[start:end], "labels": [draw.choice(["PER", "LOC", "ORG"])]}
        items.append(
            {
                "value": value,
                "id": f"s{draw.random():.8f}",
                "from_name": "label",
                "to_name": "text",
                "type": "labels",
                "origin": "manual",
            }
        )
    return items


def boxes(draw):
    """Return five boxes."""
    size = {"original_width": 1920, "original_height": 1080, "image_rotation": 0}
    return [
        {
            **size,
            "value": {
                "x": draw.random() * 90,
                "y": draw.random() * 90,
                "width": draw.random() * 10,
                "height": draw.random() * 10,
                "rotation": 0,
                "rectanglelabels": [draw.choice(["car", "bus"])],
            },
            "id": f"b{draw.random():.8f}",
            "from_name": "box",
            "to_name": "img",
            "type": "rectanglelabels",
            "origin": "manual",
        }
        for _ in range(5)
    ]


def task(draw, number):
    """Return a task with two answers."""
    text = " ".join(draw.choices(WORDS, k=60))
    time_of = f"2026-11-28T01:40:17.{draw.randrange(10**6):06d}Z"
    answers = [
        {
            "id": 2 * number + at, "completed_by": at + 1, "result": boxes(draw) if number % 4 == 0 else spans(draw, text),
            "was_cancelled": False, "ground_truth": False, "created_at": time_of, "updated_at": time_of,
            "draft_created_at": None, "lead_time": round(draw.random() * 60, 3), "prediction": {}, "result_count": 4,
            "unique_id": "e57ed90f-47e7-4b54-8613-a54593f989da", "import_id": None, "last_action": None,
            "bulk_created": False, "task": number, "project": 1, "updated_by": 1, "parent_prediction": None,
            "parent_annotation": None, "last_created_by": None,
        }
        for at in range(2)
    ]  # fmt: skip
    data = {"text": text, "img": f"https://pictures/{number}.jpg", "dataplat_id": f"{number:032x}"}
    return {
        "id": number, "annotations": answers, "drafts": [], "predictions": [], "data": data, "meta": {},
        "created_at": time_of, "updated_at": time_of, "allow_skip": True, "inner_id": number, "total_annotations": 2,
        "cancelled_annotations": 0, "total_predictions": 0, "comment_count": 0, "unresolved_comment_count": 0,
        "last_comment_updated_at": None, "project": 1, "updated_by": 1, "comment_authors": [],
    }  # fmt: skip


if what == "make":
    import random

    size, file = int(given[0]), given[1]
    draw = random.Random(7)
    with Path(file).open("w", encoding="utf-8") as out:
        out.write("[")
        number = written = 0
        while written < size:
            text = json.dumps(task(draw, number), ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
            written += out.write(("," if number else "") + text)
            number += 1
        out.write("]")
elif what == "dataplat":
    import pyarrow as pa

    from dataplat.labeling.answers import read_export
    from dataplat.labeling.config import LabelConfig

    config = LabelConfig.from_xml(
        '<View><Text name="text" value="$text"/><Choices name="mood" toName="text"><Choice value="good"/></Choices>'
        '<Labels name="label" toName="text"><Label value="PER"/></Labels><Image name="img" value="$img"/>'
        '<RectangleLabels name="box" toName="img"><Label value="car"/></RectangleLabels></View>'
    )
    assert pa.array([1], pa.int64()).take(pa.array([0]))  # loaded, as pandas is for the other side
    begin = time.process_time()
    rows = size = 0
    with Path(given[0]).open("rb") as file:
        for answers in read_export(iter(lambda: file.read(1 << 16), b""), config, {1: "ada", 2: "bob"}):
            rows += answers.regions.num_rows
            assert not answers.unflat
        size = file.tell()
    seconds = time.process_time() - begin
    print(json.dumps({"read_seconds": seconds, "mb_per_s": size / 1e6 / seconds, "regions": rows}))
else:
    import pandas as pd
    import pyarrow as pa

    begin = time.process_time()
    with Path(given[0]).open(encoding="utf-8") as file:
        tasks = json.load(file)
    of = ["id", "completed_by", "was_cancelled", "lead_time", "created_at", "updated_at", "project"]
    annotations = pd.json_normalize(tasks, "annotations", [["data", "dataplat_id"]], max_level=0)
    regions = pd.json_normalize(annotations.to_dict("records"), "result", of, record_prefix="item.")
    kept = pa.Table.from_pandas(annotations.drop(columns=["result", "prediction"])), pa.Table.from_pandas(regions)
    seconds = time.process_time() - begin
    print(
        json.dumps(
            {
                "read_seconds": seconds,
                "mb_per_s": Path(given[0]).stat().st_size / 1e6 / seconds,
                "regions": kept[1].num_rows,
            }
        )
    )
