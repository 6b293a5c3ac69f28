"""A TCP proxy of the tests' own, between a client and a server of the loopback: slow, cut, deaf, or half open.

with Proxy(server.host, server.port) as proxy:
    files = s3fs.S3FileSystem(**server.options(proxy.url))
    proxy.latency = 0.05            # seconds, each way, from now on
    proxy.drop_response_once()      # the next request arrives whole; its answer does not
    proxy.cut()                     # reset all that is open; refuse nothing that comes
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

BLOCK = 65536
REQUEST = re.compile(rb"(GET|PUT|POST|HEAD|DELETE|PATCH|OPTIONS) (\S+) HTTP/1\.1\r\n")
FIRST_LINE = b" HTTP/1.1\r\n"  # sought first: ten times as fast as the pattern
RESET = struct.pack("ii", 1, 0)  # linger for no time: the kernel sends RST and no FIN


class _CutError(Exception):
    """This connection is to be reset now."""


@dataclass(frozen=True, slots=True)
class Request:
    """The first line of a request of HTTP, as it went by."""

    method: str
    target: str


@dataclass(slots=True, eq=False)
class _Wire:
    """One connection of a client, and the one to the server that stands for it."""

    client: socket.socket
    server: socket.socket
    dropping: bool = False  # the answer that comes next is swallowed, and the connection reset
    deaf: bool = False  # it takes everything in and passes nothing on
    cut: bool = False
    ended: int = 0  # directions that have
    flow: tuple[bool, float] = (False, 0.0)  # whether bytes last went to the server, and when

    def reset(self) -> None:
        """End both sides as a cable pulled out would: RST, nothing in order."""
        self.cut = True
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RD)  # wakes who waits in recv and holds it open; sends nothing
            end.close()


@dataclass
class Proxy:
    """A listening port whose connections go on to (host, port), with what tests do to them; threads, no loop.

    Attributes:
        at: the port to listen at; 0 is any that is free.
        latency: seconds until a byte arrives, each way: two of them are a round trip. A stream that flows pays once.
        bandwidth: bytes per second and direction of each connection; None is no limit.
        swallow: take everything in and pass nothing on, as a half-open connection does.
        refuse: reset every new connection at once.
        requests: first lines of the requests of HTTP that clients sent, in order of arrival.
        connections: how many were taken in.
        sent, received: bytes that went to the server, and to clients.
    """

    host: str
    port: int
    at: int = field(default=0, kw_only=True)
    latency: float = 0.0
    bandwidth: float | None = None
    swallow: bool = False
    refuse: bool = False
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    sent: int = 0
    received: int = 0
    _wires: list[_Wire] = field(default_factory=list, repr=False)
    _drop: Callable[[Request], bool] | None = field(default=None, repr=False)
    _cut_sent: int | None = field(default=None, repr=False)
    _cut_received: int | None = field(default=None, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.at), backlog=128)
        self.local_port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.cut()

    @property
    def url(self) -> str:
        """The proxy's own address, as one of HTTP."""
        return f"http://127.0.0.1:{self.local_port}"

    # ------------------------------------------------------------------------------------------ what tests do to it

    def cut(self) -> None:
        """Reset every open connection; new ones are taken in."""
        with self._lock:
            wires, self._wires = self._wires, []
        for wire in wires:
            wire.reset()

    def deafen(self) -> None:
        """Let every open connection take all in and pass nothing on; new ones are whole."""
        with self._lock:
            for wire in self._wires:
                wire.deaf = True

    def cut_after(self, *, sent: int | None = None, received: int | None = None) -> None:
        """Reset the connection that carries the n-th byte from now to the server, or from it; once."""
        with self._lock:
            self._cut_sent, self._cut_received = sent, received

    def drop_response_once(self, which: Callable[[Request], bool] = lambda _: True) -> None:
        """Pass the next request (of those that `which` names) on whole, and reset where its answer would begin."""
        with self._lock:
            self._drop = which

    def heal(self) -> None:
        """Be a wire again: no latency, no limit, nothing pending."""
        self.latency, self.bandwidth, self.swallow, self.refuse = 0.0, None, False, False
        with self._lock:
            self._drop = self._cut_sent = self._cut_received = None

    def forget(self) -> None:
        """Count from nothing again."""
        with self._lock:
            self.requests.clear()
            self.connections = self.sent = self.received = 0

    def count(self, method: str | None = None) -> int:
        """Return how many requests went by, of one method or of all."""
        with self._lock:
            return sum(method in (None, request.method) for request in self.requests)

    # ------------------------------------------------------------------------------------------------- what it does

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            with self._lock:
                self.connections += 1
            try:
                if self.refuse:
                    raise OSError
                server = socket.create_connection((self.host, self.port), timeout=10)
            except OSError:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
                continue
            server.settimeout(None)
            wire = _Wire(client, server)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._wires.append(wire)
            for pump in (self._to_server, self._to_client):
                threading.Thread(target=self._run, args=(wire, pump), daemon=True).start()

    def _run(self, wire: _Wire, pump: Callable[[_Wire], None]) -> None:
        try:
            pump(wire)
            if wire.cut:
                return
        except (_CutError, OSError):
            wire.reset()
        with self._lock:
            wire.ended += 1
            over = wire.cut or wire.ended == 2
            if over and wire in self._wires:
                self._wires.remove(wire)
        if over:
            wire.client.close()
            wire.server.close()

    def _to_server(self, wire: _Wire) -> None:
        tail = b""
        while block := wire.client.recv(BLOCK):
            seen = tail + block  # a first line that lies across two blocks is found with the second
            if FIRST_LINE in seen:
                for found in REQUEST.finditer(seen):
                    self._note(wire, Request(found[1].decode(), found[2].decode("latin-1")))
            tail = seen[max(seen.rfind(b"\n") + 1, len(seen) - 8192) :]
            self._pass(wire, block, to_server=True)
        if not wire.cut:
            wire.server.shutdown(socket.SHUT_WR)

    def _to_client(self, wire: _Wire) -> None:
        while block := wire.server.recv(BLOCK):
            if wire.dropping:
                go_on, end, answer = block.partition(b"\r\n\r\n")
                if not go_on.startswith(b"HTTP/1.1 100 ") or answer:
                    raise _CutError
                block = go_on + end  # the client holds its body back for this
            self._pass(wire, block, to_server=False)
        if not wire.cut:
            wire.client.shutdown(socket.SHUT_WR)

    def _note(self, wire: _Wire, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            if self._drop is not None and self._drop(request):
                wire.dropping, self._drop = True, None

    def _pass(self, wire: _Wire, block: bytes, *, to_server: bool) -> None:
        towards, when = wire.flow
        if self.latency and (towards != to_server or time.monotonic() - when > self.latency):
            time.sleep(self.latency)  # else this follows bytes that have waited for it
        if self.bandwidth:
            time.sleep(len(block) / self.bandwidth)
        if self.swallow or wire.deaf:
            return
        with self._lock:
            left = self._cut_sent if to_server else self._cut_received
            last = left is not None and len(block) >= left
            if last:
                self._cut_sent = self._cut_received = None
                block = block[:left]
            elif left is not None and to_server:
                self._cut_sent = left - len(block)
            elif left is not None:
                self._cut_received = left - len(block)
            if to_server:
                self.sent += len(block)
            else:
                self.received += len(block)
        (wire.server if to_server else wire.client).sendall(block)
        wire.flow = to_server, time.monotonic()
        if last:
            raise _CutError
