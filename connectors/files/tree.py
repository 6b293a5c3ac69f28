"""A directory of any files as a dataset: one row per file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from dataplat.connectors.source import Item, Position, Progress, Split


def files_below(path: Path) -> list[Path]:
    """Return the files below `path` in order, but hidden ones and those whose name begins with `_`."""
    found = []
    for file in sorted(path.rglob("*")):
        parts = file.relative_to(path).parts
        if file.is_file() and not any(part.startswith((".", "_")) for part in parts):
            found.append(file)
    return found


class TreeSource:
    """Placeholder."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
