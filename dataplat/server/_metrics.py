"""What Prometheus reads: the counts of all workers, and what is served, in its text format (version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from dataplat import __version__
from dataplat.server._counts import (
    AT_WORK,
    BUCKETS,
    CONNECTIONS,
    FAILED_FLUSHES,
    FLUSHED_AT,
    LANDED,
    PID,
    READY,
    RESTARTS,
    WAITING,
    Counts,
)

if TYPE_CHECKING:
    from dataplat.feature_store.online.store import Snapshot

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def exposition(counts: Counts, snapshots: Mapping[str, Snapshot | None]) -> str:
    """Return all metrics as text.

    Args:
        counts: of all workers.
        snapshots: what is live, by service@version; None where nothing is yet.
    """
    parts = (_build(), _requests(counts), _workers(counts), _pushes(counts), _services(counts, snapshots))
    return "".join(f"{line}\n" for part in parts for line in part)


def _build() -> Iterator[str]:
    yield from _head("dataplat_build_info", "gauge", "The version that answers, as a label.")
    yield f'dataplat_build_info{{version="{__version__}"}} 1'


def _requests(counts: Counts) -> Iterator[str]:
    yield from _head("dataplat_requests_total", "counter", "Requests that were answered, by route and status.")
    for route, status, count in counts.requests():
        yield f'dataplat_requests_total{{route="{route}",status="{status or "other"}"}} {count:.0f}'
    name = "dataplat_request_duration_seconds"
    yield from _head(name, "histogram", "From the first byte of a request to the last of its answer.")
    for route, buckets, seconds in counts.seconds():
        below = 0.0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
            below += count
            yield f'{name}_bucket{{route="{route}",le="{bound}"}} {below:.0f}'
        yield f'{name}_sum{{route="{route}"}} {seconds!r}'
        yield f'{name}_count{{route="{route}"}} {below:.0f}'


def _workers(counts: Counts) -> Iterator[str]:
    rows = range(counts.workers)
    told = (
        ("dataplat_worker_ready", "gauge", "Whether a worker answers.", READY),
        ("dataplat_worker_restarts_total", "counter", "How often a worker was started in the place of one that ended.", RESTARTS),
        ("dataplat_worker_pid", "gauge", "The process.", PID),
        ("dataplat_connections", "gauge", "Open connections.", CONNECTIONS),
        ("dataplat_requests_at_work", "gauge", "Requests that are not answered yet.", AT_WORK),
    )  # fmt: skip
    for name, kind, about, what in told:
        yield from _head(name, kind, about)
        for worker in rows:
            yield f'{name}{{worker="{worker}"}} {counts.of(what, worker):.0f}'


def _pushes(counts: Counts) -> Iterator[str]:
    told = (
        ("dataplat_pushed_rows_landed_total", "counter", "Pushed rows that were committed to their datasets.", sum, LANDED),
        ("dataplat_flush_failures_total", "counter", "How often pushed rows could not be landed.", sum, FAILED_FLUSHES),
        ("dataplat_pushed_rows_waiting", "gauge", "Pushed rows that could not be landed, and wait.", sum, WAITING),
        ("dataplat_flush_timestamp_seconds", "gauge", "When all that had been pushed was landed last.", max, FLUSHED_AT),
    )  # fmt: skip
    for name, kind, about, of_all, what in told:
        yield from _head(name, kind, about)
        yield f"{name} {of_all(counts.of(what, worker) for worker in range(counts.workers))!r}"


def _services(counts: Counts, snapshots: Mapping[str, Snapshot | None]) -> Iterator[str]:
    served = counts.services()
    told = (
        ("dataplat_lookups_total", "Lookups that were answered with values."),
        ("dataplat_entities_total", "Entities of those lookups."),
        ("dataplat_stale_lookups_total", "Of those lookups, how many from a snapshot older than a view's freshness."),
    )
    for at, (name, about) in enumerate(told):
        yield from _labelled(name, "counter", about, ((space, sums[at]) for space, sums in served.items()))
    live = {space: snapshot for space, snapshot in snapshots.items() if snapshot is not None}
    ready = ((space, float(space in live)) for space in snapshots)
    yield from _labelled("dataplat_service_ready", "gauge", "Whether a service has a snapshot.", ready)
    at_times = ((space, snapshot.at / 1e6) for space, snapshot in live.items())
    yield from _labelled("dataplat_snapshot_timestamp_seconds", "gauge", "The time that a snapshot is of.", at_times)
    keys = ((space, float(snapshot.keys)) for space, snapshot in live.items())
    yield from _labelled("dataplat_snapshot_keys", "gauge", "Keys of a snapshot.", keys)
    nbytes = ((space, float(snapshot.nbytes)) for space, snapshot in live.items())
    yield from _labelled("dataplat_snapshot_bytes", "gauge", "Bytes of a snapshot.", nbytes)


def _labelled(name: str, kind: str, about: str, values: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield from _head(name, kind, about)
    for space, value in values:
        escaped = space.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        yield f'{name}{{service="{escaped}"}} {value!r}'


def _head(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
