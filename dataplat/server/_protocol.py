"""HTTP/1.1 of uvicorn and httptools, with patience that ends: for half a request, and for an answer nobody takes.

A lookup that is here whole, is small, and has nothing before it on its connection is answered where its last byte is read: no
task, no scope, no messages. That is about half of what a request costs. All others go the way of ASGI, to the same answer.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from dataplat.server._lookup import PATH, LookupRoute
from dataplat.server._problems import MEDIA_TYPE, Problem
from dataplat.server._request import BEGAN

if TYPE_CHECKING:
    from dataplat.server._lookup import Told
    from dataplat.server._settings import Settings

ADDRESS: Final = PATH.encode("ascii")
HEAD: Final = 64 * 1024
"""Bytes of a request's header."""
SMALL: Final = 64 * 1024
"""Bytes of a body that is answered where it is read."""
_COPIED: Final = 16 * 1024
"""Bytes of an answer up to which one copy costs less than a second write."""


class PatientProtocol(HttpToolsProtocol):
    """One connection. `settings` and `lookup`, which answers at once, are set by `protocol_of`."""

    settings: Settings
    lookup: LookupRoute | None = None
    cycle: Any
    timeout_keep_alive_task: Any
    parser: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._whole = self._headed = False
        self._head_bytes = 0
        self._gathered: list[bytes] | None = None  # the body of a request that is answered at once
        self._fields: dict[bytes, bytes] = {}
        self._began = self._busy_at = 0.0
        self._ending = False

    # ------------------------------------------------------------------------------------------------ connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.connections:
            self._end(Problem("overloaded", f"{self.settings.connections} connections are open to this worker"))
            return
        self._idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        for timer in (self._reading, self._writing, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        self._gone()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End, once what was begun is answered."""
        if self._gathered is None:
            super().shutdown()
        else:
            self._ending = True

    def _idle(self, seconds: float | None = None) -> None:
        """Close the connection if nothing comes."""
        after = self.timeout_keep_alive if seconds is None else seconds
        self.timeout_keep_alive_task = self.loop.call_later(after, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        """Note that something came. The timer goes on, and looks when it ends whether there was quiet all the time."""
        self._busy_at = self.loop.time()

    def on_response_complete(self) -> None:
        """Set the timer anew."""
        super()._unset_keepalive_if_required()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that does not take its last answer is dropped."""
        left = self._busy_at + self.timeout_keep_alive - self.loop.time()
        at_work = self._reading is not None or (self.cycle is not None and not self.cycle.response_complete)
        if not self.transport.is_closing() and (left > 0 or at_work):
            self._idle(left if left > 0 else self.timeout_keep_alive)
        elif self.transport.is_closing() or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    # --------------------------------------------------------------------------------------------------- reading

    def data_received(self, data: bytes) -> None:
        """Read what came; if that is no whole request, the rest has to come in time."""
        super().data_received(data)
        if self.parser is None or self.transport.is_closing():
            return
        if not self._headed:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD:
                self._end(Problem("header-too-large", f"a header is of at most {HEAD:,} bytes"))
                return
        if self._whole:
            if self._reading is not None:
                self._reading.cancel()
                self._reading = None
            if self.timeout_keep_alive_task is None and (self.cycle is None or self.cycle.response_complete):
                self._idle()
        elif self._reading is None:
            self._reading = self.loop.call_later(self.settings.patience, self._too_slow)

    def _too_slow(self) -> None:
        self._reading = None
        if self._gathered is None and self._headed and self.cycle is not None and self.cycle.response_complete:
            self.transport.close()  # it was answered before its body was here
        else:
            self._end(Problem("request-timeout", f"the request was not whole after {self.settings.patience:g} seconds"))

    def on_message_begin(self) -> None:
        """Begin a request; what ASGI is told of it is made where it goes that way."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._whole = self._headed = False
        self._head_bytes = 0
        self._began = time.perf_counter()

    def on_headers_complete(self) -> None:
        """Begin to answer, or to gather what is answered at once."""
        self._headed = True
        if self.lookup is not None and self._at_once():
            self._gathered = []
        else:
            self._begin()

    def _begin(self) -> None:
        """Let ASGI answer."""
        url, headers, announced = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, announced
        self.headers.extend(headers)
        self.scope[BEGAN] = self._began  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take some of a body."""
        if self._gathered is None:
            super().on_body(body)
        else:
            self._gathered.append(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._whole = True
        if self._gathered is None:
            super().on_message_complete()
        else:
            self._answer(b"".join(self._gathered))

    # -------------------------------------------------------------------------------------------------- at once

    def _at_once(self) -> bool:
        """Tell whether a request is a lookup that nothing is before, with a small body of a length that is told."""
        if self.url != ADDRESS and (not self.url.startswith(ADDRESS + b"?") or b"#" in self.url):
            return False
        self._fields = fields = dict(self.headers)
        length = fields.get(b"content-length", b"")
        return (
            self.parser.get_method() == b"POST"
            and length.isdigit()
            and len(length) < 9
            and int(length) <= min(SMALL, self.settings.max_body)
            and (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.parser.should_upgrade()
            and not self.transport.is_closing()
        )

    def _answer(self, body: bytes) -> None:
        """Answer a lookup."""
        self._gathered = None
        assert self.lookup is not None
        told = self.lookup.at_once(self._fields, self.url[len(ADDRESS) + 1 :], body, self._began)
        if told is None:
            self._begin()
            super().on_body(body)
            super().on_message_complete()
            return
        keep = not self._ending and self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        self._write(told, keep=keep)
        self.server_state.total_requests += 1
        self.lookup.note(told, self._began)

    def _write(self, told: Told, *, keep: bool) -> None:
        pieces = [STATUS_LINE[told.status]]
        for headers in (self.server_state.default_headers, told.headers):
            for name, value in headers:
                pieces += (name, b": ", value, b"\r\n")
        pieces.append(b"\r\n" if keep else b"connection: close\r\n\r\n")
        if len(told.body) > _COPIED:
            self.transport.writelines([b"".join(pieces), told.body])
        else:
            pieces.append(told.body)
            self.transport.write(b"".join(pieces))
        if not keep:
            self.transport.close()

    def _gone(self) -> None:
        """Count a lookup whose rest never came."""
        if self._gathered is not None and self.lookup is not None:
            self._gathered = None
            self.lookup.gone(self._fields, self._began)

    # --------------------------------------------------------------------------------------------------- writing

    def pause_writing(self) -> None:
        """Wait for a client that does not take its answer; not for ever."""
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(self.settings.patience, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._end(Problem("malformed", msg))

    def _end(self, problem: Problem) -> None:
        """Say what is wrong, unless an answer has begun, and close the connection."""
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not begun and not self.transport.is_closing():
            body = problem.body("-")
            head = [STATUS_LINE[problem.status], b"content-type: ", MEDIA_TYPE, b"\r\n"]
            for name, value in problem.headers:
                head += [name, b": ", value, b"\r\n"]
            head += [b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body), body]
            self.transport.write(b"".join(head))
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


def protocol_of(settings: Settings, lookup: LookupRoute | None = None) -> type[PatientProtocol]:
    """Return the protocol with these settings.

    Args:
        settings: bounds.
        lookup: answers lookups at once; None: all requests go the way of ASGI.
    """
    return type("PatientProtocol", (PatientProtocol,), {"settings": settings, "lookup": lookup})
