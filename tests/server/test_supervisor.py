"""The supervisor and its workers, by real signals: deaths, ends, new keys, swaps under load."""

import json
import os
import signal
import socket
import time

import pytest

from benchmarks._load import load, request
from benchmarks._served import SPACE, fill
from dataplat.errors import ConfigError
from dataplat.server._supervisor import listening
from servers.features import running, until

BODY = {"service": "bench", "entities": {"airport": ["k1"]}}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a server of two workers whose snapshots tests change."""
    with running(tmp_path_factory.mktemp("shared"), workers=2, filled=False) as found:
        until(found.ready)
        yield found


def bodies(shape):
    """Return requests, each of one key."""
    return [
        request("/features/lookup", json.dumps({"service": "bench", "entities": {"airport": [f"k{key}"]}}).encode())
        for key in range(shape.keys)
    ]


def test_a_worker_that_died_is_started_anew(tmp_path):
    """A killed worker costs its own requests only; another takes its place, and what was counted is not lost."""
    with running(tmp_path, workers=2) as server:
        until(server.ready)
        seen = load(*server.place, bodies(server.shape), 4, most=200, renew=5)
        assert seen.answered >= 200
        before = server.metrics()
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        assert server.lookup(BODY).status == 200  # the other one answers
        until(lambda: victim not in server.workers() and len(server.workers()) == 2 and server.ready())
        after = server.metrics()
        name = 'dataplat_requests_total{route="lookup",status="200"}'
        assert after[name] == before[name] + 1
        assert sum(value for label, value in after.items() if "worker_restarts" in label) == 1
        assert "ended with signal 9" in server.log.read_text()


def test_the_end_lets_what_was_begun_be_answered(tmp_path):
    """Told to end, it takes no new connection, answers a request that is half here, and ends with 0."""
    data = json.dumps(BODY).encode()
    with running(tmp_path) as server, server.socket() as connection:
        head = b"POST /features/lookup HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data)
        connection.sendall(head + data[:10])
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        connection.sendall(data[10:])
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer.lower()
        assert server.process.wait(40) == 0
        with pytest.raises(OSError, match="refused"):
            server.socket()


def test_the_end_comes_in_time(tmp_path):
    """A client that never ends its request does not hold the server beyond its grace."""
    with running(tmp_path, grace=1.0, patience=60.0) as server, server.socket() as connection:
        connection.sendall(b"POST /features/lookup HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        time.sleep(0.2)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(40) == 0
        assert time.monotonic() - begin < 30


def test_workers_do_not_outlive_the_supervisor(tmp_path):
    """When the supervisor is killed its workers end by themselves."""
    with running(tmp_path, workers=2) as server:
        until(server.ready)
        workers = server.workers()
        server.process.kill()
        until(lambda: not any(alive(pid) for pid in workers), 20)


def alive(pid):
    """Tell whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_new_keys_without_an_end(tmp_path):
    """SIGHUP starts workers anew one after another: a new key holds afterwards, and each request is answered meanwhile."""
    key = tmp_path / "key"
    key.write_text("the-first-key-0001")
    toml = f'[serve.keys.model]\nkey = "file:{key}"\nscopes = ["lookup", "admin"]\n'
    with running(tmp_path, workers=2, toml=toml) as server:
        first, second = ({"authorization": f"Bearer the-{which}-key-0001"} for which in ("first", "second"))
        assert server.lookup(BODY, first).status == 200
        assert server.lookup(BODY, second).status == 401
        until(lambda: server.ask("GET", "/metrics", headers=first).body.count(b'dataplat_worker_ready{worker="') == 2)
        key.write_text("the-second-key-0001")
        before = server.workers()
        server.process.send_signal(signal.SIGHUP)

        def answered():  # by a worker that knows the old key, or by one that knows the new one
            assert {server.lookup(BODY, each).status for each in (first, second)} <= {200, 401}
            return not set(before) & set(server.workers()) and server.lookup(BODY, first).status == 401

        until(answered)
        assert server.lookup(BODY, second).status == 200


def test_a_hung_worker_is_killed(tmp_path):
    """A worker whose loop does not turn is killed and replaced."""
    with running(tmp_path, workers=1, stalled=1.5) as server:
        until(server.ready)
        victim = server.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        until(lambda: server.workers() and victim not in server.workers())
        until(lambda: server.lookup(BODY).status == 200)
        assert "does not answer: it is killed" in server.log.read_text()


def test_ready_once_there_is_a_snapshot(shared):
    """Before the first snapshot it lives, and is not ready; lookups say to come later."""
    server = shared
    server.store.drop(SPACE)
    assert server.ask("GET", "/healthz").status == 200
    found = {}  # by whichever worker looked for itself by then

    def ready():
        found["ready"] = server.ask("GET", "/readyz")
        return found["ready"].status

    def looked_up():
        found["answer"] = server.lookup(BODY)
        return found["answer"].status

    until(lambda: (ready(), looked_up()) == (503, 503))
    assert found["ready"].json["ready"] is False
    assert found["answer"].headers["retry-after"] == "1"
    assert found["answer"].json["type"] == "urn:dataplat:problem:not-materialized"
    fill(server.store, server.shape, 1)
    until(lambda: (ready(), looked_up()) == (200, 200))


def test_stale_is_ready_and_says_so(shared):
    """A snapshot older than its views may be is served, and every answer and readyz say which views are stale."""
    server = shared
    server.store.drop(SPACE)
    fill(server.store, server.shape, 7, at=time.time_ns() // 1000 - 2 * 3600 * 10**6)  # of an id that no other has
    views = ["view_0", "view_1", "view_2"]  # workers look each for itself, some times a second
    until(lambda: server.lookup(BODY).json.get("stale") == views)
    until(lambda: server.ask("GET", "/readyz").json.get("services", [{}])[0].get("stale") == views)
    assert server.ask("GET", "/readyz").status == 200
    answers = [server.lookup(BODY) for _ in range(20)]
    assert {answer.headers.get("dataplat-stale") for answer in answers} & {"view_0,view_1,view_2"}
    assert server.metrics()['dataplat_stale_lookups_total{service="bench@1"}'] >= 1


def test_a_clock_behind_the_snapshot(shared):
    """A snapshot of a little later than now is served as of its time; of much later, not at all."""
    server = shared
    server.store.drop(SPACE)
    now = time.time_ns() // 1000
    fill(server.store, server.shape, 8, at=now + 4_000_000)
    until(lambda: server.lookup(BODY).headers.get("dataplat-snapshot") == "n8", seconds=20)
    fill(server.store, server.shape, 9, at=now + 3600 * 10**6)
    until(lambda: server.lookup(BODY).json.get("type") == "urn:dataplat:problem:clock")


def test_a_snapshot_that_is_taken_away(shared):
    """A service whose snapshots are dropped is told to have none, and is served again when it has one."""
    server = shared
    fill(server.store, server.shape, 1)
    until(lambda: server.lookup(BODY).status == 200)
    server.store.drop(SPACE)
    until(lambda: server.lookup(BODY).json.get("type") == "urn:dataplat:problem:not-materialized")
    fill(server.store, server.shape, 2)
    until(lambda: server.lookup(BODY).headers.get("dataplat-snapshot") == "n2")


def test_a_port_that_is_taken():
    """A port on which somebody listens is refused with what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="name another with --port"):
            listening("127.0.0.1", taken.getsockname()[1])


def test_a_setting_that_is_wrong_ends_it_at_once(tmp_path):
    """A worker that cannot begin says why, and no other is tried."""
    with (
        pytest.raises(AssertionError, match="DATAPLAT_NO_SUCH_KEY is not set"),
        running(tmp_path, toml='[serve.keys.m]\nkey = "env:DATAPLAT_NO_SUCH_KEY"\nscopes = ["lookup"]\n'),
    ):
        pass
