"""Evaluates row checks on a batch: one polars select for the built-ins, pandera for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import polars as pl
import pyarrow as pa

from dataplat.validation._compile import Plan, PlannedCheck
from dataplat.validation.report import EXAMPLES_PER_CHECK, CheckOutcome, Example
from dataplat.validation.verdict import BatchVerdict

# A panic in polars is a BaseException of its own; it is a check that could not be evaluated like any other error.
FAULTS: tuple[type[BaseException], ...] = (Exception, SystemExit, pl.exceptions.PanicException)

_LONGEST_VALUE = 200
_LONGEST_NAME = 120

_Fault: TypeAlias = str
_Result: TypeAlias = "pl.Series | _Fault | None"
"""The mask of passing rows where some fail, the reason why there is none, or None where all pass."""


def check_rows(plan: Plan, batch: pa.RecordBatch, key: Sequence[str] = ()) -> BatchVerdict:
    """Evaluate the row checks of `plan` on `batch`; examples carry the `key` columns."""
    rows = batch.num_rows
    try:
        frame = as_frame(batch, [*plan.columns, *(name for name in key if name not in plan.columns)])
    except FAULTS as error:
        return _unreadable(plan, rows, error)
    results = _evaluate(plan.row, frame)
    outcomes = [replace(outcome, rows=rows) for outcome in plan.shape]
    outcomes += [_outcome(check, result, frame, key) for check, result in zip(plan.row, results, strict=True)]
    blamed = [
        (check, result)
        for check, result in zip(plan.row, results, strict=True)
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
        _explain=lambda: _explained(frame, good, blamed, fatal),
    )


def as_frame(batch: pa.RecordBatch | pa.Table, columns: Sequence[str]) -> pl.DataFrame:
    """Return columns of an Arrow batch as a polars frame, with a height even where there is no column."""
    if not columns:
        return pl.DataFrame(height=batch.num_rows)
    return pl.DataFrame(pl.from_arrow(batch.select(list(columns))))


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


def _evaluate(checks: Sequence[PlannedCheck], frame: pl.DataFrame) -> list[_Result]:
    """Ask of each check whether all rows pass, in one go; only where some do not, which."""
    results: list[_Result] = [None] * len(checks)
    quick = [number for number, check in enumerate(checks) if check.expr is not None]
    for number in _not_passing(checks, quick, frame):
        results[number] = _mask(checks[number], frame)
    for number, check in enumerate(checks):
        if check.expr is None:
            results[number] = _mask(check, frame)
    return results


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


def _mask(check: PlannedCheck, frame: pl.DataFrame) -> _Result:
    try:
        if check.expr is not None:
            mask = frame.select(_passes(check).alias("passes")).to_series()
        else:
            lazy = (frame if check.column is None else frame.select(check.column)).lazy()
            mask = check.check(lazy, check.column).check_output.collect().to_series()
    except FAULTS as error:
        return fault_text(error)
    if mask.dtype != pl.Boolean or len(mask) != frame.height:
        return f"the check gave {len(mask)} values of type {mask.dtype} for {frame.height} rows, not one boolean each"
    return None if mask.all() else mask


def _outcome(check: PlannedCheck, result: _Result, frame: pl.DataFrame, key: Sequence[str]) -> CheckOutcome:
    if result is None:
        return check.outcome("passed", frame.height)
    if isinstance(result, str):
        return check.outcome("could not check", frame.height, result)
    positions = (~result).arg_true()
    first = positions.head(EXAMPLES_PER_CHECK)
    rows = frame[first]
    values = row_texts(rows) if check.column is None else rows[check.column]
    return replace(
        check.outcome("passed", frame.height),
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
    frame: pl.DataFrame,
    good: pl.Series,
    blamed: Sequence[tuple[PlannedCheck, pl.Series]],
    fatal: Sequence[CheckOutcome],
) -> pa.StringArray:
    bad = ~good
    rows = frame.filter(bad) if frame.width else pl.DataFrame(height=int(bad.sum()))
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


def _unreadable(plan: Plan, rows: int, error: BaseException) -> BatchVerdict:
    reason = fault_text(error)
    outcomes = tuple(check.outcome("could not check", rows, reason) for check in plan.row)
    text = f"the batch cannot be read: {reason}"
    return BatchVerdict(
        rows=rows,
        bad=rows,
        good=pa.array([False] * rows, pa.bool_()),
        outcomes=(*plan.shape, *outcomes),
        _explain=lambda: pa.array([text] * rows, pa.string()),
    )
