"""Read a topic of JSON messages: `NAME SERVER TOPIC RECORDS [LAKE]`; prints the seconds from the first poll to the end.

`kafka-python` and `confluent` consume, parse each message (json.loads, orjson) and make Arrow tables of 10,000 rows.
`dataplat` lands the topic in a lake, by the library that DATAPLAT_CLIENT names; `dataplat-first` goes on with it until a
first commit is there, and its seconds are those since the process began; `dataplat-killed` dies after its first one.
Memory is the largest that this process and those that it started have had together.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path


def kafka_python(server, topic, records):
    import pyarrow as pa
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=server,
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_poll_records=10_000,
        max_partition_fetch_bytes=4 << 20,
        fetch_max_bytes=16 << 20,
    )
    places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    begin = time.perf_counter()
    rows = 0
    while rows < records:
        for found in consumer.poll(timeout_ms=1000).values():
            rows += pa.Table.from_pylist([json.loads(record.value) for record in found]).num_rows
    seconds = time.perf_counter() - begin
    consumer.close()
    return {"seconds": seconds, "rows": rows}


def confluent(server, topic, records):
    import orjson
    import pyarrow as pa
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": server,
            "group.id": "bench",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    numbers = sorted(consumer.list_topics(topic).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
    begin = time.perf_counter()
    rows = 0
    while rows < records:
        found = consumer.consume(10_000, 1.0)
        if found:
            rows += pa.Table.from_pylist([orjson.loads(message.value()) for message in found]).num_rows
    seconds = time.perf_counter() - begin
    consumer.close()
    return {"seconds": seconds, "rows": rows}


def dataplat(server, topic, records, lake):
    import dataplat as dp

    opened = dp.open(lake)
    begin = time.perf_counter()
    result = opened.ingest(f"kafka://{server}/{topic}", "events", client=os.environ["DATAPLAT_CLIENT"])
    seconds = time.perf_counter() - begin
    assert result.rows_added == int(records), result
    return {"seconds": seconds, "rows": result.rows_added, "commits": len(opened.log("events"))}


def dataplat_first(server, topic, records, lake):
    stop, found = threading.Event(), {}

    def came():
        found.setdefault("seconds", since_start())
        stop.set()

    follow(server, topic, records, lake, came, stop)
    return found


def dataplat_killed(server, topic, records, lake):
    follow(server, topic, records, lake, lambda: os.kill(os.getpid(), signal.SIGKILL))


def follow(server, topic, records, lake, came, stop=None):
    """Follow a topic, no commit holding more than a quarter of it, and tell when one has come."""
    import dataplat as dp

    opened = dp.open(lake)

    def commits():
        return len(opened.log("events")) if "events" in opened else 0

    before = commits()

    def told(progress):
        if progress.stage.startswith("following") and commits() > before:
            came()

    given = {"client": os.environ["DATAPLAT_CLIENT"], "follow": True, "every": 1.0, "rows": records // 4}
    opened.ingest(f"kafka://{server}/{topic}", "events", **given, stop=stop, progress=told)


def since_start():
    """Return the seconds since this process began."""
    began = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began


class Memory:
    """Looks at the memory of this process and its children, again and again; `peak` in MB."""

    def __init__(self):
        self.peak = 0.0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self):
        page = os.sysconf("SC_PAGE_SIZE") / (1 << 20)
        own = Path("/proc/self")
        while True:
            time.sleep(0.02)
            try:
                children = [child for task in own.glob("task/*/children") for child in task.read_text().split()]
                looked = [own, *(Path("/proc") / child for child in children)]
                total = sum(int((one / "statm").read_text().split()[1]) for one in looked) * page
            except (FileNotFoundError, ProcessLookupError):
                continue  # a thread or process has ended meanwhile
            self.peak = max(self.peak, total)


if __name__ == "__main__":
    name, server, topic, records, *rest = sys.argv[1:]
    sides = {
        "kafka-python": kafka_python,
        "confluent": confluent,
        "dataplat": dataplat,
        "dataplat-first": dataplat_first,
        "dataplat-killed": dataplat_killed,
    }
    memory = Memory()
    figures = sides[name](server, topic, int(records), *rest)
    figures["rss_mb"] = memory.peak
    print(json.dumps(figures))
