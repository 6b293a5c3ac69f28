"""Tasks with their answers, and answers with their marks: what every format is made from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.labeling.config import LabelConfig

Row: TypeAlias = dict[str, Any]
_WRITTEN: Final = frozenset({"textarea", "datetime"})
_SPANS: Final = frozenset({"labels", "hypertextlabels", "paragraphlabels", "timeserieslabels", "timelinelabels"})
_AT_ONCE: Final = 1000  # answers that are plain values at the same time


@dataclass(slots=True)
class Mark:
    """A region: its place (a row of `regions`), its labels, and what else was said of it, by control."""

    row: Row
    labels: list[str] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def drawn(self) -> bool:
        """Whether it has a place in a picture."""
        return self.row["x"] is not None or self.row["points"] is not None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: what was said of the whole task, by control, and the marks."""

    row: Row
    said: dict[str, Any]
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A task with its answers, the oldest first."""

    task: str
    data: Row
    answers: tuple[Answer, ...]

    @property
    def best(self) -> Answer:
        """The ground truth, else the answer that was changed last."""
        return next((each for each in reversed(self.answers) if each.row["ground_truth"]), self.answers[-1])


class Labels:
    """The answers of a queue, task by task in the order of the queue, without those that were skipped."""

    def __init__(
        self,
        tasks: pa.Table,
        annotations: pa.Table,
        regions: pa.Table,
        config: LabelConfig,
        annotator: str | None = None,
    ) -> None:
        import pyarrow.compute as pc

        self.config = config
        self.left_out: Counter[str] = Counter()
        self._tasks = tasks.sort_by([("position", "ascending"), ("task", "ascending")])
        if annotator is not None:
            annotations = annotations.filter(pc.equal(annotations["annotator"], annotator))
        self._leave_out("skipped answers", pc.sum(annotations["skipped"]).as_py())
        annotations = annotations.filter(pc.invert(pc.fill_null(annotations["skipped"], False)))
        at = pc.index_in(annotations["task"], value_set=self._tasks["task"].combine_chunks())
        self._leave_out("answers to tasks that the queue does not have", at.null_count)
        ordered = annotations.append_column("at", at).filter(pc.is_valid(at))
        self._annotations = ordered.sort_by([(name, "ascending") for name in ("at", "updated_at", "annotation")])
        whose = pc.index_in(regions["annotation"], value_set=self._annotations["annotation"].combine_chunks())
        kept = regions.append_column("whose", whose).filter(pc.is_valid(whose))
        self.regions = kept.sort_by([("whose", "ascending"), ("item", "ascending")])

    def _leave_out(self, what: str, count: int | None) -> None:
        if count:
            self.left_out[what] += count

    @cached_property
    def controls(self) -> dict[str, str]:
        """The kinds of the controls, by name: those of the config, then those that answers have besides.

        Those that speak of one region each are not among them: what they say lies with the marks.
        """
        beside = {control.name for control in self.config.controls if control.per_region}
        found = {control.name: control.type for control in self.config.controls if control.name not in beside}
        pairs = self.regions.select(["from_name", "type"]).group_by(["from_name", "type"]).aggregate([])
        for row in sorted(pairs.to_pylist(), key=lambda row: (row["from_name"] or "", row["type"] or "")):
            if row["from_name"] is not None and row["from_name"] not in beside:
                found.setdefault(row["from_name"], row["type"] or "")
        return found

    @cached_property
    def columns(self) -> list[str]:
        """The columns that tasks show, as they first come."""
        return list(
            dict.fromkeys(name for text in self._tasks["data"].to_pylist() for name in json.loads(text or "{}"))
        )

    @property
    def id_column(self) -> str:
        """What the column of task ids is called, besides those that tasks show."""
        return "dataplat_id" if "task" in self.columns else "task"

    def names(self, control: str) -> list[str]:
        """Return the labels of a control: those of the config in order, then those that answers have besides."""
        import pyarrow.compute as pc

        known = [value for each in self.config.controls if each.name == control for value in each.values]
        rows = self.regions.filter(pc.equal(self.regions["from_name"], control))
        used = pc.unique(pc.list_flatten(rows["labels"])).to_pylist()
        return [*known, *sorted(set(used) - {None} - set(known))]

    def kinds(self, column: str) -> set[type]:
        """Return the types that a column's values have in the tasks, but for null."""
        values = (json.loads(text or "{}").get(column) for text in self._tasks["data"].to_pylist())
        return {type(value) for value in values if value is not None}

    def several(self, control: str) -> bool:
        """Return whether a control may be answered with several labels at once, or was."""
        import pyarrow.compute as pc

        if any(each.multiple for each in self.config.controls if each.name == control):
            return True
        rows = self.regions.filter(pc.equal(self.regions["from_name"], control))
        return (pc.max(pc.list_value_length(rows["labels"])).as_py() or 0) > 1

    def in_pictures(self, control: str) -> bool:
        """Return whether a control marks pictures: by what it is for, or by what was marked."""
        shown = {each.name: each.tag for each in self.config.objects}
        objects = [shown.get(to) for each in self.config.controls if each.name == control for to in each.to_name]
        return self.controls[control] not in _SPANS if not any(objects) else "Image" in objects

    def __iter__(self) -> Iterator[Labelled]:
        held: list[tuple[int, Answer]] = []
        for at, answer in self._answers():
            if held and held[0][0] != at:
                yield self._labelled(held)
                held = []
            held.append((at, answer))
        if held:
            yield self._labelled(held)

    def _labelled(self, held: Sequence[tuple[int, Answer]]) -> Labelled:
        at = held[0][0]
        data = json.loads(self._tasks["data"][at].as_py() or "{}")
        return Labelled(self._tasks["task"][at].as_py(), data, tuple(answer for _, answer in held))

    def _answers(self) -> Iterator[tuple[int, Answer]]:
        whose = self.regions["whose"].to_numpy()
        annotations = self._annotations.drop_columns(["result"])
        for begin in range(0, annotations.num_rows, _AT_ONCE):
            rows = annotations.slice(begin, _AT_ONCE).to_pylist()
            first, last = np.searchsorted(whose, [begin, begin + len(rows)])
            items: dict[int, list[Row]] = {}
            for item in self.regions.slice(first, last - first).to_pylist():
                items.setdefault(item["whose"], []).append(item)
            for number, row in enumerate(rows, begin):
                yield row["at"], _answer(row, items.get(number, ()))


def _answer(row: Row, items: Sequence[Row]) -> Answer:
    marks: dict[str, Mark] = {}
    for item in items:
        if _placed(item):
            marks.setdefault(_region(item), Mark(item))
    said: dict[str, Any] = {}
    for item in items:
        mark = marks.get(_region(item))
        if mark is not None and (item["type"] or "").endswith("labels"):
            mark.labels += [label for label in item["labels"] or () if label not in mark.labels]
        else:
            (said if mark is None else mark.said)[item["from_name"] or ""] = value_of(item)
    for mark in marks.values():
        mark.said = {name: value for name, value in mark.said.items() if value is not None}
    return Answer(row, said, tuple(marks.values()))


def _region(item: Row) -> str:
    return item["region"] or f"item {item['item']}"


def _placed(item: Row) -> bool:
    return item["x"] is not None or item["points"] is not None or item["start"] is not None


def value_of(item: Row) -> Any:
    """Return what one item says: labels, a number or a text."""
    for name in ("text", "number") if item["type"] in _WRITTEN else ("labels", "number", "text"):
        if item[name] is not None:
            return item[name]
    return None
