"""Bring objects from one store to another, hashed on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Semaphore
from typing import TYPE_CHECKING, Final, TypeAlias

from dataplat.errors import IntegrityError, ObjectExists, ObjectNotFound
from dataplat.lake._object_keys import object_key
from dataplat.lake._staged_files import StagedFiles
from dataplat.lake.stores import SupportsFiles, concurrency_of
from dataplat.versioning.export._copy import bring

if TYPE_CHECKING:
    from pathlib import Path

    from dataplat.lake.objects import Objects
    from dataplat.versioning.needs import Name

_AS_FILE: Final = 1 << 20
"""Bytes from which an object is copied from file to file, where both stores have files."""
_BIG: Final = 8 << 20
_BIG_AT_ONCE: Final = 2
"""So many objects of more than 8 MB are in memory at once."""

Place: TypeAlias = "Callable[[Name], str]"
"""Says under which key an object is to be written."""

Told: TypeAlias = Callable[[int], object]
"""Called with the bytes of each object that has been brought."""


def plain(name: Name) -> str:
    """Return the plain key of an object."""
    return object_key(*name)


def copy_objects(
    source: Objects, target: Objects, names: dict[Name, int], told: Told = lambda _: None, place: Place = plain
) -> None:
    """Copy objects, several at once where the stores gain by it; those that are there already are left.

    Raises:
        IntegrityError: An object is damaged or missing in the source. What was copied before stays: it is whole.
    """
    big = Semaphore(_BIG_AT_ONCE)

    def one(item: tuple[Name, int]) -> None:
        name, size = item
        if size > _BIG:
            with big:
                told(copy_object(source, target, name, place))
        else:
            told(copy_object(source, target, name, place))

    threads = max(1, min(concurrency_of(source.store), concurrency_of(target.store)))
    if threads == 1:
        for item in names.items():
            one(item)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="dataplat-copy") as pool:
        _first_error(pool, one, names.items())


def _first_error(
    pool: ThreadPoolExecutor, one: Callable[[tuple[Name, int]], None], items: Iterable[tuple[Name, int]]
) -> None:
    try:
        for _ in pool.map(one, items):
            pass
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise


def copy_object(source: Objects, target: Objects, name: Name, place: Place = plain) -> int:
    """Copy one object; return its bytes. Never a hard link: two lakes share no file."""
    path = source.local_path(*name)
    if path is not None and isinstance(target.store, SupportsFiles):
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            if size >= _AS_FILE:
                _copy_file(path, target, name, place(name))
                return size
    try:
        data = source.read(*name)
    except ObjectNotFound as error:
        raise IntegrityError(
            f"object {name[0]}{name[1]} is missing in the lake that it is to be copied from. "
            "Run `dataplat version verify` there."
        ) from error
    with suppress(ObjectExists):
        target.store.create(place(name), data)
    return len(data)


def _copy_file(path: Path, target: Objects, name: Name, key: str) -> None:
    assert isinstance(target.store, SupportsFiles)
    files = StagedFiles(target.store)
    fresh = files.new(name[1])
    try:
        bring(path, fresh, "copy")
        with fresh.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != name[0]:
            raise IntegrityError(f"{path} is damaged: its SHA-256 is {found}. It was not copied.")
        with suppress(ObjectExists):
            target.store.adopt(key, fresh)
    finally:
        files.clear()
