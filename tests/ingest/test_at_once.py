"""Many ingests at once into one branch: each lands whole or says why not, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake

WRITERS = 6


def ids(lake: Lake) -> list[int]:
    """The ids of `d`, sorted."""
    return sorted(lake["d"].to_arrow().column("id").to_pylist())


def at_once(makes: Any) -> list[Future[Any]]:
    """Call each of `makes` in a thread of its own, all at the same moment."""
    barrier = Barrier(len(makes))

    def run(make: Any) -> Any:
        barrier.wait()
        return make()

    with ThreadPoolExecutor(len(makes)) as pool:
        return [pool.submit(run, make) for make in makes]


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A lake in memory, or in a folder."""
    url = f"memory://{tmp_path}" if request.param == "memory" else str(tmp_path / "lake")
    dp.open(url)
    return url


@pytest.mark.parametrize("key", [None, "id"])
@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_different_rows_all_land(url: str, mode: str, key: str | None) -> None:
    """Writers whose rows do not meet all land, also those that create the dataset at the same time."""
    if mode == "upsert" and key is None:
        return
    tables = [pa.table({"id": [10 * n, 10 * n + 1]}) for n in range(WRITERS)]
    makes = [lambda rows=rows: dp.open(url).ingest(rows, "d", mode=mode, key=key) for rows in tables]
    for future in at_once(makes):
        assert future.result().commit is not None
    lake = dp.open(url)
    assert ids(lake) == sorted(n for rows in tables for n in rows["id"].to_pylist())
    assert lake.refs.head("main").number == WRITERS
    assert lake.verify().ok


def test_one_lake_object_may_be_shared(url: str) -> None:
    """Threads may share a lake."""
    lake = dp.open(url)
    for future in at_once([lambda n=n: lake.ingest(pa.table({"id": [n]}), "d") for n in range(WRITERS)]):
        future.result()
    assert ids(lake) == list(range(WRITERS))


def test_the_same_key_lands_once(url: str) -> None:
    """Of writers that insert the same key one wins; the others are told that it is there."""
    dp.open(url).ingest(pa.table({"id": [-1], "w": [-1]}), "d", key="id")
    tables = [pa.table({"id": [5], "w": [n]}) for n in range(WRITERS)]
    futures = at_once([lambda rows=rows: dp.open(url).ingest(rows, "d") for rows in tables])
    errors = [future.exception() for future in futures]
    assert errors.count(None) == 1
    assert all(isinstance(error, dp.KeyViolation | None) for error in errors)
    assert ids(dp.open(url)) == [-1, 5]


@pytest.mark.parametrize("frame", [pa.table, pd.DataFrame], ids=["arrow", "pandas"])
def test_upserts_of_the_same_key_follow_each_other(url: str, frame: Any) -> None:
    """Writers that upsert the same key plan anew until each has had its turn; the last one counts."""
    frames = [frame({"id": [5], "w": [n]}) for n in range(WRITERS)]
    makes = [lambda rows=rows: dp.open(url).ingest(rows, "d", mode="upsert", key="id") for rows in frames]
    for future in at_once(makes):
        future.result()
    lake = dp.open(url)
    assert ids(lake) == [5]
    assert len(lake.log("d")) == WRITERS


def test_replaces_follow_each_other(url: str) -> None:
    """A replace that was outrun is planned anew: what is there at last is what one of them gave, whole."""
    dp.open(url).ingest(pa.table({"id": [0]}), "d")
    tables = [pa.table({"id": [n, n]}) for n in range(1, WRITERS)]
    for future in at_once([lambda rows=rows: dp.open(url).ingest(rows, "d", mode="replace") for rows in tables]):
        future.result()
    first, second = ids(dp.open(url))
    assert first == second
    assert len(dp.open(url).log("d")) == WRITERS


def test_the_same_file_lands_once(url: str, tmp_path: Path) -> None:
    """Of writers that read the same file one wins; the others stop, or find that it has landed."""
    path = tmp_path / "a.csv"
    path.write_text("id\n" + "".join(f"{n}\n" for n in range(1000)))
    futures = at_once([lambda: dp.open(url).ingest(path, "d") for _ in range(WRITERS)])
    for future in futures:
        error = future.exception()
        assert error is None or isinstance(error, dp.PositionConflict)
    assert sum(future.exception() is None and future.result().commit is not None for future in futures) == 1
    assert ids(dp.open(url)) == list(range(1000))


def test_deletes_and_appends_at_once(url: str) -> None:
    """Deletes and appends that do not meet all hold."""
    dp.open(url).ingest(pa.table({"id": range(WRITERS)}), "d")
    makes = [lambda n=n: dp.open(url).delete("d", f"id = {n}") for n in range(WRITERS)]
    makes += [lambda n=n: dp.open(url).ingest(pa.table({"id": [100 + n]}), "d") for n in range(WRITERS)]
    for future in at_once(makes):
        future.result()
    assert ids(dp.open(url)) == [100 + n for n in range(WRITERS)]
    assert dp.open(url).verify().ok


def test_queries_that_are_outrun_run_again(url: str) -> None:
    """A query whose result replaces a dataset runs again where somebody else was first."""
    dp.open(url).ingest(pa.table({"id": [1, 2]}), "in")
    makes = [lambda n=n: dp.open(url).sql(f'select id + {n} id from "in"').commit("d") for n in range(WRITERS)]
    for future in at_once(makes):
        future.result()
    first, second = ids(dp.open(url))
    assert second == first + 1


_PROGRAM = """
import sys, time, pathlib
import pyarrow as pa
import dataplat as dp
url, number, start = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
lake = dp.open(url)
start.with_name(f"ready-{number}").touch()
while not start.exists():
    time.sleep(0.001)
for i in range(5):
    lake.ingest(pa.table({"id": [100 * number + i]}), "d", key="id")
"""


def test_processes_at_once(tmp_path: Path) -> None:
    """Processes that ingest into one branch at the same time all land all of their rows."""
    url, start = str(tmp_path / "lake"), tmp_path / "start"
    dp.open(url)
    words = [sys.executable, "-c", _PROGRAM, url]
    children = [subprocess.Popen([*words, str(n), str(start)], stderr=subprocess.PIPE, text=True) for n in range(3)]
    while not all((tmp_path / f"ready-{n}").exists() for n in range(3)):
        assert all(child.poll() is None for child in children)
        time.sleep(0.01)
    start.touch()
    for child in children:
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
    lake = dp.open(url)
    assert ids(lake) == [100 * n + i for n in range(3) for i in range(5)]
    assert len(lake.log("d")) == 15
