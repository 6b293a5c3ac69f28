"""Lands what was pushed: the log of a dataset becomes commits of it, each row in one of them, whoever dies in between."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from dataplat._features._pushed_landed import LandedRow
from dataplat._features._pushed_misfits import set_aside, sort_out
from dataplat._features._pushed_names import LOG, PUSHED
from dataplat._features._pushed_overlays import overlays
from dataplat._features._row_query import Shown
from dataplat._heads import anew, version_at
from dataplat.errors import NotMaterialized, SnapshotConflict
from dataplat.feature_store.online.store import Pushed, Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat.validation import Contract
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.refs import Record

_MANY: Final = 50_000
"""Rows of one commit."""


def flush(store: FeatureStore, dataset: str, only: Collection[str] | None = None) -> int:
    """Commit what was pushed to a dataset; return how many rows landed.

    Args:
        store: the feature store.
        dataset: where rows land.
        only: the ids of those that shall; None: all.

    Raises:
        DatasetNotFound: The dataset is gone; the rows wait.
        ContractFailed: With them it would not meet the contract that the branch holds it to, and no single row is to blame.
        CommitConflict: Others were quicker again and again.
        StoreError: The online store, or the lake's, fails.
    """
    landed, after, log = 0, 0, LOG + dataset
    while waiting := list(islice(store.online.pending(log, after), _MANY)):
        mine = [each for each in waiting if only is None or each[1].idempotency.decode() in only]
        if mine:
            landed += _land(store, dataset, mine)
        if mine == waiting and not after:
            _forget(store, log, waiting[-1][0])
        else:
            after = waiting[-1][0]
    return landed


def _forget(store: FeatureStore, log: str, sequence: int) -> None:
    """Have the log let go of rows that landed; where it is lost, or another does it, that is nothing to fail by."""
    if store.online.snapshot(log) is None:  # a log has no records; a space that settles has a snapshot
        with suppress(SnapshotConflict):
            store.online.load(log, Snapshot(id="log", at=0, pins={}, closure=""), ())
    with suppress(NotMaterialized):
        store.online.settle(log, sequence)


def _land(store: FeatureStore, dataset: str, waiting: Sequence[tuple[int, Pushed]]) -> int:
    """Commit rows that are not in the dataset yet, with their ids, so that they cannot be there twice."""

    def attempt() -> int:
        head = store.lake.refs.head(store.branch)
        known = _landed(store, dataset, waiting, head.commit)
        rows = [row for _, row in waiting if row.idempotency.decode() not in known]
        if not rows:
            return 0
        version = store.lake.version(dataset, store.branch)
        table, why = sort_out(version, [row.row for row in rows], _contract(store, dataset, head))
        fits = [row for row, reason in zip(rows, why, strict=True) if reason is None]
        _serve(store, dataset, table, [row.idempotency.decode() for row in fits])
        misfits = [
            (row.idempotency.decode(), row.row, reason)
            for row, reason in zip(rows, why, strict=True)
            if reason is not None
        ]
        with store.lake.transaction(store.branch, message=f"features: {len(rows):,} pushed rows of {dataset}") as tx:
            tx.ingest(_noted(dataset, rows), into=PUSHED, mode="append", key=["dataset", "known", "id"])
            if fits:
                tx.ingest(table, into=dataset, mode="append")
            if misfits:
                set_aside(tx, dataset, misfits)
        return len(fits)

    return anew(attempt)  # where another landed some of them, or a row of the same key


def _contract(store: FeatureStore, dataset: str, head: Record) -> Contract | None:
    """Return what the branch holds the dataset to."""
    from dataplat._gate import load_held
    from dataplat.versioning._protection import contracts_of

    held = contracts_of(head).get(dataset)
    return None if held is None else load_held(store.lake.objects, held, dataset, head.branch)


def _noted(dataset: str, rows: Sequence[Pushed]) -> pa.Table:
    """Return what `features.pushed` says of rows. Their times are in its key: so parts that are older are not searched."""
    import pyarrow as pa

    return pa.table(
        {
            "dataset": [dataset] * len(rows),
            "known": pa.array([row.k for row in rows], pa.int64()),
            "id": [row.idempotency.decode() for row in rows],
            "row": pa.array([row.row for row in rows], pa.binary()),
        }
    )


def _landed(store: FeatureStore, dataset: str, waiting: Sequence[tuple[int, Pushed]], head: Commit) -> set[str]:
    """Return which of these rows have landed: of all those that were pushed when they were, and of the newest."""
    import polars as pl

    version = version_at(store.lake, PUSHED, store.branch, head)
    if version is None:
        return set()
    ids, times = [row.idempotency.decode() for _, row in waiting], [row.k for _, row in waiting]
    found: dict[str, LandedRow] = store.landed.of(store, dataset, ids, head)
    then = (pl.col("known") >= min(times)) & (pl.col("known") <= max(times)) & (pl.col("dataset") == dataset)
    same = version.to_arrow(columns=["known", "id"], where=then).to_pylist()
    when = dict(zip(ids, times, strict=True))
    return {*found, *(row["id"] for row in same if when.get(row["id"]) == row["known"])}


def _serve(store: FeatureStore, dataset: str, table: pa.Table, ids: Sequence[str]) -> None:
    """Put rows into overlays that lack them, before they land: who pushed them died, or a service had no snapshot yet."""
    jobs = []
    for overlay in overlays(store, dataset)[0] if ids else ():
        places = overlay.lacks(store, ids)
        rows = overlay.pushes(Shown(table.take(places)), [ids[place] for place in places]) if places else []
        if rows:
            jobs.append((overlay.space, rows))
    if jobs:
        store.online.push_all(jobs)
