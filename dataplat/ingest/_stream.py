"""Land a stream: each cut of it is an ingest of its own, so that what was read and how far are one commit."""

from __future__ import annotations

import logging
import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dataplat.connectors.codecs import NamesKey, open_codec
from dataplat.connectors.kafka import locate, open_client
from dataplat.connectors.kafka._collect import Collector, Limits
from dataplat.connectors.kafka._kept import kept_in
from dataplat.connectors.kafka._positions import cut_back_to, held_of, marked, refuse, start_of
from dataplat.connectors.kafka._truncated import first_of_later
from dataplat.errors import (
    CommitConflict,
    ConfigError,
    ContractFailed,
    SchemaMismatch,
    SourceError,
    SourceGap,
    SourceUnreachable,
    StoreError,
)
from dataplat.ingest._draft import carry_out
from dataplat.ingest._grow import GrowStep, may_grow
from dataplat.ingest._ingest import IngestStep
from dataplat.ingest._progress import Meter
from dataplat.ingest._result import IngestResult
from dataplat.ingest._schema import reading_schema
from dataplat.ingest._stream_options import StreamOptions
from dataplat.ingest._target import Target

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.connectors.codecs import Codec
    from dataplat.connectors.kafka import Client, KafkaLocation
    from dataplat.connectors.kafka._client import Topic
    from dataplat.connectors.kafka._cut import Cut
    from dataplat.connectors.kafka._positions import Start
    from dataplat.ingest._progress import Listener
    from dataplat.ingest._request import IngestRequest
    from dataplat.ingest._stream_metrics import StreamMetrics

LOOK_EVERY = 15.0
"""Seconds between two looks at the topic's partitions and ends, while it is followed."""
FEW = 10
"""Rejects that are not yet a share: of so few records none can be told."""
_LONGEST_WAIT = 60.0


def ingest_stream(
    lake: Lake, request: IngestRequest, progress: Listener | None = None, stop: threading.Event | None = None
) -> IngestResult:
    """Read a topic into a dataset until its end, or (`follow`) until `stop` is set; return what all commits did.

    What is read is committed with the positions that it was read up to, so a crash anywhere loses and doubles nothing.
    While it is followed, a broker or store that does not answer is tried again, from the head of the branch.

    Raises:
        SourceUnreachable, SourceNotFound, SourceGap, SourceError: The topic cannot be read (on).
        PositionConflict: Somebody else reads the same topic into the dataset.
        ContractFailed: A cut does not meet its contract; what landed before stays.
    """
    from dataplat.ingest._stream_metrics import serve
    from dataplat.lake.arrow_alone import keep_pandas_out

    keep_pandas_out()
    if request.mode == "replace":
        raise ConfigError("a stream is appended or upserted: mode replace would forget what was read before")
    assert request.stream is not None
    with serve(request.stream.metrics) as metrics:
        run = _Run(lake, request, Meter(progress), metrics, stop)
        while not run.session():
            pass
    return run.total


@dataclass(slots=True)
class _Run:
    """One call: sessions at a topic, each from the head of the branch, and what they did together."""

    lake: Lake
    request: IngestRequest
    meter: Meter
    metrics: StreamMetrics
    stop: threading.Event | None
    total: IngestResult = field(init=False)
    has_begun: bool = False
    failures: int = 0
    gaps: int = 0
    fixed: set[str] = field(default_factory=set)
    """Columns of integers that did not become floats."""

    def __post_init__(self) -> None:
        self.total = IngestResult(self.request.into, self.request.branch, None, None)

    @property
    def options(self) -> StreamOptions:
        assert self.request.stream is not None
        return self.request.stream

    @property
    def is_stopped(self) -> bool:
        return self.stop is not None and self.stop.is_set()

    @property
    def stage(self) -> str:
        """What is being done, in words: with the lag, where that is known."""
        words = "following" if self.options.follow else "reading"
        lag = self.metrics.lag
        return words if lag is None else f"{words}, {lag:,} behind"

    def session(self) -> bool:
        """Read on from the head until the end, or until the topic has other partitions; return whether that is all."""
        try:
            with ExitStack() as stack:
                return _Session.begin(self, stack).follow()
        except SourceGap:
            if self.options.on_gap == "fail" or self.gaps:
                raise
            self.gaps += 1  # the next session marks it; if it does not, that is an error
        except (SourceUnreachable, StoreError) as error:
            if not self.options.follow or not self.has_begun:
                raise
            if self.is_stopped and isinstance(error, SourceUnreachable):
                return True  # what came is landed or will be read again
            if self.is_stopped:
                raise
            self._wait(error)
        return False

    def landed(self, cut: Cut, result: IngestResult, seconds: float) -> None:
        """Add up what one commit did."""
        self.failures = self.gaps = 0
        before = self.total
        starts = {partition: piece.start for partition, piece in cut.pieces.items()}
        gaps = [marked(cut.topic, partition, start.gap) for partition, start in starts.items() if start.gap is not None]
        self.total = replace(
            result,
            rows_in=before.rows_in + result.rows_in,
            rows_added=before.rows_added + result.rows_added,
            rows_deleted=before.rows_deleted + result.rows_deleted,
            rows_rejected=before.rows_rejected + result.rows_rejected,
            rows_quarantined=before.rows_quarantined + result.rows_quarantined,
            rows_suppressed=before.rows_suppressed + result.rows_suppressed,
            new_bytes=before.new_bytes + result.new_bytes,
            notes=tuple(dict.fromkeys((*before.notes, *result.notes, *gaps))),
            seconds=self.meter.seconds,
        )
        self.meter.landed = self.total.rows_in
        self.metrics.landed(cut, result, seconds)

    def _wait(self, error: Exception) -> None:
        """Wait longer each time, with jitter, and say why."""
        self.failures += 1
        self.metrics.failed(error)
        seconds = min(_LONGEST_WAIT, 2.0 ** min(self.failures, 6)) * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
        self.meter.enter(f"waiting {seconds:.0f} s, then trying again: {error}")
        logging.getLogger("dataplat").warning("%s; trying again in %.0f s", error, seconds)
        if self.stop is None:
            time.sleep(seconds)
        else:
            self.stop.wait(seconds)


@dataclass(slots=True)
class _Session:
    """A topic that is being read from the positions that the head of the branch holds."""

    run: _Run
    topic: Topic
    watch: Client
    collector: Collector
    codec: Codec
    looked: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, run: _Run, stack: ExitStack) -> _Session:
        """Look where to start, and begin to collect."""
        options = run.options
        location = locate(run.request.source)
        run.meter.enter("connecting")
        held = held_schema(run.lake, run.request)
        kept = kept_in(held, options.keep)
        reader = open_topic(
            location, options, stack, headers="headers" in kept or options.registry is not None, ahead=True
        )
        watch = open_topic(location, options, stack)
        topic, starts = find_starts(run.lake, run.request, watch)
        ends = {p: bounds.end for p, bounds in watch.bounds(starts).items()}
        run.metrics.begin(topic.name, {p: start.offset for p, start in starts.items()}, ends)
        reader.seek({partition: start.offset for partition, start in starts.items()})
        codec = codec_of(run.lake, run.request)
        collector = Collector(
            reader,
            codec,
            topic,
            starts,
            limits=Limits(options.every, options.rows, options.bytes, options.budget),
            kept=kept,
            ends=None if options.follow else ends,
            held=held,
            may_grow=lambda name: (
                name not in run.fixed and may_grow(run.lake, run.request, key_of(run.request, codec), name)
            ),
        )
        stack.callback(collector.close)
        run.has_begun = True
        run.meter.enter(run.stage)
        return cls(run, topic, watch, collector, codec)

    def follow(self) -> bool:
        """Land cut after cut; return whether there is nothing more to do, rather than another session to begin."""
        while True:
            last = self.run.is_stopped
            cut = self.collector.cut(stop=self.run.stop, patience=LOOK_EVERY)
            if cut is None and (last or self.collector.is_over):
                return True
            if cut is not None:
                if self.watch.topic().id != self.topic.id:
                    return False  # what was read may be of either: the next session says what became of it
                if not self._land(cut):
                    return self.run.is_stopped
            if last:
                return True
            if self._has_changed():
                return self.run.is_stopped

    def _land(self, cut: Cut) -> bool:
        """Commit a cut; return whether the positions moved, so that the next one holds."""
        began = time.monotonic()
        _check_rejects(cut, self.run.options)
        request = replace(self.run.request, source=cut, key=key_of(self.run.request, self.codec))
        step = IngestStep(request, self.run.meter)
        if cut.grown and not self._grow(cut):
            return False
        try:
            result: IngestResult = carry_out(self.run.lake, request.branch, request.message or "", step)
        except SchemaMismatch:
            if held_schema(self.run.lake, self.run.request) == cut.held:
                raise
            return False  # somebody else changed the columns meanwhile: it is read anew, for those
        if step.refused and result.report is not None:
            raise ContractFailed(
                f"{cut.name}: a commit of {cut.records:,} records would not meet the contract, so none of it landed and "
                f"nothing more is read; its rows wait on branch {result.quarantine}",
                result.report,
            )
        self.run.landed(cut, result, time.monotonic() - began)
        self.run.meter.enter(self.run.stage)
        return result.commit is not None

    def _grow(self, cut: Cut) -> bool:
        """Let columns of integers become floats, as a cut has them; return whether they could."""
        run, names = self.run, cut.grown
        try:
            done = carry_out(
                run.lake,
                run.request.branch,
                f"{run.request.into}: column {', '.join(names)} becomes float64",
                GrowStep(run.request.into, names, run.meter),
            )
        except (SchemaMismatch, ContractFailed, CommitConflict):
            run.fixed.update(names)  # the next session rejects what does not go with integers
            return False
        if done is not None:
            run.total = replace(run.total, notes=(*run.total.notes, done))
        return True

    def _has_changed(self) -> bool:
        """Look at the topic now and then: at its ends for the lag, and whether it is another one or has more partitions."""
        if time.monotonic() - self.looked < LOOK_EVERY:
            return False
        self.looked = time.monotonic()
        now = self.watch.topic()
        if now.id != self.topic.id or (self.run.options.follow and now.partitions != self.topic.partitions):
            return True
        chosen = self.run.options.partitions
        mine = now.partitions if chosen is None else chosen
        self.run.metrics.ends({p: bounds.end for p, bounds in self.watch.bounds(mine).items()})
        self.run.meter.enter(self.run.stage)
        return False


def find_starts(lake: Lake, request: IngestRequest, client: Client) -> tuple[Topic, Mapping[int, Start]]:
    """Return the topic, and where each partition is read on; raise `SourceGap` where that is not allowed."""
    options = request.stream
    assert options is not None
    topic = client.topic()
    unknown = sorted(set(options.partitions or ()) - set(topic.partitions))
    if unknown:
        raise ConfigError(f"{topic.name} has no partition {unknown[0]}: it has {len(topic.partitions)}, from 0 on")
    chosen = topic.partitions if options.partitions is None else options.partitions
    target = Target.at(lake.objects, lake.refs.head(request.branch).commit, request.into)
    held = held_of(topic, target.positions())
    bounds = client.bounds(chosen)
    starts = {}
    for partition in chosen:
        start = start_of(topic, partition, bounds[partition], held)
        if start.gap is not None and options.on_gap == "fail":
            raise refuse(topic, partition, start.gap)
        if start.gap is not None and start.gap.why == "truncated":
            epoch = held[partition]["epoch"]
            start = cut_back_to(start, first_of_later(client, partition, bounds[partition], epoch))
        starts[partition] = start
    return topic, starts


def codec_of(lake: Lake, request: IngestRequest) -> Codec:
    """Return the codec that the request asks for."""
    options = request.stream
    assert options is not None
    target = Target.at(lake.objects, lake.refs.head(request.branch).commit, request.into)
    key = request.key if target.manifest is None else target.manifest.key
    return open_codec(options.codec, registry=options.registry, schema=request.schema, key=key)


def key_of(request: IngestRequest, codec: Codec) -> tuple[str, ...] | None:
    """Return the key that is asked for, or that change events name where none is."""
    return request.key or (codec.key if isinstance(codec, NamesKey) else None)


def held_schema(lake: Lake, request: IngestRequest) -> pa.Schema | None:
    """Return the columns that the dataset has; of a new one those that its contract asks for, or None."""
    target = Target.at(lake.objects, lake.refs.head(request.branch).commit, request.into)
    return reading_schema(request, target.schema)


def open_topic(
    location: KafkaLocation, options: StreamOptions, stack: ExitStack, *, headers: bool = False, ahead: bool = False
) -> Client:
    """Return a client, closed with `stack`; see `open_client`."""
    client = open_client(
        location,
        isolation=options.isolation,
        headers=headers,
        timeout=options.timeout,
        client=options.client,
        ahead=ahead,
        options=options.options,
    )
    stack.callback(client.close)
    return client


def _check_rejects(cut: Cut, options: StreamOptions) -> None:
    """Raise `SourceError` where more of the records are none than was allowed."""
    if options.max_rejects is None or cut.rejected < FEW or cut.rejected <= options.max_rejects * cut.records:
        return
    raise SourceError(
        f"{cut.name}: {cut.rejected:,} of {cut.records:,} records cannot be read, which is more than "
        f"{options.max_rejects:.1%}; nothing of them landed. The first: {cut.first_error()}. Mend what writes them, name "
        "another --format or --schema, or allow more with --max-rejects"
    )
