"""What a stream would land, before anything does: where each partition goes on, and what its records look like."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from dataplat.connectors.codecs._unify import fit
from dataplat.connectors.kafka import locate
from dataplat.connectors.kafka._cut import Block, joined
from dataplat.connectors.kafka._kept import kept_in
from dataplat.connectors.kafka._positions import source_id
from dataplat.connectors.source import Split
from dataplat.ingest._plan import IngestPlan
from dataplat.ingest._schema import landed_schema
from dataplat.ingest._stream import codec_of, find_starts, held_schema, key_of, open_topic
from dataplat.ingest._target import Target, check_named_columns
from dataplat.lake.schema import plain_schema, schema_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.connectors.codecs import Codec
    from dataplat.connectors.kafka import Bounds, Client, Topic
    from dataplat.connectors.kafka._positions import Start
    from dataplat.ingest._request import IngestRequest

SAMPLE = 1000
_PATIENCE = 3.0
"""Seconds that a plan waits for the first records."""


def plan_stream(lake: Lake, request: IngestRequest) -> IngestPlan:
    """Return where each partition would be read on, and the columns that its first records have; writes nothing."""
    assert request.stream is not None
    with ExitStack() as stack:
        headers = request.stream.registry is not None
        client = open_topic(locate(request.source), request.stream, stack, headers=headers)
        topic, starts = find_starts(lake, request, client)
        bounds = client.bounds(starts)
        splits = tuple(_split(topic, partition, start, bounds[partition]) for partition, start in starts.items())
        target = Target.at(lake.objects, lake.refs.head(request.branch).commit, request.into)
        held = held_schema(lake, request)
        there = {p: start for p, start in starts.items() if bounds[p].end > start.offset}
        codec = codec_of(lake, request)
        ends = {p: bounds[p].end for p in there}
        found = _sampled(client, topic, there, ends, request, held, codec) if there else held
    request = replace(request, key=key_of(request, codec))
    if found is None:
        return IngestPlan(request, splits, target.manifest, None)
    schema = landed_schema(target.schema, found, whole=False, gone=target.gone)
    check_named_columns(request, target.base(request, schema_to_json(schema)), schema)
    return IngestPlan(request, splits, target.manifest, plain_schema(schema))


def _split(topic: Topic, partition: int, start: Start, bounds: Bounds) -> Split:
    label = f"{topic.name}[{partition}] from offset {start.offset:,} to {bounds.end:,}"
    if start.gap is not None:
        label += f" (a gap is marked: {start.gap.why}, {start.gap.begin:,} to {start.gap.end:,})"
    skipped = "it is read to its end" if bounds.end <= start.offset else None
    return Split(source_id(topic, partition), label, start=start.held, skipped=skipped)


def _sampled(
    client: Client,
    topic: Topic,
    starts: Mapping[int, Start],
    ends: Mapping[int, int],
    request: IngestRequest,
    held: pa.Schema | None,
    codec: Codec,
) -> pa.Schema | None:
    """Return the columns that the first records have, together with those of the dataset."""
    assert request.stream is not None
    kept, schema = kept_in(held, request.stream.keep), held
    client.seek({partition: start.offset for partition, start in starts.items()})
    until = time.monotonic() + _PATIENCE
    seen = 0
    while seen < SAMPLE and time.monotonic() < until and not _is_read(client, ends):
        for records in client.poll(0.5, SAMPLE):
            seen += len(records)
            decoded = fit(codec.decode(records, None), held)
            block = Block.of(records, replace(decoded, rejects=()), kept, source_id(topic, records.partition))
            schema = joined(schema, [block.batch.schema], topic.name) if block.batch.num_rows else schema
    return schema


def _is_read(client: Client, ends: Mapping[int, int]) -> bool:
    """Whether there is nothing more to come."""
    at = client.positions()
    return all(at[partition] >= end for partition, end in ends.items())
