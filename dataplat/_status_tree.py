"""A dataset of files beside a folder: which of them are new, changed or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from dataplat._status import Status
from dataplat._status_index import Index
from dataplat.connectors.files._folder import Listing, list_files
from dataplat.lake.memos import Memos, computation_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dataplat._status_index import FileRow
    from dataplat.ingest._progress import Meter
    from dataplat.ingest._target import Target

_INDEX: Final = computation_id("names, sizes, times and digests of the files that a version is", 1)


class _Held(Protocol):
    """The files of a version, each at a place."""

    @property
    def sizes(self) -> Sequence[int | None]: ...
    @property
    def times(self) -> Sequence[int | None]: ...
    @property
    def file_names(self) -> Sequence[str]: ...
    def sha256(self, place: int) -> str | None: ...
    def places(self, files: Listing) -> Iterator[int | None]: ...
    def differing(self, files: Listing) -> Iterator[tuple[int, int | None]]: ...


class _Rows:
    """Rows that are not those of one folder: some hold null or what no file has, or one path came twice."""

    def __init__(self, rows: Mapping[str, FileRow]) -> None:
        self._places = {name: place for place, name in enumerate(rows)}
        self._digests = [row[2] for row in rows.values()]
        self.file_names = list(rows)
        self.sizes = [row[0] for row in rows.values()]
        self.times = [row[1] for row in rows.values()]

    def sha256(self, place: int) -> str | None:
        return self._digests[place]

    def places(self, files: Listing) -> Iterator[int | None]:
        return map(self._places.get, files.names)

    def differing(self, files: Listing) -> Iterator[tuple[int, int | None]]:
        return enumerate(self.places(files))


def compare_tree(target: Target, branch: str, root: Path, meter: Meter, *, content: bool) -> Status:
    """Compare the version with the files below `root`.

    The first look at a version reads four columns of it, and keeps them as an index, a memo; the next ones read that.
    """
    files = list_files(root)
    memos, version = Memos(target.objects.store), str(target.version)
    kept = memos.get_bytes(_INDEX, version)
    held: _Held | None = None if kept is None else Index.decode(kept)
    twice: set[str] = set()
    if held is None:
        rows, twice = _read_rows(target)
        index = None if twice else Index.of(rows)
        if index is not None:
            memos.put_bytes(index.encode(), _INDEX, version)
        held = index or _Rows(rows)
    if isinstance(held, Index) and not content and held.is_listing(files):
        return Status(target.name, branch, version, files.root, (), (), (), (), len(files.names))
    return _compare(target, branch, files, held, twice, meter, content=content)


def _compare(
    target: Target, branch: str, files: Listing, held: _Held, changed: set[str], meter: Meter, *, content: bool
) -> Status:
    new: list[str] = []
    doubtful: dict[int, int] = {}
    sizes, times = held.sizes, held.times
    for number, place in enumerate(held.places(files)) if content else held.differing(files):
        if place is None:
            new.append(files.names[number])
        elif sizes[place] != files.sizes[number]:
            changed.add(files.names[number])
        elif (content or times[place] != files.times[number]) and files.names[number] not in changed:
            doubtful[number] = place
    gone = len(files.names) - len(new) < len(sizes)
    deleted = set(held.file_names).difference(files.names) if gone else set[str]()
    changed |= _changed(files, doubtful, held, meter)
    changed -= deleted
    touched = (files.names[number] for number, place in doubtful.items() if times[place] != files.times[number])
    return Status(
        target.name,
        branch,
        str(target.version),
        files.root,
        tuple(new),
        tuple(name for name in files.names if name in changed) if changed else (),
        tuple(sorted(deleted)),
        tuple(name for name in touched if name not in changed),
        len(files.names) - len(new) - len(changed),
    )


def _read_rows(target: Target) -> tuple[dict[str, FileRow], set[str]]:
    """Return size, time (ns) and SHA-256 by path, and the paths that several rows have."""
    from dataplat.lake.arrow_alone import keep_pandas_out

    keep_pandas_out()
    import pyarrow as pa

    from dataplat.lake.scan import scan

    manifest = target.manifest
    assert manifest is not None
    held: dict[str, FileRow] = {}
    twice: set[str] = set()
    names = ["path", "size", "modified", "sha256"]
    for batch in scan(target.objects, manifest.parts(), manifest.schema, columns=names, batch_rows=None):
        times = batch.column("modified").cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()
        paths, sizes, shas = (batch.column(name).to_pylist() for name in ("path", "size", "sha256"))
        if not held.keys().isdisjoint(paths) or len(set(paths)) < len(paths):
            seen = set(held)
            for path in paths:
                (twice if path in seen else seen).add(path)
        held.update(zip(paths, zip(sizes, times, shas, strict=True), strict=True))
    return held, twice


def _changed(files: Listing, doubtful: dict[int, int], held: _Held, meter: Meter) -> set[str]:
    """Return which of the files (with their places in the version) have another content than their rows say."""
    from dataplat.connectors.files._read_files import read_files

    changed = set()
    total, done = sum(files.sizes[number] for number in doubtful), 0
    for number, sha256, _ in read_files(files, list(doubtful)):
        if sha256 != held.sha256(doubtful[number]):
            changed.add(files.names[number])
        done += files.sizes[number]
        meter.at_byte(done, total)
        meter.add_rows(1)
    return changed
