"""Follow a topic of the real Kafka, be stopped, and go on: each flight lands once. Only with KAFKA=1."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from narration import FOLDER, LAKE, by_hand, say, shown, step

import dataplat as dp

SERVICES = FOLDER.parent.parent / "scripts" / "services.py"
REPLAY = FOLDER / "replay.py"
STEP = 9


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside this one; end it in order where it has not ended."""
    env = {**os.environ, "DATAPLAT_LAKE": LAKE}
    with subprocess.Popen(
        words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGTERM)
                running.wait(120)


def run(*words: str) -> None:
    """Run a command, and show it with what it says; raise `SystemExit` where it fails."""
    typed = " ".join(f'"{word}"' if " " in word else word for word in words)
    by_hand(f"dataplat {typed}" if words[0] != str(REPLAY) else f"python {typed.replace(str(REPLAY), shown(REPLAY))}")
    command = [sys.executable, *(() if words[0] == str(REPLAY) else ("-m", "dataplat")), *words]
    with process(*command) as running:
        said, _ = running.communicate()
    say(said.rstrip())
    if running.returncode:
        raise SystemExit(running.returncode)


def rows(name: str) -> int:
    """Return how many rows a dataset has by now."""
    lake = dp.open(LAKE, create=False)
    return lake[name].rows if name in lake else 0


def wait_for(following: subprocess.Popen[str], name: str, count: int) -> None:
    """Return when so many rows have landed; raise `SystemExit` where who lands them ends, or in two minutes."""
    until = time.monotonic() + 120
    while rows(name) < count:
        if following.poll() is not None:
            raise SystemExit(following.communicate()[0])
        if time.monotonic() > until:
            raise SystemExit(f"{name} has {rows(name)} rows after two minutes, not {count}")
        time.sleep(0.2)


def main() -> None:
    """Start a broker, follow a topic live, stop in between, and prove that each flight landed once."""
    with (
        step(STEP, "Stream: departures land live from Kafka, each exactly once"),
        process(sys.executable, str(SERVICES), "run", "kafka") as kafka,
    ):
        assert kafka.stdout is not None
        line = kafka.stdout.readline()
        if not line.startswith("Kafka at "):
            raise SystemExit(f"Kafka did not start: {line}{kafka.stdout.read()}")
        say(line.rstrip())
        broker = line.split()[2].rstrip(",")
        by_hand(f"python {shown(SERVICES)} run kafka --port {broker.partition(':')[2]}    # in another terminal")
        run(str(REPLAY), broker, "flights", "01-01")
        ingest = ("ingest", f"kafka://{broker}/flights", "--into", "live", "--keep", "partition,offset")
        follow = (*ingest, "--follow", "--every", "1s")
        by_hand(f"dataplat {' '.join(follow)}    # in another terminal")
        with process(sys.executable, "-m", "dataplat", *follow) as following:
            wait_for(following, "live", 842)
            run(str(REPLAY), broker, "flights", "01-02", "--trouble")
            wait_for(following, "live", 1_785)
            wait_for(following, "live.rejects", 5)
            following.send_signal(signal.SIGTERM)
            said, _ = following.communicate()
        say(f"stopped by SIGTERM, it ends with {following.returncode}:\n{said.rstrip()}")
        if following.returncode:
            raise SystemExit(following.returncode)
        say("more comes while nobody reads; the next run goes on where the last commit ended:")
        run(str(REPLAY), broker, "flights", "01-03")
        run(*ingest)
        run(*ingest)
        run("version", "head", "live.rejects", "--columns", "partition,offset,error,raw")
        run("version", "log", "live")
        run("ingest", "verify", "live")


if __name__ == "__main__":
    main()
