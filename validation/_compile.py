"""Turns a pandera schema into a plan for data of one Arrow schema: what each row can be asked, and what only the whole."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import pandera.polars
import polars as pl
from pandera.api.function_dispatch import Dispatcher
from pandera.api.polars.types import PolarsData
from pandera.backends.polars.register import register_polars_backends
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaError, SchemaErrors

from dataplat.validation._identity import check_id, describe_check
from dataplat.validation.report import CheckOutcome, Level, Severity

if TYPE_CHECKING:
    import pyarrow as pa

ROW_LOCAL = frozenset(
    {
        "equal_to", "greater_than", "greater_than_or_equal_to", "in_range", "isin", "less_than",
        "less_than_or_equal_to", "not_equal_to", "notin", "str_contains", "str_endswith", "str_length",
        "str_matches", "str_startswith",
    }
)  # fmt: skip
"""pandera's built-in checks that look at one value at a time."""

_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """One check, resolved to a column of the data at hand (None: the whole frame)."""

    name: str
    level: Level
    column: str | None = None
    number: int | None = None
    severity: Severity = "error"
    expr: pl.Expr | None = None
    """True where a row passes; null counts as `null_passes`."""
    null_passes: bool = True
    check: Any = None
    """The pandera check, where there is no expression."""
    columns: tuple[str, ...] = ()
    """Of a uniqueness check: what must be unique together."""
    kind: str | None = None
    """pandera's name of a built-in check of one value, which statistics may prove."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    """What the check asks of which column, as a hash: equal ids ask the same."""

    def outcome(self, status: Literal["passed", "could not check"], rows: int = 0, detail: str = "") -> CheckOutcome:
        """Return an outcome of this check that names no failing row."""
        return CheckOutcome(
            name=self.name,
            level=self.level,
            status=status,
            column=self.column,
            number=self.number,
            severity=self.severity,
            failing=0 if status == "passed" else None,
            rows=rows,
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a contract asks of data of one schema."""

    schema: pa.Schema
    columns: tuple[str, ...]
    """Columns that row checks read."""
    shape: tuple[CheckOutcome, ...]
    """Outcomes on the schema itself, the same for every batch."""
    row: tuple[PlannedCheck, ...]
    dataset: tuple[PlannedCheck, ...]


def compile_plan(contract: pandera.polars.DataFrameSchema, schema: pa.Schema, severity: Severity = "error") -> Plan:
    """Resolve `contract` on data of `schema`; failures that would be errors are of this `severity`."""
    register_polars_backends()  # pandera does so at the first validation only: until then no built-in check is known
    empty = pl.DataFrame(schema.empty_table())
    checks = list(_planned(contract, empty))
    if severity == "warn":
        checks = [replace(check, severity="warn") for check in checks]
    row = tuple(check for check in checks if check.level == "row")
    whole_frame = any(check.column is None for check in row)
    needed = schema.names if whole_frame else {check.column for check in row}
    return Plan(
        schema=schema,
        columns=tuple(name for name in schema.names if name in needed),
        shape=tuple(_softened(outcome, severity) for outcome in _shape(contract, empty)),
        row=row,
        dataset=tuple(check for check in checks if check.level == "dataset"),
    )


def _softened(outcome: CheckOutcome, severity: Severity) -> CheckOutcome:
    soft = severity == "warn" and outcome.status == "failed"
    return replace(outcome, status="warned", severity="warn") if soft else outcome


def check_name(check: Any) -> str:
    """Return the name that pandera itself reports a check by."""
    return str(check.error or check.name or check)


def _planned(contract: pandera.polars.DataFrameSchema, empty: pl.DataFrame) -> Iterator[PlannedCheck]:
    for name, column in _resolved(contract, empty):
        kind = empty.schema[name]
        if not column.nullable:
            asked = check_id("not_nullable", name, kind)
            yield PlannedCheck("not_nullable", "row", name, expr=_not_null(empty, name), null_passes=False, id=asked)
        if column.unique:
            asked = check_id("unique", name, kind)
            yield PlannedCheck("field_uniqueness", "dataset", name, columns=(name,), id=asked)
        for number, check in enumerate(column.checks):
            yield _classified(check, name, number, check_id(describe_check(check), name, kind))
    for columns in _unique_sets(contract.unique):
        kinds = [str(empty.schema.get(name)) for name in columns]
        title = f"multiple_fields_uniqueness({', '.join(columns)})"
        yield PlannedCheck(title, "dataset", columns=columns, id=check_id("unique", list(columns), kinds))
    for number, check in enumerate(contract.checks):
        asked = check_id(describe_check(check), None, dict(empty.schema))
        yield _classified(check, None, number, asked)


def _resolved(contract: pandera.polars.DataFrameSchema, empty: pl.DataFrame) -> Iterator[tuple[str, Any]]:
    """Yield each column of the data with the declaration that governs it, as pandera resolves them."""
    if not contract.columns and contract.dtype is not None:  # a type for the whole frame: no column may be null
        for name in empty.columns:
            yield name, pandera.polars.Column(contract.dtype, name=name)
        return
    explicit = {name for name, column in contract.columns.items() if not column.regex}
    for name, column in contract.columns.items():
        if not column.regex:
            if name in empty.columns:
                yield name, column
        else:
            for match in empty.select(pl.col(column.selector)).columns:
                if match not in explicit:
                    yield match, column


def _not_null(empty: pl.DataFrame, name: str) -> pl.Expr:
    present = pl.col(name).is_not_null()
    if empty.schema[name] in {pl.Float32, pl.Float64}:  # pandera: NaN is as good as null
        present &= pl.col(name).is_not_nan()
    return present


def _classified(check: Any, column: str | None, number: int, asked: str) -> PlannedCheck:
    known = isinstance(check._check_fn, Dispatcher) and str(check._check_fn) in ROW_LOCAL  # noqa: SLF001
    local = known or check.element_wise
    expr = _recorded(check, column) if known and column is not None and not check.element_wise else None
    return PlannedCheck(
        name=check_name(check),
        level="row" if local else "dataset",
        column=column,
        number=number,
        severity="warn" if check.raise_warning else "error",
        expr=expr,
        null_passes=check.ignore_na,
        check=check,
        kind=None if expr is None else str(check._check_fn),  # noqa: SLF001
        parameters=check._check_kwargs,  # noqa: SLF001
        id=asked,
    )


class _Recorder:
    """Stands in for a LazyFrame, and hands back what a built-in check would have selected from it."""

    def select(self, expr: pl.Expr) -> pl.Expr:
        return expr


def _recorded(check: Any, column: str) -> pl.Expr | None:
    """Return the expression that pandera itself would evaluate, or None: then pandera evaluates the check."""
    try:
        expr = check_function(check)(PolarsData(cast("pl.LazyFrame", _Recorder()), column))
    except (Exception, SystemExit):  # noqa: BLE001 - pandera will meet it again, and then it is an outcome of the check
        return None
    return expr if isinstance(expr, pl.Expr) else None


def check_function(check: Any) -> Any:
    """Return the check's function with its parameters bound.

    A check that was made before pandera's first validation holds the built-in function of no engine: the registry has
    that of Polars.
    """
    function = check._check_fn  # noqa: SLF001
    if isinstance(function, Dispatcher):
        function = type(check).CHECK_FUNCTION_REGISTRY.get(str(function), function)
    return partial(function, **check._check_kwargs)  # noqa: SLF001


def _unique_sets(unique: Any) -> list[tuple[str, ...]]:
    if not unique:
        return []
    if isinstance(unique, str):
        return [(unique,)]
    if all(isinstance(name, str) for name in unique):
        return [tuple(unique)]
    return [tuple(names) for names in unique]


def _shape(contract: pandera.polars.DataFrameSchema, empty: pl.DataFrame) -> tuple[CheckOutcome, ...]:
    """Let pandera compare columns and types on no rows at all."""
    passed = CheckOutcome("columns and types", "schema", "passed")
    try:
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_ONLY):
            contract.validate(empty, lazy=True)
    except SchemaErrors as error:
        return tuple(_shape_failure(each, empty) for each in error.schema_errors)
    except SchemaError as error:
        return (_shape_failure(error, empty),)
    except Exception as error:  # noqa: BLE001 - fails closed, whatever it was
        detail = f"{type(error).__name__}: {error}"[:_LONGEST_DETAIL]
        return (CheckOutcome("columns and types", "schema", "could not check", failing=None, detail=detail),)
    return (passed,)


def _shape_failure(error: SchemaError, empty: pl.DataFrame) -> CheckOutcome:
    name = error.check if isinstance(error.check, str) else check_name(error.check)
    column, detail = error.column_name or getattr(error.schema, "name", None), str(error).splitlines()[0]
    if name == "column_in_dataframe":
        column = str(error.failure_cases)
        near = difflib.get_close_matches(column, empty.columns, n=1)
        detail = "the column is missing" + (f"; did you mean {near[0]!r}?" if near else "")
    elif name == "column_in_schema":
        column, detail = str(error.failure_cases), "the contract is strict and does not name this column"
    elif name == "column_ordered":
        column, detail = str(error.failure_cases), "the column stands at another place than the contract says"
    elif name.startswith("dtype("):
        detail = f"the column's type is {error.failure_cases}, the contract asks for {name[len('dtype(') + 1 : -2]}"
    return CheckOutcome(name, "schema", "failed", column, failing=None, detail=detail[:_LONGEST_DETAIL])
