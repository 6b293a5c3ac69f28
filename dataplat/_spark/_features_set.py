"""A training set that tasks wrote: its rows are parts in the lake, which nothing names until it is saved."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Unpack

from dataplat._features._set import Codes, TrainingSet
from dataplat.feature_store.status import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pyarrow as pa

    from dataplat._features._set import Report, Side
    from dataplat._features._store import FeatureStore
    from dataplat._features._training import Recipe
    from dataplat._transaction import Transaction
    from dataplat.ingest import IngestResult
    from dataplat.ingest._request import IngestOptions
    from dataplat.ingest._task import TaskPlan, TaskRows
    from dataplat.lake.engine import Engine
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part


class SparkTrainingSet(TrainingSet):
    """Features of a service for the rows of a spine, made by tasks; what is read of it is read from the lake.

    Until it is saved a collection (`dataplat gc`) may remove its rows: `rebuild` makes them again.

    Attributes:
        engine: who made it.
        parts: its rows.
        schema: of them.
        words: what its spine is, as `Spine.words` tells.
    """

    engine: Engine
    parts: tuple[Part, ...]
    schema: pa.Schema
    words: list[str]

    def __init__(
        self,
        recipe: Recipe,
        report: Report,
        store: FeatureStore,
        *,
        engine: Engine,
        parts: tuple[Part, ...],
        schema: pa.Schema,
        words: list[str],
    ) -> None:
        self.__dict__.update(recipe=recipe, report=report, _store=store, _codes=Codes({}))
        self.__dict__.update(engine=engine, parts=parts, schema=schema, words=words)

    @cached_property
    def table(self) -> pa.Table:
        """The rows, read from the lake when they are first asked for."""
        import pyarrow as pa

        from dataplat.lake.scan import to_table
        from dataplat.lake.schema import canonical_schema

        found = to_table(self._store.lake.objects, self.parts, canonical_schema(self.schema))
        columns = [_as(found.column(field.name), field.type) for field in self.schema]
        return pa.table(columns, self.schema)

    def rebuild(self) -> TrainingSet:
        """Make it again, of the same versions, by tasks: it is the same to the last byte."""
        return self._of(self.recipe)

    def split(
        self, *, by: str | Sequence[str] | None = None, holdout: float | datetime = 0.2, seed: str = ""
    ) -> tuple[TrainingSet, TrainingSet]:
        """Return what to train on, and what to hold out, as `TrainingSet.split`; tasks make each."""
        side = self._sides(by, holdout, seed)
        return self.side(replace(side, held=False)), self.side(side)

    def side(self, side: Side) -> TrainingSet:
        """Return one side of a split; tasks make it."""
        return self._of(replace(self.recipe, sides=(*self.recipe.sides, side)))

    def __len__(self) -> int:
        return self.report.rows

    def land(self, tx: Transaction, into: str, **options: Unpack[IngestOptions]) -> IngestResult:
        """Have its parts become a dataset; where that wants them otherwise tasks write them once more."""
        from dataplat.ingest._distributed import DistributedStep, plan_tasks
        from dataplat.ingest._progress import Meter
        from dataplat.ingest._request import request_of
        from dataplat.lake.schema import canonical_schema

        lake, request = self._store.lake, replace(request_of("spark", into, **options), branch=tx.branch)
        stored = canonical_schema(self.schema)
        plan = plan_tasks(lake, request, stored, None)
        alike = plan.schema.equals(stored, check_metadata=True) and not plan.key and not plan.sort
        if request.contract is not None:  # it may look at all rows, and those are read here
            return super().land(tx, into, **options)
        if alike and plan.suppression is None:
            tasks = [_written(self.parts)]
        else:
            tasks = list(self.engine.map(partial(_rewritten, lake.objects, plan, stored), self.parts))
        return tx.land(DistributedStep(request, Meter(), plan=plan, tasks=tasks))

    def _of(self, recipe: Recipe) -> TrainingSet:
        from dataplat._features._training import build

        return build(self._store, recipe, None, self.engine)

    def _spine_words(self) -> list[str]:
        return self.words

    def _schema(self) -> pa.Schema:
        return self.schema


def _written(parts: Sequence[Part]) -> TaskRows:
    """Return parts as what a task wrote."""
    from dataplat.ingest._task import TaskRows
    from dataplat.validation.report import Tally

    return TaskRows(sum(part.rows for part in parts), parts, (), 0, (), 0, 0, Tally())


def _rewritten(objects: Objects, plan: TaskPlan, schema: pa.Schema, part: Part) -> TaskRows:
    """Write the rows of a part as a dataset wants them."""
    from dataplat.ingest._task import write_task
    from dataplat.lake.scan import scan

    return write_task(objects.store, plan, f"part {part.id[:12]}", scan(objects, [part], schema))


def _as(column: pa.ChunkedArray, kind: pa.DataType) -> Any:
    """Return a column in the type in which it was made: the lake holds words, and not their numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type == kind:
        return column
    if pa.types.is_dictionary(kind) and kind.index_type == pa.int8():
        names = pa.array(NAMES)
        chunks = [
            pa.DictionaryArray.from_arrays(
                pc.call_function("index_in", [chunk], pc.SetLookupOptions(names)).cast(pa.int8()), names
            )
            for chunk in column.chunks
        ]
        return pa.chunked_array(chunks, kind)
    return column.cast(kind)
