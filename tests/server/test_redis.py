"""Lookups over a real Redis: the same values as over LMDB; a Redis that dies, hangs and comes back under load."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

import pytest

from benchmarks._load import load, request
from benchmarks._served import SPACE, Shape, expected, fill
from dataplat.feature_store.online.connect import online_store
from servers.features import running, until

BODY = {"service": "bench", "entities": {"airport": ["k1"]}}


@pytest.fixture(scope="module")
def shared(mortal_redis, tmp_path_factory):
    """Return a server of two workers over a Redis that tests may kill."""
    with running(tmp_path_factory.mktemp("over-redis"), workers=2, online=mortal_redis.url) as found:
        until(found.ready)
        yield found


@pytest.fixture
def server(shared, own_redis):
    """Return it, serving, with a snapshot."""
    if shared.store.snapshot(SPACE) is None:
        fill(shared.store, shared.shape, 1)
    until(lambda: set(asked(shared).other) == set())
    return shared


def asked(server):
    """Ask some times, both workers."""
    return load(*server.place, [request("/features/lookup", json.dumps(BODY).encode())], 4, most=40, renew=1)


class Seen:
    """What a load saw: how many answers of each status, those that are wrong, and when the last of each was."""

    def __init__(self, shape):
        self.shape, self.statuses, self.wrong, self.slowest = shape, Counter(), [], 0.0
        self.last = {}

    def ask(self, server, key):
        """Ask once."""
        begin = time.monotonic()
        try:
            answer = server.lookup({"service": "bench", "entities": {"airport": [f"k{key}"]}})
        except OSError as error:
            self.statuses[type(error).__name__] += 1
            return
        self.slowest = max(self.slowest, time.monotonic() - begin)
        self.statuses[answer.status] += 1
        self.last[answer.status] = time.monotonic()
        told = answer.json
        if answer.status == 200:
            found = {name: column[0] for name, column in told["features"].items()}
            if found != expected(self.shape, key, int(told["snapshot"][1:])):
                self.wrong.append(told)
        elif (told["type"], answer.headers.get("retry-after")) != ("urn:dataplat:problem:store-unavailable", "1"):
            self.wrong.append(told)


def test_a_redis_that_dies_and_comes_back_under_load(server, own_redis):
    """While it is away requests get 503 and when to come again, soon; then values again, of the same workers, none wrong."""
    seen, over = Seen(server.shape), threading.Event()

    def ask(first):
        key = first
        while not over.is_set():
            key = (key + 7) % server.shape.keys
            seen.ask(server, key)
            time.sleep(0.005)

    workers = server.workers()
    threads = [threading.Thread(target=ask, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            until(lambda: seen.statuses[200] > 50)
            own_redis.kill()
            until(lambda: seen.statuses[503] > 50)
            ready = server.ask("GET", "/readyz")
            assert (ready.status, ready.json["ready"]) == (503, False)
            assert ready.json["services"][0]["trouble"] == "the online store does not answer (StoreTimeout)"
            assert server.ask("GET", "/healthz").status == 200
            own_redis.start()
            back = time.monotonic()
            seen.statuses.clear()
            until(lambda: seen.statuses[200] > 50)
            until(lambda: server.ask("GET", "/readyz").status == 200)
            assert time.monotonic() - back < 10
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert seen.wrong == []
    assert set(seen.statuses) <= {200, 503}
    assert seen.slowest < 5
    assert server.workers() == workers
    log = server.log.read_text()
    assert "Traceback" not in log


def test_a_redis_that_hangs(server, own_redis):
    """One that takes connections and answers nothing is as one that is away; nobody waits for it longer than its timeout."""
    own_redis.pause()
    seen = load(*server.place, [request("/features/lookup", json.dumps(BODY).encode())], 16, most=200)
    own_redis.resume()
    assert set(seen.other) == {503}
    assert seen.answered == seen.lost == 0
    until(lambda: set(asked(server).other) == set())


def test_a_server_that_starts_while_redis_is_away(own_redis, tmp_path):
    """It begins, says 503, and serves once Redis is there."""
    store = online_store(own_redis.url, str(tmp_path / "online"))
    fill(store, Shape(keys=100, views=3, features=5), 1)
    store.close()
    own_redis.kill()
    with running(tmp_path, filled=False, online=own_redis.url) as server:
        answer = server.lookup(BODY)
        assert (answer.status, answer.json["type"]) == (503, "urn:dataplat:problem:store-unavailable")
        assert answer.headers["retry-after"] == "1"
        assert server.ask("GET", "/readyz").status == 503
        own_redis.start()
        until(lambda: server.lookup(BODY).status == 200)
        assert server.lookup(BODY).headers["dataplat-snapshot"] == "n1"


def test_a_redis_that_comes_back_empty(server, own_redis):
    """What it has lost is not made up: there is no snapshot, until one is made again."""
    assert server.lookup(BODY).status == 200
    with own_redis.client() as client:
        client.flushall()
    answer = server.lookup(BODY)
    assert (answer.status, answer.json["type"]) == (503, "urn:dataplat:problem:not-materialized")
    assert server.ask("GET", "/readyz").status == 503
    fill(server.store, server.shape, 102)
    assert server.lookup(BODY).headers["dataplat-snapshot"] == "n102"


def test_snapshots_are_swapped_under_load(server):
    """Every answer is whole, and of the snapshot that it names, which was live."""
    wrong, numbers = [], set()
    keys = [(3 * at) % server.shape.keys for at in range(50)]
    requests = [
        request("/features/lookup", json.dumps({"service": "bench", "entities": {"airport": [f"k{key}"]}}).encode())
        for key in keys
    ]
    begun = []

    def check(place, body, began):
        told = json.loads(body)
        number = int(told["snapshot"][1:])
        numbers.add(number)
        oldest = max((of for at, of in begun if at <= began), default=0)
        found = {name: column[0] for name, column in told["features"].items()}
        if number < oldest or found != expected(server.shape, keys[place], number):
            wrong.append(told)

    def swap():
        for number in range(202, 206):
            time.sleep(0.3)
            fill(server.store, server.shape, number)
            begun.append((time.perf_counter(), number))

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = load(*server.place, requests, 8, seconds=2.5, check=check, renew=20)
    swapping.join()
    assert (wrong, seen.other, seen.lost) == ([], {}, 0)
    assert len(numbers) > 2
    assert server.store.snapshot(SPACE).id == "n205"
