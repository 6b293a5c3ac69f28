"""CSV, for spreadsheets: `labels.csv`, an answer a row; columns of the task, then one for each control, then whose it is.

Several choices of one control are parted by `|`; marks are JSON, with offsets in code points and boxes in pixels.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Final

from dataplat.labeling.export._exported import Exported
from dataplat.labeling.export._labelled import Answer, Labelled, Labels, Mark

_WHOSE: Final = ("annotator", "lead_time", "created_at", "updated_at", "ground_truth")
_MARK: Final = (
    "start",
    "end",
    "text",
    "x",
    "y",
    "width",
    "height",
    "rotation",
    "points",
    "image_width",
    "image_height",
)


def write(folder: Path, labels: Labels) -> Exported:
    """Write every answer."""
    controls, columns = list(labels.controls), labels.columns
    file = folder / "labels.csv"
    answers = marks = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(
            [
                "task",
                *columns,
                *_distinct(controls, {labels.id_column, *columns, *_WHOSE}),
                *_distinct(_WHOSE, set(columns)),
            ]
        )
        for task in labels:
            for answer in task.answers:
                lines.writerow(_line(task, answer, columns, controls))
                answers += 1
                marks += len(answer.marks)
    return Exported("csv", (file,), answers, marks, labels.left_out)


def _distinct(names: Any, taken: set[str]) -> list[str]:
    """Return names of columns; one that is taken by the data gets `label.` before it."""
    return [f"label.{name}" if name in taken else name for name in names]


def _line(task: Labelled, answer: Answer, columns: list[str], controls: list[str]) -> list[Any]:
    said: dict[str, Any] = {name: _said(value) for name, value in answer.said.items()}
    marks: dict[str, list[dict[str, Any]]] = {}
    for mark in answer.marks:
        marks.setdefault(mark.row["from_name"] or "", []).append(_mark(mark))
    said |= {name: json.dumps(each, ensure_ascii=False) for name, each in marks.items()}
    shown = [_cell(task.data.get(name)) for name in columns]
    return [task.task, *shown, *(said.get(name, "") for name in controls), *(_whose(answer, name) for name in _WHOSE)]


def _whose(answer: Answer, name: str) -> Any:
    value = answer.row[name]
    return value.isoformat() if hasattr(value, "isoformat") else _cell(value)


def _mark(mark: Mark) -> dict[str, Any]:
    return {
        "labels": mark.labels, **mark.said, **{name: mark.row[name] for name in _MARK if mark.row[name] is not None}
    }  # fmt: skip


def _said(value: Any) -> Any:
    return "|".join(value) if isinstance(value, list) else _cell(value)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
