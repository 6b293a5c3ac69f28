"""Finds outliers in anything that is judged, and names each row by what makes it one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import BadColumn, ConfigError
from dataplat.lake.schema import did_you_mean
from dataplat.validation._rows import texts
from dataplat.validation.outliers._forest import isolated
from dataplat.validation.outliers._score import Bounds, iqr, robust_z
from dataplat.validation.subject import PART, ROW, Subject

Array: TypeAlias = np.ndarray[Any, Any]

BOUNDS: Final = {"robust_z": 3.5, "iqr": 1.5, "isolation_forest": 0.6}
"""By method, the score from which a value, or a row, is an outlier unless told."""

MOST: Final = 100_000
"""Outliers that one table holds: those that are farthest out."""

_NAMES: Final = ("part", "row", "column", "value", "score", "low", "high")
_TYPES: Final = (pa.string(), pa.int64(), pa.string(), pa.float64(), pa.float64(), pa.float64(), pa.float64())


@dataclass(frozen=True, slots=True)
class _Hits:
    """Outliers: positions among all rows, and what is said of each."""

    rows: Array
    columns: Array
    values: Array
    scores: Array
    low: Array
    high: Array


def find_outliers(
    subject: Subject,
    *,
    method: str = "robust_z",
    columns: Sequence[str] | None = None,
    bound: float | None = None,
    limit: int = MOST,
    seed: int = 0,
) -> pa.Table:
    """Return the outliers of a version, a file or a table, the farthest out first.

    Args:
        subject: what is looked at, one column at a time (all of them for the isolation forest).
        method: `robust_z`, `iqr`: each column alone; `isolation_forest`: rows by all columns together.
        columns: which; None is all that hold numbers, without those of the key.
        bound: the score from which on; None is 3.5, 1.5 and 0.6.
        limit: the most outliers to return.
        seed: of the isolation forest.

    Returns:
        One row per outlier: `part` and `row` (position in it), the key columns as text, and the reason: `column`, its
        `value`, the `score`, and `low` and `high`, the values between which it would be none (null for the forest,
        whose column is the one that the score owes most to). NaN and null are no outliers; infinities always are.

    Raises:
        BadColumn: A column is not there or holds no numbers.
        ConfigError: There is no such method, or the bound is none.
        MissingExtra: The method needs scikit-learn.
    """
    if method not in BOUNDS:
        raise ConfigError(f"no method {method!r}{did_you_mean(method, BOUNDS)}")
    least = BOUNDS[method] if bound is None else bound
    if not (least > 0 and np.isfinite(least)):
        raise ConfigError(f"the bound of an outlier is a number above 0, not {least}")
    names = _columns(subject, columns)
    hits = (
        _together(subject, names, least, seed)
        if method == "isolation_forest"
        else _apart(subject, names, method, least)
    )
    order = np.lexsort((hits.columns, hits.rows, -np.abs(hits.scores)))[:limit]
    return _table(subject, names, hits, order)


def _columns(subject: Subject, asked: Sequence[str] | None) -> list[str]:
    numeric = {field.name for field in subject.schema if _is_number(field.type)}
    if asked is None:
        return [name for name in subject.schema.names if name in numeric and name not in subject.key]
    for name in asked:
        if name not in subject.schema.names:
            raise BadColumn(f"no column {name!r}{did_you_mean(name, subject.schema.names)}")
        if name not in numeric:
            raise BadColumn(f"column {name!r} holds {subject.schema.field(name).type}, not numbers")
    return list(dict.fromkeys(asked))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _values(subject: Subject, name: str) -> Array:
    """Return a column as float64, null as NaN."""
    pieces = [
        np.asarray(pc.cast(batch.column(name), pa.float64(), safe=False).fill_null(np.nan))
        for batch in subject.scan([name])
    ]
    return np.concatenate(pieces) if pieces else np.empty(0)


def _apart(subject: Subject, names: Sequence[str], method: str, least: float) -> _Hits:
    measure = robust_z if method == "robust_z" else iqr
    found: list[_Hits] = []
    for number, name in enumerate(names):
        values = _values(subject, name)
        bounds = measure(values, least)
        if bounds is None:
            bounds = Bounds(np.nan, np.nan, np.zeros_like, 0.0)
        scores = bounds.scores(values)
        rows = np.flatnonzero(np.abs(scores) > least)
        full = np.ones(len(rows))
        found.append(
            _Hits(
                rows, full.astype(np.int64) * number, values[rows], scores[rows], full * bounds.low, full * bounds.high
            )
        )
    return _joined(found)


def _together(subject: Subject, names: Sequence[str], least: float, seed: int) -> _Hits:
    columns = [_values(subject, name) for name in names]
    if not columns or not len(columns[0]):
        return _joined([])
    hits = isolated(columns, least, seed)
    values = np.column_stack(columns)[hits.rows, hits.blame]
    nowhere = np.full(len(hits.rows), np.nan)
    return _Hits(hits.rows, hits.blame, values, hits.scores, nowhere, nowhere)


def _joined(several: Sequence[_Hits]) -> _Hits:
    if not several:
        empty = np.empty(0)
        return _Hits(empty.astype(np.int64), empty.astype(np.int64), empty, empty, empty, empty)
    fields = ("rows", "columns", "values", "scores", "low", "high")
    return _Hits(*(np.concatenate([getattr(hits, name) for hits in several]) for name in fields))


def _table(subject: Subject, names: Sequence[str], hits: _Hits, order: Array) -> pa.Table:
    """Name the rows: where they are, and what their key is."""
    rows = hits.rows[order]
    parts, places, keys = _identities(subject, np.unique(rows))
    at = np.searchsorted(np.unique(rows), rows)
    blocks = np.array([block.name for block in subject.blocks] or [None], object)
    arrays = [
        pa.array(blocks[parts[at]] if len(at) else [], pa.string()),
        pa.array(places[at], pa.int64()),
        pa.array(np.array(names, object)[hits.columns[order]] if len(at) else [], pa.string()),
        *(pa.array(each[order], pa.float64()) for each in (hits.values, hits.scores)),
        *(pa.array(each[order], pa.float64(), from_pandas=True) for each in (hits.low, hits.high)),
        *(column.take(pa.array(at)) for column in keys.columns),
    ]
    key_names = [f"key_{name}" if name in _NAMES else name for name in keys.column_names]
    schema = pa.schema([*zip(_NAMES, _TYPES, strict=True), *((name, pa.string()) for name in key_names)])
    return pa.Table.from_arrays(
        [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)], schema=schema
    )


def _identities(subject: Subject, rows: Array) -> tuple[Array, Array, pa.Table]:
    """Return block, position and key (as text) of rows that are named by their place among all, ascending."""
    key = [name for name in subject.key if name in subject.schema.names]
    parts, places, keys, start = [], [], [], 0
    for batch in subject.scan(key or subject.schema.names[:1], positions=True):
        stop = start + batch.num_rows
        here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)] - start
        start = stop
        if len(here):
            kept = batch.take(pa.array(here))
            parts.append(np.asarray(kept.column(PART)))
            places.append(np.asarray(kept.column(ROW)))
            keys.append(
                pa.table({name: texts(_series(kept.column(name))).to_arrow().cast(pa.string()) for name in key})
            )
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), pa.table({name: pa.array([], pa.string()) for name in key})
    return np.concatenate(parts).astype(np.int64), np.concatenate(places).astype(np.int64), pa.concat_tables(keys)


def _series(column: pa.Array) -> Any:
    import polars as pl

    return pl.Series(pl.from_arrow(column))
