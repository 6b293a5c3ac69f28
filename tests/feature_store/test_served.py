"""The log of served requests: nothing is lost in order, little on a kill, and no request waits for it."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dataplat as dp
from dataplat.feature_store import served as log
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.online.plan import ServingPlan, bases_of, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Reading, Snapshot
from dataplat.feature_store.served import ServedLog, landing, read, segments
from dataplat.feature_store.served_rows import ROWS, spelled, typed

DAY = 86_400_000_000
T0 = 1_700_000_000_000_000


class Weather:
    """A service that serves, from a dict."""

    def __init__(self) -> None:
        airport = dp.Entity("airport")
        view = dp.FeatureView(
            "weather", source="weather", entity=airport, timestamp="at", ttl=None, features=["temp", "sunset"]
        )

        @dp.on_demand(inputs=[view, dp.Request({"extra": "float64"})])
        def warmer(t):
            return t.temp + t.extra

        self.service = dp.FeatureService("model", [view, warmer])
        table = pa.table(
            {
                "airport": ["JFK", "LGA", "EWR"],
                "at": pa.array([T0] * 3, pa.timestamp("us", "UTC")),
                "temp": [1.5, math.nan, -0.0],
                "sunset": pa.array([T0 + 1, T0 + 2, None], pa.timestamp("us", "UTC")),
            }
        )
        (base,) = bases_of(self.service)
        plan = ServingPlan.of(self.service, types_of({base.name: table.schema}))
        self.records = dict(pack(plan, plan.groups[0], {base.name: facts(base, table)}, T0 + DAY))
        self.snapshot = Snapshot("s1", T0 + DAY, {"weather": "v1"}, plan.closure, types=plan.types)
        self.serving = Serving(plan)

    def served(self, airports, t=T0 + 2 * DAY):
        """Answer a request."""
        asked = {"airport": airports}, {"extra": [1.0] * len(airports)}
        return self.serving.answer(*asked, t, lambda keys: Reading(
            self.snapshot, 7, [self.records.get(key) for key in keys], [()] * len(keys)
        ))  # fmt: skip

    def record(self, to, airports, t=T0 + 2 * DAY):
        """Log one."""
        rows = len(airports)
        to.record("model@1", {"airport": airports}, {"extra": [1.0] * rows}, rows, t, self.served(airports, t))


@pytest.fixture(scope="module")
def weather():
    """A service that serves."""
    return Weather()


def landed(folder):
    """Return all rows of a folder."""
    return [row for path in segments(folder) for row in read(path).to_pylist()]


def test_a_request_is_a_row_for_each_entity_with_all_that_a_replay_needs(weather, tmp_path):
    """Keys, request columns, values to the last bit, statuses other than present, snapshot, pins, closure, sequence."""
    to = ServedLog(tmp_path)
    weather.record(to, ["JFK", "LGA", "EWR", "XXX"])
    to.close()
    rows = landed(tmp_path)
    assert [json.loads(row["entities"]) for row in rows] == [{"airport": name} for name in ("JFK", "LGA", "EWR", "XXX")]
    told = [row["features"] for row in rows]
    assert told[0] == f'{{"weather__temp":1.5,"weather__sunset":{T0 + 1},"warmer":2.5}}'
    assert told[1] == f'{{"weather__temp":"NaN","weather__sunset":{T0 + 2},"warmer":"NaN"}}'
    assert told[2] == '{"weather__temp":-0.0,"weather__sunset":null,"warmer":1.0}'
    assert told[3] == '{"weather__temp":null,"weather__sunset":null,"warmer":null}'
    assert [json.loads(row["statuses"]) for row in rows] == [
        {},
        {},
        {"weather__sunset": "null"},
        {"weather__temp": "missing_key", "weather__sunset": "missing_key", "warmer": "null"},
    ]
    first = rows[0]
    assert (first["space"], first["snapshot"], first["sequence"]) == ("model@1", "s1", 7)
    assert first["closure"] == weather.serving.plan.closure
    assert json.loads(first["pins"]) == {"weather": "v1"}
    assert json.loads(first["request"]) == {"extra": 1.0}
    assert first["t"] == dt.datetime.fromtimestamp((T0 + 2 * DAY) / 1e6, dt.UTC)
    assert len({row["id"] for row in rows}) == len(rows)


VALUES = [
    (pa.float64(), st.floats()),
    (pa.float32(), st.floats(width=32)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text()),
    (pa.binary(), st.binary()),
    (pa.decimal128(12, 3), st.decimals(-(10**8), 10**8, places=3)),
    (pa.timestamp("ns", "UTC"), st.integers(-(2**62), 2**62)),
    (pa.date32(), st.integers(-(10**6), 10**6)),
    (pa.duration("us"), st.integers(-(2**60), 2**60)),
]


@given(st.data())
def test_json_loses_no_bit_of_a_value(data):
    """Every type, and lists of it, comes back from its JSON as it was."""
    kind, values = data.draw(st.sampled_from(VALUES))
    drawn = data.draw(st.lists(st.none() | values, max_size=8))
    base = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    column = pa.array(drawn, base).cast(kind) if pa.types.is_temporal(kind) else pa.array(drawn, kind)
    several = pa.LargeListArray.from_arrays(pa.array([0, None, len(drawn)], pa.int64()), column)
    for each in (column, several.cast(pa.list_(kind))):
        told = json.loads(json.dumps(spelled(each)))
        back = typed(told, each.type)
        assert json.dumps(spelled(back)) == json.dumps(spelled(each))
        assert back.type == each.type
        if not pa.types.is_floating(kind):  # NaN is equal to nothing
            assert back.equals(each)


def test_floats_differ_where_a_bit_does():
    """0.0 is not -0.0, and neighbours are not each other."""
    one = 0.1 + 0.2
    texts = {json.dumps(spelled(pa.array([x]))) for x in (0.0, -0.0, 0.3, one, np.nextafter(one, 1), math.inf)}
    assert len(texts) == 6


def test_only_so_many_rows_a_second_are_logged_and_the_others_counted(weather, tmp_path):
    """Beyond `most` requests are skipped until the thread gives the next second's share."""
    to = ServedLog(tmp_path, most=3, every=60)
    for _ in range(10):
        weather.record(to, ["JFK"])
    to.close()
    assert (to.logged, to.skipped, to.dropped) == (3, 7, 0)
    assert len(landed(tmp_path)) == 3


def test_a_sample_is_drawn_by_chance(weather, tmp_path):
    """Of 400 requests about a quarter is logged, and none is lost from the counts."""
    to = ServedLog(tmp_path, sample=0.25, most=None)
    for _ in range(400):
        weather.record(to, ["JFK"])
    to.close()
    assert 50 < to.logged < 160
    assert to.logged + to.skipped == 400


def test_of_a_large_request_some_rows_are_logged(weather, tmp_path):
    """As many as ROWS, each beside its own key."""
    to = ServedLog(tmp_path, most=None)
    weather.record(to, ["JFK", "LGA"] * 1000)
    to.close()
    rows = landed(tmp_path)
    assert len(rows) == ROWS
    assert to.skipped == 2000 - ROWS
    for row in rows:
        nan = json.loads(row["features"])["weather__temp"] == "NaN"
        assert nan == (json.loads(row["entities"])["airport"] == "LGA")


def test_what_waits_is_bounded_and_the_rest_dropped_and_counted(weather, tmp_path, monkeypatch):
    """A writer that does not come along costs rows of the log, and never memory of requests."""
    monkeypatch.setattr(log, "WAITING", 20)
    to = ServedLog(tmp_path, most=None, every=60)
    served = weather.served(["JFK"])
    for _ in range(5000):
        to.record("model@1", {"airport": ["JFK"]}, {"extra": [1.0]}, 1, T0 + 2 * DAY, served)
    to.close()
    assert (to.logged, to.dropped) == (20, 4980)


def test_a_folder_that_cannot_be_written_costs_rows_and_no_request(weather, tmp_path, caplog):
    """It is said once, without values, and counted; when it can be written again, rows are logged again."""
    blocked = tmp_path / "log"
    blocked.write_text("no folder")
    to = ServedLog(blocked, most=None, every=60)
    for _ in range(2):
        weather.record(to, ["JFK"])
        to.flush()
    assert (to.logged, to.dropped) == (0, 2)
    assert len(caplog.records) == 1
    assert "JFK" not in caplog.text
    blocked.unlink()
    weather.record(to, ["JFK"])
    to.close()
    assert to.logged == len(landed(blocked)) == 1


def test_a_disk_that_fills_up_within_a_batch_leaves_the_batches_before_it(weather, tmp_path, monkeypatch):
    """What was half written is taken back: the segment is read to its end, and later rows are in it."""
    to = ServedLog(tmp_path, most=None, every=60)
    weather.record(to, ["JFK"])
    to.flush()
    real, calls = os.write, []

    def full(file, piece):
        calls.append(len(piece))
        if len(calls) == 2:
            real(file, piece[: len(piece) // 2])
            raise OSError(28, "No space left on device")
        return real(file, piece)

    monkeypatch.setattr(log.os, "write", full)
    weather.record(to, ["LGA"])
    to.flush()
    monkeypatch.undo()
    weather.record(to, ["EWR"])
    to.close()
    assert [json.loads(row["entities"])["airport"] for row in landed(tmp_path)] == ["JFK", "EWR"]
    assert to.dropped == 1


def test_segments_are_closed_when_they_are_large_and_nobody_reads_what_is_written(weather, tmp_path, monkeypatch):
    """The open one is not among those that are to be landed; a large one is closed and another begun."""
    to = ServedLog(tmp_path, most=None, every=0.01)
    weather.record(to, ["JFK"])
    to.flush()
    assert segments(tmp_path) == []
    monkeypatch.setattr(log, "SEGMENT_BYTES", 1)
    until = time.monotonic() + 10
    while not segments(tmp_path) and time.monotonic() < until:
        time.sleep(0.01)
    monkeypatch.undo()
    weather.record(to, ["LGA"])
    to.close()
    assert [len(read(path)) for path in segments(tmp_path)] == [1, 1]


def test_a_torn_batch_of_the_dead_is_left_out(weather, tmp_path):
    """Cut anywhere, a segment has all batches that are whole."""
    to = ServedLog(tmp_path, most=None, every=60)
    ends = []
    for airport in ("JFK", "LGA", "EWR"):
        weather.record(to, [airport])
        to.flush()
        ends.append(next(tmp_path.glob("*.open")).stat().st_size)
    to.close()
    (path,) = segments(tmp_path)
    content = path.read_bytes()
    for cut in (*range(0, len(content), 97), *ends, *(end - 1 for end in ends)):
        path.write_bytes(content[:cut])
        assert len(read(path)) == sum(end <= cut for end in ends)


WORKER = """
import sys, time
sys.path[:0] = [{tests!r}, {root!r}]
from feature_store.test_served import Weather
from pathlib import Path
from dataplat.feature_store.served import ServedLog
weather, to = Weather(), ServedLog(Path(sys.argv[1]), most=None, every=0.05)
for n in range(100_000):
    weather.record(to, ["JFK"])
    print(to.logged, flush=True)
    time.sleep(0.001)
"""


def test_a_killed_process_loses_at_most_what_it_had_not_written(tmp_path):
    """All that was counted as logged before SIGKILL is read from the segment of the dead; a live one is left alone."""
    tests = Path(__file__).resolve().parent.parent
    script = WORKER.format(tests=str(tests), root=str(tests.parent))
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    logged = 0
    assert process.stdout is not None
    for line in process.stdout:
        if (logged := int(line)) >= 60:
            break
    assert segments(tmp_path) == []  # it lives
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(landed(tmp_path)) >= logged


def test_one_process_at_a_time_lands_segments(tmp_path):
    """Who comes second is told so at once, and has the right when the first is done."""
    with landing(tmp_path) as mine, landing(tmp_path) as other:
        assert (mine, other) == (True, False)
    with landing(tmp_path) as again:
        assert again


def test_decimals_and_polars_columns_are_read(tmp_path):
    """What Polars hands to Arrow (string views, large lists) is spelled as the usual types are."""
    frame = pl.DataFrame({"a": ["x", None], "b": [[1.5, None], None]})
    assert [spelled(column) for column in frame.to_arrow().columns] == [["x", None], [[1.5, None], None]]
    assert spelled(pa.array([decimal.Decimal("1.50")])) == ["1.50"]
