"""Read a topic of JSON messages: `NAME SERVER TOPIC RECORDS [LAKE]`; prints the seconds from the first poll to the end.

`kafka-python` and `confluent` consume, parse each message (json.loads, orjson) and make Arrow tables of 10,000 rows.
`dataplat` lands the topic in a lake, by the library that DATAPLAT_CLIENT names; `dataplat-first` lands it until the
first commit is there.
"""

import json
import os
import resource
import sys
import threading
import time


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


def dataplat_first(server, topic, _records, lake):
    import dataplat as dp

    opened = dp.open(lake)
    stop = threading.Event()
    begin = time.perf_counter()
    before = len(opened.log("events"))
    found = {}

    def told(_progress):
        if not stop.is_set() and len(opened.log("events")) > before:
            found["seconds"] = time.perf_counter() - begin
            stop.set()

    opened.ingest(
        f"kafka://{server}/{topic}",
        "events",
        client=os.environ["DATAPLAT_CLIENT"],
        follow=True,
        every=1.0,
        stop=stop,
        progress=told,
    )
    return found


if __name__ == "__main__":
    name, server, topic, records, *rest = sys.argv[1:]
    sides = {
        "kafka-python": kafka_python,
        "confluent": confluent,
        "dataplat": dataplat,
        "dataplat-first": dataplat_first,
    }
    figures = sides[name](server, topic, int(records), *rest)
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures))
