"""The datasets of a queue: what is asked, where each question lies, what was answered, and the answers laid flat.

    NAME.queue         one row: the definition (`dataplat.labeling.spec.QueueSpec` as JSON)
    NAME.tasks         one row a question; equal rows of the source are one
    NAME.placements    one row for each task put before an annotator, and where it lies on the server
    NAME.annotations   one row an answer, with its `result` as it came
    NAME.regions       one row for each item of a result
    NAME.relations     one row for each relation between regions of a result

All but the first are keyed. No column says when anything was pulled: the same answers give the same content id,
whatever the order in which they came.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

Kind: TypeAlias = Literal["queue", "tasks", "placements", "annotations", "regions", "relations"]

KEYS: Final[dict[Kind, tuple[str, ...]]] = {
    "queue": ("queue",),
    "tasks": ("task",),
    "placements": ("task", "annotator"),
    "annotations": ("annotation",),
    "regions": ("annotation", "item"),
    "relations": ("annotation", "item"),
}


def dataset(queue: str, kind: Kind) -> str:
    """Return the name of a queue's dataset."""
    return f"{queue}.{kind}"


@cache
def schema(kind: Kind) -> pa.Schema:
    """Return the columns of one of a queue's datasets."""
    import pyarrow as pa

    columns = (_asked() | _answered())[kind]
    required = {*KEYS[kind], "task"}
    return pa.schema([pa.field(name, kind_, nullable=name not in required) for name, kind_ in columns.items()])


def _asked() -> dict[Kind, dict[str, pa.DataType]]:
    """Return the columns of what is asked."""
    import pyarrow as pa

    text, whole, number = pa.string(), pa.int64(), pa.float64()
    time = pa.timestamp("us", tz="UTC")
    return {
        "queue": {"queue": text, "definition": text},
        "tasks": {
            "task": text,  # 32 hex digits: what identifies the question
            "position": whole,  # the place in the queue, from 0; gold tasks lie among the others
            "stream": text,  # "policy" | "audit" | "fixed" | "gold" | "adjudication"
            "rate": number,  # of a sampling order: how often it is drawn, relative to the others (positive)
            "arrival": number,  # of a sampling order: when it was drawn; the order is that of arrivals
            "probability": number,  # that it is among the tasks queued so far; null where the order is no sample
            "data": text,  # the columns shown, as JSON; media as they are referred to, never their bytes
            "rows": whole,  # how many rows of the source ask this
            "part": text,  # where the first of them lies: part id and row, for media that are columns of bytes
            "row": whole,
            "prediction": text,  # what is prefilled, a `result` as JSON, or null
            "score": number,  # of the prediction
            "expected": text,  # of a gold task: the right `result` as JSON
        },
        "placements": {
            "task": text,
            "annotator": text,
            "project": whole,  # ids on the server
            "id": whole,
            "copies": pa.list_(whole),  # ids of the same task that were answered, too, before anybody saw the copy
            "state": text,  # "open" | "answered" | "skipped" | "moved" | "gone" (deleted on the server) | "kept" (answered and pulled, then deleted there)
            "until": time,  # the lease: unanswered after that, it may be moved to somebody else
            "seen": time,  # the server's `updated_at` of the task when it was last read
        },
    }


def _answered() -> dict[Kind, dict[str, pa.DataType]]:
    """Return the columns of what is answered."""
    import pyarrow as pa

    text, whole, number, flag = pa.string(), pa.int64(), pa.float64(), pa.bool_()
    time = pa.timestamp("us", tz="UTC")
    return {
        "annotations": {
            "annotation": text,  # what names it, in listings and exports alike
            "id": whole,
            "task": text,
            "annotator": text,  # who completed it, by the name that the queue knows them under
            "project": whole,
            "result": text,  # JSON, written one way
            "skipped": flag,
            "reason": text,  # why it was skipped, if somebody said so
            "lead_time": number,  # seconds
            "created_at": time,
            "updated_at": time,
            "config": text,  # id of the label config that was shown
            "parent_prediction": whole,
            "parent_annotation": whole,
            "ground_truth": flag,
        },
        "regions": {
            "annotation": text,
            "item": whole,  # the place in the result, from 0
            "task": text,
            "annotator": text,
            "region": text,  # the id in the result; items of one region with several controls share it
            "from_name": text,
            "to_name": text,
            "type": text,  # "choices", "labels", "rectanglelabels", …
            "labels": pa.list_(text),  # choices or labels, in the order given
            "text": text,  # of spans the text, of textareas what was written (lines joined)
            "number": number,  # of Number and Rating
            "start": number,  # spans: code points, end exclusive; audio and video: seconds or frames
            "end": number,
            "x": number,  # boxes: pixels from the left, the top; size in pixels; degrees clockwise
            "y": number,
            "width": number,
            "height": number,
            "rotation": number,
            "points": pa.list_(number),  # polygons and keypoints: x, y, x, y, … in pixels
            "image_width": whole,
            "image_height": whole,
            "score": number,
            "value": text,  # the item's `value` as JSON, written one way
        },
        "relations": {
            "annotation": text,
            "item": whole,
            "task": text,
            "annotator": text,
            "from_region": text,
            "to_region": text,
            "direction": text,
            "labels": pa.list_(text),
        },
    }
