"""HdfsWire: the conformance suite on a real NameNode, races of processes, and what happens when the wire breaks."""

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from dataplat.errors import ConfigError, ObjectExists, ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores import RetryingStore
from dataplat.lake.stores._hdfs import ABANDONED, HdfsWire, _Closing
from dataplat.lake.stores._hdfs_client import explained, gone
from dataplat.lake.stores._remote import RemoteStore
from dataplat.testing import store_suite
from dataplat.testing.store_machine import StoreMachine
from servers.racers import assert_child_connects_anew, race_processes, raced

FEW = settings(
    max_examples=4,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)


@pytest.fixture
def folder(hdfs_server):
    """The path of a folder of its own, as in a URL."""
    return hdfs_server.new_folder()[1:]


@pytest.fixture
def host(hdfs_server):
    """Where the NameNode is."""
    return f"{hdfs_server.host}:{hdfs_server.port}"


@pytest.fixture
def store(host, folder):
    """An empty store in a folder that is not there yet."""
    return RemoteStore(HdfsWire(host, f"{folder}/lake", {}))


@pytest.fixture
def client(hdfs_server):
    """A client of the same NameNode that is not the store's."""
    return hdfs_server.client()


@pytest.fixture
def proxy(hdfs_server, proxy_to):
    """A wire to the NameNode that can be cut; bytes go to the DataNode beside it."""
    return proxy_to(hdfs_server)


@pytest.fixture
def far(proxy, folder):
    """The same store behind that wire."""
    return RemoteStore(HdfsWire(f"127.0.0.1:{proxy.local_port}", f"{folder}/lake", {"timeout": 5.0}))


def files_of(client, folder):
    """Return the paths of all files of the store, below its folder."""
    root = f"/{folder}/lake/"
    found = client.list_status(root, recursive=True)
    return sorted(status.path.removeprefix(root) for status in found if not status.isdir)


class TestHdfs(store_suite.StoreConformance, store_suite.UrlConformance):
    """The suite."""


def test_a_machine_drives_it(hdfs_server, host):
    """Any calls in any order give what a dict gives."""

    class Machine(StoreMachine):
        def make_store(self):
            """A store in a folder of its own."""
            self.path = hdfs_server.new_folder()[1:]
            return RemoteStore(HdfsWire(host, self.path, {}))

        def reopen(self, store):
            """Connect anew."""
            return RemoteStore(HdfsWire(host, self.path, {}))

    run_state_machine_as_test(Machine, settings=FEW)


def test_processes_race(host, folder, store, client):
    """Of eight processes that create one name one wins, and its bytes stay; what the others wrote is gone."""
    won = race_processes("HdfsWire", host, f"{folder}/lake", {})
    for number, racer in won.items():
        assert store.read(f"refs/race/{number}") == raced(racer)
    assert files_of(client, folder) == sorted(f"refs/race/{number}" for number in won)


# ------------------------------------------------------------------------------------------------------- closing files


def test_files_closed_early_stay_whole(store, client, folder):
    """A file whose lease was released before its own close came is the same after that, also when it was deleted."""
    bodies = {f"k/{number:02}": os.urandom(1000 + number) for number in range(24)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.create, bodies, bodies.values()))
    store.delete("k/00")
    for thread in threading.enumerate():
        if thread.name == "dataplat-hdfs-close":
            thread.join()
    del bodies["k/00"]
    assert {entry.key: store.read(entry.key) for entry in store.list("")} == bodies
    assert files_of(client, folder) == sorted(bodies)


def test_several_blocks(host, folder, client):
    """An object of several blocks is whole, and a part of it may begin in one and end in another."""
    wire = HdfsWire(host, f"{folder}/lake", {"properties": {"dfs.blocksize": str(1 << 20)}})
    store, data = RemoteStore(wire), os.urandom((3 << 20) + 5)
    store.create("big", data)
    assert store.read("big") == data
    assert store.read("big", ((1 << 20) - 3, (2 << 20) + 3)) == data[(1 << 20) - 3 : (2 << 20) + 3]


def test_an_open_file_is_no_object(store, client, folder):
    """What a writer has not closed is under no key, though its bytes are on the disk."""
    store.create("x", b"1")
    writer = client.create(f"/{folder}/lake/tmp/open")
    writer.write(b"half")
    writer.hsync()
    assert [entry.key for entry in store.list("")] == ["x"]
    writer.close()
    assert [entry.key for entry in store.list("")] == ["x"]


def test_a_writer_that_is_killed_leaves_no_object(host, folder, store):
    """Killed between its bytes and the rename, a writer leaves a name that is free."""
    code = f"""
import os, signal
from dataplat.lake.stores import _hdfs
from dataplat.lake.stores._remote import RemoteStore
_hdfs.HdfsWire._name = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
RemoteStore(_hdfs.HdfsWire({host!r}, {f"{folder}/lake"!r}, {{}})).create("x", b"1")
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert list(store.list("")) == []
    store.create("x", b"2")
    assert store.read("x") == b"2"


def test_what_dead_writers_left_is_swept(host, folder, store, client):
    """The first create of a process removes what lay in `tmp/` for a week, and nothing younger."""
    store.create("x", b"1")
    now = client.get_file_info(f"/{folder}/lake/x").modification_time
    for name, age in (("old", ABANDONED + 60_000), ("young", ABANDONED - 60_000)):
        client.create(f"/{folder}/lake/tmp/{name}").close()
        client.set_times(f"/{folder}/lake/tmp/{name}", now - age, now)
    store.create("y", b"1")
    assert files_of(client, folder) == ["tmp/old", "tmp/young", "x", "y"]
    RemoteStore(HdfsWire(host, f"{folder}/lake", {})).create("z", b"1")
    assert files_of(client, folder) == ["tmp/young", "x", "y", "z"]


# ------------------------------------------------------------------------------------------------------------ listing


def test_the_head_of_a_long_branch_is_one_request(far, proxy, client, folder):
    """The first of 2,500 names costs one page of a listing; all of them cost three."""
    keys = [f"refs/branches/main/{number:05}" for number in range(2500)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.create(f"/{folder}/lake/{key}").close(), keys))
    assert list(far.list("no/")) == []
    proxy.forget()
    assert next(far.list("refs/branches/main/", limit=1)).key == keys[0]
    head = proxy.received
    proxy.forget()
    assert next(iter(far.list("refs/branches/main/"))).key == keys[0]
    assert proxy.received == head
    proxy.forget()
    assert [entry.key for entry in far.list("")] == keys
    assert 2.4 * head < proxy.received < 2.7 * head


# ----------------------------------------------------------------------------------------------------- a broken wire


class Renaming:
    """A client whose next rename meets a broken wire; else it is as it was."""

    def __init__(self, client, proxy, **cut):
        self.client, self.proxy, self.cut, self.renames = client, proxy, cut, 0

    def __getattr__(self, name):
        return getattr(self.client, name)

    def rename(self, *arguments):
        """Rename, with the wire cut before the request is through, or before its answer is."""
        self.renames += 1
        if self.renames == 1:
            self.proxy.cut_after(**self.cut)
        self.client.rename(*arguments)


def breaking(far, proxy, **cut):
    """Let the next rename of the store meet a broken wire."""
    wire = far.wire
    pid, client = os.getpid(), wire._client()
    wire._open = pid, Renaming(client, proxy, **cut)
    return wire._open[1]


def test_a_lost_answer_to_the_rename_is_settled(far, proxy, client, folder):
    """A rename whose answer is lost was done if its file is not there to be deleted: the create returns."""
    renaming = breaking(far, proxy, received=1)
    far.create("x", b"ours")
    assert renaming.renames == 1
    assert far.read("x") == b"ours"
    assert files_of(client, folder) == ["x"]


def test_a_lost_rename_is_unclear(far, proxy, client, folder):
    """A rename that never arrived is a time-out, leaves nothing, and cannot take effect later."""
    renaming = breaking(far, proxy, sent=1)
    with pytest.raises(StoreTimeout, match="create hdfs://.*/lake/x"):
        far.create("x", b"ours")
    assert renaming.renames == 1
    assert files_of(client, folder) == []
    breaking(far, proxy, sent=1)
    RetryingStore(far).create("x", b"ours")
    assert far.read("x") == b"ours"
    assert files_of(client, folder) == ["x"]


def test_another_won_while_the_answer_was_lost(store, far, proxy, client, folder):
    """A lost answer to a rename that lost is no win."""
    store.create("x", b"theirs")
    breaking(far, proxy, received=1)
    with pytest.raises(ObjectExists):
        RetryingStore(far).create("x", b"ours")
    assert far.read("x") == b"theirs"
    assert files_of(client, folder) == ["x"]


def test_a_half_open_connection_ends(proxy, folder):
    """A NameNode that takes everything and says nothing is a time-out, and forgotten when it is back."""
    far = RemoteStore(HdfsWire(f"127.0.0.1:{proxy.local_port}", f"{folder}/lake", {"timeout": 0.5}))
    list(far.list(""))
    proxy.swallow = True
    for call in (lambda: far.create("x", b"1"), lambda: far.read("x"), lambda: list(far.list(""))):
        with pytest.raises(StoreTimeout, match="lake"):
            call()
    proxy.heal()
    RetryingStore(far).create("x", b"1")
    assert far.read("x") == b"1"


def test_nobody_answers():
    """A port that refuses is a time-out at once: the client's own fifteen attempts are off."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    far = RemoteStore(HdfsWire(f"127.0.0.1:{port}", "lake", {}))
    for call in (lambda: far.create("x", b"1"), lambda: far.read("x"), lambda: list(far.list(""))):
        with pytest.raises(StoreTimeout, match=f"hdfs://127.0.0.1:{port}/lake.*refused"):
            call()


# -------------------------------------------------------------------------------------------------------- other errors


def test_a_key_cannot_be_a_folder_of_others(store):
    """A file and a folder of one name cannot be; the error says so."""
    store.create("a/b", b"")
    with pytest.raises(StoreError, match="folder") as raised:
        store.create("a", b"")
    with pytest.raises(StoreError, match="folder") as below:
        store.create("a/b/c", b"")
    assert not isinstance(raised.value, ObjectExists | StoreTimeout)
    assert not isinstance(below.value, ObjectExists | StoreTimeout)
    with pytest.raises(ObjectNotFound):
        store.read("a/b/c")
    assert list(store.list("a/b/")) == []
    store.delete("a/b/c")
    store.delete("a")
    assert [entry.key for entry in store.list("")] == ["a/b"]


def test_access_is_denied(host, folder, store, monkeypatch):
    """A user who may not write is told so at once; a user is the whole process's."""
    store.create("x", b"1")
    monkeypatch.setenv("HADOOP_USER_NAME", "mallory")
    mallory = RemoteStore(HdfsWire(host, f"{folder}/lake", {"user": "mallory"}))
    with pytest.raises(StoreError, match="access denied.*mallory") as raised:
        mallory.create("y", b"1")
    assert not isinstance(raised.value, StoreTimeout)
    with pytest.raises(StoreError, match="access denied"):
        mallory.delete("x")
    assert mallory.read("x") == b"1"
    with pytest.raises(ConfigError, match="mallory"):
        RemoteStore(HdfsWire(host, f"{folder}/lake", {"user": "alice"})).read("x")


def test_no_namenode_is_named(monkeypatch):
    """Without a host and without a configuration of Hadoop the error says what to give."""
    for name in ("HADOOP_CONF_DIR", "HADOOP_HOME"):
        monkeypatch.delenv(name, raising=False)
    for host in ("", "nameservice1"):
        with pytest.raises(ConfigError, match="HADOOP_CONF_DIR"):
            RemoteStore(HdfsWire(host, "lake", {})).read("x")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('RPCError("org.apache.hadoop.ipc.StandbyException", "not active")', StoreTimeout),
        ('RPCError("org.apache.hadoop.hdfs.server.namenode.SafeModeException", "safe mode")', StoreTimeout),
        ('RPCError("org.apache.hadoop.ipc.RetriableException", "later")', StoreTimeout),
        ('RPCError("java.io.IOException", "File /x could only be written to 0 of the 1 nodes")', StoreTimeout),
        ('OperationFailed("Failed to complete file in time")', StoreTimeout),
        ('DataTransferError("no")', StoreTimeout),
        ("ChecksumError", StoreTimeout),
        ('RPCError("org.apache.hadoop.hdfs.protocol.DSQuotaExceededException", "full")', StoreError),
        ('RPCError("org.apache.hadoop.security.AccessControlException", "Permission denied")', StoreError),
        (
            'FatalRPCError("org.apache.hadoop.security.AccessControlException", "SIMPLE authentication is not enabled")',
            StoreError,
        ),
        ("NoSASLMechanism", StoreError),
    ],
)
def test_what_errors_mean(text, kind):
    """Each state of a cluster is one kind of error; a stack of Java is in none."""
    error = explained(RuntimeError(text.replace('")', '\\n\\tat org.apache.hadoop.X(X.java:1)")')), "read hdfs://h/k")
    assert type(error) is kind
    assert "read hdfs://h/k" in str(error)
    assert "X.java" not in str(error)
    assert not gone(RuntimeError(text))


def test_a_forked_child_connects_anew(store):
    """A child of a process that used the store uses it too, and both go on."""
    assert_child_connects_anew(store)


def test_a_close_that_fails_as_the_wait_ends_is_a_failure():
    """It is not taken for a close: an open file would be moved to its name, and be empty for its readers."""

    class Broken:
        def close(self):
            raise OSError("the wire is cut")

    class EndsInBetween(threading.Event):
        def wait(self, timeout=None):
            super().wait(timeout)
            return False  # what a wait says whose time was over before the other thread went on

    closing = _Closing(Broken())
    closing._done.wait(5)
    closing._done.__class__ = EndsInBetween
    assert not closing.wait(0.01)
    closing._done.__class__ = threading.Event
    with pytest.raises(OSError, match="the wire is cut"):
        closing.wait(5)


_ENDS_SLOWLY = """
import sys, time
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(1)
sys.slow = Slow()  # threads that come back from the client meanwhile were unwound through its frames: SIGABRT
from dataplat.lake.stores._hdfs import HdfsWire
wire = HdfsWire(*sys.argv[1:], {})
for number in range(3):
    wire.put(str(number), b"data")
"""


def test_a_process_that_ends_waits_for_what_the_client_closes(host, folder):
    """What was written is closed by a thread that takes half a second; a process that ends before is not aborted."""
    for attempt in range(2):
        ended = subprocess.run(  # noqa: PLW1510 - its code is looked at
            [sys.executable, "-c", _ENDS_SLOWLY, host, f"{folder}/{attempt}"], capture_output=True, text=True
        )
        assert (ended.returncode, ended.stderr) == (0, "")
