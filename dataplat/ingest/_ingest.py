"""Plan and ingest: the two things that users ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.connectors.files import open_source
from dataplat.errors import CommitConflict, PositionConflict
from dataplat.ingest._commit import publish, put_in_quarantine
from dataplat.ingest._land import Landed, failed, land
from dataplat.ingest._plan import IngestPlan
from dataplat.ingest._progress import Listener, Meter
from dataplat.ingest._result import IngestResult
from dataplat.ingest._schema import landed_schema, reading_schema
from dataplat.ingest._target import Target
from dataplat.lake.objects import Stage
from dataplat.versioning.names import check_dataset_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat._lake import Lake
    from dataplat.connectors.source import Source, Split
    from dataplat.ingest._request import IngestRequest

_REPLANS = 10
"""How often an ingest that the branch outran is read and planned anew."""


def plan_ingest(lake: Lake, request: IngestRequest) -> IngestPlan:
    """Return what `ingest` would do; reads the beginning of the input and the head of the branch, writes nothing."""
    target, source, splits = _prepare(lake, request)
    schema = None
    if any(split.skipped is None for split in splits):
        whole = request.mode == "replace" and request.where is None
        schema = landed_schema(target.schema, source.schema(), whole=whole)
    return IngestPlan(request, tuple(splits), target.manifest, schema)


def ingest(lake: Lake, request: IngestRequest, progress: Listener | None = None) -> IngestResult:
    """Read the input and commit it, or leave the branch exactly where it was.

    Where somebody else changed the same rows meanwhile, the input is read and planned anew.
    """
    meter = Meter(progress)
    for attempt in range(_REPLANS):
        try:
            return _ingest_once(lake, request, meter)
        except PositionConflict:
            raise
        except CommitConflict:
            if attempt == _REPLANS - 1 or not _can_read_again(request.source):
                raise
            meter.restart()
    raise AssertionError("unreachable")


def _can_read_again(source: object) -> bool:
    """Whether reading the source a second time gives the same rows: not so for standard input and Arrow readers."""
    return source != "-" and not hasattr(source, "read_next_batch")


def _ingest_once(lake: Lake, request: IngestRequest, meter: Meter) -> IngestResult:
    check_dataset_name(request.into)
    target, source, splits = _prepare(lake, request)
    skipped = [f"{split.label} was left out: {split.skipped}" for split in splits if split.skipped is not None]
    if all(split.skipped is not None for split in splits) and target.manifest is not None:
        version = lake.version(request.into, request.branch)
        return IngestResult(request.into, request.branch, None, version, notes=tuple(skipped), seconds=meter.seconds)
    with Stage(lake.store) as stage:
        landed = land(request, target, source, splits, stage, meter)
        return _finish(lake, request, target, landed, stage, meter, skipped)


def _prepare(lake: Lake, request: IngestRequest) -> tuple[Target, Source, list[Split]]:
    target = Target.at(lake.objects, lake.refs.head(request.branch).commit, request.into)
    whole = request.mode == "replace" and request.where is None
    hints = {} if request.contract is None else request.contract.types()
    source = open_source(
        request.source,
        schema=reading_schema(request.schema, target.schema, hints, whole=whole),
        null_words=request.null,
        on_error=request.on_error,  # type: ignore[arg-type]  (checked when the request was made)
        format=request.source_format,
    )
    held = target.positions() if request.mode == "append" else {}
    return target, source, source.plan(held)


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
    refuse = not landed.meets_contract or (landed.quarantined and request.on_error == "fail")
    if landed.quarantined or not landed.meets_contract:
        quarantine = put_in_quarantine(lake.io, request, target, landed, stage)
    if refuse and request.on_error == "fail":
        assert landed.report is not None
        assert quarantine is not None
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
        notes=(*notes, *_notes(request, target, landed, refused=bool(refuse))),
        new_bytes=stage.written_bytes,
        seconds=meter.seconds,
    )


def _notes(request: IngestRequest, target: Target, landed: Landed, *, refused: bool) -> list[str]:
    notes = []
    if refused:
        assert landed.report is not None
        notes += landed.report.lines()
    elif not landed.outcome.changes_rows and target.manifest is not None and not landed.rejected:
        notes.append(f"{request.into} holds exactly these rows already: no new version")
    if target.manifest is not None and landed.base.schema != target.manifest.schema and not refused:
        added = [name for name in landed.base.schema.names if name not in target.manifest.schema.names]
        notes.append(f"the schema changed{': new columns ' + ', '.join(added) if added else ''}")
    return notes
