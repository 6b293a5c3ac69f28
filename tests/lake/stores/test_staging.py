"""Staging folders: one per process, never swept while it lives, always once it is dead."""

import fcntl
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataplat.lake.stores import FileStore
from dataplat.lake.stores._staging import Staging, sweep

HOLDER = """
import sys
from dataplat.lake.stores import FileStore
store = FileStore(sys.argv[1])
path = store.staging_dir() / "part.parquet"
path.write_bytes(b"x" * 1000)
print(path, flush=True)
sys.stdin.read()
"""


def names(folder):
    """Return the sorted names in a folder."""
    return sorted(entry.name for entry in Path(folder).iterdir())


@pytest.fixture
def holder(tmp_path):
    """Start a process that has a file staged in `tmp_path`, and return it with the file's path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_the_living_are_not_swept(tmp_path, holder):
    """A new process leaves the staged files of one that lives, however old they are."""
    _process, path = holder
    for entry in (tmp_path / "tmp").iterdir():
        os.utime(entry, (0, 0))
    store = FileStore(tmp_path)
    store.create("x", b"1")
    assert store.sweep() == 0
    assert path.exists()


def test_the_killed_are_swept(tmp_path, holder):
    """After SIGKILL the next process that writes removes folder and lock."""
    process, path = holder
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists()
    FileStore(tmp_path).create("x", b"1")
    assert not path.parent.exists()
    assert not path.parent.with_suffix(".lock").exists()


def test_a_process_that_ends_cleans_up(tmp_path, holder):
    """Nothing stays of a process that ends by itself."""
    process, _path = holder
    process.stdin.close()
    process.wait()
    assert names(tmp_path / "tmp") == []


def test_a_store_that_goes_cleans_up(tmp_path):
    """Nothing stays of a store that nobody holds any more, nor does it keep a file descriptor."""
    store = FileStore(tmp_path)
    (store.staging_dir() / "x").write_bytes(b"1")
    gc.collect()
    descriptors = len(names("/proc/self/fd"))
    del store
    gc.collect()
    assert names(tmp_path / "tmp") == []
    assert len(names("/proc/self/fd")) == descriptors - 1


def test_a_forked_child_keeps_to_itself(tmp_path):
    """A child gets a folder of its own, and its end does not remove its parent's."""
    store = FileStore(tmp_path)
    store.create("x", b"1")
    mine = store.staging_dir()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        try:
            store.create("y", b"2")
            different = store.staging_dir() != mine
            store._staging.close()
        except BaseException:  # noqa: BLE001 - it must not become a second pytest
            os._exit(2)
        os._exit(0 if different else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert mine.is_dir()
    assert store.read("y") == b"2"


def test_a_folder_without_a_lock_is_swept_by_age(tmp_path):
    """What a power cut left without its lock file goes after a week, not before."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    os.utime(tmp_path / "old", (time.time() - 8 * 86_400,) * 2)
    assert sweep(str(tmp_path)) == 1
    assert names(tmp_path) == ["new"]


def test_without_flock_folders_are_swept_by_age(tmp_path, monkeypatch):
    """On a file system without locks nothing young is swept, since nobody can know who lives."""

    def no_flock(descriptor, operation):
        raise OSError(95, "Operation not supported")

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", no_flock)
        staging = Staging(str(tmp_path))
    assert sweep(str(tmp_path)) == 0
    os.utime(staging.path + ".lock", (0, 0))
    assert sweep(str(tmp_path)) == 1
    staging.close()


def test_a_lock_file_swept_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    """A sweeper that comes between the creation of the lock file and its lock does no harm."""
    flock, swept = fcntl.flock, []

    def late_flock(descriptor, operation):
        if not swept:
            swept.append(True)
            with monkeypatch.context() as patched:
                patched.setattr(fcntl, "flock", flock)
                assert sweep(str(tmp_path)) == 1
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late_flock)
    staging = Staging(str(tmp_path))
    token = Path(staging.path).name
    assert names(tmp_path) == [token, token + ".lock"]
    staging.close()


def test_paths_are_never_given_twice(tmp_path):
    """Names in the folder are unique."""
    staging = Staging(str(tmp_path))
    assert len({staging.new_path(".x") for _ in range(1000)}) == 1000
    staging.close()
