"""A topic of JSON messages into a committed local lake, beside clients that only consume and parse, and beside Spark.

The broker is that of the tests.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._measure import DATA, HERE, Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, at_most, of

RECORDS, PARTITIONS = 2_000_000, 4
OURS, OURS_FAST = "dataplat, kafka-python", "dataplat, confluent-kafka"
PLAIN, FAST = "kafka-python, json.loads, pyarrow", "confluent-kafka, orjson, pyarrow"
SPARK = "Spark Structured Streaming to Parquet, warm"
RESUMED = {"kafka-python": "kafka-python, after a kill", "confluent": "confluent-kafka, after a kill"}
RESUMES, BATCH = 3.0, 1.0  # seconds; a commit closes after the second, of which the side asks for one


def tables(settings: Settings) -> list[Table]:
    """Measure both clients; with fewer than ten million rows (`--large`) fewer messages, to try it."""
    records = min(RECORDS, settings.large // 5)
    with topic_of(records) as topic:
        return [_throughput(settings, topic, records), _resuming(settings, topic, records)]


@contextmanager
def topic_of(records: int) -> Iterator[Any]:
    """Yield a topic of so many JSON messages; its broker ends with it."""
    sys.path.insert(0, str(HERE.parent / "tests" / "services"))
    from servers.kafka import kafka

    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="kafka-", dir=DATA))
    try:
        with kafka(folder) as server:
            topic = server.new_topic(partitions=PARTITIONS)
            topic.produce(_messages(records))
            yield topic
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _messages(records: int) -> Iterator[Any]:
    """Yield JSON objects of about 200 bytes."""
    from servers import Message

    chance = random.Random(7)
    for number in range(records):
        value = {
            "id": number,
            "user": f"user-{chance.randrange(100_000)}",
            "at": f"2026-11-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00Z",
            "amount": round(chance.uniform(0, 1000), 2),
            "ok": number % 7 != 0,
            "note": "".join(chance.choices("abcdefghij ", k=70)),
        }
        yield Message(json.dumps(value).encode(), partition=number % PARTITIONS)


def _throughput(settings: Settings, topic: Any, records: int) -> Table:
    server = topic.server.bootstrap

    def ours(client: str) -> Any:
        def command(scratch: Path) -> list[str]:
            program = side_program("kafka_read", "dataplat", server, topic.name, records, scratch / "lake")
            return ["env", f"DATAPLAT_CLIENT={client}", *program]

        return command

    def plain(name: str) -> Any:
        return lambda _: side_program("kafka_read", name, server, topic.name, records)

    sides = [
        Side(OURS, ours("kafka-python")),
        Side(OURS_FAST, ours("confluent")),
        Side(PLAIN, plain("kafka-python")),
        Side(FAST, plain("confluent")),
    ]
    if settings.slow:
        arguments = "parquet", server, topic.name, records
        sides.append(Side(SPARK, lambda scratch: side_program("spark_stream_sides", *arguments, scratch), once=True))
    results = compare(sides, settings.repeat)
    lines = [
        _faster("kafka-python, beside consume and json.loads", results, OURS, PLAIN, 1.5),
        _faster("confluent-kafka, beside kafka-python and json.loads", results, OURS_FAST, PLAIN, 2.5),
        _faster("confluent-kafka, beside consume and orjson", results, OURS_FAST, FAST, 1.2),
        _faster("confluent-kafka, beside Spark", results, OURS_FAST, SPARK, 1.0),
        at_most("peak memory of both processes, kafka-python", of(results, OURS, "rss_mb"), 500, "MB"),
        at_most("peak memory, confluent-kafka", of(results, OURS_FAST, "rss_mb"), 500, "MB"),
    ]
    title = f"Kafka: {records:,} JSON messages of 200 bytes, {PARTITIONS} partitions, to a committed local lake"
    return Table(title, tuple(lines), tuple(results))


def _resuming(settings: Settings, topic: Any, records: int) -> Table:
    """Measure from the start of a process to its first commit, where the one before it was killed amid its work."""
    arguments = (topic.server.bootstrap, topic.name, records)

    def command(name: str, client: str, scratch: Path) -> list[str]:
        program = side_program("kafka_read", name, *arguments, scratch / "lake")
        return ["env", f"DATAPLAT_CLIENT={client}", *program]

    def killed(client: str) -> Any:
        def prepare(scratch: Path) -> None:
            done = subprocess.run(command("dataplat-killed", client, scratch), check=False, stdout=subprocess.DEVNULL)
            assert done.returncode == -signal.SIGKILL, done.returncode

        return prepare

    sides = [
        Side(name, lambda scratch, client=client: command("dataplat-first", client, scratch), killed(client))
        for client, name in RESUMED.items()
    ]
    results = compare(sides, settings.repeat)
    lines = [at_most(name, of(results, name, "seconds"), RESUMES + BATCH, "s") for name in RESUMED.values()]
    return Table(
        f"Kafka: from the start of a process to its first commit, cuts of {BATCH:g} s", tuple(lines), tuple(results)
    )


def _faster(what: str, results: list[Result], ours: str, theirs: str, reach: float) -> Line:
    taken, other = of(results, ours, "seconds"), of(results, theirs, "seconds")
    if taken is None or other is None:
        return Line(what, NOT_MEASURED, f"≥ {reach:g} ×", None)
    return Line(what, f"{other / taken:.2f} × ({other:.2f} / {taken:.2f} s)", f"≥ {reach:g} ×", other >= reach * taken)
