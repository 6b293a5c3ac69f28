"""Plan and ingest: the two things that users ask for. An ingest is a transaction of one step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dataplat.connectors.files import open_source
from dataplat.connectors.kafka import is_kafka
from dataplat.connectors.tables import is_table
from dataplat.errors import SchemaMismatch
from dataplat.events._notice import events_of, notice
from dataplat.ingest._commit import plan_changes, put_in_quarantine, quarantine_branch
from dataplat.ingest._draft import Draft, carry_out
from dataplat.ingest._land import Landed, failed, land
from dataplat.ingest._plan import IngestPlan
from dataplat.ingest._progress import Listener, Meter
from dataplat.ingest._result import IngestResult
from dataplat.ingest._schema import landed_schema, reading_schema
from dataplat.ingest._target import Target, check_named_columns
from dataplat.lake.content_id import load_hashing
from dataplat.lake.schema import plain_schema, schema_to_json
from dataplat.versioning.names import check_branch_name, check_dataset_name

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.connectors.source import Source, Split
    from dataplat.events import Event
    from dataplat.ingest._request import IngestRequest
    from dataplat.versioning.commit import Commit

_SHOWN = 20
"""Files left out that are named; a folder may hold many thousands."""


def plan_ingest(lake: Lake, request: IngestRequest) -> IngestPlan:
    """Return what `ingest` would do; reads the beginning of the input and the head of the branch, writes nothing."""
    if request.is_for_spark:
        from dataplat._spark._ingest import plan_by_spark

        return plan_by_spark(lake, request)
    if request.revision is None and is_table(request.source):
        from dataplat.ingest._states import plan_states

        return plan_states(lake, request)
    if is_kafka(request.source):
        from dataplat.ingest._stream_plan import plan_stream

        return plan_stream(lake, request)
    target, source, splits = prepare(Draft(lake, request.branch), request)
    schema = None
    if any(split.skipped is None for split in splits):
        schema = landed_schema(target.schema, source.schema(), whole=request.replaces_all, gone=target.gone)
        check_named_columns(request, target.base(request, schema_to_json(schema)), schema)
    return IngestPlan(request, tuple(splits), target.manifest, None if schema is None else plain_schema(schema))


def ingest(
    lake: Lake, request: IngestRequest, progress: Listener | None = None, stop: threading.Event | None = None
) -> IngestResult:
    """Read the input and commit it, or leave the branch exactly where it was; a stream is read until `stop` is set.

    Where somebody else changed the same rows meanwhile, the input is read and planned anew.
    """
    if request.is_for_spark:
        from dataplat._spark._ingest import ingest_by_spark

        return ingest_by_spark(lake, request, progress)
    if request.revision is None and is_table(request.source):
        from dataplat.ingest._states import ingest_states

        return ingest_states(lake, request, progress)
    if is_kafka(request.source):
        from dataplat.ingest._stream import ingest_stream

        return ingest_stream(lake, request, progress, stop)
    step = IngestStep(request, Meter(progress))
    result: IngestResult = carry_out(lake, request.branch, request.message or "", step)
    return result


@dataclass(slots=True)
class IngestStep:
    """An ingest as a step of a transaction: read, staged and planned by `run`, told of its commit by `done`."""

    request: IngestRequest
    meter: Meter
    added: int = 0
    """Parts that it brings."""
    lands: bool = False
    """Whether anything of it is to be committed."""
    refused: bool = False
    """Whether its batch did not meet its contract, and waits in quarantine."""
    tried: bool = False
    """Whether it was run before, on another head."""
    events: list[Event] = field(default_factory=list)
    """What changed under the dataset, to be told once it landed."""

    @property
    def replays(self) -> bool:
        """Whether the input can be read again."""
        return not self.request.reads_once

    def run(self, draft: Draft) -> IngestResult:
        """Read the input into the draft's stage, and add what it changes; the result has no commit yet.

        Raises:
            ContractFailed: The input may not land with failing rows (`on_error="fail"`); they wait in quarantine.
        """
        self.meter.restart("reading again" if self.tried else "landing" if self.request.stream else "reading")
        self.tried = True
        self.added, self.lands, self.refused = 0, False, False
        target, source, splits = prepare(draft, self.request)
        skipped = left_out([split for split in splits if split.skipped is not None])
        if all(split.skipped is not None for split in splits) and target.manifest is not None:
            return IngestResult(
                self.request.into,
                draft.branch,
                None,
                _version_of(target),
                notes=tuple(skipped),
                seconds=self.meter.seconds,
            )
        skipped += _added_again(self.request, splits)
        load_hashing()
        try:
            landed = land(
                self.request, target, source, splits, draft.stage, self.meter, draft.suppression(self.request.into)
            )
        except SchemaMismatch:  # nothing lands, and that is when somebody has to be told
            with suppress(SchemaMismatch):
                seen = _seen(self.request, target, source)
                notice(draft.lake, events_of(draft, self.request, target, seen, None))
            raise
        return self._planned(draft, target, landed, skipped)

    def done(self, draft: Draft, result: IngestResult, made: Commit | None) -> IngestResult:
        """Return the result with the commit that it is part of, if anything of it was committed."""
        result = replace(result, new_bytes=draft.stage.written_bytes, seconds=self.meter.seconds)
        if self.events and (made is not None or self.refused):
            notice(draft.lake, self.events)
        if made is None or not self.lands:
            return result
        version = draft.lake.version(self.request.into, draft.branch, made)
        note = _compacted(draft.lake, self.request, version, self.added)
        notes = (*result.notes, *([] if note is None else [note]))
        return replace(result, commit=made.id, version=version, notes=notes)

    def _planned(self, draft: Draft, target: Target, landed: Landed, notes: Sequence[str]) -> IngestResult:
        request, outcome = self.request, landed.outcome
        self.meter.enter("committing")
        quarantine = None
        self.events = events_of(draft, request, target, landed.source, landed.report)
        self.refused = not landed.meets_contract or (landed.quarantined > 0 and request.on_error == "fail")
        if landed.report is not None and (landed.quarantined or self.refused):
            quarantine = put_in_quarantine(draft.lake.io, request, target, landed, draft.stage, whole=self.refused)
            if self.refused and request.on_error == "fail":
                self.done(draft, IngestResult(request.into, draft.branch, None, None), None)
                raise failed(landed.report, request.into, quarantine)
        changes = [] if self.refused else plan_changes(draft, request, target, landed)
        for change in changes:
            draft.add(change)
        self.lands, self.added = bool(changes), len(outcome.edit.add)
        return IngestResult(
            dataset=request.into,
            branch=draft.branch,
            commit=None,
            version=_version_of(target),
            rows_in=landed.rows_in,
            rows_suppressed=landed.suppressed,
            rows_added=outcome.rows_added if changes else 0,
            rows_deleted=outcome.rows_deleted if changes else 0,
            rows_rejected=landed.rejected,
            rows_quarantined=landed.quarantined + (outcome.rows_added if self.refused else 0),
            quarantine=quarantine,
            report=landed.report,
            notes=(*notes, *_notes(request, target, landed, refused=self.refused)),
        )


def _version_of(target: Target) -> Version | None:
    from dataplat._version import Version

    return None if target.manifest is None else Version(target.objects, target.name, target.manifest, target.commit)


def left_out(splits: Sequence[Split]) -> list[str]:
    """Return notes on what is not read."""
    notes = [f"{split.label} was left out: {split.skipped}" for split in splits[:_SHOWN]]
    return [*notes, f"{len(splits) - _SHOWN:,} more were left out"] if len(splits) > _SHOWN else notes


def _added_again(request: IngestRequest, splits: Sequence[Split]) -> list[str]:
    """Return the note on a folder of files that was landed before, and whose files all come on top now."""
    again = [split for split in splits if split.source.startswith("tree:") and split.start and split.skipped is None]
    if request.mode != "append" or not again:
        return []
    what = f"{again[0].label} was landed before, and all of its files came on top of those"
    return [f"{what}: to have {request.into} be what the folder is now, land it with mode replace"]


def prepare(draft: Draft, request: IngestRequest) -> tuple[Target, Source, list[Split]]:
    """Return the dataset as it stands, the source, and what is to be read of it."""
    check_dataset_name(request.into)
    check_branch_name(quarantine_branch(request.into, "0" * 12))  # too late to find out when rows have to go there
    target = draft.target(request.into)
    if request.stream is not None:
        cut: Source = request.source
        return target, cut, cut.plan(target.positions())
    held = target.positions() if request.mode == "append" or is_table(request.source) else {}
    source = _opened(request, target)
    return target, source, source.plan(held)


def _opened(request: IngestRequest, target: Target) -> Source:
    """Open the source; text is read by the dataset's types, what carries types of its own is left as it is."""
    if request.schema is not None:
        return _open(request, request.schema)
    wanted = reading_schema(request, target.schema)
    if wanted is None or request.is_stdin:
        return _open(request, wanted)
    source = _open(request, None)
    return _open(request, wanted) if source.is_text else source


def _open(request: IngestRequest, schema: pa.Schema | None) -> Source:
    return open_source(
        request.source() if callable(request.source) else request.source,
        schema=schema,
        null_words=request.null,
        on_error=request.on_error,
        format=request.source_format,
    )


def _seen(request: IngestRequest, target: Target, source: Source) -> pa.Schema:
    """Return the columns of a source; of text that lacks some that it is read by, those that are there, by its types."""
    import pyarrow as pa

    try:
        return source.schema()
    except SchemaMismatch:
        if request.reads_once or target.schema is None:
            raise
        wanted = {field.name: field for field in reading_schema(request, target.schema) or target.schema}
        return pa.schema([wanted.get(field.name, field) for field in _open(request, None).schema()])


def _compacted(lake: Lake, request: IngestRequest, version: Version, added: int) -> str | None:
    """Let a dataset that is fed in small commits compact itself, in a commit of its own; return what went wrong."""
    from dataplat._compact import auto_compact

    return auto_compact(lake, request.into, request.branch, version.manifest, added)


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
