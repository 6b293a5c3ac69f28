"""Which rows have landed, by the keys that they were pushed under: so a retry is known for one, whatever became of the log.

The log forgets a row when it landed, and all of it may be lost with the online store. `features.pushed` knows every row, but
is not searched at each push: digests of the newest ids are held, and only parts that came since are read for them. A digest
that agrees is looked up in the one part that it is of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from dataplat._features._pushed_names import PUSHED, landed_by
from dataplat._heads import version_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataplat._features._store import FeatureStore
    from dataplat._version import Version
    from dataplat.lake.part import Part
    from dataplat.versioning.commit import Commit

    Ints: TypeAlias = NDArray[np.int64]

REMEMBERED: Final = 1_000_000
"""Ids of which digests are held, the newest: 8 bytes each."""


class LandedRow(NamedTuple):
    """A row that landed, or was set aside as it should have.

    Attributes:
        known: when it was pushed, microseconds.
        row: it, as an Arrow stream.
    """

    known: int
    row: bytes


@dataclass
class Landed:
    """The newest rows that landed, as of the newest commit that was asked for. Safe to use from threads."""

    most: int = REMEMBERED
    _version: str | None = None
    _parts: dict[tuple[str, str | None], tuple[Part, Ints]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, store: FeatureStore, dataset: str, ids: Sequence[str], commit: Commit) -> dict[str, LandedRow]:
        """Return those of some rows that had landed by a commit, by id."""
        version = version_at(store.lake, PUSHED, store.branch, commit)
        if version is None:
            return {}
        with self._lock:
            if version.id != self._version:
                self._parts = self._read(version)
                self._version = version.id
            parts = list(self._parts.values())
        wanted = _digests((dataset, id) for id in ids)
        some = [part for part, held in parts if _any_in(wanted, held)]
        return _looked_up(version, some, dataset, ids) if some else {}

    def _read(self, version: Version) -> dict[tuple[str, str | None], tuple[Part, Ints]]:
        """Return the newest parts, and the sorted digests of each; those that are not held yet are read."""
        from dataplat.lake.scan import to_table

        found: dict[tuple[str, str | None], tuple[Part, Ints]] = {}
        rows = 0
        for part in reversed(version.parts):
            name = (part.id, part.deletes)
            held = self._parts.get(name)
            if held is None:
                table = to_table(version.objects, [part], version.manifest.schema, columns=["dataset", "id"])
                pairs = zip(table["dataset"].to_pylist(), table["id"].to_pylist(), strict=True)
                held = part, np.sort(_digests(pairs))
            found[name] = held
            rows += len(held[1])
            if rows >= self.most:
                break
        return found


def held_by(
    store: FeatureStore, dataset: str, rows: Mapping[str, LandedRow], version: str | None, head: Commit
) -> set[str]:
    """Return which of the rows that have landed by `head` a version of their dataset holds, or its past."""
    import polars as pl

    state = head.dataset(dataset, store.lake.objects.read)
    if version is None or not rows:
        return set()
    if state is None or state.version == version:
        return set(rows)
    then = landed_by(store, dataset, version, head)
    if then is None:
        return set()
    times = [row.known for row in rows.values()]
    wanted = (pl.col("dataset") == dataset) & pl.col("id").is_in(list(rows))
    if "known" in then.schema.names:
        wanted &= (pl.col("known") >= min(times)) & (pl.col("known") <= max(times))
    return set(then.to_arrow(columns=["id"], where=wanted)["id"].to_pylist())


def _looked_up(version: Version, parts: Sequence[Part], dataset: str, ids: Sequence[str]) -> dict[str, LandedRow]:
    import polars as pl

    from dataplat.lake.scan import to_table
    from dataplat.lake.where import parse_where

    schema = version.manifest.schema
    names = [name for name in ("id", "known", "row") if name in schema.names]
    where = parse_where((pl.col("dataset") == dataset) & pl.col("id").is_in(list(ids)), schema)
    found: list[dict[str, Any]] = to_table(version.objects, parts, schema, columns=names, where=where).to_pylist()
    return {row["id"]: LandedRow(row.get("known", 0), row["row"]) for row in found}


def _digests(pairs: Iterable[tuple[str, str]]) -> Ints:
    """Return a digest of each id, the same within this process."""
    return np.fromiter((hash(pair) for pair in pairs), np.int64)


def _any_in(wanted: Ints, held: Ints) -> bool:
    if not len(held):
        return False
    places = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    return bool((held[places] == wanted).any())
