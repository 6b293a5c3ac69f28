"""Records go from process to process as plain buffers, and come out as they went in."""

from __future__ import annotations

import pickle
import socket
import threading

import pytest
from kafka.consumer.fetcher import ConsumerRecord

from dataplat.connectors.kafka._columns import Columns, Texts
from dataplat.connectors.kafka._wire import Wire


def record(offset, value, key=None, *, timestamp=5, epoch=3, headers=()):
    """Return a record as kafka-python gives it."""
    return ConsumerRecord("t", 2, epoch, offset, timestamp, 0, key, value, list(headers), None, 0, 0, 0)


@pytest.mark.parametrize("values", [[b"a", b"", None, b"\xff\x00b"], [None], [b""], [b"x" * 100_000, b"y"], []])
def test_byte_strings(values):
    """What is none stays none, and is not what is empty."""
    array = Texts.of(values).to_arrow()
    array.validate(full=True)
    assert array.to_pylist() == values


def test_records():
    """Each part of a record is there, in its order; one without time has -1; the epoch is that of the last one."""
    polled = [record(7, b"{}", b"k"), record(9, None, timestamp=None), record(10, b"", headers=[("h", None)], epoch=4)]
    found = Columns.of(polled, headers=True).records("t")
    assert (found.topic, found.partition, found.epoch, len(found)) == ("t", 2, 4, 3)
    assert (found.offsets.tolist(), found.timestamps.tolist()) == ([7, 9, 10], [5, -1, 5])
    assert (found.keys.to_pylist(), found.values.to_pylist()) == ([b"k", None, None], [b"{}", None, b""])
    assert found.headers.to_pylist() == [[], [], [{"name": "h", "value": None}]]
    without = Columns.of([record(1, b"", epoch=-1)], headers=False).records("t")
    assert (without.headers, without.epoch) == (None, None)


def test_over_a_wire():
    """Columns come through a connection as they were sent, one behind the other; where it is closed, that is told."""
    ours, theirs = socket.socketpair()
    sent = [Columns.of([record(n, b"%d" % n * 50_000)], headers=True) for n in range(5)]

    def send():
        with theirs:
            for columns in sent:
                Wire(theirs).send(([columns], {2: 8}))

    sender = threading.Thread(target=send)
    sender.start()
    wire = Wire(ours)
    for number in range(5):
        (columns,), positions = wire.receive()
        assert positions == {2: 8}
        assert columns.records("t").values.to_pylist() == [b"%d" % number * 50_000]
    with pytest.raises(EOFError):
        wire.receive()
    sender.join()
    wire.close()


def test_buffers_are_not_copied_into_the_message():
    """What is pickled of a large value is small: its bytes go beside it."""
    columns = Columns.of([record(1, b"x" * 1_000_000)], headers=False)
    assert len(pickle.dumps(columns, protocol=5, buffer_callback=lambda _: None)) < 1000
