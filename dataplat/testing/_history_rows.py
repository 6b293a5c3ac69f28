"""Rows of simulated histories: real manifests over parts that are small JSON objects.

A row is (key, value). A part is the JSON of its rows, its deletes a JSON list of positions, and a row's digest is
cut from a hash of it: so histories are cheap, and what they store can be read back and compared exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from pyroaring import BitMap

from dataplat.lake.digest import Digest
from dataplat.lake.part import ColumnStats, Part
from dataplat.versioning.manifest import Manifest
from dataplat.versioning.rebase import MergedDeletes, MergesDeletes

if TYPE_CHECKING:
    from dataplat.lake.objects import Stage

Row: TypeAlias = tuple[int, str]
Read: TypeAlias = Callable[[str, str], bytes]

SCHEMA: list[dict[str, Any]] = [
    {"name": "key", "type": "int64", "nullable": False},
    {"name": "value", "type": "string", "nullable": True},
]


_WRAP = (1 << 64) - 1
COLUMNS = (("key", "key"), ("value", "value"))
"""The columns at first, as (name, stored name). Others hold nothing: rows stay pairs."""


def schema_of(columns: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return a schema of these columns, given as (name, stored name)."""
    kinds = {"key": ("int64", False)}
    found = []
    for name, stored in columns:
        kind, nullable = kinds.get(stored, ("string", True))
        column = {"name": name, "type": kind, "nullable": nullable}
        found.append(column if name == stored else {**column, "stored": stored})
    return found


@lru_cache(maxsize=4096)
def row_digest(row: Row) -> Digest:
    """Return the digest of one row."""
    text = sha256(repr(row).encode()).digest()
    return Digest(1, int.from_bytes(text[:8], "big"), int.from_bytes(text[8:16], "big"))


def digest_of(rows: Iterable[Row]) -> Digest:
    """Return the sum of the digests of `rows`."""
    count = lane0 = lane1 = 0
    for row in rows:
        one = row_digest(row)
        count, lane0, lane1 = count + 1, lane0 + one.lane0, lane1 + one.lane1
    return Digest(count, lane0 & _WRAP, lane1 & _WRAP)


def stage_part(stage: Stage, rows: Sequence[Row]) -> Part:
    """Stage a part that holds `rows`."""
    data = msgspec.json.encode(rows)
    keys = [key for key, _ in rows]
    stats = {"key": ColumnStats(0, 0, min(keys), max(keys))}
    return Part(stage.put(data, ".parquet"), len(rows), len(data), "", digest_of(rows), stats)


def stage_deletes(stage: Stage, positions: Collection[int]) -> tuple[str, int]:
    """Stage deletes; return (object, cardinality)."""
    return stage.put(msgspec.json.encode(sorted(positions)), ".bin"), len(positions)


def read_part(read: Read, part: Part) -> Sequence[Row]:
    """Return all rows of a part, deleted ones too."""
    return _rows(read(part.id, ".parquet"))


def read_deletes(read: Read, id: str | None) -> frozenset[int]:
    """Return deleted positions."""
    return _NONE if id is None else _positions(read(id, ".bin"))


_NONE: frozenset[int] = frozenset()


@lru_cache(maxsize=4096)
def _rows(data: bytes) -> tuple[Row, ...]:
    return msgspec.json.decode(data, type=tuple[tuple[int, str], ...])


@lru_cache(maxsize=4096)
def _positions(data: bytes) -> frozenset[int]:
    return frozenset(msgspec.json.decode(data, type=list[int]))


def live(read: Read, part: Part) -> Iterator[tuple[int, Row]]:
    """Yield (position, row) of the rows of a part that count."""
    gone = read_deletes(read, part.deletes)
    return ((at, row) for at, row in enumerate(read_part(read, part)) if at not in gone)


def content(read: Read, manifest: Manifest) -> Counter[Row]:
    """Return the rows of a version, as a multiset."""
    found: list[Row] = []
    for part in manifest.parts():
        gone, rows = read_deletes(read, part.deletes), read_part(read, part)
        found += [row for at, row in enumerate(rows) if at not in gone] if gone else rows
    return Counter(found)


@dataclass(frozen=True, slots=True)
class JsonCodec:
    """How a change is carried past compactions: deletes as such parts have them."""

    of: Stage
    read: Read

    def load(self, id: str | None) -> BitMap:
        """Return the positions in a deletes object."""
        return BitMap(read_deletes(self.read, id))

    def stage(self, positions: Iterable[int]) -> tuple[str | None, int]:
        """Stage positions; return (object, cardinality)."""
        found = set(map(int, positions))
        return stage_deletes(self.of, found) if found else (None, 0)


def unites(stage: Stage, read: Read) -> MergesDeletes:
    """Return what unites deletes of such parts."""

    def unite(part: Part, ours: str, theirs: str) -> MergedDeletes:
        before, mine, other = (read_deletes(read, id) for id in (part.deletes, ours, theirs))
        return MergedDeletes(*stage_deletes(stage, mine | other), overlap=len((mine - before) & (other - before)))

    return unite
