"""A reverse proxy over HTTP that answers some requests as it was told, before or after the server saw them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass(frozen=True)
class Odd:
    """What the next request of `method` with `query` in its URL gets: `status` and `code`; the server sees it first where `passed`."""

    method: str
    status: int
    code: str
    passed: bool
    query: str = ""


class Front:
    """Stands before a server while it is entered. `plan` holds what is still to come, `seen` the methods that came."""

    def __init__(self, host: str, port: int) -> None:
        self.plan: list[Odd] = []
        self.seen: list[str] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                front.seen.append(self.command)
                odd = next((odd for odd in front.plan if odd.method == self.command and odd.query in self.path), None)
                if odd is not None:
                    front.plan.remove(odd)
                if odd is None or odd.passed:
                    server = HTTPConnection(host, port, timeout=30)
                    headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
                    server.request(self.command, self.path, body, headers)
                    answer = server.getresponse()
                    status, given, data = answer.status, answer.getheaders(), answer.read()
                    server.close()
                if odd is not None:
                    data = f"<Error><Code>{odd.code}</Code><Message>as told</Message></Error>".encode()
                    status, given = odd.status, [("Content-Type", "application/xml")]
                self.send_response_only(status)
                for name, value in given:
                    if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                        self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_DELETE = do_POST = handle_one  # noqa: N815 - names that http.server looks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
