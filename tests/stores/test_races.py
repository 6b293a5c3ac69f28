"""Sixteen writers commit to one branch of a lake on every kind of store: nothing is lost, doubled or refused."""

from __future__ import annotations

import os
from collections import Counter

import pytest

import dataplat as dp
from servers.writers import by_threads, in_a_process

WRITERS = 16
ROUNDS = int(os.environ.get("DATAPLAT_RACE_ROUNDS", "1"))  # `make proofs` asks for more
HDFS = pytest.param("hdfs", marks=[pytest.mark.xdist_group("hdfs"), pytest.mark.proof])
GCS = pytest.param("gcs", marks=pytest.mark.proof)


def check(lake: dp.Lake, told: list[tuple[str, str]]) -> None:
    """Every commit that a writer was told of is in the log once, with its rows, and there is nothing else."""
    wanted = {
        f"{name} {writer} {n}" for name in ("events", "totals") for writer in range(WRITERS) for n in range(ROUNDS)
    }
    assert Counter(message for message, _ in told) == dict.fromkeys(wanted, 1)
    logged = [entry for name in ("events", "totals") for entry in lake.log(name) if entry.mode != "compact"]
    assert dict(told) == {entry.message: entry.commit for entry in logged}
    assert len(logged) == len(told)
    events = lake["events"].to_arrow()
    rows = zip(events["writer"].to_pylist(), events["number"].to_pylist(), strict=True)
    assert Counter(rows) == {(writer, number): 1 for writer in range(WRITERS) for number in range(3 * ROUNDS)}
    totals = lake["totals"].to_arrow().sort_by("writer")
    assert totals["writer"].to_pylist() == list(range(WRITERS))
    assert totals["total"].to_pylist() == [3 * ROUNDS] * WRITERS
    assert lake.verify().ok


def test_threads_in_memory() -> None:
    """In memory there are no other processes, but threads."""
    lake = dp.open("memory://")
    check(lake, by_threads(lake, WRITERS, ROUNDS))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "s3", GCS, HDFS])
def test_processes(place, kind: str) -> None:
    """Processes with caches and connections of their own append and upsert: all lands once, and none is told no."""
    url = place(kind)()
    lake = dp.open(url)
    check(lake, in_a_process(url, WRITERS, ROUNDS))
