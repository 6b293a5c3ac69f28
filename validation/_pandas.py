"""pandas models and schemas: run by pandera on pandas, over all rows at once; no statistics, no memory of parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from dataplat.validation._compile import check_name
from dataplat.validation._rows import FAULTS, fault_text
from dataplat.validation.report import EXAMPLES_PER_CHECK, CheckOutcome, Example, Severity
from dataplat.validation.subject import PART, ROW

if TYPE_CHECKING:
    import pandas as pd

    from dataplat.validation.subject import Subject

_LONGEST: Final = 200


def is_pandas(schema: Any) -> bool:
    """Whether something is a pandera model or schema for pandas, without importing pandas."""
    kind = schema if isinstance(schema, type) else type(schema)
    return any(base.__module__.startswith("pandera.api.pandas.") for base in kind.__mro__)


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
        from pandera.errors import SchemaErrors

        passed = [
            CheckOutcome(name, "dataset", "passed", column, number, severity, rows=subject.rows)
            for name, column, number in self._declared()
        ]
        try:
            frame, places = _frame(subject, memory_limit)
            self.schema.validate(frame, lazy=True)
        except SchemaErrors as errors:
            return self._failed(passed, errors.failure_cases, subject, places, frame, key)
        except FAULTS as error:
            return [replace(each, status="could not check", failing=None, detail=fault_text(error)) for each in passed]
        return passed

    def _declared(self) -> list[tuple[str, str | None, int | None]]:
        found: list[tuple[str, str | None, int | None]] = [("columns and types", None, None)]
        for name, column in self.schema.columns.items():
            found += [] if column.nullable else [("not_nullable", str(name), None)]
            found += [("field_uniqueness", str(name), None)] if column.unique else []
            found += [(check_name(check), str(name), number) for number, check in enumerate(column.checks)]
        found += [("multiple_fields_uniqueness", None, None)] if self.schema.unique else []
        return found + [(check_name(check), None, number) for number, check in enumerate(self.schema.checks)]

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
            check, context, column = name
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
        return list(found.values())


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
    """Return all rows as pandas has them, and where each lies; integers with nulls stay integers."""
    from dataplat.lake.arrow_alone import let_pandas_in
    from dataplat.validation._dataset import DoesNotFit

    let_pandas_in()
    import pandas as pd

    batches, size = [], 0
    for batch in subject.scan(subject.schema.names, positions=True):
        size += batch.nbytes
        if size > memory_limit:
            raise DoesNotFit(
                f"pandas holds all rows, and these are more than the memory limit of {memory_limit:,} bytes"
            )
        batches.append(batch)
    if not batches:
        empty = subject.schema.empty_table()
        return empty.to_pandas(), pa.table({PART: [], ROW: []})
    table = pa.Table.from_batches(batches)
    rows = table.select(subject.schema.names)
    frame = rows.to_pandas()
    for field in rows.schema:
        if pa.types.is_integer(field.type) and rows[field.name].null_count:
            kind = f"{'UInt' if pa.types.is_unsigned_integer(field.type) else 'Int'}{field.type.bit_width}"
            frame[field.name] = pd.array(rows[field.name].to_pylist(), dtype=kind)
    return frame, table.select([PART, ROW])
