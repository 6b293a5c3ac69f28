"""Lookups of a server that really runs: values, forms, bounds, errors; each over HTTP."""

import concurrent.futures
import gzip
import json
import time

import pyarrow as pa
import pytest
import zstandard

from benchmarks._served import Shape, expected

ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def server(any_server):
    """Return a server over LMDB, and one over Redis."""
    return any_server


def body_of(*keys, **more):
    """Return a lookup of keys."""
    return {"service": "bench", "entities": {"airport": [f"k{key}" for key in keys]}, **more}


def stream(table, **options):
    """Return a table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_values_are_those_of_the_snapshot(server):
    """Every cell is that of the snapshot that the header names, NaN, defaults and missing keys included."""
    keys = list(range(100))
    answer = server.lookup(body_of(*keys, "none", statuses=True, ages=True))
    assert answer.status == 200
    told = answer.json
    assert (told["service"], told["snapshot"], answer.headers["dataplat-snapshot"]) == ("bench@1", "n1", "n1")
    assert told["stale"] == []
    for at, key in enumerate(keys):
        assert {name: column[at] for name, column in told["features"].items()} == expected(server.shape, key, 1)
    words = {word for column in told["statuses"].values() for word in column}
    assert words == {"present", "defaulted", "missing_key"}
    assert {column[-1] for column in told["ages"].values()} == {None}
    assert told["features"]["view_0__f0"][-1] == 7.5
    assert any("NaN" in column for column in told["features"].values())


@pytest.mark.parametrize("rows", [1, 250])
def test_arrow_says_what_json_says(server, rows):
    """An Arrow stream in and out holds the same values, in the types of the features."""
    keys = [f"k{at % 110}" for at in range(rows)]
    asked = stream(pa.table({"airport": keys}))
    answer = server.ask(
        "POST",
        "/features/lookup?service=bench@1&statuses=true&ages=true",
        asked,
        {"content-type": ARROW, "accept": ARROW},
    )
    assert (answer.status, answer.headers["content-type"]) == (200, ARROW)
    table = pa.ipc.open_stream(answer.body).read_all()
    told = server.lookup({"service": "bench", "entities": {"airport": keys}, "statuses": True, "ages": True}).json
    assert table.schema.field("view_0__f0").type == pa.float64()
    assert table.schema.field("view_0__f3").type == pa.int64()
    for name, column in told["features"].items():
        there = ["NaN" if value != value else value for value in table.column(name).to_pylist()]  # noqa: PLR0124
        assert there == column
        assert table.column(f"{name}__status").to_pylist() == told["statuses"][name]
    mixed = server.ask("POST", "/features/lookup?service=bench", asked, {"content-type": ARROW})
    assert mixed.json["features"] == told["features"]


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("zstd, gzip", "zstd"),
        ("gzip", "gzip"),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("identity", None),
        ("br", None),
        ("zstd;q=0", None),
        ("*", "zstd"),
    ],
)
def test_answers_above_a_kilobyte_are_compressed(server, accept, coding):
    """What the caller takes is used, zstd before gzip; small answers stay as they are."""
    answer = server.lookup(body_of(*range(50)), {"accept-encoding": accept})
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "accept-encoding"
    plain = {"zstd": lambda data: zstandard.ZstdDecompressor().decompress(data), "gzip": gzip.decompress}.get(
        coding, bytes
    )
    assert json.loads(plain(answer.body))["features"] == server.lookup(body_of(*range(50))).json["features"]
    small = server.lookup({"service": "none"}, {"accept-encoding": accept})
    assert "content-encoding" not in small.headers


def test_the_id_of_a_request(server):
    """An id that is a plain word is kept, in answers and problems; without one, or with another, one is made."""
    assert server.lookup(body_of(1), {"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    problem = server.lookup({"service": "none"}, {"x-request-id": "abc-2"})
    assert (problem.headers["x-request-id"], problem.json["request_id"]) == ("abc-2", "abc-2")
    odd = server.lookup(body_of(1), {"x-request-id": "a b\t'\""}).headers["x-request-id"]
    other = server.lookup(body_of(1)).headers["x-request-id"]
    assert odd.isascii()
    assert " " not in odd
    assert odd != other
    assert server.ask("GET", "/healthz", headers={"x-request-id": "abc-3"}).headers["x-request-id"] == "abc-3"


def problem(answer, status, kind):
    """Hold an answer to be a problem of a kind, and return it."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json
    assert (told["type"], told["status"]) == (f"urn:dataplat:problem:{kind}", status)
    assert told["title"]
    assert told["detail"]
    assert told["request_id"] == answer.headers["x-request-id"]
    return told


def test_wrong_types_are_named(server):
    """A key of another type is 422, and its place is named."""
    told = problem(server.lookup({"service": "bench", "entities": {"airport": ["k1", 2]}}), 422, "invalid")
    assert told["field"] == "entities.airport[1]"


def test_malformed_json(server):
    """Half of JSON, NaN in JSON and other bytes are 400."""
    for body in (b'{"service": "bench", "entities": {"airport": ["k1"', b'{"service": NaN}', b"\xff\xfe\x00", b""):
        problem(server.lookup(body), 400, "malformed")


def test_unknown_names(server):
    """A service, a version, a column and an address that are not there are told apart."""
    told = problem(server.lookup({"service": "bensch", "entities": {}}), 404, "unknown-service")
    assert "bench" in told["detail"]
    problem(server.lookup({"service": "bench@2", "entities": {}}), 404, "unknown-service")
    told = problem(server.lookup({"service": "bench", "entities": {"airprt": ["k1"]}}), 422, "invalid")
    assert told["field"] == "entities.airprt"
    assert problem(server.lookup({"service": "bench"}), 422, "invalid")["field"] == "entities.airport"
    problem(server.ask("GET", "/features"), 404, "not-found")
    problem(server.ask("GET", "/features/lookup"), 405, "method-not-allowed")
    assert server.ask("GET", "/features/lookup").headers["allow"] == "POST"
    problem(server.ask("DELETE", "/healthz"), 405, "method-not-allowed")


def test_another_closure_is_refused_with_both(server):
    """A model that was trained under other definitions is refused, and both hashes are told (PIT 26)."""
    closure = server.ask("GET", "/features/services/bench").json["closure"]
    assert server.lookup(body_of(1, closure=closure)).status == 200
    told = problem(server.lookup(body_of(1, closure="00ff")), 409, "closure-mismatch")
    assert (told["sent"], told["served"], told["field"]) == ("00ff", closure, "closure")


def test_a_million_keys(server):
    """A lookup of 10^6 keys is refused by its size before it is read; one of more than the most, by their number."""
    many = json.dumps(body_of(*range(1_000_000))).encode()
    told = problem(server.lookup(many), 413, "too-large")
    assert told["max_bytes"] == 60_000
    told = problem(server.lookup(body_of(*range(251))), 413, "too-many-entities")
    assert (told["max_entities"], told["field"]) == (250, "entities.airport")
    keys = pa.table({"airport": ["k1"] * 251})
    refused = server.ask("POST", "/features/lookup?service=bench", stream(keys), {"content-type": ARROW})
    problem(refused, 413, "too-many-entities")


def test_a_body_that_says_no_length(server):
    """A body in chunks is bounded like any other, and read like any other."""
    for rows, status in ((1, 200), (20_000, 413)):
        data = json.dumps(body_of(*range(rows))).encode()
        chunks = (data[at : at + 8000] for at in range(0, len(data), 8000))
        text = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        head = b"POST /features/lookup HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        with server.socket() as connection:
            connection.sendall(head + text)
            assert connection.recv(65536).startswith(b"HTTP/1.1 %d" % status)


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({"content-type": "text/csv"}, 415, "unsupported-media-type"),
        ({"content-encoding": "gzip"}, 415, "unsupported-media-type"),
        ({"accept": "text/html"}, 406, "not-acceptable"),
        ({"dataplat-deadline-ms": "soon"}, 422, "invalid"),
        ({"dataplat-deadline-ms": "0"}, 422, "invalid"),
    ],
)
def test_headers_that_cannot_be_met(server, headers, status, kind):
    """A body in another form or coding, an answer in another, a deadline that is none."""
    problem(server.lookup(body_of(1), headers), status, kind)


def test_arrow_that_is_none(server):
    """Half a stream, compressed buffers, other columns and a query without its service are told apart."""
    good = stream(pa.table({"airport": ["k1"]}))
    where, kind = "/features/lookup?service=bench", {"content-type": ARROW}
    problem(server.ask("POST", where, good[:-40], kind), 400, "malformed")
    problem(server.ask("POST", where, b"nonsense", kind), 400, "malformed")
    problem(
        server.ask("POST", where, stream(pa.table({"airport": ["k1"]}), compression="zstd"), kind),
        415,
        "unsupported-media-type",
    )
    assert problem(server.ask("POST", where, stream(pa.table({"x": [1]})), kind), 422, "invalid")["field"] == "x"
    assert (
        problem(server.ask("POST", where, stream(pa.table({"airport": [1]})), kind), 422, "invalid")["field"]
        == "airport"
    )
    assert problem(server.ask("POST", "/features/lookup", good, kind), 422, "invalid")["field"] == "?service"
    assert problem(server.ask("POST", f"{where}&ages=maybe", good, kind), 422, "invalid")["field"] == "?ages"
    assert problem(server.ask("POST", f"{where}&x=1", good, kind), 422, "invalid")["field"] == "?x"


def test_a_deadline_that_has_passed(server):
    """A body that came later than the caller could wait for is not answered with values."""
    data = json.dumps(body_of(1)).encode()
    head = (
        b"POST /features/lookup HTTP/1.1\r\nhost: x\r\nconnection: close\r\ndataplat-deadline-ms: 100\r\ncontent-length: %d\r\n\r\n"
        % len(data)
    )
    with server.socket() as connection:
        connection.sendall(head)
        time.sleep(0.3)
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 504")
    assert b"urn:dataplat:problem:deadline" in answer


def test_the_state_of_a_server(server):
    """It says that it is well and ready, what it serves, and of which snapshot."""
    assert server.ask("GET", "/healthz").json == {"status": "ok"}
    ready = server.ask("GET", "/readyz")
    assert (ready.status, ready.json["ready"], ready.json["services"][0]["snapshot"]) == (200, True, "n1")
    told = server.ask("GET", "/features/services").json["services"]
    assert [each["service"] for each in told] == ["bench@1"]
    assert told[0]["entities"] == {"airport": "string"}
    assert told[0]["features"]["view_0__f3"] == "int64"
    problem(server.ask("GET", "/features/services/none"), 404, "unknown-service")


def settled(server):
    """Return the counts once they stay: a request is counted when its answer is on its way."""
    name = 'dataplat_requests_total{route="lookup",status="200"}'
    before, after = {}, server.metrics()
    while before.get(name) != after.get(name):
        time.sleep(0.1)
        before, after = after, server.metrics()
    return after


def test_metrics_are_of_all_workers(server):
    """What is counted is the sum over workers, whoever is asked."""
    before = settled(server)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {answer.status for answer in pool.map(lambda key: server.lookup(body_of(key, key)), range(40))} == {200}
    name = 'dataplat_requests_total{route="lookup",status="200"}'
    settled(server)
    for _ in range(5):
        after = server.metrics()
        assert after[name] - before.get(name, 0) == 40
        assert (
            after['dataplat_entities_total{service="bench@1"}'] - before['dataplat_entities_total{service="bench@1"}']
            == 80
        )
    assert (
        after['dataplat_request_duration_seconds_bucket{route="lookup",le="+Inf"}']
        == after['dataplat_request_duration_seconds_count{route="lookup"}']
    )
    assert after['dataplat_snapshot_keys{service="bench@1"}'] == Shape(100).keys


def test_the_documentation(server):
    """The document describes the hot route in the types of what is served, and names only problems that there are."""
    told = server.ask("GET", "/openapi.json").json
    assert set(told["paths"]) >= {"/features/lookup", "/features/push", "/healthz", "/readyz", "/metrics"}
    lookup = told["components"]["schemas"]["Lookup_bench_1"]["properties"]
    assert lookup["service"]["enum"] == ["bench@1", "bench"]
    assert lookup["entities"]["properties"]["airport"]["maxItems"] == 250
    assert server.ask("GET", "/docs").status == 200


def test_what_there_is_is_said_at_the_front(server):
    """Without a key or a path: what may be asked, each of which is there; a browser is led to the documentation."""
    told = server.ask("GET", "/").json
    assert told["title"] == "dataplat features"
    for each in told["there"]:
        method, path = each.split()
        assert server.ask(method, path).status not in (404, 405), each
    assert {path for each in told["there"] for path in each.split()[1:]} >= set(
        server.ask("GET", "/openapi.json").json["paths"]
    ) - {"/features/services/{name}"}
    led = server.ask("GET", "/", headers={"accept": "text/html,*/*;q=0.8"})
    assert (led.status, led.headers["location"]) == (307, "/docs")
