"""SIGKILL of an ingester that follows transactions, at any moment: each committed message is there once, no aborted one.

The ingester is the command line, in a process of its own each time, by either client in turn. Meanwhile the broker is
killed twice, partitions are added, and a backlog grows. What is right is said by librdkafka, which reads what is
committed, and by the journal of who wrote. `make proofs` does it with 300 deaths and two million messages:
DATAPLAT_STREAM_KILLS, DATAPLAT_STREAM_MESSAGES, DATAPLAT_STREAM_SEED.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import dataplat as dp
from servers import KafkaServer, Topic
from servers.journal import Span
from servers.topics import read

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("DATAPLAT_STREAM_KILLS", "6"))
MESSAGES = int(os.environ.get("DATAPLAT_STREAM_MESSAGES", "40000"))
SEED = int(os.environ.get("DATAPLAT_STREAM_SEED") or secrets.randbelow(1_000_000))
CLIENTS = ("kafka-python", "confluent")
MEMORY = 500  # MB that an ingester may take, however much waits
PATIENCE = 15.0  # seconds to wait for a commit that is to be cut short
DATAPLAT = (sys.executable, "-m", "dataplat")

Places = NDArray[np.int64]  # a row a message: partition, offset, serial number


@dataclass(slots=True)
class Ingests:
    """Processes that ingest a topic into a lake, and what was seen of them."""

    topic: Topic
    lake: Path
    log: Path
    resumed: list[float] = field(default_factory=list)  # seconds from a start to its first commit
    kinds: Counter[str] = field(default_factory=Counter)
    memory: float = 0  # MB
    said: list[str] = field(default_factory=list)

    @contextmanager
    def one(self, client: str, into: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start one; it is gone in the end."""
        words = ["ingest", self.topic.url, "--into", into, "--client", client, "--keep", "partition,offset", *options]
        with self.log.open("wb") as log:
            process = subprocess.Popen([*DATAPLAT, *words], stdout=log, stderr=log, env=self.environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @property
    def environment(self) -> dict[str, str]:
        """Where the command line finds the lake."""
        return {**os.environ, "DATAPLAT_LAKE": str(self.lake)}

    def newest(self) -> str:
        """Return what changes with each commit: the records of a branch count down."""
        return min(path.name for path in (self.lake / "refs/branches/main").iterdir())

    def watch(self, process: subprocess.Popen[bytes], seconds: float, until: str = "") -> float | None:
        """Let it live so long, or until the head is another than `until`; return the seconds where that came to be."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            self._look_at_memory(process)
            if until and self.newest() != until:
                return time.monotonic() - began
            if process.poll() is not None:
                break
            time.sleep(min(0.01, max(0.0, began + seconds - time.monotonic())))
        return None

    def wait(self, process: subprocess.Popen[bytes], seconds: float = 600) -> None:
        """Wait for one that ends by itself, in good order."""
        self.watch(process, seconds)
        assert process.poll() == 0, self.log.read_text("utf-8")

    def died(self, draw: random.Random, client: str, every: str) -> None:
        """Start one, and kill it: in its start, at any moment, or soon after it has committed (in the next, that is)."""
        head = self.newest()
        usual = statistics.median(self.resumed) if self.resumed else 2.0
        kind = draw.choice(["start", "any", "commit", "commit"])
        self.kinds[kind] += 1
        with self.one(client, "events", "--follow", "--every", every) as process:
            if kind == "start":
                self.watch(process, draw.uniform(0, usual))
            elif kind == "any":
                self.watch(process, draw.uniform(0, 2.5 * usual))
            else:
                resumed = self.watch(process, PATIENCE, head)
                if resumed is not None:
                    self.resumed.append(resumed)
                    self.watch(process, draw.choice([0.02, 0.2, 1.0]) * draw.random())
            self._look_at_memory(process)
            process.kill()
            assert process.wait() == -signal.SIGKILL, self.log.read_text("utf-8")

    def ran(self, *words: str) -> None:
        """Run a command that has to succeed."""
        done = subprocess.run(
            [*DATAPLAT, *words], capture_output=True, text=True, env=self.environment, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.said.append(done.stdout.strip())

    def _look_at_memory(self, process: subprocess.Popen[bytes]) -> None:
        """Add the peaks of the process and of that which polls for it, as if they came at once."""
        peaks = 0.0
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split()
            for pid in (process.pid, *children):
                status = Path(f"/proc/{pid}/status").read_text("ascii")
                peaks += sum(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
        except (OSError, UnicodeDecodeError):  # one of them is over
            return
        self.memory = max(self.memory, peaks)


def committed(topic: Topic) -> Places:
    """Return what librdkafka is shown, by partition and offset."""
    found = [
        (message.partition, message.offset, int(message.value[11 : message.value.index(b",")]))
        for message in read(topic, "read_committed")
        if message.value is not None
    ]
    return np.array(found, np.int64)


def landed(lake: dp.Lake, dataset: str) -> Places:
    """Return what a dataset holds, by partition and offset."""
    table = lake[dataset].to_arrow(columns=["serial", "minus", "_partition", "_offset"])
    assert np.array_equal(table["serial"].to_numpy(), -table["minus"].to_numpy())
    places = np.stack([table[name].to_numpy() for name in ("_partition", "_offset", "serial")], axis=1)
    return places[np.lexsort((places[:, 1], places[:, 0]))].astype(np.int64)


def agree(truth: Places, journal: Path) -> Counter[str]:
    """Check what a reader is shown against who wrote it; return how many messages became what."""
    seen = np.bincount(truth[:, 2], minlength=MESSAGES)
    became: Counter[str] = Counter()
    for span in Span.read(journal):
        shown = seen[span.first : span.last + 1]
        became[span.outcome] += len(shown)
        assert np.all(shown == shown[0]), f"a transaction is there in part: {span}"
        assert span.outcome == "unknown" or np.all(shown == (span.outcome == "committed")), span
    assert sum(became.values()) == MESSAGES
    return became


@contextmanager
def writing(topic: Topic, journal: Path) -> Iterator[subprocess.Popen[str]]:
    """Run who writes the transactions: goals go in as lines."""
    words = [sys.executable, "-m", "servers.journal", topic.server.bootstrap, topic.name, str(SEED), str(journal)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2] / "services")
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


def wants(writer: subprocess.Popen[str], messages: int) -> None:
    """Give it its next goal."""
    assert writer.stdin is not None
    writer.stdin.write(f"{messages}\n")
    writer.stdin.flush()


def kill_all(ingests: Ingests, writer: subprocess.Popen[str], draw: random.Random) -> None:
    """Kill ingester after ingester, while all the rest happens."""
    server = ingests.topic.server
    restarts = {KILLS // 4, KILLS * 5 // 8}
    restarting: threading.Thread | None = None

    def restart() -> None:
        server.kill()
        time.sleep(down)
        server.start()

    for number in range(KILLS):
        backlog = MESSAGES // 5 if number >= KILLS * 3 // 4 else 0
        wants(writer, backlog + (MESSAGES - MESSAGES // 4) * (number + 1) // KILLS)
        if number == KILLS // 2:
            if restarting is not None:
                restarting.join()
            ingests.topic.add_partitions(6)
        if number in restarts:
            down = draw.uniform(0, 3)
            restarting = threading.Thread(target=restart)
            restarting.start()
        ingests.died(draw, CLIENTS[number % 2], draw.choice(["100ms", "300ms", "1s"]))
        assert writer.poll() is None, "who writes has ended"
    if restarting is not None:
        restarting.join()


def follow_the_rest(ingests: Ingests, writer: subprocess.Popen[str], lake: dp.Lake) -> Places:
    """Let one live until all is written and read, and stop it in good order; return what there was to read."""
    head = ingests.newest()
    with ingests.one("kafka-python", "events", "--follow", "--every", "1s") as process:
        wants(writer, MESSAGES)
        assert ingests.watch(process, 120, head), ingests.log.read_text("utf-8")
        assert writer.stdin is not None
        writer.stdin.close()
        assert writer.wait(600) == 0
        truth = committed(ingests.topic)
        until = time.monotonic() + 300
        while lake["events"].rows < len(truth) and time.monotonic() < until:
            ingests.watch(process, 0.2)
            assert process.poll() is None, ingests.log.read_text("utf-8")
        process.terminate()
        ingests.wait(process)
    return truth


def say(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    """Show what was drawn and seen."""
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")


def test_killed_at_any_moment(tmp_path: Path, own_kafka: KafkaServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Over many deaths, of the ingester and of the broker, the lake has exactly what was committed."""
    topic, draw, began = own_kafka.new_topic(partitions=4), random.Random(SEED), time.monotonic()
    say(capsys, f"seed {SEED}: {KILLS} deaths over {MESSAGES:,} messages")
    lake, journal = dp.open(tmp_path / "lake"), tmp_path / "journal"
    ingests = Ingests(topic, tmp_path / "lake", tmp_path / "log")
    with writing(topic, journal) as writer:
        kill_all(ingests, writer, draw)
        truth = follow_the_rest(ingests, writer, lake)
    became = agree(truth, journal)
    assert np.array_equal(landed(lake, "events"), truth)
    killed_memory, ingests.memory = ingests.memory, 0
    for client in CLIENTS:  # all of it, again, into a dataset of its own
        with ingests.one(client, client) as process:
            ingests.wait(process)
        assert np.array_equal(landed(lake, client), truth)
    with ingests.one("confluent", "events") as process:
        ingests.wait(process)
    assert np.array_equal(landed(lake, "events"), truth)
    ends = {part.partition: part.end for part in lake.verify_ingest("events").partitions}
    assert ends == {partition: end for partition, (_, end) in topic.bounds().items()}
    assert set(ends) == set(np.unique(truth[:, 0]).tolist()) == set(range(6))
    ingests.ran("ingest", "verify", "events")
    ingests.ran("version", "verify")
    assert became["aborted"] > MESSAGES / 10
    assert max(killed_memory, ingests.memory) <= MEMORY
    modes = Counter(entry.mode for entry in lake.log("events"))
    say(
        capsys,
        f"deaths {dict(ingests.kinds)}; commits {dict(modes)}; messages {dict(became)}",
        f"first commit after a start: {len(ingests.resumed)} seen, median {statistics.median(ingests.resumed):.2f} s",
        f"  sorted {' '.join(f'{seconds:.1f}' for seconds in sorted(ingests.resumed))}",
        f"memory {killed_memory:.0f} MB in the killed, {ingests.memory:.0f} MB over the whole topic",
        f"{time.monotonic() - began:.0f} s",
        *ingests.said,
    )
