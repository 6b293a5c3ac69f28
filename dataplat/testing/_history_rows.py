"""Rows of simulated histories: real manifests over parts that are small JSON objects.

A row is (key, value). A part is the JSON of its rows, its deletes a JSON list of positions, and a row's digest is
cut from a hash of it: so histories are cheap, and what they store can be read back and compared exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

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


@lru_cache(maxsize=4096)
def row_digest(row: Row) -> Digest:
    """Return the digest of one row."""
    text = sha256(repr(row).encode()).digest()
    return Digest(1, int.from_bytes(text[:8], "big"), int.from_bytes(text[8:16], "big"))


def digest_of(rows: Sequence[Row]) -> Digest:
    """Return the sum of the digests of `rows`."""
    total = Digest()
    for row in rows:
        total += row_digest(row)
    return total


def stage_part(stage: Stage, rows: Sequence[Row]) -> Part:
    """Stage a part that holds `rows`."""
    data = msgspec.json.encode(rows)
    keys = [key for key, _ in rows]
    stats = {"key": ColumnStats(0, 0, min(keys), max(keys))}
    return Part(stage.put(data, ".parquet"), len(rows), len(data), "", digest_of(rows), stats)


def stage_deletes(stage: Stage, positions: set[int]) -> tuple[str, int]:
    """Stage deletes; return (object, cardinality)."""
    return stage.put(msgspec.json.encode(sorted(positions)), ".bin"), len(positions)


def read_part(read: Read, part: Part) -> list[Row]:
    """Return all rows of a part, deleted ones too."""
    rows: list[Row] = msgspec.json.decode(read(part.id, ".parquet"), type=list[tuple[int, str]])
    return rows


def read_deletes(read: Read, id: str | None) -> set[int]:
    """Return deleted positions."""
    return set() if id is None else set(msgspec.json.decode(read(id, ".bin"), type=list[int]))


def live(read: Read, part: Part) -> Iterator[tuple[int, Row]]:
    """Yield (position, row) of the rows of a part that count."""
    gone = read_deletes(read, part.deletes)
    return ((at, row) for at, row in enumerate(read_part(read, part)) if at not in gone)


def content(read: Read, manifest: Manifest) -> Counter[Row]:
    """Return the rows of a version, as a multiset."""
    return Counter(row for part in manifest.parts() for _, row in live(read, part))


def unites(stage: Stage, read: Read) -> MergesDeletes:
    """Return what unites deletes of such parts."""

    def unite(part: Part, ours: str, theirs: str) -> MergedDeletes:
        before, mine, other = (read_deletes(read, id) for id in (part.deletes, ours, theirs))
        return MergedDeletes(*stage_deletes(stage, mine | other), overlap=len((mine - before) & (other - before)))

    return unite
