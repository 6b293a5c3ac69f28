"""Rows that came and that are to blame where a dataset would fail as a whole: duplicates, above all.

They go into quarantine, and the rest lands. Rows that were there stay: they were judged before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dataplat.lake.digest import Digest
from dataplat.validation.verdict import FAILURES_COLUMN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pyarrow as pa

    from dataplat.ingest._aside import Aside
    from dataplat.lake.part import Part
    from dataplat.validation import Contract, Report
    from dataplat.validation.report import CheckOutcome
    from dataplat.validation.subject import VersionSubject
    from dataplat.versioning.modes import Base, Outcome

ROUNDS: Final = 5
"""So often rows are taken out before the whole batch is: without some, others may fail."""


@dataclass(slots=True)
class Settled:
    """What came of a batch: what is to land, whether it may, the report on it, and what failed on the way."""

    outcome: Outcome
    report: Report
    failed: tuple[CheckOutcome, ...] = ()


def settle(
    base: Base,
    outcome: Outcome,
    contract: Contract,
    judge: Callable[[Outcome], tuple[VersionSubject, Report]],
    quarantine: Aside,
) -> Settled:
    """Take the rows to blame out of what came until the dataset meets its contract, or none can be taken out.

    The rows taken out are in quarantine only where the rest may land: else the batch goes there as a whole.
    """
    subject, report = judge(outcome)
    failed: dict[str, CheckOutcome] = {}
    taken: list[pa.Table] = []
    for _ in range(ROUNDS):
        if report.ok:
            break
        rows = contract.blame(subject, report)
        new = {part.place for part in base.manifest.parts()}
        mine = {
            number: positions
            for number, positions in (rows or {}).items()
            if subject.blocks[number].part.place not in new
        }
        if not mine:
            return Settled(outcome, report)
        failed |= {check.title: check for check in report.failed}
        reason = "; ".join(check.title for check in report.failed)
        outcome, out = _without(base, outcome, subject, mine)
        taken += [_explained(table, reason) for table in out]
        subject, report = judge(outcome)
    if not report.ok:
        return Settled(outcome, report)
    for table in taken:
        for batch in table.to_batches():
            quarantine.write(batch)
    return Settled(outcome, report, tuple(failed.values()))


def _without(
    base: Base, outcome: Outcome, subject: VersionSubject, rows: Mapping[int, Collection[int]]
) -> tuple[Outcome, list[pa.Table]]:
    """Write the parts that hold some of the rows anew without them; return these rows, too."""
    by_id = {subject.blocks[number].part.id: (subject.blocks[number].part, at) for number, at in rows.items()}
    kept: list[Part] = []
    gone: list[Part] = []
    out: list[pa.Table] = []
    for part in outcome.edit.add:
        if part.id not in by_id:
            kept.append(part)
            continue
        gone.append(part)
        written, taken = _split(base, part, by_id[part.id][1])
        kept += written
        out.append(taken)
    count = sum(len(table) for table in out)
    edit = replace(outcome.edit, add=tuple(kept), digest=_moved(base, outcome, gone, kept))
    return replace(outcome, edit=edit, rows_added=outcome.rows_added - count), out


def _moved(base: Base, outcome: Outcome, gone: Sequence[Part], kept: Sequence[Part]) -> Digest | None:
    """Return the digest of all rows without those that went; pending where it was."""
    digest = outcome.edit.digest
    if digest is None or base.grown(Digest(), ()) is None:
        return None
    before = {part.id for part in outcome.edit.add}
    for part in gone:
        digest = digest - part.digest
    return sum((part.digest for part in kept if part.id not in before), digest)


def _split(base: Base, part: Part, positions: Collection[int]) -> tuple[list[Part], pa.Table]:
    import numpy as np
    import pyarrow as pa

    from dataplat.lake.scan import ROW_COLUMN, scan

    wanted = np.fromiter(positions, np.int64, len(positions))
    taken: list[pa.RecordBatch] = []
    writer = base.part_writer()
    try:
        for batch in scan(base.objects, [part], base.schema, with_positions=True):
            bad = np.isin(batch.column(ROW_COLUMN).to_numpy(), wanted)
            rows = batch.select(batch.schema.names[:-2])
            if bad.any():
                taken.append(rows.filter(pa.array(bad)))
                rows = rows.filter(pa.array(~bad))
            if rows.num_rows:
                writer.write(rows)
        return writer.close(), pa.Table.from_batches(taken)
    except BaseException:
        writer.abandon()
        raise


def _explained(table: pa.Table, reason: str) -> pa.Table:
    import pyarrow as pa

    name = FAILURES_COLUMN
    while name in table.schema.names:
        name += "_"
    return table.append_column(pa.field(name, pa.string()), pa.array([reason] * len(table), pa.string()))
