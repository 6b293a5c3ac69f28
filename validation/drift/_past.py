"""The past of a dataset in a lake, as batches: what each of its last versions brought."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import ObjectNotFound, VersionNotFound
from dataplat.lake.memos import Memos, computation_id
from dataplat.validation.drift._column import Column
from dataplat.validation.drift._history import ENOUGH, Usual, usual_of
from dataplat.validation.drift._profiled import ProfileColumns
from dataplat.validation.profile._run import profile_parts, profile_version

if TYPE_CHECKING:
    from dataplat.lake.engine import Engine
    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.history import Entry

CODE: Final = 1
"""Version of the code that says what is usual: to be raised when that would be another."""

LOOK_BACK: Final = 40
"""Versions that are looked at, the latest ones."""

_LEAST_ROWS: Final = 30
_NO_BATCHES: Final = frozenset({"compact", "erase", "evolve", "delete"})


def usual_in(
    objects: Objects, commit: Commit, dataset: str, methods: Mapping[str, str], engine: Engine | None = None
) -> dict[str, Usual]:
    """Return what is usual in a dataset up to a commit; it is remembered by the commit.

    A batch is what a version brought: the rows of its new parts, or all of them where it replaced the dataset. Their
    profiles are remembered by part, so that of the next version one batch is new.

    Args:
        objects: The objects of the lake.
        commit: Whose past it is.
        dataset: The dataset, as it was called then.
        methods: The statistic of each column.
        engine: Who looks at parts (None: this process).
    """
    memos, asked = Memos(objects.store), computation_id("drift usual", CODE, dataset=dataset, methods=dict(methods))
    found: Any = memos.remembered(asked, commit.id, None, lambda: _encoded(objects, commit, dataset, methods, engine))
    try:
        return {name: Usual(str(method), float(spread), int(n)) for name, (method, spread, n) in found.items()}
    except (AttributeError, TypeError, ValueError):  # written by another program
        return usual_of(_batches(objects, commit, dataset, list(methods), engine), methods)


def _encoded(
    objects: Objects, commit: Commit, dataset: str, methods: Mapping[str, str], engine: Engine | None
) -> dict[str, Any]:
    found = usual_of(_batches(objects, commit, dataset, list(methods), engine), methods)
    return {name: [usual.method, usual.spread, usual.batches] for name, usual in found.items()}


def _batches(
    objects: Objects, commit: Commit, dataset: str, names: list[str], engine: Engine | None
) -> list[Mapping[str, Column]]:
    """Return the batches of the last versions, oldest first; none where there are too few to say anything."""
    from dataplat.versioning.history import versions

    brought = (entry for entry in versions(objects, commit, dataset) if entry.change.mode not in _NO_BATCHES)
    entries = list(islice(brought, LOOK_BACK))
    if len(entries) < ENOUGH:
        return []
    profiles = _profiles(objects, entries, names, engine)
    batches = [columns for columns in profiles if columns and next(iter(columns.values())).rows >= _LEAST_ROWS]
    return batches[::-1]


def _profiles(
    objects: Objects, entries: list[Entry], names: list[str], engine: Engine | None
) -> Iterator[Mapping[str, Column]]:
    """Yield what each version brought, the latest first, until one was collected."""
    from dataplat.versioning._difference import difference
    from dataplat.versioning.manifest import load_manifest

    for entry in entries:
        change = entry.change
        assert change.version is not None
        try:
            manifest = load_manifest(objects, change.version)
            there = [name for name in names if name in manifest.schema.names]
            if not there:
                return
            whole = change.base is None or (change.mode == "replace" and change.where is None)
            if whole:
                found = profile_version(objects, manifest, entry.dataset, columns=there, engine=engine)
                yield ProfileColumns(found.columns)
            else:
                added = difference(load_manifest(objects, str(change.base)), manifest).added
                yield ProfileColumns(profile_parts(objects, manifest, added, there, engine))
        except (ObjectNotFound, VersionNotFound):
            return
