"""Whether the source of a view only grows: else a training set would not see what was served (PIT 28)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from dataplat.errors import DataplatError
from dataplat.feature_store.definitions import FeatureView, Sql
from dataplat.feature_store.kernel.order import columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat._features._sources import ViewSource
    from dataplat._version import Version
    from dataplat.versioning.history import Entry

_KEEPS: Final = frozenset({"compact", "describe", "erase", "evolve", "rename"})
"""Modes of changes that take away no row that training sets must still see; what is erased is to be gone."""
_COMPARED: Final = frozenset({"merge", "replace", "rollback"})
"""Modes of which no count says whether a row went, so that their versions are compared."""


def shrunk(view: FeatureView, source: ViewSource) -> str | None:
    """Return why the history of a view would vanish from training sets; None: it would not."""
    told = view.view
    if told.history == "commits":
        return None
    for name, version in source.versions.items():
        times_in_key = told.known_at is not None and {told.timestamp, told.known_at} <= set(version.key or ())
        if times_in_key or "@id:" in name:
            continue  # what is upserted is another row, known later; and a version that is named by its id stays as it is
        if (found := _last(version, columns_of(view))) is not None:
            return (
                f"view {view.name}: {version.dataset} does not only grow: commit {found.commit.id[:12]} "
                f"({found.change.mode}) changed or took away rows that training sets must still see as they were. {_ways(view)}"
            )
    return None


def _ways(view: FeatureView) -> str:
    told = view.view
    times = f"{told.timestamp} and {told.known_at or 'a known time (known_at=)'} part of its key"
    commits = "Make" if isinstance(told.source, Sql) else 'Read its commits (history="commits"), or make'
    return f"{commits} {times}, or append corrections to a new dataset, as rows that are known later"


def _last(version: Version, columns: Sequence[str]) -> Entry | None:
    """Return the newest change that took rows away, or made others of them, as far as some columns tell."""
    from dataplat.versioning.history import log

    history = log(version.objects, version.found_at, version.dataset)
    return next((each for each in history if _took(each, version, columns)), None)


def _took(entry: Entry, version: Version, columns: Sequence[str]) -> bool:
    change = entry.change
    if change.mode in _KEEPS or change.version == change.base:
        return False
    if change.version is None or change.base is None:
        return change.version is None  # dropped; or made
    if change.mode not in _COMPARED:
        return change.rows_deleted > 0
    try:
        return _lost(version, change.base, change.version, columns)
    except DataplatError:  # collected: nobody can tell any more, so it is said
        return True


def _lost(version: Version, base: str, made: str, columns: Sequence[str]) -> bool:
    """Say whether a row of one version is not in another."""
    from dataplat._version import Version
    from dataplat.versioning.diff import Diff
    from dataplat.versioning.manifest import load_manifest

    before, after = (load_manifest(version.objects, each) for each in (base, made))
    found = Diff(version.objects, before, after).summary
    if not found.removed + found.changed:
        return False
    if before.schema == after.schema:
        return True
    both = [name for name in columns if name in before.schema.names and name in after.schema.names]
    sides = (Version(version.objects, version.dataset, each, version.found_at) for each in (before, after))
    there, now = (_counted(each.to_arrow(columns=both)) for each in sides)
    return bool(there - now)


def _counted(rows: pa.Table) -> Counter[bytes]:
    from dataplat.lake.content_id import row_digests

    digests = np.ascontiguousarray(row_digests(rows))
    return Counter(digests.view("V16").ravel().tolist())
