"""What a fake Label Studio answers to each request: one function for each door of its HTTP interface."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from dataplat.testing import _label_json as written
from dataplat.testing._label_filters import selected
from dataplat.testing._label_state import Refused, State, Task, User, check_items, check_title, variables

T = TypeVar("T")

PROJECTS_PAGE: Final = 100
"""Projects of a page at most; who asks for more gets as many, and is not told."""


@dataclass(frozen=True, slots=True)
class Request:
    """What came: `query` holds the values of each name, `size` the bytes of the body."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    body: Any = None
    size: int = 0

    def one(self, name: str, default: str = "") -> str:
        """Return a value of the query."""
        return self.query[name][-1] if name in self.query else default


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server takes: tasks and bytes of an import, tasks of a page; None: no bound.

    `order` is how a page's tasks lie: as asked for, or backwards. An export is read `export` tasks at a time, as the real
    one is, and `between` is called after each: what people do then is in the rest of it.
    """

    import_tasks: int | None = None
    import_bytes: int | None = None
    page: int | None = None
    order: str = "asked"
    export: int = 1_000
    between: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request at the door that it came to."""

    state: State
    request: Request
    user: User
    limits: Limits
    ids: tuple[int, ...]

    @property
    def body(self) -> Mapping[str, Any]:
        """The body, where it is an object."""
        return self.request.body if isinstance(self.request.body, dict) else {}


Answer = tuple[int, Any]
Door = Callable[[Call], Answer]


def _health(_: Call) -> Answer:
    return 200, {"status": "UP"}


def _version(_: Call) -> Answer:
    return 200, {"release": "1.23.2", "edition": "Community", "label-studio-os-package": {"version": "1.23.2"}}


def _whoami(call: Call) -> Answer:
    return 200, written.user(call.user)


def _users(call: Call) -> Answer:
    return 200, [written.user(each) for each in call.state.users.values()]


def _add_user(call: Call) -> Answer:
    name = str(call.body.get("username") or str(call.body.get("email", "")).partition("@")[0])
    made = call.state.add_user(name)
    made.email = str(call.body.get("email") or made.email)
    return 201, written.user(made)


def _projects(call: Call) -> Answer:
    title, ids = call.request.one("title").lower(), call.request.one("ids")
    found = [each for each in call.state.projects.values() if title in each.title.lower()]
    if ids:
        found = [each for each in found if str(each.id) in ids.split(",")]
    if call.request.one("ordering") != "id":
        found.reverse()  # the newest first
    page = _page(found, call.request, 30, PROJECTS_PAGE)
    results = [written.project(each) for each in page]
    return 200, {"count": len(found), "next": None, "previous": None, "results": results}


def _page(items: list[T], request: Request, size: int, most: int | None) -> list[T]:
    number = int(request.one("page", "1"))
    size = int(request.one("page_size", str(size)))
    size = size if most is None else min(size, most)
    begin = (number - 1) * size
    if number < 1 or (begin >= len(items) and number > 1):
        raise Refused(404, "Invalid page.")
    return items[begin : begin + size]


def _add_project(call: Call) -> Answer:
    return 201, written.project(call.state.add_project(call.body, call.user.id))


def _project(call: Call) -> Answer:
    return 200, written.project(call.state.project(call.ids[0]))


def _change_project(call: Call) -> Answer:
    project = call.state.project(call.ids[0])
    values = dict(call.body)
    check_title(values.get("title", project.title))
    if "label_config" in values:
        variables(values["label_config"])
    for name in ("title", "description", "label_config"):
        if name in values:
            setattr(project, name, values.pop(name))
    project.settings.update(values)
    return 200, written.project(project)


def _delete_project(call: Call) -> Answer:
    del call.state.projects[call.state.project(call.ids[0]).id]
    return 204, None


def _import(call: Call) -> Answer:
    project = call.state.project(call.ids[0])
    items = check_items(project, call.request.body)
    if call.limits.import_tasks is not None and len(items) > call.limits.import_tasks:
        raise Refused(413, f"more than {call.limits.import_tasks} tasks")
    made = call.state.add_tasks(project, items, call.user.id)
    answer: dict[str, Any] = {
        "task_count": len(made),
        "annotation_count": sum(len(each.annotations) for each in made),
        "prediction_count": sum(len(each.predictions) for each in made),
        "duration": 0.01,
        "file_upload_ids": [],
        "could_be_tasks_list": False,
        "found_formats": [],
        "data_columns": [],
    }
    if call.request.one("return_task_ids").lower() == "true":
        answer["task_ids"] = [each.id for each in made]
    return 201, answer


def _import_predictions(call: Call) -> Answer:
    project = call.state.project(call.ids[0])
    for each in call.request.body:
        call.state.add_prediction(project.tasks[each["task"]], each)
    return 201, {"created": len(call.request.body)}


def _tasks(call: Call) -> Answer:
    request = call.request
    project = call.state.project(int(request.one("project", "0")))
    query = json.loads(request.one("query", "{}"))
    found = selected(project.tasks.values(), query)
    page = _page(found, request, 100, call.limits.page)
    if call.limits.order == "backwards":
        page.reverse()
    everything, include = request.one("fields") == "all", request.one("include")
    rows = [written.listed_task(each, everything=everything) for each in page]
    if include:
        rows = [{name: row[name] for name in include.split(",") if name in row} for row in rows]
    return 200, {
        "total_annotations": sum(len(each.annotations) for each in found),
        "total_predictions": sum(len(each.predictions) for each in found),
        "total": len(found),
        "tasks": rows,
    }


def _task(call: Call) -> Answer:
    return 200, written.listed_task(call.state.task(call.ids[0]), everything=True)


def _change_task(call: Call) -> Answer:
    task = call.state.task(call.ids[0])
    task.data = call.body.get("data", task.data)
    task.meta = call.body.get("meta", task.meta)
    task.updated_at = call.state.clock.now()
    return 200, written.listed_task(task, everything=True)


def _delete_task(call: Call) -> Answer:
    task = call.state.task(call.ids[0])
    call.state.delete_tasks(call.state.project(task.project), [task.id])
    return 204, None


def _export(call: Call) -> Answer:
    project = call.state.project(call.ids[0])
    if call.request.one("exportType", call.request.one("export_type", "JSON")) != "JSON":
        raise Refused(400, "the fake exports JSON only")
    ids = {int(each) for each in call.request.query.get("ids[]", ())}
    whole = call.request.one("download_all_tasks").lower() == "true"

    def asked(task: Task) -> bool:
        return (not ids or task.id in ids) and (whole or bool(task.annotations))

    found: list[Any] = []
    ids_asked = [each.id for each in project.tasks.values() if asked(each)]
    for start in range(0, len(ids_asked), call.limits.export):
        chunk = ids_asked[start : start + call.limits.export]
        found += [written.exported_task(project.tasks[id]) for id in chunk if id in project.tasks]
        if call.limits.between is not None:
            call.limits.between()
    return 200, found


def _act(call: Call) -> Answer:
    if call.request.one("id") != "delete_tasks":
        raise Refused(400, "the fake deletes tasks, and knows no other action")
    project = call.state.project(int(call.request.one("project", "0")))
    chosen = [each.id for each in selected(project.tasks.values(), call.body)]
    gone = call.state.delete_tasks(project, chosen)
    return 200, {"processed_items": len(gone), "reload": False, "detail": f"Deleted {len(gone)} tasks"}


def _annotate(call: Call) -> Answer:
    task = call.state.task(call.ids[0])
    made = call.state.annotate(task, int(call.body.get("completed_by") or call.user.id), call.body)
    return 201, written.annotation(made, task)


def _begin(call: Call) -> Answer:
    task = call.state.task(call.ids[0])
    return 201, written.draft(call.state.add_draft(task, call.user.id, call.body["result"]), task)


def _annotation(call: Call) -> Answer:
    task, found = call.state.annotation(call.ids[0])
    return 200, written.annotation(found, task)


def _change_annotation(call: Call) -> Answer:
    task, found = call.state.annotation(call.ids[0])
    call.state.change(task, found, call.body, call.user.id)
    return 200, written.annotation(found, task)


def _delete_annotation(call: Call) -> Answer:
    call.state.withdraw(*call.state.annotation(call.ids[0]), call.user.id)
    return 204, None


def _webhooks(call: Call) -> Answer:
    project = call.request.one("project")
    return 200, [each for each in call.state.webhooks.values() if project in {"", str(each["project"])}]


def _add_webhook(call: Call) -> Answer:
    id = call.state.next_id("hook")
    hook: dict[str, Any] = {"project": None, "send_payload": True, "send_for_all_actions": True, "headers": {}}
    hook |= {"actions": [], "is_active": True, "organization": 1, **call.body, "id": id}
    call.state.webhooks[id] = hook
    return 201, hook


def _change_webhook(call: Call) -> Answer:
    hook = call.state.webhooks.get(call.ids[0])
    if hook is None:
        raise Refused(404, "No Webhook matches the given query.")
    hook.update(call.body)
    return 200, hook


def _delete_webhook(call: Call) -> Answer:
    if call.state.webhooks.pop(call.ids[0], None) is None:
        raise Refused(404, "No Webhook matches the given query.")
    return 204, None


def _invite(_: Call) -> Answer:
    return 200, {"token": "invited", "invite_url": "/user/signup/?token=invited"}


_DOORS: Final[list[tuple[str, str, Door]]] = [
    ("GET", "/health/?", _health),
    ("GET", "/api/version/?", _version),
    ("GET", "/api/current-user/whoami/?", _whoami),
    ("GET", "/api/users/", _users),
    ("POST", "/api/users/", _add_user),
    ("GET", "/api/invite/?", _invite),
    ("GET", "/api/projects/", _projects),
    ("POST", "/api/projects/", _add_project),
    ("GET", "/api/projects/N/", _project),
    ("PATCH", "/api/projects/N/", _change_project),
    ("DELETE", "/api/projects/N/", _delete_project),
    ("POST", "/api/projects/N/import", _import),
    ("POST", "/api/projects/N/import/predictions", _import_predictions),
    ("GET", "/api/projects/N/export", _export),
    ("GET", "/api/tasks/?", _tasks),
    ("GET", "/api/tasks/N/", _task),
    ("PATCH", "/api/tasks/N/", _change_task),
    ("DELETE", "/api/tasks/N/", _delete_task),
    ("POST", "/api/tasks/N/annotations/", _annotate),
    ("POST", "/api/tasks/N/drafts", _begin),
    ("GET", "/api/annotations/N/", _annotation),
    ("PATCH", "/api/annotations/N/", _change_annotation),
    ("DELETE", "/api/annotations/N/", _delete_annotation),
    ("POST", "/api/dm/actions/?", _act),
    ("GET", "/api/webhooks/", _webhooks),
    ("POST", "/api/webhooks/", _add_webhook),
    ("PATCH", "/api/webhooks/N/", _change_webhook),
    ("DELETE", "/api/webhooks/N/", _delete_webhook),
]
_PATTERNS: Final = [(method, re.compile(path.replace("N", r"(\d+)")), door) for method, path, door in _DOORS]


def answer(state: State, request: Request, user: User | None, limits: Limits) -> Answer:
    """Return status and value of the answer to a request; `user` is None where the token is nobody's."""
    for method, pattern, door in _PATTERNS:
        found = pattern.fullmatch(request.path)
        if found is None or method != request.method:
            continue
        if user is None and not request.path.startswith(("/health", "/api/version")):
            raise Refused(401, "Invalid token.")
        call = Call(state, request, user or state.admin, limits, tuple(int(each) for each in found.groups()))
        return door(call)
    raise Refused(404, f"the fake has no door {request.method} {request.path}")
