"""Which objects a version, and a commit, cannot do without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dataplat.versioning._difference import difference
from dataplat.versioning._index import children

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning._lsm import Read
    from dataplat.versioning._root import SegmentRef
    from dataplat.versioning.commit import Commit, DatasetState
    from dataplat.versioning.manifest import Manifest

Name: TypeAlias = tuple[str, str]
"""Id and suffix of an object."""


def of_version(objects: Objects, manifest: Manifest) -> Iterator[Name]:
    """Yield what a version needs: itself, segments, parts, deletes, and the files that its rows name."""
    yield from manifest.object_ids()
    yield from files_of(objects, manifest, manifest.parts())


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to another: objects gained and lost, each as often as a part of the version names it."""

    gained: Sequence[Name]
    lost: Sequence[Name]


def step(objects: Objects, before: Manifest | None, after: Manifest) -> Step:
    """Return what `after` needs and `before` does not, and the other way round; the cost follows the difference."""
    if before is None:
        return Step(list(of_version(objects, after)), [])
    held, needed = _segments(before, after), _segments(after, before)
    parts = difference(before, after)
    old = [*parts.dropped, *(part for part, _ in parts.changed)]
    new = [*parts.added, *(part for _, part in parts.changed)]
    roots = ([], []) if before.id == after.id else ([(after.id, ".json")], [(before.id, ".json")])
    return Step(
        [*roots[0], *needed, *_of_parts(new), *files_of(objects, after, new)],
        [*roots[1], *held, *_of_parts(old), *files_of(objects, before, old)],
    )


def _of_parts(parts: Iterable[Part]) -> Iterator[Name]:
    for part in parts:
        yield part.id, ".parquet"
        if part.deletes is not None:
            yield part.deletes, ".bin"


def _segments(mine: Manifest, other: Manifest) -> list[Name]:
    """Return the segments and indexes of `mine` that `other` has not, opening only indexes that it has not either."""
    there = {ref.id for ref in other.root.refs}
    found = dict.fromkeys(_walk(mine.root.refs, there, mine))
    hers = set(_walk(other.root.refs, {ref.id for ref in mine.root.refs}, other))
    return [(id, ".bin") for id in found if id not in hers]


def _walk(refs: Iterable[SegmentRef], known: set[str], manifest: Manifest) -> Iterator[str]:
    for ref in refs:
        if ref.id not in known:
            yield ref.id
            if ref.level:
                yield from _walk(children(ref, manifest.read), known, manifest)


def files_of(objects: Objects, manifest: Manifest, parts: Iterable[Part]) -> Iterator[Name]:
    """Yield the objects that rows of `parts` name, where the version is of a tree of files."""
    from dataplat.versioning.export._tree import is_tree

    if not is_tree(manifest):
        return
    from dataplat.lake.scan import scan

    for batch in scan(objects, list(parts), manifest.schema, columns=["object"]):
        yield from ((id, ".bin") for id in batch.column("object").to_pylist() if id is not None)


def of_commit(objects: Objects, commit: Commit) -> Iterator[Name]:
    """Yield what a commit needs beside the versions that it names: itself, its maps, positions and reports."""
    read: Read = objects.read
    yield commit.id, ".json"
    yield from commit.state.object_ids(read)
    for dataset, change in commit.changes.items():
        if change.bulk:
            yield change.bulk, ".bin"
        yield from ((check.report, ".json") for check in change.checks if check.report)
        state = commit.dataset(dataset, read)
        if state is not None:
            yield from of_positions(state, read)


def of_positions(state: DatasetState, read: Read) -> Iterator[Name]:
    """Yield the objects that hold the positions of a dataset."""
    return iter(list(state.positions.object_ids(read)))
