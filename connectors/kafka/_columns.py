"""Records as plain buffers: what goes from one process to another, and what Arrow takes as it is.

Only the standard library is needed to make them, so that a process which only polls stays small.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from kafka.consumer.fetcher import ConsumerRecord

    from dataplat.connectors.codecs import Records

_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Texts:
    """Byte strings, one behind the other; the length of one that is none is -1. `lengths` are int32."""

    lengths: PickleBuffer
    data: PickleBuffer

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Texts:
        """Return them joined."""
        lengths = array("i", [_NONE if value is None else len(value) for value in values])
        return cls(PickleBuffer(lengths), PickleBuffer(b"".join([value for value in values if value is not None])))

    def to_arrow(self) -> pa.BinaryArray:
        """Return them as Arrow has them; shares their memory."""
        import numpy as np
        import pyarrow as pa

        lengths = np.frombuffer(memoryview(self.lengths), np.int32)
        is_there = lengths != _NONE
        places = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(np.maximum(lengths, 0), out=places[1:])
        validity = None if is_there.all() else pa.py_buffer(np.packbits(is_there, bitorder="little"))
        buffers = [validity, pa.py_buffer(places), pa.py_buffer(self.data)]
        return pa.BinaryArray.from_buffers(pa.binary(), len(lengths), buffers)


@dataclass(frozen=True, slots=True)
class Columns:
    """Records of one partition, by ascending offset: see `Records`, which they become. Offsets and timestamps are int64."""

    partition: int
    offsets: PickleBuffer
    timestamps: PickleBuffer
    keys: Texts
    values: Texts
    headers: Sequence[Sequence[tuple[str, bytes | None]]] | None
    epoch: int | None

    @classmethod
    def of(cls, records: Sequence[ConsumerRecord], *, headers: bool) -> Columns:
        """Return records that kafka-python polled of one partition."""
        times = [_NONE if record.timestamp is None else record.timestamp for record in records]
        epoch = records[-1].leader_epoch
        return cls(
            records[0].partition,
            PickleBuffer(array("q", [record.offset for record in records])),
            PickleBuffer(array("q", times)),
            Texts.of([record.key for record in records]),
            Texts.of([record.value for record in records]),
            [record.headers for record in records] if headers else None,
            None if epoch == _NONE else epoch,
        )

    def records(self, topic: str) -> Records:
        """Return them as what codecs take; shares their memory."""
        import numpy as np
        import pyarrow as pa

        from dataplat.connectors.codecs import Records
        from dataplat.connectors.kafka._kept import headers_type

        headers: Any = None
        if self.headers is not None:
            named = [[{"name": name, "value": value} for name, value in pairs] for pairs in self.headers]
            headers = pa.array(named, headers_type())
        return Records(
            topic,
            self.partition,
            np.frombuffer(memoryview(self.offsets), np.int64),
            np.frombuffer(memoryview(self.timestamps), np.int64),
            self.keys.to_arrow(),
            self.values.to_arrow(),
            headers,
            self.epoch,
        )
