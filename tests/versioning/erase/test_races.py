"""Writers that planned before an erase and publish after it bring nothing back."""

from __future__ import annotations

import threading

import pytest

from dataplat.errors import CommitConflict, CommitError, IntegrityError
from dataplat.lake.stores import StoreWrapper
from dataplat.versioning.erase import _publish
from dataplat.versioning.gc import collect as collecting
from dataplat.versioning.gc.collect import Options, collect
from dataplat.versioning.suppression import SUPPRESS

from .world import JO, leaks, new_store, open_on, rows  # noqa: TID252


def past():
    """Return a lake of which an older version, a branch and the head hold the person's row."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people", key="id")
    lake.branch("exp")
    lake.ingest(rows(2), "people", branch="exp")
    lake.ingest(rows(3), "people")
    lake.ingest(rows(4), "people")
    return store


class Paused(StoreWrapper):
    """Stop before the first record is created, once, until `go` is set: everything was planned and staged by then."""

    def __init__(self, inner):
        super().__init__(inner, concurrency=1)
        self.reached, self.go = threading.Event(), threading.Event()

    def _call(self, operation, key, call, sent=None):
        if operation in {"create", "adopt"} and key.startswith("refs/branches/") and not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(30)
        return call()


WRITERS = {
    "an ingest of the row": lambda lake: lake.ingest(rows(JO, 7), "people", mode="upsert"),
    "an upsert beside it": lambda lake: lake.ingest(rows(1, 7, text="new"), "people", mode="upsert"),
    "a replace": lambda lake: lake.ingest(rows(JO, 8), "people", mode="replace"),
    "a delete": lambda lake: lake.delete("people", "id = 1"),
    "a merge": lambda lake: lake.merge("exp"),
    "a rollback": lambda lake: lake.rollback("people~1"),
    "a compaction": lambda lake: lake.compact("people"),
    "a rename": lambda lake: lake.rename("people", "folk"),
    "a new branch": lambda lake: lake.branch("late", "main~1"),
    "an evolution": lambda lake: lake.evolve("people", add={"age": "int64"}),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_was_planned_before_does_not_bring_the_row_back(writer):
    """Planned and staged before, published after: the row is nowhere, and the other rows of the change are there or not."""
    store = past()
    paused = Paused(store)
    failures = []

    def write():
        try:
            WRITERS[writer](open_on(paused))
        except CommitError as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    assert paused.reached.wait(30)
    open_on(store).erase("people", f"id = {JO}", "ticket 7")
    paused.go.set()
    thread.join(60)
    assert not thread.is_alive()
    assert all(isinstance(error, CommitConflict) for error in failures)
    lake = open_on(store)
    for head in lake.branches():
        assert SUPPRESS in head.settings
        for info in lake.datasets(head.branch):
            assert JO not in lake.version(info.name, head.branch).to_arrow()["id"].to_pylist()
    open_on(store).erase("people", f"id = {JO}", "ticket 7")  # what was staged in vain is collected
    assert leaks(store) == []
    assert lake.verify().ok


class Stopped(StoreWrapper):
    """Call `meanwhile` before the first read of a part, once."""

    def __init__(self, inner, meanwhile):
        super().__init__(inner, concurrency=1)
        self.meanwhile = meanwhile

    def _call(self, operation, key, call, sent=None):
        if operation == "read" and key.endswith(".parquet") and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return call()


def erase(store):
    """Erase the person's rows in a process of its own."""
    open_on(store).erase("people", f"id = {JO}", "ticket 7")


def overtaken(lake):
    """Do two things in one commit, of which the second reads what was erased since the first."""
    with lake.transaction() as tx:
        tx.describe("people", "all of them")
        tx.delete("people", "id = 1")


READERS = {
    "an upsert": lambda lake: lake.ingest(rows(1, 7, text="new"), "people", mode="upsert"),
    "an append that looks at keys": lambda lake: lake.ingest(rows(2000), "people"),
    "a delete": lambda lake: lake.delete("people", "id = 1"),
    "a transaction": overtaken,
    "a compaction": lambda lake: lake.compact("people"),
    "a merge": lambda lake: lake.merge("exp"),
}


@pytest.mark.parametrize("writer", READERS)
def test_what_a_writer_was_about_to_read_is_erased(writer):
    """It looks again and does its work on what is there now: that a part is missing is no damage of the lake."""
    store = past()
    stopped = Stopped(store, lambda: erase(store))
    READERS[writer](open_on(stopped))
    assert stopped.meanwhile is None
    erase(store)
    lake = open_on(store)
    assert leaks(store) == []
    expected = {
        "an upsert": [1, 3, 4, 7],
        "an append that looks at keys": [1, 3, 4, 2000],
        "a compaction": [1, 3, 4],
        "a merge": [1, 2, 3, 4],
    }
    assert sorted(lake["people"].to_arrow()["id"].to_pylist()) == expected.get(writer, [3, 4])
    assert lake.verify().ok


def test_a_writer_that_cannot_look_again_is_told_of_a_conflict():
    """What is read once cannot be planned anew: nothing is committed, and nobody is sent to repair the lake."""
    store = past()
    once = rows(1, 7, text="new").to_reader()
    with pytest.raises(CommitConflict, match="moved while this was planned"):
        open_on(Stopped(store, lambda: erase(store))).ingest(once, "people", mode="upsert")
    assert 7 not in open_on(store)["people"].to_arrow()["id"].to_pylist()


def test_a_part_that_is_missing_is_damage_where_the_branch_stands_still():
    """A writer that finds a hole in the head itself says so, and what to do."""
    store = past()

    def lose():
        for info in list(store.list("objects/")):
            if info.key.endswith(".parquet"):
                store.delete(info.key)

    with pytest.raises(IntegrityError, match="is missing in the store"):
        open_on(Stopped(store, lose)).ingest(rows(1, 7, text="new"), "people", mode="upsert")


def test_who_still_holds_an_erased_version_is_told_to_open_it_again():
    """It was opened before the erase; opened again it has all its other rows."""
    store = past()
    old = open_on(store)["people"]
    erase(store)
    with pytest.raises(IntegrityError, match="erased, or versions collected, since this one was opened, open it again"):
        old.to_arrow()
    assert sorted(open_on(store)["people"].to_arrow()["id"].to_pylist()) == [1, 3, 4]


def test_writers_beside_an_erase_lose_nothing():
    """Appends, upserts and merges in threads while rows are erased: every other row lands, the person's are gone."""
    store = past()
    stop = threading.Event()
    failures = []

    def append(start):
        lake = open_on(store)
        for at in range(start, start + 8):
            lake.ingest(rows(at, text="w"), "people")

    def upsert():
        lake = open_on(store)
        while not stop.is_set():
            lake.ingest(rows(JO, 500, text="again"), "people", mode="upsert")

    def guarded(work, *args):
        try:
            work(*args)
        except BaseException as error:  # noqa: BLE001  (told by the test)
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(append, start)) for start in (100, 200)]
    noise = threading.Thread(target=guarded, args=(upsert,))
    for thread in (*threads, noise):
        thread.start()
    open_on(store).erase("people", f"id = {JO}", "ticket 7")
    for thread in threads:
        thread.join(60)
    stop.set()
    noise.join(60)
    assert not failures
    open_on(store).erase("people", f"id = {JO}", "ticket 7")
    lake = open_on(store)
    ids = lake["people"].to_arrow()["id"].to_pylist()
    assert sorted(ids) == [1, 3, 4, *range(100, 108), *range(200, 208), 500]
    assert leaks(store) == []
    assert lake.verify().ok


def test_an_object_that_an_older_collection_takes_meanwhile(monkeypatch):
    """What is left of a part is what an old version had: it was there, and goes before the redaction is written."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1), "people", mode="replace")
    lake.ingest(rows(1, JO), "people", mode="replace")
    lake.keep("main", "1")
    begun, go = threading.Event(), threading.Event()
    delete = collecting._Collection._delete

    def waiting(self, keys, stage):
        if stage == "deleting" and keys and not begun.is_set():
            begun.set()
            assert go.wait(30)
        return delete(self, keys, stage)

    monkeypatch.setattr(collecting._Collection, "_delete", waiting)
    definite = Options(grace=0, definite=lambda _: True)
    other = threading.Thread(target=lambda: collect(open_on(store).objects, open_on(store).refs, definite))
    other.start()
    assert begun.wait(30)
    redact = _publish.write_redaction

    def late(*args):
        go.set()
        other.join(30)
        return redact(*args)

    monkeypatch.setattr(_publish, "write_redaction", late)
    open_on(store).erase("people", f"id = {JO}", "ticket 7")
    assert go.is_set()
    assert open_on(store)["people"].to_arrow()["id"].to_pylist() == [1]
    assert open_on(store).verify().ok
