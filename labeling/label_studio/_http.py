"""Plain HTTP, where the SDK has no call that serves: lists without a model of every cell, exports of chosen tasks, forms.

The SDK's list of tasks makes a pydantic model of each (250 a second here, of the 1,500 that the server sends), and its
import goes through every value in Python; its export takes chosen ids under a name that the server does not read; and it
has no sign-up and no log-in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from dataplat.errors import MissingExtra
from dataplat.labeling.label_studio._calls import refuse

if TYPE_CHECKING:
    import httpx

CONNECT, ANSWER, LONG = 10.0, 60.0, 900.0
"""Seconds to wait for a connection, for an answer, and for one that the server works on (imports, exports)."""
LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
IDS_A_PAGE = 10_000
TASKS_A_PAGE = 2_000
IDS_AN_EXPORT = 250
"""They stand in the URL: with seven digits each these are 5 KB, and front servers take 8."""

_FORM_TOKEN = re.compile(r"""name=["']csrfmiddlewaretoken["'][^>]*value=["']([^"']+)""")
_PROBLEM = re.compile(r"""class=["'][^"']*(?:error|field_error)[^"']*["'][^>]*>(.*?)</""", re.DOTALL)


class Page(msgspec.Struct, frozen=True):
    """A page of the Data Manager's list; `total` counts what the query meets, on all pages."""

    tasks: list[dict[str, Any]]
    total: int


def new_client(url: str, *, cookies: bool = False) -> httpx.Client:
    """Return a client for one server. It keeps no cookies unless asked to: each answer sets a session's.

    A server of this machine is reached without the proxy that the environment may name.
    """
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra("Label Studio is spoken to through httpx: pip install 'dataplat[labeling]'") from error
    jar = CookieJar() if cookies else CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.Client(
        base_url=url,
        timeout=httpx.Timeout(ANSWER, connect=CONNECT),
        trust_env=urlsplit(url).hostname not in LOCAL,
        cookies=jar,
        follow_redirects=False,
    )


def utc(text: str) -> datetime:
    """Read a time as the server writes it; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def above(task: int) -> dict[str, Any]:
    """Return the filter of tasks with an id above that."""
    return {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": task}


def updated(since: datetime) -> dict[str, Any]:
    """Return the filter of tasks that were updated at or after a time."""
    text = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"filter": "filter:tasks:updated_at", "operator": "greater_or_equal", "type": "Datetime", "value": text}


def drafted() -> dict[str, Any]:
    """Return the filter of tasks that somebody has begun to answer."""
    return {"filter": "filter:tasks:draft_exists", "operator": "equal", "type": "Boolean", "value": "true"}


def unanswered() -> dict[str, Any]:
    """Return the filters of tasks that nobody has answered, skipped or begun to answer."""
    items = [
        {"filter": "filter:tasks:total_annotations", "operator": "equal", "type": "Number", "value": 0},
        {"filter": "filter:tasks:cancelled_annotations", "operator": "equal", "type": "Number", "value": 0},
        {**drafted(), "value": "false"},
    ]
    return {"conjunction": "and", "items": items}


def query(project: int, filters: Sequence[Mapping[str, Any]], columns: str, size: int, page: int = 1) -> dict[str, Any]:
    """Return the parameters of a page of the Data Manager's list, by id ascending, of some columns only."""
    asked: dict[str, Any] = {"ordering": ["tasks:id"]}
    if filters:
        asked["filters"] = {"conjunction": "and", "items": list(filters)}
    return {
        "project": project,
        "fields": "task_only",
        "include": columns,
        "resolve_uri": "false",
        "page_size": size,
        "page": page,
        "query": json.dumps(asked),
    }


def get_page(client: httpx.Client, headers: Mapping[str, str], params: Mapping[str, Any]) -> Page:
    """Return one page; a number beyond the last one gives an empty page."""
    response = client.get("/api/tasks/", params=dict(params), headers=dict(headers))
    if response.status_code == 404 and int(params["page"]) > 1:
        return Page([], 0)
    return msgspec.json.decode(refuse(response).content, type=Page)


def export_of(
    client: httpx.Client, headers: Mapping[str, str], project: int, tasks: Sequence[int]
) -> list[dict[str, Any]]:
    """Return chosen tasks as the export has them, whether anybody has answered them or not."""
    params: dict[str, Any] = {"export_type": "JSON", "download_all_tasks": "true", "ids[]": list(tasks)}
    response = client.get(f"/api/projects/{project}/export", params=params, headers=dict(headers), timeout=LONG)
    return msgspec.json.decode(refuse(response).content, type=list[dict[str, Any]])


def import_into(
    client: httpx.Client, headers: Mapping[str, str], project: int, tasks: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Add tasks to a project; return their ids, in order."""
    response = client.post(
        f"/api/projects/{project}/import",
        params={"return_task_ids": "true"},
        content=msgspec.json.encode(tasks),
        headers={**headers, "Content-Type": "application/json"},
        timeout=LONG,
    )
    answer = msgspec.json.decode(refuse(response).content)
    return [int(task) for task in (answer.get("task_ids") if isinstance(answer, dict) else None) or ()]


def server_time(client: httpx.Client) -> datetime:
    """Return the server's own clock, to the second."""
    answer = refuse(client.get("/api/version"))
    return parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)


def ascending(first: Callable[[int], Page], numbered: Callable[[int], Page], after: int) -> Iterator[dict[str, Any]]:
    """Yield tasks with ids above `after`, each once, by id.

    What the server orders otherwise than it was asked to is noticed by its totals, and comes at the end.

    Args:
        first: gives the first page of the tasks above an id. The next begins above the last id of this one, so that
            what is deleted or added meanwhile moves nothing, however small the pages are that the server gives.
        numbered: gives a page by its number: what is read where tasks are missing.
        after: the id to begin above.
    """
    begin, had, expected = after, set[int](), 0
    while True:
        page = first(after)
        ids = [task["id"] for task in page.tasks]
        if page.total < expected or any(left >= right for left, right in pairwise([after, *ids])):
            break
        yield from page.tasks
        had.update(ids)
        if not ids or page.total <= len(ids):
            return
        after, expected = ids[-1], page.total - len(ids)
    yield from (task for task in _gathered(numbered) if task["id"] > begin and task["id"] not in had)


def _gathered(numbered: Callable[[int], Page]) -> list[dict[str, Any]]:
    """Return all tasks by id, whatever order they come in: the pages are read until none is missing."""
    found: dict[int, dict[str, Any]] = {}
    for _ in range(5):
        total = 0
        for number in count(1):
            page = numbered(number)
            found.update({task["id"]: task for task in page.tasks})
            total = max(total, page.total)
            if not page.tasks:
                break
        if len(found) >= total:
            break
    return [found[task] for task in sorted(found)]


# ------------------------------------------------------------------------------------------------------------ forms


def post_form(client: httpx.Client, path: str, params: Mapping[str, str], fields: Mapping[str, str]) -> httpx.Response:
    """Fill in one of the server's forms; a redirect is the answer that it took it."""
    from dataplat.labeling.label_studio._calls import Refused

    shown = refuse(client.get(path, params=dict(params)))
    token = _FORM_TOKEN.search(shown.text)
    given = {**fields, "csrfmiddlewaretoken": token[1] if token else client.cookies.get("csrftoken") or ""}
    origin = str(client.base_url).rstrip("/")
    response = client.post(path, params=dict(params), data=given, headers={"Referer": origin + path, "Origin": origin})
    if response.status_code == 302:
        return response
    problem = _PROBLEM.search(response.text)
    said = re.sub(r"<[^>]*>", " ", problem[1]) if problem else "the form came back"
    raise Refused(400 if response.status_code == 200 else response.status_code, {}, " ".join(unescape(said).split()))
