"""What FastAPI answers: pushes, what is served, health, metrics, and the documentation of all, the hot route too."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse

from dataplat import __version__
from dataplat.errors import DataplatError
from dataplat.server import _openapi, _push
from dataplat.server._access import AccessLog
from dataplat.server._counts import Counts
from dataplat.server._keyring import Keyring
from dataplat.server._metrics import CONTENT_TYPE, exposition
from dataplat.server._page import page
from dataplat.server._problems import MEDIA_TYPE, Problem, problem_of
from dataplat.server._request import body_of
from dataplat.server._services import Services
from dataplat.server._settings import Settings

_STATUSES: Final = {404: "not-found", 405: "method-not-allowed", 406: "not-acceptable", 415: "unsupported-media-type"}

_TITLE: Final = "dataplat features"
_THERE: Final = {
    "POST /features/lookup": "features of entities, now",
    "POST /features/push": "rows of a view, served at once",
    "GET /features/services": "what is served",
    "GET /healthz": "whether this process answers",
    "GET /readyz": "whether every service has a snapshot",
    "GET /metrics": "metrics, as Prometheus reads them",
}
_DOCUMENTED: Final = {"GET /docs": "documentation, for people", "GET /openapi.json": "and for machines"}


@dataclass
class Desk:
    """What answers, and with what.

    Attributes:
        ending: whether this process answers only what was begun.
    """

    services: Services
    settings: Settings
    keyring: Keyring
    counts: Counts
    access: AccessLog
    ending: bool = False

    def let_in(self, request: Request, scope: str) -> None:
        """Raise `Problem` unless whoever asks may."""
        given = request.headers.get("authorization")
        caller = self.keyring.caller(None if given is None else given.encode("latin-1"), scope)
        request.scope["dataplat.caller"] = caller.name

    async def root(self, request: Request) -> Response:
        """Say what this is and what there is to ask; a browser is led to the documentation."""
        if self.settings.docs and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/docs")
        there = _THERE | (_DOCUMENTED if self.settings.docs else {})
        return _json({"title": _TITLE, "version": __version__, "there": there})

    async def health(self) -> Response:
        """Say that this process answers. It asks neither the lake nor the online store."""
        return _json({"status": "ok"})

    async def ready(self) -> Response:
        """Say whether every service has a snapshot: 200, or 503. One that is stale is ready, and its answers say so.

        A version that is being filled holds nothing up, while another of its service has one.
        """
        if self.ending:
            raise Problem("shutting-down", "this server answers what was begun, and nothing more")
        states = await self._beside(self.services.states)
        ready = bool(states) and self.services.ready(states)
        told = {"ready": ready, "services": [state.brief() for state in states]}
        if not states:
            told["detail"] = "no service is applied: `dataplat features apply FILE`"
        return _json(told, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Give metrics of all workers, as Prometheus reads them. Scope: admin."""
        self.let_in(request, "admin")
        states = await self._beside(self.services.states)
        text = exposition(self.counts, {state.space: state.snapshot for state in states})
        return Response(text, media_type=CONTENT_TYPE)

    async def list(self, request: Request) -> Response:
        """Say what is served: services, what they take and give, and their snapshots. Scope: lookup."""
        self.let_in(request, "lookup")
        return _json({"services": [state.full() for state in await self._beside(self.services.states)]})

    async def one(self, request: Request, name: str) -> Response:
        """Say the same of one service, `name` or `name@version`. Scope: lookup."""
        self.let_in(request, "lookup")
        return _json((await self._beside(lambda: self.services.state(name))).full())

    async def push(self, request: Request) -> Response:
        """Take rows of a view; they are durable, and served, once this answers. Scope: push."""
        self.let_in(request, "push")
        if self.ending:
            raise Problem("shutting-down", "this server takes nothing more")
        headers = dict(request.scope["headers"])
        body = await body_of(headers, request.receive, self.settings.max_body)
        pushed = _push.read(headers, body, request.scope["query_string"], self.settings.max_entities)
        return _json(await self._beside(lambda: _push.push(self.services, pushed, self.settings.max_entities)))

    async def _beside(self, work: Any) -> Any:
        """Have something done that waits for a store, and not hold up the loop for it."""
        return await asyncio.get_running_loop().run_in_executor(None, work)


def rest(desk: Desk) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title=_TITLE,
        version=__version__,
        description="Features by HTTP: the same values as in training, of one snapshot of the data, and what was pushed since.",
        docs_url=None,  # FastAPI's own page is another machine's script
        redoc_url=None,
        openapi_url="/openapi.json" if desk.settings.docs else None,
        redirect_slashes=False,
        # its own spans would tell addresses as they are, values in queries too; `_telemetry` makes those that are wanted
        telemetry={
            "tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False,
        },
    )  # fmt: skip
    app.add_api_route("/", desk.root, methods=["GET"], response_model=None, include_in_schema=False)
    for path, answer, name in (
        ("/healthz", desk.health, "healthz"),
        ("/readyz", desk.ready, "readyz"),
        ("/metrics", desk.metrics, "metrics"),
        ("/features/services", desk.list, "list_services"),
        ("/features/services/{name}", desk.one, "show_service"),
    ):
        app.add_api_route(
            path,
            answer,
            methods=["GET"],
            response_model=None,
            operation_id=name,
            summary=_first(answer),
            **_openapi.of(name),
        )
    app.add_api_route(
        "/features/push",
        desk.push,
        methods=["POST"],
        response_model=None,
        operation_id="push",
        summary=_first(desk.push),
        **_openapi.of("push"),
    )
    for kind in (Problem, HTTPException, RequestValidationError, DataplatError, Exception):
        app.add_exception_handler(kind, _told)
    if desk.settings.docs:
        app.openapi = lambda: _openapi.document(app, desk.services, desk.settings)  # type: ignore[method-assign]
        text, headers = page()
        app.add_api_route(
            "/docs", lambda: HTMLResponse(text, headers=headers), response_model=None, include_in_schema=False
        )
    return app


def _first(answer: Any) -> str:
    return str(answer.__doc__).partition(".")[0]


def _json(told: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(told), status, media_type="application/json")


async def _told(request: Request, error: Exception) -> Response:
    """Answer with what went wrong."""
    if isinstance(error, HTTPException):
        headers = tuple((name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items())
        problem = Problem(_STATUSES.get(error.status_code, "malformed"), str(error.detail), headers=headers)
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        problem = Problem("invalid", str(first["msg"]), field=".".join(map(str, first["loc"])))
    else:
        problem = problem_of(error)
    headers_ = {name.decode(): value.decode() for name, value in problem.headers}
    body = problem.body(request.scope.get("dataplat.request_id", "-"))
    return Response(body, problem.status, headers_, MEDIA_TYPE.decode())
