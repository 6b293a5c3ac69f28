"""Collecting from whatever a client gives: every record once, in order, within its bytes, positions in a chain."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.connectors.codecs import Records, open_codec
from dataplat.connectors.kafka import Topic
from dataplat.connectors.kafka._collect import Collector, Limits
from dataplat.connectors.kafka._positions import Start
from dataplat.errors import SourceUnreachable

SIZE = 100
TOPIC = Topic("t", "id", "cluster", (0, 1, 2, 3))


class Scripted:
    """A `Client` in memory: logs of offsets, and what each poll gives; what is paused gives nothing."""

    def __init__(self, logs, script, *, size=SIZE, error=None):
        self.logs, self.script, self.size, self.error = logs, deque(script), size, error
        self.at, self.paused, self.pauses, self.resumes, self.largest = {}, set(), 0, 0, 0
        self.polling = threading.Lock()

    def seek(self, starts):
        """Read from here."""
        self.at = dict(starts)

    def poll(self, seconds, max_records):
        """Give what the script says."""
        order, share, skip = self.script.popleft() if self.script else (range(4), 1_000, 0)
        if not self.script and self.error is not None and self._is_read():
            raise self.error
        found = []
        for p in order:
            log = self.logs.get(p, [])
            offsets = [offset for offset in log if offset >= self.at.get(p, 0)][: min(share, max_records)]
            if p in self.paused or p not in self.at or not offsets:
                continue
            max_records -= len(offsets)
            self.at[p] = offsets[-1] + 1 + (skip if offsets[-1] == log[-1] else 0)
            found.append(self._records(p, offsets))
            if max_records <= 0:
                break
        self.largest = max(self.largest, sum(records.nbytes for records in found))
        return found

    def positions(self):
        """Say where each goes on."""
        return dict(self.at)

    def pause(self, partitions):
        """Give nothing of these."""
        self.pauses += 1
        self.paused |= set(partitions)

    def resume(self, partitions):
        """Give of these again."""
        self.resumes += 1
        self.paused -= set(partitions)

    def _is_read(self):
        return all(self.at[p] > self.logs[p][-1] for p in self.logs if self.logs[p])

    def _records(self, p, offsets):
        text = [b'{"p": %d, "o": %d, "fill": "%s"}' % (p, offset, b"x" * self.size) for offset in offsets]
        times = np.zeros(len(offsets), np.int64)
        keys, values = pa.nulls(len(offsets), pa.binary()), pa.array(text, pa.binary())
        return Records("t", p, np.array(offsets, np.int64), times, keys, values, None, 7)


logs = st.dictionaries(
    st.integers(0, 3), st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted), min_size=1, max_size=4
)
scripts = st.lists(st.tuples(st.permutations(range(4)), st.integers(0, 30), st.integers(0, 3)), max_size=12)
limits = st.builds(
    Limits,
    every=st.sampled_from([0.001, 0.05, 5.0]),
    rows=st.none() | st.integers(1, 50),
    nbytes=st.none() | st.integers(1, 5_000),
    budget=st.sampled_from([500, 5_000, 128 << 20]),
)


def collected(collector, stops=()):
    """Return all cuts; at each number in `stops` one asks to stop first."""
    cuts, stop = [], threading.Event()
    while True:
        if len(cuts) in stops:
            stop.set()
        cut = collector.cut(stop=stop)
        if cut is None and (collector.is_over or not stop.is_set()):
            return cuts
        stop.clear()
        if cut is not None:
            cuts.append(cut)


def rows(cuts):
    """Return (partition, offset) of all rows, in the order in which they come."""
    found = []
    for cut in cuts:
        for split in cut.plan({f"kafka:cluster/t/{p}": piece.start.held for p, piece in cut.pieces.items()}):
            for batch in cut.read(split):
                found += zip(batch.column("p").to_pylist(), batch.column("o").to_pylist(), strict=True)
    return found


@given(logs, scripts, limits, st.sets(st.integers(0, 8)))
@settings(max_examples=60, deadline=None)
def test_every_record_once(logs, script, limits, stops):
    """Whatever the order of polls, pauses, stops and limits: each record once, in order, and positions chain."""
    client = Scripted(logs, script)
    starts = {p: Start(0, None) for p in logs}
    client.seek(dict.fromkeys(logs, 0))
    ends = {p: log[-1] + 1 if log else 0 for p, log in logs.items()}
    collector = Collector(client, open_codec("json"), TOPIC, starts, limits=limits, ends=ends)
    try:
        cuts = collected(collector, stops)
    finally:
        collector.close()
    found = rows(cuts)
    for p, log in logs.items():
        assert [offset for partition, offset in found if partition == p] == log
    held = {}
    for cut in cuts:
        nbytes = sum(piece.nbytes for piece in cut.pieces.values())
        assert nbytes <= limits.cut_bytes + 2 * client.largest
        assert limits.rows is None or cut.records <= limits.rows
        for split in cut.plan(held):
            position = cut.position(split)
            before = held.get(split.source)
            assert position["start"] == (0 if before is None else before["end"])
            assert position["records"] == cut.pieces[int(split.source[-1])].records
            held[split.source] = position
    assert {int(source[-1]): position["end"] >= ends[int(source[-1])] for source, position in held.items()} == {
        p: True for p, log in logs.items() if log
    }


def test_a_hot_partition_leaves_room():
    """Where one partition has far more than the others, each cut has something of all, and the hot one is paused."""
    logs = {0: list(range(20_000)), **{p: list(range(500)) for p in (1, 2, 3)}}
    client = Scripted(logs, [], size=500)
    client.seek(dict.fromkeys(logs, 0))
    ends = {p: len(log) for p, log in logs.items()}
    budget = 4 << 20
    starts = {p: Start(0, None) for p in logs}
    collector = Collector(client, open_codec("json"), TOPIC, starts, limits=Limits(60, budget=budget), ends=ends)
    try:
        cuts = collected(collector)
    finally:
        collector.close()
    assert sorted(rows(cuts)) == [(p, offset) for p, log in logs.items() for offset in log]
    assert set(cuts[0].pieces) == {0, 1, 2, 3}
    assert client.pauses > 0
    assert client.resumes > 0
    assert (
        max(sum(piece.nbytes for piece in cut.pieces.values()) for cut in cuts) <= budget * 3 // 8 + 2 * client.largest
    )


def test_a_failure_comes_after_what_came_before_it():
    """What was read before a client fails lands first; then the failure is raised, as often as one asks."""
    client = Scripted({0: [0, 1, 2]}, [], error=SourceUnreachable("gone"))
    client.seek({0: 0})
    collector = Collector(client, open_codec("json"), TOPIC, {0: Start(0, None)}, limits=Limits(60))
    cut = collector.cut()
    while cut.records < 3:
        cut = collector.cut()
    for _ in range(2):
        with pytest.raises(SourceUnreachable, match="gone"):
            collector.cut()
    collector.close()


def test_patience():
    """Who does not want to wait gets none while nothing is due, and it is not over."""
    client = Scripted({0: []}, [])
    client.seek({0: 0})
    collector = Collector(client, open_codec("json"), TOPIC, {0: Start(0, None)}, limits=Limits(60))
    assert collector.cut(patience=0.01) is None
    assert not collector.is_over
    collector.close()
