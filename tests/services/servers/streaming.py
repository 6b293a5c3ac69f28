"""A process of Spark that brings a topic of Kafka into a lake, batch by batch, until it is told to stop or is killed.

It starts (which takes long, so several are started at once), says `ready`, waits for `go` and runs the query; told
`stop`, it lands what is left, and ends. Told beforehand, it dies before or after the commit of a batch.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Streamer:
    """A process that streams; its session of processes ends with it."""

    process: subprocess.Popen[str]
    log: Path

    def hears(self, word: str) -> None:
        """Wait until the process says a word."""
        said = _stream(self.process.stdout).readline().strip()
        assert said == word, f"{said!r}, not {word!r}:\n{self.log.read_text()[-4000:]}"

    def tell(self, word: str) -> None:
        """Tell the process a word."""
        pipe = _stream(self.process.stdin)
        pipe.write(word + "\n")
        pipe.flush()

    def dies(self) -> None:
        """Wait until it has died at the moment that it was made for."""
        assert self.process.wait(timeout=300) == -signal.SIGKILL, self.log.read_text()[-4000:]

    def kill(self) -> None:
        """Kill it, and the Java that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def streamer(folder: Path, settings: Mapping[str, str]) -> Iterator[Streamer]:
    """Start such a process; `settings` are options of the source, `lake`, `into`, `checkpoint`, and `dies`, a moment and batch."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "services")])
    folder.mkdir()
    log = folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "servers.streaming", json.dumps(dict(settings)), str(folder)],
            env={**os.environ, "PYTHONPATH": path, "SPARK_LOCAL_IP": "127.0.0.1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield Streamer(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _stream(process.stdin).close()
        _stream(process.stdout).close()


def _stream(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def _run(settings: dict[str, str], folder: Path) -> None:
    from dataplat._spark._session import session
    from servers.mortal import DIES, MortalSource
    from servers.spark import quiet

    dies, sink = settings.pop("dies", ""), "dataplat"
    if dies:
        os.environ[DIES], sink = f"{os.getpgrp()} {dies}", MortalSource.name()
    spark = session(master="local[2]", extras=["kafka"], **{**quiet(folder), "spark.driver.memory": "512m"})
    spark.dataSource.register(MortalSource)
    spark.sparkContext.setLogLevel("WARN")
    print("ready", flush=True)  # noqa: T201
    assert sys.stdin.readline() == "go\n"
    into, lake, checkpoint = (settings.pop(name) for name in ("into", "lake", "checkpoint"))
    frame = spark.readStream.format("kafka").options(**settings).load()
    rows = frame.selectExpr("partition", "offset", "cast(value AS string) AS value")
    stream = rows.writeStream.format(sink).option("lake", lake).option("checkpointLocation", checkpoint)
    query = stream.trigger(processingTime="100 milliseconds").start(into)
    assert sys.stdin.readline() == "stop\n"
    query.processAllAvailable()
    query.stop()
    print("done", flush=True)  # noqa: T201
    spark.stop()


if __name__ == "__main__":
    _run(json.loads(sys.argv[1]), Path(sys.argv[2]))
