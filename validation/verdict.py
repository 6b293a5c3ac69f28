"""The verdict on one batch: which rows are good, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from dataplat.validation.report import CheckOutcome

FAILURES_COLUMN = "failures"


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """Row checks of a contract on one batch.

    `good` has one boolean per row, never null. `outcomes` holds every row and schema check, with positions
    counted from the batch's first row. A batch with `fatal` outcomes (a missing column, a wrong type, a check
    that could not be evaluated) has no good row: nothing of it can be trusted.
    """

    rows: int
    bad: int
    good: pa.BooleanArray = field(repr=False)
    outcomes: tuple[CheckOutcome, ...] = field(repr=False)
    _explain: Callable[[], pa.StringArray] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether every row is good and every check could be evaluated."""
        return self.bad == 0 and not self.fatal

    @property
    def fatal(self) -> tuple[CheckOutcome, ...]:
        """What no single row can be blamed for: failures of schema, and checks that could not be evaluated."""
        return tuple(o for o in self.outcomes if not o.ok and (o.level == "schema" or o.status == "could not check"))

    @property
    def failures(self) -> pa.StringArray:
        """Say for each bad row, in their order, all that is wrong with it (computed when asked)."""
        return self._explain()

    def split(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """Return the good rows, and the bad ones with a last column `failures` (`failures_` where one is there)."""
        if self.bad == 0:
            good, bad = batch, batch.slice(0, 0)
        else:
            good, bad = batch.filter(self.good), batch.filter(pc.invert(self.good))
        name = FAILURES_COLUMN
        while name in batch.schema.names:
            name += "_"
        texts = self.failures if self.bad else pa.array([], pa.string())
        schema = batch.schema.append(pa.field(name, pa.string()))
        return good, pa.RecordBatch.from_arrays([*bad.columns, texts], schema=schema)
