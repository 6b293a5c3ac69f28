"""Export to a place on a store over a network: made in a folder first, then sent, what names the rest last."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dataplat.errors import AlreadyExists, ConfigError, ObjectExists
from dataplat.lake.stores import open_store

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.versioning.export._target import ExportResult

_LOG = "_delta_log"
FORMATS = ("parquet", "csv", "ndjson", "arrow", "delta")
"""What makes sense there: metadata of Iceberg names absolute paths, and a DVC repository is a folder."""


def is_far(directory: str | Path) -> bool:
    """Whether a target is a URL of a store over a network, and no folder."""
    return isinstance(directory, str) and "://" in directory and not directory.lower().startswith("file://")


def export_far(url: str, to: str, made: Callable[[Path], ExportResult]) -> ExportResult:
    """Make the export by `made` in a temporary folder, and send it to `url`.

    A Delta table is there when its log is, which is sent last; other files come one by one.

    Raises:
        ConfigError: The format does not go to a URL, or the URL is wrong.
        AlreadyExists: There is something at the URL already.
        StoreError: The store refuses, or does not answer.
    """
    if to not in FORMATS:
        raise ConfigError(f"an export to {to} goes into a folder, not to {url}; to a URL go {', '.join(FORMATS)}")
    store = open_store(url)
    there = next(iter(store.list("", limit=1)), None)
    if there is not None:
        raise AlreadyExists(f"{url} holds something already, such as {there.key}: name a place that is empty")
    with tempfile.TemporaryDirectory(prefix="dataplat-export-") as scratch:
        folder = Path(scratch) / "export"
        result = made(folder)
        for path in sorted(
            (path for path in folder.rglob("*") if path.is_file()), key=lambda path: _rank(path, folder)
        ):
            _send(store, path.relative_to(folder).as_posix(), path)
    return replace(result, directory=url)


def _rank(path: Path, folder: Path) -> tuple[bool, str]:
    inside = path.relative_to(folder)
    return inside.parts[0] == _LOG, inside.as_posix()


def _send(store: Store, key: str, path: Path) -> None:
    try:
        if not path.stat().st_size:
            store.create(key, b"")
            return
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            store.create(key, memoryview(data))
    except ObjectExists:
        if store.read(key) != path.read_bytes():  # else it is ours, and what carried it sent it twice
            raise
