"""The application: the hot route, and FastAPI behind it for all else: push, health, metrics, documentation."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from dataplat.server._access import AccessLog, Line
from dataplat.server._counts import Counts
from dataplat.server._keyring import Keyring
from dataplat.server._lookup import PATH, Clock, LookupRoute, Record, log_failure, now
from dataplat.server._problems import MEDIA_TYPE, Problem
from dataplat.server._request import BEGAN, Receive, Scope, Send, request_id
from dataplat.server._rest import Desk, rest
from dataplat.server._services import EVERY, Services
from dataplat.server._settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

PUSH: Final = "/features/push"
_KNOWN: Final = frozenset(
    {"/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", PUSH, "/features/services"}
)
_LOG: Final = logging.getLogger("dataplat.serve")


class Log(Protocol):
    """What is told of every lookup, and ended in the end."""

    @property
    def record(self) -> Record:
        """Is told."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Front:
    """What every request comes to first.

    Args:
        lookup: the hot route.
        behind: FastAPI, for what is none of it.
        desk: what that works with.
        log: of what is served.
    """

    def __init__(self, lookup: LookupRoute, behind: FastAPI, desk: Desk, log: Log | None = None) -> None:
        self._lookup, self._behind, self._desk, self._log = lookup, behind, desk, log
        self._at_work: Callable[[], int] = lambda: 0
        self._refreshed = 0.0
        self._refreshing: asyncio.Future[None] | None = None
        self.app: Callable[..., Any] = self
        self.at_once = None if desk.settings.telemetry or desk.services.far else lookup
        """Answers lookups where they are read; None where each is a span, or waits for another machine."""
        if desk.settings.telemetry:
            from dataplat.server._telemetry import observed

            self.app = observed(self, _KNOWN | {PATH})

    @classmethod
    def of(
        cls, services: Services, settings: Settings, counts: Counts, log: Log | None = None, *, clock: Clock = now
    ) -> Front:
        """Return the application that serves these services.

        Args:
            services: what is served.
            settings: bounds.
            counts: where requests are counted.
            log: of what is served.
            clock: the time for which lookups are answered, microseconds.

        Raises:
            ConfigError: A key cannot be read, or the access log not opened.
        """
        keyring, access = Keyring(settings.keys), AccessLog(settings.access_log)
        desk = Desk(services, settings, keyring, counts, access)
        record = None if log is None else log.record
        lookup = LookupRoute(services, settings, keyring, counts, access, record=record, clock=clock)
        return cls(lookup, rest(desk), desk, log)

    @property
    def ending(self) -> bool:
        """Whether it answers only what was begun."""
        return self._desk.ending

    @ending.setter
    def ending(self, ending: bool) -> None:
        self._desk.ending = ending

    def at_work(self, count: Callable[[], int]) -> None:
        """Set what tells how many requests are not answered yet."""
        self._at_work = count
        self._lookup.at_work = count

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"] == PATH:
            return self._lookup(scope, receive, send)
        return self._other(scope, receive, send)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have FastAPI answer, within the bounds of every request."""
        if scope["type"] != "http":
            return
        began = scope.get(BEGAN) or time.perf_counter()
        headers = dict(scope["headers"])
        asked_by = request_id(headers)
        scope["dataplat.request_id"] = asked_by
        status = 0

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", asked_by.encode())]
            await send(message)

        path = scope["path"]
        try:
            if self._at_work() > self._desk.settings.concurrency and path != "/healthz":
                raise Problem("overloaded", f"{self._desk.settings.concurrency} requests are at work in this worker")
            await self._behind(scope, receive, sending)
        except Problem as problem:
            body = problem.body(asked_by)
            head = [(b"content-type", MEDIA_TYPE), (b"content-length", b"%d" % len(body)), *problem.headers]
            await sending({"type": "http.response.start", "status": problem.status, "headers": head})
            await sending({"type": "http.response.body", "body": body})
        except Exception as error:  # noqa: BLE001  (FastAPI has answered with a problem, and hands the error on)
            log_failure(asked_by, error)
        seconds = time.perf_counter() - began
        self._desk.counts.answered(1 if path == PUSH else 2, status, seconds)
        if self._desk.access.on:
            shown = path if path in _KNOWN else "(other)"
            caller = scope.get("dataplat.caller", "")
            line = Line(time.time(), scope["method"], shown, status, seconds * 1000, asked_by, key=caller)
            self._desk.access.note(line)

    def tick(self) -> None:
        """Do what is due, twice a second: write the access log, look names up again beside the loop."""
        self._desk.access.flush()
        now = time.monotonic()
        if now - self._refreshed > EVERY and (self._refreshing is None or self._refreshing.done()):
            self._refreshed = now
            self._refreshing = asyncio.get_running_loop().run_in_executor(None, self._desk.services.refresh)

    def close(self) -> None:
        """Write what waits, and let go of threads."""
        self._desk.access.flush()
        self._lookup.close()
        if self._log is not None:
            self._log.close()
        self._desk.services.close()
