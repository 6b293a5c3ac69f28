"""Writers and a compactor on one branch at once, threads and processes: no writer ever fails, no row is lost."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

import dataplat as dp
from dataplat._lake import Lake

KEYS = 8


def upsert(lake: Lake, writer: int, rounds: int) -> None:
    """Upsert the writer's own keys again and again, a few at a time, and delete one now and then."""
    for round_ in range(rounds):
        ids = [writer * KEYS + (round_ + at) % KEYS for at in range(3)]
        lake.ingest(pa.table({"id": ids, "v": [round_] * 3}), "d", mode="upsert", key="id")
        if round_ % 5 == 4:
            lake.delete("d", f"id = {ids[0]}")


def compact(lake: Lake, done: Callable[[], bool]) -> int:
    """Compact until told to stop, and once more then; return how often something came of it."""
    made, last = 0, False
    while not last:
        last = done()
        made += lake.compact("d").commit is not None
    return made


def expected(writers: int, rounds: int) -> list[tuple[int, int]]:
    """What the writers leave."""
    held: dict[int, int] = {}
    for writer in range(writers):
        for round_ in range(rounds):
            ids = [writer * KEYS + (round_ + at) % KEYS for at in range(3)]
            held.update(dict.fromkeys(ids, round_))
            if round_ % 5 == 4:
                del held[ids[0]]
    return sorted(held.items())


def rows(lake: Lake) -> list[tuple[int, int]]:
    """The rows of `d`, in order of key."""
    found = lake["d"].to_arrow().sort_by("id").select(["id", "v"])
    return list(zip(*(column.to_pylist() for column in found.columns), strict=True))


def test_threads(memory_lake: Lake) -> None:
    """Three threads upsert and delete while two compact: all of their changes are there."""
    memory_lake.ingest(pa.table({"id": pa.array([], pa.int64()), "v": pa.array([], pa.int64())}), "d", key="id")
    stop = threading.Event()
    with ThreadPoolExecutor(5) as pool:
        compactors = [pool.submit(compact, memory_lake, stop.is_set) for _ in range(2)]
        try:
            for writer in [pool.submit(upsert, memory_lake, n, 15) for n in range(3)]:
                writer.result()
        finally:
            stop.set()
        assert sum(each.result() for each in compactors) > 0
    assert rows(memory_lake) == expected(3, 15)
    assert memory_lake.verify().ok


def _upserts(url: str, writer: int, rounds: int) -> None:
    upsert(dp.open(url), writer, rounds)


def _compacts(url: str, until: str) -> int:
    return compact(dp.open(url), Path(until).exists)


def test_processes(tmp_path: Path) -> None:
    """Two processes upsert and delete while one compacts: all of their changes are there."""
    url, until = str(tmp_path / "lake"), tmp_path / "done"
    lake = dp.open(url)
    lake.ingest(pa.table({"id": pa.array([], pa.int64()), "v": pa.array([], pa.int64())}), "d", key="id")
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        compactor = pool.submit(_compacts, url, str(until))
        try:
            for writer in [pool.submit(_upserts, url, n, 10) for n in range(2)]:
                writer.result()
        finally:
            until.touch()
        assert compactor.result() > 0
    assert rows(lake) == expected(2, 10)
    assert lake.verify().ok
