"""Sorted facts of parts, remembered on this machine: files that are mapped into memory, so they cost no memory of their own.

    <folder>/<computation>/<parts and deletes>.run        an Arrow IPC file, and behind it the hash of its bytes

A part never changes, so its facts never do: they are sorted once. What is here can be made again from the lake; a torn or
damaged file is as good as none: each is hashed when it is first read, and then not again until the machine starts anew, as long
as it is the same file (`dataplat.lake.verified`). Files that were used longest ago go when all together are too large.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import xxhash

from dataplat.feature_store.definitions import FeatureView, Sql
from dataplat.feature_store.kernel import VERSION
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.kernel.order import columns_of
from dataplat.feature_store.kernel.tables import facts_from_table, facts_to_table
from dataplat.lake._cache_dir import cache_dir
from dataplat.lake.verified import Entry, Record, mark_of

if TYPE_CHECKING:
    import pyarrow as pa

SIZE: Final = 20_000_000_000
"""Bytes that remembered facts take at most, all views of all lakes together."""
_HASH: Final = 16
_FORMAT: Final = 2
"""Of the files; it rises when they are laid out otherwise."""


@dataclass(frozen=True)
class Runs:
    """Facts that are remembered in a folder, at most `size` bytes of them."""

    folder: Path
    size: int = SIZE

    @classmethod
    def of_user(cls) -> Runs:
        """Return those in the user's cache."""
        return cls(cache_dir() / "features")

    @cached_property
    def _verified(self) -> Record:
        """The files that were hashed."""
        return Record(self.folder / "verified")

    def read(self, view: FeatureView, schema: pa.Schema, name: str) -> Facts | None:
        """Return the facts that `name` stands for, mapped into memory until they are let go; None: they are not here.

        Args:
            view: whose facts they are.
            schema: of its source: in which types rows are read.
            name: what they are facts of.
        """
        path = self._path(view, schema, name)
        try:
            table = self._mapped(path)
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        except OSError:
            return None
        return None if table is None else facts_from_table(table, view)

    def _mapped(self, path: Path) -> pa.Table | None:
        """Map a file, unless it is damaged."""
        import pyarrow as pa

        mark = mark_of(path)
        with pa.memory_map(str(path)) as file:
            whole = file.read_buffer()
        if len(whole) < _HASH:
            return None
        data = whole.slice(0, len(whole) - _HASH)
        if not self._verified.holds(path, _boot()):
            if xxhash.xxh3_128(memoryview(data)).digest() != whole.slice(len(data)).to_pybytes():
                return None
            if _boot():
                self._verified.add([Entry(path, _boot(), mark)])
        return pa.ipc.open_file(data).read_all()

    def keep(self, view: FeatureView, schema: pa.Schema, name: str, made: Facts) -> bool:
        """Remember facts; False where they cannot be: the disk is full, or read only."""
        try:
            self._write(self._path(view, schema, name), made)
        except OSError:  # it is made again next time
            return False
        return self.size > 0

    def facts(self, view: FeatureView, schema: pa.Schema, name: str, make: Callable[[], Facts]) -> Facts:
        """Return the facts that `name` stands for, made now if they are not here."""
        found = self.read(view, schema, name)
        if found is not None:
            return found
        made = make()
        return (self.keep(view, schema, name, made) and self.read(view, schema, name)) or made

    def has(self, view: FeatureView, schema: pa.Schema, name: str) -> bool:
        """Say whether there is a file, whole or not."""
        return self._path(view, schema, name).exists()

    def clear(self) -> None:
        """Forget all."""
        for path in self.folder.glob("*/*.run"):
            path.unlink(missing_ok=True)  # who has it mapped keeps it until it ends

    def _path(self, view: FeatureView, schema: pa.Schema, name: str) -> Path:
        return self.folder / computation(view, schema) / f"{name}.run"

    def _write(self, path: Path, made: Facts) -> None:
        import pyarrow as pa

        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{os.getpid()}-{os.urandom(6).hex()}")
        table = facts_to_table(made)
        try:
            with fresh.open("wb") as file:
                hashed = _Hashed(file)
                with pa.ipc.new_file(pa.PythonFile(hashed, "w"), table.schema) as writer:
                    writer.write_table(table.combine_chunks(), max_chunksize=max(table.num_rows, 1))
                file.write(hashed.state.digest())
            fresh.rename(path)
        finally:
            fresh.unlink(missing_ok=True)
        self._evict()

    def _evict(self) -> None:
        held = sorted((each.stat().st_atime, each.stat().st_size, each) for each in self.folder.glob("*/*.run"))
        over = sum(size for _, size, _ in held) - self.size
        for _, size, path in held[:-1]:
            if over <= 0:
                return
            path.unlink(missing_ok=True)  # who has it mapped keeps it
            over -= size


def computation(view: FeatureView, schema: pa.Schema) -> str:
    """Return the id of what facts are: all of a view that they depend on, types, and the version of the kernel."""
    told = view.view
    types = {name: str(schema.field(name).type) for name in columns_of(view) if name in schema.names}
    about = [
        VERSION,
        _FORMAT,
        told.source.query if isinstance(told.source, Sql) else None,
        [[column, entity] for column, entity in told.keys],
        [entity.dtype for entity in told.entities],
        [told.timestamp, told.known_at, told.delay, told.where, told.zone, told.history],
        list(told.row_key),
        list(told.columns),
        types,
    ]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]


class _Hashed:
    """A file that hashes what is written to it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.state = xxhash.xxh3_128()
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.state.update(view)
        written: int = self._file.write(view)
        return written

    def tell(self) -> int:
        place: int = self._file.tell()
        return place

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True


@lru_cache(maxsize=1)
def _boot() -> str:
    """Return what is another after the machine has started anew, when what was written may have been lost; "": not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
