"""The proxy does to a connection what its words say, and counts what goes by."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from servers import Proxy

BODY = bytes(range(256)) * 4096


class Answers(BaseHTTPRequestHandler):
    """GET gives a megabyte; PUT takes one, and remembers that it did."""

    protocol_version = "HTTP/1.1"
    taken: list[bytes]

    def do_GET(self) -> None:
        """Give it."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_PUT(self) -> None:
        """Take it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Connections are cut here: that is the test."""


@pytest.fixture
def server() -> Iterator[Quiet]:
    """Serve on a free port."""
    with Quiet(("127.0.0.1", 0), Answers) as serving:
        serving.taken = []
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Quiet) -> Iterator[Proxy]:
    """Put a proxy before it."""
    with Proxy("127.0.0.1", server.server_address[1]) as between:
        yield between


@pytest.fixture
def client(proxy: Proxy) -> Iterator[HTTPConnection]:
    """Connect through the proxy."""
    connection = HTTPConnection("127.0.0.1", proxy.local_port, timeout=10)
    yield connection
    connection.close()


def fetch(client: HTTPConnection, path: str = "/") -> bytes:
    """Return what GET gives."""
    client.request("GET", path)
    return client.getresponse().read()


def put(client: HTTPConnection) -> None:
    """Send it, and read the answer."""
    client.request("PUT", "/", BODY)
    client.getresponse().read()


def test_a_wire(proxy: Proxy, client: HTTPConnection, server: Quiet) -> None:
    """Untouched it passes every byte on, and counts requests on one connection kept alive."""
    assert [fetch(client, f"/{n}") for n in range(3)] == [BODY] * 3
    client.request("PUT", "/in?a=b", BODY)
    client.getresponse().read()
    assert server.taken == [BODY]
    assert [request.target for request in proxy.requests] == ["/0", "/1", "/2", "/in?a=b"]
    assert (proxy.count(), proxy.count("GET"), proxy.count("PUT"), proxy.connections) == (4, 3, 1, 1)
    assert proxy.sent > len(BODY)
    assert proxy.received > 3 * len(BODY)
    proxy.forget()
    assert (proxy.count(), proxy.connections, proxy.sent) == (0, 0, 0)


def test_a_line_in_two_pieces(proxy: Proxy) -> None:
    """A request whose first line comes in two pieces is counted, once."""
    with socket.create_connection(("127.0.0.1", proxy.local_port), timeout=10) as wire:
        wire.sendall(b"GET /a/long/na")
        time.sleep(0.05)
        wire.sendall(b"me HTTP/1.1\r\nHost: a\r\n")
        time.sleep(0.05)
        wire.sendall(b"Connection: close\r\n\r\n")
        while wire.recv(65536):
            pass
    assert [request.target for request in proxy.requests] == ["/a/long/name"]


def test_the_answer_is_lost(proxy: Proxy, client: HTTPConnection, server: Quiet) -> None:
    """A dropped answer is a reset, after the server had the whole request; the next one is answered."""
    fetch(client)
    proxy.drop_response_once(lambda request: request.method == "PUT")
    assert fetch(client) == BODY
    client.request("PUT", "/", BODY)
    with pytest.raises(ConnectionResetError) as caught:
        client.getresponse()
    assert not isinstance(caught.value, RemoteDisconnected)  # a reset, no orderly end
    assert server.taken == [BODY]
    client.close()
    assert fetch(client) == BODY


def test_go_on(proxy: Proxy) -> None:
    """An answer of 100 passes even so: the body that waits for it is part of the request."""
    taken = []

    def serve(listener: socket.socket) -> None:
        wire, _ = listener.accept()
        with wire:
            wire.recv(65536)
            wire.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            taken.append(wire.recv(65536))
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener, Proxy("127.0.0.1", listener.getsockname()[1]) as between:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        between.drop_response_once()
        with socket.create_connection(("127.0.0.1", between.local_port), timeout=10) as wire:
            wire.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            assert wire.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            wire.sendall(b"body")
            with pytest.raises(ConnectionResetError):
                wire.recv(65536)
        thread.join()
    assert taken == [b"body"]


def test_cut_now(proxy: Proxy) -> None:
    """A cut resets who waits for an answer; who comes then is served."""
    proxy.swallow = True
    failed = []

    def wait() -> None:
        client = HTTPConnection("127.0.0.1", proxy.local_port, timeout=10)
        try:
            fetch(client)
        except ConnectionResetError as error:
            failed.append(error)
        finally:
            client.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while proxy.count() == 0:
        time.sleep(0.005)
    proxy.cut()
    waiting.join(10)
    assert len(failed) == 1
    proxy.heal()
    client = HTTPConnection("127.0.0.1", proxy.local_port, timeout=10)
    assert fetch(client) == BODY
    client.close()


@pytest.mark.parametrize("after", [1, 1000, 500_000])
def test_cut_within_the_answer(proxy: Proxy, client: HTTPConnection, after: int) -> None:
    """The answer ends by a reset after so many bytes, once."""
    proxy.cut_after(received=after)
    with pytest.raises(ConnectionResetError):
        fetch(client)
    assert proxy.received == after
    client.close()
    assert fetch(client) == BODY


@pytest.mark.parametrize("after", [1, 1000, 500_000])
def test_cut_within_the_request(proxy: Proxy, client: HTTPConnection, server: Quiet, after: int) -> None:
    """The server has so many bytes of the request, and no more."""
    proxy.cut_after(sent=after)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        put(client)
    assert proxy.sent == after
    assert BODY not in server.taken


def test_swallow(proxy: Proxy) -> None:
    """A half-open connection takes everything and answers nothing: only the client's own limit ends it."""
    proxy.swallow = True
    client = HTTPConnection("127.0.0.1", proxy.local_port, timeout=0.2)
    with pytest.raises(TimeoutError):
        fetch(client)
    client.close()
    assert (proxy.sent, proxy.received) == (0, 0)


def test_refuse(proxy: Proxy, client: HTTPConnection) -> None:
    """It resets who comes while it refuses."""
    proxy.refuse = True
    with pytest.raises(ConnectionResetError):
        fetch(client)
    proxy.heal()
    client.close()
    assert fetch(client) == BODY


def test_latency(proxy: Proxy, client: HTTPConnection) -> None:
    """A request takes no less than two ways."""
    fetch(client)
    proxy.latency = 0.2
    began = time.monotonic()
    assert fetch(client) == BODY
    assert time.monotonic() - began >= 0.4


def test_bandwidth(proxy: Proxy, client: HTTPConnection) -> None:
    """A body takes no less than its size over the limit."""
    proxy.bandwidth = 4e6
    began = time.monotonic()
    assert fetch(client) == BODY
    assert time.monotonic() - began >= len(BODY) / 4e6


def test_deaf(proxy: Proxy, client: HTTPConnection) -> None:
    """A connection that is deaf gives no answer any more; the next one is whole."""
    fetch(client)
    proxy.deafen()
    client.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        fetch(client)
    client.close()
    assert fetch(client) == BODY


def test_no_server() -> None:
    """Where nothing listens behind it, the client sees a reset."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Proxy("127.0.0.1", port) as between:
        client = HTTPConnection("127.0.0.1", between.local_port, timeout=10)
        with pytest.raises(ConnectionResetError):
            fetch(client)
        client.close()
