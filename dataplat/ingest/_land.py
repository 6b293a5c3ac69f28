"""From a source to staged objects: read everything, check it, and say what the branch would become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dataplat.connectors.source import SchemaWidened
from dataplat.errors import ContractFailed
from dataplat.ingest._commit import full_edit
from dataplat.ingest._held import rows_that_go
from dataplat.ingest._pass import Pass
from dataplat.ingest._schema import landed_schema
from dataplat.ingest._target import Target, check_named_columns
from dataplat.ingest._transformed import Transformed
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.schema import schema_to_json
from dataplat.versioning.modes import Append, Base, Outcome, Replace, RowSink, Swap, Upsert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from dataplat.connectors.source import Source, Split
    from dataplat.ingest._progress import Meter
    from dataplat.ingest._request import IngestRequest
    from dataplat.lake.part import Part
    from dataplat.validation import Report
    from dataplat.validation.report import CheckOutcome
    from dataplat.validation.subject import PartBlock
    from dataplat.versioning.suppression import Suppression


@dataclass(frozen=True, slots=True)
class Landed:
    """All that one ingest staged, and where each row went; the branch has not moved."""

    base: Base
    source: pa.Schema
    outcome: Outcome
    sink: RowSink
    rows_in: int
    rejects: Sequence[Part]
    rejects_schema: pa.Schema | None
    rejected: int
    quarantine: Sequence[Part]
    quarantine_schema: pa.Schema | None
    quarantined: int
    suppressed: int
    report: Report | None
    meets_contract: bool
    starts: Mapping[str, Any]
    positions: Mapping[str, Any]


def land(
    request: IngestRequest,
    target: Target,
    source: Source,
    splits: Sequence[Split],
    stage: Stage,
    meter: Meter,
    suppression: Suppression | None = None,
) -> Landed:
    """Read `splits` into `stage`; start over, with the stage as it was, whenever a later value widens a type.

    Rows that were erased from the dataset (`suppression`) are left out, and counted.
    """
    kept = stage.names()
    while True:
        try:
            return _land_once(request, target, source, splits, stage, meter, suppression)
        except SchemaWidened:
            stage.forget_all_but(kept)
            meter.restart()


def _land_once(
    request: IngestRequest,
    target: Target,
    source: Source,
    splits: Sequence[Split],
    stage: Stage,
    meter: Meter,
    suppression: Suppression | None,
) -> Landed:
    if request.contract is not None and request.contract.transform is not None:
        source = Transformed(source, request.contract.transform)
    schema = landed_schema(target.schema, source.schema(), whole=request.replaces_all, gone=target.gone)
    base = base_of(request, target, schema, stage)
    gone = rows_that_go(request, target, base, source, splits)
    sink = _sink(request, base) if gone is None else Swap(base, gone)
    run = Pass.begin(
        stage,
        schema,
        sink,
        request.contract,
        meter,
        base.key,
        rejecting=request.on_error == "reject",
        suppression=suppression,
    )
    try:
        run.read(source, [split for split in splits if split.skipped is None])
        return _landed(request, target, base, run, source, _positions(request, target, source, splits))
    except BaseException:
        run.abandon()
        raise


def _landed(
    request: IngestRequest,
    target: Target,
    base: Base,
    run: Pass,
    source: Source,
    positions: dict[str, dict[str, Any]],
) -> Landed:
    run.meter.enter("writing")
    outcome = run.sink.finish()
    outcome, report, meets_contract = meets(request, target, base, outcome, run)
    return Landed(
        base=base,
        source=source.schema(),
        outcome=outcome,
        sink=run.sink,
        rows_in=run.meter.rows - run.meter.landed,
        rejects=run.rejects.close(),
        rejects_schema=run.rejects.schema,
        rejected=run.rejects.rows,
        quarantine=run.quarantine.close(),
        quarantine_schema=run.quarantine.schema,
        quarantined=run.quarantine.rows,
        suppressed=run.suppressed,
        report=report,
        meets_contract=meets_contract,
        **positions,
    )


def base_of(
    request: IngestRequest, target: Target, schema: pa.Schema, stage: Stage, written: Sequence[Part] | None = None
) -> Base:
    """Return what the rows go on top of; `written`: parts that hold them already."""
    manifest = target.base(request, schema_to_json(schema))
    check_named_columns(request, manifest, schema)
    objects = Objects(target.objects.store, stage)
    return Base(
        manifest,
        schema,
        manifest.key if request.key is None else request.key,
        manifest.sort if request.sort is None else request.sort,
        objects,
        stage,
        written,
    )


def _sink(request: IngestRequest, base: Base) -> RowSink:
    if request.mode == "append":
        return Append(base)
    if request.mode == "upsert":
        return Upsert(base, request.order, last_wins=request.stream is not None)
    if request.where is None:
        return Replace(base)
    from dataplat.lake.where import parse_where

    return Replace(base, parse_where(request.where, base.schema))


def meets(
    request: IngestRequest, target: Target, base: Base, outcome: Outcome, run: Pass
) -> tuple[Outcome, Report | None, bool]:
    """Check the contract on the dataset as it would be; return what is to land, the report, and whether it may.

    Row checks were asked of the new rows as they passed: what failed is in quarantine and not in the dataset. Rows
    that were there need no second look if the same contract held for the version that this one starts from. Where the
    whole fails, new rows that are to blame go into quarantine, too; but not in an upsert, whose rows took others' place,
    nor of a state of a table, which lands as it was or not at all.
    """
    contract = request.contract
    if contract is None:
        return outcome, None, True
    from dataplat.ingest._set_aside import settle
    from dataplat.validation.lookup import context_in_lake
    from dataplat.validation.subject import VersionSubject

    run.meter.enter("checking the contract")
    there = {part.place for part in base.manifest.parts()}
    held: list[bool] = []
    context = context_in_lake(base.objects, request.into, target.state_of)

    def came(block: PartBlock) -> Literal["new", "held"] | None:
        if block.part.place not in there:
            return "new"
        return "held" if held[-1] else None

    def judge(outcome: Outcome) -> tuple[VersionSubject, Report]:
        after = base.manifest.apply(full_edit(base, outcome), base.stage)
        held.append(_held(target, contract.id, after.schema))
        subject = VersionSubject(base.objects, after, request.into)
        return subject, contract.judge(subject, context=context, came=came)

    fatal = any(not check.ok and not _is_aside(check) for check in run.tally.outcomes)
    whole = request.mode == "upsert" or request.on_error == "fail" or request.revision is not None
    if fatal or whole:
        report = judge(outcome)[1]
        return outcome, _with_aside(report, run.tally.outcomes), report.ok and not fatal
    found = settle(base, outcome, contract, judge, run.quarantine)
    return found.outcome, _with_aside(found.report, (*run.tally.outcomes, *found.failed)), found.report.ok


def _with_aside(report: Report, batches: Sequence[CheckOutcome]) -> Report:
    """Let the report say what failed in the rows that came: these are in quarantine, not in the dataset."""
    said = {_which(check): check for check in batches if check.status not in {"passed", "not asked"}}
    asked = {_which(check) for check in report.checks}
    checks = [said.get(_which(check), check) if check.ok else check for check in report.checks]
    return replace(report, checks=(*checks, *(check for which, check in said.items() if which not in asked)))


def _which(check: CheckOutcome) -> tuple[object, ...]:
    return check.level, check.column, check.name, check.number


def _is_aside(check: CheckOutcome) -> bool:
    """Whether a check failed on single rows, which are in quarantine now."""
    return check.level == "row" and check.status == "failed"


def _held(target: Target, contract_id: str, schema: pa.Schema) -> bool:
    """Whether no row that was there needs a look: there is none, or all met the same contract, with the same columns.

    A column that comes now is null in them, and the contract may not allow that.
    """
    if target.manifest is None or target.state is None or not target.manifest.rows:
        return True
    if target.manifest.schema != schema:
        return False
    return any(check.ok and check.detail == contract_id for check in target.checks)


def _positions(
    request: IngestRequest, target: Target, source: Source, splits: Sequence[Split]
) -> dict[str, dict[str, Any]]:
    """Return the positions assumed and reached by source id; a replace of all rows forgets older ones."""
    held = target.positions()  # what was planned from; a replace assumes it of the sources that it forgets, too
    reached: dict[str, Any] = {split.source: source.position(split) for split in splits if split.source}
    if request.replaces_all:
        reached = dict.fromkeys(held) | reached
    moved = {name: position for name, position in reached.items() if position != held.get(name)}
    return {"starts": {name: held.get(name) for name in moved}, "positions": moved}


def failed(report: Report, dataset: str, quarantine: str) -> ContractFailed:
    """Return the error for a dataset that does not meet its contract."""
    lines = "\n  ".join(outcome.line() for outcome in report.failed[:5])
    return ContractFailed(
        f"{dataset} would not meet contract {report.contract}, so nothing landed:\n  {lines}\n"
        f"The rows wait on branch {quarantine}; look at them with: dataplat quarantine show {quarantine.rpartition('/')[2]}",
        report,
    )
