"""What a process knows of a server: one budget for an outage, a short one for a server that never answered."""

import random
import threading
import time
import uuid

import pytest

from dataplat.errors import ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores import MemoryStore, RetryingStore, settles
from dataplat.lake.stores._reach import Reach, within
from dataplat.testing.store_faults import FaultyStore, LatencyStore
from dataplat.versioning._settle import Patience, Undecided, settle


class Clock:
    """A clock that only sleeping moves."""

    now = 0.0

    def __call__(self):
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds):
        """Move on."""
        self.now += seconds


def remote(script, *, server=None, clock=None, **options):
    """Return a retry with a clock of its own around a store whose calls time out as scripted."""
    clock = Clock() if clock is None else clock
    faulty = FaultyStore(MemoryStore(), script)
    server = f"test://{uuid.uuid4()}" if server is None else server
    options = {"server": server, "clock": clock, "sleep": clock.sleep, "rng": random.Random(7), **options}
    return RetryingStore(faulty, **options), faulty, clock


ALWAYS = dict.fromkeys(range(1, 100_000), "lost")


def test_a_server_that_never_answered_is_given_up_soon():
    """15 seconds and not the whole budget, with an error that names the server, the attempts and the cause."""
    store, _faulty, clock = remote(ALWAYS, server="s3://nowhere at http://192.0.2.1")
    with pytest.raises(StoreTimeout, match=r"192\.0\.2\.1, which never answered.*within 15 s.*scripted: lost"):
        store.read("x")
    assert clock.now < 15


def test_one_that_answered_before_has_the_whole_budget():
    """An answer, be it a refusal, shows that the address is right: what fails then is an outage to be waited for."""
    store, _faulty, clock = remote(dict.fromkeys(range(2, 1000), "lost"))
    with pytest.raises(ObjectNotFound):
        store.read("x")
    with pytest.raises(StoreTimeout, match="within 60 s"):
        store.read("x")
    assert 15 < clock.now < 60


def test_what_one_call_found_out_all_know():
    """Another store object of the same server in this process knows that it answers; one of another server does not."""
    name = f"test://{uuid.uuid4()}"
    first, _faulty, _clock = remote({}, server=name)
    assert list(first.list("")) == []
    assert Reach.of(name).answers
    second, _faulty, clock = remote(ALWAYS, server=name)
    with pytest.raises(StoreTimeout, match="within 60 s"):
        second.read("x")
    assert clock.now > 15


def test_an_outage_costs_one_budget_however_many_calls():
    """A hundred calls in an outage end within the budget of one; those after its end are tried once, until an answer."""
    store, faulty, clock = remote(dict.fromkeys(range(2, 1000), "lost"))
    assert list(store.list("")) == []
    for number in range(100):
        with pytest.raises(StoreTimeout):
            store.create(f"{number}", b"")
    assert clock.now < 60
    called = faulty.calls
    clock.now += 10
    with pytest.raises(StoreTimeout, match="in 1 attempt within"):
        store.read("x")
    assert faulty.calls == called + 1
    faulty.script = {}
    store.create("y", b"")
    faulty.script = {faulty.calls + 1: "lost"}
    assert store.read("y") == b""  # one that got no answer after that is tried again


def test_an_old_outage_is_not_held_against_a_server():
    """Where nobody asked for longer than the budget, silence begins anew: the next call is tried again."""
    store, faulty, clock = remote(dict.fromkeys(range(2, 100), "lost"))
    assert list(store.list("")) == []
    with pytest.raises(StoreTimeout):
        store.read("x")
    clock.now += 3600
    faulty.script = {faulty.calls + 1: "lost", faulty.calls + 2: "lost"}
    with pytest.raises(ObjectNotFound):
        store.read("x")


def test_a_first_call_that_blocks_is_left_behind():
    """A server that takes the connection and says nothing is given up though the call itself goes on."""
    release = threading.Event()
    with pytest.raises(StoreTimeout, match="no answer to the test"):
        within(0.05, release.wait, "the test")
    release.set()
    slow = RetryingStore(LatencyStore(MemoryStore(), 30.0), 0.2, server=f"test://{uuid.uuid4()}", base=0.001)
    started = time.monotonic()
    with pytest.raises(StoreTimeout, match="never answered"):
        slow.read("x")
    assert time.monotonic() - started < 20


def test_errors_of_a_first_call_come_through():
    """What is raised in the thread of the first call is raised where it was made."""
    with pytest.raises(KeyError, match="found"):
        within(5, lambda: {}["found"], "it")
    assert within(5, lambda: None, "nothing") is None


@pytest.mark.parametrize("operation", ["create", "delete"])
def test_a_refusal_after_silence_is_no_refusal(operation):
    """What may have landed before the store refused (credentials that ended meanwhile) is unclear, and says so."""

    class Refusing(MemoryStore):
        calls = 0

        def _next(self):
            self.calls += 1
            raise StoreTimeout("lost") if self.calls == 1 else StoreError("access denied")

        def create(self, key, data):
            """Give no answer, then refuse."""
            self._next()

        def delete(self, key):
            """Give no answer, then refuse."""
            self._next()

    store = RetryingStore(Refusing(), base=0.001)
    with pytest.raises(StoreTimeout, match="access denied; what was sent before may have"):
        store.create("x", b"") if operation == "create" else store.delete("x")


def test_settling_asks_a_store_that_settles_once():
    """One budget in all for a record that gets no answer: ten of them would be ten minutes."""
    store, faulty, clock = remote(dict.fromkeys(range(2, 1000), "lost"))
    assert list(store.list("")) == []
    wrapped = LatencyStore(store, 0)
    assert settles(wrapped)
    assert not settles(MemoryStore())
    with pytest.raises(Undecided, match="within 60 s"):
        settle(wrapped, "refs/x", b"record", Patience(sleep=clock.sleep))
    assert clock.now < 60
    faulty.script = {}
    assert settle(wrapped, "refs/x", b"record", Patience())
