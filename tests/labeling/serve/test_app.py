"""dataplat's own server over HTTP: media by links, webhooks by their secret, and ways in at a real Label Studio."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from dataplat.errors import LabelServerError
from dataplat.labeling.label_studio._state import State
from dataplat.labeling.label_studio.accounts import add_annotator
from dataplat.labeling.label_studio.client import SECRET_HEADER
from dataplat.labeling.serve.app import Desk, make_app
from dataplat.labeling.serve.links import Entry, Media, hook_secret, sign
from dataplat.labeling.serve.media import Found, NoMedia, of_bytes
from dataplat.labeling.serve.wake import heard
from servers import LabelStudio
from servers.process import free_port

STATE = State(token="t" * 40, password="p", secret="s" * 64)
SOUND = b"RIFF....WAVEfmt " + bytes(range(256)) * 8000  # two pieces
CONFIG = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="a"/></Choices></View>'


def find(media: Media) -> Found:
    """Return what the tests show: one sound, one page; all else fails one way or another."""
    if media.task == "sound":
        return of_bytes(SOUND)
    if media.task == "page":
        return of_bytes(b"<script>fetch('/')</script>", "x.html")
    if media.task == "down":
        raise LabelServerError("secret path /srv/x")
    raise NoMedia("the row has none")


@contextmanager
def serving(desk: Desk) -> Iterator[httpx.Client]:
    """Run the application on a port of its own, and give a client that follows no redirect."""
    server = uvicorn.Server(uvicorn.Config(make_app(desk), port=free_port(), log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{server.config.port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    """Return a client of a server without a Label Studio."""
    with serving(Desk(STATE, tmp_path, "http://127.0.0.1:9", "t", find, lambda: 1000.0)) as client:
        yield client


def link(task: str, until: int = 2000) -> str:
    """Return where media of a task is shown."""
    return "/media/" + sign(Media("lake", "q", "main", task, "c", until), STATE)


class TestMedia:
    def test_whole(self, http: httpx.Client) -> None:
        """A link shows all of it, to pages of other ports too, and no longer than the link is good."""
        answer = http.get(link("sound"))
        assert (answer.status_code, answer.content) == (200, SOUND)
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == "private, max-age=1000"
        head = http.head(link("sound"))
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(SOUND)))

    def test_range(self, http: httpx.Client) -> None:
        """Players get the part that they ask for, and are told where there is none."""
        answer = http.get(link("sound"), headers={"range": "bytes=100-1100100"})
        assert (answer.status_code, answer.content) == (206, SOUND[100:1100101])
        assert answer.headers["content-range"] == f"bytes 100-1100100/{len(SOUND)}"
        beyond = http.get(link("sound"), headers={"range": f"bytes={len(SOUND)}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(SOUND)}")

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            (link("sound", until=999), 410),
            (link("none"), 404),
            (link("down"), 502),
            (link("sound")[:-3], 404),
            ("/media/x", 404),
            ("/media/" + sign(Entry("anna", "a@x.example"), STATE), 404),
            ("/media/", 404),
            ("/", 404),
        ],
    )
    def test_refused(self, http: httpx.Client, path: str, status: int) -> None:
        """An expired, foreign or damaged link shows nothing, nor does a failure tell where things lie."""
        answer = http.get(path)
        assert answer.status_code == status
        assert "/srv" not in answer.text

    def test_nothing_runs(self, http: httpx.Client) -> None:
        """A page that is shown runs no script: cookies know no ports, so it could use the annotator's session."""
        answer = http.get(link("page"))
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"


class TestHooks:
    def test_secret(self, http: httpx.Client, tmp_path: Path) -> None:
        """Who knows a queue's secret wakes who pulls it; nobody else does, nor for another queue."""
        assert http.post("/hook/q").status_code == 403
        assert http.post("/hook/q", headers={SECRET_HEADER: hook_secret("other", STATE)}).status_code == 403
        assert http.post("/hook/q", headers={SECRET_HEADER: "ä".encode()}).status_code == 403
        assert http.get("/hook/q").status_code == 405
        assert not heard("q", 0, tmp_path)
        answer = http.post("/hook/q", headers={SECRET_HEADER: hook_secret("q", STATE)}, json={"action": "x"})
        assert answer.status_code == 204
        assert heard("q", 0, tmp_path)

    def test_health(self, http: httpx.Client) -> None:
        """It says that it serves."""
        assert http.get("/healthz").json() == {"status": "UP"}


@pytest.mark.slow
class TestWaysIn:
    @pytest.fixture
    def enter(self, label_studio: LabelStudio, tmp_path: Path) -> Iterator[Callable[..., httpx.Response]]:
        """Return a function that opens somebody's link."""
        with ExitStack() as stack:
            desk = Desk(label_studio.state, tmp_path, label_studio.url, label_studio.token, find)
            client = stack.enter_context(serving(desk))

            def open_link(name: str, email: str | None = None, **params: str) -> httpx.Response:
                client.cookies.clear()
                token = sign(Entry(name, email or f"{name}@annotators.example"), label_studio.state)
                return client.get(f"/enter/{token}", params=params)

            yield open_link

    @pytest.fixture
    def name(self, label_studio: LabelStudio) -> str:
        """Return somebody with an account."""
        name = label_studio.new_name("anna")
        add_annotator(label_studio.client(), label_studio.state, name)
        return name

    def test_one_project(self, label_studio: LabelStudio, enter: Callable[..., httpx.Response], name: str) -> None:
        """The link logs them in and leads to their project; the cookie is theirs at Label Studio."""
        client = label_studio.client()
        project = client.create_project(f"dataplat:l:q:{name}", "q", CONFIG)
        client.import_tasks(project.id, [{"data": {"text": "x"}}])
        answer = enter(name)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{label_studio.url}/projects/{project.id}/data?labeling=1"
        assert answer.headers["cache-control"] == "no-store"
        assert "HttpOnly" in answer.headers["set-cookie"]
        who = httpx.get(
            f"{label_studio.url}/api/current-user/whoami", cookies={"sessionid": answer.cookies["sessionid"]}
        )
        assert who.json()["email"] == f"{name}@annotators.example"

    def test_none_and_several(self, label_studio: LabelStudio, enter: Callable[..., httpx.Response], name: str) -> None:
        """Without a project they are told to come back; of several they choose, unless the link names the queue."""
        assert "nothing to answer yet" in enter(name).text
        client, made = label_studio.client(), {}
        for queue in ("first", "<b>"):
            made[queue] = client.create_project(f"dataplat:l:{queue}:{name}", queue, CONFIG)
            client.import_tasks(made[queue].id, [{"data": {"text": "x"}}])
        page = enter(name).text
        assert f"/projects/{made['first'].id}/data?labeling=1" in page
        assert "&lt;b&gt;</a>: 1 tasks" in page
        assert enter(name, queue="first").headers["location"].endswith(f"/projects/{made['first'].id}/data?labeling=1")

    def test_not_let_in(self, enter: Callable[..., httpx.Response], name: str) -> None:
        """Nobody gets in by a link that is no link, or to an account that is gone."""
        gone: Any = enter(name, email="nobody@annotators.example")
        assert (gone.status_code, "sessionid" in gone.cookies) == (403, False)

    def test_label_studio_is_down(self, http: httpx.Client) -> None:
        """Where Label Studio does not answer that is said, and no cookie is set."""
        answer = http.get("/enter/" + sign(Entry("anna", "anna@annotators.example"), STATE))
        assert (answer.status_code, "sessionid" in answer.cookies) == (503, False)
