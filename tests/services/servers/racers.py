"""Processes that race to create the same names in a store: threads share a client, and with it what it may hide."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack

from dataplat.lake.stores import Store

_RACER = """
import json, sys, time
from dataplat.errors import ObjectExists
from dataplat.lake.stores._gcs import GcsWire
from dataplat.lake.stores._hdfs import HdfsWire
from dataplat.lake.stores import _s3
from dataplat.lake.stores._remote import RemoteStore
from dataplat.lake.stores._s3 import S3Wire
wire, arguments, racer, names, copies = json.loads(sys.argv[1])
_s3.MULTIPART, _s3.PART = 6 << 20, 5 << 20
mine = f"{racer:03} ".encode() * copies
store = RemoteStore(globals()[wire](*arguments))
list(store.list(""))  # connected
print("ready", flush=True)
began, won = float(sys.stdin.readline()), []
for number in range(names):
    time.sleep(max(began + number * 0.05 - time.time(), 0))
    try:
        store.create(f"refs/race/{number}", mine)
    except ObjectExists:
        assert store.read(f"refs/race/{number}") not in (b"", mine), "lost against itself"
    else:
        won.append(number)
print(json.dumps(won), flush=True)
"""


def raced(racer: int, copies: int = 50) -> bytes:
    """Return what a racer writes."""
    return f"{racer:03} ".encode() * copies


def race_processes(
    wire: str, *arguments: object, processes: int = 8, names: int = 20, copies: int = 50
) -> dict[int, int]:
    """Let processes create the same names in one moment each; return who won which, each name exactly once.

    `wire` and `arguments` make the store, as in `RemoteStore(GcsWire(...))`. Objects are of four bytes times `copies`;
    S3 takes them in parts above 6 MiB.
    """
    with ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _RACER, json.dumps([wire, arguments, racer, names, copies])],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for racer in range(processes)
        ]
        for process in racers:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        began = time.time() + 0.2
        won: dict[int, int] = {}
        counts: Counter[int] = Counter()
        for process in racers:
            assert process.stdin is not None
            process.stdin.write(f"{began}\n")
            process.stdin.flush()
        for racer, process in enumerate(racers):
            mine = json.loads(process.communicate(timeout=120)[0])
            counts.update(mine)
            won.update(dict.fromkeys(mine, racer))
    assert counts == dict.fromkeys(range(names), 1)
    return won


def assert_child_connects_anew(store: Store) -> None:
    """Assert that a child of a process that used the store uses it too, and both go on."""
    store.create("x", b"parent")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.create("y", b"child of " + store.read("x"))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert store.read("y") == b"child of parent"
