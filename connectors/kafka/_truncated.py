"""Where a log was cut back: found by the leader epochs of its records, which only grow along it.

A log loses its end when a broker that had not all of it takes over. What was written since stands at offsets that were
read before, under a later epoch than what was read.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dataplat.connectors.kafka._client import Bounds, Client

_PATIENCE: Final = 5.0
"""Seconds that a look waits for a record; there may be none left, of a transaction's end or what was compacted."""


def first_of_later(client: Client, partition: int, bounds: Bounds, epoch: int | None) -> int:
    """Return the first offset behind all records of `epoch` and before it; where epochs are not known, the log's end.

    Reads single records, in halves, and leaves the client with nothing to read.
    """
    low, high = bounds.earliest, bounds.end
    while epoch is not None and low < high:
        middle = (low + high) // 2
        found = _first_from(client, partition, middle, high)
        if found is None:
            high = middle
            continue
        offset, its = found
        if its is None:
            epoch = None
        elif its > epoch:
            high = middle
        else:
            low = offset + 1
    client.seek({})
    return bounds.end if epoch is None else low


def _first_from(client: Client, partition: int, offset: int, end: int) -> tuple[int, int | None] | None:
    """Return offset and epoch of the first record from `offset` on and before `end`, None where there is none."""
    client.seek({partition: offset})
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and client.positions()[partition] < end:
        for records in client.poll(0.2, 1):
            if len(records):
                found = int(records.offsets[0])
                return (found, records.epoch) if found < end else None
    return None
