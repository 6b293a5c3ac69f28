"""What a stream does, as Prometheus asks for it: lag, rate, time of commits, rejects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from dataplat.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from dataplat.connectors.kafka._cut import Cut
    from dataplat.ingest._result import IngestResult


class StreamMetrics:
    """Counts what is read and landed; `lag` is records between the ends seen last and the positions of the head."""

    def __init__(self) -> None:
        self.positions: dict[int, int] = {}
        self.latest: dict[int, int] = {}

    @property
    def lag(self) -> int | None:
        """Offsets that are not committed yet, None where the ends are not known."""
        if not self.latest:
            return None
        return sum(max(0, end - self.positions.get(partition, end)) for partition, end in self.latest.items())

    def begin(self, topic: str, starts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """Take where each partition is read on, and its end."""
        self.positions, self.latest = dict(starts), {}
        self.ends(ends)

    def ends(self, ends: Mapping[int, int]) -> None:
        """Take the ends of the partitions."""
        self.latest.update(ends)

    def landed(self, cut: Cut, result: IngestResult, seconds: float) -> None:
        """Take what one commit did, and how many seconds it took."""
        self.positions.update({partition: piece.end for partition, piece in cut.pieces.items()})

    def failed(self, error: Exception) -> None:
        """Take a failure that will be tried again."""


class _Exported(StreamMetrics):
    """The same, in a registry of `prometheus_client`."""

    def __init__(self, library: _Library, registry: Any) -> None:
        super().__init__()
        labels = ["topic", "partition"]
        self._lag = library.Gauge("dataplat_lag_records", "Offsets not committed yet", labels, registry=registry)
        self._position = library.Gauge(
            "dataplat_position", "Offset that the head of the branch holds up to", labels, registry=registry
        )
        self._records = library.Counter("dataplat_records", "Records committed", ["topic"], registry=registry)
        self._rows = library.Counter("dataplat_rows", "Rows added", ["topic"], registry=registry)
        self._rejects = library.Counter("dataplat_rejects", "Records rejected", ["topic"], registry=registry)
        self._commit = library.Histogram(
            "dataplat_commit_seconds", "Seconds from a cut to its commit", ["topic"], registry=registry
        )
        self._failures = library.Counter("dataplat_failures", "Failures tried again", ["error"], registry=registry)
        self._topic = ""

    def begin(self, topic: str, starts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        self._topic = topic
        super().begin(topic, starts, ends)

    def ends(self, ends: Mapping[int, int]) -> None:
        super().ends(ends)
        self._show()

    def landed(self, cut: Cut, result: IngestResult, seconds: float) -> None:
        super().landed(cut, result, seconds)
        self._records.labels(self._topic).inc(cut.records)
        self._rows.labels(self._topic).inc(result.rows_added)
        self._rejects.labels(self._topic).inc(result.rows_rejected)
        self._commit.labels(self._topic).observe(seconds)
        self._show()

    def failed(self, error: Exception) -> None:
        self._failures.labels(type(error).__name__).inc()

    def _show(self) -> None:
        for partition, end in self.positions.items():
            self._position.labels(self._topic, str(partition)).set(end)
        for partition, end in self.latest.items():
            if partition in self.positions:
                lag = max(0, end - self.positions[partition])
                self._lag.labels(self._topic, str(partition)).set(lag)


class _Library(Protocol):
    """What is used of `prometheus_client`."""

    Gauge: Any
    Counter: Any
    Histogram: Any


@contextmanager
def serve(port: int | None) -> Iterator[StreamMetrics]:
    """Yield metrics, which `http://127.0.0.1:PORT/metrics` gives meanwhile; with no port nobody is told.

    Raises:
        MissingExtra: `prometheus_client` is not installed.
        ConfigError: The port is taken.
    """
    if port is None:
        yield StreamMetrics()
        return
    try:
        import prometheus_client
    except ImportError as error:
        raise MissingExtra("metrics need prometheus_client: pip install 'dataplat[kafka]'") from error
    registry = prometheus_client.CollectorRegistry()
    try:
        server, thread = prometheus_client.start_http_server(port, "127.0.0.1", registry=registry)
    except OSError as error:
        raise ConfigError(
            f"metrics cannot be given at port {port}: {error.strerror}; choose another --metrics"
        ) from error
    try:
        yield _Exported(prometheus_client, registry)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
