"""Files of parts whose bytes have been hashed, for engines that would turn a flipped bit into a wrong row.

Polars, DuckDB and Spark do not check page CRCs. So they are given a part's file only after its SHA-256 was found
to be its name, once: what was verified is remembered by path, inode, size and modification time in a file of the
user's cache. A file that was touched since is hashed anew.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from dataplat.errors import IntegrityError, ObjectNotFound, StoreError
from dataplat.lake._cache_dir import cache_dir
from dataplat.lake._damage import damaged, missing
from dataplat.lake.stores import ObjectCache, cache_of

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

SUFFIX: Final = ".parquet"
_BLOCK: Final = 1 << 20
_COMPACT: Final = 1 << 20  # bytes of record from which it is rewritten when most of it is out of date
_THREADS: Final = 2

Mark: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size and modification time (ns) of a file."""


def verified_paths(objects: Objects, parts: Sequence[Part], *, cache: Path | None = None) -> list[str]:
    """Return for each part a local file whose SHA-256 has been verified.

    Files of a local store are given in place; parts of a remote one are brought into the cache, hashed on the way.
    They stay there while the cache has room for them.

    Args:
        objects: Where the parts lie.
        parts: The parts.
        cache: The folder to remember in, `cache_dir()` by default. If it cannot be written nothing is remembered.

    Raises:
        IntegrityError: A part is missing or its bytes are not what was written.
        StoreError: A remote part found no room in the cache.
    """
    folder = cache_dir() if cache is None else cache
    copies = cache_of(objects.store) or ObjectCache(folder)
    by_id = {part.id: part for part in parts}
    with ThreadPoolExecutor(_THREADS) as pool:
        paths = dict(zip(by_id, pool.map(lambda part: _local_file(objects, part, copies), by_id.values()), strict=True))
        record = Record(folder / "verified")
        unknown = [part for part in by_id.values() if not record.holds(paths[part.id], part.id)]
        record.add(pool.map(lambda part: _checked(objects, part, paths[part.id], copies), unknown))
    return [str(paths[part.id]) for part in parts]


def forget(ids: Iterable[str], *, cache: Path | None = None) -> None:
    """Remove the copies of objects (by id) that the cache has of remote stores."""
    copies = ObjectCache(cache_dir() if cache is None else cache)
    for object_id in ids:
        for suffix in (SUFFIX, ".bin"):
            copies.drop(object_id, suffix)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was verified: which part it is and what it looked like."""

    path: Path
    part: str
    mark: Mark


class Record:
    """The files verified before, one line each, in one file that any number of processes append to.

    Each line is written by a single append and carries a checksum, so a line torn by a crash, or by a file system
    that mixes appends, is only forgotten. Later lines win.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, tuple[str, Mark]] = {}
        lines = _read_lines(file)
        for line in lines:
            if (entry := _parse(line)) is not None:
                self._known[str(entry.path)] = entry.part, entry.mark
        if sum(map(len, lines)) > _COMPACT and len(lines) > 2 * len(self._known):
            self._compact()

    def holds(self, path: Path, part: str) -> bool:
        """Return whether the file was verified to be the part and has not been touched since."""
        known = self._known.get(str(path))
        if known is None or known[0] != part:
            return False
        try:
            return known[1] == mark_of(path)
        except OSError:
            return False

    def add(self, entries: Iterable[Entry]) -> None:
        """Remember files; a cache that cannot be written only costs time."""
        lines = []
        for entry in entries:
            self._known[str(entry.path)] = entry.part, entry.mark
            lines.append(_format(entry))
        if lines:
            with suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                try:
                    # the line break in front ends a line that a crash has torn
                    os.write(descriptor, b"\n" + b"".join(lines))
                finally:
                    os.close(descriptor)

    def _compact(self) -> None:
        """Rewrite the file with what still holds; what others add meanwhile may be forgotten."""
        fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        with suppress(OSError):
            entries = (Entry(Path(path), part, mark) for path, (part, mark) in self._known.items())
            fresh.write_bytes(b"".join(_format(entry) for entry in entries if entry.path.exists()))
            fresh.replace(self._file)


def mark_of(path: Path) -> Mark:
    """Return what tells one state of a file from another."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read_lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().split(b"\n")
    except OSError:
        return []


def _format(entry: Entry) -> bytes:
    text = " ".join(map(str, (*entry.mark, entry.part))).encode() + b" " + os.fsencode(entry.path)
    return b"%08x %s\n" % (zlib.crc32(text), text) if b"\n" not in text else b""


def _parse(line: bytes) -> Entry | None:
    if not line or line[8:9] != b" " or b"%08x" % zlib.crc32(line[9:]) != line[:8]:
        return None
    device, inode, size, modified, part, path = line[9:].split(b" ", 5)
    return Entry(Path(os.fsdecode(path)), part.decode(), (int(device), int(inode), int(size), int(modified)))


def _checked(objects: Objects, part: Part, path: Path, copies: ObjectCache) -> Entry:
    """Verify a file; a fetched copy that is damaged is fetched again."""
    try:
        return _verified(part, path)
    except IntegrityError:
        if path != copies.path(part.id, SUFFIX):
            raise
        copies.drop(part.id, SUFFIX)
        return _verified(part, _local_file(objects, part, copies))


def _verified(part: Part, path: Path) -> Entry:
    """Hash a file; raise `IntegrityError` unless it is the part."""
    digest = hashlib.sha256()
    try:
        before = mark_of(path)
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        after = mark_of(path)
    except FileNotFoundError as error:
        raise missing(part) from error
    except OSError as error:
        raise damaged(part, str(path), str(error)) from error
    if digest.hexdigest() != part.id or before != after:
        raise damaged(part, str(path), "its SHA-256 is not its name")
    return Entry(path, part.id, after)


def _local_file(objects: Objects, part: Part, copies: ObjectCache) -> Path:
    """Return where the part lies in a local file, after fetching it where it does not."""
    if objects.stage is not None and objects.stage.holds(part.id, SUFFIX):
        return Path(objects.stage.path_or_url(part.id, SUFFIX))
    if (path := objects.local_path(part.id, SUFFIX)) is not None:
        return path
    if (kept := copies.find(part.id, SUFFIX)) is not None:
        return kept
    try:
        data = objects.read(part.id, SUFFIX)
    except ObjectNotFound as error:
        raise missing(part) from error
    copies.write(part.id, SUFFIX, data)  # where reading it has not done so
    kept = copies.path(part.id, SUFFIX)
    if not kept.exists():
        raise StoreError(
            f"there is no room for part {part.id} ({part.size:,} bytes) in the cache {copies.folder}: free some on its "
            "file system, or raise `cache_size`"
        )
    return kept
