"""Export as DVC 3 tracks data: a `.dvc` file, and its objects in a remote folder. DVC itself is not needed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from dataplat.errors import SchemaError
from dataplat.lake.memos import Memos, computation_id
from dataplat.lake.scan import scan
from dataplat.lake.schema import plain_schema
from dataplat.lake.stores import explained
from dataplat.versioning.export._dvc_repository import Repository
from dataplat.versioning.export._pieces import write_piece
from dataplat.versioning.export._target import ExportResult, Origin
from dataplat.versioning.export._tree import is_tree, path_inside, twice, write_content

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

_TREE: Final = computation_id("md5 of exported files", 1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the directory that DVC tracks: what `.dir` says of it, and its bytes."""

    relpath: str
    md5: str
    size: int


@dataclass(slots=True)
class Remote:
    """The folder of a DVC remote: objects by the MD5 of their bytes, which appear whole."""

    folder: Path
    partial: Path
    new: int = field(default=0)

    def path(self, md5: str) -> Path:
        """Return where the object lies."""
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def holds(self, md5: str, size: int) -> bool:
        """Whether the object is there, as long as it should be."""
        path = self.path(md5)
        return path.exists() and path.stat().st_size == size

    def take(self, write: Callable[[Path], None], suffix: str = "") -> tuple[str, int]:
        """Make what `write` writes an object; return its MD5 and its bytes."""
        self.partial.mkdir(parents=True, exist_ok=True)
        fresh = self.partial / "object"
        fresh.unlink(missing_ok=True)
        write(fresh)
        with fresh.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() + suffix
        size = fresh.stat().st_size
        if not self.holds(md5, size):
            target = self.path(md5)
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh.replace(target)
            self.new += 1
        return md5, size


def export_dvc(
    objects: Objects, manifest: Manifest, target: Path, origin: Origin, *, link: str, remote: str | Path | None
) -> ExportResult:
    """Write `<dataset>.dvc` below `target`, last of all, after its objects are in the remote.

    The rows become a folder of Parquet files, one a part, named by the part's place, so that `dvc diff` names what
    changed; a file tree becomes its files. MD5s are remembered as memos, so another export reads only new parts.
    """
    try:
        repository = Repository.at(target, remote)
        store = Remote(repository.remote, repository.remote / f".partial-{os.getpid()}")
        try:
            entries = sorted(_entries(objects, manifest, store, link), key=lambda entry: entry.relpath)
            listing = [{"md5": entry.md5, "relpath": entry.relpath} for entry in entries]
            text = json.dumps(listing, sort_keys=True).encode()  # with other separators `dvc status` never settles
            md5, _ = store.take(lambda path: _write(path, text), ".dir")
        finally:
            shutil.rmtree(store.partial, ignore_errors=True)
        nbytes = sum(entry.size for entry in entries)
        repository.track(origin.dataset, _out(md5, nbytes, len(entries)), _meta(manifest, origin))
    except OSError as error:
        raise explained(error, f"export to {target}") from error
    notes = [f"{store.new:,} new objects in {repository.remote}", *repository.notes()]
    return ExportResult(target, len(entries), manifest.rows, nbytes, tuple(notes))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _out(md5: str, nbytes: int, files: int) -> dict[str, str | int]:
    return {"md5": md5, "size": nbytes, "nfiles": files, "hash": "md5"}


def _meta(manifest: Manifest, origin: Origin) -> dict[str, str]:
    return {"dataset": origin.dataset, "version": manifest.id, "commit": origin.commit}


def _entries(objects: Objects, manifest: Manifest, remote: Remote, link: str) -> Iterator[Entry]:
    if is_tree(manifest):
        yield from _tree_entries(objects, manifest, remote, link)
        return
    schema = plain_schema(manifest.schema)
    live = [part for part in manifest.parts() if part.live]
    memo = computation_id("md5 of an exported part", 1, schema=manifest.schema_json)
    for part in live:

        def written(path: Path, part: Part = part) -> None:
            write_piece(objects, part, manifest, schema, path, link)

        known = _known(objects, memo, part, remote, written)
        yield Entry(f"part-{part.place:012d}.parquet", *known)
    if not live:
        empty = remote.take(lambda path: pq.write_table(schema.empty_table(), path))
        yield Entry(f"part-{0:012d}.parquet", *empty)


def _known(objects: Objects, memo: str, part: Part, remote: Remote, write: Callable[[Path], None]) -> tuple[str, int]:
    """Return MD5 and bytes of a part's file, which is in the remote then; it is read only where it was not."""
    memos = Memos(objects.store)
    known = memos.get(memo, part.id, part.deletes)
    if known is not None and remote.holds(known[0], known[1]):
        return known[0], known[1]
    made = remote.take(write)
    memos.put(list(made), memo, part.id, part.deletes)
    return made


def _tree_entries(objects: Objects, manifest: Manifest, remote: Remote, link: str) -> Iterator[Entry]:
    memos, seen = Memos(objects.store), set[str]()
    for part in manifest.parts():
        if not part.live:
            continue
        known = memos.get(_TREE, part.id, part.deletes)
        if known is None or not all(remote.holds(md5, size) for _, md5, size in known):
            known = [_file(objects, row, remote, link) for row in _rows(objects, manifest, part)]
            memos.put(known, _TREE, part.id, part.deletes)
        for path, md5, size in known:
            if path in seen:
                raise twice({"path": path})
            seen.add(path)
            yield Entry(path, md5, size)
    if not seen:
        raise SchemaError("there is no file in this version, and DVC cannot track an empty folder: nothing was written")


def _rows(objects: Objects, manifest: Manifest, part: Part) -> Iterator[dict[str, Any]]:
    for batch in scan(objects, [part], manifest.schema, columns=["path", "content", "object"], batch_rows=256):
        yield from batch.to_pylist()


def _file(objects: Objects, row: dict[str, Any], remote: Remote, link: str) -> list[Any]:
    path = str(path_inside(row))
    md5, size = remote.take(lambda fresh: write_content(objects, row, fresh, link))
    return [path, md5, size]
