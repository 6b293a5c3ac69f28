"""The fake Label Studio does what it is told: limits, faults, people, clocks. That it is like the real one: tests/labeling."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from dataplat.testing.label_server import EXPORTS, IMPORTS, LISTS, FakeLabelStudio, Fault, Limits, to

CONFIG = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="a"/></Choices></View>'


@pytest.fixture
def site() -> Iterator[FakeLabelStudio]:
    """A fake of this test's own."""
    with FakeLabelStudio() as serving:
        yield serving


@pytest.fixture
def http(site: FakeLabelStudio) -> Iterator[httpx.Client]:
    """Whoever asks it, with the right token, for half a second at most."""
    with httpx.Client(base_url=site.url, headers={"Authorization": f"Token {site.token}"}, timeout=0.5) as client:
        yield client


@pytest.fixture
def project(http: httpx.Client) -> int:
    """A project."""
    return http.post("/api/projects/", json={"title": "queue", "label_config": CONFIG}).json()["id"]


def tasks(count: int) -> list[dict[str, Any]]:
    """So many tasks."""
    return [{"data": {"text": f"{n}"}} for n in range(count)]


def send(http: httpx.Client, project: int, count: int) -> httpx.Response:
    """Import so many tasks."""
    return http.post(f"/api/projects/{project}/import?return_task_ids=true", json=tasks(count))


def listing(http: httpx.Client, project: int, **more: Any) -> httpx.Response:
    """Ask for a page of tasks."""
    return http.get("/api/tasks/", params={"project": project, **more})


def ids(answer: httpx.Response) -> list[int]:
    """The ids of a page."""
    return [each["id"] for each in answer.json()["tasks"]]


def test_what_is_imported_is_listed(http: httpx.Client, project: int) -> None:
    """Tasks get ids that go up, and pages of them end in a 404."""
    assert send(http, project, 5).json()["task_ids"] == [1, 2, 3, 4, 5]
    assert ids(listing(http, project, page=2, page_size=2)) == [3, 4]
    assert listing(http, project, page=4, page_size=2).status_code == 404


@pytest.mark.parametrize(
    ("items", "conjunction", "ordering", "found"),
    [
        ([("id", "greater", "Number", 2)], "and", [], [3, 4]),
        ([("id", "greater", "Number", 2)], "and", ["-tasks:id"], [4, 3]),
        ([("id", "in_list", "List", [1, 4])], "and", [], [1, 4]),
        ([("id", "in", "Number", {"min": 2, "max": 3})], "and", [], [2, 3]),
        ([("id", "less", "Number", 2), ("id", "equal", "Number", 3)], "or", [], [1, 3]),
        ([("id", "less", "Number", 4), ("total_annotations", "equal", "Number", 0)], "and", [], [1, 3]),
        ([("data.text", "contains", "String", "2")], "and", [], [3]),
    ],
)
def test_queries_filter_and_order(
    site: FakeLabelStudio,
    http: httpx.Client,
    project: int,
    items: list[tuple[str, str, str, Any]],
    conjunction: str,
    ordering: list[str],
    found: list[int],
) -> None:
    """The Data Manager's filters name tasks."""
    send(http, project, 4)
    site.answer(2, 1, [])
    names = ("filter", "operator", "type", "value")
    told = [dict(zip(names, (f"filter:tasks:{item[0]}", *item[1:]), strict=True)) for item in items]
    query = json.dumps({"filters": {"conjunction": conjunction, "items": told}, "ordering": ordering})
    assert ids(listing(http, project, query=query)) == found


def test_limits_of_an_import(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """Beyond so many tasks or bytes nothing lands, and 413 is answered."""
    site.limits = Limits(import_tasks=3)
    assert send(http, project, 4).status_code == 413
    site.limits = Limits(import_bytes=100)
    assert send(http, project, 10).status_code == 413
    assert site.tasks() == []
    assert send(http, project, 3).status_code == 201


def test_pages_are_capped_and_turned(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """A page holds no more than the server likes, whatever is asked, and may lie backwards."""
    send(http, project, 5)
    site.limits = Limits(page=2, order="backwards")
    assert ids(listing(http, project, page_size=100)) == [2, 1]


@pytest.mark.parametrize("passed", [True, False])
def test_a_reset_with_and_without_effect(site: FakeLabelStudio, http: httpx.Client, project: int, passed: bool) -> None:
    """Whoever hears nothing cannot know whether it was done."""
    site.next(Fault("drop", passed=passed), IMPORTS)
    with pytest.raises(httpx.TransportError):
        send(http, project, 2)
    assert len(site.tasks()) == (2 if passed else 0)
    assert send(http, project, 2).status_code == 201


def test_a_hang_lands(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """An import lands, and its answer comes when nobody waits any more."""
    site.next(Fault("hang", seconds=30), IMPORTS)
    with pytest.raises(httpx.ReadTimeout):
        send(http, project, 2)
    assert len(site.tasks()) == 2


def test_a_slow_answer_is_one(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """What is slow is answered in the end."""
    site.next(Fault("hang", seconds=0.1))
    begun = time.monotonic()
    assert listing(http, project).status_code == 200
    assert time.monotonic() - begun >= 0.1


def test_half_an_import_lands(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """A server that fails in the middle has some of it."""
    site.next(Fault("half"), IMPORTS)
    assert send(http, project, 10).status_code == 500
    assert [task.data["text"] for task in site.tasks()] == ["0", "1", "2", "3", "4"]


def test_a_torn_body(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """A body breaks off in its midst."""
    send(http, project, 5)
    for each in range(1, 6):
        site.answer(each, 1, [])
    site.next(Fault("torn"), EXPORTS)
    with pytest.raises(httpx.TransportError):
        http.get(f"/api/projects/{project}/export")
    assert len(http.get(f"/api/projects/{project}/export").json()) == 5


def test_too_many_requests(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """429 says when to come again, and nothing was done."""
    site.next(Fault("status", passed=False, status=429, retry_after=2), IMPORTS)
    answer = send(http, project, 2)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert site.tasks() == []


def test_the_nth_request_of_a_kind(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """Faults are counted by what they befall, and happen once."""
    site.at(2, Fault("status"), LISTS)
    told = [listing(http, project).status_code for _ in range(3)]
    http.get("/api/users/")
    assert told == [200, 500, 200]
    assert sum(LISTS(each) for each in site.requests) == 3


def test_something_happens_before_an_answer(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """A call is made at a request, before or after its effect."""
    seen: list[int] = []
    site.next(Fault("call", passed=False, do=lambda: seen.append(len(site.tasks()))), IMPORTS)
    site.next(Fault("call", passed=True, do=lambda: seen.append(len(site.tasks()))), to("GET", "/api/users/"))
    send(http, project, 3)
    http.get("/api/users/")
    assert seen == [0, 3]


def test_a_token_expires(site: FakeLabelStudio, http: httpx.Client) -> None:
    """From then on the old token is nobody's, and the new one is told to the test."""
    assert http.get("/api/users/").status_code == 200
    site.expire()
    assert http.get("/api/users/").status_code == 401
    assert http.get("/api/users/", headers={"Authorization": f"Token {site.token}"}).status_code == 200


def test_a_clock_that_goes_wrong(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """The server's own clock stamps what happens, however wrong it is."""
    site.put_clock(timedelta(hours=-5))
    send(http, project, 1)
    (task,) = site.tasks()
    assert timedelta(hours=4, minutes=59) < datetime.now(UTC) - task.updated_at < timedelta(hours=5, minutes=1)


def test_people_answer_edit_skip_and_withdraw(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """What people do is in the export, and tells in the task that it changed."""
    send(http, project, 3)
    anna = site.add_user("anna")
    first, second = site.answer(1, anna, ["one"]), site.skip(2, anna)
    site.edit(first, ["other"])
    site.withdraw(second)
    site.draft(3, anna, ["begun"])
    (task,) = http.get(f"/api/projects/{project}/export").json()
    assert task["annotations"][0]["result"] == ["other"]
    assert task["annotations"][0]["completed_by"] == anna
    assert task["annotations"][0]["unique_id"]
    assert [len(each["drafts"]) for each in listing(http, project, fields="all").json()["tasks"]] == [0, 0, 1]
    site.delete(1, 3)
    assert ids(listing(http, project)) == [2]


def test_webhooks_are_sent(site: FakeLabelStudio, http: httpx.Client, project: int) -> None:
    """Whoever asked for it hears of an answer, with the headers that it wanted."""
    heard: list[tuple[str | None, Any]] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(
                (self.headers.get("X-Secret"), json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Ear) as ear:
        listening = Thread(target=ear.handle_request)
        listening.start()
        hook = {"url": f"http://127.0.0.1:{ear.server_port}/", "headers": {"X-Secret": "s"}, "project": project}
        http.post("/api/webhooks/", json=hook)
        send(http, project, 1)
        site.answer(1, 1, [])
        listening.join()
    assert heard == [("s", {"action": "ANNOTATION_CREATED"})]
