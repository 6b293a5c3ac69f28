"""What a lookup must not be, over HTTP: each is answered with what is wrong, and the server goes on.

Lookups that are answered where they are read, and those that go the way of ASGI (in chunks, here), are answered alike.
"""

from __future__ import annotations

import gzip
import json
import random

import pytest
import zstandard

from servers.features import Answer, until

GOOD = {"service": "bench", "entities": {"airport": ["k1"]}}
CLOSURE = "00ff"


def sent(server, data, *headers, chunked=False):
    """Send a body, as it is or in chunks; return what came until the other side closes."""
    lines = [b"POST /features/lookup HTTP/1.1", b"host: x", b"connection: close", *headers]
    if chunked:
        lines.append(b"transfer-encoding: chunked")
        pieces = [data[at : at + 50] for at in range(0, len(data), 50)]
        data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    else:
        lines.append(b"content-length: %d" % len(data))
    with server.socket() as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + data)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return read(found)


def read(text):
    """Return an answer of its bytes."""
    head, _, body = text.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(status.split()[1]), headers, body)


def one(connection):
    """Return one answer of a connection that stays."""
    found = b""
    while True:
        piece = connection.recv(65536)
        assert piece
        found += piece
        if b"\r\n\r\n" in found:
            answer = read(found)
            if len(answer.body) == int(answer.headers["content-length"]):
                return answer


def body(**changed):
    """Return a lookup that is changed somewhere."""
    return json.dumps(GOOD | changed).encode()


CASES = {
    "nothing": (b"", 400, "malformed", None),
    "half": (body()[:-3], 400, "malformed", None),
    "more behind it": (body() + b"{}", 400, "malformed", None),
    "no UTF-8": (b'{"service": "bench", "entities": {"airport": ["\xff\xfe"]}}', 400, "malformed", "entities"),
    "no UTF-8 in a name": (b'{"service": "bench", "\xc3\x28": 1}', 400, "malformed", None),
    "half a surrogate": (b'{"service": "bench", "entities": {"airport": ["\\ud800"]}}', 400, "malformed", None),
    "NaN": (b'{"service": "bench", "entities": {"airport": [NaN]}}', 400, "malformed", None),
    "infinity": (b'{"service": "bench", "entities": {"airport": [1e999]}}', 422, "invalid", "entities.airport[0]"),
    "deep": (b'{"service": "bench", "entities": ' + b"[" * 20_000, 400, "malformed", None),
    "deep, and whole": (
        b'{"service": "bench", "entities": {"airport": ' + b"[" * 9000 + b"]" * 9000 + b"}}",
        400,
        "malformed",
        None,
    ),
    "wrong key": (body(entities={"airport": ["k1", 2]}), 422, "invalid", "entities.airport[1]"),
    "key of true": (body(entities={"airport": [True]}), 422, "invalid", "entities.airport[0]"),
    "no list": (body(entities={"airport": "k1"}), 422, "invalid", "entities.airport"),
    "missing key": (body(entities={}), 422, "invalid", "entities.airport"),
    "no entities": (b'{"service": "bench"}', 422, "invalid", "entities.airport"),
    "unknown key": (body(entities={"airprt": ["k1"]}), 422, "invalid", "entities.airprt"),
    "unknown column": (body(request={"distance": [1.0]}), 422, "invalid", "request.distance"),
    "unknown member": (body(entites={}), 422, "invalid", "entites"),
    "unknown service": (body(service="none"), 404, "unknown-service", "service"),
    "no service": (b'{"entities": {"airport": ["k1"]}}', 422, "invalid", "service"),
    "another closure": (body(closure=CLOSURE), 409, "closure-mismatch", "closure"),
    "too many": (body(entities={"airport": ["k"] * 251}), 413, "too-many-entities", "entities.airport"),
    "too large": (b" " * 60_001, 413, "too-large", None),
    "name twice": (b'{"service": "x", "service": "bench", "entities": {"airport": ["k1"]}}', 422, "invalid", "service"),
    "key twice": (
        b'{"service": "bench", "entities": {"airport": ["k1"], "airport": ["k2"]}}',
        422,
        "invalid",
        "entities.airport",
    ),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["at once", "in chunks"])
@pytest.mark.parametrize("name", list(CASES))
def test_what_is_wrong_is_said(server, name, chunked):
    """The status and the kind of what is wrong, and the field where it is, as a problem (RFC 9457)."""
    data, status, kind, field = CASES[name]
    answer = sent(server, data, chunked=chunked)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json
    assert (told["type"], told["status"], told.get("field")) == (f"urn:dataplat:problem:{kind}", status, field)
    assert told["detail"]
    assert told["request_id"] == answer.headers["x-request-id"]


def test_both_ways_say_the_same(server):
    """A request that is drawn, right or wrong, is answered alike where it is read and by ASGI, headers too."""
    rng = random.Random(5)
    for _ in range(40):
        keys = [rng.choice(["k1", "k20", "none", None, 3]) for _ in range(rng.randrange(4))]
        more = {name: rng.choice([True, False]) for name in ("statuses", "ages") if rng.random() < 0.5}
        data = body(entities={"airport": keys}, **more)
        accept = rng.choice([b"*/*", b"application/json", b"text/csv", b"application/vnd.apache.arrow.stream"])
        headers = (
            b"accept: " + accept,
            b"accept-encoding: " + rng.choice([b"zstd", b"gzip", b"x"]),
            b"x-request-id: r",
        )
        first, second = (sent(server, data, *headers, chunked=chunked) for chunked in (False, True))
        assert first.status == second.status
        varying = {"date", "content-length", "dataplat-time"}  # the time is in the body, which is packed
        assert {n: v for n, v in first.headers.items() if n not in varying} == {
            n: v for n, v in second.headers.items() if n not in varying
        }
        if first.headers["content-type"] != "application/vnd.apache.arrow.stream":
            assert told(first) == told(second)


def told(answer):
    """Return the body of an answer without what differs from one second to the next."""
    opened = {"zstd": zstandard.ZstdDecompressor().decompress, "gzip": gzip.decompress}
    text = opened.get(answer.headers.get("content-encoding"), bytes)(answer.body)
    return {name: value for name, value in json.loads(text).items() if name not in {"t", "ages"}}


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br", "gzip, gzip"])
def test_a_body_that_would_grow(server, coding):
    """A bomb is not unpacked: a body in a coding is refused, and so is one that says it is none and is."""
    bomb = gzip.compress(b" " * 50_000_000, 1)[:50_000]
    for chunked in (False, True):
        answer = sent(server, bomb, b"content-encoding: " + coding.encode(), chunked=chunked)
        assert (answer.status, answer.json["type"]) == (415, "urn:dataplat:problem:unsupported-media-type")
        assert answer.json["field"] == "header Content-Encoding"
    assert sent(server, bomb).status == 400


def test_a_body_that_is_announced(server):
    """`Expect: 100-continue` is answered before the body; where the answer is known already, by that."""
    head = b"POST /features/lookup HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
    with server.socket() as connection:
        connection.sendall(head % len(body()))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body())
        assert one(connection).status == 200
        connection.sendall(head % len(body()))  # and again, on the same connection
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body())
        assert one(connection).status == 200
    with server.socket() as connection:
        connection.sendall(head % 10_000_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_lengths_that_contradict(server):
    """A length that is none, two of them, or one beside chunks is no HTTP: what follows could be anybody's."""
    for lines in (
        b"content-length: x",
        b"content-length: -1",
        b"content-length: 5\r\ncontent-length: 6",
        b"content-length: 5\r\ntransfer-encoding: chunked",
        b"content-length: 99999999999999999999999",
    ):
        with server.socket() as connection:
            connection.sendall(b"POST /features/lookup HTTP/1.1\r\nhost: x\r\n" + lines + b"\r\n\r\n{}")
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert answer[9:12] in {b"400", b"413"}, (lines, answer)
        assert answer.count(b"HTTP/1.1") == 1


def test_requests_of_both_ways_in_their_order(server):
    """Sent without waiting, those that are answered at once and those that are not are answered in the order they came."""
    paths = [
        b"POST /features/lookup",
        b"GET /healthz",
        b"POST /features/lookup",
        b"GET /none",
        b"POST /features/lookup",
    ]
    many = b""
    for at, path in enumerate(paths):
        data = body() if path.startswith(b"POST") else b""
        last = b"connection: close\r\n" if at == len(paths) - 1 else b""
        head = b"%b HTTP/1.1\r\nhost: x\r\nx-request-id: r%d\r\n%bcontent-length: %d\r\n\r\n"
        many += head % (path, at, last, len(data)) + data
    with server.socket() as connection:
        connection.sendall(many)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    places = [answer.index(b"x-request-id: r%d\r\n" % at) for at in range(len(paths))]
    assert places == sorted(places)
    assert [int(each[:3]) for each in answer.split(b"HTTP/1.1 ")[1:]] == [200, 200, 200, 404, 200]


def test_a_client_that_hangs_up_is_counted(server):
    """A body whose rest never comes is counted as not answered, however it would have been answered."""
    name = 'dataplat_requests_total{route="lookup",status="other"}'
    before = server.metrics().get(name, 0)
    for lines in (b"content-length: 50", b"transfer-encoding: chunked"):
        with server.socket() as connection:
            connection.sendall(b"POST /features/lookup HTTP/1.1\r\nhost: x\r\n" + lines + b"\r\n\r\n5\r\n{")
    until(lambda: server.metrics().get(name, 0) == before + 2)
    assert server.lookup(GOOD).status == 200


def test_old_clients(server):
    """HTTP/1.0 is answered, and the connection ends; with a query that names nothing of JSON's, too."""
    with server.socket() as connection:
        head = b"POST /features/lookup?x=1 HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(body())
        connection.sendall(head + body())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in answer
