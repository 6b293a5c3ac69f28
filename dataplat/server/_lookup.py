"""POST /features/lookup, as bare ASGI: nothing of a framework lies between a request and the online store."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.errors import DataplatError
from dataplat.feature_store.closure import check_hash
from dataplat.server import _arrow
from dataplat.server._access import AccessLog, Line
from dataplat.server._asked import Asked, Head, head_of
from dataplat.server._away import Away
from dataplat.server._compress import LEAST, accepted, compressed
from dataplat.server._counts import Counts
from dataplat.server._keyring import Keyring
from dataplat.server._problems import MEDIA_TYPE as PROBLEM
from dataplat.server._problems import Problem, problem_of
from dataplat.server._request import BEGAN, Gone, Receive, Scope, Send, body_of, check_coding, deadline, request_id
from dataplat.server._services import Service, Services
from dataplat.server._settings import Settings

if TYPE_CHECKING:
    from dataplat.feature_store.online.serve import Served

PATH: Final = "/features/lookup"
ROUTE: Final = 0
"""Its place in `_counts.ROUTES`."""
JSON: Final = b"application/json"
APART: Final = 200
"""Entities of a lookup above which it is worked on beside the loop, so that small ones do not wait for it."""
THREADS: Final = 8
_LOG: Final = logging.getLogger("dataplat.serve")
_JSON_HEADER: Final = (b"content-type", JSON)
_ARROW_HEADER: Final = (b"content-type", _arrow.MEDIA_TYPE)

Record: TypeAlias = "Callable[[str, Mapping[str, Sequence[Any]], Mapping[str, Sequence[Any]], int, int, Served], None]"
"""Told of every lookup that was answered, after its answer was sent: service@version, keys, columns of the request, rows,
the time, the answer. It must not wait for anything."""
Clock: TypeAlias = Callable[[], int]


def now() -> int:
    """Return the time in microseconds UTC."""
    return time.time_ns() // 1000


class LookupRoute:
    """The route.

    Args:
        services: what is served.
        settings: bounds.
        keyring: who may ask.
        counts: where requests are counted.
        access: where they are noted.
        record: is told of lookups that were answered.
        clock: the time, in microseconds, for which a lookup is answered.
    """

    def __init__(
        self,
        services: Services,
        settings: Settings,
        keyring: Keyring,
        counts: Counts,
        access: AccessLog,
        *,
        record: Record | None = None,
        clock: Clock = now,
    ) -> None:
        self._services, self._settings, self._keyring, self._clock = services, settings, keyring, clock
        self._counts, self._access, self._record = counts, access, record
        self.at_work: Callable[[], int] = lambda: 0
        """How many requests of this process are not answered yet."""
        self._away = Away()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lookup")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        began = scope.get(BEGAN) or time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        told = Told(request_id(headers))
        try:
            limit = self._admitted(scope["method"], headers, told)
            body = await body_of(headers, receive, self._settings.max_body)
            head = self._understood(headers, scope["query_string"], body, told)
            _in_time(limit, began)
            if told.rows > APART or self._services.far:
                await self._beside(told, head, limit, began)
            else:
                self._work(told, head)
            _in_time(limit, began)
            told.finish(headers.get(b"accept-encoding"))
        except Gone:
            told.status = 0
        except Exception as error:  # noqa: BLE001  (whatever it is, whoever asked is told)
            told.failed(error)
        if told.status:
            await send({"type": "http.response.start", "status": told.status, "headers": told.headers})
            await send({"type": "http.response.body", "body": told.body})
        self.note(told, began)

    def at_once(self, headers: Mapping[bytes, bytes], query: bytes, body: bytes, began: float) -> Told | None:
        """Answer a POST whose body is here and within bounds, waiting for nothing; None: it is better made beside the loop.

        It does what the route does; `note` is to be called once the answer is sent.

        Args:
            headers: of the request, by name in lower case.
            query: of its address.
            body: the whole of it.
            began: when its first byte was here.
        """
        told = Told(request_id(headers))
        try:
            limit = self._admitted("POST", headers, told)
            check_coding(headers)
            head = self._understood(headers, query, body, told)
            if told.rows > APART:
                return None
            _in_time(limit, began)
            self._work(told, head)
            _in_time(limit, began)
            told.finish(headers.get(b"accept-encoding"))
        except Exception as error:  # noqa: BLE001  (whatever it is, whoever asked is told)
            told.failed(error)
        return told

    def gone(self, headers: Mapping[bytes, bytes], began: float) -> None:
        """Take note of a request whose body never came."""
        told = Told(request_id(headers))
        told.status = 0
        self.note(told, began)

    def note(self, told: Told, began: float) -> None:
        """Count a request that was answered, and tell the logs."""
        seconds = time.perf_counter() - began
        self._counts.answered(ROUTE, told.status, seconds)
        service = told.service
        if self._access.on:
            line = Line(time.time(), "POST", PATH, told.status, seconds * 1000, told.id, key=told.caller)
            if service is not None:
                line.service, line.entities = service.space, told.rows
            self._access.note(line)
        if told.served is not None and service is not None:
            self._counts.served(service.place, told.rows, bool(told.stale))
            if self._record is not None and told.asked is not None:
                asked = told.asked
                self._record(service.space, asked.entities, asked.request, asked.rows, told.t, told.served)

    def _admitted(self, method: str, headers: Mapping[bytes, bytes], told: Told) -> float:
        """Look at all but the body, and return in how many seconds an answer is worth something."""
        if method != "POST":
            raise Problem("method-not-allowed", "lookups are made by POST", headers=((b"allow", b"POST"),))
        told.caller = self._keyring.caller(headers.get(b"authorization"), "lookup").name
        if self.at_work() > self._settings.concurrency:
            raise Problem("overloaded", f"{self._settings.concurrency} requests are at work in this worker")
        self._away.check()
        told.arrow = _answers_arrow(headers)
        return deadline(headers, self._settings.deadline)

    def _understood(self, headers: Mapping[bytes, bytes], query: bytes, body: bytes, told: Told) -> Head:
        """Read what is asked."""
        head, table = self._read(headers, query, body)
        told.service = service = self._services.find(head.service)
        if head.closure is not None:
            check_hash(service.space, service.closure, head.closure)
        if table is None:
            told.asked = service.read(head, body)
        else:
            columns = _arrow.columns_of(table, service.entities, service.request, service.space)
            told.asked = service.read.of_columns(*columns)
        told.rows = told.asked.rows
        return head

    async def _beside(self, told: Told, head: Head, limit: float, began: float) -> None:
        """Have a lookup worked on in a thread, as long as its answer is worth something."""
        work = self._work_far if self._services.far else self._work
        made = asyncio.get_running_loop().run_in_executor(self._threads, work, told, head)
        try:
            await asyncio.wait_for(made, limit - (time.perf_counter() - began))
        except TimeoutError as error:
            if isinstance(error, DataplatError):  # the store's own time was over, not the request's
                raise
            raise _late(limit) from error

    def _work_far(self, told: Told, head: Head) -> None:
        """Do so with a store on another machine, unless that is known not to answer."""
        with self._away.asked():
            self._work(told, head)

    def _work(self, told: Told, head: Head) -> None:
        """Look up, and write the answer."""
        service = told.service
        assert service is not None
        assert told.asked is not None
        t = self._clock()
        told.served = served = service.answer(told.asked, t)
        told.t = max(t, served.snapshot.at)
        told.stale = service.stale(served.snapshot.at, told.t)
        if told.arrow:
            told.body = service.arrow(served, statuses=head.statuses, ages=head.ages)
        else:
            told.body = service.json(served, told.t, told.stale, statuses=head.statuses, ages=head.ages)

    def _read(self, headers: Mapping[bytes, bytes], query: bytes, body: bytes) -> tuple[Head, Any]:
        kind = headers.get(b"content-type", JSON)
        if kind != JSON:
            kind = kind.partition(b";")[0].strip().lower()
        if kind == JSON:
            return head_of(body), None
        if kind != _arrow.MEDIA_TYPE:
            detail = f"a lookup is {JSON.decode()} or {_arrow.MEDIA_TYPE.decode()}, and not {kind.decode('latin-1')}"
            raise Problem("unsupported-media-type", detail, field="header Content-Type")
        return Head(**_arrow.parameters(query)), _arrow.table_of(body, self._settings.max_entities)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Told:
    """What becomes of a request."""

    __slots__ = (
        "arrow",
        "asked",
        "body",
        "caller",
        "headers",
        "id",
        "rows",
        "served",
        "service",
        "stale",
        "status",
        "t",
    )

    def __init__(self, asked_by: str) -> None:
        self.id, self.caller = asked_by, ""
        self.arrow = False
        self.status, self.rows, self.t = 200, 0, 0
        self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.service: Service | None = None
        self.asked: Asked | None = None
        self.served: Served | None = None
        self.stale: tuple[str, ...] = ()

    def failed(self, error: Exception) -> None:
        """Tell what went wrong."""
        problem = problem_of(error)
        if problem.status == 500:
            log_failure(self.id, error)
        elif problem.kind == "store-unavailable":
            _LOG.warning("request %s: the online store: %s", self.id, type(error).__name__)
        self.served = None
        self.status, self.body = problem.status, problem.body(self.id)
        self.headers = [
            (b"content-type", PROBLEM),
            (b"content-length", b"%d" % len(self.body)),
            (b"x-request-id", self.id.encode()),
            *problem.headers,
        ]

    def finish(self, accept_encoding: bytes | None) -> None:
        """Make the header of an answer, and the body smaller where it is asked for."""
        served, service = self.served, self.service
        assert served is not None
        assert service is not None
        self.headers = [
            _ARROW_HEADER if self.arrow else _JSON_HEADER,
            (b"dataplat-snapshot", served.snapshot.id.encode()),
            (b"x-request-id", self.id.encode()),
        ]
        if self.stale:
            self.headers.append((b"dataplat-stale", ",".join(self.stale).encode()))
        if self.arrow:
            self.headers.append((b"dataplat-service", service.space.encode()))
            self.headers.append((b"dataplat-sequence", b"%d" % served.sequence))
            self.headers.append((b"dataplat-time", b"%d" % self.t))
        if len(self.body) >= LEAST:
            self.headers.append((b"vary", b"accept-encoding"))
            if accept_encoding is not None and (coding := accepted(accept_encoding)) is not None:
                self.body = compressed(self.body, coding)
                self.headers.append((b"content-encoding", coding.encode()))
        self.headers.append((b"content-length", b"%d" % len(self.body)))


def log_failure(asked_by: str, error: Exception) -> None:
    """Log a defect with its traceback, without its message, which may hold values."""
    lines = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("request %s: %s\n%s", asked_by, type(error).__name__, lines)


def _in_time(limit: float, began: float) -> None:
    """Refuse to answer later than an answer is worth something."""
    if time.perf_counter() - began > limit:
        raise _late(limit)


def _late(limit: float) -> Problem:
    return Problem("deadline", f"there was no answer within {limit:g} seconds")


def _answers_arrow(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether an answer is to be an Arrow stream: where it is accepted, and JSON is not named before it.

    Raises:
        Problem: Neither is accepted.
    """
    accept = headers.get(b"accept")
    if accept is None or accept in (b"*/*", JSON):
        return False
    kinds = [piece.partition(b";")[0].strip().lower() for piece in accept.split(b",")]
    for kind in kinds:
        if kind == _arrow.MEDIA_TYPE:
            return True
        if kind in (JSON, b"*/*", b"application/*"):
            return False
    raise Problem(
        "not-acceptable", f"answers are {JSON.decode()} or {_arrow.MEDIA_TYPE.decode()}", field="header Accept"
    )
