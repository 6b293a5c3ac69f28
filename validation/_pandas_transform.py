"""What a pandas model does to data before it judges it: `coerce`, `default`, parsers, columns added or left out.

pandera does it itself, on pandas, batch by batch. A parser that sees more than one value at a time may look at all of
them (a mean, duplicates), so that it is given whatever comes at once: a file, a table.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pandera.errors import SchemaErrors

from dataplat.errors import ContractError
from dataplat.validation._pandas import as_pandas
from dataplat.validation._rows import FAULTS, fault_text
from dataplat.validation._transform import Uncoercible, said_changes

if TYPE_CHECKING:
    import pandas as pd

_ROUNDS: Final = 3
_LONGEST: Final = 200


class PandasTransform:
    """Applies what a schema for pandas asks to be changed."""

    def __init__(self, name: str, schema: Any) -> None:
        self._name = name
        self._schema = schema
        self._changing = _changing(schema)
        self._targets: dict[pa.Schema, pa.Schema] = {}

    @property
    def changes(self) -> tuple[str, ...]:
        """What it does, for people."""
        return (*said_changes(self._schema), *(f"parser {parser.name}" for parser in _parsers(self._schema)))

    @property
    def whole(self) -> bool:
        """Whether it has to see all rows of a split at once."""
        return not all(parser.element_wise for parser in _parsers(self._schema))

    def arrow_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of what `apply` makes of batches of `schema`."""
        target = self._targets.get(schema)
        if target is None:
            frame = as_pandas(schema.empty_table())
            target = pa.schema(list(_fields(self._parsed(frame), frame, schema)))
            self._targets[schema] = target
        return target

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Uncoercible]]:
        """Return the rows as they are to land, without those of which a value cannot be coerced, and these values.

        Raises:
            ContractError: a parser raises, or gives other rows than it was given.
        """
        target = self.arrow_schema(batch.schema)
        frame, bad = as_pandas(pa.Table.from_batches([batch])), list[Uncoercible]()
        for _ in range(_ROUNDS):
            try:
                parsed = self._parsed(frame)
                break
            except SchemaErrors as errors:
                found = list(_uncoercible(errors.failure_cases))
                if not found:
                    raise ContractError(
                        f"contract {self._name} cannot change the data: {errors}"[:_LONGEST]
                    ) from errors
                bad += found
                frame = frame.drop(index=sorted({each.row for each in found}))
        else:
            raise ContractError(f"contract {self._name} cannot change the data: each time other values fail")
        if len(parsed) != len(frame):
            raise ContractError(
                f"contract {self._name}: a parser made {len(parsed)} rows of {len(frame)}, and no row goes unseen: "
                "leave rows out in the query or script before"
            )
        return self._as_batch(parsed, target), bad

    def _parsed(self, frame: pd.DataFrame) -> pd.DataFrame:
        try:
            found: pd.DataFrame = self._changing_of(frame).validate(frame, lazy=True)
        except SchemaErrors:
            raise
        except FAULTS as error:
            raise ContractError(f"contract {self._name} cannot change the data: {fault_text(error)}") from error
        return found

    def _changing_of(self, frame: pd.DataFrame) -> Any:
        """Return what changes a frame: types are for columns that are coerced, or to be added."""
        changing = copy.deepcopy(self._changing)
        for name, column in changing.columns.items():
            if name in frame.columns and not (column.coerce or changing.coerce):
                column.dtype = None
        return changing

    def _as_batch(self, parsed: pd.DataFrame, target: pa.Schema) -> pa.RecordBatch:
        try:
            arrays = [pa.Array.from_pandas(parsed[field.name], type=field.type) for field in target]
        except (KeyError, pa.ArrowException) as error:
            raise ContractError(f"contract {self._name}: what it makes of the data is no table: {error}") from error
        return pa.RecordBatch.from_arrays(arrays, schema=target)


def _parsers(schema: Any) -> Iterator[Any]:
    yield from schema.parsers or ()
    for column in schema.columns.values():
        yield from column.parsers or ()


def _changing(schema: Any) -> Any:
    """Return a schema that changes data as this one does, and asks nothing of it."""
    changing = copy.deepcopy(schema)
    changing.checks, changing.unique, changing.ordered = [], None, False
    if changing.strict is True:
        changing.strict = False
    for column in changing.columns.values():
        column.checks, column.nullable, column.unique = [], True, False
        column.required = column.required and changing.add_missing_columns
    return changing


def judging(schema: Any) -> Any:
    """Return a schema that only judges; a category is a way to keep texts, so texts are made one first."""
    asked = copy.deepcopy(schema)
    asked.coerce, asked.add_missing_columns, asked.parsers = False, False, []
    if asked.strict == "filter":
        asked.strict = False
    for column in asked.columns.values():
        column.coerce = str(column.dtype) == "category"
        column.default, column.parsers = None, []
    return asked


def _fields(parsed: pd.DataFrame, before: pd.DataFrame, schema: pa.Schema) -> Iterator[pa.Field]:
    """Yield fields for the columns that came of no rows; one whose type stayed has that which it came with."""
    for name in parsed.columns:
        if name in before.columns and parsed[name].dtype == before[name].dtype:
            yield pa.field(str(name), schema.field(str(name)).type)
            continue
        kind = pa.Array.from_pandas(parsed[name]).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            kind = pa.string()
        yield pa.field(str(name), kind)


def _uncoercible(cases: pd.DataFrame) -> Iterator[Uncoercible]:
    rows = cases[cases["index"].notna()]
    shown = zip(rows["index"], rows["column"], rows["failure_case"], rows["check"], strict=True)
    for row, column, value, check in shown:
        said = None if value is None else str(value)[:_LONGEST]
        yield Uncoercible(int(row), str(column), said, f"{said!r} cannot be coerced: {check}")
