"""The fast client: confluent-kafka, on librdkafka. Records become Arrow columns as they are polled.

librdkafka fetches in threads of its own, so that reading and decoding overlap.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
import pyarrow as pa

from dataplat.connectors.codecs import Records
from dataplat.connectors.kafka._client import Bounds, Topic
from dataplat.connectors.kafka._failures import denied, gone, no_topic, unreachable, wrong_credentials
from dataplat.connectors.kafka._kept import headers_type
from dataplat.errors import MissingExtra, SourceUnreachable

if TYPE_CHECKING:
    from dataplat.connectors.kafka._location import KafkaLocation

try:
    from confluent_kafka import (
        Consumer,
        IsolationLevel,
        KafkaError,
        KafkaException,
        Message,
        TopicCollection,
        TopicPartition,
    )
    from confluent_kafka import admin as kafka_admin
except ImportError as error:
    raise MissingExtra("this client needs confluent-kafka: pip install 'dataplat[kafka-confluent]'") from error

_QUEUED_KB = 8 << 10
_ROOM = 16 << 20
"""Bytes after which a poll brings no more."""
_A_WHILE = 0.02
"""Seconds to wait for more to come, so that what comes is taken together."""
_SILENT = logging.getLogger("dataplat.kafka.librdkafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
_CREDENTIALS = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}  # noqa: SLF001 (its public codes)
_DENIED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}
_GONE = {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION}  # noqa: SLF001
_NO_TOPIC = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}  # noqa: SLF001
_ELECTING = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
_OF_GROUPS = {KafkaError.GROUP_AUTHORIZATION_FAILED}
_PASSING = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}  # noqa: SLF001

_Answer = TypeVar("_Answer")


class _NoLeader(SourceUnreachable):
    """A partition has no leader yet, or another one than the library believes."""


class ConfluentClient:
    """A `Client` on confluent-kafka's consumer."""

    def __init__(
        self, location: KafkaLocation, settings: Mapping[str, Any], *, isolation: str, headers: bool, timeout: float
    ) -> None:
        self._location = location
        self._headers = headers
        self._timeout = timeout
        self._isolation = (
            IsolationLevel.READ_COMMITTED if isolation == "read_committed" else IsolationLevel.READ_UNCOMMITTED
        )
        self._failed: KafkaError | None = None
        self._down_since: float | None = None
        common = {
            "bootstrap.servers": ",".join(location.servers),
            "client.id": "dataplat",
            "socket.timeout.ms": int(max(timeout, 1.0) * 1000),
            "error_cb": self._heard,
            "logger": _SILENT,
            **settings,
        }
        self._admin = kafka_admin.AdminClient(common)
        self._consumer = Consumer(
            {
                **common,
                "group.id": "dataplat",  # has to be there; no group is joined, since partitions are assigned by hand
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": isolation,
                "enable.partition.eof": True,
                "allow.auto.create.topics": False,
                "check.crcs": True,
                "queued.max.messages.kbytes": _QUEUED_KB,
                "queued.min.messages": 20_000,
                "fetch.message.max.bytes": 1 << 20,
                "fetch.queue.backoff.ms": 10,  # the usual second, in which nothing comes, is most of the time
            }
        )
        self._positions: dict[int, int] = {}
        try:
            self.topic()
        except BaseException:
            self.close()
            raise

    def topic(self) -> Topic:
        """Return the topic as the cluster knows it now; see `Client`."""
        name = self._location.topic
        about = self._answer(
            lambda: self._admin.describe_topics(TopicCollection([name]), request_timeout=self._timeout)[name],
            "describe the topic",
        )
        cluster = self._answer(
            lambda: self._admin.describe_cluster(request_timeout=self._timeout), "describe the cluster"
        )
        most, least = about.topic_id.get_most_significant_bits(), about.topic_id.get_least_significant_bits()
        id_ = uuid.UUID(int=((most & (1 << 64) - 1) << 64) | (least & (1 << 64) - 1))
        return Topic(name, str(id_), cluster.cluster_id, tuple(sorted(part.id for part in about.partitions)))

    def bounds(self, partitions: Iterable[int]) -> Mapping[int, Bounds]:
        """Return what the partitions hold now; see `Client`."""
        wanted = list(partitions)
        spec: Any = vars(kafka_admin)["OffsetSpec"]  # public by its documentation, not by its type information
        ends = self._patiently(lambda: self._offsets(wanted, spec.latest()))
        starts = self._patiently(lambda: self._offsets(wanted, spec.earliest()))
        return {partition: Bounds(starts[partition], ends[partition]) for partition in wanted}

    def seek(self, starts: Mapping[int, int]) -> None:
        """Read exactly these partitions, each from its offset; see `Client`."""
        self._positions = dict(starts)
        places = [TopicPartition(self._location.topic, partition, offset) for partition, offset in starts.items()]
        self._told(lambda: self._consumer.assign(places), "seek")

    def poll(self, seconds: float, max_records: int) -> list[Records]:
        """Return what has come; see `Client`."""
        messages = self._told(lambda: self._consumed(seconds, max_records), "poll")
        self._refuse_failures(quiet=not messages)
        found: dict[int, list[Message]] = defaultdict(list)
        for message in messages:
            error = message.error()
            if error is None:
                found[int(message.partition() or 0)].append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (a public code)
                self._reached(message)
            elif error.code() not in _OF_GROUPS:  # it looks for the coordinator of a group that is never joined
                self._refuse(error, "poll")
        records = [self._columns(partition, group) for partition, group in found.items()]
        for group in records:
            self._positions[group.partition] = max(self._positions[group.partition], int(group.offsets[-1]) + 1)
        return records

    def positions(self) -> Mapping[int, int]:
        """Return where each partition goes on; see `Client`."""
        return dict(self._positions)

    def pause(self, partitions: Iterable[int]) -> None:
        """Let these partitions give nothing; see `Client`."""
        self._consumer.pause(self._places(partitions))

    def resume(self, partitions: Iterable[int]) -> None:
        """Let these partitions give records again; see `Client`."""
        self._consumer.resume(self._places(partitions))

    def close(self) -> None:
        """Let all connections go."""
        self._consumer.close()

    def _consumed(self, seconds: float, most: int) -> list[Message]:
        """Take messages for so long, up to `_ROOM` bytes and what the library has fetched ahead, however large they are.

        Asked to wait for many, it would go on fetching meanwhile: they may be of 10 MB each.
        """
        until, found, nbytes = time.monotonic() + seconds, list[Message](), 0
        while len(found) < most and nbytes < _ROOM:
            more = self._consumer.consume(most - len(found), 0)
            left = until - time.monotonic()
            if not more and left > 0:
                more = self._consumer.consume(1, min(left, _A_WHILE if found else seconds))
            if not more and left <= 0:
                break
            nbytes += sum(map(len, more))
            found += more
        return found

    def _reached(self, message: Message) -> None:
        """Take the end of a partition: behind the markers that no record is given for."""
        partition, offset = message.partition(), message.offset()
        if partition is not None and offset is not None and offset >= 0:
            self._positions[partition] = max(self._positions[partition], offset)

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._location.topic, partition) for partition in partitions]

    def _columns(self, partition: int, messages: Sequence[Message]) -> Records:
        count = len(messages)
        offsets = np.fromiter((message.offset() for message in messages), np.int64, count)
        times = np.fromiter((message.timestamp()[1] for message in messages), np.int64, count)
        keys = pa.array([message.key() for message in messages], pa.binary())
        values = pa.array([message.value() for message in messages], pa.binary())
        headers = None
        if self._headers:
            headers = pa.array(
                [[{"name": pair[0], "value": pair[1]} for pair in message.headers() or ()] for message in messages],
                headers_type(),
            )
        epoch = messages[-1].leader_epoch()
        return Records(self._location.topic, partition, offsets, times, keys, values, headers, epoch)

    def _offsets(self, partitions: Sequence[int], which: Any) -> dict[int, int]:
        if not partitions:
            return {}
        asked = dict.fromkeys(self._places(partitions), which)
        answers = self._told(
            lambda: self._admin.list_offsets(asked, isolation_level=self._isolation, request_timeout=self._timeout),
            "ask for offsets",
        )
        return {place.partition: self._result(f, "ask for offsets").offset for place, f in answers.items()}

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        """Return the answer; while a leader is chosen it is asked for again, until the time is up."""
        until = time.monotonic() + self._timeout
        while True:
            try:
                return ask()
            except _NoLeader:
                if time.monotonic() >= until:
                    raise
            time.sleep(0.1)

    def _answer(self, ask: Callable[[], Any], what: str) -> Any:
        """Return what the future that the library gives brings."""
        return self._result(self._told(ask, what), what)

    def _result(self, future: Any, what: str) -> Any:
        return self._told(lambda: future.result(self._timeout), what)

    def _told(self, ask: Callable[[], _Answer], what: str) -> _Answer:
        """Say what the library's errors mean."""
        try:
            return ask()
        except KafkaException as error:
            self._refuse(error.args[0], what)
        except TimeoutError as error:
            self._refuse_failures(quiet=False)
            raise unreachable(self._location, what, self._timeout, error) from error

    def _heard(self, error: KafkaError) -> None:
        """Take what librdkafka says beside the calls: it tries again by itself, whatever it is."""
        if error.code() in _CREDENTIALS:
            self._failed = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and self._down_since is None:  # noqa: SLF001 (a public code)
            self._down_since = time.monotonic()

    def _refuse_failures(self, *, quiet: bool) -> None:
        """Raise what was heard: a wrong password at once, silence of all brokers when it lasts."""
        if self._failed is not None:
            raise wrong_credentials(self._location, self._failed.str())
        if not quiet:
            self._down_since = None
        elif self._down_since is not None and time.monotonic() - self._down_since > self._timeout:
            raise unreachable(self._location, "poll", self._timeout, ConnectionError("all brokers are down"))

    def _refuse(self, error: KafkaError, what: str) -> NoReturn:
        code, where = error.code(), self._location
        if self._failed is not None or code in _CREDENTIALS:
            raise wrong_credentials(where, (self._failed or error).str())
        if code in _NO_TOPIC:
            raise no_topic(where)
        if code in _DENIED:
            raise denied(where, what)
        if code in _GONE:
            raise gone(where, error.str())
        failed = unreachable(where, what, self._timeout, ConnectionError(error.str()))
        raise _NoLeader(str(failed)) if code in _ELECTING else failed
