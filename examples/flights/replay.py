"""Replay the departures of a day in 2013 as events into a topic: replay.py HOST:PORT TOPIC MONTH-DAY [--trouble].

Each flight is a message of JSON, its key the tail number, in the order of the schedule. With --trouble, five messages
come along that are no JSON, and a transaction of 100 flights that never were: it is aborted.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing

from kafka import KafkaProducer
from tables import table

WHOLE = (
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "arr_time",
    "sched_arr_time",
    "flight",
    "distance",
    "hour",
    "minute",
)
FRACTIONS = ("dep_delay", "arr_delay", "air_time")
POISON = (b"", b"{", b'{"carrier": "UA"', b"\xff\xfe", b"late by an hour")


def events(month: int, day: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of each departure of a day."""
    with zipfile.ZipFile(table("flights")) as packed, packed.open("flights.csv") as raw:
        for row in csv.DictReader(io.TextIOWrapper(raw, "utf-8")):
            if (int(row["month"]), int(row["day"])) != (month, day):
                continue
            event = {name: _typed(name, value) for name, value in row.items()}
            yield row["tailnum"].encode(), json.dumps(event).encode()


def _typed(name: str, value: str) -> int | float | str | None:
    if value == "NA":
        return None
    return int(value) if name in WHOLE else float(value) if name in FRACTIONS else value


def main(broker: str, topic: str, date: str, *trouble: str) -> None:
    """Send the events, in transactions of 100; the broker makes the topic."""
    month, day = map(int, date.split("-"))
    flights = list(events(month, day))
    with closing(KafkaProducer(bootstrap_servers=broker, transactional_id="replay", linger_ms=5)) as producer:
        producer.init_transactions()
        for begin in range(0, len(flights), 100):
            producer.begin_transaction()
            for key, value in flights[begin : begin + 100]:
                producer.send(topic, value, key)
            producer.commit_transaction()
        if trouble:
            producer.begin_transaction()
            for number, value in enumerate(POISON):
                producer.send(topic, value, partition=number % 4)
            producer.commit_transaction()
            producer.begin_transaction()
            for key, value in flights[:100]:
                producer.send(topic, value, key)
            producer.abort_transaction()
    print(f"{len(flights):,} flights sent" + (f", {len(POISON)} bad messages, 100 aborted" if trouble else ""))


if __name__ == "__main__":
    main(*sys.argv[1:])
