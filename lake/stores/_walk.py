"""Listing the files below a folder in the order of their keys."""

# ruff: noqa: PTH116, PTH118, PTH208
# Paths are strings here: these are bare system calls, and Path objects would double their cost.

from __future__ import annotations

import os
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from stat import S_ISDIR, S_ISREG

from dataplat.lake.stores._keys import STAGING
from dataplat.lake.stores._protocol import ObjectInfo


def walk(root: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """Yield what lies below `root` under keys that begin with `prefix` and sort after `after` (or "").

    Only folders that can hold such keys are read, and only what is yielded is looked at: the first of 10,000 names
    costs a few milliseconds. Names come off a heap, so that they need not all be sorted.
    """
    base, slash, start = prefix.rpartition("/")
    yield from _folder(root, base + slash, start, after)


def _folder(root: str, base: str, start: str, after: str) -> Iterator[ObjectInfo]:
    names = _names(root, base, start, after)
    heapify(names)
    while names:
        name = heappop(names)
        key = base + name
        if name[-1] == "/":
            yield from _folder(root, key, "", after)
            continue
        try:
            status = os.stat(f"{root}/{key}")
        except FileNotFoundError:  # deleted since the folder was read
            continue
        if S_ISDIR(status.st_mode):
            heappush(names, name + "/")  # its keys go on with a `/`, which sorts behind `a-b` and before `a0`
        elif S_ISREG(status.st_mode) and key > after and name.isascii():
            yield ObjectInfo(key, status.st_size, status.st_mtime_ns // 1000)


def _names(root: str, base: str, start: str, after: str) -> list[str]:
    """Return the names in one folder that may be, or hold, keys after `after`; none of a folder that is not there."""
    if after and base < after and not after.startswith(base):
        return []
    try:
        names = os.listdir(os.path.join(root, base))
    except (FileNotFoundError, NotADirectoryError):
        return []
    if start:
        names = [name for name in names if name.startswith(start)]
    if after.startswith(base) and (rest := after[len(base) :]):
        names = [name for name in names if name > rest or name + "/" > rest or rest.startswith(name + "/")]
    if not base and STAGING in names:
        names.remove(STAGING)
    return names
