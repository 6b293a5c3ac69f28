"""Export into a folder, which appears whole or not at all; a DVC, Delta or Iceberg one may be exported into again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dataplat.errors import ConfigError
from dataplat.versioning.export._far import export_far, is_far
from dataplat.versioning.export._target import (
    ExportResult,
    Origin,
    absolute,
    appear_whole,
    held,
    refuse_full,
    refuse_lake,
    size_below,
)

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.versioning.manifest import Manifest

FORMATS = ("parquet", "csv", "ndjson", "arrow", "dvc", "iceberg", "delta")
_LINKS = ("copy", "hardlink")


def export(
    objects: Objects,
    manifest: Manifest,
    directory: str | Path,
    *,
    origin: Origin,
    to: str = "parquet",
    link: str = "copy",
    remote: str | Path | None = None,
) -> ExportResult:
    """Write the rows of `manifest` (of a file tree: its files) into the folder, or to the URL, `directory`.

    Parquet parts without deletes are copied as they are, by reflink where the file system can; `link="hardlink"`
    links them read-only instead. Into a DVC repository, and a Delta or Iceberg table, that dataplat exported before
    only what differs is brought. `remote` is the folder of the DVC remote.

    Raises:
        AlreadyExists: The folder holds something else already, or there is anything at the URL.
        ConfigError: There is no such format, it does not go to a URL, or the folder is the lake's.
        SchemaError: The format cannot hold a column.
    """
    if to not in FORMATS or link not in _LINKS:
        message = f"cannot export to {to!r} with link={link!r}: formats are {FORMATS}, links are {_LINKS}"
        raise ConfigError(message)
    if remote is not None and to != "dvc":
        raise ConfigError(f"remote is the folder of a DVC remote: it does not go with an export to {to}")
    if is_far(directory):

        def made(folder: Path) -> ExportResult:
            return export(objects, manifest, folder, origin=origin, to=to)

        return export_far(str(directory), to, made)
    target = absolute(_folder(directory))
    refuse_lake(objects, target, above=to != "dvc")  # a repository may well hold the lake
    with held(objects, manifest.id):
        if to == "dvc":
            from dataplat.versioning.export._dvc import export_dvc

            return export_dvc(objects, manifest, target, origin, link=link, remote=remote)
        if to == "delta":
            from dataplat.versioning.export._delta import export_delta

            return export_delta(objects, manifest, target, origin, link=link)
        if to == "iceberg":
            from dataplat.versioning.export._iceberg import export_iceberg

            return export_iceberg(objects, manifest, target, origin)
        return _files(objects, manifest, target, to, link)


def _folder(directory: str | Path) -> str | Path:
    """Return the folder that a `file:///…` URL names, or what was given."""
    scheme, separator, rest = str(directory).partition("://")
    return rest if separator and scheme.lower() == "file" else directory


def _files(objects: Objects, manifest: Manifest, target: Path, to: str, link: str) -> ExportResult:
    from dataplat.versioning.export._tables import write_arrow, write_csv, write_ndjson, write_parquet
    from dataplat.versioning.export._tree import is_tree, write_tree

    refuse_full(target)
    writers: dict[str, Callable[[Objects, Manifest, Path, str], int]] = {
        "parquet": write_parquet,
        "csv": write_csv,
        "ndjson": write_ndjson,
        "arrow": write_arrow,
    }
    write = write_tree if to == "parquet" and is_tree(manifest) else writers[to]

    def written(folder: Path) -> tuple[int, int]:
        return write(objects, manifest, folder, link), size_below(folder)

    files, nbytes = appear_whole(target, written)
    return ExportResult(target, files, manifest.rows, nbytes)
