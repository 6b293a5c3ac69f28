"""Bring back the tree of files that a dataset of files was made of."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dataplat.errors import IntegrityError, SchemaError
from dataplat.versioning.export._copy import bring

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.versioning.manifest import Manifest

_COLUMNS = ["path", "size", "media_type", "sha256", "modified", "content", "object"]


def is_tree(manifest: Manifest) -> bool:
    """Whether the rows are files: the dataset has exactly the columns that a folder of files lands with."""
    return [field["name"] for field in manifest.schema_json] == _COLUMNS


def write_tree(objects: Objects, manifest: Manifest, folder: Path, link: str) -> int:
    """Write every file under its path, with its bytes and its time of modification."""
    import pyarrow as pa

    from dataplat.lake.scan import scan

    nanoseconds = pa.timestamp("ns", "UTC")
    files, made = 0, {""}
    names = ["path", "content", "object", "modified"]
    for batch in scan(objects, manifest.parts(), manifest.schema, columns=names, batch_rows=256):
        times = batch.column("modified").cast(nanoseconds).cast(pa.int64()).to_pylist()
        columns = (batch.column(name).to_pylist() for name in names[:3])
        for path, content, object_id, time in zip(*columns, times, strict=True):
            row = {"path": path, "content": content, "object": object_id}
            _make_folder(folder, row, made)
            _write_file(objects, row, time, folder, link)
            files += 1
    return files


def _make_folder(folder: Path, row: dict[str, Any], made: set[str]) -> None:
    """Make the folder that a file lies in; `made` are those that are there."""
    path: str = row["path"]
    inside = path.rpartition("/")[0]
    if path.startswith("/") or path.endswith("..") or inside not in made:
        (folder / path_inside(row)).parent.mkdir(parents=True, exist_ok=True)
        made.add(inside)


def _write_file(objects: Objects, row: dict[str, Any], modified: int | None, folder: Path, link: str) -> None:
    """Write a file, which is not there yet. By text and numbers: a Path each costs as much as making the file."""
    target = f"{folder}/{row['path']}"
    if row["object"] is not None:
        if os.path.lexists(target):
            raise twice(row)
        _write_object(objects, row["object"], Path(target), link)
        if modified is not None and link != "hardlink":  # a hard link is the object itself, whose time is its own
            os.utime(target, ns=(modified, modified))
        return
    try:
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        raise twice(row) from None
    try:
        left = memoryview(row["content"] or b"")
        while left:
            left = left[os.write(file, left) :]
        if modified is not None:
            os.utime(file, ns=(modified, modified))
    finally:
        os.close(file)


def path_inside(row: dict[str, Any]) -> PurePosixPath:
    """Return where the file of a row lies; raise `SchemaError` where that is not inside of its folder."""
    inside = PurePosixPath(row["path"])
    if inside.is_absolute() or ".." in inside.parts:
        message = f"the path {row['path']!r} leads out of the folder: it is not written"
        raise SchemaError(message)
    return inside


def twice(row: dict[str, Any]) -> SchemaError:
    """Return the error of a path that two rows have."""
    return SchemaError(f"two rows have the path {row['path']!r}: delete one of them, then export again")


def write_content(objects: Objects, row: dict[str, Any], target: Path, link: str) -> None:
    """Write the bytes of the file of a row as `target`."""
    if row["object"] is None:
        target.write_bytes(row["content"] or b"")
    else:
        _write_object(objects, row["object"], target, link)


def _write_object(objects: Objects, object_id: str, target: Path, link: str) -> None:
    source = objects.local_path(object_id, ".bin")
    if source is None:
        target.write_bytes(objects.read(object_id, ".bin"))
        return
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != object_id:  # a copy would hand damage on
        message = f"{source} is damaged: its SHA-256 is not its name. `dataplat version verify` lists what is."
        raise IntegrityError(message)
    bring(source, target, link)
