"""The probabilities that a model gives to labels, as datasets of predictions hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import BadColumn, LabelError
from dataplat.labeling.order._context import Context, Rows
from dataplat.labeling.order._tasks import read

Array: TypeAlias = np.ndarray[Any, Any]

LIST: Final = "probabilities"
PREFIX: Final = "p_"
CONFIDENCE: Final = "confidence"
_OFF: Final = 1e-6  # what rounding may put a probability beyond 0 or 1 by


@dataclass(frozen=True, slots=True)
class Predictions:
    """Probabilities, a row for each row of a dataset and a column for each label; a row that says nothing is NaN.

    `labels` are named where columns are (`p_LABEL`), numbers where they are a list.
    """

    ids: pa.Array
    labels: tuple[str, ...]
    table: Array


def probability_columns(context: Context, rows: Rows) -> list[str]:
    """Return the columns of probabilities: `probabilities`, or all `p_LABEL`; none where there are none."""
    schema = rows.schema
    if LIST in schema.names and _is_list(schema.field(LIST).type):
        return [LIST]
    numbers = (pa.types.is_floating, pa.types.is_decimal, pa.types.is_integer)
    return [
        field.name
        for field in schema
        if field.name.startswith(PREFIX)
        and field.name not in context.columns
        and any(is_number(field.type) for is_number in numbers)
    ]


def predictions(context: Context, ref: str) -> Predictions | None:
    """Return the probabilities of a reference, None where it has none.

    Raises:
        BadColumn: Nothing says which tasks its rows are.
        LabelError: A value is no probability.
    """
    rows = context.version(ref)
    columns = probability_columns(context, rows)
    if not columns:
        return None
    ids, table = read(context, rows, columns, ref)
    if columns == [LIST]:
        found = _of_lists(table.column(LIST))
        labels = tuple(map(str, range(found.shape[1])))
    else:
        found = np.column_stack([_numbers(table.column(name)) for name in columns])
        labels = tuple(name.removeprefix(PREFIX) for name in columns)
    _check(found, ref)
    totals = found.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return Predictions(ids, labels, np.where(totals > 0, found / totals, np.nan))


def confidence(context: Context, ref: str) -> tuple[pa.Array, Array]:
    """Return the task of each row of a reference, and how sure of its answer the model is.

    Raises:
        BadColumn: There is no such column.
        LabelError: A value is no probability.
    """
    rows = context.version(ref)
    if CONFIDENCE not in rows.schema.names:
        raise BadColumn(
            f"{ref} holds no probabilities: a list `{LIST}`, columns `{PREFIX}LABEL`, or `{CONFIDENCE}`; its columns are {', '.join(rows.schema.names)}"
        )
    ids, table = read(context, rows, [CONFIDENCE], ref)
    found = _numbers(table.column(CONFIDENCE))
    _check(found, ref)
    return ids, found


def _is_list(kind: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_list(kind) for is_list in lists)


def _numbers(column: pa.ChunkedArray) -> Array:
    try:
        return np.asarray(pc.cast(column, pa.float64(), safe=False).fill_null(np.nan))
    except pa.ArrowException as error:
        raise BadColumn(f"probabilities are numbers, not {column.type}") from error


def _of_lists(column: pa.ChunkedArray) -> Array:
    """Return lists as rows; shorter ones are of labels that have no probability, null ones say nothing."""
    lists = column.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], column.type)
    lengths = np.asarray(pc.list_value_length(lists).fill_null(0)).astype(np.int64)
    found = np.zeros((len(lists), int(lengths.max(initial=1))))
    values = _numbers(pa.chunked_array([pc.list_flatten(lists)]))
    if len(values) != lengths.sum():
        raise LabelError("lists of probabilities that cannot be read")
    row = np.repeat(np.arange(len(lists)), lengths)
    found[row, np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)] = values
    found[lengths == 0] = np.nan
    return found


def _check(found: Array, ref: str) -> None:
    bad = (found < -_OFF) | (found > 1 + _OFF)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise LabelError(f"{ref} holds {found[bad][0]:g} in row {row}, which is no probability: are these logits?")
