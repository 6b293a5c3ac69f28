"""Rows that are served at once, and land in their dataset later: each once, whatever dies in between.

    push:     the log of the dataset and the overlay of every service that reads it, in one step where the store can
    flush:    overlays that lack a row → one commit: the rows, and their ids in `features.pushed` → the log forgets them
    settle:   a snapshot that holds the rows takes them out of the overlay, in the step that makes it live

What is pushed first under a key is what counts, whatever comes under it later: the log has it, and `features.pushed` when it
landed. Which row had which sequence in which service is kept in `features.sequences`, before it leaves the overlay: an audit
has to know what a request could see.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dataplat._features._pushed_landed import LandedRow, held_by
from dataplat._features._pushed_names import LOG, grown_by
from dataplat._features._pushed_overlays import Overlay, overlays
from dataplat._features._pushed_types import refitted, row_bytes, row_of, typed
from dataplat._features._registry import resolve_view
from dataplat._features._row_query import Shown, of_view
from dataplat._features._spine import spine_of
from dataplat._heads import version_at
from dataplat.errors import ConfigError, SchemaError
from dataplat.feature_store.definitions import FeatureView, Sql
from dataplat.feature_store.kernel.order import unordered
from dataplat.feature_store.online.store import Pushed
from dataplat.versioning.history import show_time

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat.versioning.commit import Commit


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push did.

    Attributes:
        view: the view.
        rows: that were taken.
        known_at: the known time that they were stamped with, microseconds UTC.
        sequences: by service the sequence from which on reads see them.
    """

    view: str
    rows: int
    known_at: int
    sequences: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; the time as in answers, RFC 3339."""
        known_at = show_time(self.known_at).replace("+00:00", "Z")
        return {"view": self.view, "rows": self.rows, "known_at": known_at, "sequences": self.sequences}


def push(
    store: FeatureStore, view: FeatureView | str, rows: Any, idempotency: str | Sequence[str] | None = None
) -> PushResult:
    """Serve rows from now on, and note them down for their dataset."""
    meant = resolve_view(store, view)
    dataset = pushed_to(meant)
    head = store.lake.refs.head(store.branch).commit
    schema = _schema(store, dataset, head)
    served, known = overlays(store, dataset)
    stamp = _stamp(store, served)
    known = known | ({meant.view.known_at} if meant.view.known_at else set())
    table = typed(dataset, schema, spine_of(store, rows).table, known, stamp)
    unordered(meant, Shown(table).to(meant)[0])  # what could not be read as features is refused before anything is kept
    given = _Given.of(table, _ids(table.num_rows, idempotency), stamp)
    if idempotency is not None:
        given = given.as_first(store, dataset, head)
    return PushResult(meant.name, table.num_rows, given.known_at, given.keep(store, dataset, served, head))


@dataclass(frozen=True, slots=True)
class _Given:
    """Rows that are pushed, each as it was pushed first under its key.

    Attributes:
        ids: the keys.
        table: the rows, in the types of the dataset now.
        log: the same as the log takes them, without those that landed before.
        landed: those.
        known_at: when they were pushed, the latest of them.
    """

    ids: Sequence[str]
    table: pa.Table
    log: list[Pushed]
    landed: dict[str, LandedRow]
    known_at: int

    @classmethod
    def of(cls, table: pa.Table, ids: Sequence[str], stamp: int) -> _Given:
        """Return rows that nobody pushed before."""
        log = [
            Pushed(b"row", id.encode(), stamp, stamp, row_bytes(table.slice(place, 1))) for place, id in enumerate(ids)
        ]
        return cls(ids, table, log, {}, stamp)

    def as_first(self, store: FeatureStore, dataset: str, head: Commit) -> _Given:
        """Return the rows that were pushed first under these keys: who tries again may have another time, or other values."""
        landed = store.landed.of(store, dataset, self.ids, head)
        log = [row for row in self.log if row.idempotency.decode() not in landed]
        if log and not store.online.together:
            store.online.push(LOG + dataset, log)  # one of several who come at once is the first
        kept = store.online.kept(LOG + dataset, [row.idempotency for row in log])
        log = [row if first is None else first for row, first in zip(log, kept, strict=True)]
        if not landed and log == self.log:
            return self
        rows = {row.idempotency.decode(): (row.k, row.row) for row in log}
        rows |= {id: (row.known, row.row) for id, row in landed.items()}
        return self._of_rows(dataset, [(id, *rows[id]) for id in self.ids], log, landed)

    def _of_rows(
        self,
        dataset: str,
        rows: Sequence[tuple[str, int, bytes]],
        log: list[Pushed],
        landed: dict[str, LandedRow],
    ) -> _Given:
        """Return the same with other rows; those that fit the dataset no more are served no more."""
        import pyarrow as pa

        ids, tables = [], [self.table.slice(0, 0)]
        for id, _, row in rows:
            try:
                tables.append(refitted(dataset, self.table.schema, row_of(row)))
            except SchemaError:
                continue
            ids.append(id)
        times = [known for _, known, _ in rows]
        return replace(
            self,
            ids=ids,
            table=pa.concat_tables(tables),
            log=log,
            landed=landed,
            known_at=max(times, default=self.known_at),
        )

    def keep(self, store: FeatureStore, dataset: str, served: Sequence[Overlay], head: Commit) -> dict[str, int]:
        """Add them to the log and to the overlays; return the sequence of each service."""
        jobs: list[tuple[str, Sequence[Pushed]]] = [(LOG + dataset, self.log)] if self.log else []
        shown = Shown(self.table)
        for overlay in served:
            held = held_by(store, dataset, self.landed, overlay.snapshot.pins.get(dataset), head)
            if made := overlay.pushes(shown, self.ids, without=held):
                jobs.append((overlay.space, made))
        sequences = store.online.push_all(jobs)
        return {space: at for (space, _), at in zip(jobs, sequences, strict=True) if space != LOG + dataset}


def pushed_to(view: FeatureView) -> str:
    """Return the dataset that rows pushed to a view land in.

    Raises:
        ConfigError: They cannot: it is a query, a pinned version, or made of commits.
    """
    dataset = grown_by(view)
    if dataset is not None:
        return dataset
    if view.view.history == "commits":
        why = "its rows are known when they are committed"
    elif (query := of_view(view)) is not None and query.name.isidentifier():
        why = f"its known_at={view.view.known_at!r} is not that column of {query.name} as it is"
    elif isinstance(view.view.source, Sql) and query is None:
        why = (
            "its query looks at more than one row, or gives another value each time; what selects expressions of the rows of "
            "one dataset can be pushed to"
        )
    else:
        why = "its source is pinned, and no dataset that grows"
    raise ConfigError(f"nothing can be pushed to view {view.name}: {why}")


def _schema(store: FeatureStore, dataset: str, head: Commit) -> pa.Schema:
    version = version_at(store.lake, dataset, store.branch, head)
    return store.lake[f"{dataset}@{store.branch}"].schema if version is None else version.schema


def _stamp(store: FeatureStore, served: Sequence[Overlay]) -> int:
    """Return the known time of now: later than every one that was given out here, and not before a snapshot, whatever the
    clock does: a row is not known at a time that was served without it.
    """  # noqa: D205
    with store.stamping:
        store.stamped = max(time.time_ns() // 1000, store.stamped + 1, *(overlay.snapshot.at for overlay in served))
        return store.stamped


def _ids(rows: int, given: str | Sequence[str] | None) -> list[str]:
    if given is None:
        whole = uuid.uuid4().hex
        return [f"{whole}-{number}" for number in range(rows)]
    if isinstance(given, str):
        return [f"{given}-{number}" for number in range(rows)]
    if len(given) != rows or len(set(given)) != rows:
        raise ConfigError(f"an idempotency key for each of {rows} rows, each another, and not {len(given)}")
    return list(given)
