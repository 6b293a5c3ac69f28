"""A push, pull or clone between a folder and a store far away that is killed at once goes on where it stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat._transfer import clone_with_report
from dataplat.lake.stores import Store, open_store

COMMITS = 25


def grown(lake: Lake) -> Lake:
    """Give a lake a history."""
    for number in range(COMMITS):
        lake.ingest(pa.table({"id": [number], "text": [f"row {number}"]}), "rows")
    return lake


def objects(store: Store) -> int:
    """Count what is there."""
    return sum(1 for _ in store.list("objects/"))


def killed(store: Store, *words: str) -> int:
    """Run a command, and kill it when it has brought ten objects or more to `store`; return how many there are then."""
    before = objects(store)
    with subprocess.Popen([sys.executable, "-m", "dataplat", *words], stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while process.poll() is None and objects(store) < before + 10 and time.monotonic() < until:
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    return objects(store)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [pytest.param("s3", marks=pytest.mark.proof), pytest.param("hdfs", marks=pytest.mark.xdist_group("hdfs"))]
)
def test_what_was_brought_before_it_was_killed_is_not_sent_again(place: Callable[..., Callable[[], str]], kind: str):
    """Push, pull and clone, each killed with SIGKILL on its way, bring what is missing and no object more, and all of it."""
    new_place = place(kind)
    near = dp.open("near")
    far, beside = dp.clone(near.url, new_place()), dp.clone(near.url, "beside")
    grown(near)
    for target, words, again in (
        (far, ("push", far.url, "--lake", near.url), lambda: near.push(far.url)),
        (beside, ("pull", far.url, "--lake", beside.url), lambda: beside.pull(far.url)),
    ):
        there = killed(target.store, "version", *words)
        assert again().objects == objects(near.store) - there
        assert objects(target.store) == objects(near.store)
        assert again().objects == 0
        assert dp.open(target.url)["rows"].content_id == near["rows"].content_id
        assert dp.open(target.url).verify().ok
    for source, url in ((far.url, "cloned"), (near.url, new_place())):
        there = killed(open_store(url), "version", "clone", source, url)
        lake, transfer = clone_with_report(source, url, listener=None)
        assert transfer.objects == objects(near.store) - there
        assert objects(lake.store) == objects(near.store)
        assert lake["rows"].content_id == near["rows"].content_id
        assert lake.verify().ok
