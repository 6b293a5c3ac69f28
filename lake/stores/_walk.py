"""Listing the files below a folder in the order of their keys."""

# ruff: noqa: PTH118
# Paths are strings here: these are bare system calls, and Path objects would double their cost.

from __future__ import annotations

import os
from collections.abc import Iterator
from heapq import heapify, heappop
from stat import S_ISREG

from dataplat.lake.stores._keys import STAGING
from dataplat.lake.stores._protocol import ObjectInfo


def walk(root: str, prefix: str, after: str, *, lazily: bool) -> Iterator[ObjectInfo]:
    """Yield what lies below `root` under keys that begin with `prefix` and sort after `after` (or "").

    Only folders that can hold such keys are read. `lazily` says that few of them will be taken, so that a folder's
    names need not all be sorted.
    """
    base, slash, start = prefix.rpartition("/")
    yield from _folder(root, base + slash, start, after, lazily=lazily)


def _folder(root: str, base: str, start: str, after: str, *, lazily: bool) -> Iterator[ObjectInfo]:
    names = _entries(root, base, start, after)
    for name, entry in _popped(names) if lazily else sorted(names, key=lambda found: found[0]):
        if name.endswith("/"):
            yield from _folder(root, base + name, "", after, lazily=lazily)
            continue
        try:
            status = entry.stat()
        except FileNotFoundError:  # deleted since the folder was read
            continue
        if S_ISREG(status.st_mode):  # not a socket, or what else others may leave here
            yield ObjectInfo(base + name, status.st_size, status.st_mtime_ns // 1000)


def _entries(root: str, base: str, start: str, after: str) -> list[tuple[str, os.DirEntry[str]]]:
    """Return name and entry of what lies in one folder; a folder's name ends in `/`, as its keys go on."""
    found = []
    try:
        with os.scandir(os.path.join(root, base)) as entries:
            for entry in entries:
                name = entry.name
                if not name.startswith(start) or not name.isascii() or (not base and name == STAGING):
                    continue
                if entry.is_dir():
                    name += "/"
                key = base + name
                if key > after or (name[-1] == "/" and after.startswith(key)):
                    found.append((name, entry))
    except (FileNotFoundError, NotADirectoryError):
        pass
    return found


def _popped(names: list[tuple[str, os.DirEntry[str]]]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    entries = dict(names)
    heap = [name for name, _ in names]
    heapify(heap)
    while heap:
        name = heappop(heap)
        yield name, entries[name]
