"""The web application: GET /media/…, GET /enter/…, POST /hook/…, GET /healthz. It tells nobody anything without a link.

Cookies know hosts, not ports: on the same host as Label Studio this server may log an annotator in there, and hand on
the cookie of the session. What it shows runs no script, since that could use the session.
"""

from __future__ import annotations

import hmac
import html
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dataplat.errors import DataplatError, LabelServerDenied, LabelServerError
from dataplat.labeling.label_studio.client import SECRET_HEADER
from dataplat.labeling.serve import wake
from dataplat.labeling.serve.links import Entry, Media, hook_secret, read
from dataplat.labeling.serve.media import CHUNK, Found, NoMedia, asked_range, large_enough

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from dataplat.labeling.label_studio._state import State
    from dataplat.labeling.server import Project

_LOG = logging.getLogger("dataplat.labeling.serve")
_STILL = {
    "content-security-policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """What the application works with.

    Attributes:
        state: secrets and ports.
        folder: where webhooks are noted.
        url: where Label Studio is, and `token`, as whom it is asked for projects.
        find: gives what a link to media names; raises `NoMedia`.
        now: the time, in seconds.
    """

    state: State = field(repr=False)
    folder: Path
    url: str
    token: str = field(repr=False)
    find: Callable[[Media], Found]
    now: Callable[[], float] = time.time

    # ---------------------------------------------------------------------------------------------------- media

    def media(self, request: Request) -> Response:
        """Show a picture, a sound, a film, a text."""
        from starlette.responses import PlainTextResponse, Response, StreamingResponse

        asked = read(request.path_params["token"], Media, self.state)
        if asked is None:
            return PlainTextResponse("no such link", 404, _STILL)
        if asked.until < self.now():
            return PlainTextResponse("this link has expired; push the queue again for new ones", 410, _STILL)
        try:
            found = large_enough(self.find(asked))
        except NoMedia as error:
            return PlainTextResponse(f"not shown: {error}", 404, _STILL)
        except DataplatError as error:
            _LOG.warning("media of task %s of %s: %s", asked.task, asked.queue, error)
            return PlainTextResponse("not shown: the lake or the store did not give it", 502, _STILL)
        headers = {
            **_STILL,
            "access-control-allow-origin": "*",  # waveforms are drawn from bytes that the page itself fetches
            "accept-ranges": "bytes",
            "cache-control": f"private, max-age={max(0, int(asked.until - self.now()))}",
        }
        try:
            part = asked_range(request.headers.get("range"), found.size)
        except ValueError:
            return Response(None, 416, {**headers, "content-range": f"bytes */{found.size}"})
        start, stop = part or (0, found.size)
        headers["content-length"] = str(stop - start)
        if part is not None:
            headers["content-range"] = f"bytes {start}-{stop - 1}/{found.size}"
        status = 200 if part is None else 206
        if request.method == "HEAD":
            return Response(None, status, headers, media_type=found.kind)
        return StreamingResponse(_pieces(found, start, stop), status, headers, media_type=found.kind)

    # -------------------------------------------------------------------------------------------------- ways in

    def enter(self, request: Request) -> Response:
        """Log an annotator in at Label Studio, and lead them to what they are asked."""
        from starlette.responses import HTMLResponse, RedirectResponse

        who = read(request.path_params["token"], Entry, self.state)
        if who is None:
            return _page("This link is not one of ours.", "Ask whoever sent it for a new one.", 404)
        there = urlsplit(self.url)
        try:
            session, projects = self._let_in(who)
        except LabelServerDenied as error:
            _LOG.warning("%s cannot enter: %s", who.name, error)
            return _page("You cannot be let in.", "Your account is gone, or has another password now.", 403)
        except LabelServerError as error:
            _LOG.warning("%s cannot enter: %s", who.name, error)
            return _page("Label Studio does not answer.", "Try again in a minute.", 503)
        here = request.url.hostname or ""
        base = f"{there.scheme}://{here}:{there.port}" if there.hostname in _LOOPBACK and there.port else self.url
        wanted = request.query_params.get("queue")
        chosen = [each for each in projects if wanted in {None, _queue(each)}]
        if len(chosen) == 1:
            response: Response = RedirectResponse(f"{base}/projects/{chosen[0].id}/data?labeling=1", 303)
        else:
            response = HTMLResponse(_choice(who.name, chosen, base), headers={"referrer-policy": "no-referrer"})
        response.set_cookie("sessionid", session, max_age=14 * 86_400, path="/", httponly=True, samesite="lax")
        response.headers["cache-control"] = "no-store"
        response.headers["referrer-policy"] = "no-referrer"
        return response

    def _let_in(self, who: Entry) -> tuple[str, list[Project]]:
        from contextlib import closing

        from dataplat.labeling.label_studio.accounts import log_in
        from dataplat.labeling.label_studio.client import LabelStudioServer

        session = log_in(self.url, who.email, self.state.password_of(who.email), budget=3)
        with closing(LabelStudioServer(self.url, self.token, budget=3)) as server:
            found = [each for each in server.projects("dataplat:") if each.mark.endswith(f":{who.name}")]
        return session, [each for each in found if each.tasks]

    # ------------------------------------------------------------------------------------------------- webhooks

    def hook(self, request: Request) -> Response:
        """Note that something of a queue was answered; whoever does not know its secret is told nothing."""
        from starlette.responses import Response

        queue = request.path_params["queue"]
        said = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(said.encode(), hook_secret(queue, self.state).encode()):
            return Response(None, 403)
        wake.ring(queue, self.folder)
        return Response(None, 204)

    def health(self, request: Request) -> Response:
        """Say that it serves."""
        from starlette.responses import JSONResponse

        return JSONResponse({"status": "UP"})


_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def make_app(desk: Desk) -> Starlette:
    """Return the application."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    return Starlette(
        routes=[
            Route("/media/{token}", desk.media),
            Route("/enter/{token}", desk.enter),
            Route("/hook/{queue:path}", desk.hook, methods=["POST"]),
            Route("/healthz", desk.health),
        ]
    )


def _pieces(found: Found, start: int, stop: int) -> Iterator[bytes]:
    while start < stop:
        piece = found.read(start, min(start + CHUNK, stop))
        if not piece:
            return  # it became shorter meanwhile
        yield piece
        start += len(piece)


def _queue(project: Project) -> str:
    """Return the queue that a project's mark names."""
    return project.mark.split(":")[2]


def _choice(name: str, projects: list[Project], base: str) -> str:
    links = "".join(
        f'<li><a href="{html.escape(base)}/projects/{each.id}/data?labeling=1">{html.escape(_queue(each))}</a>: '
        f"{each.tasks} tasks</li>"
        for each in projects
    )
    what = f"<ul>{links}</ul>" if projects else "<p>There is nothing to answer yet. Come back by the same link.</p>"
    return _HTML.format(title=f"Hello {html.escape(name)}", body=what)


def _page(title: str, text: str, status: int) -> Response:
    from starlette.responses import HTMLResponse

    return HTMLResponse(_HTML.format(title=html.escape(title), body=f"<p>{html.escape(text)}</p>"), status, _STILL)


_HTML = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{title}</title><body style='font: 1.1rem/1.5 system-ui; max-width: 40rem; margin: 4rem auto'>"
    "<h1>{title}</h1>{body}</body></html>"
)
