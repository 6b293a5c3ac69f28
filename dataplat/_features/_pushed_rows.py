"""Which pushed rows a request could see beside a snapshot: what an audit puts on top of a snapshot's sources.

`features.sequences` says from which sequence on a service saw a row, `features.pushed` has the rows that landed; what has not
landed, or is served from an overlay still, the online store has. A version of a dataset holds the rows of which the ids were
there at its commit, since both are of one commit. All is read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from dataplat._features._pushed_names import LOG, PUSHED, SEQUENCES, datasets_of, landed_by
from dataplat._heads import version_at

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService

EVER: Final = (1 << 63) - 1
"""A time, and a sequence, behind all others."""


@dataclass
class PushedRows:
    """The rows that were pushed to the sources of a service.

    Attributes:
        store: the feature store.
        service: the service.
    """

    store: FeatureStore
    service: FeatureService
    _held: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    _read: dict[str, pa.Table] = field(default_factory=dict)

    def up_to(self, pins: Mapping[str, str], sequence: int, t: int = EVER) -> dict[str, pa.Table]:
        """Return by dataset the rows that were pushed up to a sequence and are not in the versions that are pinned.

        Args:
            pins: what a snapshot was made from.
            sequence: of the newest row that a request saw.
            t: when the last of those requests was: where the online store was lost, sequences began anew after it.
        """
        import pyarrow as pa

        found: dict[str, pa.Table] = {}
        for dataset, seen in self._sequences.items():
            ids = [id for id, at in seen.items() if at <= sequence and self._anew.get((dataset, id), t) <= t]
            if not ids:
                continue
            held = self._in(dataset, pins[dataset]) if dataset in pins else frozenset()
            tables = [self._table(dataset, id) for id in ids if id not in held]
            if tables:
                found[dataset] = pa.concat_tables(tables, promote_options="permissive")
        return found

    @cached_property
    def _sequences(self) -> dict[str, dict[str, int]]:
        """By dataset and id the sequence from which on the service saw a row."""
        import polars as pl

        space, names = self.service.reference, datasets_of(self.service)
        found: dict[str, dict[str, int]] = {}
        version = version_at(self.store.lake, SEQUENCES, self.store.branch)
        if version is not None:
            rows = version.to_arrow(columns=["dataset", "id", "sequence"], where=pl.col("space") == space)
            for row in rows.sort_by("sequence").to_pylist():
                found.setdefault(row["dataset"], {}).setdefault(row["id"], row["sequence"])
        for sequence, each in self.store.online.pending(space):
            base, _, id = each.idempotency.decode().partition(":")
            if base in names:
                found.setdefault(names[base], {}).setdefault(id, sequence)
        return found

    @cached_property
    def _anew(self) -> dict[tuple[str, str], int]:
        """When rows were pushed whose sequence had been given to one before: the store had been lost in between."""
        every = [
            (self._rows[dataset, id][0], at, dataset, id)
            for dataset, seen in self._sequences.items()
            for id, at in seen.items()
            if (dataset, id) in self._rows
        ]
        found, highest = {}, 0
        for known, at, dataset, id in sorted(every):
            if at <= highest:
                found[dataset, id] = known
            highest = max(highest, at)
        return found

    @cached_property
    def _rows(self) -> dict[tuple[str, str], tuple[int, bytes]]:
        """By dataset and id when rows were pushed, and they, as they were noted down."""
        import polars as pl

        datasets = list(self._sequences)
        found = {
            (dataset, row.idempotency.decode()): (row.k, row.row)
            for dataset in datasets
            for _, row in self.store.online.pending(LOG + dataset)
        }
        version = version_at(self.store.lake, PUSHED, self.store.branch)
        if version is not None:
            wanted = pl.col("dataset").is_in(datasets)
            names = [name for name in ("dataset", "id", "known", "row") if name in version.schema.names]
            for row in version.to_arrow(columns=names, where=wanted).to_pylist():
                found[row["dataset"], row["id"]] = row.get("known", 0), row["row"]
        return found

    def _table(self, dataset: str, id: str) -> pa.Table:
        import pyarrow as pa

        key = f"{dataset}:{id}"
        if key not in self._read:
            self._read[key] = pa.ipc.open_stream(self._rows[dataset, id][1]).read_all()
        return self._read[key]

    def _in(self, dataset: str, version: str) -> frozenset[str]:
        """Return the ids of the pushed rows that a version of a dataset holds."""
        if (dataset, version) not in self._held:
            self._held[dataset, version] = self._ids_at(dataset, version)
        return self._held[dataset, version]

    def _ids_at(self, dataset: str, version: str) -> frozenset[str]:
        import polars as pl

        pushed = landed_by(self.store, dataset, version, self.store.lake.refs.head(self.store.branch).commit)
        if pushed is None:
            return frozenset()
        return frozenset(pushed.to_arrow(columns=["id"], where=pl.col("dataset") == dataset)["id"].to_pylist())
