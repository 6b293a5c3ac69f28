"""Evaluates the checks that only a whole dataset can answer: uniqueness, and custom checks of whole columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl
import pyarrow as pa
from pandera.api.function_dispatch import Dispatcher
from pandera.api.polars.types import PolarsData
from polars.io.plugins import register_io_source

from dataplat.validation._compile import Plan, PlannedCheck, check_function
from dataplat.validation._identity import check_id
from dataplat.validation._memory import Memory
from dataplat.validation._rows import FAULTS, as_frame, examples, fault_text, row_texts
from dataplat.validation._spread import once
from dataplat.validation._unique import find_repeats
from dataplat.validation.report import EXAMPLES_PER_CHECK, CheckOutcome, Status
from dataplat.validation.subject import PART, ROW, Subject

_OUTPUT = "check_output"


class DoesNotFit(Exception):
    """A check reads more than the memory limit."""


@dataclass(slots=True)
class DatasetChecker:
    """Runs the dataset-level checks of a plan.

    A check that fails to run is an outcome (`could not check`), never an error and never a pass. `memory_limit`
    bounds the decoded bytes that one custom check may read.
    """

    plan: Plan
    subject: Subject
    key: Sequence[str]
    memory_limit: int
    memory: Memory

    @property
    def rows(self) -> int:
        """Rows of the dataset."""
        return self.subject.rows

    def run(self) -> list[CheckOutcome]:
        """Return one outcome per dataset-level check."""
        return [self._outcome(check) for check in self.plan.dataset]

    def scan(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        return self.subject.scan(columns)

    def _outcome(self, check: PlannedCheck) -> CheckOutcome:
        names = check.columns or ([check.column] if check.column else self.plan.schema.names)
        stored = [self.subject.stored(name) for name in names if name in self.plan.schema.names]
        asked = check_id(check.id, stored, list(self.key))
        known = self.memory.whole(self.subject.version, asked)
        if known is not None:
            return replace(known, number=check.number, severity=check.severity, status=_status(known, check))
        try:
            outcome = self._unique(check) if check.columns else once(self.memory, self._custom, check)
        except FAULTS as error:
            return check.outcome("could not check", self.rows, fault_text(error))
        self.memory.keep_whole(self.subject.version, asked, outcome)
        return outcome

    def _unique(self, check: PlannedCheck) -> CheckOutcome:
        missing = [name for name in check.columns if name not in self.plan.schema.names]
        if missing:
            return check.outcome("could not check", self.rows, f"no such column: {', '.join(missing)}")
        repeats = find_repeats(self.subject, check.columns, self.memory, self.key)
        passed = check.outcome("passed", repeats.rows)
        if repeats.failing:
            passed = replace(_failed(check, repeats.rows, repeats.failing), examples=repeats.examples)
        return replace(passed, settled=repeats.settled)

    def _custom(self, check: PlannedCheck) -> CheckOutcome:
        answer = self._answer(check)
        rows = self.rows
        if isinstance(answer, bool):
            return check.outcome("passed", rows) if answer else _failed(check, rows, None)
        bad = (~answer.fill_null(check.null_passes)).arg_true()
        if bad.is_empty():
            return check.outcome("passed", rows)
        if len(answer) != rows:  # an aggregate: no row of its own
            return _failed(check, rows, None)
        found = self._look_up(bad.head(EXAMPLES_PER_CHECK), [check.column] if check.column else self.plan.schema.names)
        values = found[check.column] if check.column else row_texts(found)
        shown = examples(bad.head(EXAMPLES_PER_CHECK).to_list(), values)
        return self._located(replace(_failed(check, rows, len(bad)), examples=shown))

    def failing_rows(self, check: PlannedCheck) -> Iterator[tuple[int, int]]:
        """Yield block number and position of every row that fails a custom check; none where it blames no row."""
        answer = self._answer(check)
        if isinstance(answer, bool) or len(answer) != self.rows:
            return
        bad = (~answer.fill_null(check.null_passes)).arg_true()
        if not bad.is_empty():
            found = self._look_up(bad, [], positions=True)
            yield from zip(found[PART].to_list(), found[ROW].to_list(), strict=True)

    def _answer(self, check: PlannedCheck) -> bool | pl.Series:
        """Call the check's function as pandera does, on a frame that reads only the columns that it uses."""
        frame = self._lazy()
        if isinstance(check.check._check_fn, Dispatcher) and check.column is not None:  # noqa: SLF001
            frame = frame.select(check.column)  # a built-in that collects its frame uses no other column
        out = check_function(check.check)(PolarsData(frame, check.column or "*"))
        if isinstance(out, bool):
            return out
        if not isinstance(out, pl.LazyFrame):
            raise TypeError(f"a check returns a LazyFrame or a bool, not {type(out).__name__}")
        if len(out.collect_schema()) > 1:
            out = out.select(pl.fold(pl.lit(True), lambda every, one: every & one, pl.all()).alias(_OUTPUT))
        series = out.collect().to_series()
        if series.dtype not in {pl.Boolean, pl.Null}:
            raise TypeError(f"a check gives booleans, not {series.dtype}")
        return series.cast(pl.Boolean)

    def _lazy(self) -> pl.LazyFrame:
        schema = pl.DataFrame(self.plan.schema.empty_table()).schema

        def read(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            columns = list(schema) if with_columns is None else with_columns
            rows = size = 0
            for batch in self.scan(columns or list(schema)[:1]):
                frame = as_frame(batch, columns)
                rows += frame.height
                size += batch.nbytes
                if size > self.memory_limit:
                    raise DoesNotFit(f"it reads more than the memory limit of {self.memory_limit:,} bytes")
                yield frame if predicate is None else frame.filter(predicate)
                if n_rows is not None and rows >= n_rows:
                    return

        return register_io_source(read, schema=schema)

    def _located(self, outcome: CheckOutcome) -> CheckOutcome:
        """Name the rows of the examples by block, position in it, and key."""
        positions = [example.position for example in outcome.examples if example.position is not None]
        if not positions:
            return outcome
        found = self._look_up(pl.Series(positions, dtype=pl.Int64), list(self.key), positions=True)
        keys = found.select(self.key)
        named = examples(positions, found[ROW], keys)
        places = zip(outcome.examples, named, found[PART].to_list(), found[ROW].to_list(), strict=True)
        blocks = self.subject.blocks
        return replace(
            outcome,
            examples=tuple(
                replace(one, position=row, part=blocks[block].name, key=two.key) for one, two, block, row in places
            ),
        )

    def _look_up(self, wanted: pl.Series, columns: list[str], *, positions: bool = False) -> pl.DataFrame:
        """Return the rows at ascending positions, of all rows in order."""
        found: list[pl.DataFrame] = []
        offset = 0
        for batch in self.subject.scan(columns, positions=positions):
            here = wanted.filter((wanted >= offset) & (wanted < offset + batch.num_rows)) - offset
            if len(here):
                found.append(as_frame(batch.take(pa.array(here.to_list(), pa.int64())), batch.schema.names))
            offset += batch.num_rows
            if offset > wanted[-1]:
                break
        return pl.concat(found)


def _status(outcome: CheckOutcome, check: PlannedCheck) -> Status:
    if outcome.status in {"failed", "warned"}:
        return "warned" if check.severity == "warn" else "failed"
    return outcome.status


def _failed(check: PlannedCheck, rows: int, failing: int | None) -> CheckOutcome:
    status: Status = "warned" if check.severity == "warn" else "failed"
    detail = "" if failing is not None else f"false over the {rows:,} rows as a whole"
    return replace(check.outcome("passed", rows), status=status, failing=failing, detail=detail)
