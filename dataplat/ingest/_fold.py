"""Two changes of one dataset in a row, as one change of the version that the first was planned on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dataplat.errors import CommitConflict
from dataplat.versioning._difference import difference
from dataplat.versioning.commit import Check
from dataplat.versioning.manifest import Manifest, ManifestEdit
from dataplat.versioning.publish import PlannedChange

if TYPE_CHECKING:
    from dataplat.lake.objects import Stage
    from dataplat.lake.part import Part
    from dataplat.versioning.commit import Mode

_ROWS: Final = frozenset({"append", "upsert", "replace", "delete"})


def fold(
    first: PlannedChange, second: PlannedChange, base: Manifest | None, between: Manifest, stage: Stage
) -> PlannedChange:
    """Return the change that does to `base` (None: no dataset) what `first`, and then `second`, does.

    `between` is what `first` makes of `base`, and what `second` was planned on.

    Raises:
        CommitConflict: The two cannot be one: one of them drops, renames, rolls back or changes columns.
        ContractFailed: What `first` was held to would not hold afterwards.
    """
    if second.mode == "describe":
        return replace(first, description=second.description)
    if first.mode == "describe":
        return replace(second, description=first.description, base_version=first.base_version)
    if not {first.mode, second.mode} <= _ROWS or _redefines(second.edit):
        what = (
            "changes its columns or key" if _redefines(second.edit) else f"is a {first.mode} and then a {second.mode}"
        )
        raise CommitConflict(
            f"the second change of dataset {first.dataset!r} in this transaction {what}: the two cannot become one. "
            "Nothing was committed; make them two transactions."
        )
    after = between.apply(second.edit, stage)
    return replace(
        second,
        mode=_mode(first.mode, second.mode),
        base_version=first.base_version,
        edit=_edit(first.edit, second.edit, base or Manifest.empty(between.schema_json, between.key), after),
        where=_where(first, second),
        starts={**second.starts, **first.starts},
        positions={**first.positions, **second.positions},
        checks=_checks(first, second, after),
        lineage=(*first.lineage, *(given for given in second.lineage if given not in first.lineage)),
        description=first.description,
        keys_overlap=_keys_overlap(first, second),
        where_matches=_where_matches(first, second),
        recheck=_recheck(first, second),
    )


def _redefines(edit: ManifestEdit) -> bool:
    return edit.schema_json is not None or edit.key is not None or edit.sort is not None


def _mode(first: Mode, second: Mode) -> Mode:
    """Return the mode whose rules of rebase cover both."""
    if first == second:
        return first
    return "replace" if "replace" in {first, second} else "upsert"


def _edit(first: ManifestEdit, second: ManifestEdit, base: Manifest, after: Manifest) -> ManifestEdit:
    """Return the edit from `base` to `after`; parts are added as their writer gave them, with their last deletes."""
    change = difference(base, after)
    written = {part.id: part for part in (*first.add, *second.add)}
    return replace(
        first,
        add=[_placeless(written[part.id], part) for part in sorted(change.added, key=lambda part: part.place)],
        deletes={old.place: (new.deletes, new.deleted) for old, new in change.changed},
        drop=[part.place for part in change.dropped],
        digest=after.digest,
    )


def _placeless(written: Part, now: Part) -> Part:
    return replace(written.with_deletes(now.deletes, now.deleted), place=-1)


def _where(first: PlannedChange, second: PlannedChange) -> str | None:
    if first.where is None or second.where is None or first.mode != second.mode:
        return None
    return first.where if first.where == second.where else f"({first.where}) or ({second.where})"


def _checks(first: PlannedChange, second: PlannedChange, after: Manifest) -> Sequence[Check]:
    """Return what is known of the dataset after both: what the first was held to is asked again."""
    asked = {check.detail for check in second.checks}
    if first.recheck is None or all(check.detail in asked for check in first.checks):
        return second.checks
    return (*second.checks, *first.recheck(after))


def _keys_overlap(first: PlannedChange, second: PlannedChange) -> Callable[[Sequence[Part]], Sequence[object]] | None:
    asks = [change.keys_overlap for change in (first, second) if change.keys_overlap is not None]
    return (lambda parts: [key for ask in asks for key in ask(parts)]) if asks else None


def _where_matches(first: PlannedChange, second: PlannedChange) -> Callable[[Sequence[Part]], bool] | None:
    asks = [change.where_matches for change in (first, second) if change.where_matches is not None]
    return (lambda parts: any(ask(parts) for ask in asks)) if asks else None


def _recheck(first: PlannedChange, second: PlannedChange) -> Callable[[Manifest], Sequence[Check]] | None:
    asks = [change.recheck for change in (first, second) if change.recheck is not None]
    return (lambda manifest: [check for ask in asks for check in ask(manifest)]) if asks else None
