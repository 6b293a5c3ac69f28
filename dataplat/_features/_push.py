"""Rows that are served at once, and land in their dataset later: each once, whatever dies in between.

    push:     the log of the dataset (durable) → the overlay of every service that reads it
    flush:    the log → one commit: the rows, and their ids in `features.pushed` → the log forgets them
    settle:   a snapshot that holds the rows takes them out of the overlay, in the step that makes it live

The log is a space of the online store. A row whose id is in `features.pushed` is in the dataset: a second try leaves it out.
Which row had which sequence in which service is kept in `features.sequences`, before it leaves the overlay: an audit has to
know what a request could see.
"""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dataplat._features._pushed_misfits import set_aside, sort_out
from dataplat._features._registry import definitions, resolve_view
from dataplat._features._spine import spine_of
from dataplat.errors import CommitConflict, ConfigError, KeyViolation, SchemaError
from dataplat.feature_store.definitions import FeatureService, FeatureView
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.online.plan import ServingPlan, bases_of
from dataplat.feature_store.online.pushed import rows as rows_of
from dataplat.feature_store.online.store import Pushed, Snapshot
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat._version import Version
    from dataplat.versioning.commit import Commit

PUSHED: Final = "features.pushed"
SEQUENCES: Final = "features.sequences"
LOG: Final = "push:"
_AGAIN: Final = 5
_MANY: Final = 50_000
"""Rows of one commit of a flush."""


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
        """Return it as plain values."""
        return {"view": self.view, "rows": self.rows, "known_at": self.known_at, "sequences": self.sequences}


def push(
    store: FeatureStore, view: FeatureView | str, rows: Any, idempotency: str | Sequence[str] | None = None
) -> PushResult:
    """Serve rows from now on, and note them down for their dataset."""
    meant = resolve_view(store, view)
    dataset = pushed_to(meant)
    stamp = _stamp(store)
    table = _typed(store, meant, dataset, spine_of(store, rows).table, stamp)
    ids = _ids(table.num_rows, idempotency)
    log = [Pushed(b"row", id.encode(), stamp, stamp, _bytes(table.slice(at, 1))) for at, id in enumerate(ids)]
    facts(meant, table)  # what could not be read as features is refused before anything is kept
    spread = _spread(store, dataset, table, ids, stamp)
    if log:
        store.online.push(LOG + dataset, log)
    return PushResult(
        meant.name, len(log), stamp, {space: store.online.push(space, made) for space, made in spread.items()}
    )


def pushed_to(view: FeatureView) -> str:
    """Return the dataset that rows pushed to a view land in.

    Raises:
        ConfigError: They cannot: it is a query, a pinned version, or made of commits.
    """
    source = view.view.source
    if not isinstance(source, str) or "@" in source or "~" in source:
        raise ConfigError(f"nothing can be pushed to view {view.name}: its source is no dataset that grows")
    if view.view.history == "commits":
        raise ConfigError(f"nothing can be pushed to view {view.name}: its rows are known when they are committed")
    return source


def flush(store: FeatureStore, dataset: str) -> int:
    """Commit what was pushed to a dataset; return how many rows landed."""
    landed, log = 0, LOG + dataset
    while waiting := _first(store, dataset):
        landed += _land(store, dataset, waiting)
        if store.online.snapshot(log) is None:  # a log has no records; a space that settles has a snapshot
            store.online.load(log, Snapshot(id="log", at=0, pins={}, closure=""), ())
        store.online.settle(log, waiting[-1][0])
    return landed


@dataclass
class Settling:
    """Which of the rows that a service serves from its overlay are in its sources.

    Looked at in this order: what the overlay holds; the flush; the sources; what the log still holds. A row of the
    overlay was in the log before, so if it is not there after the flush it is in the sources that were read.
    """

    store: FeatureStore
    datasets: tuple[str, ...]
    overlay: list[tuple[int, str, str]] = field(default_factory=list)
    """(sequence, dataset, id) of its rows."""

    @classmethod
    def before(cls, store: FeatureStore, service: FeatureService, space: str) -> Settling:
        """Look at the overlay."""
        found = cls(store, tuple(dict.fromkeys(datasets_of(service).values())))
        names = datasets_of(service)
        for sequence, row in store.online.pending(space):
            base, _, id = row.idempotency.decode().partition(":")
            found.overlay.append((sequence, names.get(base, ""), id))
        return found

    def flush(self) -> None:
        """Commit what was pushed to the sources."""
        for dataset in self.datasets:
            flush(self.store, dataset)

    def after(self) -> tuple[int | None, int]:
        """Return the sequence up to which the sources hold the overlay's rows (None: of none), and how many these are."""
        waiting = {
            (dataset, row.idempotency.decode())
            for dataset in self.datasets
            for _, row in self.store.online.pending(LOG + dataset)
        }
        settled, count = None, 0
        for sequence, dataset, id in self.overlay:
            if (dataset, id) in waiting:
                break
            settled, count = sequence, count + 1
        return settled, count

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


def datasets_of(service: FeatureService) -> dict[str, str]:
    """Return the dataset of each base of a service that rows can be pushed to."""
    found = {}
    for base in bases_of(service):
        source = base.view.source
        if isinstance(source, str) and "@" not in source and "~" not in source and base.view.history != "commits":
            found[base.name] = source
    return found


def _spread(
    store: FeatureStore, dataset: str, table: pa.Table, ids: Sequence[str], stamp: int
) -> dict[str, list[Pushed]]:
    """Return what goes into the overlay of every service that reads the dataset and has a snapshot."""
    found: dict[str, list[Pushed]] = {}
    for each in definitions(store):
        snapshot = store.online.snapshot(each.name)
        service = each.read()
        names = [name for name, source in datasets_of(service).items() if source == dataset]
        if snapshot is None or not names:
            continue
        plan = ServingPlan.of(service, snapshot.types)
        made = [
            Pushed(row.key, f"{base.name}:{ids[row.place]}".encode(), row.e, row.k, row.data)
            for base in plan.bases
            if base.name in names
            for row in rows_of(plan, base.view, table, [stamp] * table.num_rows)
        ]
        if made:
            found[each.name] = made
    return found


def _stamp(store: FeatureStore) -> int:
    """Return the known time of now: later than every one that was given out here, whatever the clock does."""
    store.stamped = max(time.time_ns() // 1000, store.stamped + 1)
    return store.stamped


def _typed(store: FeatureStore, view: FeatureView, dataset: str, rows: pa.Table, stamp: int) -> pa.Table:
    """Return rows in the types of the dataset, stamped; raise `SchemaError` where one does not fit."""
    import pyarrow as pa

    schema = store.lake[f"{dataset}@{store.branch}"].schema
    known = view.view.known_at
    for name in rows.schema.names:
        if name not in schema.names:
            raise SchemaError(f"{dataset} has no column {name!r}{did_you_mean(name, schema.names)}")
    columns: dict[str, Any] = {}
    for column in schema:
        if column.name == known:
            times = pa.array([stamp] * rows.num_rows, pa.int64()).cast(pa.timestamp("us", "UTC"))
            columns[column.name] = times.cast(column.type, safe=False)
        elif column.name not in rows.schema.names:
            if not column.nullable:
                raise SchemaError(f"rows for {dataset} need a column {column.name!r} ({column.type})")
            columns[column.name] = pa.nulls(rows.num_rows, column.type)
        else:
            columns[column.name] = _cast(rows.column(column.name), column, dataset)
    return pa.table(columns, schema=schema)


def _cast(values: pa.ChunkedArray, column: pa.Field, dataset: str) -> pa.ChunkedArray:
    import pyarrow as pa

    if values.type == column.type:
        return values
    try:
        if pa.types.is_string(values.type) and pa.types.is_timestamp(column.type):
            return pa.chunked_array([pa.array(_moments(values, column), column.type)])
        return values.cast(column.type)
    except (pa.ArrowException, ValueError) as error:
        raise SchemaError(f"{dataset}.{column.name} holds {column.type}, and this does not fit: {error}") from error


def _moments(values: pa.ChunkedArray, column: pa.Field) -> list[Any]:
    """Read times that are written as text, as JSON has them."""
    from datetime import datetime

    found = [None if each is None else datetime.fromisoformat(each) for each in values.to_pylist()]
    if column.type.tz is not None and any(each is not None and each.tzinfo is None for each in found):
        raise ValueError("a time without a zone could be any: write 2024-01-01T00:00:00Z")
    return found


def _ids(rows: int, given: str | Sequence[str] | None) -> list[str]:
    if given is None:
        whole = uuid.uuid4().hex
        return [f"{whole}-{number}" for number in range(rows)]
    if isinstance(given, str):
        return [f"{given}-{number}" for number in range(rows)]
    if len(given) != rows or len(set(given)) != rows:
        raise ConfigError(f"an idempotency key for each of {rows} rows, each another, and not {len(given)}")
    return list(given)


def _bytes(row: pa.Table) -> bytes:
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, row.schema) as writer:
        writer.write_table(row)
    return sink.getvalue()


def _first(store: FeatureStore, dataset: str) -> list[tuple[int, Pushed]]:
    found: list[tuple[int, Pushed]] = []
    for each in store.online.pending(LOG + dataset):
        found.append(each)
        if len(found) == _MANY:
            break
    return found


def _land(store: FeatureStore, dataset: str, waiting: Sequence[tuple[int, Pushed]]) -> int:
    """Commit rows that are not in the dataset yet, with their ids, so that they cannot be there twice."""
    import pyarrow as pa

    for attempt in range(_AGAIN):
        known = _known(store, dataset, waiting)
        rows = [row for _, row in waiting if row.idempotency.decode() not in known]
        if not rows:
            return 0
        table = pa.concat_tables([pa.ipc.open_stream(row.row).read_all() for row in rows])
        fits = sort_out(store, dataset, table)
        ids = pa.table(
            {
                "dataset": [dataset] * len(rows),
                "id": [row.idempotency.decode() for row in rows],
                "row": pa.array([row.row for row in rows], pa.binary()),
            }
        )
        try:
            with store.lake.transaction(
                store.branch, message=f"features: {len(rows):,} pushed rows of {dataset}"
            ) as tx:
                tx.ingest(ids, into=PUSHED, mode="append", key=["dataset", "id"])
                if any(fits):
                    tx.ingest(table.filter(pa.array(fits)), into=dataset, mode="append")
                if misfits := [row for row, fit in zip(rows, fits, strict=True) if not fit]:
                    names = [row.idempotency.decode() for row in misfits]
                    set_aside(tx, dataset, names, [row.row for row in misfits])
        except (CommitConflict, KeyViolation):
            if attempt == _AGAIN - 1:
                raise
            continue
        return sum(fits)
    raise AssertionError("a loop that returns or raises")


def _known(store: FeatureStore, dataset: str, waiting: Sequence[tuple[int, Pushed]]) -> set[str]:
    """Return which of these rows are in the dataset already."""
    import polars as pl

    version = version_at(store, PUSHED, store.lake.refs.head(store.branch).commit)
    if version is None:
        return set()
    ids = [row.idempotency.decode() for _, row in waiting]
    rows = version.to_arrow(columns=["id"], where=pl.col("id").is_in(ids) & (pl.col("dataset") == dataset))
    return set(rows["id"].to_pylist())


def version_at(store: FeatureStore, dataset: str, commit: Commit) -> Version | None:
    state = commit.dataset(dataset, store.lake.objects.read)
    return None if state is None or state.version is None else store.lake.version(dataset, store.branch, commit)
