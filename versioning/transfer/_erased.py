"""What was erased travels with what is left: redactions go along, and erased rows are taken from nobody."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dataplat.errors import CommitConflict, ObjectExists, ObjectNotFound, VersionNotFound
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.redactions import Redactions, redaction_key
from dataplat.versioning.suppression import Suppression, lists_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dataplat.versioning.commit import Commit
    from dataplat.versioning.publish import LakeIO


def bring_redactions(source: LakeIO, target: LakeIO, redacted: Iterable[str]) -> None:
    """Copy the redactions that lead on from these ids; what they lead to is in `target` by now.

    One whose old object is in `target` stays behind: there its rows were not erased.
    """
    redactions = Redactions.load(source.objects.store)
    for id in redacted:
        for old in redactions.chain(id):
            if not target.objects.stored(old, ".json"):
                key = redaction_key(old)
                with suppress(ObjectExists):
                    target.objects.store.create(key, source.objects.store.read(key))


def erased_elsewhere(source: LakeIO, target: LakeIO) -> int:
    """Return how many versions (and reports) were erased in `source` and are whole in `target`."""
    leads = Redactions.load(source.objects.store).leads
    return sum(target.objects.stored(old, ".json") for old in leads)


def refuse_erased(source: LakeIO, target: LakeIO, commits: Sequence[Commit]) -> None:
    """Raise `CommitConflict` if a version that would be brought holds rows that were erased in `target`."""
    settings = target.refs.suppressing()
    if not lists_of(settings):
        return
    asked: set[tuple[str, str]] = set()
    for commit in commits:
        for dataset, change in commit.changes.items():
            suppression = None if change.version is None else Suppression.of(target.objects, settings, dataset)
            if suppression is None:
                continue
            try:
                manifest = load_manifest(source.objects, str(change.version))
            except (ObjectNotFound, VersionNotFound):
                continue
            parts = [part for part in manifest.parts() if (dataset, part.id) not in asked]
            asked.update((dataset, part.id) for part in parts)
            if suppression.count(source.objects, parts, manifest.schema):
                raise CommitConflict(
                    f"version {manifest.id[:12]} of {dataset!r} holds rows that were erased in the lake that it is brought "
                    "to. Nothing was moved. Run the same `dataplat version erase` where it comes from, then try again."
                )
