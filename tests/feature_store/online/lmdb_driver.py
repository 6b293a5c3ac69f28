"""What tests of the embedded store do in a process of their own: it forks, dies, and lives under limits.

python lmdb_driver.py PROVE FOLDER

Prints what it saw as JSON; an assertion that fails ends it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dataplat.errors import DataplatError, StoreError
from dataplat.feature_store.online import _lmdb_environment, lmdb_store
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.online.store import Pushed, Snapshot

SPACE = "delay_model@1"
KEYS = [b"k%03d" % number for number in range(60)]
MANY = bool(os.environ.get("DATAPLAT_DEATHS"))


def snapshot(name: str, parent: str | None = None) -> Snapshot:
    """Return a snapshot of a name."""
    return Snapshot(name, 1, {}, "closure", parent)


def forked(work: Callable[[], object]) -> int:
    """Do something in a fork; return how that ended, as `os.waitpid` does."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told, and an exit code
            sys.stderr.write(repr(error))
            os._exit(7)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def die() -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


# ------------------------------------------------------------------------------------------------------------- deaths


def begun(folder: Path) -> LmdbStore:
    """Return a store with a snapshot, one before it, and pushed rows of which one is settled."""
    store = LmdbStore(folder)
    store.load(SPACE, snapshot("s1"), [(key, b"s1" * 40) for key in KEYS])
    store.change(SPACE, snapshot("s2", "s1"), [(key, b"s2" * 40) for key in KEYS[:30]])
    store.push(SPACE, [Pushed(b"k000", b"%d" % number, number, 0, b"%d" % number) for number in range(3)])
    store.settle(SPACE, 1)
    return store


def seen(store: LmdbStore) -> tuple[Any, ...]:
    """Return all that can be told of a space."""
    found = store.read(SPACE, KEYS)
    return (
        found.snapshot.id,
        found.snapshot.keys,
        found.records,
        found.pushed,
        found.sequence,
        list(store.pending(SPACE)),
    )


ROWS = [Pushed(key, b"new" + key, 9, 9, key) for key in KEYS[:5]]
OPERATIONS: dict[str, Callable[[LmdbStore], object]] = {
    "load": lambda store: store.load(SPACE, snapshot("s3", "s2"), [(key, b"s3" * 40) for key in KEYS[10:]], settled=2),
    "change": lambda store: store.change(SPACE, snapshot("s3", "s2"), [(key, None) for key in KEYS[5:40]], settled=2),
    "rollback": lambda store: store.rollback(SPACE),
    "push": lambda store: store.push(SPACE, ROWS),
    "settle": lambda store: store.settle(SPACE, 3),
}


def killed_at(step: int) -> None:
    """Let this process be killed at a step: before a transaction, before its commit, after it."""
    write, left = _lmdb_environment.Environment.write, [step]

    def passed() -> None:
        left[0] -= 1
        if left[0] == 0:
            die()

    def counting(self: Any, work: Any) -> Any:
        def counted(transaction: Any, opened: Any) -> Any:
            result = work(transaction, opened)
            passed()
            return result

        passed()
        result = write(self, counted)
        passed()
        return result

    _lmdb_environment.Environment.write = counting  # type: ignore[method-assign]


def killed_in(operation: Callable[[LmdbStore], object], store: LmdbStore, step: int) -> None:
    """Begin an operation, and be killed at a step of it."""
    killed_at(step)
    operation(store)


def every_step(folder: Path) -> dict[str, int]:
    """Kill each operation at each of its steps: the old state is there, or the new one, and it can be done again."""
    lmdb_store.BATCH, lmdb_store.TOGETHER = 6_000, 8
    deaths = {}
    first = begun(folder / "first")
    before = seen(first)
    first.close()

    def another(name: str) -> LmdbStore:
        (folder / name).mkdir()
        shutil.copy(folder / "first" / "data.mdb", folder / name)
        return LmdbStore(folder / name)

    for in_memory in (lmdb_store.IN_MEMORY, 5_000):  # the second: differences change a copy
        lmdb_store.IN_MEMORY = in_memory
        for name, operation in OPERATIONS.items():
            fine = another(f"{name} {in_memory} done")
            operation(fine)
            after, step = seen(fine), 0
            while True:
                step += 1
                store = another(f"{name} {in_memory} {step}")

                status = forked(partial(killed_in, operation, store, step))
                now = seen(store)
                if status == 0:
                    assert now == after, name
                    break
                assert os.WTERMSIG(status) == signal.SIGKILL, status
                assert now in (before, after), (name, step)
                if name != "rollback" or now == before:  # sent again
                    operation(store)
                    assert seen(store) == after, (name, step)
                store.close()
            deaths[f"{name} {in_memory}"] = step - 1
    return deaths


def any_moment(folder: Path) -> dict[str, int]:
    """Kill a process that loads, changes, rolls back and pushes at moments that are drawn: never a mix is read."""
    keys = [b"k%04d" % number for number in range(1_500)]
    store = LmdbStore(folder)
    store.load(SPACE, snapshot("0"), [(key, b"0") for key in keys])
    lmdb_store.BATCH, lmdb_store.TOGETHER = 20_000, 8
    random.seed(7)
    seen_ids, pushed = set(), 0

    def writing() -> None:
        number = store.read(SPACE, keys[:1]).sequence
        live = store.read(SPACE, keys[:1]).snapshot.id
        for step in range(10_000):
            name = f"{os.getpid()}-{step}"
            items = [(key, name.encode()) for key in keys]
            if step % 3:
                store.change(SPACE, snapshot(name, live), items)
            else:
                store.load(SPACE, snapshot(name, live), items)
            live = store.rollback(SPACE).id if step % 4 == 3 else name
            number = store.push(SPACE, [Pushed(b"p", name.encode(), number, 0, b"%d" % (number + 1))])

    deaths, end = 0, time.monotonic() + 60
    while deaths < (300 if MANY else 25) or (len(seen_ids) < 6 and time.monotonic() < end):
        deaths += 1
        pid = os.fork()
        if pid == 0:
            writing()
        time.sleep(random.uniform(0.005, 0.12))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = store.read(SPACE, [*keys, b"p"])
        assert set(found.records[:-1]) == {found.snapshot.id.encode()}
        assert found.pushed[-1] == tuple(b"%d" % number for number in range(1, found.sequence + 1))
        seen_ids.add(found.snapshot.id)
        pushed = found.sequence
    return {
        "deaths": deaths,
        "snapshots": len(seen_ids),
        "pushed": pushed,
        "bytes": (folder / "data.mdb").stat().st_size,
    }


def slots_come_back(folder: Path) -> dict[str, int]:
    """More loads die than there are slots, and the next still finds one."""
    store = begun(folder)

    def dying() -> None:
        def items() -> Any:
            yield b"a", b"x"
            die()

        store.load(SPACE, snapshot("s3", "s2"), items())

    count = _lmdb_environment.SLOTS + 10
    for _ in range(count):
        assert os.WTERMSIG(forked(dying)) == signal.SIGKILL
    store.load(SPACE, snapshot("s3", "s2"), [(b"a", b"1")])
    return {"deaths": count, "bytes": (folder / "data.mdb").stat().st_size}


def readers_come_back(folder: Path) -> dict[str, int]:
    """Readers that die in a transaction keep no pages, nor their place in the table, for ever."""
    store = begun(folder)

    def dying() -> None:
        with store._environment.reading():
            die()

    sizes, live = [], "s2"
    for number in range(60):
        assert os.WTERMSIG(forked(dying)) == signal.SIGKILL
        store.load(SPACE, snapshot(f"r{number}", live), [(key, os.urandom(400)) for key in KEYS * 3])
        live = f"r{number}"
        sizes.append((folder / "data.mdb").stat().st_size)
    left = store._environment.opened.env.readers().count("\n") - 2
    assert sizes[-1] == sizes[20], sizes
    return {"left": left, "bytes": sizes[-1]}


# ------------------------------------------------------------------------------------------------------- many processes


def growing(folder: Path) -> dict[str, int]:
    """The map grows many times over while other processes read, push, and follow."""
    _lmdb_environment.MAP = _lmdb_environment.SMALLEST_MAP = 2**20
    keys = [b"k%05d" % number for number in range(3_000)]
    store = LmdbStore(folder)
    store.load(SPACE, snapshot("0"), [(key, b"0" * 9) for key in keys[:50]])
    stop = folder / "stop"

    def reading(worker: int) -> None:
        reads = 0
        while not stop.exists() or reads < 20:
            found = store.read(SPACE, keys[:50])
            assert len(set(found.records)) == 1
            assert found.records[0][:1] == found.snapshot.id.encode()
            reads += 1
            if reads % 50 == 0:
                store.push(SPACE, [Pushed(b"p", b"%d-%d" % (worker, reads), 0, 0, b"x" * 300)])

    pids = []
    for worker in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                reading(worker)
            except BaseException as error:  # noqa: BLE001 - told, and an exit code
                sys.stderr.write(repr(error))
                os._exit(7)
            os._exit(0)
        pids.append(pid)
    for step in range(1, 8):
        store.load(SPACE, snapshot(f"{step}", f"{step - 1}"), [(key, b"%d" % step * 900 * step) for key in keys])
    size = store._environment.opened.env.info()["map_size"]
    stop.touch()
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0]
    return {"map": size, "bytes": (folder / "data.mdb").stat().st_size}


def forking(folder: Path) -> dict[str, int]:
    """A process that forks while its threads read and push goes on, and so do its children, and theirs."""
    store = begun(folder)
    stop, reads = threading.Event(), [0]

    def busy(thread: int) -> None:
        while not stop.is_set():
            assert store.read(SPACE, [b"k000"]).records == [b"s2" * 40]
            if reads[0] % 9 == 0:
                store.push(SPACE, [Pushed(b"p", b"%d-%d" % (thread, reads[0]), 0, 0, b"")])
            reads[0] += 1

    threads = [threading.Thread(target=busy, args=(thread,)) for thread in range(3)]
    for each in threads:
        each.start()

    def child() -> None:
        again = LmdbStore(folder)
        assert again.read(SPACE, [b"k000"]).records == store.read(SPACE, [b"k000"]).records == [b"s2" * 40]
        before = store.push(SPACE, [Pushed(b"c", b"%d" % os.getpid(), 0, 0, b"")])
        assert forked(lambda: store.push(SPACE, [Pushed(b"c", b"%d" % os.getpid(), 0, 0, b"")])) == 0
        assert store.read(SPACE, [b"c"]).sequence > before

    ended = [forked(child) for _ in range(30)]
    stop.set()
    for each in threads:
        each.join()
    assert ended == [0] * 30, ended
    assert len(store.read(SPACE, [b"c"]).pushed[0]) == 60
    return {"reads": reads[0]}


def visible(folder: Path) -> dict[str, float]:
    """What one process pushed, another reads at once: no read that begins later misses it."""
    store = begun(folder)
    there, back = os.pipe(), os.pipe()

    def other() -> None:
        while asked := os.read(there[0], 8):
            found = store.read(SPACE, [b"p"])
            os.write(back[1], found.sequence.to_bytes(8, "big"))
            assert found.sequence == int.from_bytes(asked, "big")

    pid = os.fork()
    if pid == 0:
        os.close(there[1])
        other()
        os._exit(0)
    took = []
    for number in range(200):
        began = time.perf_counter()
        sequence = store.push(SPACE, [Pushed(b"p", b"v%d" % number, 0, 0, b"x" * 100)])
        os.write(there[1], sequence.to_bytes(8, "big"))
        assert int.from_bytes(os.read(back[0], 8), "big") == sequence
        took.append(time.perf_counter() - began)
    os.close(there[1])
    assert os.waitpid(pid, 0)[1] == 0
    took.sort()
    return {"p50 ms": took[100] * 1e3, "p99 ms": took[198] * 1e3}


# ------------------------------------------------------------------------------------------------------------- limits


def disk_full(folder: Path) -> dict[str, str]:
    """A disk without room is an error that says so; what was there stays, and when there is room it goes on."""
    store = begun(folder)
    before = seen(store)
    size = (folder / "data.mdb").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300_000, resource.RLIM_INFINITY))
    said = {}
    big = [(b"%06d" % number, os.urandom(900)) for number in range(2_000)]
    attempts: dict[str, Callable[[], object]] = {
        "load": lambda: store.load(SPACE, snapshot("s3", "s2"), big),
        "change": lambda: store.change(SPACE, snapshot("s3", "s2"), big),
        "push": lambda: store.push(SPACE, [Pushed(b"k000", key, 0, 0, row) for key, row in big]),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except StoreError as error:
            said[name] = str(error)
        assert name in said, name
        assert seen(store) == before, name
        assert seen(LmdbStore(folder)) == before
    store.push(SPACE, [Pushed(b"k000", b"small", 5, 0, b"small")])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.load(SPACE, snapshot("s3", "s2"), big)
    assert store.read(SPACE, [b"001999", b"k000"]).records == [big[-1][1], None]
    assert store.read(SPACE, [b"k000"]).pushed == [(b"1", b"2", b"small")]
    return said


def little_memory(folder: Path) -> dict[str, Any]:
    """Where address space is bounded the map is as large as may be; what does not fit is an error, and reads go on."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + 400 * 2**20, resource.RLIM_INFINITY))
    store = begun(folder)
    before = seen(store)
    said = ""
    try:
        store.load(SPACE, snapshot("s3", "s2"), ((b"%09d" % number, b"x" * 1_000) for number in range(600_000)))
    except StoreError as error:
        said = str(error)
    assert seen(store) == before
    store.load(SPACE, snapshot("s3", "s2"), [(b"a", b"1")])
    return {"said": said}


def unwritable(folder: Path) -> dict[str, str]:
    """A folder that may not be written is refused, with the reason."""
    begun(folder).close()
    folder.chmod(0o555)
    heard, told = os.pipe()

    def child() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65_534)
            os.setuid(65_534)
        try:
            LmdbStore(folder).read(SPACE, KEYS)
        except DataplatError as error:
            os.write(told, f"{type(error).__name__}: {error}".encode())

    status = forked(child)
    folder.chmod(0o755)
    return {"said": os.read(heard, 10_000).decode(), "status": str(status)}


PROVES = (
    every_step, any_moment, slots_come_back, readers_come_back, growing, forking, visible, disk_full, little_memory, unwritable,
)  # fmt: skip

if __name__ == "__main__":
    prove = {each.__name__: each for each in PROVES}[sys.argv[1]]
    sys.stdout.write(json.dumps(prove(Path(sys.argv[2]))))
