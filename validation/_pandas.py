"""pandas models and schemas: run by pandera on pandas, over all rows at once; no statistics, no memory of parts."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pandera.errors import SchemaErrorReason, SchemaErrors

from dataplat.validation._compile import check_name
from dataplat.validation._environment import asked_in
from dataplat.validation._rows import FAULTS, fault_text
from dataplat.validation.report import EXAMPLES_PER_CHECK, CheckOutcome, Example, Severity
from dataplat.validation.subject import PART, ROW

if TYPE_CHECKING:
    import pandas as pd

    from dataplat.validation.subject import Subject

_LONGEST: Final = 200
_RAISED: Final = SchemaErrorReason.CHECK_ERROR


def is_pandas(schema: Any) -> bool:
    """Whether something is a pandera model or schema for pandas, without importing pandas."""
    kind = schema if isinstance(schema, type) else type(schema)
    frames = [base for base in kind.__mro__ if base.__name__ in {"DataFrameModel", "DataFrameSchema"}]
    return any(base.__module__.startswith("pandera.api.pandas.") for base in frames)


@dataclass(frozen=True, slots=True)
class PandasSchema:
    """A pandera schema for pandas."""

    schema: Any

    @classmethod
    def of(cls, given: Any) -> PandasSchema:
        """Return that of a model or a schema; what pandera raises where it cannot be built."""
        model: Any = given
        return cls(model.to_schema() if isinstance(given, type) else given)

    def judge(self, subject: Subject, key: Sequence[str], severity: Severity, memory_limit: int) -> list[CheckOutcome]:
        """Return one outcome per check that pandera runs; the same checks on every machine, whatever fails."""
        passed = [
            replace(each, status="passed", severity="warn" if severity == "warn" else each.severity, rows=subject.rows)
            for each in self.declared()
        ]
        try:
            frame, places = _frame(subject, memory_limit)
            _failing(self.schema).validate(frame, lazy=True)
        except SchemaErrors as errors:
            found = self._failed(passed, errors.failure_cases, subject, places, frame, key)
            raised = {_identity(each) for each in errors.schema_errors if each.reason_code is _RAISED}
            return [_not_checked(each) if (each.name, each.column) in raised else each for each in found]
        except FAULTS as error:
            return [replace(each, status="could not check", failing=None, detail=fault_text(error)) for each in passed]
        return passed

    def blame(self, subject: Subject, failed: Sequence[CheckOutcome], memory_limit: int) -> dict[int, set[int]] | None:
        """Return the rows to blame for these failures, positions by number of block; None where one blames no row."""
        try:
            frame, places = _frame(subject, memory_limit)
            _failing(self.schema).validate(frame, lazy=True)
        except SchemaErrors as errors:
            cases = errors.failure_cases
        except FAULTS:
            return None
        else:
            return None
        found: dict[int, set[int]] = {}
        for outcome in failed:
            if outcome.status != "failed" or not outcome.failing or outcome.level != "dataset":
                return None
            mine = cases[cases["check"].map(str) == outcome.name]
            if outcome.column is not None:
                mine = mine[(mine["column"] == outcome.column) & (mine["schema_context"] != "DataFrameSchema")]
            for row in mine["index"].dropna().astype(int).unique():
                found.setdefault(places[PART][int(row)].as_py(), set()).add(places[ROW][int(row)].as_py())
        return found

    def asked_in(self, own: str | None, environment: str | None) -> PandasSchema | None:
        """Return what is asked of it where the data is, of a contract that is asked in `own`; None: nothing."""
        asked = asked_in(self.schema, own, environment)
        return None if asked is None else PandasSchema(asked)

    def declared(self) -> list[CheckOutcome]:
        """Return an outcome for each check, which was not asked yet."""
        found = [replace(_declared("columns and types"), level="schema")]
        for name, column in self.schema.columns.items():
            found += [] if column.nullable else [_declared("not_nullable", name)]
            found += [_declared("field_uniqueness", name)] if column.unique else []
            found += [_declared(check_name(check), name, at, check) for at, check in enumerate(column.checks)]
        found += [_declared("multiple_fields_uniqueness")] if self.schema.unique else []
        return found + [_declared(check_name(check), None, at, check) for at, check in enumerate(self.schema.checks)]

    def _failed(
        self,
        passed: list[CheckOutcome],
        cases: pd.DataFrame,
        subject: Subject,
        places: pa.Table,
        frame: pd.DataFrame,
        key: Sequence[str],
    ) -> list[CheckOutcome]:
        found = {(each.name, each.column, each.number): each for each in passed}
        for name, group in cases.groupby(["check", "schema_context", "column"], dropna=False, sort=False):
            group_of: Any = name
            check, context, column = group_of
            whole = context == "DataFrameSchema"
            known = next(
                (at for at in found if at[0] == check and at[1] == (None if whole else column)),
                None,
            )
            rows = sorted({int(row) for row in group["index"].dropna()})
            at = known or (str(check), None if whole else str(column), None)
            base = found.get(at) or CheckOutcome(at[0], "schema", "passed", at[1], rows=subject.rows)
            cases_of = dict(zip(group["index"].tolist(), group["failure_case"].tolist(), strict=True))
            found[at] = replace(
                base,
                status="warned" if base.severity == "warn" else "failed",
                failing=len(rows) if rows else None,
                examples=_examples(rows, cases_of, subject, places, frame, key, whole=whole),
                detail="" if rows else str(group["failure_case"].iloc[0])[:_LONGEST],
            )
        return [
            each for each in found.values() if each.name != "columns and types" or not _shape_failed(found.values())
        ]


def _identity(error: Any) -> tuple[str, str | None]:
    """Return name and column of the check that an error speaks of."""
    name = error.check if isinstance(error.check, str) else check_name(error.check)
    return name, error.column_name


def _not_checked(outcome: CheckOutcome) -> CheckOutcome:
    return replace(outcome, status="could not check", failing=None)


def _shape_failed(found: Iterable[CheckOutcome]) -> bool:
    return any(each.level == "schema" and each.status == "failed" for each in found)


def _declared(name: str, column: Any = None, number: int | None = None, check: Any = None) -> CheckOutcome:
    severity: Severity = "warn" if check is not None and check.raise_warning else "error"
    return CheckOutcome(name, "dataset", "not asked", None if column is None else str(column), number, severity)


def _failing(schema: Any) -> Any:
    """Return a schema whose checks all fail by an error, which names the rows, where some would warn."""
    failing = copy.deepcopy(schema)
    for check in (*failing.checks, *(check for column in failing.columns.values() for check in column.checks)):
        check.raise_warning = False
    return failing


def _examples(
    rows: Sequence[int],
    cases: dict[Any, Any],
    subject: Subject,
    places: pa.Table,
    frame: pd.DataFrame,
    key: Sequence[str],
    *,
    whole: bool,
) -> tuple[Example, ...]:
    shown = []
    for row in rows[:EXAMPLES_PER_CHECK]:
        block, position = places[PART][row].as_py(), places[ROW][row].as_py()
        value = str(frame.iloc[row].to_dict()) if whole else None if cases[row] is None else str(cases[row])
        keys = tuple((name, str(frame[name].iloc[row])) for name in key)
        shown.append(Example(position, None if value is None else value[:_LONGEST], keys, subject.blocks[block].name))
    return tuple(shown)


def _frame(subject: Subject, memory_limit: int) -> tuple[pd.DataFrame, pa.Table]:
    """Return all rows as pandas has them, and where each lies."""
    from dataplat.validation._dataset import DoesNotFit

    batches, size = [], 0
    for batch in subject.scan(subject.schema.names, positions=True):
        size += batch.nbytes
        if size > memory_limit:
            raise DoesNotFit(
                f"pandas holds all rows, and these are more than the memory limit of {memory_limit:,} bytes"
            )
        batches.append(batch)
    if not batches:
        return as_pandas(subject.schema.empty_table()), pa.table({PART: [], ROW: []})
    table = pa.Table.from_batches(batches)
    return as_pandas(table.select(subject.schema.names)), table.select([PART, ROW])


def as_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a table as pandas has it; integers with nulls stay integers."""
    from dataplat.lake.arrow_alone import let_pandas_in

    let_pandas_in()
    import pandas as pd

    frame = table.to_pandas()
    for field in table.schema:
        if pa.types.is_integer(field.type) and table[field.name].null_count:
            kind = f"{'UInt' if pa.types.is_unsigned_integer(field.type) else 'Int'}{field.type.bit_width}"
            frame[field.name] = pd.array(table[field.name].to_pylist(), dtype=kind)
    return frame


def arrow_type(dtype: Any) -> pa.DataType | None:
    """Return the Arrow type of a pandera type for pandas; None where there is none for certain."""
    import pandas as pd

    try:
        kind = pa.Array.from_pandas(pd.Series([], dtype=dtype.type)).type
    except Exception:  # noqa: BLE001 - a hint only; the check itself speaks later
        return None
    if pa.types.is_null(kind) or pa.types.is_dictionary(kind):
        return None
    return pa.string() if kind in {pa.large_string(), pa.string_view()} else kind
