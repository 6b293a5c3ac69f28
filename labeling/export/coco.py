"""COCO, for boxes and polygons: `annotations.json` (https://cocodataset.org/#format-data).

A turned box is written as the upright one around it, its corners as `segmentation`; an ellipse as a polygon of 32
corners. What else was said of a region is in `attributes`. Names of pictures are those that the tasks refer to.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec

from dataplat.errors import ConfigError
from dataplat.labeling.export._exported import Exported
from dataplat.labeling.export._labelled import Labelled, Labels, Mark, Row

_CORNERS: Final = 32
Point = tuple[float, float]


def write(folder: Path, labels: Labels) -> Exported:
    """Write one picture a task, with the regions of its best answer."""
    images = {each.name: each.column for each in labels.config.objects if each.tag == "Image" and each.column}
    if not images:
        raise ConfigError(
            "COCO holds pictures, and the label config shows none (no Image tag); take csv or huggingface"
        )
    found = _Coco(images)
    found.left_out.update(labels.left_out)
    for control, type in labels.controls.items():
        if type.endswith("labels"):
            for name in labels.names(control):
                found.category(control, name)
    for task in labels:
        found.add(task)
    file = folder / "annotations.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(found.document()), indent=1))
    return Exported("coco", (file,), len(found.answered), len(found.annotations), found.left_out)


class _Coco:
    def __init__(self, images: dict[str, str]) -> None:
        self._shown = images
        self._categories: dict[str, Row] = {}
        self.images: list[Row] = []
        self.annotations: list[Row] = []
        self.answered: set[str] = set()
        self.left_out: Counter[str] = Counter()

    def category(self, control: str, name: str) -> int:
        """Return the number of a label; labels of one name are one."""
        new = {"id": len(self._categories) + 1, "name": name, "supercategory": control}
        number: int = self._categories.setdefault(name, new)["id"]
        return number

    def add(self, task: Labelled) -> None:
        """Take a task: a picture for each that it shows, whether anything is marked in it or not."""
        answer = task.best
        self.answered.add(task.task)
        self.left_out.update(
            {"answers beside the best of their task": len(task.answers) - 1} if task.answers[1:] else {}
        )
        numbers: dict[str, int] = {}
        for name, column in self._shown.items():
            sizes = [mark.row for mark in answer.marks if mark.row["to_name"] == name and mark.row["image_width"]]
            size = {"width": sizes[0]["image_width"], "height": sizes[0]["image_height"]} if sizes else {}
            number = numbers[name] = len(self.images) + 1
            self.images.append({"id": number, "file_name": _file(task.data.get(column)), **size, "task": task.task})
        for mark in answer.marks:
            self._mark(mark, numbers.get(mark.row["to_name"]), answer.row["annotator"])
        if answer.said:
            self.images[-1]["attributes"] = answer.said

    def _mark(self, mark: Mark, image: int | None, annotator: str | None) -> None:
        if image is None or not mark.drawn:
            self.left_out["marks that are not in a picture"] += 1
            return
        shape = outline(mark.row)
        if len(shape) < 3:
            self.left_out["points"] += 1
            return
        if not mark.labels:
            self.left_out["marks without a label"] += 1
        for label in mark.labels:
            self.annotations.append({
                "id": len(self.annotations) + 1, "image_id": image,
                "category_id": self.category(mark.row["from_name"] or "", label), "iscrowd": 0,
                "bbox": around(mark.row, shape), "area": area(shape),
                "segmentation": [[each for point in shape for each in point]],
                "attributes": {**mark.said, "annotator": annotator, "rotation": mark.row["rotation"] or 0.0},
            })  # fmt: skip

    def document(self) -> dict[str, Any]:
        """Return all of it."""
        categories = list(self._categories.values())
        return {
            "info": {},
            "licenses": [],
            "images": self.images,
            "categories": categories,
            "annotations": self.annotations,
        }


def _file(value: Any) -> str:
    if isinstance(value, dict):  # a column of bytes
        return str(value.get("sha256", ""))
    return "" if value is None else str(value)


def outline(row: Row) -> list[Point]:
    """Return the corners of a region in pixels, turned as it is."""
    if row["points"] is not None:
        return list(zip(row["points"][::2], row["points"][1::2], strict=True))
    x, y, wide, high = row["x"], row["y"], row["width"], row["height"]
    turn = math.radians(row["rotation"] or 0.0)
    if (row["type"] or "").startswith("ellipse"):
        pivot = (x + wide / 2, y + high / 2)
        angles = [math.tau * at / _CORNERS for at in range(_CORNERS)]
        corners = [(pivot[0] + wide / 2 * math.cos(each), pivot[1] + high / 2 * math.sin(each)) for each in angles]
    else:  # the editor turns boxes about their first corner
        pivot = (x, y)
        corners = [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)]
    return [_turned(point, pivot, turn) for point in corners] if turn else corners


def _turned(point: Point, pivot: Point, turn: float) -> Point:
    x, y = point[0] - pivot[0], point[1] - pivot[1]
    cos, sin = math.cos(turn), math.sin(turn)
    return pivot[0] + x * cos - y * sin, pivot[1] + x * sin + y * cos


def around(row: Row, shape: list[Point]) -> list[float]:
    """Return the upright box around a region: x, y, width, height."""
    if not row["rotation"] and row["points"] is None:
        return [row["x"], row["y"], row["width"], row["height"]]
    across, down = [x for x, _ in shape], [y for _, y in shape]
    return [min(across), min(down), max(across) - min(across), max(down) - min(down)]


def area(shape: list[Point]) -> float:
    """Return the area within corners (Gauss's formula)."""
    pairs = zip(shape, [*shape[1:], shape[0]], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2
