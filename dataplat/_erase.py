"""Erase as users ask for it: what it would do, what it did, and what is left for them to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from dataplat._lake import Lake
    from dataplat.ingest._progress import Listener
    from dataplat.versioning.erase import Derived, Request, Shared, Sight


@dataclass(frozen=True, slots=True)
class DerivedDataset:
    """A dataset that was made from the erased one: it may hold the person's rows in another form.

    `fits`: the same condition can be asked of it; then `command` erases there, too.
    """

    name: str
    made_from: tuple[str, ...]
    branches: tuple[str, ...]
    fits: bool
    command: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.name,
            "made_from": list(self.made_from),
            "branches": list(self.branches),
            "fits": self.fits,
            "command": self.command,
        }


@dataclass(frozen=True, slots=True)
class SharingDataset:
    """A dataset that holds `parts` of the very parts with such rows, wherever it has them from; it keeps them.

    `fits`: the same condition can be asked of it; then `command` erases there, too.
    """

    name: str
    parts: int
    fits: bool
    command: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"name": self.name, "parts": self.parts, "fits": self.fits, "command": self.command}


@dataclass(frozen=True, slots=True)
class ErasePlan:
    """What an erase would do.

    `names` are all that the dataset ever had. Of its `versions`, `affected` would be rewritten; `rows` (each counted as
    often as it was written, deleted or not) would go from `parts` parts of `nbytes`, and `rejected` records from the rejects.
    `digested`: what is kept against rows that come again are digests, and not the condition itself. `shared` are other
    datasets that hold some of the parts, too, where the rows stay; `mentioned` commits whose own text has such a value.
    `exports` are tags of tables that were exported in place (Iceberg): they lose the files that go.
    """

    dataset: str
    where: str
    names: tuple[str, ...]
    versions: int
    affected: int
    rows: int
    rejected: int
    parts: int
    nbytes: int
    digested: bool
    shared: tuple[SharingDataset, ...]
    derived: tuple[DerivedDataset, ...]
    mentioned: tuple[str, ...]
    readers: tuple[str, ...]
    exports: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "dataset": self.dataset,
            "where": self.where,
            "names": list(self.names),
            "versions": self.versions,
            "affected": self.affected,
            "rows": self.rows,
            "rejected": self.rejected,
            "parts": self.parts,
            "bytes": self.nbytes,
            "digested": self.digested,
            "shared": [one.to_dict() for one in self.shared],
            "derived": [derived.to_dict() for derived in self.derived],
            "mentioned": list(self.mentioned),
            "readers": list(self.readers),
            "exports": list(self.exports),
        }


@dataclass(frozen=True, slots=True)
class EraseResult:
    """What an erase did: its number, versions rewritten, rows and rejected records gone, and what was deleted.

    `notes` say what is left to do.
    """

    plan: ErasePlan
    number: int
    versions: int
    rows: int
    rejected: int
    reports: int
    commits: tuple[str, ...]
    objects: int
    nbytes: int
    memos: int
    finished: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "plan": self.plan.to_dict(),
            "erase": self.number,
            "versions": self.versions,
            "rows": self.rows,
            "rejected": self.rejected,
            "reports": self.reports,
            "commits": list(self.commits),
            "objects": self.objects,
            "bytes": self.nbytes,
            "memos": self.memos,
            "finished": self.finished,
            "notes": list(self.notes),
        }


def plan_erase(
    lake: Lake, dataset: str, where: str | pl.Expr, also: Sequence[str], listener: Listener | None, *, rejects: bool
) -> ErasePlan:
    """Look at every version, and touch nothing."""
    return _planned(lake, _request(dataset, where, "", also, listener, rejects=rejects))


def erase(
    lake: Lake,
    dataset: str,
    where: str | pl.Expr,
    reason: str,
    also: Sequence[str],
    listener: Listener | None,
    *,
    rejects: bool,
    planned: Any = None,
) -> EraseResult:
    """Erase, or go on with an erase that was stopped."""
    from dataplat.feature_store.runs import Runs
    from dataplat.versioning.erase import erase as erase_rows

    if not reason.strip():
        raise ConfigError("an erase needs a reason, for the log: a ticket or the law, never a value that is erased")
    request = _request(dataset, where, reason, also, listener, rejects=rejects)
    plan = _planned(lake, request)
    if planned is not None:
        planned(plan)
    done = erase_rows(lake.io, request)
    Runs.of_user().clear()  # sorted rows of any lake: those of some parts together are not told by the parts' names
    return EraseResult(
        plan=plan,
        number=done.number,
        versions=done.versions,
        rows=done.rows,
        rejected=done.rejected,
        reports=done.reports,
        commits=tuple(done.commits),
        objects=done.objects,
        nbytes=done.nbytes,
        memos=done.memos,
        finished=not done.held,
        notes=tuple(_left(plan, done.held)),
    )


def _request(
    dataset: str,
    where: str | pl.Expr,
    reason: str,
    also: Sequence[str],
    listener: Listener | None,
    *,
    rejects: bool,
) -> Request:
    from dataplat.ingest._progress import Meter
    from dataplat.versioning.erase import Request
    from dataplat.versioning.names import check_dataset_name

    meter = Meter(listener, stage="reading")
    names = tuple(check_dataset_name(name) for name in (dataset, *also))
    return Request(names[0], where, reason, names[1:], rejects, meter.add_rows)


def _planned(lake: Lake, request: Request) -> ErasePlan:
    from dataplat.versioning.erase import derived_from, exports_of, mentions, refuse_twins, see, shared_with

    sight = see(lake.objects, lake.refs, request)
    if twins := refuse_twins(sight.scope, request.also):
        flags = " ".join(f"--also {name}" for name in twins)
        raise ConfigError(
            f"{', '.join(twins)} {'has' if len(twins) == 1 else 'have'} versions with the very id of versions of "
            f"{request.dataset}, which can only be erased together. Nothing was erased. Erase in both with {flags}"
        )
    affected, parts, nbytes = _extent(sight)
    now = lake.refs.now()
    mine = {*sight.scope.versions, *sight.manifests}
    readers = {one.file.actor for one in sight.found.leases if one.holds(now) and mine & set(one.file.versions)}
    return ErasePlan(
        dataset=request.dataset,
        where=sight.condition.text,
        names=sight.scope.names,
        versions=len(sight.manifests),
        affected=affected,
        rows=sight.rows,
        rejected=sight.rejected,
        parts=parts,
        nbytes=nbytes,
        digested=sight.condition.equalities is not None,
        shared=tuple(_shared(one, sight.condition.text) for one in shared_with(sight, request.where)),
        derived=tuple(_derived(one, sight.condition.text) for one in derived_from(sight, request.where)),
        mentioned=tuple(mentions(sight)),
        readers=tuple(sorted(readers)),
        exports=tuple(tag.name for tag in exports_of(sight)),
    )


def _extent(sight: Sight) -> tuple[int, int, int]:
    """Return versions that hold such rows, parts and their bytes."""
    from dataplat.versioning.erase._find import part_ids

    affected = sum(
        1 for manifest in sight.manifests.values() if not sight.dirty.keys().isdisjoint(part_ids(manifest, set()))
    )
    sizes = {p.id: p.size for manifest in sight.manifests.values() for p in manifest.parts() if p.id in sight.dirty}
    return affected, len(sight.dirty), sum(sizes.values())


def _derived(one: Derived, where: str) -> DerivedDataset:
    return DerivedDataset(one.name, one.made_from, one.branches, one.fits, _command(one.name, where, fits=one.fits))


def _shared(one: Shared, where: str) -> SharingDataset:
    return SharingDataset(one.name, one.parts, one.fits, _command(one.name, where, fits=one.fits))


def _command(name: str, where: str, *, fits: bool) -> str:
    condition = where if fits and not where.startswith("{") else "…"
    quoted = "'" + condition.replace("'", "'\\''") + "'"
    return f"dataplat version erase {name} --where {quoted} --reason …"


def _same(parts: int) -> str:
    return "one of the same parts" if parts == 1 else f"{parts:,} of the same parts"


def _left(plan: ErasePlan, held: Sequence[str]) -> list[str]:
    notes = []
    if held:
        notes.append(
            f"leases of {', '.join(held)} keep old versions: erase again when they have ended, to delete the rest"
        )
    if not plan.digested:
        notes.append("the text of the condition is kept with the lake, so that the rows do not come back")
    notes += [f"{one.name} holds {_same(one.parts)}: the rows are still there: {one.command}" for one in plan.shared]
    notes += [f"{one.name} was made from {', '.join(one.made_from)}: {one.command}" for one in plan.derived]
    if plan.exports:
        tags = ", ".join(plan.exports)
        notes.append(f"Iceberg tables in place (tags {tags}) lost files: export them again")
    if plan.mentioned:
        shown = ", ".join(commit[:12] for commit in plan.mentioned[:5])
        notes.append(f"the log itself names such a value, in {len(plan.mentioned)} commits ({shown}): it never changes")
    return notes
