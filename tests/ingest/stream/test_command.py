"""`dataplat ingest kafka://… --follow` as a process: signals, metrics, two side by side."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request

import pytest

import dataplat as dp
from servers import KafkaServer, Message
from servers.process import free_port

pytestmark = pytest.mark.slow


def events(*numbers, partitions=4):
    """Return messages with an `n`, spread over partitions."""
    return [Message(b'{"n": %d}' % n, partition=n % partitions) for n in numbers]


def metrics_at(port):
    """Return what Prometheus would find at a port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(dataplat_\S+?) (\S+)$", text, re.MULTILINE)}


def test_told_to_end_before_it_began(tmp_path):
    """SIGTERM while modules are still being imported ends it with 0, and without a word."""
    words = ["ingest", "kafka://127.0.0.1:1/t", "--into", "events", "--follow"]
    command = [sys.executable, "-X", "importtime", "-m", "dataplat", *words]  # says on stderr what is imported
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        next(line for line in process.stderr if line.endswith(" click.core\n"))
        process.terminate()
        said, complained = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert all(line.startswith("import time:") for line in complained.splitlines())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_good_order(kafka_server: KafkaServer, lake, command, numbers, until, parsed, client, number):
    """SIGTERM and SIGINT let it commit what it has read, say what it did, and end with 0."""
    topic = kafka_server.new_topic(partitions=4)
    topic.produce(events(*range(100)))
    following = command(
        "ingest",
        topic.url,
        "--into",
        "events",
        "--follow",
        "--every",
        "1h",
        "--rows",
        "60",
        "--client",
        client,
        "--json",
    )
    until(lambda: len(numbers()) >= 60)
    code, said, complained = following.end(number)
    assert (code, complained) == (0, "")
    result = parsed(said)
    assert result["rows_added"] == len(numbers())  # whatever was read by then
    lake.ingest(topic.url, "events", client=client)
    assert numbers() == list(range(100))
    assert lake.verify_ingest("events").ok


def test_it_ends_while_the_broker_is_down(own_kafka: KafkaServer, lake, command, numbers, until, client):
    """SIGTERM ends it with 0 while no broker answers (which it counts); started again it goes on, nothing is doubled."""
    topic = own_kafka.new_topic(partitions=4)
    topic.produce(events(*range(100)))
    port = free_port()
    words = (
        "ingest",
        topic.url,
        "--into",
        "events",
        "--follow",
        "--every",
        "200ms",
        "--timeout",
        "2s",
        "--client",
        client,
        "--metrics",
        str(port),
    )
    following = command(*words)
    until(lambda: len(numbers()) == 100)
    own_kafka.kill()
    until(lambda: metrics_at(port).get('dataplat_failures_total{error="SourceUnreachable"}', 0) >= 1)
    code, said, _ = following.end()
    assert code == 0
    assert "100" in said
    own_kafka.start()
    topic.produce(events(*range(100, 150)))
    following = command(*words)
    until(lambda: len(numbers()) == 150)
    assert following.end()[0] == 0
    assert numbers() == list(range(150))


def test_no_broker_at_the_start(lake, command, client):
    """Where nobody answers from the beginning, it does not go on trying: one error, and no traceback."""
    started = command(
        "ingest", "kafka://127.0.0.1:1/t", "--into", "events", "--follow", "--timeout", "1s", "--client", client
    )
    said, complained = started.process.communicate(timeout=60)
    assert started.process.returncode not in {0, None}
    assert said == ""
    assert "no broker at 127.0.0.1:1 answers within 1 s" in complained
    assert "Traceback" not in complained


def test_metrics(kafka_server: KafkaServer, lake, command, numbers, until):
    """Lag, positions, records, rows, rejects and the time of commits are there for Prometheus."""
    topic = kafka_server.new_topic(partitions=2)
    topic.produce([*events(*range(20), partitions=2), Message(b"no json", partition=0)])
    port = free_port()
    following = command(
        *("ingest", topic.url, "--into", "events", "--follow", "--every", "200ms"),
        *("--metrics", str(port)),
    )
    until(lambda: len(numbers()) == 20)
    label = f'{{topic="{topic.name}"}}'
    until(lambda: metrics_at(port).get(f"dataplat_records_total{label}") == 21)
    found = metrics_at(port)
    assert found[f"dataplat_rows_total{label}"] == 20
    assert found[f"dataplat_rejects_total{label}"] == 1
    assert found[f"dataplat_commit_seconds_count{label}"] >= 1
    assert found[f"dataplat_commit_seconds_sum{label}"] > 0
    ends = {p: end for p, (_, end) in topic.bounds().items()}
    for p in (0, 1):
        place = f'{{partition="{p}",topic="{topic.name}"}}'
        assert found[f"dataplat_position{place}"] == ends[p]
        assert found[f"dataplat_lag_records{place}"] == 0
    assert following.end()[0] == 0


def test_two_side_by_side(kafka_server: KafkaServer, lake, command, numbers, until):
    """Two processes with partitions of their own land one topic together, and neither disturbs the other."""
    topic = kafka_server.new_topic(partitions=4)
    words = ("ingest", topic.url, "--into", "events", "--follow", "--every", "100ms")
    both = [command(*words, "--partitions", part) for part in ("0-1", "2,3")]
    for n in range(0, 500, 100):
        topic.produce(events(*range(n, n + 100)))
        until(lambda: len(numbers()) == n + 100)  # noqa: B023 (called at once)
    assert [one.end()[0] for one in both] == [0, 0]
    assert numbers() == list(range(500))
    proof = lake.verify_ingest("events")
    assert proof.ok
    assert [part.records for part in proof.partitions] == [125] * 4


def test_the_lag_is_said(kafka_server: KafkaServer, lake, follow, until, monkeypatch):
    """What is shown of a run has how far it is behind."""
    monkeypatch.setattr("dataplat.ingest._stream.LOOK_EVERY", 0.1)
    topic = kafka_server.new_topic(partitions=4)
    topic.produce(events(*range(400)))
    follower = follow(lake, topic.url, rows=50)
    until(lambda: any(report.stage == "following, 0 behind" for report in follower.stages))
    said = [report.stage for report in follower.stages if report.stage.endswith(" behind")]
    assert said[0] == "following, 400 behind"
    assert len(set(said)) >= 3
    assert isinstance(follower.end(), dp.IngestResult)
