"""Processes, or threads, that commit to one branch of a lake in the same moment: appends and upserts of their own rows.

Run as `python -m servers.writers URL WRITERS ROUNDS`, it prints what each writer was told, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

CLIENTS = {"s3": ("s3fs", "aiobotocore.endpoint"), "gs": ("gcsfs.core",), "hdfs": ("hdfs_native",)}
"""What a process imports for a kind of URL when it first connects: at once, sixteen take longer than a connection may."""


def write(lake: Any, writer: int, rounds: int, start: float) -> list[tuple[str, str]]:
    """Append to `events` and upsert into `totals`, so many times; return (message, commit id, or what was raised)."""
    import pyarrow as pa

    told = []
    lake.datasets()  # connected
    time.sleep(max(start - time.time(), 0))
    for number in range(rounds):
        rows = pa.table({"writer": [writer] * 3, "number": [3 * number + row for row in range(3)]})
        total = pa.table({"writer": [writer], "total": [3 * number + 3]})
        for table, into, options in (
            (rows, "events", {}),
            (total, "totals", {"mode": "upsert", "key": "writer"}),
        ):
            message = f"{into} {writer} {number}"
            try:
                told.append((message, lake.ingest(table, into, message=message, **options).commit))
            except Exception as error:  # noqa: BLE001 - for who reads the report
                told.append((message, f"{type(error).__name__}: {error}"))
    return told


def by_threads(lake: Any, writers: int, rounds: int) -> list[tuple[str, str]]:
    """Let threads of this process write."""
    start = time.time() + 0.2
    with ThreadPoolExecutor(writers) as pool:
        return [
            each
            for told in pool.map(lambda writer: write(lake, writer, rounds, start), range(writers))
            for each in told
        ]


def by_processes(url: str, writers: int, rounds: int) -> list[tuple[str, str]]:
    """Let forked children write, each with connections of its own; what takes long to import is there already."""
    import dataplat as dp
    import dataplat._lake
    import dataplat.ingest._ingest
    import dataplat.versioning.publish

    for client in CLIENTS.get(url.partition("://")[0], ()):
        import_module(client)

    start = time.time() + 2
    children = []
    for writer in range(writers):
        read, wrote = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with os.fdopen(wrote, "w") as answer:
                    json.dump(write(dp.open(url, create=False), writer, rounds, start), answer)
                status = 0
            except BaseException:  # noqa: BLE001 - told where the parent's errors are
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(wrote)
        children.append((child, read))
    told = []
    for child, read in children:
        with os.fdopen(read) as answer:
            told += [tuple(each) for each in json.loads(answer.read() or "[]")]
        assert os.waitpid(child, 0)[1] == 0
    return told


def in_a_process(url: str, writers: int, rounds: int) -> list[tuple[str, str]]:
    """Return what `by_processes` does, from a process of its own: a fork is for processes without threads."""
    import subprocess

    command = [sys.executable, "-m", "servers.writers", url, str(writers), str(rounds)]
    path = os.pathsep.join((str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")))
    env = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}  # Python 3.12 warns of a fork beside threads
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env, timeout=300)
    return [(message, told) for message, told in json.loads(done.stdout)]


if __name__ == "__main__":
    print(json.dumps(by_processes(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201
