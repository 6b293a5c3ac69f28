"""FileStore: the conformance suite, durability, kills in the middle, and errors that say what to do."""

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataplat.errors import ObjectExists, StoreError, StoreUnsuitable
from dataplat.lake.stores import FileStore, probe
from dataplat.testing import store_suite


class TestFileStore(store_suite.StoreConformance, store_suite.UrlConformance, store_suite.FilesConformance):
    @pytest.fixture
    def store(self, tmp_path):
        """An empty store in a folder that does not exist yet."""
        return FileStore(tmp_path / "lake")


@pytest.fixture
def store(tmp_path):
    """An empty store in a folder that does not exist yet."""
    return FileStore(tmp_path / "lake")


def opened(descriptor):
    """Return the path that a file descriptor was opened by."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def files_below(root):
    """Return the paths of all files below `root`."""
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file())


def test_nothing_is_made_before_the_first_object(tmp_path):
    """Opening, listing, reading and deleting on a place that does not exist make no folder there."""
    store = FileStore(tmp_path / "lake")
    assert list(store.list("")) == []
    store.delete("x")
    with pytest.raises(StoreError):
        store.read("x")
    assert not (tmp_path / "lake").exists()


def test_objects_are_plain_read_only_files(store):
    """An object lies under its key, may be read by others as the umask allows, and may not be written."""
    store.create("objects/ab/x.bin", b"abc")
    path = store.root / "objects/ab/x.bin"
    assert path.read_bytes() == b"abc"
    assert path.stat().st_mode & 0o222 == 0
    assert path.stat().st_nlink == 1
    assert store.url("objects/ab/x.bin") == str(path)


def test_the_root_may_be_relative(tmp_path, monkeypatch):
    """A relative root means the folder of that time, wherever the process goes later."""
    monkeypatch.chdir(tmp_path)
    store = FileStore("lake")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.create("x", b"1")
    assert (tmp_path / "lake/x").read_bytes() == b"1"


def test_a_key_cannot_be_a_folder_of_others(store):
    """A file and a folder of one name cannot be; the error says so."""
    store.create("a/b", b"")
    with pytest.raises(StoreError, match="folder"):
        store.create("a", b"")
    with pytest.raises(StoreError, match="folder"):
        store.create("a/b/c", b"")
    assert [entry.key for entry in store.list("")] == ["a/b"]


def test_everything_is_synced_before_create_returns(store, monkeypatch):
    """The file is synced before it is linked, each new folder's parent and the folder itself before the return."""
    events = []
    fsync, link = os.fsync, os.link

    def spy_fsync(descriptor):
        events.append(("sync", os.path.relpath(opened(descriptor), store.root.parent)))
        fsync(descriptor)

    def spy_link(source, target):
        events.append(("link", os.path.relpath(target, store.root.parent)))
        link(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "link", spy_link)
    store.create("objects/ab/x", b"1")
    names = [(kind, name if not name.startswith("lake/tmp/") else "staged") for kind, name in events]
    linked = names.index(("link", "lake/objects/ab/x"))
    assert names.index(("sync", "staged")) < linked
    assert {("sync", "."), ("sync", "lake"), ("sync", "lake/objects")} <= set(names[:linked])
    assert names[linked + 1 :] == [("sync", "lake/objects/ab")]
    events.clear()
    store.create("objects/ab/y", b"2")
    assert [kind for kind, _ in events] == ["sync", "link", "sync"]


def test_one_sync_serves_all_folders_that_are_there(store, monkeypatch):
    """Folders that others made may not be on the disk yet; a process syncs them once for all, and new ones each."""
    for name in ("one", "two"):
        FileStore(store.root).create(f"objects/{name}/x", b"1")
    store.create("objects/one/y", b"1")
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(opened(fd)), fsync(fd)))
    store.create("objects/two/y", b"1")
    assert synced[1:] == [str(store.root / "objects/two")]  # after the file
    store.create("objects/three/y", b"1")
    assert str(store.root / "objects") in synced


def test_a_loser_vouches_for_the_winner(store, monkeypatch):
    """ObjectExists is raised only after the folder is synced: its creator may not have come so far yet."""
    store.create("a/x", b"1")
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(opened(fd)), fsync(fd)))
    with pytest.raises(ObjectExists):
        store.create("a/x", b"1")
    assert synced == [str(store.root / "a")]


def test_a_draft_is_synced_before_it_has_a_name(store, monkeypatch):
    """What was written is not written again; others see the name before its folder is synced, the creator returns after."""
    draft, events = store.draft(b"1"), []
    draft.write()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append(opened(fd)), fsync(fd)))
    draft.create("a/x", lambda: events.append(store.read("a/x")))
    assert events[-2:] == [b"1", str(store.root / "a")]
    assert not [name for name in events[:-2] if "/lake/tmp/" in name]
    draft.discard()
    assert files_below(store.root / "a") == ["x"]
    assert (store.read("a/x"), (store.root / "a/x").stat().st_nlink) == (b"1", 1)


def test_a_draft_of_a_name_that_is_there_is_refused(store):
    """Of several drafts of one name one is created, written before or not; those discarded leave nothing."""
    seen = []
    drafts = [store.draft(b"1"), store.draft(b"2")]
    drafts[0].create("a", lambda: seen.append(1))
    with pytest.raises(ObjectExists):
        drafts[1].create("a", lambda: seen.append(2))
    for draft in (*drafts, store.draft(b"3")):
        draft.discard()
    assert (seen, store.read("a")) == ([1], b"1")
    assert [name for name in files_below(store.root) if not name.endswith(".lock")] == ["a"]


def test_an_empty_folder_may_be_removed_by_others(store):
    """A folder that was seen before and is gone is made again."""
    store.create("a/b/x", b"1")
    store.delete("a/b/x")
    (store.root / "a/b").rmdir()
    (store.root / "a").rmdir()
    store.create("a/b/x", b"2")
    assert store.read("a/b/x") == b"2"


def test_the_staging_folder_may_be_removed_by_others(store):
    """Somebody who cleans `tmp/` by hand does not break a living process."""
    store.create("x", b"1")
    subprocess.run(["rm", "-rf", str(store.root / "tmp")], check=True)
    store.create("y", b"2")
    assert store.read("y") == b"2"


def test_listing_reads_only_the_folders_it_needs(store, monkeypatch):
    """The head of a branch is found without reading the objects or other branches."""
    for key in ("objects/ab/x", "refs/branches/a/1", "refs/branches/b/1", "refs/tags/t"):
        store.create(key, b"")
    scanned = []
    listdir = os.listdir
    monkeypatch.setattr(
        os, "listdir", lambda path: (scanned.append(os.path.relpath(path, store.root)), listdir(path))[1]
    )
    assert [entry.key for entry in store.list("refs/branches/a/", limit=1)] == ["refs/branches/a/1"]
    assert scanned == ["refs/branches/a"]
    scanned.clear()
    list(store.list("refs/", after="refs/branches/b/"))
    assert "refs/branches/a" not in scanned


def test_foreign_files_are_no_objects(store):
    """What others leave in the folder is not listed where its name cannot be a key; sockets and the like are not read."""
    store.create("a/x", b"")
    (store.root / "a/übel").write_bytes(b"")
    os.mkfifo(store.root / "a/pipe")
    assert [entry.key for entry in store.list("")] == ["a/x"]


def test_it_can_be_sent_to_another_process(store):
    """A store pickles to its root."""
    store.create("x", b"1")
    assert pickle.loads(pickle.dumps(store)).read("x") == b"1"  # noqa: S301


def race(root, barrier, rounds, results):
    """Create `rounds` keys, and send which of them were won."""
    store = FileStore(root)
    won = []
    barrier.wait()
    for number in range(rounds):
        try:
            store.create(f"race/{number}", f"{os.getpid()}".encode() * 500)
            won.append(number)
        except ObjectExists:
            pass
    results.put((os.getpid(), won))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_one_of_many_racing_processes_wins(tmp_path, method):
    """Of 4 processes that create the same 60 keys, each key has one winner, whose bytes are there."""
    context = multiprocessing.get_context(method)
    barrier, results = context.Barrier(4), context.Queue()
    processes = [context.Process(target=race, args=(tmp_path / "lake", barrier, 60, results)) for _ in range(4)]
    for process in processes:
        process.start()
    wins = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert sorted(number for won in wins.values() for number in won) == list(range(60))
    store = FileStore(tmp_path / "lake")
    for pid, won in wins.items():
        assert all(store.read(f"race/{number}") == f"{pid}".encode() * 500 for number in won)


WRITER = """
import sys
from dataplat.lake.stores import FileStore
store, number = FileStore(sys.argv[1]), 0
print("ready", flush=True)
while True:
    store.create(f"objects/{number % 16:02}/{number}", b"%8d" % number * 40_000)
    number += 1
"""


def kill_in_the_middle(root, seconds):
    """Kill a process that creates objects, `seconds` after it began."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_a_killed_creator_leaves_no_partial_object(tmp_path):
    """After SIGKILL at any moment every name has all of its bytes, and the next writer sweeps what was staged."""
    store = FileStore(tmp_path / "lake")
    for attempt in range(6):
        root = tmp_path / "lake"
        kill_in_the_middle(root, 0.02 + 0.037 * attempt)
        for entry in store.list(""):
            number = int(entry.key.rpartition("/")[2])
            assert store.read(entry.key) == b"%8d" % number * 40_000, entry
        for entry in list(store.list("")):
            store.delete(entry.key)
    fresh = FileStore(tmp_path / "lake")
    fresh.create("x", b"1")
    assert [name for name in files_below(fresh.root / "tmp") if not name.endswith(".lock")] == []
    assert len(list((fresh.root / "tmp").iterdir())) == 2


def test_a_full_disk_leaves_nothing(store, monkeypatch):
    """No space in the middle of a write: a clear error, no object, no staged bytes; the store works on after."""
    store.create("before", b"1")
    write = os.write
    calls = iter(range(1, 100))

    def full(descriptor, data):
        if next(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(data)[:1000])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match=r"cannot write 5,000 bytes for .*lake/a/x: the file system is full") as raised:
        store.create("a/x", b"x" * 5000)
    assert raised.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert [entry.key for entry in store.list("")] == ["before"]
    assert list(store.staging_dir().iterdir()) == []
    store.create("a/x", b"x")


LIMITED = """
import resource, sys
from dataplat.errors import StoreError
from dataplat.lake.stores import FileStore
store = FileStore(sys.argv[1])
store.create("small", b"x" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.create("big", b"x" * 1_000_000)
except StoreError as error:
    print(error)
print([entry.key for entry in store.list("")], list(store.staging_dir().iterdir()))
"""


def test_a_write_that_the_kernel_cuts_leaves_nothing(tmp_path):
    """A real short write, then EFBIG, by the process's file size limit: the error says so, and no name appears."""
    answer = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "lake")], capture_output=True, text=True, check=True
    )
    assert "the file is larger than" in answer.stdout
    assert answer.stdout.endswith("['small'] []\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user in a child, which only root may")
def test_without_permission_the_error_says_so(tmp_path):
    """A user who may not write there gets the path and what is needed, not a traceback of errno."""
    root = tmp_path / "lake"
    FileStore(root).create("a/x", b"1")
    root.chmod(0o700)
    code = (
        "import os, sys\nfrom dataplat.lake.stores import FileStore\nos.setuid(65534)\nstore = FileStore(sys.argv[1])\n"
        "for call in (lambda: store.read('a/x'), lambda: store.create('a/y', b''), lambda: list(store.list('a/'))):\n"
        "    try:\n        call()\n    except OSError as error:\n        print(type(error).__name__, error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    lines = answer.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("StoreError cannot ") and "permission denied" in line for line in lines), lines


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK])
def test_a_file_system_without_hard_links_is_unsuitable(store, monkeypatch, code):
    """Where link(2) fails the probe refuses, with the reason, and nothing is left but empty folders."""

    def no_link(source, target):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_link)
    with pytest.raises(StoreUnsuitable, match="hard links"):
        probe(store)
    monkeypatch.undo()
    assert list(store.list("")) == []
    assert list(store.staging_dir().iterdir()) == []
