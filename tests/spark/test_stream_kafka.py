"""Kafka to Spark to a lake: every message once, however often the driver is killed.

`DATAPLAT_SPARK_KILLS=12` kills so many drivers, at moments of all kinds; without it there are three.
"""

from __future__ import annotations

import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

import dataplat as dp
from servers import Message
from servers.streaming import streamer

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("DATAPLAT_SPARK_KILLS", "3"))
TOGETHER = 4  # sessions that start at the same time


def jars():
    """Return the folder of Kafka's jars, if it was made before; else Spark's resolver fetches them."""
    sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
    from real_spark import folder

    found = folder() / "jars"
    return str(found) if found.exists() else ""


def test_every_message_lands_once_though_drivers_are_killed(kafka_server, tmp_path):
    """Killed at random, between parts and commit, and between commit and Spark's own log; counted by offset."""
    topic = kafka_server.new_topic(partitions=2)
    lake = tmp_path / "lake"
    dp.open(lake)
    settings = {
        "kafka.bootstrap.servers": kafka_server.bootstrap,
        "subscribe": topic.name,
        "startingOffsets": "earliest",
        "maxOffsetsPerTrigger": "50",
        "into": "events",
        "lake": str(lake),
        "checkpoint": str(tmp_path / "checkpoint"),
        "jars": jars(),
    }
    chance = random.Random(seed := random.randrange(1 << 30))
    killers = [between_parts_and_commit, between_commit_and_log, at_random] * (KILLS // 3 + 1)
    told = []
    stop = Event()
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        stack.callback(stop.set)
        sending = pool.submit(send, topic, stop)
        lives = waiting(tmp_path, settings, KILLS + 1)
        stack.callback(lives.close)
        for killer, life in zip(killers[:KILLS], lives, strict=False):
            life.tell("go")
            told.append(killer(life, lake, chance))
        stop.set()
        sent = sending.result()
        last = next(lives)
        last.tell("go")
        last.tell("stop")
        last.hears("done")
    rows = dp.open(lake)["events"].to_arrow().to_pylist()
    wanted = sorted((message.partition, message.offset, message.value.decode()) for message in topic.committed())
    assert len(wanted) == sent
    assert sorted((row["partition"], row["offset"], row["value"]) for row in rows) == wanted, (seed, told)
    assert len({tuple(each) for each in told}) > 1, told


def waiting(folder, settings, number):
    """Yield processes that are ready to stream, the last in large batches; starting takes long, so some start at once."""
    for first in range(0, number, TOGETHER):
        with ExitStack() as stack:
            some = range(first, min(first + TOGETHER, number))
            small = [settings if life < number - 1 else settings | {"maxOffsetsPerTrigger": "1000000"} for life in some]
            started = [
                stack.enter_context(streamer(folder / f"life-{life}", given))
                for life, given in zip(some, small, strict=True)
            ]
            for life in started:
                life.hears("ready")
                yield life


def between_parts_and_commit(life, lake, chance):
    """Kill as soon as a part is there; return how many parts and commits there were when it was dead."""
    return killed_when_there_is_more(life, lake, lambda: len(parts(lake)))


def between_commit_and_log(life, lake, chance):
    """Kill as soon as a commit is there."""
    return killed_when_there_is_more(life, lake, lambda: len(records(lake)))


def at_random(life, lake, chance):
    """Kill some time after the first commit."""
    wait_for_more(life, lambda: len(records(lake)))
    time.sleep(chance.uniform(0, 3))
    life.kill()
    return "at random", len(parts(lake)), len(records(lake))


def killed_when_there_is_more(life, lake, count):
    """Kill at the second time that something new is there: the first batch may be one that is run again."""
    wait_for_more(life, lambda: len(records(lake)))
    wait_for_more(life, count)
    life.kill()
    return "at once", len(parts(lake)), len(records(lake))


def wait_for_more(life, count):
    """Wait until there is more of something."""
    before, until = count(), time.monotonic() + 600
    while count() == before:
        assert life.process.poll() is None, life.log.read_text()[-4000:]
        assert time.monotonic() < until, life.log.read_text()[-4000:]
        time.sleep(0.001)


def parts(lake):
    """Return the parts in a lake, whether anything names them or not."""
    return list((lake / "objects").glob("*/*.parquet"))


def records(lake):
    """Return the records of the branch."""
    return list((lake / "refs" / "branches" / "main").iterdir())


def send(topic, stop):
    """Send messages without end; return how many."""
    number = 0
    while not stop.is_set():
        topic.produce([Message(b"%d" % at, partition=at % 2) for at in range(number, number + 20)])
        number += 20
        stop.wait(0.2)
    return number
