"""What a snapshot that is being made holds of the rows that were pushed, so that they leave the overlay as it goes live.

A row must be in one of the two: in the records of the snapshot, or in the overlay behind the sequence up to which it is
settled. So sources are read as of a commit at which the rows of the overlay that have landed come before all that have not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final, TypeAlias

from dataplat._features._pushed_flush import flush
from dataplat._features._pushed_names import LOG, PUSHED, SEQUENCES, datasets_of
from dataplat._heads import version_at
from dataplat.errors import SnapshotConflict

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat._version import Version
    from dataplat.feature_store.definitions import FeatureService
    from dataplat.versioning.commit import Commit

Row: TypeAlias = tuple[int, str, str]
"""(sequence, dataset, id)."""
_AGAIN: Final = 20


@dataclass
class Settling:
    """Which of the rows that a service serves from its overlay are in its sources.

    A row is in the log before it is in an overlay, or in the same step, and what lands is in the overlays before. So
    what was in the overlay and is in the log no more had landed before the head was read; of what came since `Landed` tells.

    Attributes:
        head: the commit as of which sources are read; None: nothing was flushed.
        overlay: (sequence, dataset, id) of rows, as far as the sources hold them.
    """

    store: FeatureStore
    service: FeatureService
    space: str
    head: Commit | None = None
    overlay: list[Row] = field(default_factory=list)

    @classmethod
    def before(cls, store: FeatureStore, service: FeatureService, space: str) -> Settling:
        """Look at the overlay."""
        found = cls(store, service, space)
        rows = found._rows()
        found.overlay = _first(rows, found._gone(rows))
        return found

    def flush(self) -> None:
        """Commit what was pushed to the sources, and choose the commit that is read."""
        for dataset in self._datasets:
            flush(self.store, dataset)
        for _ in range(_AGAIN):
            sure = self._gone(self._rows())
            self.head = self.store.lake.refs.head(self.store.branch).commit
            rows = self._rows()
            landed = sure | self._since(rows, sure, self.head)
            self.overlay = _first(rows, landed)
            if not any(row[1:] in landed for row in rows[len(self.overlay) :]):
                return
            self._flush_shown(rows)
        raise SnapshotConflict(
            f"{self.space}: rows are pushed to {' and '.join(self._datasets)} and land faster than they can be told apart; "
            "materialise again"
        )

    def after(self) -> tuple[int | None, int]:
        """Return the sequence up to which the sources hold the overlay's rows (None: of none), and how many these are."""
        return (self.overlay[-1][0] if self.overlay else None), len(self.overlay)

    def missed(self) -> bool:
        """Say whether rows may have been pushed since the head was read: a service without a snapshot had no overlay for them."""
        now = self.store.lake.refs.head(self.store.branch).commit
        ids = [None if version is None else version.id for version in map(self._landed_at, (self.head or now, now))]
        return ids[0] != ids[1] or any(
            True for dataset in self._datasets for _ in islice(self.store.online.pending(LOG + dataset), 1)
        )

    def _landed_at(self, commit: Commit) -> Version | None:
        return version_at(self.store.lake, PUSHED, self.store.branch, commit)

    @property
    def _datasets(self) -> list[str]:
        return list(dict.fromkeys(datasets_of(self.service).values()))

    def _rows(self) -> list[Row]:
        """Return the rows of the overlay."""
        names, found = datasets_of(self.service), []
        for sequence, row in self.store.online.pending(self.space):
            base, _, id = row.idempotency.decode().partition(":")
            found.append((sequence, names.get(base, ""), id))
        return found

    def _gone(self, rows: list[Row]) -> set[tuple[str, str]]:
        """Return which rows of the overlay the log holds no more."""
        waiting = {
            (dataset, row.idempotency.decode())
            for dataset in self._datasets
            for _, row in self.store.online.pending(LOG + dataset)
        }
        return {row[1:] for row in rows} - waiting

    def _since(self, rows: list[Row], sure: set[tuple[str, str]], head: Commit) -> set[tuple[str, str]]:
        """Return which of the rows of which it is not sure have landed by a commit."""
        found: set[tuple[str, str]] = set()
        for dataset in self._datasets:
            ids = [id for _, of, id in rows if of == dataset and (of, id) not in sure]
            if ids:
                found.update((dataset, id) for id in self.store.landed.of(self.store, dataset, ids, head))
        return found

    def _flush_shown(self, rows: list[Row]) -> None:
        """Commit the rows of the overlay, and none that came since."""
        for dataset in self._datasets:
            flush(self.store, dataset, {id for _, of, id in rows if of == dataset})

    def remember(self, space: str, count: int) -> None:
        """Keep the sequences of the rows that are about to leave the overlay."""
        import pyarrow as pa

        if not count:
            return
        columns = [list(each) for each in zip(*self.overlay[:count], strict=True)]
        rows = pa.table(
            {
                "space": [space] * count,
                "sequence": pa.array(columns[0], pa.int64()),
                "dataset": columns[1],
                "id": columns[2],
            }
        )
        message = f"features: sequences of {count:,} pushed rows of {space}"
        self.store.lake.ingest(
            rows,
            into=SEQUENCES,
            mode="upsert",
            key=["space", "sequence", "id"],
            branch=self.store.branch,
            message=message,
        )


def _first(rows: list[Row], landed: Collection[tuple[str, str]]) -> list[Row]:
    """Return the first rows that have landed, up to one that has not."""
    return list(takewhile(lambda row: row[1:] in landed, rows))
