"""What a contract does to data before it judges it: `coerce`, `default`, missing columns added, others left out.

It is done to rows as they come, so that a version holds what was judged. The order is pandera's: columns, types, then
values in place of nulls.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
from pandera.api.polars.types import PolarsData

from dataplat.validation._rows import FAULTS, as_frame, fault_text, texts

if TYPE_CHECKING:
    import pandera.polars


@dataclass(frozen=True, slots=True)
class Uncoercible:
    """A value that is none of the type asked for: the row (in the batch), its column, and why."""

    row: int
    column: str
    value: str | None
    error: str


def said_changes(schema: Any) -> tuple[str, ...]:
    """Return what a schema changes in data, for people."""
    said = ["coerce"] if schema.coerce else []
    said += ["columns that are missing are added"] if schema.add_missing_columns else []
    said += ["other columns are left out"] if schema.strict == "filter" else []
    for name, column in schema.columns.items():
        said += [f"coerce {name}"] if column.coerce else []
        said += [f"default of {name}: {column.default!r}"] if column.default is not None else []
    return tuple(said)


class Transform:
    """Applies what a schema asks to be changed, batch by batch."""

    def __init__(self, schema: pandera.polars.DataFrameSchema) -> None:
        self._schema = schema

    whole = False
    """Whether it has to see all rows of a split at once."""

    @property
    def changes(self) -> tuple[str, ...]:
        """What it does, for people."""
        return said_changes(self._schema)

    def arrow_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of what `apply` makes of batches of `schema`."""
        changed, _ = self.apply(pa.RecordBatch.from_pylist([], schema=schema))
        return changed.schema

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Uncoercible]]:
        """Return the rows as they are to land, without those of which a value cannot be coerced, and these values."""
        before = as_frame(batch, batch.schema.names)
        frame = self._columns(before)
        bad: list[Uncoercible] = []
        for name, column in self._matched(frame):
            if (self._schema.coerce or column.coerce) and column.dtype is not None:
                frame = _coerced(frame, name, column.dtype, bad)
        for name, column in self._matched(frame):
            if column.default is not None:
                frame = frame.with_columns(_filled(frame, name, column))
        gone = {each.row for each in bad}
        if gone:
            frame = frame.filter(~pl.Series([row in gone for row in range(frame.height)]))
        return self._as_batch(frame, before, batch), bad

    def _as_batch(self, frame: pl.DataFrame, before: pl.DataFrame, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the frame in Arrow; columns whose type stayed have the type that they came with."""
        came = {field.name: field for field in batch.schema}
        fields, arrays = [], []
        for column in frame:
            array = column.to_arrow()
            kind = array.type
            if column.name in came and before.schema[column.name] == column.dtype:
                kind = came[column.name].type
            elif pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
                kind = pa.string()
            fields.append(pa.field(column.name, kind))
            arrays.append(array.cast(kind))
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def _columns(self, frame: pl.DataFrame) -> pl.DataFrame:
        schema = self._schema
        if schema.add_missing_columns:
            missing = [
                (name, col) for name, col in schema.columns.items() if not col.regex and name not in frame.columns
            ]
            frame = frame.with_columns(_of_default(column).alias(name) for name, column in missing)
        if schema.strict == "filter":
            frame = frame.select([name for name, _ in self._matched(frame)])
        return frame

    def _matched(self, frame: pl.DataFrame) -> Iterator[tuple[str, Any]]:
        """Yield the columns of the frame that the schema speaks of, in the order of the frame."""
        columns = self._schema.columns
        plain = {name: column for name, column in columns.items() if not column.regex}
        patterns = [column for column in columns.values() if column.regex]
        matched = {
            name: column for column in patterns for name in frame.select(pl.col(column.selector)).columns
        } | plain
        return ((name, matched[name]) for name in frame.columns if name in matched)


def _coerced(frame: pl.DataFrame, name: str, dtype: Any, bad: list[Uncoercible]) -> pl.DataFrame:
    if frame.schema[name] == dtype.type:
        return frame
    try:
        coerced: pl.DataFrame = dtype.coerce(PolarsData(frame.lazy(), name)).collect()
    except FAULTS as error:
        cast = frame[name].cast(dtype.type, strict=False)
        wrong = (cast.is_null() & frame[name].is_not_null()).arg_true()
        if wrong.is_empty():
            raise
        values = texts(frame[name].gather(wrong)).to_list()
        why = fault_text(error).partition(":")[0]
        for row, value in zip(wrong.to_list(), values, strict=True):
            bad.append(Uncoercible(row, name, value, f"{value!r} cannot be coerced to {dtype} ({why})"))
        return frame.with_columns(cast)
    return coerced


def _filled(frame: pl.DataFrame, name: str, column: Any) -> pl.Expr:
    default = _of_default(column)
    filled = pl.col(name)
    if frame.schema[name].is_float():
        filled = filled.fill_nan(default)
    return filled.fill_null(default)


def _of_default(column: Any) -> pl.Expr:
    if isinstance(column.default, pl.Expr):
        return column.default
    return pl.lit(column.default, dtype=None if column.dtype is None else column.dtype.type)


def parted(
    schema: pandera.polars.DataFrameSchema,
) -> tuple[pandera.polars.DataFrameSchema, Transform | None]:
    """Part a schema into what only judges and what changes data (None where nothing does)."""
    transform = Transform(schema)
    if not transform.changes:
        return schema, None
    judging = copy.deepcopy(schema)
    judging.coerce = False
    judging.add_missing_columns = False
    if judging.strict == "filter":
        judging.strict = False
    for column in judging.columns.values():
        column.coerce = False
        column.default = None
    return judging, transform
