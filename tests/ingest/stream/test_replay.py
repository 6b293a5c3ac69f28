"""Rejected records of a real topic are tried again: what can be read by now lands once and leaves the rejects."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import sys
import threading
import time

import fastavro
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.cli._run import run
from dataplat.connectors.codecs._registry import forget_schemas
from dataplat.ingest._rejected import Rejected
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CrashStore, SimulatedCrash, copied
from dataplat.versioning.lakefile import create_lake
from servers import KafkaServer, Message
from servers.registry import Registry, framed

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _fresh_registries():
    forget_schemas()


@pytest.fixture
def lake(tmp_path):
    """Return a lake on the disk."""
    return dp.open(tmp_path / "lake")


def values(lake, column="n", dataset="events"):
    """Return the values of a column, in order."""
    return sorted(lake[dataset].to_arrow(columns=[column]).column(column).to_pylist())


def rejects(lake, dataset="events"):
    """Return the offsets of what is rejected, in order."""
    return sorted(lake[f"{dataset}.rejects"].to_arrow().column("offset").to_pylist())


def large(i):
    """Return a number that is too large for the column where `i` is odd."""
    return i + 100_000 * (i % 2)


NARROW = {"id": "int64", "n": "int16"}


def too_narrow(server, lake, count=40, **options):
    """Land `count` numbers, each second of which is too large, and so rejected; then mend the column."""
    topic = server.new_topic(partitions=1)
    numbers = [(-1, 0), *((i, large(i)) for i in range(count))]
    topic.produce([Message(json.dumps({"id": i, "n": n}).encode(), partition=0) for i, n in numbers])
    lake.ingest(topic.url, "events", schema=NARROW, **options)
    assert rejects(lake) == list(range(2, count + 1, 2))
    lake.evolve("events", widen={"n": "int64"})
    return topic


def test_a_schema_that_is_known_by_now(kafka_server: KafkaServer, registry: Registry, lake):
    """Records of a schema that the registry did not know land once it does, with what is kept of them, and only once."""
    schema = {"type": "record", "name": "E", "fields": [{"name": "n", "type": "int"}]}

    def message(id, n):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), {"n": n})
        return Message(framed(id, out.getvalue()), b"k", 0)

    known = registry.register("a", json.dumps(schema))
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([message(known if n % 2 else known + 1, n) for n in range(10)] + [Message(b"?", None, 0)])
    options = {"registry": registry.url}
    assert lake.ingest(topic.url, "events", keep=("offset", "partition", "key"), **options).rows_rejected == 6
    first = lake.replay("events", **options)
    assert (first.tried, first.landed, first.still_rejected, first.commit) == (6, 0, 6, None)
    assert "not known to the registry" in str(first.waiting[0])
    forget_schemas()
    registry.register("b", json.dumps({**schema, "name": "F"}))
    plan = lake.replay("events", **options, plan=True)
    assert (plan.landed, plan.commit, values(lake)) == (5, None, [1, 3, 5, 7, 9])
    result = lake.replay("events", **options)
    assert (result.landed, result.rows_added, result.still_rejected) == (5, 5, 1)
    assert values(lake) == list(range(10))
    assert {(row["n"], row["_key"]) for row in lake["events"].to_arrow().to_pylist()} == {(n, b"k") for n in range(10)}
    assert values(lake, "_offset") == list(range(10))
    assert rejects(lake) == [10]
    assert lake["events"].commit.id == lake["events.rejects"].commit.id == result.commit
    assert lake.verify_ingest("events").ok
    assert lake.replay("events", **options).landed == 0
    assert lake.ingest(topic.url, "events", **options).nothing_to_do


def test_some_of_them(kafka_server: KafkaServer, lake):
    """A condition says which are tried; the others stay, and so do those that are none yet, with their first error."""
    topic = too_narrow(kafka_server, lake)
    result = lake.replay("events", '"offset" < 20')
    assert (result.tried, result.landed) == (9, 9)
    assert rejects(lake) == list(range(20, 41, 2))
    topic.produce([Message(b"never", partition=0)])
    lake.ingest(topic.url, "events")
    result = lake.replay("events")
    assert (result.landed, result.still_rejected) == (11, 1)
    assert [one.offset for one in result.waiting] == [41]
    assert rejects(lake) == [41]
    assert values(lake) == sorted([0, *(large(i) for i in range(40))])
    with pytest.raises(dp.PredicateError):
        lake.replay("events", "nowhere = 1")


def test_at_the_same_time(kafka_server: KafkaServer, lake):
    """Of many who replay at once, each record is landed by one."""
    too_narrow(kafka_server, lake)
    results, errors = [], []

    def replay():
        try:
            results.append(dp.open(lake.url, create=False).replay("events"))
        except Exception as error:  # noqa: BLE001 (shown below)
            errors.append(error)

    threads = [threading.Thread(target=replay) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum(result.landed for result in results) == 20
    assert values(lake) == sorted([0, *(large(i) for i in range(40))])
    assert rejects(lake) == []


def test_while_the_topic_is_followed(kafka_server: KafkaServer, lake):
    """An ingester that goes on is not stopped by it, and what it rejects meanwhile stays."""
    topic = too_narrow(kafka_server, lake)
    stop, errors = threading.Event(), []

    def follow():
        try:
            lake.ingest(topic.url, "events", follow=True, every=0.1, stop=stop)
        except Exception as error:  # noqa: BLE001 (shown below)
            errors.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    landed = 0
    for n in range(8):
        topic.produce(
            [Message(json.dumps({"id": 100 + n, "n": large(n)}).encode(), partition=0), Message(b"no", partition=0)]
        )
        landed += lake.replay("events", f'"offset" <= {n * 5 + 5}').landed
        time.sleep(0.1)
    stop.set()
    thread.join(60)
    assert not errors
    lake.ingest(topic.url, "events")
    assert landed == 20
    assert values(lake, "id") == [-1, *range(40), *range(100, 108)]
    assert rejects(lake) == list(range(42, 57, 2))
    assert lake.verify_ingest("events").ok


def test_killed(kafka_server: KafkaServer, lake, tmp_path):
    """Wherever replays are killed, each record has landed, or is rejected still, and in the end all have landed once."""
    topic = too_narrow(kafka_server, lake, 200, keep=("offset", "partition"))
    code = (
        "import sys, time, dataplat as dp; lake = dp.open(sys.argv[1], create=False); "
        "import dataplat.ingest._replay, polars; print('go', flush=True); lake.replay('events', sys.argv[2])"
    )
    draw, killed = random.Random(3), 0
    for n in range(6):
        where = f'"offset" <= {(n + 1) * 25}'
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "lake"), where], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            assert child.stdout.readline() == b"go\n"
            time.sleep(draw.uniform(0, 0.25))
            child.send_signal(signal.SIGKILL)
            killed += child.wait() == -signal.SIGKILL
        waiting, there = rejects(lake), values(lake, "_offset")
        assert sorted([*waiting, *there]) == list(range(201))
    assert killed
    lake.replay("events")
    assert (rejects(lake), values(lake, "_offset")) == ([], list(range(201)))
    assert lake.verify_ingest("events").ok
    assert lake.ingest(topic.url, "events").nothing_to_do


@pytest.mark.parametrize("when", ["before", "after"])
def test_dead_at_every_call(kafka_server: KafkaServer, when):
    """At whichever call of the store a replay dies, rows and rejects are those before it or after it, and again is once."""
    store = MemoryStore()
    create_lake(store)
    too_narrow(kafka_server, Lake(store, "test", "memory"), 10, keep=("offset",))
    counting = CrashStore(copied(store))
    Lake(counting, "test", "memory").replay("events")
    outcomes = set()
    for at in range(1, counting.calls + 1):
        left = copied(store)
        with pytest.raises(SimulatedCrash):
            Lake(CrashStore(left, at, when), "test", "memory").replay("events")
        lake = Lake(left, "test", "memory")
        outcomes.add((len(rejects(lake)), len(values(lake))))
        lake.replay("events")
        assert (rejects(lake), values(lake, "_offset")) == ([], list(range(11)))
    assert outcomes <= {(5, 6), (0, 11)}
    assert (5, 6) in outcomes
    assert when == "before" or (0, 11) in outcomes


@pytest.mark.parametrize("keep", [(), ("partition", "offset")], ids=["places unknown", "places known"])
def test_a_newer_state_is_not_replaced(kafka_server: KafkaServer, lake, keep):
    """In a dataset with a key a record stays rejected where its key may have changed since, unless that is asked for."""
    topic = kafka_server.new_topic(partitions=1)

    def message(id, n):
        return Message(json.dumps({"id": id, "n": n}).encode(), partition=0)

    options = {"mode": "upsert", "key": "id", "keep": keep, "schema": NARROW}
    topic.produce([message(1, 1), message(2, 1)])
    lake.ingest(topic.url, "state", **options)
    topic.produce([message(1, 100_001), message(1, 3), message(2, 100_002), message(3, 100_003), message(3, 100_004)])
    lake.ingest(topic.url, "state", **options)
    assert rejects(lake, "state") == [2, 4, 5, 6]
    lake.evolve("state", widen={"n": "int64"})
    result = lake.replay("state")
    state = {row["id"]: row["n"] for row in lake["state"].to_arrow().to_pylist()}
    if keep:
        assert (state, rejects(lake, "state")) == ({1: 3, 2: 100_002, 3: 100_004}, [2])
        assert [(one.offset, "newer state" in one.why) for one in result.waiting] == [(2, True)]
    else:
        assert (state, rejects(lake, "state")) == ({1: 3, 2: 1, 3: 100_004}, [2, 4])
        assert all("is not known" in one.why for one in result.waiting)
    assert result.older == len(result.waiting)
    lake.replay("state", '"offset" = 2', older=True)
    assert {row["id"]: row["n"] for row in lake["state"].to_arrow().to_pylist()}[1] == 100_001


def test_change_events(kafka_server: KafkaServer, lake):
    """A change of a row that is not there may have been followed by its delete, so it stays; a delete is done."""
    topic = kafka_server.new_topic(partitions=1)

    def change(op, id, n=None):
        event = {"op": op, "before": None, "after": None if op == "d" else {"id": id, "n": n}}
        return Message(json.dumps(event).encode(), json.dumps({"id": id}).encode(), 0)

    options = {"source_format": "debezium"}
    topic.produce([change("c", 1, 1), change("c", 2, 1)])
    lake.ingest(topic.url, "state", **options, keep=("partition", "offset"))
    topic.produce([change("c", 3, "x"), change("u", 1, "x"), change("t", None)])
    lake.ingest(topic.url, "state", **options)
    lake.evolve("state", drop=["n"])
    lake.evolve("state", add={"n": "string"})
    result = lake.replay("state", **options)
    assert (result.landed, result.older, result.still_rejected) == (1, 1, 1)
    assert "deleted since" in result.waiting[0].why or "deleted since" in result.waiting[1].why
    assert {row["id"]: row["n"] for row in lake["state"].to_arrow().to_pylist()} == {1: "x", 2: None}
    assert lake.replay("state", **options, older=True).landed == 1
    assert rejects(lake, "state") == [4]
    assert {row["id"]: row["n"] for row in lake["state"].to_arrow().to_pylist()} == {1: "x", 2: None, 3: "x"}


def test_rejects_of_files(kafka_server: KafkaServer, lake, tmp_path):
    """What came from a file is not tried, and that is said; beside such, records of streams are."""
    file = tmp_path / "events.ndjson"
    file.write_text('{"id": 1, "n": 1}\nnot json\n')
    lake.ingest(file, "events", schema=NARROW)
    result = lake.replay("events")
    assert (result.tried, result.of_files) == (0, 1)
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([Message(b'{"id": 2, "n": 100000}', partition=0)])
    lake.ingest(topic.url, "events", schema=NARROW)
    result = lake.replay("events", schema={"id": "int64", "n": "int64"})
    assert (result.tried, result.landed, result.of_files) == (1, 1, 1)
    assert values(lake) == [1, 100_000]
    assert lake["events.rejects"].rows == 1


def test_more_than_is_in_memory(kafka_server: KafkaServer, lake, monkeypatch):
    """Rejects are read and decoded block by block, also where columns come with late ones, and each lands once."""
    looked = []
    monkeypatch.setattr("dataplat.ingest._rejected._TOGETHER", 100)
    topic = kafka_server.new_topic(partitions=2)
    topic.produce([Message(b'{"id": %d, "n": 1}' % i, partition=i % 2) for i in range(10)])
    lake.ingest(topic.url, "events", schema=NARROW, keep=("partition", "offset"))
    late = [Message(b'{"id": %d, "n": 100000, "m": 1.5}' % i, partition=i % 2) for i in range(1010, 1020)]
    topic.produce([Message(b'{"id": %d, "n": 100000}' % i, partition=i % 2) for i in range(10, 1010)])
    topic.produce([*late, Message(b"{", partition=0)])
    lake.ingest(topic.url, "events", schema=NARROW, rows=150)
    lake.evolve("events", widen={"n": "int64"})
    before = Rejected.look

    def look(self):
        for rows in before(self):
            looked.append(len(rows.records))
            yield rows

    monkeypatch.setattr(Rejected, "look", look)
    result = lake.replay("events")
    assert (result.tried, result.landed, result.still_rejected) == (1011, 1010, 1)
    assert max(looked) <= 100
    assert sorted(lake["events"].to_arrow().column("id").to_pylist()) == list(range(1020))
    assert lake["events"].to_arrow().column("m").null_count == 1010
    assert lake["events.rejects"].rows == 1
    assert lake.verify_ingest("events").ok


def test_nothing_was_rejected(lake, tmp_path):
    """A dataset without rejects is nothing to do; one that is not there is named."""
    import pyarrow as pa

    lake.ingest(pa.table({"n": [1]}), "events")
    assert lake.replay("events").notes == ("no record of events was rejected",)
    with pytest.raises(dp.DatasetNotFound, match="nowhere"):
        lake.replay("nowhere")


def test_at_the_command_line(kafka_server: KafkaServer, lake, tmp_path, capsys):
    """The command says what would land, lands it, and says so as JSON."""
    topic = too_narrow(kafka_server, lake)
    topic.produce([Message(b"never", partition=0)])
    lake.ingest(topic.url, "events")
    command = ["ingest", "replay", "events", "--lake", str(tmp_path / "lake")]
    assert run([*command, "--plan"]) == 0
    assert "20 of 21 rejected records would land: +20 -0 rows" in capsys.readouterr().out
    assert run([*command, "--from-rejects", '"offset" <= 10', "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["landed"], done["rows_added"]) == (5, 5)
    assert run(command) == 0
    assert "1 record cannot be read yet" in capsys.readouterr().err
    assert run(command) == 1
