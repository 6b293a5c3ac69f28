"""A reverse proxy over HTTP that gives some requests another answer than the server's, or none.

with Front(server) as front:
    front.next(Odd("answer", passed=True, status=503, code="SlowDown"))     # of whatever comes next
    front.at(7, Odd("drop", passed=True))                                   # the seventh from now lands, and nobody hears
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self

from servers.process import Server
from servers.proxy import RESET, Request

Answer = tuple[int, list[tuple[str, str]], bytes]
_OURS = {"content-length", "transfer-encoding", "connection"}


@dataclass(frozen=True)
class Odd:
    """What a request gets, after the server saw it where `passed`.

    Another answer (`status`, `code`), a reset in place of one (`drop`) or in its midst (`torn`), or nothing for ever
    (`hang`).
    """

    how: Literal["answer", "drop", "torn", "hang"]
    passed: bool
    status: int = 0
    code: str = ""

    def told(self, target: str) -> Answer:
        """Return the answer that is told, in the words of the interface that was asked."""
        if target.startswith(("/storage/", "/upload/")):
            error = {"code": self.status, "message": "as told", "errors": [{"reason": self.code}]}
            return self.status, [("Content-Type", "application/json")], json.dumps({"error": error}).encode()
        body = f"<Error><Code>{self.code}</Code><Message>as told</Message></Error>".encode()
        return self.status, [("Content-Type", "application/xml")], body


class Front:
    """Stands before a server while it is entered. `seen` are the requests that came, `waiting` is what is still to come."""

    def __init__(self, server: Server) -> None:
        self.seen: list[Request] = []
        self.waiting: list[tuple[Callable[[Request], bool], Odd]] = []
        self._place = server.host, server.port
        self._lock = threading.Lock()
        self._ended = threading.Event()
        front = self

        class Handler(_Handler):
            standing = front

        self._server = _Threads(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def next(self, odd: Odd, which: Callable[[Request], bool] = lambda _: True) -> None:
        """Give `odd` to the next request of those that `which` names, once."""
        with self._lock:
            self.waiting.append((which, odd))

    def at(self, number: int, odd: Odd) -> None:
        """Give `odd` to the n-th request from now, counted from 1."""
        left = [number]

        def comes(_: Request) -> bool:
            left[0] -= 1
            return left[0] == 0

        self.next(odd, comes)

    def forget(self) -> None:
        """Count from nothing again, with nothing to come."""
        with self._lock:
            self.seen.clear()
            self.waiting.clear()

    def count(self, method: str) -> int:
        """Return how many requests of a method came."""
        with self._lock:
            return sum(request.method == method for request in self.seen)

    def came(self, request: Request) -> Odd | None:
        """Note a request; return what it gets, None for what the server says."""
        with self._lock:
            self.seen.append(request)
            for planned in self.waiting:
                if planned[0](request):
                    self.waiting.remove(planned)
                    return planned[1]
        return None

    def ask(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Return the server's answer."""
        server = HTTPConnection(*self._place, timeout=30)
        try:
            server.request(method, target, body, headers)
            answer = server.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            server.close()

    def wait(self) -> None:
        """Wait until nobody stands here any more."""
        self._ended.wait()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Threads(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    standing: Front

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        odd = self.standing.came(Request(self.command, self.path))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        if odd is None or odd.passed:
            answer = self.standing.ask(self.command, self.path, headers, body)
        if odd is None or odd.how == "torn":
            self._say(answer, torn=odd is not None)
        elif odd.how == "answer":
            self._say(odd.told(self.path), torn=False)
        else:
            if odd.how == "hang":
                self.standing.wait()
            self._reset()

    do_GET = do_PUT = do_DELETE = do_POST = handle_one  # noqa: N815 - names that http.server looks for

    def _say(self, answer: Answer, *, torn: bool) -> None:
        status, given, data = answer
        lines = [f"HTTP/1.1 {status} as told"]
        lines += [f"{name}: {value}" for name, value in given if name.lower() not in _OURS]
        if status != 204:
            lines.append(f"Content-Length: {len(data)}")
        raw = "\r\n".join([*lines, "", ""]).encode("latin-1") + data
        self.wfile.write(raw[: len(raw) - max(len(data) // 2, 1)] if torn else raw)
        if torn:
            time.sleep(0.01)  # a reset may overtake what was sent before it
            self._reset()

    def _reset(self) -> None:
        """End the connection as a cable pulled out would."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        os.close(self.connection.detach())

    def log_message(self, *_: object) -> None:
        """Say nothing."""
