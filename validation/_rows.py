"""Evaluates row checks on a batch: one polars select for the built-ins, pandera for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import polars as pl
import pyarrow as pa

from dataplat.validation._compile import Plan, PlannedCheck, check_function
from dataplat.validation._element_wise import Overdue, ask_each
from dataplat.validation.report import EXAMPLES_PER_CHECK, CheckOutcome, Example
from dataplat.validation.verdict import BatchVerdict

# A panic in polars is a BaseException of its own; it is a check that could not be evaluated like any other error.
FAULTS: tuple[type[BaseException], ...] = (Exception, SystemExit, pl.exceptions.PanicException)

_LONGEST_VALUE = 200
_LONGEST_NAME = 120

_Fault: TypeAlias = str
_Result: TypeAlias = "pl.Series | _Fault | None"
"""The mask of passing rows where some fail, the reason why there is none, or None where all pass."""


def check_rows(
    plan: Plan, batch: pa.RecordBatch, key: Sequence[str] = (), checks: Sequence[PlannedCheck] | None = None
) -> BatchVerdict:
    """Evaluate row checks of `plan` (all, or these `checks`) on `batch`; examples carry the `key` columns.

    Of a column that comes as a dictionary, what is asked of single values is asked of the dictionary.
    """
    rows = batch.num_rows
    asked = plan.row if checks is None else checks
    try:
        results = _evaluate(asked, batch)
        outcomes = [replace(outcome, rows=rows) for outcome in plan.shape]
        outcomes += [_outcome(check, result, batch, key) for check, result in zip(asked, results, strict=True)]
    except FAULTS as error:
        return _unreadable(plan, asked, rows, error)
    blamed = [
        (check, result)
        for check, result in zip(asked, results, strict=True)
        if isinstance(result, pl.Series) and check.severity == "error"
    ]
    fatal = [o for o in outcomes if not o.ok and (o.level == "schema" or o.status == "could not check")]
    good = _good_rows(rows, [mask for _, mask in blamed], fatal=bool(fatal))
    bad = rows - int(good.sum())
    return BatchVerdict(
        rows=rows,
        bad=bad,
        good=pa.array(good.to_arrow(), pa.bool_()),
        outcomes=tuple(outcomes),
        _explain=lambda: _explained(batch, good, blamed, fatal),
    )


def as_frame(batch: pa.RecordBatch | pa.Table, columns: Sequence[str]) -> pl.DataFrame:
    """Return columns of an Arrow batch as a polars frame, with a height even where there is no column."""
    if not columns:
        return pl.DataFrame(height=batch.num_rows)
    return pl.DataFrame(pl.from_arrow(_plain(batch.select(list(columns)))))


def _plain(batch: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
    """Return the batch without dictionaries: Polars would take them for categories."""
    for number, field in enumerate(batch.schema):
        if pa.types.is_dictionary(field.type):
            kind = field.type.value_type
            batch = batch.set_column(number, field.with_type(kind), batch.column(number).cast(kind))
    return batch


def texts(values: pl.Series) -> pl.Series:
    """Return values as text; nested ones as JSON, bytes as hex."""
    if isinstance(values.dtype, pl.List | pl.Array | pl.Struct):
        wrapped = pl.select(pl.struct(values.alias("v")).struct.json_encode()).to_series()
        out = wrapped.str.slice(len('{"v":')).str.head(-1)
        return out.set(values.is_null(), None)
    if values.dtype == pl.Binary:
        return values.bin.encode("hex")
    return values.cast(pl.String)


def row_texts(frame: pl.DataFrame) -> pl.Series:
    """Return whole rows as text."""
    return pl.Series([str(row) for row in frame.rows(named=True)], dtype=pl.String)


def examples(positions: Sequence[int], values: pl.Series, keys: pl.DataFrame | None = None) -> tuple[Example, ...]:
    """Pair failing positions with their values, shortened, and with their keys."""
    shown = texts(values).str.head(_LONGEST_VALUE).to_list()
    named: list[tuple[tuple[str, str | None], ...]] = [()] * len(shown)
    if keys is not None and keys.width:
        columns = [(column.name, texts(column).str.head(_LONGEST_VALUE).to_list()) for column in keys]
        named = [tuple((name, cells[row]) for name, cells in columns) for row in range(len(shown))]
    return tuple(Example(*each) for each in zip(positions, shown, named, strict=True))


def fault_text(error: BaseException) -> str:
    """Return why a check could not be evaluated, in one line."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0][:300]}"


def _evaluate(checks: Sequence[PlannedCheck], batch: pa.RecordBatch) -> list[_Result]:
    """Ask of each check whether all rows pass, in one go; only where some do not, which."""
    results: list[_Result] = [None] * len(checks)
    left = [number for number, check in enumerate(checks) if not _settled_by_dictionary(check, batch, results, number)]
    quick = [number for number in left if checks[number].expr is not None]
    needed = {checks[number].column for number in left}
    columns = [name for name in batch.schema.names if None in needed or name in needed]
    frame = as_frame(batch, columns)
    for number in _not_passing(checks, quick, frame):
        results[number] = mask_of(checks[number], frame)
    for number in left:
        if checks[number].expr is None:
            results[number] = mask_of(checks[number], frame)
    return results


def _settled_by_dictionary(check: PlannedCheck, batch: pa.RecordBatch, results: list[_Result], number: int) -> bool:
    """Settle a check of single values by the distinct ones, where the column comes with a dictionary of them.

    A dictionary may hold values that no row has, so a value that fails is looked up in the rows, and one that a
    check stumbles over is left to them.
    """
    if check.column is None:
        return False
    column = batch.column(check.column)
    if not pa.types.is_dictionary(column.type):
        return False
    nulls = column.null_count
    if check.name == "not_nullable" and check.check is None:
        results[number] = None if not nulls else pl.Series(pl.from_arrow(column.is_valid()))
        return True
    distinct = pl.DataFrame({check.column: pl.Series(pl.from_arrow(column.dictionary))})
    passing = mask_of(check, distinct) if distinct.height else None
    if isinstance(passing, Overdue):
        results[number] = passing
        return True
    if isinstance(passing, str):
        return False
    if passing is not None or (nulls and not check.null_passes):
        every = pl.repeat(True, distinct.height, dtype=pl.Boolean, eager=True) if passing is None else passing
        codes = pl.Series(pl.from_arrow(column.indices)).cast(pl.UInt32)
        mask = every.gather(codes).fill_null(check.null_passes)
        results[number] = None if mask.all() else mask
    return True


def _not_passing(checks: Sequence[PlannedCheck], quick: list[int], frame: pl.DataFrame) -> list[int]:
    if not quick:
        return []
    try:
        passed = frame.select(_passes(checks[number]).all().alias(str(number)) for number in quick).row(0)
    except FAULTS:  # one of them cannot be evaluated; one by one they tell which
        return quick
    return [number for number, every in zip(quick, passed, strict=True) if not every]


def _passes(check: PlannedCheck) -> pl.Expr:
    return cast("pl.Expr", check.expr).fill_null(check.null_passes)


def mask_of(check: PlannedCheck, frame: pl.DataFrame) -> _Result:
    """Return which rows pass; None where all do, a text where the check cannot be evaluated."""
    try:
        if check.expr is not None:
            mask = frame.select(_passes(check).alias("passes")).to_series()
        elif check.check.element_wise:
            return _one_by_one(check, frame if check.column is None else frame.select(check.column))
        else:
            lazy = (frame if check.column is None else frame.select(check.column)).lazy()
            mask = check.check(lazy, check.column).check_output.collect().to_series()
    except FAULTS as error:
        return fault_text(error)
    if mask.dtype != pl.Boolean or len(mask) != frame.height:
        return f"the check gave {len(mask)} values of type {mask.dtype} for {frame.height} rows, not one boolean each"
    return None if mask.all() else mask


def _one_by_one(check: PlannedCheck, frame: pl.DataFrame) -> _Result:
    """Ask a Python function of each value; of a whole frame a row passes with all its values, as pandera has it."""
    function = check_function(check.check)
    mask = pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True)
    for column in frame:
        said = ask_each(function, list(column) if column.dtype.is_nested() else column.to_list())
        if isinstance(said, str):
            return said
        mask &= pl.Series(said, dtype=pl.Boolean)
    mask = mask.fill_null(check.null_passes)
    return None if mask.all() else mask


def _outcome(check: PlannedCheck, result: _Result, batch: pa.RecordBatch, key: Sequence[str]) -> CheckOutcome:
    if result is None:
        return check.outcome("passed", batch.num_rows)
    if isinstance(result, str):
        return check.outcome("could not check", batch.num_rows, result)
    positions = (~result).arg_true()
    first = positions.head(EXAMPLES_PER_CHECK)
    rows = as_frame(batch.take(pa.array(first.to_list(), pa.int64())), batch.schema.names)
    values = row_texts(rows) if check.column is None else rows[check.column]
    return replace(
        check.outcome("passed", batch.num_rows),
        status="warned" if check.severity == "warn" else "failed",
        failing=len(positions),
        examples=examples(first.to_list(), values, rows.select(key)),
    )


def _good_rows(rows: int, masks: Sequence[pl.Series], *, fatal: bool) -> pl.Series:
    if fatal or not masks:
        return pl.repeat(not fatal, rows, dtype=pl.Boolean, eager=True)
    good = masks[0]
    for mask in masks[1:]:
        good &= mask
    return good.fill_null(value=False)


def _explained(
    batch: pa.RecordBatch,
    good: pl.Series,
    blamed: Sequence[tuple[PlannedCheck, pl.Series]],
    fatal: Sequence[CheckOutcome],
) -> pa.StringArray:
    bad = ~good
    rows = as_frame(batch.filter(pa.array(bad.to_arrow(), pa.bool_())), batch.schema.names)
    said = [pl.lit(_label(o.column, o.name) + (f" ({o.detail})" if o.detail else "")) for o in fatal]
    columns: dict[str, Any] = {}
    for number, (check, mask) in enumerate(blamed):
        values = row_texts(rows) if check.column is None else texts(rows[check.column]).fill_null("null")
        columns[f"v{number}"], columns[f"m{number}"] = values.str.head(_LONGEST_VALUE), mask.filter(bad)
        text = pl.format("{} got {}", pl.lit(_label(check.column, check.name)), pl.col(f"v{number}"))
        said.append(pl.when(~pl.col(f"m{number}")).then(text))
    table = pl.DataFrame(columns) if columns else pl.DataFrame(height=rows.height)
    joined = pl.concat_str(said, separator="; ", ignore_nulls=True) if said else pl.lit("")
    answer = table.with_columns(failures=joined).get_column("failures")
    return answer.to_arrow().cast(pa.string())


def _label(column: str | None, name: str) -> str:
    short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    return short if column is None else f"{column}: {short}"


def _unreadable(plan: Plan, asked: Sequence[PlannedCheck], rows: int, error: BaseException) -> BatchVerdict:
    reason = fault_text(error)
    outcomes = tuple(check.outcome("could not check", rows, reason) for check in asked)
    text = f"the batch cannot be read: {reason}"
    return BatchVerdict(
        rows=rows,
        bad=rows,
        good=pa.array([False] * rows, pa.bool_()),
        outcomes=(*plan.shape, *outcomes),
        _explain=lambda: pa.array([text] * rows, pa.string()),
    )
