"""A branch fed in small commits: parts, bytes and reads of a commit stay bounded, and the rows are those landed."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest

from dataplat.lake.content_id import content_id, digest
from dataplat.testing.feed import Feed, Sample

Fed = tuple[Feed, list[Sample]]

COMMITS = int(os.environ.get("DATAPLAT_FEED_COMMITS", "1200"))
"""More by hand: 3,000, or a month's 518,400 with `python -m dataplat.testing.feed`."""


@pytest.fixture(scope="module")
def fed() -> Fed:
    """A feed that has run, and its samples."""
    feed = Feed()
    return feed, list(feed.run(COMMITS))


def test_costs_of_a_commit_stay_bounded(fed: Fed) -> None:
    """At the last commit as at the 96th: few parts, some kilobytes and a handful of reads, compaction included."""
    samples = fed[1]
    assert [sample.commits for sample in samples] == [96, 1_000, COMMITS]
    for sample in samples:
        assert sample.parts <= 16 * 3
        assert sample.metadata_bytes <= 4_000
        assert sample.most_metadata_bytes <= 16_000
        assert sample.median_reads <= 3
        assert sample.most_reads <= 12
    assert samples[-1].metadata_bytes <= 1.25 * samples[0].metadata_bytes


def test_each_row_is_rewritten_a_few_times(fed: Fed) -> None:
    """Parts written in all are a small multiple of those that the commits brought."""
    assert fed[0].written_parts <= 3 * COMMITS * 800


def test_the_rows_are_those_landed(fed: Fed) -> None:
    """After hundreds of compactions the content id is that of the rows as they were made."""
    rows = fed[0].table(COMMITS)
    assert isinstance(rows, pa.Table)
    assert fed[0].content_id() == content_id(digest(rows.to_batches()), rows.schema)
