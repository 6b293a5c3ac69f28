"""RetryingStore: what it tries again, how long, and how it settles what an unclear create did."""

import random

import pytest

from dataplat.errors import ObjectExists, ObjectNotFound, StoreTimeout
from dataplat.lake.stores import FileStore, MemoryStore, RetryingStore, SupportsFiles, SupportsUrl
from dataplat.testing import store_suite
from dataplat.testing.store_faults import FaultyStore


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def __call__(self):
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds):
        """Move on."""
        self.slept.append(seconds)
        self.now += seconds


def retrying(script, inner=None, **options):
    """Return a retry around a store whose calls time out as scripted."""
    clock = Clock()
    faulty = FaultyStore(MemoryStore() if inner is None else inner, script)
    return RetryingStore(faulty, clock=clock, sleep=clock.sleep, rng=random.Random(7), **options), faulty, clock


class TestRetryingMemory(store_suite.StoreConformance):
    @pytest.fixture
    def store(self):
        """A retry that never has to."""
        return RetryingStore(MemoryStore())


class TestRetryingFile(store_suite.StoreConformance, store_suite.UrlConformance, store_suite.FilesConformance):
    @pytest.fixture
    def store(self, tmp_path):
        """A retry that has the file store's abilities."""
        return RetryingStore(FileStore(tmp_path))


def test_abilities_are_those_of_the_inner_store(tmp_path):
    """A wrapper claims an ability exactly when the wrapped store has it, through any number of wrappers."""
    file = RetryingStore(RetryingStore(FileStore(tmp_path)))
    assert isinstance(file, SupportsFiles)
    assert isinstance(file, SupportsUrl)
    assert isinstance(file, RetryingStore)
    assert not isinstance(RetryingStore(MemoryStore()), SupportsFiles | SupportsUrl)


@pytest.mark.parametrize("fault", ["landed", "late", "lost"])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_unclear_create_is_settled(fault, times):
    """Whatever became of the requests, the caller gets a plain success and the object is there once."""
    store, faulty, clock = retrying(dict.fromkeys(range(1, times + 1), fault))
    store.create("x", b"mine")
    assert faulty.inner.read("x") == b"mine"
    assert len(clock.slept) == times


@pytest.mark.parametrize("fault", ["landed", "late", "lost"])
def test_another_winner_is_told_apart(fault):
    """If meanwhile somebody else created the key with other bytes, the caller has lost, unclear or not."""
    store, faulty, _clock = retrying({1: fault})
    faulty.inner.create("x", b"theirs")
    with pytest.raises(ObjectExists):
        store.create("x", b"mine")
    assert faulty.inner.read("x") == b"theirs"


def test_a_plain_refusal_is_not_questioned():
    """ObjectExists at the first attempt is final even for equal bytes: nothing of ours was under way."""
    store, faulty, _clock = retrying({})
    faulty.inner.create("x", b"same")
    with pytest.raises(ObjectExists):
        store.create("x", b"same")
    assert faulty.calls == 1


def test_reading_back_may_fail_too():
    """A time-out of the read that settles a create is tried again like any other."""
    store, faulty, _clock = retrying({1: "landed", 3: "lost"})
    store.create("x", b"mine")
    assert faulty.calls == 5


def test_reads_lists_and_deletes_are_tried_again():
    """Calls that change nothing twice are simply repeated."""
    store, faulty, clock = retrying({1: "lost", 3: "lost", 4: "lost", 6: "landed"})
    faulty.inner.create("x", b"1")
    assert store.read("x") == b"1"
    assert [entry.key for entry in store.list("")] == ["x"]
    store.delete("x")
    assert len(clock.slept) == 4
    with pytest.raises(ObjectNotFound):
        store.read("x")


def test_a_listing_goes_on_behind_the_last_key():
    """A time-out in the middle of a listing neither repeats nor loses a key, and the limit still holds."""

    class Breaking(MemoryStore):
        breaks = 0

        def list(self, prefix, after=None, limit=None):
            """Break off after three keys."""
            for number, entry in enumerate(super().list(prefix, after, limit)):
                if number == 3:
                    self.breaks += 1
                    raise StoreTimeout("in the middle")
                yield entry

    inner = Breaking()
    for number in range(10):
        inner.create(f"{number}", b"")
    store, _faulty, clock = retrying({}, inner)
    assert [entry.key for entry in store.list("")] == list("0123456789")
    assert inner.breaks == 3
    assert [entry.key for entry in store.list("", after="1", limit=6)] == list("234567")
    assert clock.slept == []


@pytest.mark.parametrize("operation", ["create", "read", "list", "delete"])
def test_the_budget_is_for_the_whole_call(operation):
    """However many attempts, a call ends within its budget, with an error that says what is known."""
    store, faulty, clock = retrying(dict.fromkeys(range(1, 10_000), "lost"), budget=30.0)
    calls = {
        "create": lambda: store.create("x", b""),
        "read": lambda: store.read("x"),
        "list": lambda: list(store.list("x")),
        "delete": lambda: store.delete("x"),
    }
    with pytest.raises(StoreTimeout, match=f"no answer to {operation} 'x' in {{}} attempts".format(r"\d+")) as raised:
        calls[operation]()
    assert clock.now < 30
    assert 10 < faulty.calls < 40
    assert ("may have taken effect" in str(raised.value)) == (operation in {"create", "delete"})


def test_waits_are_drawn_from_a_growing_window():
    """Full jitter: each wait lies between nothing and twice the last window, up to the cap."""
    store, _faulty, clock = retrying(dict.fromkeys(range(1, 12), "lost"), base=0.1, cap=3.0)
    store.create("x", b"")
    assert len(clock.slept) == 11
    assert all(0 <= wait <= min(3.0, 0.1 * 2**number) for number, wait in enumerate(clock.slept))
    assert len(set(clock.slept)) == 11


def test_an_adopted_file_is_settled_too(tmp_path):
    """The same for a file that becomes an object."""
    store, faulty, _clock = retrying({1: "landed"}, FileStore(tmp_path))
    path = store.staging_dir() / "part"
    path.write_bytes(b"rows")
    store.adopt("objects/x", path)
    assert faulty.inner.read("objects/x") == b"rows"
