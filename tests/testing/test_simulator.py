"""The simulator: a seed is a history, every kind of fault happens, and planted mistakes are found."""

import threading
from collections import Counter
from random import Random

import pytest

from dataplat.errors import ObjectExists, StoreTimeout
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.stores import RetryingStore, SupportsFiles
from dataplat.testing.simulator import Faults, HistoryTooLong, SimulatedCrash, Simulator

COMMITS = 6


def head(store):
    """Return the number of the newest record, -1 for none."""
    first = next(iter(store.list("refs/", limit=1)), None)
    return -1 if first is None else 10**6 - int(first.key[5:])


def key(number):
    """Return the key of a numbered record."""
    return f"refs/{10**6 - number:07}"


def patient(me):
    """Commit `COMMITS` times as the design says: settle what is unclear with the same bytes at the same number."""
    store = RetryingStore(me.store, budget=3600.0, clock=me.monotonic, sleep=me.sleep, rng=me.rng)
    done = []
    for _ in range(COMMITS):
        record = me.token().encode()
        while True:
            number = head(store) + 1
            try:
                store.create(key(number), record)
            except ObjectExists:
                continue
            done.append((number, record))
            break
    return done


def hasty(me):
    """Take a time-out for a failure, and commit again at the next number: the same commit may land twice."""
    done = []
    for _ in range(COMMITS):
        record = me.token().encode()
        while True:
            try:
                number = head(me.store) + 1
                me.store.create(key(number), record)
            except (ObjectExists, StoreTimeout):
                continue
            done.append((number, record))
            break
    return done


def trusting(me):
    """Take a time-out for a success: the commit may be lost."""
    done = []
    for _ in range(COMMITS):
        record = me.token().encode()
        while True:
            try:
                number = head(me.store) + 1
            except StoreTimeout:
                continue
            try:
                me.store.create(key(number), record)
            except ObjectExists:
                continue
            except StoreTimeout:
                pass
            done.append((number, record))
            break
    return done


def greedy(me):
    """Take any ObjectExists after a time-out for one's own: somebody else's commit may be there."""
    done = []
    for _ in range(COMMITS):
        record, number = me.token().encode(), -1  # the number of a create whose outcome is unclear
        while True:
            try:
                bid = number if number >= 0 else head(me.store) + 1
            except StoreTimeout:
                continue
            try:
                me.store.create(key(bid), record)
            except StoreTimeout:
                number = bid
                continue
            except ObjectExists:
                if number < 0:
                    continue
            done.append((bid, record))
            break
    return done


def history(seed, writer, faults=None, writers=4):
    """Run one history."""
    simulator = Simulator(seed, Faults.drawn(Random(seed)) if faults is None else faults)
    for _ in range(writers):
        simulator.spawn(writer, restarts=1)
    return simulator.run()


def broken(simulator):
    """Say what is wrong with the records that a history left, or return an empty text."""
    store = simulator.store
    records = {10**6 - int(entry.key[5:]): store.read(entry.key) for entry in store.list("refs/")}
    if sorted(records) != list(range(len(records))):
        return "a number is missing"
    if len(set(records.values())) != len(records):
        return "a commit landed twice"
    for writer in simulator.writers:
        if any(records.get(number) != record for number, record in writer.result or ()):
            return "a commit that was confirmed is lost"
    return ""


def test_a_seed_is_a_history():
    """The same seed gives the same events, times and bytes; another seed gives others."""
    fingerprints = set()
    for seed in range(40):
        first, second = history(seed, patient), history(seed, patient)
        assert first.trace == second.trace
        assert first.fingerprint() == second.fingerprint()
        assert [(entry.key, entry.created) for entry in first.store.list("")] == [
            (entry.key, entry.created) for entry in second.store.list("")
        ]
        fingerprints.add(first.fingerprint())
    assert len(fingerprints) == 40


def test_a_right_writer_survives():
    """Three hundred histories of a writer that settles unclear answers lose nothing and double nothing."""
    found = {seed: fault for seed in range(300) if (fault := broken(history(seed, patient)))}
    assert found == {}


@pytest.mark.parametrize(
    ("writer", "fault"),
    [
        (hasty, "a commit landed twice"),
        (trusting, "a commit that was confirmed is lost"),
        (greedy, "a commit that was confirmed is lost"),
    ],
)
def test_planted_mistakes_are_found(writer, fault):
    """Each usual mistake shows within a hundred histories, and shows again when its seed is replayed."""
    found = {}
    for seed in range(100):
        if told := broken(history(seed, writer)):
            found.setdefault(told, seed)
    assert fault in found
    assert broken(history(found[fault], writer)) == fault


def test_every_fault_happens():
    """All kinds of faults occur, each for every operation that can have it, and late requests land after all."""
    outcomes = Counter()
    for seed in range(150):
        for event in history(seed, patient, Faults()).trace:
            outcomes[event.operation, event.outcome.split(" crc")[0].split(":")[0]] += 1
    for operation in ("create", "list"):
        for outcome in (
            "ok",
            "timeout landed",
            "timeout late",
            "timeout lost",
            "crash before",
            "crash after",
            "crash late",
        ):
            assert outcomes[operation, outcome] > 0, (operation, outcome)
    assert outcomes["create", "late"] == outcomes["create", "timeout late"] + outcomes["create", "crash late"]


def test_a_late_request_may_land_after_its_writer_tried_again():
    """The case that fools most retries: the first request takes effect after the second was sent."""
    overtaken = 0
    for seed in range(200):
        pending = {}
        for event in history(seed, patient, Faults(timeout_late=0.2, land=0.05)).trace:
            if event.operation != "create":
                continue
            if event.outcome.startswith("timeout late"):
                pending[event.writer, event.key] = 0
            elif event.outcome.startswith("late"):
                overtaken += pending.pop((event.writer, event.key), 0) > 0
            elif (event.writer, event.key) in pending:
                pending[event.writer, event.key] += 1
    assert overtaken > 20


def test_the_dead_change_nothing():
    """Once a writer has died, its `finally` blocks cannot reach the store, and no `except Exception` keeps it alive."""
    ran = []

    def writer(me):
        try:
            me.store.create("a", b"")
            ran.append("survived")
        except Exception:  # noqa: BLE001 - what it must not catch is the point
            ran.append("caught")
        finally:
            ran.append("finally")
            me.store.create("b", b"")

    simulator = Simulator(1, Faults(0, 0, 0, crash_before=1.0, crash_after=0, crash_late=0))
    dead = simulator.spawn(writer)
    simulator.run()
    assert dead.crashed
    assert ran == ["finally"]
    assert list(simulator.store.list("")) == []


def test_a_supervisor_starts_the_dead_anew():
    """With `restarts` another writer takes a dead one's place, at most so many times."""

    def writer(me):
        me.store.create(f"from/{me.name}", b"")

    simulator = Simulator(1, Faults(0, 0, 0, crash_before=0, crash_after=1.0, crash_late=0))
    simulator.spawn(writer, name="w", restarts=2)
    simulator.run()
    assert [entry.key for entry in simulator.store.list("")] == ["from/w", "from/w'", "from/w''"]
    assert [each.crashed for each in simulator.writers] == [True] * 3


def test_without_faults_writers_only_race():
    """With no faults every outcome is an answer, and the order still differs by seed."""
    runs = [history(seed, patient, Faults.none()) for seed in range(5)]
    for run in runs:
        assert {event.outcome.split()[0] for event in run.trace} <= {"ok", "exists"}
        assert any(event.outcome.startswith("exists") for event in run.trace)
    assert len({tuple(event.writer for event in run.trace) for run in runs}) == 5


def test_time_is_virtual_and_skewed():
    """Sleeping takes no real time; clocks differ by a fixed skew; the store stamps by its own clock."""
    seen = {}

    def writer(me):
        before, budget = me.clock(), me.monotonic()
        me.sleep(3600)
        seen[me.name] = (me.clock() - before, me.monotonic() - budget, me.skew, me.clock())
        me.store.create(me.name, b"")

    simulator = Simulator(5, Faults(0, 0, 0, 0, 0, 0, 0, skew_us=1_000_000))
    for _ in range(3):
        simulator.spawn(writer)
    simulator.run()
    for passed, budget, skew, _now in seen.values():
        assert 3_600_000_000 <= passed < 3_601_000_000
        assert budget == pytest.approx(passed / 1e6)
        assert abs(skew) <= 1_000_000
    assert len({skew for _, _, skew, _ in seen.values()}) == 3
    for entry in simulator.store.list(""):
        assert abs(entry.created - (seen[entry.key][3] - seen[entry.key][2])) < 1_000_000


def test_a_listing_is_read_in_pages():
    """Between the pages of a long listing others go on, as on a real store; every key that stays is listed once."""
    listed = []

    def lister(me):
        listed.extend(entry.key for entry in me.store.list("k/"))

    def creator(me):
        for number in range(20):
            me.store.create(f"k/{number:03}x", b"")

    for seed in range(20):
        listed.clear()
        simulator = Simulator(seed, Faults.none())
        for number in range(35):
            simulator.store.create(f"k/{number:03}", b"")
        simulator.spawn(lister)
        simulator.spawn(creator)
        simulator.run()
        assert listed == sorted(set(listed))
        assert set(listed) >= {f"k/{number:03}" for number in range(35)}
        assert sum(event.operation == "list" for event in simulator.trace) >= 4


def test_an_error_names_writer_and_seed():
    """What goes wrong in a writer is raised by run, with what is needed to see it again."""

    def writer(me):
        me.store.read("missing")
        raise AssertionError("never comes here")

    simulator = Simulator(77, Faults.none())
    simulator.spawn(writer, name="reader")
    with pytest.raises(FileNotFoundError) as raised:
        simulator.run()
    assert raised.value.__notes__ == ["in writer reader of the simulated history with seed 77"]
    assert "reader   read    missing  not found" in simulator.story()


def test_a_history_that_does_not_end_is_broken_off():
    """A livelock is an error, and the writers in it are unwound."""
    unwound = []

    def writer(me):
        try:
            while True:
                list(me.store.list(""))
        finally:
            unwound.append(me.name)

    simulator = Simulator(1, Faults(0, 0, 0), max_steps=500)
    for _ in range(3):
        simulator.spawn(writer, restarts=5)
    with pytest.raises(HistoryTooLong, match="seed 1 "):
        simulator.run()
    assert len(unwound) == len(simulator.writers)


def test_a_stage_needs_no_threads_here():
    """Stage and Objects work on a simulated store one call after the other, the same in every replay."""

    def writer(me):
        assert not isinstance(me.store, SupportsFiles)
        store = RetryingStore(me.store, budget=3600.0, clock=me.monotonic, sleep=me.sleep, rng=me.rng)
        with Stage(store) as stage:
            ids = [stage.put(f"{me.name} {number}".encode(), ".json") for number in range(5)]
            stage.flush()
        objects = Objects(store)
        return [objects.read(object_id, ".json") for object_id in ids]

    others = set(threading.enumerate())  # of tests before this one; some may end meanwhile
    for seed in range(30):
        runs = [history(seed, writer, writers=3) for _ in range(2)]
        assert runs[0].trace == runs[1].trace
        for each in runs[0].writers:
            assert each.crashed or each.result == [f"{each.name} {number}".encode() for number in range(5)]
    assert set(threading.enumerate()) <= others


def test_a_crash_is_no_exception():
    """Handlers of errors must not stop a death."""
    assert not issubclass(SimulatedCrash, Exception)
