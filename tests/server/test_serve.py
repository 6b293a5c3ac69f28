"""`dataplat serve` on a real lake, asked by the real clients: what comes is what `store.lookup` says, pushes included."""

import asyncio
import datetime as dt
import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from servers.features import until

KEY = "a-key-for-the-tests"
TOML = """
[serve]
max_entities = 500
[serve.keys.model]
key = "env:DP_TEST_KEY"
scopes = ["lookup", "push", "admin"]
[serve.keys.reader]
key = "env:DP_TEST_READER"
scopes = ["lookup"]
"""
T = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def services():
    """Return a service of most types: with and without entities, composite keys, windows, lists, on-demand."""
    airport, carrier = dp.Entity("airport"), dp.Entity("carrier", "int64")
    weather = dp.FeatureView(
        "weather", source="weather", entity=airport, keys={"origin": "airport"}, timestamp="t", ttl=None,
        features=["temp", dp.Field("visib", default=10.0), "sky", "seen", "day", "price", "raw", "tags"],
    )  # fmt: skip
    delays = dp.FeatureView(
        "delays", source="landings", entity=[carrier, airport], timestamp="t", ttl="36500d", row_key=["id"],
        features=[dp.Count(window="36000d"), dp.Mean("delay", window="36000d"), dp.LastN("delay", 3)],
    )  # fmt: skip

    @dp.on_demand(inputs=[weather, dp.Request({"distance": "float64"})])
    def per_km(t):
        return t.temp / t.distance

    return dp.FeatureService("delay_model", [weather, delays, per_km])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return the folder of a lake whose service is applied and materialised, and its environment."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("DP_TEST_KEY", KEY)
        patch.setenv("DP_TEST_READER", "a-key-for-readers")
        patch.chdir(folder)
        lake = dp.open(str(folder / "lake"))
        weather = {
            "origin": ["JFK", "LAX", "SFO"],
            "t": pa.array([T] * 3, pa.timestamp("us", "UTC")),
            "temp": [1.5, math.nan, -math.inf],
            "visib": [None, 3.0, 4.0],
            "sky": ["clear", None, 'ü"\n'],
            "seen": pa.array([T, None, T], pa.timestamp("ns", "UTC")),
            "day": [dt.date(2020, 1, 1), None, dt.date(1, 1, 1)],
            "price": pa.array(["1.50", None, "-0.01"]).cast(pa.decimal128(10, 2)),
            "raw": [b"\0\xff", None, b""],
            "tags": [[1.0, math.nan], None, []],
        }
        lake.ingest(pa.table(weather), into="weather")
        landings = {
            "id": [1, 2, 3, 4, 5],
            "carrier": [1, 1, 1, 1, 2],
            "airport": ["JFK", "JFK", "JFK", "JFK", "LAX"],
            "t": pa.array([T + dt.timedelta(hours=hour) for hour in range(5)], pa.timestamp("us", "UTC")),
            "delay": [1.0, 2.0, 4.0, 8.0, 16.0],
        }
        lake.ingest(pa.table(landings), into="landings")
        store = lake.features
        store.apply(services())
        store.materialize("delay_model")
        (folder / "dataplat.toml").write_text(TOML)
        yield folder, store


@pytest.fixture(scope="module")
def url(place):
    """Return where a server of that lake listens."""
    folder, _ = place
    words = ["serve", "--port", "0", "--workers", "2", "--lake", str(folder / "lake"), "--json"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dataplat", *words], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
        )
    with process:
        try:
            line = process.stdout.readline()
            assert line, (folder / "server.log").read_text()
            yield json.loads(line)["url"]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def client(url):
    """Return a client that may do all."""
    with dp.FeatureClient(url, key="env:DP_TEST_KEY") as found:
        yield found


ASKED = {
    "airport": ["JFK", "LAX", "SFO", None, "none"],
    "carrier": [1, 2, 1, 1, None],
    "distance": [10.0, math.nan, 0.0, 1.0, -math.inf],
}


def same(found, wanted):
    """Hold two tables to be equal, to the last bit, NaN being NaN."""
    assert found.column_names == wanted.column_names
    for name in wanted.column_names:
        assert found.column(name).type == wanted.column(name).type, name
        assert repr(found.column(name).to_pylist()) == repr(wanted.column(name).to_pylist()), name


@pytest.mark.parametrize("times", [1, 60])
def test_http_says_what_the_store_says(place, client, times):
    """Every type comes over HTTP as `store.lookup` gives it, in JSON for few entities and in Arrow for many."""
    _, store = place
    asked = {name: values * times for name, values in ASKED.items()}
    found = client.lookup("delay_model", asked, statuses=True, ages=True)
    wanted = store.lookup("delay_model", asked, statuses=True)
    same(found.to_arrow(), store.lookup("delay_model", asked).to_arrow())
    assert found.statuses == wanted.statuses
    assert {name: [value is None for value in column] for name, column in found.ages.items()} == {
        name: [value is None for value in column] for name, column in wanted.ages.items()
    }
    assert (found.service, found.snapshot, len(found)) == ("delay_model@1", wanted.snapshot, 5 * times)
    assert abs((found.t - dt.datetime.now(dt.UTC)).total_seconds()) < 60
    assert isinstance(found.to_polars(), pl.DataFrame)


def test_the_errors_are_those_of_the_store(place, client):
    """A wrong column, type, service or closure raises what the store raises, and names it."""
    _, store = place
    with pytest.raises(dp.SchemaError, match="carrier"):
        client.lookup("delay_model", {"airport": ["JFK"], "distance": [1.0]})
    with pytest.raises(dp.SchemaError, match=r"entities\.carrier\[0\]"):
        client.lookup("delay_model", {"airport": ["JFK"], "carrier": ["AA"], "distance": [1.0]})
    with pytest.raises(dp.SchemaError, match=r"entities\.carrier has 1 values, and entities\.airport 2"):
        client.lookup("delay_model", {"airport": ["JFK", "LAX"], "carrier": [1], "distance": [1.0, 2.0]})
    with pytest.raises(dp.SchemaError, match=r"request\.distance has 1 values, and entities\.airport 2"):
        client.lookup("delay_model", {"airport": ["JFK", "LAX"], "carrier": [1, 1], "distance": [1.0]})
    with pytest.raises(dp.errors.FeatureNotFound, match="delay_model"):
        client.lookup("delays_model", {})
    closure = client.service("delay_model")["closure"]
    for lookup in (client.lookup, store.lookup):
        with pytest.raises(dp.errors.ClosureMismatch, match="trained under '00ff'") as caught:
            lookup("delay_model", ASKED, closure="00ff")
        assert (caught.value.sent, caught.value.served) == ("00ff", closure)
    many = {name: values * 60 for name, values in ASKED.items()}  # which are asked for by Arrow
    with pytest.raises(dp.errors.ClosureMismatch):
        client.lookup("delay_model", many, closure="00ff")
    for sent in (closure, closure.upper(), closure[:12]):
        assert len(client.lookup("delay_model", ASKED, closure=sent)) == 5


def test_keys_are_for_what_they_are_for(url):
    """Without a key, with a wrong one, and with one that is not for it nobody is answered; health needs none."""
    with dp.FeatureClient(url) as nobody:
        assert nobody.ready()
        with pytest.raises(dp.FeatureServerDenied, match="no API key") as caught:
            nobody.lookup("delay_model", ASKED)
        assert caught.value.status == 401
    with dp.FeatureClient(url, key="env:DP_TEST_READER") as reader:
        assert len(reader.lookup("delay_model", ASKED)) == 5
        with pytest.raises(dp.FeatureServerDenied, match="is for lookup, and not for push"):
            reader.push("delays", [])


def test_a_push_is_seen_at_once_and_counts_once(place, client):
    """What was pushed is in every lookup that comes after, however often it was sent; a row that does not fit is named."""
    _, store = place
    asked = {"airport": ["SFO"], "carrier": [9], "distance": [1.0]}
    before = client.lookup("delay_model", asked).to_dict()["delays__count_36000d"]
    row = {"id": 100, "carrier": 9, "airport": "SFO", "t": T + dt.timedelta(days=1), "delay": 32.5}
    for _ in range(3):
        told = client.push("delays", [row], idempotency="push-1")
    assert told["rows"] == 1
    for _ in range(10):  # whichever worker answers
        found = client.lookup("delay_model", asked).to_dict()
        assert found["delays__count_36000d"] == [before[0] + 1]
        assert found["delays__delay_last_3"][0][0] == 32.5
    same(client.lookup("delay_model", asked).to_arrow(), store.lookup("delay_model", asked).to_arrow())
    client.push(
        "delays", pa.table({name: [value] for name, value in (row | {"id": 101}).items()}), idempotency="push-2"
    )
    assert client.lookup("delay_model", asked).to_dict()["delays__count_36000d"] == [before[0] + 2]
    with pytest.raises(dp.SchemaError, match=r"rows\[1\]\.delay"):
        client.push("delays", [row, row | {"delay": "late"}])
    with pytest.raises(dp.SchemaError, match="delai"):
        client.push("delays", [{"delai": 1}])
    with pytest.raises(dp.errors.FeatureNotFound, match="nowhere"):
        client.push("nowhere", [row])


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"view": "delays", "rows": [{"id": 7}, {"id": 8, "delay": 1, "delay": 2}]}', "rows[1].delay"),
        ('{"view": "weather", "view": "delays", "rows": [{"id": 7}]}', "view"),
        ('{"view": "delays", "rows": [{"id": 7}], "rows": [{"id": 8}]}', "rows"),
        ('{"view": "delays", "rows": [{"\\u0069d": 7, "id": 8}]}', "rows[0].id"),
    ],
)
def test_a_push_with_a_name_twice_is_refused(url, text, field):
    """Nobody knows which value is meant, so none is taken."""
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    answer = httpx.post(f"{url}/features/push", content=text, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_asyncio(url):
    """The client for asyncio asks at once, over one pool, and says the same."""

    async def many():
        async with dp.AsyncFeatureClient(url, key="env:DP_TEST_KEY", pool=4) as client:
            assert await client.ready()
            assert (await client.service("delay_model"))["service"] == "delay_model@1"
            return await asyncio.gather(*(client.lookup("delay_model", ASKED) for _ in range(20)))

    found = asyncio.run(many())
    assert len(found) == 20
    assert len({repr(each.to_dict()) for each in found}) == 1


def test_threads_share_a_client(client):
    """A client is used by threads at once."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(client.lookup("delay_model", ASKED))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({repr(each.to_dict()) for each in found}) == 1
    assert len(found) == 8


def test_a_new_version_is_filled_while_the_old_one_serves(place, client):
    """The name means the newest version that has a snapshot; readyz waits for none that is being filled."""
    _, store = place
    weather = services().features[0]
    store.apply(dp.FeatureService("eta", [weather[["temp"]]]))
    store.materialize("eta")
    until(lambda: served(client, "eta") == "eta@1")
    store.apply(dp.FeatureService("eta", [weather[["temp", "sky"]]], version=2))
    until(lambda: served(client, "eta@2") is dp.errors.NotMaterialized)
    assert client.ready()
    assert served(client, "eta") == "eta@1"
    store.materialize("eta@2")
    until(lambda: served(client, "eta") == "eta@2")
    assert served(client, "eta@1") == "eta@1"


def served(client, name):
    """Return which version answers to a name, or the error; whichever worker is asked."""
    try:
        return client.lookup(name, {"airport": ["JFK"]}).service
    except dp.DataplatError as error:
        return type(error)


def test_a_server_that_is_not_there(unused_port):
    """Nobody at the address is said to be so, after the tries."""
    with dp.FeatureClient(f"http://127.0.0.1:{unused_port}", timeout=1.0) as lonely:
        assert not lonely.ready()
        with pytest.raises(dp.FeatureServerError, match="gave no answer") as caught:
            lonely.lookup("delay_model", ASKED)
        assert caught.value.status == 0


@pytest.fixture
def unused_port():
    """Return a port on which nobody listens."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_schemathesis(place, url):
    """Requests drawn from the OpenAPI document, right and wrong ones, are answered as it says, and none is a 500."""
    folder, _ = place
    (folder / "schemathesis.toml").write_text(  # 413, too, is said of what is against the document
        "[checks.negative_data_rejection]\nexpected-statuses = [400, 401, 404, 405, 406, 409, 411, 413, 415, 422]\n"
        '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 504]\n'  # a deadline of 1 ms passes
    )
    words = [
        "run", f"{url}/openapi.json", "--max-examples", os.environ.get("DATAPLAT_SERVE_EXAMPLES", "5"), "--no-color",
        "--exclude-checks", "positive_data_acceptance",  # that columns are of one length no schema can say
        "-H", f"Authorization: Bearer {KEY}", "--warnings", "off", "--phases", "coverage,fuzzing",
    ]  # fmt: skip
    run = subprocess.run(
        [Path(sys.executable).parent / "schemathesis", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr
    assert "Traceback" not in (folder / "server.log").read_text()


def test_no_values_in_the_logs(place, client):
    """Neither the access log nor what the server says of errors holds a key or a value."""
    folder, _ = place
    client.lookup("delay_model", {"airport": ["SECRET-AIRPORT"], "carrier": [424242], "distance": [1.0]})
    with pytest.raises(dp.SchemaError):
        client.lookup("delay_model", {"airport": ["SECRET-AIRPORT"], "carrier": ["SECRET-CARRIER"], "distance": [1.0]})
    until(lambda: (folder / "server.log").read_text().count('"status":422') > 0)
    text = (folder / "server.log").read_text()
    assert '"service":"delay_model@' in text
    assert '"key":"model"' in text
    for secret in ("SECRET", "424242", KEY):
        assert secret not in text
