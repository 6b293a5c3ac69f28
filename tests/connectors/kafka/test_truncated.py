"""Where a log was cut back, found by leader epochs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dataplat.connectors.codecs import Records
from dataplat.connectors.kafka import Bounds
from dataplat.connectors.kafka._truncated import first_of_later


class Log:
    """A `Client` in memory of one partition: offsets (with gaps, and markers at the end) and their epochs."""

    def __init__(self, records, end):
        self.records, self.end, self.at, self.polls = records, end, {}, 0

    def seek(self, starts):
        """Read from here."""
        self.at = dict(starts)

    def positions(self):
        """Say where it goes on."""
        return self.at

    def poll(self, seconds, most):
        """Give the next records, or go behind the markers."""
        self.polls += 1
        found = [(offset, epoch) for offset, epoch in self.records if offset >= self.at[0]][:most]
        self.at[0] = found[-1][0] + 1 if found else self.end
        if not found:
            return []
        nulls = pa.nulls(len(found), pa.binary())
        offsets = np.array([offset for offset, _ in found], np.int64)
        return [Records("t", 0, offsets, np.zeros(len(found), np.int64), nulls, nulls, None, found[-1][1])]


logs = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), max_size=40)


@given(logs, st.integers(0, 5), st.integers(0, 9), st.integers(0, 8))
def test_it_is_found(steps, markers, earliest, epoch):
    """It is the offset behind all records of an epoch and before it, found in as many looks as there are halves."""
    records, offset, now = [], earliest - 1, 0
    for further, newer in steps:
        offset, now = offset + further, now + newer
        records.append((offset, now))
    end = offset + 1 + markers
    log = Log(records, end)
    found = first_of_later(log, 0, Bounds(earliest, end), epoch)
    read = [offset for offset, its in records if its <= epoch]
    assert found == (read[-1] + 1 if read else earliest)
    assert log.at == {}
    assert log.polls <= 2 + (end - earliest).bit_length()


def test_where_no_epoch_is_known():
    """Without epochs it is the end of the log."""
    assert first_of_later(Log([(0, 1)], 3), 0, Bounds(0, 3), None) == 3
    assert first_of_later(Log([(0, None), (1, None)], 2), 0, Bounds(0, 2), 1) == 2
