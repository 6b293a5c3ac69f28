"""Clients that are slow, stop half way, or send what is no HTTP: on real sockets. They hold nobody else up."""

import json
import socket
import time

BODY = json.dumps({"service": "bench", "entities": {"airport": ["k1"]}}).encode()
HEAD = b"POST /features/lookup HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY)
PATIENCE = 1.0


def rest(connection):
    """Return all that comes until the other side closes."""
    found = b""
    while data := connection.recv(65536):
        found += data
    return found


def ended(connection):
    """Return what came, and after how many seconds the other side closed."""
    began = time.monotonic()
    return rest(connection), time.monotonic() - began


def test_half_a_header(server):
    """Half a header is given up after the patience, and said to be so."""
    with server.socket() as connection:
        connection.sendall(HEAD[:30])
        answer, seconds = ended(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"urn:dataplat:problem:request-timeout" in answer
    assert PATIENCE * 0.8 < seconds < PATIENCE + 20


def test_half_a_body(server):
    """So is half a body."""
    with server.socket() as connection:
        connection.sendall(HEAD + BODY[:10])
        answer, seconds = ended(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert seconds < PATIENCE + 20


def test_a_byte_at_a_time(server):
    """Whoever keeps a request going by a byte now and then is given up all the same, and others are answered meanwhile."""
    with server.socket() as connection:
        connection.settimeout(0.05)
        began = time.monotonic()
        answer = b""
        for at in range(200):
            try:
                connection.sendall(HEAD[at % len(HEAD) : at % len(HEAD) + 1] if at < 60 else b"x")
                answer += connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            break
        assert time.monotonic() - began < PATIENCE + 20
    assert b"408" in answer
    assert server.lookup(BODY).status == 200


def test_a_slow_client_is_answered_in_the_end(server):
    """A request that comes in pieces within the patience is like any other."""
    with server.socket() as connection:
        whole = HEAD + BODY
        for at in range(0, len(whole), 40):
            connection.sendall(whole[at : at + 40])
            time.sleep(0.02)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_client_that_goes_away(server):
    """Connections that are cut in the middle of a request leave nothing behind."""
    for cut in (10, len(HEAD), len(HEAD) + 10):
        connection = server.socket()
        connection.sendall((HEAD + BODY)[:cut])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not an end
        connection.close()
    assert server.lookup(BODY).status == 200


def test_a_client_that_takes_no_answer(server):
    """Whoever asks again and again, and reads nothing, is dropped; others are answered meanwhile."""
    keys = json.dumps({"service": "bench", "entities": {"airport": [f"k{key}" for key in range(250)]}}).encode()
    request = b"POST /features/lookup HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(keys) + keys
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(server.place)
        connection.settimeout(0.5)
        dropped, begin = False, time.monotonic()
        while not dropped and time.monotonic() - begin < 20:
            try:
                connection.sendall(request)
            except TimeoutError:
                continue
            except OSError:
                dropped = True
            assert server.ask("GET", "/healthz").status == 200
        assert dropped


def test_what_is_no_http(server):
    """Other protocols, and headers without end, get an answer of 4xx and an end."""
    for sent, status in (
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"LOOK UP\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 12_000, b"431"),
        (b"GET /" + b"a" * 70_000, b"431"),
    ):
        with server.socket() as connection:
            connection.sendall(sent)
            answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
        assert b"application/problem+json" in answer


def test_requests_one_after_another_without_waiting(server):
    """Requests that are sent before the last is answered are answered in their order."""
    many = b"".join(
        b"POST /features/lookup HTTP/1.1\r\nhost: x\r\nx-request-id: r%d\r\ncontent-length: %d\r\n%b\r\n%b"
        % (at, len(BODY), b"connection: close\r\n" if at == 9 else b"", BODY)
        for at in range(10)
    )
    with server.socket() as connection:
        connection.sendall(many)
        answer = rest(connection)
    assert answer.count(b"HTTP/1.1 200") == 10
    assert [answer.index(b"x-request-id: r%d\r\n" % at) for at in range(10)] == sorted(
        answer.index(b"x-request-id: r%d\r\n" % at) for at in range(10)
    )


def test_more_connections_than_there_may_be(server):
    """Beyond the connections of a worker new ones are told to come later; those that are open go on."""
    begin = time.monotonic()
    connections = []
    try:
        told = b""
        while not told and time.monotonic() - begin < 10:
            connections.append(server.socket())
            connections[-1].settimeout(0.01)
            try:
                told = connections[-1].recv(65536)
            except TimeoutError:
                continue
        assert told.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in told
        assert len(connections) > 64
    finally:
        for connection in connections:
            connection.close()
    time.sleep(0.2)
    assert server.lookup(BODY).status == 200
