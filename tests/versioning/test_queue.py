"""Writers of a local lake take turns, and nobody waits for ever."""

from __future__ import annotations

import threading
import time

from dataplat.lake.stores import FileStore
from dataplat.versioning._queue import turn


def test_one_at_a_time(tmp_path):
    """Threads that take turns are never inside together."""
    store, inside, seen = FileStore(tmp_path), [], []

    def run():
        for _ in range(5):
            with turn(store, "main") as mine:
                inside.append(1)
                seen.append((mine.got, len(inside)))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [(True, 1)] * 20


def test_branches_do_not_wait_for_each_other(tmp_path):
    """The lock is a branch's own."""
    store = FileStore(tmp_path)
    with turn(store, "main") as one, turn(store, "exp", longest=0) as other:
        assert (one.got, other.got) == (True, True)


def test_who_waits_too_long_goes_on(tmp_path):
    """A holder that hangs delays others, and does not stop them."""
    store = FileStore(tmp_path)
    with turn(store, "main") as one, turn(store, "main", longest=0.01) as other:
        assert (one.got, other.got) == (True, False)


def test_stores_without_files_have_no_queue(store):
    """Elsewhere writers race, which is right, too."""
    with turn(store, "main") as mine:
        mine.leave(3)
        assert (mine.got, mine.last) == (False, None)


def test_who_gave_up_does_not_take_the_turn_later(tmp_path):
    """A wait that nobody wants any more holds nothing up."""
    store = FileStore(tmp_path)
    with turn(store, "main"), turn(store, "main", longest=0.01) as other:
        assert not other.got
    with turn(store, "main", longest=0) as next_one:
        assert next_one.got


def test_a_turn_ends_when_it_is_left(tmp_path):
    """Whose commit is visible holds nobody up while it becomes durable, and says nothing more."""
    store = FileStore(tmp_path)
    with turn(store, "main") as first:
        first.leave(7)
        with turn(store, "main", longest=0) as second:
            assert (second.got, second.last) == (True, 7)
            first.leave(6)
            assert second.last == 7


def test_the_next_is_told_where_the_branch_stands(tmp_path):
    """The number is a guess: what is in the file may be anything."""
    store = FileStore(tmp_path)
    with turn(store, "main") as first:
        assert first.last is None
        first.leave(41)
    with turn(store, "main") as second:
        assert second.last == 41
    (file,) = tmp_path.rglob("main.queue")
    file.write_bytes(b"nonsense")
    with turn(store, "main") as third:
        assert third.last is None
