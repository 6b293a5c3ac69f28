"""From what was staged to a commit on a branch, and to quarantine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dataplat.errors import AlreadyExists, SchemaMismatch
from dataplat.events._notice import lineage
from dataplat.ingest._target import Target
from dataplat.lake.schema import schema_to_json
from dataplat.versioning.commit import Check, Input
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes import Base, IncomingKeys, Outcome, find_keys
from dataplat.versioning.publish import LakeIO, PlannedChange, commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat.ingest._draft import Draft
    from dataplat.ingest._land import Landed
    from dataplat.ingest._request import IngestRequest
    from dataplat.lake.objects import Stage
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

_EXAMPLES = 3


def full_edit(base: Base, outcome: Outcome, *, new: bool = False) -> ManifestEdit:
    """Return the edit of the rows, with schema, key and sort order where these change (or the dataset is new)."""
    schema = schema_to_json(base.schema)
    manifest = base.manifest
    return replace(
        outcome.edit,
        schema_json=schema if new or schema != manifest.schema_json else None,
        key=base.key if new or base.key != manifest.key else None,
        sort=base.sort if new or base.sort != manifest.sort else None,
    )


def plan_changes(draft: Draft, request: IngestRequest, target: Target, landed: Landed) -> list[PlannedChange]:
    """Return the changes that commit what landed; none where nothing changed at all, not even a position."""
    edit = full_edit(landed.base, landed.outcome, new=target.manifest is None)
    if edit.is_empty and not landed.positions and not landed.rejected:
        return []
    changes = [_dataset_change(draft, request, target, landed, edit)]
    if landed.rejects:
        changes.append(_rejects_change(draft.target(f"{request.into}.rejects"), request, landed))
    return changes


def _dataset_change(
    draft: Draft, request: IngestRequest, target: Target, landed: Landed, edit: ManifestEdit
) -> PlannedChange:
    stage = draft.stage
    return PlannedChange(
        dataset=request.into,
        mode=request.mode,
        base_version=target.version,
        edit=edit,
        where=_where_text(request, landed),
        starts=landed.starts,
        positions=landed.positions,
        checks=_checks(request, landed, stage),
        lineage=(*_lineage(request), *lineage(draft.lake, target, landed.source, landed.base.schema)),
        keys_overlap=_keys_overlap(landed),
        recheck=_recheck(draft, request, landed),
    )


def _where_text(request: IngestRequest, landed: Landed) -> str | None:
    if request.where is None:
        return None
    from dataplat.lake.where import parse_where

    return parse_where(request.where, landed.base.schema).text


def _lineage(request: IngestRequest) -> tuple[Input, ...]:
    inputs = [Input(name=name, version=version) for name, version in request.lineage]
    if (revision := request.revision) is not None:
        where = revision.location
        inputs.append(Input(name=where.place, kind=where.kind, version=revision.id, detail=revision.detail()))
    if request.sql is not None:
        inputs.append(Input(name="query", kind="sql", detail={"text": request.sql}))
    return tuple(inputs)


def _checks(request: IngestRequest, landed: Landed, stage: Stage) -> tuple[Check, ...]:
    if landed.report is None or request.contract is None:
        return ()
    report = stage.put(json.dumps(landed.report.to_dict(), sort_keys=True).encode(), ".json")
    return (
        Check(
            name=request.contract.name,
            ok=landed.meets_contract,
            rows=landed.report.new_rows,
            failed=landed.quarantined,
            detail=request.contract.id,
            report=report,
        ),
    )


def _keys_overlap(landed: Landed) -> Any:
    keys: IncomingKeys | None = getattr(landed.sink, "keys", None)
    if keys is None:
        return None

    def overlap(parts: Sequence[Part]) -> Sequence[object]:
        examples: list[object] = []
        for match in find_keys(landed.base.objects, parts, landed.base.schema, keys):
            examples += keys.values.select(keys.key).take(match.incoming[:_EXAMPLES]).to_pylist()
            if len(examples) >= _EXAMPLES:
                break
        return examples

    return overlap


def _recheck(draft: Draft, request: IngestRequest, landed: Landed) -> Any:
    """Return a check of the contract on the dataset after a rebase, with the rows that others added meanwhile."""
    contract = request.contract
    if contract is None:
        return None

    def recheck(manifest: Manifest) -> Sequence[Check]:
        from dataplat._gate import ask
        from dataplat.errors import ContractFailed

        report = ask(contract, landed.base.objects, manifest, request.into, draft.state_now)
        if not report.ok:
            message = (
                f"together with what others committed meanwhile, {request.into} would not meet contract "
                f"{contract.name}: {report.summary}. Nothing landed."
            )
            raise ContractFailed(message, report)
        return _checks(request, replace(landed, report=report), draft.stage)

    return recheck


def _rejects_change(there: Target, request: IngestRequest, landed: Landed) -> PlannedChange:
    name, parts = there.name, landed.rejects
    edit = ManifestEdit(add=tuple(parts), digest=_added(there.manifest, parts))
    came = landed.rejects_schema
    assert came is not None
    if there.manifest is None:
        edit = replace(edit, schema_json=schema_to_json(came), key=(), sort=())
    else:
        schema = schema_to_json(_both(there.manifest.schema, came, name))
        edit = replace(edit, schema_json=None if schema == there.manifest.schema_json else schema)
    return PlannedChange(
        dataset=name,
        mode="append",
        base_version=there.version,
        edit=edit,
        lineage=(Input(name=request.into, kind="rejects"),),
    )


def _both(held: pa.Schema, came: pa.Schema, name: str) -> pa.Schema:
    """Return the columns of rejects of files and of streams, where a dataset holds both; those of either may be null."""
    import pyarrow as pa

    missing = [field for field in held if field.name not in came.names and not field.nullable]
    others = [field for field in held if field.name in came.names and field.type != came.field(field.name).type]
    if missing or others or "error" not in held.names:
        raise SchemaMismatch(
            f"some records cannot be read, and should go to dataset {name!r}, but that holds something else (columns "
            f"{', '.join(held.names)}). Nothing landed. Rename that dataset, or mend the records and use --on-error fail."
        )
    added = [field.with_nullable(True) for field in came if field.name not in held.names]
    return pa.schema([*held, *added])


def _added(manifest: Manifest | None, parts: Sequence[Part]) -> Any:
    from dataplat.lake.digest import Digest

    start = Digest() if manifest is None else manifest.digest
    return None if start is None else sum((part.digest for part in parts), start)


def quarantine_branch(dataset: str, name: str) -> str:
    """Return the name of the branch on which rows of `dataset` wait."""
    return f"quarantine/{dataset}/q{name}"


def put_in_quarantine(
    io: LakeIO, request: IngestRequest, target: Target, landed: Landed, stage: Stage, *, whole: bool
) -> str:
    """Put rows on a branch of their own, `quarantine/<dataset>/<id>`, with their report; return its name.

    They are the rows that failed row checks, or the `whole` batch, where none of it lands. The id comes from the
    rows, so the same rows wait once, however often they are tried.
    """
    batches: list[tuple[Sequence[Part], pa.Schema]] = []
    if whole and landed.outcome.edit.add:
        batches.append((landed.outcome.edit.add, landed.base.schema))
    if landed.quarantine and landed.quarantine_schema is not None:
        batches.append((landed.quarantine, landed.quarantine_schema))
    parts = [part for group, _ in batches for part in group]
    schema = batches[-1][1] if batches else landed.base.schema  # that of the failing rows names all columns
    name = hashlib.sha256("".join(sorted(part.id for part in parts)).encode()).hexdigest()[:12]
    branch = quarantine_branch(request.into, name)
    try:
        head = io.refs.create_branch(
            branch, target.commit, message=f"rows of {request.into} that failed their contract"
        )
    except AlreadyExists:
        head = io.refs.head(branch)
        if head.kind != "create":  # else whoever created it died before the rows were there
            return branch
    there = Target.at(io.objects, head.commit, request.into)
    change = PlannedChange(
        dataset=request.into,
        mode="replace",
        base_version=there.version,
        edit=ManifestEdit(
            add=[part.with_deletes(None, 0) for part in parts],
            drop=() if there.manifest is None else [part.place for part in there.manifest.parts()],
            schema_json=schema_to_json(schema),
            key=(),
            sort=(),
        ),
        checks=_checks(request, landed, stage),
        lineage=(
            Input(
                name=request.into,
                kind="quarantine",
                detail={
                    "branch": request.branch,
                    "mode": request.mode,
                    "whole": whole,
                    "reasons": schema.names[-1] if landed.quarantine else None,
                },
            ),
        ),
    )
    commit(io, branch, [change], stage, message=f"quarantine: {request.message or request.into}")
    return branch
