"""HTTP/1.1 of uvicorn and httptools, with patience that ends: for half a request, and for an answer nobody takes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from dataplat.server._problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from dataplat.server._settings import Settings

BEGAN: Final = "dataplat.began"
"""In the scope of a request: when its first byte was here, by `time.perf_counter`."""
HEAD: Final = 64 * 1024
"""Bytes of a request's header."""


class PatientProtocol(HttpToolsProtocol):
    """One connection. `settings` is set by `protocol_of`."""

    settings: Settings
    cycle: Any
    timeout_keep_alive_task: Any
    parser: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._whole = self._headed = False
        self._head_bytes = 0

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
        super().connection_lost(exc)

    def _idle(self) -> None:
        """Close the connection if nothing comes."""
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that does not take its last answer is dropped."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
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
        if self._headed and self.cycle is not None and self.cycle.response_complete:
            self.transport.close()  # it was answered before its body was here
        else:
            self._end(Problem("request-timeout", f"the request was not whole after {self.settings.patience:g} seconds"))

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._whole = self._headed = False
        self._head_bytes = 0
        self.scope[BEGAN] = time.perf_counter()  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._headed = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._whole = True
        super().on_message_complete()

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


def protocol_of(settings: Settings) -> type[PatientProtocol]:
    """Return the protocol with these settings."""
    return type("PatientProtocol", (PatientProtocol,), {"settings": settings})
