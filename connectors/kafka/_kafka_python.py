"""The usual client: kafka-python. Records become columns as they are polled, and nothing of them is decoded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from dataplat.connectors.kafka._client import Bounds, Topic
from dataplat.connectors.kafka._columns import Columns
from dataplat.connectors.kafka._failures import denied, gone, no_topic, unreachable, wrong_credentials
from dataplat.connectors.kafka._sockets import ClosingSelector, hide_passwords
from dataplat.errors import MissingExtra

if TYPE_CHECKING:
    from kafka import KafkaConsumer, TopicPartition

    from dataplat.connectors.codecs import Records
    from dataplat.connectors.kafka._location import KafkaLocation

try:
    import kafka
    import kafka.errors
    from kafka.admin import KafkaAdminClient
except ImportError as error:
    raise MissingExtra("reading Kafka needs kafka-python: pip install 'dataplat[kafka]'") from error

_FETCH_BYTES = 4 << 20
_PARTITION_BYTES = 1 << 20
_Answer = TypeVar("_Answer")


class KafkaPythonClient:
    """A `Client` on kafka-python's consumer. Two of them share no connection, and each is of one thread."""

    def __init__(
        self, location: KafkaLocation, settings: Mapping[str, Any], *, isolation: str, headers: bool, timeout: float
    ) -> None:
        self._location = location
        self._headers = headers
        self._timeout = timeout
        self._settings = {
            "bootstrap_servers": list(location.servers),
            "client_id": "dataplat",
            "bootstrap_timeout_ms": int(timeout * 1000),
            "request_timeout_ms": int(max(timeout, 1.0) * 1000),
            "selector": ClosingSelector,
            **settings,
        }
        hide_passwords()
        self._consumer: KafkaConsumer = self._started(
            kafka.KafkaConsumer,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level=isolation,
            allow_auto_create_topics=False,
            check_crcs=True,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
            max_poll_records=1 << 30,
        )
        self._admin: Any = None
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()

    def topic(self) -> Topic:
        """Return the topic as the cluster knows it now; see `Client`."""
        name = self._location.topic
        if self._admin is None:
            self._admin = self._started(KafkaAdminClient)
        found = self._asked(lambda: self._admin.describe_topics([name]), "describe the topic")
        about: Any = next((topic for topic in found if topic.get("name") == name), {})
        code = int(about.get("error_code", 0))
        if code or not about.get("partitions"):
            with self._told("describe the topic"):
                raise kafka.errors.for_code(code) if code else kafka.errors.UnknownTopicOrPartitionError
        cluster = self._asked(self._admin.describe_cluster, "describe the cluster")
        partitions = tuple(sorted(int(part["partition_index"]) for part in about["partitions"]))
        return Topic(name, str(about["topic_id"]), str(cluster["cluster_id"]), partitions)

    def bounds(self, partitions: Iterable[int]) -> Mapping[int, Bounds]:
        """Return what the partitions hold now; see `Client`."""
        wanted = [self._partition(partition) for partition in partitions]
        if not wanted:
            return {}
        earliest = self._asked(lambda: self._consumer.beginning_offsets(wanted), "ask for the first offsets")
        ends = self._asked(lambda: self._consumer.end_offsets(wanted), "ask for the last offsets")
        return {at.partition: Bounds(earliest[at], ends[at]) for at in wanted}

    def seek(self, starts: Mapping[int, int]) -> None:
        """Read exactly these partitions, each from its offset; see `Client`."""
        self._positions, self._paused = dict(starts), set()
        self._assign()

    def poll(self, seconds: float, max_records: int) -> list[Records]:
        """Return what has come; see `Client`."""
        return [columns.records(self._location.topic) for columns in self.columns(seconds, max_records)]

    def columns(self, seconds: float, max_records: int) -> list[Columns]:
        """Return what `poll` does, as plain buffers."""
        if len(self._paused) == len(self._positions):
            time.sleep(seconds)
            return []
        with self._told("poll"):
            found = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=max_records)
        return [Columns.of(records, headers=self._headers) for records in found.values() if records]

    def positions(self) -> Mapping[int, int]:
        """Return where each partition goes on; see `Client`."""
        with self._told("ask for positions"):
            for at in self._consumer.assignment():
                self._positions[at.partition] = self._consumer.position(at)
        return dict(self._positions)

    def pause(self, partitions: Iterable[int]) -> None:
        """Let these partitions give nothing; see `Client`."""
        self.positions()
        self._paused.update(partitions)
        self._assign()

    def resume(self, partitions: Iterable[int]) -> None:
        """Let these partitions give records again; see `Client`."""
        self.positions()
        self._paused.difference_update(partitions)
        self._assign()

    def _assign(self) -> None:
        """Assign the partitions that are not paused, each where it goes on.

        The library's own `pause` loses sight of a partition whose records it had fetched: 3.0.12 parks them, and takes
        them up again only where no other partition was read since, so that it is never asked for any more.
        """
        with self._told("seek"):
            active = [self._partition(number) for number in self._positions if number not in self._paused]
            self._consumer.assign(active)
            for at in active:
                self._consumer.seek(at, self._positions[at.partition])

    def close(self) -> None:
        """Let all connections go."""
        if self._admin is not None:
            self._admin.close()
        self._consumer.close()

    def _partition(self, partition: int) -> TopicPartition:
        return kafka.TopicPartition(self._location.topic, partition)

    def _started(self, library: Callable[..., _Answer], **settings: Any) -> _Answer:
        """Return a client of the library; one that does not come to be closes its sockets, which the library forgets."""
        make = kafka.KafkaConsumer.DEFAULT_CONFIG["kafka_client"]

        def start() -> _Answer:
            opened: list[Any] = []

            def wire(**given: Any) -> Any:
                opened.append(make(**given))
                return opened[-1]

            try:
                return library(**self._settings, **settings, kafka_client=wire)
            except BaseException:
                for one in opened:
                    one.close()
                raise

        return self._asked(start, "connect")

    def _asked(self, ask: Callable[[], _Answer], what: str) -> _Answer:
        """Return the answer; what may be tried again is, until the time is up."""
        until = time.monotonic() + self._timeout
        while True:
            with self._told(what):
                try:
                    return ask()
                except kafka.errors.RetriableError as error:
                    if time.monotonic() >= until or isinstance(error, kafka.errors.UnknownTopicOrPartitionError):
                        raise
            time.sleep(0.1)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Say what the library's errors mean."""
        where = self._location
        try:
            yield
        except kafka.errors.UnknownTopicOrPartitionError as error:
            raise no_topic(where) from error
        except kafka.errors.SaslAuthenticationFailedError as error:
            raise wrong_credentials(where, str(error)) from error
        except kafka.errors.AuthorizationError as error:
            raise denied(where, what) from error
        except (
            kafka.errors.OffsetOutOfRangeError,
            kafka.errors.LogTruncationError,
            kafka.errors.NoOffsetForPartitionError,
        ) as error:
            raise gone(where, str(error)) from error
        except (kafka.errors.KafkaError, OSError) as error:
            raise unreachable(where, what, self._timeout, error) from error
