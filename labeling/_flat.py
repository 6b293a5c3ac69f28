"""Results laid flat, many at a time: rows of `regions` and `relations`, gathered by kind and made column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from dataplat.labeling._items import ITEMS, Item, Number, Value, box_of, has_span, labels_of, span_of, text_of, value_of
from dataplat.labeling._loose import without_halves
from dataplat.labeling._offsets import Shown
from dataplat.labeling.tables import Kind, schema

if TYPE_CHECKING:
    import pyarrow as pa

_BOX = ("x", "y", "width", "height", "rotation", "points")


class Flat:
    """Rows of results; whose a result is, is told once for all of its rows (`owner`, counted from 0).

    Args:
        columns: which column of a task's data holds the text under each name of the label config.
    """

    def __init__(self, columns: Mapping[str, str | None]) -> None:
        self._columns = columns
        self._owners: list[int] = []
        self._counts: list[int] = []
        self._items: list[Item] = []
        self._values: list[Value] = []
        self._texts: list[bytes] = []
        self._shown: dict[int, Shown] = {}

    def add(self, owner: int, result: bytes, shown: Shown | None) -> str | None:
        """Take a result; return why it cannot be read, where it cannot: then no row of it is there."""
        try:
            items = ITEMS.decode(result)
            texts = [bytes(item.value) for item in items]
            values = list(map(value_of, texts))
        except msgspec.DecodeError as error:
            whole = without_halves(result)
            return str(error) if whole == result else self.add(owner, whole, shown)
        self._owners.append(owner)
        self._counts.append(len(items))
        self._items += items
        self._values += values
        self._texts += texts
        if shown is not None:
            self._shown[owner] = shown
        return None

    def tables(self, owners: Owners) -> tuple[pa.Table, pa.Table]:
        """Return the tables `regions` and `relations`."""
        counts = np.array(self._counts, np.int64)
        whose = np.repeat(np.array(self._owners, np.int64), counts)
        places = np.arange(len(whose)) - np.repeat(np.cumsum(counts) - counts, counts)
        related = _Rows(owners, whose, places)
        kinds: dict[str | None, _Rows] = {}
        for at, item in enumerate(self._items):
            type = item.type
            if item.from_id is not None or type == "relation":
                related.at.append(at)
            elif type in kinds:
                kinds[type].at.append(at)
            else:
                kinds[type] = _Rows(owners, whose, places, [at])
        return (
            _together("regions", [self._regions(type, rows) for type, rows in kinds.items()]),
            _together("relations", [self._relations(related)] if related.at else []),
        )

    def _relations(self, rows: _Rows) -> pa.Table:
        items = [self._items[at] for at in rows.at]
        columns: dict[str, Sequence[Any]] = {
            "from_region": [_name(item.from_id) for item in items],
            "to_region": [_name(item.to_id) for item in items],
            "direction": [item.direction for item in items],
            "labels": [item.labels for item in items],
        }
        return rows.table("relations", columns)

    def _regions(self, type: str | None, rows: _Rows) -> pa.Table:
        """Return rows of one kind; of the columns that it leaves empty there are none."""
        items = [self._items[at] for at in rows.at]
        values = [self._values[at] for at in rows.at]
        columns: dict[str, Sequence[Any]] = {
            "region": [name if isinstance(name := item.id, str) else _name(name) for item in items],
            "from_name": [item.from_name for item in items],
            "to_name": [item.to_name for item in items],
            "type": [type] * len(items),
            "labels": labels_of(type, values),
            "text": [each if isinstance(each := value.text, str) else text_of(value) for value in values],
            "number": [value.rating if value.number is None else value.number for value in values],
            "score": [item.score for item in items],
            "value": [self._texts[at].decode() or None for at in rows.at],
        }
        if any(map(has_span, values)):
            columns["start"], columns["end"] = self._spans(rows, items, values)
        wide = [item.original_width for item in items]
        if any(size is not None for size in wide):
            columns["image_width"] = [_whole(size) for size in wide]
            columns["image_height"] = [_whole(item.original_height) for item in items]
            columns |= zip(_BOX, zip(*map(box_of, items, values), strict=True), strict=True)
        return rows.table("regions", columns)

    def _spans(self, rows: _Rows, items: list[Item], values: list[Value]) -> tuple[list[Number], list[Number]]:
        """Return where spans begin and end, in code points where they are in a text."""
        starts, ends = [], []
        for owner, item, value in zip(rows.whose[rows.at].tolist(), items, values, strict=True):
            start, end = value.start, value.end
            if value.in_page is not None or not isinstance(start, float) or not isinstance(end, float):
                start, end = span_of(value)
            elif owner in self._shown and isinstance(value.text, str):
                column = self._columns.get(item.to_name or "")
                start, end = self._shown[owner].span(column, start, end, value.text)
            starts.append(start)
            ends.append(end)
        return starts, ends


@dataclass(slots=True)
class _Rows:
    """Items of one kind: whose all items are, which place each has in its result, and which items are meant (`at`)."""

    owners: Owners
    whose: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    at: list[int] = field(default_factory=list)

    def table(self, kind: Kind, columns: Mapping[str, Sequence[Any]]) -> pa.Table:
        """Return the table; columns that are not given are null."""
        import pyarrow as pa

        given = self.owners.of(self.whose[self.at]) | {"item": pa.array(self.places[self.at])}
        arrays = [
            given[each.name]
            if each.name in given
            else pa.array(columns[each.name], each.type)
            if each.name in columns
            else pa.nulls(len(self.at), each.type)
            for each in schema(kind)
        ]
        return pa.Table.from_arrays(arrays, schema=schema(kind))


class Owners:
    """Whose the results are: the answer, its task, and who gave it, each by the number of the result."""

    def __init__(self, annotation: pa.ChunkedArray, task: pa.ChunkedArray, annotator: pa.ChunkedArray) -> None:
        self._columns = {"annotation": annotation, "task": task, "annotator": annotator}

    def of(self, numbers: npt.NDArray[np.int64]) -> dict[str, pa.ChunkedArray]:
        """Return the three columns for rows of these results."""
        import pyarrow as pa

        wanted = pa.array(numbers)
        return {name: column.take(wanted) for name, column in self._columns.items()}


def _together(kind: Kind, tables: Sequence[pa.Table]) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(tables) if tables else schema(kind).empty_table()


def _name(name: str | int | None) -> str | None:
    return str(name) if isinstance(name, int) else name


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)
