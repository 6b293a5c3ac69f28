"""Kafka to Spark to a lake: every message once, however often the driver is killed.

`DATAPLAT_SPARK_KILLS=12` kills so many drivers more, at moments of all kinds.
"""

from __future__ import annotations

import os
import random
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

KILLS = int(os.environ.get("DATAPLAT_SPARK_KILLS", "0"))
TOGETHER = 4  # sessions that start at the same time


@pytest.fixture
def topic(kafka_server):
    """Return a new topic."""
    return kafka_server.new_topic(partitions=2)


@pytest.fixture
def settings(topic, tmp_path):
    """Return what a streamer is told: from the topic into an empty lake."""
    dp.open(tmp_path / "lake")
    return {
        "kafka.bootstrap.servers": topic.server.bootstrap,
        "subscribe": topic.name,
        "startingOffsets": "earliest",
        "maxOffsetsPerTrigger": "50",
        "into": "events",
        "lake": str(tmp_path / "lake"),
        "checkpoint": str(tmp_path / "checkpoint"),
    }


def test_a_driver_that_dies_around_its_commit_lands_every_message_once(topic, settings, tmp_path):
    """Killed between parts and commit, then between commit and Spark's own log; that each moment was hit is seen."""
    lake = dp.open(settings["lake"])
    send(topic, range(200))
    with ExitStack() as stack:

        def life(name, **more):
            return stack.enter_context(streamer(tmp_path / name, settings | more))

        first = life("first", dies="before 1")
        first.hears("ready")  # alone, since a first one fetches Kafka's jars
        second, third = life("second", dies="after 1"), life("third")
        first.tell("go")
        first.dies()
        assert (planned(settings), done(settings), held(lake)) == ([0, 1], [0], 0)
        assert unnamed(lake)
        send(topic, range(200, 300))  # a batch that is run again is what it was, whatever has come meanwhile
        second.hears("ready")
        second.tell("go")
        second.dies()
        assert (planned(settings), done(settings), held(lake)) == ([0, 1], [0], 1)
        third.hears("ready")
        third.tell("go")
        third.tell("stop")
        third.hears("done")
    assert landed(lake) == sent(topic)
    assert len(landed(lake)) == 300
    assert held(lake) == len(done(settings)) - 1 == 5
    assert len(lake.log("events")) == 6


@pytest.mark.skipif(not KILLS, reason="long; part of `make proofs`")
def test_every_message_lands_once_though_drivers_are_killed_at_any_moment(topic, settings, tmp_path):
    """Killed at random, between parts and commit, and between commit and Spark's own log; counted by offset."""
    lake = tmp_path / "lake"
    chance = random.Random(seed := random.randrange(1 << 30))
    killers = [between_parts_and_commit, between_commit_and_log, at_random] * (KILLS // 3 + 1)
    told = []
    stop = Event()
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        stack.callback(stop.set)
        sending = pool.submit(send_on, topic, stop)
        lives = waiting(tmp_path, settings, KILLS + 1)
        stack.callback(lives.close)
        for killer, life in zip(killers[:KILLS], lives, strict=False):
            life.tell("go")
            told.append(killer(life, lake, chance))
        stop.set()
        number = sending.result()
        last = next(lives)
        last.tell("go")
        last.tell("stop")
        last.hears("done")
    assert landed(dp.open(lake)) == sent(topic), (seed, told)
    assert len(sent(topic)) == number
    assert len({tuple(each) for each in told}) > 1, told


def landed(lake):
    """Return the messages that the lake has: partition, offset and value."""
    return sorted((row["partition"], row["offset"], row["value"]) for row in lake["events"].to_arrow().to_pylist())


def sent(topic):
    """Return the messages that the topic has."""
    return sorted((message.partition, message.offset, message.value.decode()) for message in topic.committed())


def planned(settings):
    """Return the numbers of the batches that Spark began."""
    return logged(settings, "offsets")


def done(settings):
    """Return the numbers of the batches that Spark knows to be committed."""
    return logged(settings, "commits")


def logged(settings, log):
    """Return the numbers in a log of the checkpoint."""
    found = (Path(settings["checkpoint"]) / log).iterdir()
    return sorted(int(path.name) for path in found if path.name.isdecimal())


def held(lake):
    """Return the number of the batch that the lake has last."""
    head = lake.refs.head("main").commit
    return head.dataset("events", lake.objects.read).position("spark-stream", lake.objects.read)["batch"]


def unnamed(lake):
    """Return the parts that no version has."""
    named = {part.id for part in lake["events"].manifest.parts()}
    return {path.stem for path in parts(Path(lake.url))} - named


def waiting(folder, settings, number):
    """Yield processes that are ready to stream, the last in large batches; starting takes long, so some start at once."""
    first = 0
    while first < number:
        with ExitStack() as stack:
            some = range(first, min(first + (TOGETHER if first else 1), number))
            small = [settings if life < number - 1 else settings | {"maxOffsetsPerTrigger": "1000000"} for life in some]
            started = [
                stack.enter_context(streamer(folder / f"life-{life}", given))
                for life, given in zip(some, small, strict=True)
            ]
            for life in started:
                life.hears("ready")
                yield life
        first = some.stop


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


def send(topic, numbers):
    """Send messages, to one partition and the other."""
    topic.produce([Message(b"%d" % number, partition=number % 2) for number in numbers])


def send_on(topic, stop):
    """Send messages until it is to stop; return how many."""
    number = 0
    while not stop.is_set():
        send(topic, range(number, number + 20))
        number += 20
        stop.wait(0.2)
    return number
