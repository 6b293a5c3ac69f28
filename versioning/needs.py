"""Which objects a version, and a commit, cannot do without, with their sizes where those are known (0 where not)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from dataplat.versioning._difference import difference
from dataplat.versioning._index import children

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning._root import SegmentRef
    from dataplat.versioning.commit import Commit, DatasetState
    from dataplat.versioning.manifest import Manifest

Name: TypeAlias = tuple[str, str]
"""Id and suffix of an object."""

Read: TypeAlias = Callable[[str, str], bytes]

_Sized: TypeAlias = tuple[Name, int]


def of_commit(commit: Commit, read: Read) -> Iterator[Name]:
    """Yield what a commit needs beside itself and its versions: the map of all datasets, positions, reports."""
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
    yield from state.positions.object_ids(read)


def of_version(objects: Objects, manifest: Manifest, base: Manifest | None = None) -> dict[Name, int]:
    """Return what a version needs, and `base`, where one is given, does not: itself, segments, parts, deletes, files."""
    if base is None:
        return dict(_own(objects, manifest, None, list(manifest.parts())))
    differ = difference(base, manifest)
    return dict(_own(objects, manifest, base, [*differ.added, *(part for _, part in differ.changed)]))


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to another: objects gained and lost, each as often as a part of the version names it."""

    gained: list[Name] = field(default_factory=list)
    lost: list[Name] = field(default_factory=list)


def step(objects: Objects, before: Manifest | None, after: Manifest) -> Step:
    """Return what `after` needs and `before` does not, and the other way round; the cost follows the difference."""
    if before is None:
        return Step([name for name, _ in _own(objects, after, None, list(after.parts()))])
    differ = difference(before, after)
    new = [*differ.added, *(part for _, part in differ.changed)]
    old = [*differ.dropped, *(part for part, _ in differ.changed)]
    gained, lost = _own(objects, after, before, new), _own(objects, before, after, old)
    return Step([name for name, _ in gained], [name for name, _ in lost])


def _own(objects: Objects, manifest: Manifest, other: Manifest | None, parts: Sequence[Part]) -> Iterator[_Sized]:
    """Yield what `manifest` needs and `other` does not, where `parts` are those that only it has."""
    if other is None or other.id != manifest.id:
        yield (manifest.id, ".json"), 0
    yield from (((ref.id, ".bin"), ref.size) for ref in _segments(manifest, other))
    for part in parts:
        yield (part.id, ".parquet"), part.size
        if part.deletes is not None:
            yield (part.deletes, ".bin"), 0
    yield from files(objects, manifest, parts)


def _segments(mine: Manifest, other: Manifest | None) -> Iterable[SegmentRef]:
    """Return the segments and indexes of `mine` that `other` has not, opening only indexes that it has not either."""
    there = set() if other is None else {ref.id for ref in other.root.refs}
    found = {ref.id: ref for ref in _below(mine.root.refs, there, mine)}
    if found and other is not None:  # below an index of one there may be what lies openly in the other
        for ref in _below(other.root.refs, {ref.id for ref in mine.root.refs}, other):
            found.pop(ref.id, None)
    return found.values()


def _below(refs: Iterable[SegmentRef], known: AbstractSet[str], manifest: Manifest) -> Iterator[SegmentRef]:
    for ref in refs:
        if ref.id not in known:
            yield ref
            if ref.level:
                yield from _below(children(ref, manifest.read), known, manifest)


def files(objects: Objects, manifest: Manifest, parts: Iterable[Part]) -> Iterator[_Sized]:
    """Yield the objects that rows of `parts` name, with their sizes, where the version is of a tree of files."""
    from dataplat.versioning.export._tree import is_tree

    if not is_tree(manifest):
        return
    from dataplat.lake.scan import scan

    for batch in scan(objects, list(parts), manifest.schema, columns=["object", "size"]):
        for id, size in zip(batch.column("object").to_pylist(), batch.column("size").to_pylist(), strict=True):
            if id is not None:
                yield (id, ".bin"), size or 0
