"""A process that writes transactions into a topic, and a journal of what became of each.

Run as `python -m servers.journal BOOTSTRAP TOPIC SEED JOURNAL`, it reads goals from its input, a line each: how many
messages are to be there by then. It ends when its input has and the last goal is met. A fifth is aborted; now and then a
transaction stays open beside the others, and is committed, aborted, or fenced by the next producer of its id.

Each line of the journal is `FIRST LAST OUTCOME`, of the messages with these serial numbers. `unknown` is what a broker
that died in a commit leaves: all of them are there, or none.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

ABORTED = 0.2
PAUSE = 0.2  # seconds between two transactions at most, while the goal is near
LARGEST = 1000  # messages of a transaction
FILL = b"x" * 120


def value(serial: int) -> bytes:
    """Return a message of 200 bytes or so, that says its number twice."""
    return b'{"serial": %d, "minus": %d, "kind": "%s", "fill": "%s"}' % (
        serial,
        -serial,
        b"abc"[serial % 3 :][:1],
        FILL,
    )


@dataclass(slots=True)
class Span:
    """The messages of one transaction, and what became of them."""

    first: int
    last: int
    outcome: str

    @classmethod
    def read(cls, journal: Path) -> Iterator[Span]:
        """Yield all that were written down."""
        for line in journal.read_text("ascii").splitlines():
            first, last, outcome = line.split()
            yield cls(int(first), int(last), outcome)


@dataclass(slots=True)
class Goal:
    """How many messages there are to be; it grows, and has ended when no line comes any more."""

    count: int = 0
    ended: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self) -> None:
        """Take goals until the input ends."""
        for line in sys.stdin:
            self._change(int(line))
        self._change(self.count, ended=True)

    def _change(self, count: int, *, ended: bool = False) -> None:
        with self.changed:
            self.count, self.ended = count, ended
            self.changed.notify_all()

    def wait(self, sent: int) -> bool:
        """Wait until more is wanted than was sent; return false where that will never be."""
        with self.changed:
            self.changed.wait_for(lambda: sent < self.count or self.ended)
            return sent < self.count


class Writer:
    """Transactions of one id, over producers that follow on each other."""

    def __init__(self, bootstrap: str, topic: str, name: str, journal: TextIO) -> None:
        self._settings = {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"{topic}-{name}",
            "linger.ms": 5,
            "topic.metadata.refresh.interval.ms": 1000,  # so that it learns of partitions that were added
            "log_level": 0,
        }
        self._topic = topic
        self._journal = journal
        self._producer: Any = None
        self._open: tuple[int, int] | None = None
        self.renew()

    @property
    def is_open(self) -> bool:
        """Whether a transaction was begun."""
        return self._open is not None

    def renew(self) -> None:
        """Be the next producer of the id: what the one before left open is aborted by the broker."""
        from confluent_kafka import KafkaException, Producer

        while True:
            try:
                producer = Producer(self._settings)
                producer.init_transactions(30)
                break
            except KafkaException:  # no broker now
                time.sleep(0.2)
        self._producer = producer
        if self._open is not None:
            self._write("aborted")

    def begin(self, first: int, count: int) -> None:
        """Send messages in a transaction that stays open."""
        from confluent_kafka import KafkaException

        self._open = (first, first + count - 1)
        try:
            self._producer.begin_transaction()
            for serial in range(first, first + count):
                while True:
                    try:
                        self._producer.produce(self._topic, value(serial), b"%d" % serial)
                        break
                    except BufferError:
                        self._producer.poll(0.1)
            self._producer.flush(30)
        except KafkaException:
            self.renew()

    def end(self, *, commit: bool) -> None:
        """Commit or abort it."""
        from confluent_kafka import KafkaException

        if self._open is None:
            return
        try:
            if commit:
                self._producer.commit_transaction(60)
            else:
                self._producer.abort_transaction(60)
        except KafkaException:
            if commit:
                self._write("unknown")
            self.renew()
        else:
            self._write("committed" if commit else "aborted")

    def _write(self, outcome: str) -> None:
        assert self._open is not None
        self._journal.write(f"{self._open[0]} {self._open[1]} {outcome}\n")
        self._journal.flush()
        self._open = None


def main(bootstrap: str, topic: str, seed: str, journal: str) -> None:
    """Write until the last goal is met."""
    draw = random.Random(seed)
    goal = Goal()
    threading.Thread(target=goal.follow, daemon=True).start()
    sent = left = 0
    with Path(journal).open("w", encoding="ascii") as file:
        quick, slow = (Writer(bootstrap, topic, name, file) for name in ("quick", "slow"))
        while goal.wait(sent):
            writer = quick
            if not slow.is_open and draw.random() < 0.1:
                writer, left = slow, draw.randrange(1, 8)
            count = min(draw.randrange(1, LARGEST), goal.count - sent)
            writer.begin(sent, count)
            sent, left = sent + count, left - 1
            quick.end(commit=draw.random() >= ABORTED)
            if slow.is_open and (left <= 0 or sent >= goal.count):
                if draw.random() < ABORTED / 2:
                    slow.renew()
                else:
                    slow.end(commit=draw.random() >= ABORTED)
            if goal.count - sent < 5 * LARGEST:
                time.sleep(draw.uniform(0, PAUSE))


if __name__ == "__main__":
    main(*sys.argv[1:])
