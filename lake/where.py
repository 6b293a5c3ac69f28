"""Predicates over rows: read from SQL text or a Polars expression, checked against a schema, used to filter and prune."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
import pyarrow as pa
from polars.exceptions import PolarsError

from dataplat.errors import PredicateError
from dataplat.lake._intervals import And, Compare, Instant, IsIn, Predicate
from dataplat.lake._where_tree import Fitter, check, columns, expression, tree_of, understood
from dataplat.lake.canonical import family
from dataplat.lake.schema import did_you_mean, type_text, type_to_json

if TYPE_CHECKING:
    from dataplat.lake.part import ColumnStats

_CLOCK: Final = re.compile(r"\b(current_(date|time|timestamp)\b|now\s*\()", re.IGNORECASE)
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'" + r'|"(?:[^"]|"")*"')


@dataclass(frozen=True, slots=True)
class Where:
    """A predicate over the rows of one schema. Rows for which it is null are not selected.

    `text` is what a commit keeps and `loads` reads: the SQL text as it was given, or the JSON of a Polars expression
    (readable by the Polars that wrote it and, so far as Polars keeps its form, by later ones). `columns` are the
    columns it looks at; `expr` is the Polars expression, with literals in the types of these columns.
    """

    text: str
    expr: pl.Expr = field(compare=False, repr=False)
    columns: tuple[str, ...]
    _predicate: Predicate = field(compare=False, repr=False)

    def mask(self, rows: pa.RecordBatch | pa.Table) -> pa.BooleanArray:
        """Return for each row whether it is selected; never null.

        Raises:
            PredicateError: The expression fails on a value (a cast that does not fit, a division by zero in integers).
        """
        if not self.columns:
            return pa.repeat(pa.scalar(self.constant()), rows.num_rows)
        frame = _frame(rows.select(list(self.columns)))
        try:
            selected = frame.select(self.expr.fill_null(value=False)).to_series()
        except PolarsError as error:
            raise PredicateError(f"where {self.text!r} cannot be evaluated: {error}") from error
        array = selected.to_arrow()
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array

    def constant(self) -> bool:
        """Return whether rows are selected by a predicate that looks at no column."""
        return bool(pl.select(self.expr).to_series()[0])

    def may_match(self, stats: Mapping[str, ColumnStats], rows: int, types: Mapping[str, pa.DataType]) -> bool:
        """Return False if exact statistics prove that none of `rows` rows is selected.

        Args:
            stats: By column. A column without statistics may hold anything.
            rows: How many rows the statistics are of.
            types: The types of the columns; bounds need none, they mean the same whatever the type was.
        """
        return self._predicate.outcome(stats, rows, types).true

    @classmethod
    def loads(cls, text: str, schema: pa.Schema) -> Self:
        """Read the `text` of a predicate again, for the same schema or a later one."""
        if text.lstrip().startswith("{"):
            return cls._of(text, _from_json(text), schema)
        return cls._of(text, _from_sql(text, schema), schema)

    @classmethod
    def _of(cls, text: str, tree: object, schema: pa.Schema) -> Self:
        check(tree)
        names = tuple(dict.fromkeys(columns(tree)))
        for name in names:
            if name not in schema.names:
                raise PredicateError(_no_column(name, text, schema))
        empty = _frame(schema.empty_table().select(list(names)))
        tree = Fitter(empty).fit(tree)
        expr = expression(tree)
        _check_type(expr, empty, text)
        return cls(text, expr, names, understood(tree, empty.schema))


def parse_where(text: str | pl.Expr, schema: pa.Schema) -> Where:
    """Read a predicate from SQL text (the dialect of Polars) or a Polars expression.

    Text that is compared with a date or time is read in the type of the column, in the zone of the column if it
    names none itself. A predicate looks at one row at a time: aggregates, windows and shifts are refused, as is the
    clock, for a commit keeps the predicate and applies it again.

    Raises:
        PredicateError: It cannot be read, names a column that is not there, is not true or false, or is not by row.
    """
    if isinstance(text, str):
        return Where.loads(text.strip(), schema)
    if not isinstance(text, pl.Expr):
        raise PredicateError(f"a where is SQL text or a Polars expression, not {type(text).__name__}")
    tree = tree_of(text)
    return Where._of(text.meta.serialize(format="json"), tree, schema)  # noqa: SLF001


def _from_sql(text: str, schema: pa.Schema) -> object:
    if not text.strip():
        raise PredicateError("the where is empty; leave it out to select every row")
    if clock := _CLOCK.search(_QUOTED.sub("''", text)):
        raise PredicateError(
            f"where {text!r} asks the clock ({clock[0].rstrip('( ')}), and would select other rows another time; write the time out"
        )
    try:
        expr = pl.sql_expr(text)
    except PolarsError as error:
        words = [name for name in schema.names if f"'{name}'" in str(error)]  # `user` is a function of SQL
        hint = f'; the column {words[0]!r} is written "{words[0]}", in double quotes' if words else ""
        raise PredicateError(f"where {text!r} cannot be read: {error}{hint}") from error
    return tree_of(expr)


def _from_json(text: str) -> object:
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise PredicateError(f"where {text!r} is neither SQL nor the JSON of a Polars expression: {error}") from error


def _frame(rows: pa.RecordBatch | pa.Table) -> pl.DataFrame:
    """Return the rows as a Polars frame; a zone that Polars cannot take (it would panic) becomes UTC."""
    fields = [pa.field(field.name, _taken(field.type, field.name)) for field in rows.schema]
    if any(new.type != old.type for new, old in zip(fields, rows.schema, strict=True)):
        arrays = [column.cast(field.type) for column, field in zip(rows.columns, fields, strict=True)]
        rows = type(rows).from_arrays(arrays, schema=pa.schema(fields))
    frame = pl.from_arrow(rows, rechunk=False)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _taken(kind: pa.DataType, column: str) -> pa.DataType:
    """Return the type as which Polars takes values of `kind`."""
    match family(kind):
        case "timestamp_tz" if not _known(kind.tz):
            return pa.timestamp(kind.unit, "UTC")
        case "decimal" if kind.bit_width > 128 or kind.scale < 0:
            raise PredicateError(
                f"column {column!r} of type {type_text(type_to_json(kind))} cannot be in a where: Polars has no such type"
            )
        case "list":
            item = kind.value_field.with_type(_taken(kind.value_type, column))
            return pa.list_(item, kind.list_size) if pa.types.is_fixed_size_list(kind) else pa.list_(item)
        case "struct":
            return pa.struct([field.with_type(_taken(field.type, column)) for field in kind.fields])
        case "map":
            return pa.map_(_taken(kind.key_type, column), _taken(kind.item_type, column))
    return kind


def _known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True


def _no_column(name: str, text: str, schema: pa.Schema) -> str:
    quoted = (
        f" (text is written in single quotes: '{name}')" if f'"{name}"' in text and not text.startswith("{") else ""
    )
    return f"where {text!r} names a column {name!r} that is not there{quoted}{did_you_mean(name, schema.names)}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _check_type(expr: pl.Expr, empty: pl.DataFrame, text: str) -> None:
    try:
        dtype = empty.select(expr).dtypes[0]
    except PolarsError as error:
        raise PredicateError(f"where {text!r} does not fit the columns: {_first_line(error)}") from error
    if dtype not in {pl.Boolean, pl.Null}:
        raise PredicateError(f"where {text!r} gives {dtype}, not true or false")


_EXACT: Final = frozenset({"int", "string", "bool", "date"})
"""Families of which equal means the same to every engine."""


def equalities(where: Where, schema: pa.Schema) -> dict[str, pa.Array] | None:
    """Return the values that each column may have, where `where` is only `a = 1 and b in (2, 3)`, else None.

    Values are in the type of their column in `schema`; those that no row can have are left out.
    """
    found: dict[str, list[object]] = {}
    todo = [where._predicate]  # noqa: SLF001
    while todo:
        node = todo.pop()
        if isinstance(node, And):
            todo += [node.left, node.right]
            continue
        each = (node,) if isinstance(node, Compare) else node.each if isinstance(node, IsIn) else ()
        names = {one.column for one in each}
        if len(names) != 1 or any(one.test != "eq" for one in each) or not names.isdisjoint(found):
            return None
        found[names.pop()] = [one.value for one in each if one.value is not None]
    arrays = {name: _typed(values, schema.field(name).type) for name, values in found.items()}
    if not arrays or any(array is None for array in arrays.values()):
        return None
    return {name: array for name, array in arrays.items() if array is not None}


def _typed(values: list[object], kind: pa.DataType) -> pa.Array | None:
    if family(kind) not in _EXACT:
        return None
    days = [value.nanoseconds // _DAY if isinstance(value, Instant) else value for value in values]
    try:
        return pa.array(days, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None


_DAY: Final = 86_400 * 1_000_000_000
