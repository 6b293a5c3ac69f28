"""Rows that many tasks wrote as parts, committed as one ingest: what engines do that run on many machines.

The parts are in the store, and nothing names them. Here only their keys are read, where the dataset has one, and what a
contract asks of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from dataplat.errors import CommitConflict, KeyViolation, SchemaMismatch
from dataplat.ingest._commit import quarantine_branch
from dataplat.ingest._draft import Draft
from dataplat.ingest._ingest import IngestStep
from dataplat.ingest._land import Landed, base_of, meets
from dataplat.ingest._pass import Pass
from dataplat.ingest._schema import landed_schema
from dataplat.ingest._task import ContractText, TaskPlan, TaskRows
from dataplat.lake.digest import Digest
from dataplat.lake.scan import scan
from dataplat.lake.schema import canonical_schema, did_you_mean, plain_schema, stored_name
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes import Append, Base, Outcome, RowSink, Upsert, holds
from dataplat.versioning.names import check_branch_name

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.ingest._request import IngestRequest
    from dataplat.ingest._result import IngestResult
    from dataplat.ingest._target import Target
    from dataplat.lake.part import Part

_T = TypeVar("_T")


def plan_tasks(
    lake: Lake, request: IngestRequest, incoming: pa.Schema, contract: ContractText | None, *, deletes: bool = False
) -> TaskPlan:
    """Return how tasks write rows of the schema `incoming`, or the keys of rows that go (`deletes`); write nothing.

    Raises:
        SchemaMismatch: The rows do not fit the dataset.
        KeyViolation: The dataset has no key, or another one.
    """
    check_branch_name(quarantine_branch(request.into, "0" * 12))
    draft = Draft(lake, request.branch)
    try:
        if deletes:
            return _plan_of_keys(draft, request, incoming)
        if contract is not None and (transform := contract.load().transform) is not None:
            landing = transform.arrow_schema(incoming)
        else:
            landing = incoming
        target = draft.target(request.into)
        schema = landed_schema(target.schema, landing, whole=request.replaces_all, gone=target.gone)
        base = base_of(request, target, schema, draft.stage)
        _refuse_no_key(request, base.key)
        suppression = draft.suppression(request.into)
    finally:
        draft.stage.discard()
    return TaskPlan(
        incoming, base.schema, base.key, base.sort, contract, suppression, rejecting=request.on_error == "reject"
    )


def _plan_of_keys(draft: Draft, request: IngestRequest, incoming: pa.Schema) -> TaskPlan:
    import pyarrow as pa

    target = draft.existing(request.into)
    assert target.manifest is not None
    key = target.base(request, []).key
    if not key:
        raise KeyViolation(
            f"dataset {request.into!r} has no key, and rows are deleted by key here: use "
            "`dataplat version delete --where`, or replace all of its rows"
        )
    for name in key:
        if name not in incoming.names:
            raise SchemaMismatch(f"the key column {name!r} is not in the input{did_you_mean(name, incoming.names)}")
    schema = pa.schema([target.manifest.schema.field(name) for name in key])
    plain = canonical_schema(pa.schema([incoming.field(name) for name in key]))
    landed_schema(canonical_schema(schema), plain, whole=False)  # of one kind, or an error that says so
    return TaskPlan(plain, schema, key, ())


def _refuse_no_key(request: IngestRequest, key: Sequence[str]) -> None:
    if request.mode == "upsert" and not key:
        raise KeyViolation(
            f"an upsert needs a key, and dataset {request.into!r} has none: name the key columns when it is first landed"
        )


@dataclass(slots=True)
class DistributedStep(IngestStep):
    """Parts that tasks wrote, as a step of a transaction.

    Attributes:
        plan: how they were told to write.
        tasks: what each wrote, in the order of the rows.
        deletes: whether they are keys of rows that go, and no rows.
        positions: where sources had been read to when these rows were read, by source id.
        begun: where those stood that these rows follow; others stand where the dataset has them now.
    """

    plan: TaskPlan = field(kw_only=True)
    tasks: Sequence[TaskRows] = ()
    deletes: bool = False
    positions: Mapping[str, Any] = field(default_factory=dict)
    begun: Mapping[str, Any] = field(default_factory=dict)

    def run(self, draft: Draft) -> IngestResult:
        """Plan what the parts change.

        Raises:
            CommitConflict: The dataset was changed meanwhile, so that the parts do not fit it. Nothing was committed.
            KeyViolation: Keys repeat, or are there already.
            ContractFailed: Rows may not land that fail (`on_error="fail"`); they wait in quarantine.
        """
        self.added, self.lands, self.refused = 0, False, False
        for part in self._all(lambda rows: (*rows.parts, *rows.rejects, *rows.quarantine)):
            draft.stage.adopt(part.id, ".parquet", part.size)
        target = draft.existing(self.request.into) if self.deletes else draft.target(self.request.into)
        base = self._base(draft, target)
        sink = self._sink(base)
        run = self._pass(base, sink)
        try:
            self._show_keys(base, sink)
            landed = self._landed(target, base, run)
        except BaseException:
            run.abandon()
            raise
        return self._planned(draft, target, landed, [])

    def _all(self, of: Callable[[TaskRows], Sequence[_T]]) -> list[_T]:
        return [each for rows in self.tasks for each in of(rows)]

    @property
    def _parts(self) -> list[Part]:
        return self._all(lambda rows: rows.parts)

    def _base(self, draft: Draft, target: Target) -> Base:
        """Return what the rows go on top of, if it is still what they were written for."""
        request, plan = self.request, self.plan
        if self.deletes:
            assert target.schema is not None
            base = base_of(request, target, target.schema, draft.stage)
            fits = base.key == plan.key
        else:
            landing = plain_schema(plan.schema)
            schema = landed_schema(target.schema, landing, whole=request.replaces_all, gone=target.gone)
            base = base_of(request, target, schema, draft.stage)
            fits = (base.key, base.sort) == (plan.key, plan.sort)
        if not fits or not all(_fits(field, base.schema) for field in plan.schema):
            raise CommitConflict(
                f"dataset {request.into!r} got other columns, another key or another order while rows were written for "
                "it. Nothing was committed; write them again."
            )
        return base

    def _sink(self, base: Base) -> RowSink:
        if self.deletes:  # the same key twice is as good as once
            return Upsert(replace(base, written=()), last_wins=True)
        base = replace(base, written=self._parts)
        if self.request.mode == "upsert":
            return Upsert(base, self.request.order)
        return Append(base) if self.request.mode == "append" else Whole(base)

    def _pass(self, base: Base, sink: RowSink) -> Pass:
        """Return a pass that has read what the tasks read."""
        request, contract = self.request, self.request.contract
        rejecting = request.on_error == "reject"
        run = Pass.begin(base.stage, base.schema, sink, contract, self.meter, base.key, rejecting=rejecting)
        for rows in self.tasks:
            run.tally.add(rows.tally)
        return run

    def _show_keys(self, base: Base, sink: RowSink) -> None:
        """Let the sink see the keys of the rows that were written."""
        if not base.key:
            return
        order = self.request.order
        columns = list(base.key) if order is None or order in base.key else [*base.key, order]
        for batch in scan(base.objects, self._parts, base.schema, columns=columns):
            if self.deletes:
                assert isinstance(sink, Upsert)
                sink.delete(batch)
            else:
                sink.write(batch)

    def _landed(self, target: Target, base: Base, run: Pass) -> Landed:
        outcome, report, meets_contract = meets(self.request, target, base, run.sink.finish(), run)
        tasks = self.tasks
        late = run.quarantine.close()  # rows that are to blame where the dataset would fail as a whole
        held = target.positions()
        reached = {**(dict.fromkeys(held) if self.request.replaces_all else {}), **self.positions}
        start = {**held, **self.begun}
        moved = {name: position for name, position in reached.items() if position != start.get(name)}
        return Landed(
            base=base,
            source=self.plan.incoming,
            outcome=outcome,
            sink=run.sink,
            rows_in=sum(rows.rows_in for rows in tasks),
            rejects=self._all(lambda rows: rows.rejects),
            rejects_schema=next((rows.rejects_schema for rows in tasks if rows.rejects), None),
            rejected=sum(rows.rejected for rows in tasks),
            quarantine=[*self._all(lambda rows: rows.quarantine), *late],
            quarantine_schema=next(
                (rows.quarantine_schema for rows in tasks if rows.quarantine), run.quarantine.schema
            ),
            quarantined=sum(rows.quarantined for rows in tasks) + run.quarantine.rows,
            suppressed=sum(rows.suppressed for rows in tasks),
            report=report,
            meets_contract=meets_contract,
            starts={name: start.get(name) for name in moved},
            positions=moved,
        )


def _fits(field: pa.Field, schema: pa.Schema) -> bool:
    """Whether values that were written as `field` are read as the column of `schema` of that name."""
    at = schema.get_field_index(field.name)
    if at < 0:
        return False
    there = schema.field(at)
    nullable = there.nullable or not field.nullable
    return nullable and stored_name(there) == stored_name(field) and holds(there.type, field.type)


class Whole(Append):
    """Parts that are all of a dataset: what was there goes, unless it is the same."""

    def finish(self) -> Outcome:
        """Return the edit; raise `KeyViolation` for keys that repeat."""
        base, parts = self._base, self._writer.close()
        if self.keys is not None and len(self.keys.superseded()):
            raise KeyViolation("input rows repeat a key")
        digest = base.grown(Digest(), parts)
        alike = base.schema == base.manifest.schema and base.key == base.manifest.key
        if alike and digest is not None and digest == base.manifest.digest:
            return Outcome(ManifestEdit(digest=digest), 0, 0)
        drop = tuple(part.place for part in base.manifest.parts())
        edit = ManifestEdit(add=tuple(parts), drop=drop, digest=digest)
        return Outcome(edit, sum(part.rows for part in parts), base.manifest.rows)
