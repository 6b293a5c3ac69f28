"""Stage and Objects: named by content, all durable or none visible, read back checked, nothing left behind."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dataplat.errors import BadReference, IntegrityError, ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake._object_keys import generation_key
from dataplat.lake.objects import Objects, Stage, object_key
from dataplat.lake.stores import CachingStore, FileStore, MemoryStore
from dataplat.lake.stores._wrapper import StoreWrapper
from dataplat.testing.store_faults import CountingStore, CrashStore, FaultyStore, LatencyStore, SimulatedCrash


@pytest.fixture(params=["memory", "file", "counted file", "far away"])
def store(request, tmp_path):
    """Stores with files and without, bare and wrapped."""
    return {
        "memory": MemoryStore,
        "file": lambda: FileStore(tmp_path / "lake"),
        "counted file": lambda: CountingStore(FileStore(tmp_path / "lake")),
        "far away": lambda: LatencyStore(MemoryStore(), 0.001),
    }[request.param]()


def keys(store):
    """Return all keys in the store."""
    return [entry.key for entry in store.list("")]


def write_part(stage, data):
    """Write a file as the part writer does, and hand it over."""
    path = stage.new_file(".parquet")
    path.write_bytes(data)
    object_id = hashlib.sha256(data).hexdigest()
    stage.put_file(path, object_id, ".parquet")
    return object_id


class TestStage:
    def test_an_object_is_named_by_its_bytes(self, store):
        """The id is the SHA-256, so that `sha256sum` checks a lake by hand."""
        with Stage(store) as stage:
            object_id = stage.put(b"some bytes", ".json")
            stage.flush()
        assert object_id == hashlib.sha256(b"some bytes").hexdigest()
        assert keys(store) == [f"objects/{object_id[:2]}/{object_id[2:]}.json"]
        assert store.read(object_key(object_id, ".json")) == b"some bytes"

    def test_nothing_is_stored_before_flush(self, store):
        """Staged objects are readable in the stage and invisible in the store; discarded ones never get there."""
        with Stage(store, memory_budget=1000) as stage:
            ids = [stage.put(bytes([number]) * 400, ".bin") for number in range(5)]
            part = write_part(stage, b"x" * 200_000)
            assert keys(store) == []
            assert stage.pending_bytes == 5 * 400 + 200_000
            assert [stage.read(object_id, ".bin")[0] for object_id in ids] == list(range(5))
            assert stage.read(part, ".parquet") == b"x" * 200_000
        assert keys(store) == []

    def test_flush_tells_the_new_bytes_once(self, store):
        """What is there already costs nothing, whether this stage or another put it there; flush is idempotent."""
        with Stage(store) as stage:
            stage.put(b"a" * 10, ".bin")
            write_part(stage, b"b" * 20)
            assert stage.flush() == 30
            assert stage.flush() == 0
            stage.put(b"c" * 5, ".bin")
            assert stage.flush() == 5
            assert (stage.written_bytes, stage.written_objects, stage.pending_bytes) == (35, 3, 0)
        with Stage(store) as again:
            again.put(b"a" * 10, ".bin")
            write_part(again, b"b" * 20)
            assert again.flush() == 0
            assert again.written_objects == 0

    def test_the_same_bytes_are_staged_once(self, store):
        """Putting equal bytes twice is one object, and the second file is removed."""
        with Stage(store) as stage:
            assert stage.put(b"same", ".bin") == stage.put(bytearray(b"same"), ".bin")
            first = write_part(stage, b"part" * 100)
            path = stage.local_path(first, ".parquet")
            assert write_part(stage, b"part" * 100) == first
            assert stage.local_path(first, ".parquet") == path
            assert [entry for entry in path.parent.iterdir() if entry.suffix == ".parquet"] == [path]
            assert stage.flush() == 4 + 400

    def test_a_buffer_may_be_reused(self, store):
        """Bytes are copied where they could change."""
        buffer = bytearray(b"first")
        with Stage(store) as stage:
            object_id = stage.put(buffer, ".bin")
            buffer[:] = b"other"
            stage.flush()
            assert store.read(object_key(object_id, ".bin")) == b"first"

    def test_files_are_removed(self, store, tmp_path, monkeypatch):
        """After the stage nothing is left in the staging folder or the system's, flushed or not."""
        (tmp_path / "system").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "system"))
        with Stage(store, memory_budget=10) as stage:
            ids = [stage.put(bytes([number]) * 100, ".bin") for number in range(3)]
            ids += [write_part(stage, b"y" * 300_000)]
            stage.flush()
            write_part(stage, b"never flushed")
            stage.new_file(".parquet").write_bytes(b"never handed over")
        left = [path for path in tmp_path.rglob("*") if path.is_file() and "objects" not in path.parts]
        assert [path for path in left if path.suffix != ".lock"] == []
        assert len(keys(store)) == len(ids)

    def test_a_path_is_given_for_engines(self, store):
        """Objects in memory are written to a file for who needs one; the bytes are right, staged or flushed."""
        with Stage(store) as stage:
            object_id = stage.put(b"small", ".bin")
            assert Path(stage.path_or_url(object_id, ".bin")).read_bytes() == b"small"
            stage.flush()
            assert Path(stage.path_or_url(object_id, ".bin")).read_bytes() == b"small"
        with Stage(store) as later:
            assert Path(later.path_or_url(object_id, ".bin")).read_bytes() == b"small"

    def test_threads_may_stage_together(self, store):
        """Sixteen threads that put and hand over at once lose nothing."""
        with Stage(store, memory_budget=2000) as stage, ThreadPoolExecutor(16) as pool:
            small = list(pool.map(lambda n: stage.put(f"{n % 50}".encode() * 50, ".json"), range(200)))
            parts = list(pool.map(lambda n: write_part(stage, f"{n % 20}".encode() * 5000), range(60)))
            stage.flush()
        assert len(keys(store)) == len(set(small)) + len(set(parts)) == 70

    def test_a_failed_flush_can_be_repeated(self):
        """A time-out in the middle is raised once the others are done; the next flush does the rest."""
        store = FaultyStore(MemoryStore(), {2: "landed", 4: "lost"})
        with Stage(store) as stage:
            ids = [stage.put(bytes([number]) * 10, ".bin") for number in range(5)]
            with pytest.raises(StoreTimeout):
                stage.flush()
            while stage.pending_bytes:
                try:
                    stage.flush()
                except StoreTimeout:
                    continue
        assert keys(store) == sorted(object_key(object_id, ".bin") for object_id in ids)

    def test_flush_runs_side_by_side_where_it_pays(self):
        """Eight objects on a store 50 ms away take about as long as one; a store of one call at a time gets one."""
        seen, most = threading.Semaphore(0), [0, 0]
        lock = threading.Lock()

        class Watching(MemoryStore):
            concurrency = 8

            def create(self, key, data):
                """Note how many are here at once."""
                with lock:
                    most[0] += 1
                    most[1] = max(most)
                seen.acquire(timeout=0.05)
                super().create(key, data)
                with lock:
                    most[0] -= 1

        for concurrency, expected in ((8, 8), (1, 1)):
            most[:] = [0, 0]
            store = Watching()
            store.concurrency = concurrency
            with Stage(store) as stage:
                for number in range(8):
                    stage.put(bytes([number]), ".bin")
                stage.flush()
            assert most[1] == expected

    def test_a_part_is_not_copied(self, tmp_path):
        """On a file store a staged file becomes the object: the same inode, no second file."""
        store = FileStore(tmp_path)
        with Stage(store) as stage:
            part = write_part(stage, os.urandom(1_000_000))
            inode = stage.local_path(part, ".parquet").stat().st_ino
            stage.flush()
            assert Objects(store, stage).local_path(part, ".parquet").stat().st_ino == inode
        assert Objects(store).local_path(part, ".parquet").stat().st_nlink == 1

    def test_a_failed_background_sync_fails_the_flush(self, tmp_path, monkeypatch):
        """An fsync that failed early is not forgotten: the kernel would tell a second one that all is well."""
        calls = []
        fsync = os.fsync

        def failing(descriptor):
            calls.append(descriptor)
            if len(calls) == 1:
                raise OSError(5, "Input/output error")
            fsync(descriptor)

        store = FileStore(tmp_path)
        store.create("x", b"")
        monkeypatch.setattr(os, "fsync", failing)
        with Stage(store) as stage:
            write_part(stage, b"x" * 1_000_000)
            with pytest.raises(StoreError, match="the disk reported an error"):
                stage.flush()
        assert keys(store) == ["x"]

    def test_a_full_disk_is_said_when_memory_runs_over(self, tmp_path, monkeypatch):
        """No space for a file of the stage is a StoreError that says where, and leaves no file."""
        store = FileStore(tmp_path)
        write = Path.write_bytes

        def full(self, data):
            write(self, data[:10])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with Stage(store, memory_budget=10) as stage:
            with pytest.raises(StoreError, match="cannot stage 5,000 bytes"):
                stage.put(b"x" * 5000, ".bin")
            assert list(store.staging_dir().iterdir()) == []

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_crash_at_any_call_leaves_whole_objects(self, tmp_path, when):
        """Die at each create or adopt of a flush: what is in the store is whole, and a new stage completes it."""
        for at in range(1, 7):
            root = tmp_path / f"{at}"
            stage = Stage(CrashStore(FileStore(root), at, when))
            for number in range(4):
                stage.put(bytes([number]) * 10, ".json")
            write_part(stage, b"p" * 300_000)
            if at <= 5:
                with pytest.raises(SimulatedCrash):
                    stage.flush()
            else:
                stage.flush()
            store = FileStore(root)
            for key in keys(store):
                digits = key.removeprefix("objects/").replace("/", "").partition(".")[0]
                assert hashlib.sha256(store.read(key)).hexdigest() == digits
            assert len(keys(store)) == min(5, at - (when == "before"))


class TestObjects:
    def put(self, store, data, suffix=".json"):
        """Store one object."""
        with Stage(store) as stage:
            object_id = stage.put(data, suffix)
            stage.flush()
        return object_id

    def test_staged_objects_are_seen_first(self, store):
        """With a stage, pending objects are read, found and known to exist; without, they are not there."""
        with Stage(store) as stage:
            object_id = stage.put(b"pending", ".json")
            both, stored = Objects(store, stage), Objects(store)
            assert both.read(object_id, ".json") == b"pending"
            assert both.exists(object_id, ".json")
            assert both.find(object_id[:12], ".json") == [object_id]
            assert both.local_path(object_id, ".json") is None
            assert not stored.exists(object_id, ".json")
            with pytest.raises(ObjectNotFound):
                stored.read(object_id, ".json")
            stage.flush()
            assert stored.exists(object_id, ".json")
            assert stored.read(object_id, ".json") == b"pending"

    def test_a_staged_part_has_a_local_path(self, store):
        """A pending part is a local file on every store."""
        with Stage(store) as stage:
            part = write_part(stage, b"rows")
            assert Objects(store, stage).local_path(part, ".parquet").read_bytes() == b"rows"

    @pytest.mark.parametrize("suffix", [".json", ".bin", ".parquet"])
    def test_damage_is_found(self, tmp_path, suffix):
        """One flipped bit is an IntegrityError that names the object; unchecked reads are asked for by name."""
        store = FileStore(tmp_path)
        object_id = self.put(store, b"x" * 1000, suffix)
        path = tmp_path / object_key(object_id, suffix)
        path.chmod(0o600)
        path.write_bytes(b"x" * 999 + b"y")
        objects = Objects(store)
        with pytest.raises(IntegrityError, match=object_id[2:]):
            objects.read(object_id, suffix)
        assert objects.read(object_id, suffix, verify=False)[-1:] == b"y"
        with pytest.raises(IntegrityError):
            objects.read(object_id, suffix)
        with pytest.raises(IntegrityError):
            Stage(store).read(object_id, suffix)

    def test_metadata_is_read_once(self):
        """Small metadata is remembered; parts, big ones and unchecked reads are not."""
        store = CountingStore(MemoryStore())
        small, part = self.put(store, b"small"), self.put(store, b"part", ".parquet")
        big = self.put(store, b"b" * 2_000_000, ".bin")
        objects = Objects(store)
        objects.read(small, ".json", verify=False)
        for _ in range(3):
            objects.read(small, ".json")
            objects.read(part, ".parquet")
            objects.read(big, ".bin")
        assert store.calls["read"] == 1 + 1 + 3 + 3

    def test_the_memory_is_bounded(self):
        """Forty objects of 1 MB: the least recently used are forgotten, and all are still right."""
        store = CountingStore(MemoryStore())
        ids = [self.put(store, bytes([number]) * (1 << 20), ".bin") for number in range(40)]
        objects = Objects(store)
        for object_id in ids:
            objects.read(object_id, ".bin")
            objects.read(ids[0], ".bin")
        assert objects._cached == sum(map(len, objects._cache.values())) <= 32 << 20
        assert store.calls["read"] == 40
        assert objects.read(ids[1], ".bin") == bytes([1]) * (1 << 20)
        assert store.calls["read"] == 41

    def test_ids_are_found_by_their_beginning(self, store):
        """Twelve digits or more find ids of the suffix asked for; fewer, or other characters, are refused."""
        object_id = self.put(store, b"1")
        self.put(store, b"1", ".bin")
        objects = Objects(store)
        assert objects.find(object_id[:12], ".json") == [object_id]
        assert objects.find(object_id, ".json") == [object_id]
        assert objects.find(object_id[:12], ".parquet") == []
        assert objects.find("0" * 12, ".json") == []
        for bad in ("", object_id[:11], object_id.upper(), "../../../../etc", "g" * 12, "0" * 65):
            with pytest.raises(BadReference):
                objects.find(bad, ".json")


KILLED = """
import sys
from dataplat.lake.objects import Stage
from dataplat.lake.stores import FileStore
stage = Stage(FileStore(sys.argv[1]), memory_budget=1000)
stage.put(b"x" * 100_000, ".bin")
path = stage.new_file(".parquet")
path.write_bytes(b"y" * 1_000_000)
stage.put_file(path, "0" * 64, ".parquet")
print(path, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_staged_is_swept(tmp_path):
    """After SIGKILL nothing of it is in the store, and the next process that writes removes its files."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    path = Path(process.stdout.readline().strip())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    store = FileStore(tmp_path)
    assert keys(store) == []
    assert path.exists()
    with Stage(store) as stage:
        stage.put(b"z", ".bin")
        stage.flush()
    assert not path.parent.exists()
    assert len(keys(store)) == 1


def test_a_forked_child_can_flush(tmp_path):
    """A child has threads of its own, although its parent's pool was busy before the fork."""
    store = FileStore(tmp_path)
    with Stage(store) as stage:
        for number in range(4):
            stage.put(bytes([number]), ".bin")
        stage.flush()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        status = 1
        try:
            signal.alarm(20)
            with Stage(store) as stage:
                for number in range(4):
                    stage.put(bytes([number]) * 2, ".bin")
                status = 0 if stage.flush() == 8 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(keys(store)) == 8


class Gate(StoreWrapper):
    """A store far away whose creates wait until it is open."""

    def __init__(self, inner):
        super().__init__(inner, concurrency=8)
        self.open = threading.Event()

    def _call(self, operation, key, call, sent=None):
        if operation == "create":
            assert self.open.wait(30)
        return super()._call(operation, key, call, sent)


class TestSentAhead:
    """Large files go to a store far away before the flush, while the next are made."""

    BIG = b"x" * 300_000

    def test_it_is_sent_once(self):
        """What was sent ahead is not sent by the flush, which counts it; until then it is read from here."""
        store = CountingStore(MemoryStore())
        far = Gate(store)
        far.open.set()
        with Stage(far) as stage:
            part = write_part(stage, self.BIG)
            stage._staged[part, ".parquet"].sending.result(30)
            assert keys(store) == [object_key(part, ".parquet")]
            assert stage.is_pending(part, ".parquet")
            assert stage.has_flushed
            assert stage.read(part, ".parquet") == self.BIG
            assert stage.flush() == len(self.BIG)
            assert stage.flush() == 0
        assert store.calls["create"] == 1
        with Stage(far) as again:
            part = write_part(again, self.BIG)
            again._staged[part, ".parquet"].sending.result(30)
            assert (again.flush(), again.written_objects) == (0, 0)

    def test_a_failure_is_the_flush_s_to_tell(self):
        """What could not be sent ahead is sent by the flush, which raises if that fails, too."""
        for script, fails in (({1: "lost"}, False), ({1: "lost", 2: "lost"}, True)):
            store = FaultyStore(MemoryStore(), dict(script))
            store.concurrency = 8
            with Stage(store) as stage:
                part = write_part(stage, self.BIG)
                assert isinstance(stage._staged[part, ".parquet"].sending.exception(30), StoreTimeout)
                if fails:
                    with pytest.raises(StoreTimeout):
                        stage.flush()
                assert stage.flush() == len(self.BIG)
            assert store.inner.read(object_key(part, ".parquet")) == self.BIG

    def test_what_is_forgotten_is_sent_no_more(self):
        """A stage that is discarded waits for what is under way, and sends nothing after it."""
        far = Gate(MemoryStore())
        with Stage(far) as stage:
            parts = [write_part(stage, bytes([number]) * 300_000) for number in range(6)]
            threading.Timer(0.05, far.open.set).start()
        there = len(keys(far.inner))
        assert there < len(parts)
        with Stage(far) as stage:
            stage.flush()
        assert len(keys(far.inner)) == there

    def test_a_condemned_key_is_passed_by(self):
        """Where the plain key is being collected, the flush creates a generation, whatever was sent ahead."""
        far = Gate(MemoryStore())
        far.open.set()
        with Stage(far) as stage:
            part = write_part(stage, self.BIG)
            stage._staged[part, ".parquet"].sending.result(30)
            far.inner.delete(object_key(part, ".parquet"))
            stage.steer(part, ".parquet", generation_key(part, ".parquet", "01234567"))
            stage.flush()
        assert keys(far.inner) == [generation_key(part, ".parquet", "01234567")]


class TestReadHead:
    def test_only_its_bytes_are_fetched(self, tmp_path):
        """The beginning of an object is checked by a hash of its own, and then kept like an object."""
        store = CountingStore(MemoryStore())
        with Stage(store) as stage:
            object_id = stage.put(b"head" + b"x" * 1000, ".bin")
            stage.flush()
        head_id = hashlib.sha256(b"head").hexdigest()
        caching = CachingStore(store, folder=tmp_path)
        for _ in range(2):
            assert Objects(caching).read_head(object_id, ".bin", 4, head_id) == b"head"
        assert (store.calls["read"], store.bytes["read"]) == (1, 4)
        with pytest.raises(IntegrityError, match="the first 4 bytes"):
            Objects(store).read_head(object_id, ".bin", 4, hashlib.sha256(b"tail").hexdigest())

    def test_what_is_at_hand_is_not_fetched(self):
        """Of an object that is staged, or remembered whole, nothing is fetched."""
        store = CountingStore(MemoryStore())
        with Stage(store) as stage:
            object_id = stage.put(b"head and rest", ".bin")
            head_id = hashlib.sha256(b"head").hexdigest()
            assert Objects(store, stage).read_head(object_id, ".bin", 4, head_id) == b"head"
            stage.flush()
        objects = Objects(store)
        objects.read(object_id, ".bin")
        assert objects.read_head(object_id, ".bin", 4, head_id) == b"head"
        assert store.calls["read"] == 1
