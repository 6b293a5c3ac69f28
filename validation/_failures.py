"""Failing rows as an Arrow table, read again when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.validation._compile import Plan, PlannedCheck
from dataplat.validation._rows import as_frame, mask_of, row_texts, texts
from dataplat.validation.report import CheckOutcome, Report
from dataplat.validation.subject import ROW, Block, Subject

MOST: Final = 100_000
"""Failing rows (times checks) that one table holds."""

_PLAIN: Final = ("part", "row", "check", "column", "value")
_TYPES: Final = (pa.string(), pa.int64(), pa.string(), pa.string(), pa.string())


@dataclass(frozen=True, slots=True)
class Failures:
    """Reads the failing rows of a subject: those of row checks from the blocks, of the others their examples."""

    plan: Plan
    subject: Subject
    key: tuple[str, ...]

    def __call__(self, report: Report) -> pa.Table:
        """Return part, row, check, column, value and the key columns (as text) of each failing row and check."""
        failing = {(check.column, check.name, check.number) for check in report.checks if check.failing}
        asked = [check for check in self.plan.row if (check.column, check.name, check.number) in failing]
        found: list[pa.Table] = []
        room = MOST
        for table in self._tables(asked) if asked else ():
            found.append(table.slice(0, room))
            room -= len(found[-1])
            if room <= 0:
                break
        others = of_examples([check for check in report.checks if check.level != "row"], self.key)
        return pa.concat_tables([*found, others.slice(0, max(room, 0))])

    def _tables(self, asked: Sequence[PlannedCheck]) -> Iterator[pa.Table]:
        columns = self._columns(asked)
        for block in self.subject.blocks:
            for unit in block.units(columns):
                for batch in unit.read():
                    yield from self._of_batch(block, batch, asked)

    def _columns(self, asked: Sequence[PlannedCheck]) -> list[str]:
        names = self.plan.schema.names
        if any(check.column is None for check in asked):
            return list(names)
        return [name for name in names if name in {*(check.column for check in asked), *self.key}]

    def _of_batch(self, block: Block, batch: pa.RecordBatch, asked: Sequence[PlannedCheck]) -> Iterator[pa.Table]:
        frame = as_frame(batch, [name for name in batch.schema.names if name != ROW])
        failing: list[tuple[PlannedCheck, pl.Series]] = []
        for check in asked:
            mask = mask_of(check, frame)
            if isinstance(mask, pl.Series):
                failing.append((check, (~mask).arg_true()))
        if not failing:
            return
        positions = np.asarray(batch.column(ROW))
        rows = np.concatenate([at.to_numpy() for _, at in failing])
        order = np.argsort(rows, kind="stable")  # all that is wrong with a row stands together
        tables = [self._of_check(block, check, at, frame, positions) for check, at in failing]
        yield pa.concat_tables(tables).take(pa.array(order))

    def _of_check(
        self, block: Block, check: PlannedCheck, at: pl.Series, frame: pl.DataFrame, positions: np.ndarray
    ) -> pa.Table:
        rows = frame[at]
        values = row_texts(rows) if check.column is None else texts(rows[check.column])
        count = len(at)
        arrays = [
            pa.array([block.name] * count, pa.string()),
            pa.array(positions[at.to_numpy()].astype(np.int64)),
            pa.array([check.name] * count, pa.string()),
            pa.array([check.column] * count, pa.string()),
            values.to_arrow().cast(pa.string()),
            *(texts(rows[name]).to_arrow().cast(pa.string()) for name in self.key),
        ]
        return pa.Table.from_arrays(arrays, schema=_schema(self.key))


def of_examples(checks: Iterable[CheckOutcome], key: Sequence[str] = ()) -> pa.Table:
    """Return the examples of checks in the same form."""
    found = [(check, example) for check in checks if not check.ok or check.failing for example in check.examples]
    keys = [dict(example.key) for _, example in found]
    named = tuple(key) or tuple(keys[0] if keys else ())
    columns = [
        [example.part for _, example in found],
        [example.position for _, example in found],
        [check.name for check, _ in found],
        [check.column for check, _ in found],
        [example.value for _, example in found],
        *([each.get(name) for each in keys] for name in named),
    ]
    schema = _schema(named)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _schema(key: Sequence[str]) -> pa.Schema:
    names = [f"key_{name}" if name in _PLAIN else name for name in key]
    return pa.schema([*zip(_PLAIN, _TYPES, strict=True), *((name, pa.string()) for name in names)])
