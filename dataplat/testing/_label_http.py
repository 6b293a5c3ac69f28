"""The sockets of a fake Label Studio: requests are read, faults befall them, answers are written."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request as Post
from urllib.request import urlopen

from dataplat.testing._label_routes import Request, answer
from dataplat.testing._label_state import Refused, User

if TYPE_CHECKING:
    from dataplat.testing.label_server import FakeLabelStudio, Fault

_RESET: Final = struct.pack("ii", 1, 0)


class Serving:
    """Threads that serve a site on a free port of the loopback."""

    def __init__(self, site: FakeLabelStudio) -> None:
        self.ended = threading.Event()
        self._site = site
        serving = self

        class Handler(_Handler):
            pass

        Handler.site, Handler.serving = site, serving
        self._server = _Threads(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._told: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Let those go who wait for an answer, and end."""
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for each in self._told:
            each.join()
        if self._server.broken:
            raise self._server.broken[0]

    def tell(self, action: str, project: int) -> None:
        """Send the webhooks of an action, each from a thread of its own."""
        if not self._site.hooks:
            return
        for hook in list(self._site.state.webhooks.values()):
            wanted = hook["send_for_all_actions"] or action in hook["actions"]
            if hook["is_active"] and wanted and hook["project"] in {None, project}:
                thread = threading.Thread(target=_post, args=(hook, {"action": action}), daemon=True)
                self._told.append(thread)
                thread.start()


def _post(hook: dict[str, Any], payload: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json", **(hook["headers"] or {})}
    request = Post(hook["url"], json.dumps(payload).encode(), headers)  # noqa: S310  (a test's own receiver)
    try:
        with urlopen(request, timeout=5):  # noqa: S310
            pass
    except OSError:
        return  # as the real one: a hook that nobody takes is lost


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        self.broken: list[BaseException] = []
        super().__init__(*args)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what the fake itself did wrong; clients that go are none of it, since tests kill them."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.broken.append(error)


class _Handler(BaseHTTPRequestHandler):
    site: FakeLabelStudio
    serving: Serving
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(size)
        if len(raw) < size:
            self.close_connection = True
            return
        request = Request(self.command, parts.path, parse_qs(parts.query), _parsed(raw), size)
        fault = self.site.came(request)
        if fault is None:
            self._write(*self._answer(request))
        else:
            self._befall(request, fault)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815

    def _befall(self, request: Request, fault: Fault) -> None:
        if fault.how == "call":
            self._call(request, fault)
            return
        if fault.how == "half":
            if isinstance(request.body, list):
                half = request.body[: len(request.body) // 2]
                self._answer(Request(request.method, request.path, request.query, half, request.size))
            self._write(*_refusal(Refused(fault.status, "Internal server error")))
            return
        status, value = self._answer(request) if fault.passed else (fault.status, None)
        if fault.how == "status":
            self._write(*_refusal(Refused(fault.status, "as told")), retry_after=fault.retry_after)
        elif fault.how == "drop":
            self._reset()
        elif fault.how == "torn":
            self._write(status, value, torn=True)
            self._reset()
        else:
            self.serving.ended.wait(fault.seconds)
            self._write(*((status, value) if fault.passed else self._answer(request)))

    def _call(self, request: Request, fault: Fault) -> None:
        assert fault.do is not None
        if not fault.passed:
            fault.do()
        told = self._answer(request)
        if fault.passed:
            fault.do()
        self._write(*told)

    def _answer(self, request: Request) -> tuple[int, Any]:
        most = self.site.limits.import_bytes
        try:
            if most is not None and request.size > most:
                raise Refused(413, "Request Entity Too Large")
            with self.site.lock:
                return answer(self.site.state, request, self._user(), self.site.limits)
        except Refused as refused:
            return _refusal(refused)

    def _user(self) -> User | None:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        users = self.site.state.users.values()
        return next((each for each in users if kind == "Token" and each.token == token), None)

    def _write(self, status: int, value: Any, *, torn: bool = False, retry_after: float | None = None) -> None:
        body = b"" if status == 204 else json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            self.send_header("Retry-After", f"{retry_after:g}")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if torn else body)
        self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()
        self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time by the server's own clock, right or wrong."""
        return super().date_time_string(self.site.state.clock.now().timestamp())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw


def _refusal(refused: Refused) -> tuple[int, Any]:
    value = {"id": "0", "status_code": refused.status, "version": "1.23.2", "detail": refused.detail, "exc_info": None}
    return refused.status, value | ({} if refused.fields is None else {"validation_errors": refused.fields})
