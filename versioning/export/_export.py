"""Export into a new folder, which appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dataplat.errors import AlreadyExists, ConfigError, StoreError
from dataplat.lake.stores import explained

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.versioning.manifest import Manifest

FORMATS = ("parquet", "csv", "ndjson", "arrow")
_LINKS = ("copy", "hardlink")


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Where an export lies, and how much of it there is."""

    directory: Path
    files: int
    rows: int
    nbytes: int


def export(
    objects: Objects, manifest: Manifest, directory: str | Path, *, file_format: str = "parquet", link: str = "copy"
) -> ExportResult:
    """Write the rows of `manifest` (of a file tree: its files) into the new folder `directory`.

    Parquet parts without deletes are copied as they are, by reflink where the file system can; `link="hardlink"`
    links them read-only instead. Raises `AlreadyExists` where the folder holds something already.
    """
    from dataplat.versioning.export._tables import write_arrow, write_csv, write_ndjson, write_parquet
    from dataplat.versioning.export._tree import is_tree, write_tree

    if file_format not in FORMATS or link not in _LINKS:
        message = f"cannot export as {file_format!r} with link={link!r}: formats are {FORMATS}, links are {_LINKS}"
        raise ConfigError(message)
    target = Path(os.path.abspath(directory))  # noqa: PTH100  (a folder `.` has no name; links are left as they are)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        message = f"{target} is there already and not empty: export into a new folder, or empty this one"
        raise AlreadyExists(message)
    writers: dict[str, Callable[[Objects, Manifest, Path, str], int]] = {
        "parquet": write_parquet,
        "csv": write_csv,
        "ndjson": write_ndjson,
        "arrow": write_arrow,
    }
    write = write_tree if file_format == "parquet" and is_tree(manifest) else writers[file_format]
    return _appear_whole(target, lambda folder: write(objects, manifest, folder, link), manifest.rows)


def _appear_whole(target: Path, write: Callable[[Path], int], rows: int) -> ExportResult:
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        files = write(partial)
        nbytes = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except StoreError:
        raise
    except OSError as error:
        raise explained(error, f"export to {target}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return ExportResult(target, files, rows, nbytes)
