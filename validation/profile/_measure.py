"""Looks at the rows of one part, column by column, and says what a profile says of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.lake.canonical import family, plain
from dataplat.validation.profile._arrays import bare, hashes_of
from dataplat.validation.profile._column import NUMBERS, ColumnProfile
from dataplat.validation.profile._lengths import Lengths
from dataplat.validation.profile._numbers import NumbersMeasure
from dataplat.validation.profile._texts import TextsMeasure
from dataplat.validation.profile._values import values_of


class Measure(Protocol):
    """Takes the values of one column of one part, piece by piece."""

    def add(self, array: pa.Array) -> None:
        """Take some values."""
        ...

    def finish(self) -> ColumnProfile:
        """Return what is known of all that were taken."""
        ...


def measure_of(name: str, kind: pa.DataType) -> Measure:
    """Return what takes the values of a column.

    Raises:
        SchemaError: the type has no canonical values.
    """
    kind = plain(kind)
    what = family(kind)
    if what in NUMBERS:
        return NumbersMeasure(name, kind, what)
    if what in {"string", "binary"}:
        return TextsMeasure(name, what)
    return _OthersMeasure(name, what)


def measured(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> dict[str, ColumnProfile]:
    """Return what is known of the rows of one part, whose batches have the columns of `schema`, and perhaps others.

    Raises:
        SchemaError: a type has no canonical values.
    """
    measures = {field.name: measure_of(field.name, field.type) for field in schema}
    for batch in batches:
        for name, measure in measures.items():
            column = batch.column(name)
            for piece in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
                measure.add(piece)
    return {name: measure.finish() for name, measure in measures.items()}


class _OthersMeasure:
    """Counts: of booleans true and false, of lists and maps their lengths."""

    def __init__(self, name: str, what: str) -> None:
        self._name, self._family = name, what
        self._rows = self._nulls = 0
        self._truths = np.zeros(2, np.int64)
        self._lengths = [Lengths.of(np.empty(0, np.int64))]

    def add(self, array: pa.Array) -> None:
        array = bare(array)
        self._rows += len(array)
        self._nulls += array.null_count
        if self._family == "bool":
            self._truths += (array.false_count, array.true_count)
        elif self._family in {"list", "map"}:
            self._lengths.append(Lengths.of(_items(array)))

    def finish(self) -> ColumnProfile:
        values = None
        if self._family == "bool":
            there = np.flatnonzero(self._truths)
            hashes = hashes_of(pa.array(there == 1, pa.bool_()))
            values = values_of(hashes, self._truths[there], lambda at: (there[at] == 1).tolist())
        return ColumnProfile(
            name=self._name,
            family=self._family,
            rows=self._rows,
            nulls=self._nulls,
            zeros=int(self._truths[0]),
            values=values,
            lengths=Lengths.merge(self._lengths) if self._family in {"list", "map"} else None,
        )


def _items(array: pa.Array) -> Any:
    """Return the number of items of each list or map that is not null."""
    if isinstance(array.type, pa.MapType):
        array = array.cast(pa.list_(pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])))
    return pc.call_function("list_value_length", [array]).drop_null().to_numpy().astype(np.int64)
