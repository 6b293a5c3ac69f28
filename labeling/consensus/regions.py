"""Spans, boxes and outlines that several people mean alike: which are of one thing, and what it is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import ConfigError
from dataplat.labeling.consensus._coded import Array
from dataplat.labeling.consensus._shapes import Box, Shape, overlaps, shape_of
from dataplat.labeling.consensus.votes import last_words
from dataplat.labeling.tables import schema

Labels: TypeAlias = tuple[str, ...]

_MORE = (
    ("votes", pa.int64()),
    ("answers", pa.int64()),
    ("confidence", pa.float64()),
    ("label_share", pa.float64()),
    ("overlap", pa.float64()),
    ("annotators", pa.list_(pa.string())),
    ("decided", pa.string()),
)


@dataclass(frozen=True, slots=True, repr=False)
class RegionConsensus:
    """What many people's regions come to.

    Attributes:
        table: one row a region that is agreed on. The columns of `regions` (`dataplat.labeling.tables`), as of one more
            annotator, `consensus`: the region that covers most of the others of its kind (of upright boxes the median
            of each edge instead, and `value` is null), and the labels that most gave. Besides: `votes`, who drew it; `answers`, who answered the task; `confidence`, votes by
            answers; `label_share`, the share of votes for these labels; `overlap`, how much those regions cover each
            other on average; `annotators`, who drew it; `decided`, by "votes" or the "adjudicator".
        disputed: the same of those that are not.
        left_out: regions that have no shape to compare, as brush strokes and single points.
    """

    table: pa.Table
    disputed: pa.Table
    left_out: int

    @property
    def summary(self) -> str:
        """What was found, as one line."""
        told = f"{self.table.num_rows:,} regions agreed on, {self.disputed.num_rows:,} disputed"
        return f"{told}, {self.left_out:,} without a shape left out" if self.left_out else told

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        return f"<RegionConsensus {self.summary}>"


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A region: who drew it, what it is, and its row."""

    annotator: str
    shape: Shape
    labels: Labels
    row: dict[str, Any]


def consensus_regions(
    regions: pa.Table,
    annotations: pa.Table,
    *,
    iou: float = 0.5,
    share: float = 0.5,
    adjudicator: str | None = None,
) -> RegionConsensus:
    """Return the regions that people agree on.

    Regions of one task, control and object that cover each other are of one thing, at most one of each person: those
    that share most are put together first, while every two of them share `iou`. Labels play no part but where two share
    the same.

    Args:
        regions: the regions of a queue (`dataplat.labeling.tables`).
        annotations: its annotations, which say who answered, also that there is nothing.
        iou: what two regions share at least of what they cover together, between 0 and 1.
        share: a region is agreed on where more than this share of those who answered the task drew it.
        adjudicator: whose answer decides: the regions in it are agreed on, and no others of the task.

    Raises:
        ConfigError: `iou` or `share` is no share.
    """
    if not 0 < iou <= 1 or not 0 <= share < 1:
        raise ConfigError(f"iou is above 0 and at most 1, share from 0 and below 1; not {iou} and {share}")
    people = _people(annotations, adjudicator)
    drawn, left_out = _drawn(regions, people)
    agreed: list[dict[str, Any]] = []
    disputed: list[dict[str, Any]] = []
    numbers: Counter[str] = Counter()
    for (task, *_), group in sorted(drawn.items()):
        answers = people[task]
        by = "adjudicator" if set(answers.values()) == {adjudicator} else "votes"
        shared = overlaps([each.shape for each in group])
        for cluster in _clusters(group, shared, iou):
            row = _row([group[n] for n in cluster], shared[np.ix_(cluster, cluster)], len(answers), by)
            row |= {"item": numbers[task], "region": str(numbers[task])}
            numbers[task] += 1
            (agreed if row["confidence"] > share else disputed).append(row)
    fields = [*schema("regions"), *(pa.field(*column) for column in _MORE)]
    table, other = (pa.Table.from_pylist(rows, pa.schema(fields)) for rows in (agreed, disputed))
    return RegionConsensus(table, other, left_out)


def _people(annotations: pa.Table, adjudicator: str | None) -> dict[str, dict[str, str]]:
    """Return, by task and annotation, whose answers count."""
    last = last_words(annotations)
    people: dict[str, dict[str, str]] = defaultdict(dict)
    for task, annotation, annotator in last.select("task", "annotation", "annotator").iter_rows():
        people[task][annotation] = annotator
    for task, answers in people.items():
        judged = {annotation: who for annotation, who in answers.items() if who == adjudicator}
        if judged:
            people[task] = judged
    return people


def _drawn(
    regions: pa.Table, people: dict[str, dict[str, str]]
) -> tuple[dict[tuple[str, str, str], list[_Drawn]], int]:
    """Return the regions that have a shape by task, object and control, and how many have none."""
    counted = pa.array([each for answers in people.values() for each in answers], pa.string())
    rows = regions.filter(pc.is_in(regions["annotation"], value_set=counted)).sort_by(
        [("task", "ascending"), ("annotator", "ascending"), ("annotation", "ascending"), ("item", "ascending")]
    )
    found: dict[tuple[str, str, str], list[_Drawn]] = defaultdict(list)
    left_out = 0
    for items in _by_region(rows.to_pylist()):
        first, shape = next(
            ((item, shape) for item in items if (shape := shape_of(item)) is not None), (items[0], None)
        )
        if shape is None:
            left_out += any((item["type"] or "").endswith("labels") for item in items)
            continue
        labels = sorted({label for item in items if _names(item) for label in item["labels"] or ()})
        who = people[first["task"]][first["annotation"]]
        key = (first["task"], first["to_name"] or "", first["from_name"] or "")
        found[key].append(_Drawn(who, shape, tuple(labels), first))
    return found, left_out


def _by_region(rows: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Return the items of each region together: a region with several controls is several items of one id."""
    found: dict[tuple[str, str | int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["annotation"], row["item"] if row["region"] is None else row["region"]].append(row)
    return found.values()


def _names(item: dict[str, Any]) -> bool:
    """Whether what an item holds says what its region is; choices and texts about a region do not."""
    return (item["type"] or "").endswith("labels")


def _clusters(drawn: Sequence[_Drawn], shared: Array, iou: float) -> list[list[int]]:
    """Return which regions are of one thing, in the order of the first of each."""
    people = [each.annotator for each in drawn]
    one, two = np.nonzero(np.triu(shared >= iou, 1))
    pairs = zip(one.tolist(), two.tolist(), strict=True)
    alike = np.array([drawn[a].labels == drawn[b].labels for a, b in pairs], np.int64)
    home = {number: [number] for number in range(len(drawn))}
    for at in np.lexsort((two, one, -alike, -shared[one, two])):
        first, second = home[int(one[at])], home[int(two[at])]
        if first is second or {people[n] for n in first} & {people[n] for n in second}:
            continue
        if (shared[np.ix_(first, second)] >= iou).all():
            first += second
            home.update(dict.fromkeys(second, first))
    return sorted({id(each): sorted(each) for each in home.values()}.values())


def _row(members: Sequence[_Drawn], shared: Array, answers: int, by: str) -> dict[str, Any]:
    given = Counter(each.labels for each in members)
    most = max(given.values())
    labels = min(each for each, count in given.items() if count == most)
    typical = int((shared.sum(axis=1) + np.array([each.labels == labels for each in members]) * 1e-9).argmax())
    votes = len(members)
    return (
        members[typical].row
        | _box([each.shape for each in members])
        | {
            "annotation": f"consensus/{members[0].row['task']}",
            "annotator": "consensus",
            "labels": list(labels),
            "score": None,
            "votes": votes,
            "answers": answers,
            "confidence": votes / answers,
            "label_share": most / votes,
            "overlap": float((shared.sum() - votes) / (votes * (votes - 1))) if votes > 1 else None,
            "annotators": sorted(each.annotator for each in members),
            "decided": by,
        }
    )


def _box(shapes: Sequence[Shape]) -> dict[str, Any]:
    """Return the box that is the middle of several, if they are upright ones: the errors of people cancel out."""
    boxes = [(shape.left, shape.top, shape.right, shape.bottom) for shape in shapes if isinstance(shape, Box)]
    if len(boxes) < max(len(shapes), 2):
        return {}
    left, top, right, bottom = map(float, np.median(boxes, axis=0))
    return {"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0.0, "value": None}
