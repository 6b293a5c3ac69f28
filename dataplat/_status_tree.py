"""A dataset of files beside a folder: which of them are new, changed or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataplat._status import Status
from dataplat.connectors.files._folder import Listing, list_files
from dataplat.lake.memos import Memos, computation_id

if TYPE_CHECKING:
    from pathlib import Path

    from dataplat.ingest._progress import Meter
    from dataplat.ingest._target import Target

_LISTING: Final = computation_id("listing of a folder that a version is", 1)


def compare_tree(target: Target, branch: str, root: Path, meter: Meter, *, content: bool) -> Status:
    """Compare the version with the files below `root`.

    Nothing but the folder's listing is looked at where the version is known to be a folder of that listing: once they
    were found the same, a memo says of which one. Else four columns of it are read.
    """
    files = list_files(root)
    memos, version = Memos(target.objects.store), str(target.version)
    listing = files.position()
    if not content and memos.get(_LISTING, version) == listing:
        return Status(target.name, branch, version, str(root), (), (), (), (), len(files.names))
    found = _compare(target, branch, files, meter, content=content)
    if found.is_same and not found.touched:
        memos.put(listing, _LISTING, version)
    return found


def _compare(target: Target, branch: str, files: Listing, meter: Meter, *, content: bool) -> Status:
    held, changed = _rows(target)
    new: list[str] = []
    doubtful: list[int] = []
    deleted = held.keys() - set(files.names)
    for number, (name, size, time) in enumerate(zip(files.names, files.sizes, files.times, strict=True)):
        known = held.get(name)
        if known is None:
            new.append(name)
        elif name in changed or known[0] != size:
            changed.add(name)
        elif content or known[1] != time:
            doubtful.append(number)
    changed |= _changed(files, doubtful, {name: row[2] for name, row in held.items()}, meter) if doubtful else set()
    changed -= deleted
    touched = [files.names[number] for number in doubtful if held[files.names[number]][1] != files.times[number]]
    return Status(
        target.name,
        branch,
        str(target.version),
        files.root,
        tuple(new),
        tuple(name for name in files.names if name in changed),
        tuple(sorted(deleted)),
        tuple(name for name in touched if name not in changed),
        len(files.names) - len(new) - len(changed),
    )


def _rows(target: Target) -> tuple[dict[str, tuple[int, int | None, str]], set[str]]:
    """Return size, time (ns) and SHA-256 by path, and the paths that several rows have."""
    from dataplat.lake.arrow_alone import keep_pandas_out

    keep_pandas_out()
    import pyarrow as pa

    from dataplat.lake.scan import scan

    manifest = target.manifest
    assert manifest is not None
    held: dict[str, tuple[int, int | None, str]] = {}
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


def _changed(files: Listing, doubtful: list[int], held: dict[str, str], meter: Meter) -> set[str]:
    """Return which of the files have another content than their rows say."""
    from dataplat.connectors.files.tree import read_files

    changed = set()
    total, done = sum(files.sizes[number] for number in doubtful), 0
    for taken in read_files(files, doubtful):
        name = files.names[taken.number]
        if taken.sha256 != held[name]:
            changed.add(name)
        done += files.sizes[taken.number]
        meter.at_byte(done, total)
        meter.add_rows(1)
    return changed
