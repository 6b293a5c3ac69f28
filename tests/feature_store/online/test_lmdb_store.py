"""The embedded store where it is hard: deaths, forks, limits, broken files. What forks and dies is `lmdb_driver.py`."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lmdb
import pytest

from dataplat.errors import IntegrityError, LakeFormatError, SnapshotConflict, StoreError, StoreTimeout
from dataplat.feature_store.online import _lmdb_environment, lmdb_store
from dataplat.feature_store.online._group import GroupCommit
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.testing.online_suite import SPACE, row, snapshot

DRIVER = Path(__file__).parent / "lmdb_driver.py"


def proves(name: str, folder: Path) -> dict[str, Any]:
    """Run one of the driver's proves in a process of its own; return what it saw."""
    done = subprocess.run(
        [sys.executable, str(DRIVER), name, str(folder)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_killed_at_every_step(tmp_path: Path) -> None:
    """Whoever is killed between any two transactions, or in one, leaves the old state or the new, and may be run again."""
    deaths = proves("every_step", tmp_path)
    assert len(deaths) == 10
    assert min(deaths.values()) >= 3
    assert deaths["change 5000"] > deaths["change 67108864"]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """A process that loads, changes, goes back and pushes is killed whenever: no read mixes, no push is lost or doubled."""
    found = proves("any_moment", tmp_path)
    assert found["snapshots"] > 3
    assert found["pushed"] >= 1


def test_slots_of_the_dead(tmp_path: Path) -> None:
    """Loads that died take no room from those that come."""
    assert proves("slots_come_back", tmp_path)["bytes"] < 10**6


def test_readers_that_died(tmp_path: Path) -> None:
    """Readers that died keep no page and no place."""
    assert proves("readers_come_back", tmp_path)["left"] <= 1


def test_a_map_that_grows(tmp_path: Path) -> None:
    """The map doubles many times while three processes read and push."""
    found = proves("growing", tmp_path)
    assert found["map"] >= 32 * 2**20
    assert found["bytes"] > 10 * 2**20


def test_forks(tmp_path: Path) -> None:
    """Threads read and push while their process forks, thirty times, and each child forks once more."""
    assert proves("forking", tmp_path)["reads"] > 50


def test_seen_in_another_process(tmp_path: Path) -> None:
    """Of 200 pushes each is in the next read of another process."""
    assert proves("visible", tmp_path)["p50 ms"] < 1_000


def test_a_full_disk(tmp_path: Path) -> None:
    """A load, a change and a push without room say so and change nothing; with room they go on."""
    said = proves("disk_full", tmp_path)
    assert all("the disk is full" in text and "nothing was changed" in text for text in said.values())
    assert set(said) == {"load", "change", "push"}


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is of Linux")
def test_bounded_address_space(tmp_path: Path) -> None:
    """A limit of address space makes the map smaller, and a snapshot that is larger an error."""
    assert "ulimit -v" in proves("little_memory", tmp_path)["said"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A read-only folder is refused by name, with what to do."""
    folder = tmp_path / "online"
    folder.mkdir()
    for above in (*tmp_path.parents[:2], tmp_path, folder):
        above.chmod(0o755)
    found = proves("unwritable", folder)
    assert found["status"] == "0"
    assert found["said"].startswith("StoreError: ")
    assert str(folder) in found["said"]
    assert "[features] online" in found["said"]


def test_a_place_that_is_a_file(tmp_path: Path) -> None:
    """Where no folder can be made the error names the place."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/online: no online store can be made"):
        LmdbStore(tmp_path / "file" / "online").spaces()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a closed store with a snapshot and a pushed row."""
    store = LmdbStore(tmp_path / "online")
    store.load(SPACE, snapshot("s1"), [(b"k%04d" % number, b"record %04d" % number) for number in range(3_000)])
    store.push(SPACE, [row(b"k0007", "a pushed row")])
    store.close()
    return tmp_path / "online"


def test_a_flipped_bit(folder: Path) -> None:
    """One bit of a record or of a pushed row that is not what was written is an error, not a value."""
    data = (folder / "data.mdb").read_bytes()
    data = data.replace(b"record 0042", b"recorD 0042").replace(b"a pushed row", b"a pushed roW")
    (folder / "data.mdb").write_bytes(data)
    store = LmdbStore(folder)
    with pytest.raises(IntegrityError, match="materialise the service again"):
        store.read(SPACE, [b"k0042"])
    with pytest.raises(IntegrityError, match="materialise the service again"):
        store.read(SPACE, [b"k0007"])
    assert store.read(SPACE, [b"k0043"]).records == [b"record 0043"]
    store.load(SPACE, snapshot("s2", "s1"), [(b"k0042", b"record 0042")], settled=1)
    assert store.read(SPACE, [b"k0042", b"k0007"]).records == [b"record 0042", None]
    store.close()


def test_a_file_cut_short(folder: Path) -> None:
    """A file shorter than it says is refused when it is opened: to read it would be a bus error."""
    data = (folder / "data.mdb").read_bytes()
    (folder / "data.mdb").write_bytes(data[: len(data) // 2])
    with pytest.raises(IntegrityError, match=r"data\.mdb has .* bytes of .*; remove the folder, and materialise again"):
        LmdbStore(folder).read(SPACE, [b"k0042"])


def test_a_file_of_something_else(folder: Path) -> None:
    """A file that is no LMDB is refused, and named."""
    (folder / "data.mdb").write_bytes(b"something else" * 1_000)
    with pytest.raises(IntegrityError, match="online: the online store is broken"):
        LmdbStore(folder).spaces()


def test_a_format_of_another_day(folder: Path) -> None:
    """A store that a later dataplat wrote is refused."""
    with lmdb.Environment(str(folder), max_dbs=200) as env:
        meta = env.open_db(b"meta")
        with env.begin(write=True) as transaction:
            transaction.put(b"\0format", b"dataplat online store 2", db=meta)
    with pytest.raises(LakeFormatError, match="dataplat online store 2"):
        LmdbStore(folder).spaces()


def test_one_environment_a_process(folder: Path) -> None:
    """Stores of one folder share an environment, by whatever path; a pickled one finds it again."""
    (folder.parent / "link").symlink_to(folder)
    stores = [LmdbStore(folder), LmdbStore(folder.parent / "link"), LmdbStore(folder / ".." / "online")]
    stores.append(pickle.loads(pickle.dumps(stores[0])))  # noqa: S301 - our own
    assert len({id(store._environment) for store in stores}) == 1
    stores[1].push(SPACE, [row(b"k0007", "another")])
    assert [store.read(SPACE, [b"k0007"]).sequence for store in stores] == [2] * 4
    stores[0].close()


def test_who_is_gone_is_closed(folder: Path) -> None:
    """When the last store of a folder goes its files are let go: LMDB itself may open them."""
    store = LmdbStore(folder)
    store.spaces()
    with pytest.raises(lmdb.Error, match="already open"):
        lmdb.Environment(str(folder))
    del store
    lmdb.Environment(str(folder)).close()


def test_too_many_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no slot is free a load says so, and dropping a service makes room."""
    monkeypatch.setattr(_lmdb_environment, "SLOTS", 4)
    store = LmdbStore(tmp_path / "online")
    for space in ("a@1", "b@1"):
        for name, parent in (("s1", None), ("s2", "s1")):
            store.load(space, snapshot(name, parent), [(b"a", b"1")])
    with pytest.raises(StoreError, match="no room for another snapshot beside its 4"):
        store.load("c@1", snapshot("s1"), [(b"a", b"1")])
    store.drop("a@1")
    store.load("c@1", snapshot("s1"), [(b"a", b"1")])
    assert store.spaces() == ["b@1", "c@1"]
    store.close()


def test_a_large_change_that_was_overtaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that is changed does not go live where what it was copied from is not live any more."""
    monkeypatch.setattr(lmdb_store, "IN_MEMORY", 1)
    monkeypatch.setattr(lmdb_store, "TOGETHER", 1)
    store = LmdbStore(tmp_path / "online")
    store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
    store.change(SPACE, snapshot("s2", "s1"), [(b"a", b"2"), (b"b", b"2")])

    def items() -> Iterator[tuple[bytes, bytes]]:
        yield from ((b"a", b"3"), (b"b", b"3"), (b"c", b"3"))
        store.rollback(SPACE)
        yield b"d", b"3"

    with pytest.raises(SnapshotConflict, match="s1 is live meanwhile"):
        store.change(SPACE, snapshot("s3", "s2"), items())
    assert store.read(SPACE, [b"a", b"b", b"d"]).records == [b"1", None, None]
    store.close()


def test_pushes_wait_for_the_disk_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while one commit waits for the disk is in the next, all of it."""
    store, commits = LmdbStore(tmp_path / "online"), []
    write, going = _lmdb_environment.Environment.write, threading.Event()

    def slow(self: Any, work: Any) -> Any:
        commits.append(1)
        going.wait(10)
        return write(self, work)

    monkeypatch.setattr(_lmdb_environment.Environment, "write", slow)
    with ThreadPoolExecutor(20) as pool:
        pushes = [pool.submit(store.push, SPACE, [row(b"a", f"{number}")]) for number in range(20)]
        while sum(not each.done() for each in pushes) < 20 or len(store._pushes._waiting) < 19:
            pass
        going.set()
        assert sorted(each.result() for each in pushes) == list(range(1, 21))
    assert len(commits) == 2
    store.close()


def hears(group: GroupCommit[int, int], number: int, heard: list[BaseException]) -> None:
    """Do a job, and note what it hears."""
    try:
        group.do(number)
    except BaseException as error:  # noqa: BLE001 - what it hears
        heard += [error]


def test_a_commit_that_fails_fails_for_all() -> None:
    """All who waited for a commit hear that it failed; who led one that was interrupted alone is interrupted."""
    problems: list[BaseException] = [StoreError("full"), KeyboardInterrupt()]
    started, going = threading.Event(), threading.Event()

    def work(jobs: list[int]) -> list[int]:
        if jobs == [0]:
            started.set()
            going.wait(10)
            return jobs
        raise problems.pop(0)

    for says, kinds in (("full", {StoreError}), ("interrupted", {StoreTimeout, KeyboardInterrupt})):
        group = GroupCommit(work)
        started.clear()
        going.clear()
        heard: list[BaseException] = []

        threads = [threading.Thread(target=hears, args=(group, number, heard)) for number in range(4)]
        threads[0].start()
        started.wait(10)
        for thread in threads[1:]:
            thread.start()
        while len(group._waiting) < 3:
            pass
        going.set()
        for thread in threads:
            thread.join()
        assert {type(error) for error in heard} == kinds
        assert len(heard) == 3
        assert any(says in str(error) for error in heard)
