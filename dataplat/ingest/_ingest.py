"""Plan and ingest: the two things that users ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.connectors.files import open_source
from dataplat.errors import CommitConflict, PositionConflict
from dataplat.ingest._commit import publish, put_in_quarantine, quarantine_branch
from dataplat.ingest._land import Landed, failed, land
from dataplat.ingest._plan import IngestPlan
from dataplat.ingest._progress import Listener, Meter
from dataplat.ingest._result import IngestResult
from dataplat.ingest._schema import landed_schema, reading_schema
from dataplat.ingest._target import Target, check_named_columns
from dataplat.lake.content_id import load_hashing
from dataplat.lake.objects import Stage
from dataplat.lake.schema import plain_schema, schema_to_json
from dataplat.versioning.names import check_branch_name, check_dataset_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.connectors.source import Source, Split
    from dataplat.ingest._request import IngestRequest

_REPLANS = 10
"""How often an ingest that the branch outran is read and planned anew."""

_SHOWN = 20
"""Files left out that are named; a folder may hold many thousands."""


def plan_ingest(lake: Lake, request: IngestRequest) -> IngestPlan:
    """Return what `ingest` would do; reads the beginning of the input and the head of the branch, writes nothing."""
    target, source, splits = _prepare(lake, request)
    schema = None
    if any(split.skipped is None for split in splits):
        schema = landed_schema(target.schema, source.schema(), whole=request.replaces_all, gone=target.gone)
        check_named_columns(request, target.base(request, schema_to_json(schema)), schema)
    return IngestPlan(request, tuple(splits), target.manifest, None if schema is None else plain_schema(schema))


def ingest(lake: Lake, request: IngestRequest, progress: Listener | None = None) -> IngestResult:
    """Read the input and commit it, or leave the branch exactly where it was.

    Where somebody else changed the same rows meanwhile, the input is read and planned anew.
    """
    meter = Meter(progress)
    for attempt in range(_REPLANS):
        target, source, splits = _prepare(lake, request)
        try:
            return _ingest_once(lake, request, target, source, splits, meter)
        except PositionConflict:
            raise
        except CommitConflict:
            # what was dropped meanwhile, and is made anew, would lack its key and its history
            dropped = target.manifest is not None and not _exists(lake, request)
            if attempt == _REPLANS - 1 or request.reads_once or dropped:
                raise
            meter.restart()
    raise AssertionError("unreachable")


def _exists(lake: Lake, request: IngestRequest) -> bool:
    return Target.at(lake.objects, lake.refs.head(request.branch).commit, request.into).manifest is not None


def _ingest_once(
    lake: Lake, request: IngestRequest, target: Target, source: Source, splits: list[Split], meter: Meter
) -> IngestResult:
    skipped = _left_out([split for split in splits if split.skipped is not None])
    if all(split.skipped is not None for split in splits) and target.manifest is not None:
        version = lake.version(request.into, request.branch)
        return IngestResult(request.into, request.branch, None, version, notes=tuple(skipped), seconds=meter.seconds)
    load_hashing()
    with Stage(lake.store) as stage:
        landed = land(request, target, source, splits, stage, meter)
        return _finish(lake, request, target, landed, stage, meter, skipped)


def _left_out(splits: Sequence[Split]) -> list[str]:
    notes = [f"{split.label} was left out: {split.skipped}" for split in splits[:_SHOWN]]
    return [*notes, f"{len(splits) - _SHOWN:,} more were left out"] if len(splits) > _SHOWN else notes


def _prepare(lake: Lake, request: IngestRequest) -> tuple[Target, Source, list[Split]]:
    check_dataset_name(request.into)
    check_branch_name(quarantine_branch(request.into, "0" * 12))  # too late to find out when rows have to go there
    target = Target.at(lake.objects, lake.refs.head(request.branch).commit, request.into)
    held = target.positions() if request.mode == "append" else {}
    source = _opened(request, target)
    return target, source, source.plan(held)


def _opened(request: IngestRequest, target: Target) -> Source:
    """Open the source; text is read by the dataset's types, what carries types of its own is left as it is."""

    def opened(schema: pa.Schema | None) -> Source:
        return open_source(
            request.source,
            schema=schema,
            null_words=request.null,
            on_error=request.on_error,
            format=request.source_format,
        )

    if request.schema is not None:
        return opened(request.schema)
    wanted = reading_schema(request, target.schema)
    if wanted is None or request.is_stdin:
        return opened(wanted)
    source = opened(None)
    return opened(wanted) if source.is_text else source


def _finish(
    lake: Lake,
    request: IngestRequest,
    target: Target,
    landed: Landed,
    stage: Stage,
    meter: Meter,
    notes: Sequence[str],
) -> IngestResult:
    meter.enter("committing")
    quarantine = None
    refuse = not landed.meets_contract or (landed.quarantined > 0 and request.on_error == "fail")
    if landed.report is not None and (landed.quarantined or refuse):
        quarantine = put_in_quarantine(lake.io, request, target, landed, stage, whole=refuse)
        if refuse and request.on_error == "fail":
            raise failed(landed.report, request.into, quarantine)
    commit = None if refuse else publish(lake.io, request, target, landed, stage)
    moved = commit is not None or target.manifest is not None
    outcome = landed.outcome
    change = None if commit is None else commit.changes.get(request.into)
    return IngestResult(
        dataset=request.into,
        branch=request.branch,
        commit=None if commit is None else commit.id,
        version=lake.version(request.into, request.branch, commit) if moved else None,
        rows_in=landed.rows_in,
        rows_added=0 if change is None else outcome.rows_added,
        rows_deleted=0 if change is None else outcome.rows_deleted,
        rows_rejected=landed.rejected,
        rows_quarantined=landed.quarantined + (outcome.rows_added if refuse else 0),
        quarantine=quarantine,
        report=landed.report,
        notes=(*notes, *_notes(request, target, landed, refused=refuse)),
        new_bytes=stage.written_bytes,
        seconds=meter.seconds,
    )


def _notes(request: IngestRequest, target: Target, landed: Landed, *, refused: bool) -> list[str]:
    if refused:
        return [] if landed.report is None else landed.report.lines()
    if target.manifest is None:
        return []
    if landed.base.schema != target.manifest.schema:
        added = [name for name in landed.base.schema.names if name not in target.manifest.schema.names]
        return [f"the schema changed{': new columns ' + ', '.join(added) if added else ''}"]
    if not landed.outcome.changes_rows and not landed.rejected and not landed.quarantined:
        return [f"{request.into} holds exactly these rows already: no new version"]
    return []
