"""Which objects a commit or a version needs, with their sizes where those are known (0 where not)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from dataplat.versioning._difference import difference
from dataplat.versioning._index import children
from dataplat.versioning.export import is_tree

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning._root import SegmentRef
    from dataplat.versioning.commit import Commit, DatasetState
    from dataplat.versioning.manifest import Manifest

Name: TypeAlias = tuple[str, str]
"""Id and suffix of an object."""

Read: TypeAlias = Callable[[str, str], bytes]


def of_commit(commit: Commit, read: Read) -> dict[Name, int]:
    """Return what a commit itself needs: the map of all datasets, positions, reports; not its versions, nor itself."""
    found: dict[Name, int] = dict.fromkeys(commit.state.object_ids(read), 0)
    for dataset, change in commit.changes.items():
        if change.bulk:
            found[change.bulk, ".bin"] = 0
        found.update({(check.report, ".json"): 0 for check in change.checks if check.report})
        state = commit.dataset(dataset, read)
        if state is not None:
            found.update(of_state(state, read))
    return found


def of_state(state: DatasetState, read: Read) -> dict[Name, int]:
    """Return what the positions of a dataset need."""
    return dict.fromkeys(state.positions.object_ids(read), 0)


def of_version(objects: Objects, manifest: Manifest, base: Manifest | None = None) -> dict[Name, int]:
    """Return what a version needs, and, where a `base` is given, `base` does not: itself, segments, parts, deletes, files.

    With a base the cost follows what differs, not how large the versions are.
    """
    found: dict[Name, int] = {(manifest.id, ".json"): 0}
    shared = set() if base is None else {ref.id for ref in below(base.root.refs, base.read)}
    found.update(
        {(ref.id, ".bin"): ref.size for ref in below(manifest.root.refs, manifest.read) if ref.id not in shared}
    )
    if base is None:
        new, touched = manifest.parts(), manifest.parts()
    else:
        differ = difference(base, manifest)
        new = list(differ.added)
        touched = [*new, *(after for _, after in differ.changed)]
    found.update({(part.id, ".parquet"): part.size for part in new})
    found.update({(part.deletes, ".bin"): 0 for part in touched if part.deletes is not None})
    found.update(files(objects, manifest, touched))
    return found


def below(refs: Iterable[SegmentRef], read: Read) -> Iterator[SegmentRef]:
    """Yield segments and indexes, those below each index too."""
    for ref in refs:
        yield ref
        if ref.level:
            yield from below(children(ref, read), read)


def files(objects: Objects, manifest: Manifest, parts: Iterable[Part]) -> dict[Name, int]:
    """Return the objects that rows of a file tree refer to, with their sizes; none of other datasets."""
    if not is_tree(manifest):
        return {}
    from dataplat.lake.scan import scan

    found: dict[Name, int] = {}
    for batch in scan(objects, list(parts), manifest.schema, columns=["object", "size"]):
        for row in batch.to_pylist():
            if row["object"] is not None:
                found[row["object"], ".bin"] = row["size"] or 0
    return found
