"""What one of many tasks does with the rows that it is given: they become parts in the store, which nothing names yet.

A plan is made once, where the ingest is asked for, and sent to the tasks; what each of them says of what it wrote is
sent back, to be committed by `DistributedStep`. What a task wrote that failed, or was tried twice, a collection removes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.connectors.source import Position, Progress, Source, Split
from dataplat.errors import ConfigError
from dataplat.ingest._pass import Pass
from dataplat.ingest._progress import Meter
from dataplat.ingest._transformed import Transformed
from dataplat.lake.objects import Stage
from dataplat.lake.parts import PartWriter

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.lake.part import Part
    from dataplat.lake.stores import Store
    from dataplat.validation import Contract
    from dataplat.validation.report import Tally
    from dataplat.versioning.modes import Outcome
    from dataplat.versioning.suppression import Suppression


@dataclass(frozen=True, slots=True)
class ContractText:
    """A contract as the text of the file that declares it: a task may run where there is no such file."""

    text: bytes
    name: str
    file: str

    @classmethod
    def read(cls, source: str) -> ContractText:
        """Read the contract `FILE:NAME`.

        Raises:
            ContractError: There is no such file or contract, or it looks at all rows at once before they land.
        """
        from dataplat.validation.loading import split_source

        path, name = split_source(source)
        found = cls(path.read_bytes(), name, path.name)
        transform = found.load().transform
        if transform is not None and transform.whole:
            raise ConfigError(
                f"contract {source} has a parser that sees all rows at once, and here they come in tasks: make it "
                "element_wise, or land the rows with `dataplat ingest`"
            )
        return found

    def load(self) -> Contract:
        """Return the contract; in one process it is loaded once."""
        from dataplat._gate import contract_of_text

        return contract_of_text(self.text, self.name, self.file)


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """How tasks write the rows of one ingest.

    `incoming` is the schema of rows as they come, `schema` that in which they are written, with stored names; of keys of
    rows that go both hold the key alone.
    """

    incoming: pa.Schema
    schema: pa.Schema
    key: tuple[str, ...]
    sort: tuple[str, ...]
    contract: ContractText | None = None
    suppression: Suppression | None = None
    rejecting: bool = True


@dataclass(frozen=True, slots=True)
class TaskRows:
    """What one task made of its rows; each went to exactly one place."""

    rows_in: int
    parts: Sequence[Part]
    rejects: Sequence[Part]
    rejected: int
    quarantine: Sequence[Part]
    quarantined: int
    suppressed: int
    tally: Tally
    rejects_schema: pa.Schema | None = None
    quarantine_schema: pa.Schema | None = None


def write_task(store: Store, plan: TaskPlan, label: str, batches: Iterable[pa.RecordBatch]) -> TaskRows:
    """Write the rows of one task, durably; `label` names the task to people.

    Raises:
        SchemaMismatch: A value does not fit its column.
        SourceError: A value cannot be coerced as the contract asks, and nothing may be rejected.
    """
    source = Arriving(label, plan.incoming, batches)
    return write_splits(store, plan, source, source.plan({}))


def write_splits(store: Store, plan: TaskPlan, source: Source, splits: Sequence[Split]) -> TaskRows:
    """Write the rows of splits of a source, durably.

    Raises:
        SchemaWidened: A value disagrees with the types of the plan; nothing of it counts.
        SchemaMismatch, SourceError: As of `write_task`, and what the source raises.
    """
    contract = None if plan.contract is None else plan.contract.load()
    if contract is not None and contract.transform is not None:
        source = Transformed(source, contract.transform)
    with Stage(store) as stage:
        sink = _Parts(PartWriter(stage, plan.schema, key=plan.key, sort=plan.sort))
        run = Pass.begin(
            stage,
            plan.schema,
            sink,
            contract,
            Meter(),
            plan.key,
            rejecting=plan.rejecting,
            suppression=plan.suppression,
        )
        try:
            run.read(source, splits)
            done = _written(run, sink)
        except BaseException:
            run.abandon()
            raise
        stage.flush()
    return done


def _written(run: Pass, sink: _Parts) -> TaskRows:
    return TaskRows(
        rows_in=run.meter.rows,
        parts=sink.close(),
        rejects=run.rejects.close(),
        rejected=run.rejects.rows,
        quarantine=run.quarantine.close(),
        quarantined=run.quarantine.rows,
        suppressed=run.suppressed,
        tally=run.tally,
        rejects_schema=run.rejects.schema,
        quarantine_schema=run.quarantine.schema,
    )


@dataclass(frozen=True, slots=True)
class Arriving:
    """Rows that come to a task, as a source of one split; columns that are not asked for are left out."""

    name: str
    incoming: pa.Schema
    batches: Iterable[pa.RecordBatch]
    is_text: bool = False

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return the one split."""
        return [Split("", self.name)]

    def schema(self) -> pa.Schema:
        """Return the schema of the rows."""
        return self.incoming

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows."""
        for batch in self.batches:
            if batch.num_rows:
                yield batch.select(self.incoming.names)

    def position(self, split: Split) -> Position | None:
        """Return None: whoever runs the tasks knows where they are."""
        return None


@dataclass(frozen=True, slots=True)
class _Parts:
    """Takes rows that pass, as parts; what they do to a version is found out when all tasks are done."""

    writer: PartWriter

    def write(self, batch: pa.RecordBatch) -> None:
        self.writer.write(batch)

    def finish(self) -> Outcome:
        raise NotImplementedError("a task does not know what its rows do to a version")

    def close(self) -> list[Part]:
        return self.writer.close()

    def abandon(self) -> None:
        self.writer.abandon()
