"""Label Studio as a `LabelServer`: its SDK, and plain HTTP (`_http`) where that has no call that serves."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from dataplat.errors import LabelServerError, MissingExtra
from dataplat.labeling.label_studio import _http
from dataplat.labeling.label_studio._calls import BUDGET, Calls
from dataplat.labeling.server import Project, ServerTask, ServerUser

if TYPE_CHECKING:
    import httpx
    from label_studio_sdk.base_client import LabelStudioBase

DELETED_AT_ONCE = 5_000
TOLD = ["ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"]
"""Of what webhooks tell."""
SECRET_HEADER = "x-dataplat-secret"  # noqa: S105 - a name
"""What webhooks say their secret in; one that has it is ours."""


class LabelStudioServer:
    """A Label Studio server, spoken to as the account that a token belongs to.

    The SDK is loaded at the first call, and only its parts that are used: a second, where `import LabelStudio` takes
    four. It tries nothing again by itself, since it would repeat imports whose answer was lost.

    Args:
        url: its address, as browsers reach it.
        token: an access token of an account there: a legacy token, or a personal one (which the SDK refreshes).
        budget: seconds that a call may wait for a server that is busy.
    """

    def __init__(self, url: str, token: str, *, budget: float = BUDGET) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._calls = Calls(self._url, secrets=(token,), budget=budget)

    def __repr__(self) -> str:
        return f"LabelStudioServer({self._url!r})"

    @property
    def url(self) -> str:
        """Its address, for people."""
        return self._url

    @cached_property
    def _client(self) -> httpx.Client:
        made = _http.new_client(self._url)
        weakref.finalize(self, made.close)  # who drops a client need not think of its connections
        return made

    @cached_property
    def _sdk(self) -> LabelStudioBase:
        try:
            from label_studio_sdk.base_client import LabelStudioBase
        except ImportError as error:
            raise MissingExtra(
                f"Label Studio is spoken to through label-studio-sdk ({error}): pip install 'dataplat[labeling]' (Python < 3.14)"
            ) from error

        def make() -> LabelStudioBase:
            return LabelStudioBase(
                base_url=self._url, api_key=self._token, httpx_client=self._client, timeout=_http.ANSWER, max_retries=0
            )

        return self._calls.ask("log in", make)

    def _headers(self) -> dict[str, str]:
        """Return what says who we are; a personal token's short-lived key is asked for anew when it is due."""
        return {"Authorization": self._sdk._client_wrapper.get_headers()["Authorization"]}  # noqa: SLF001

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # ------------------------------------------------------------------------------------------ accounts and projects

    def users(self) -> list[ServerUser]:
        """Return all accounts; who has no user name is called by what stands before the @ of their address."""
        found = self._calls.ask("list the accounts", self._users)
        return [
            ServerUser(int(user.id or 0), user.username or (user.email or "").partition("@")[0], user.email or "")
            for user in found
        ]

    def _users(self) -> list[Any]:
        return list(self._sdk.users.list())

    def invitation(self) -> str:
        """Return the token by which people may sign up."""
        return self._calls.ask("give an invitation", self._invitation)

    def _invitation(self) -> str:
        return str(self._sdk.organizations.invites.get_invite_link().token or "")

    def projects(self, prefix: str) -> list[Project]:
        """Return the projects whose mark begins so, the oldest first."""
        found: dict[int, Project] = {}
        page, seen = 1, 0
        while True:
            listed = self._calls.ask("list the projects", partial(self._project_page, page))
            items = listed.items or []
            for each in items:
                mark = each.description or ""
                if mark.startswith(prefix):
                    found[each.id] = Project(each.id, mark, each.label_config or "", each.task_number or 0)
            page, seen = page + 1, seen + len(items)
            if not items or seen >= listed.response.count:
                return [found[number] for number in sorted(found)]

    def _project_page(self, page: int) -> Any:
        columns = "id,description,label_config,task_number"
        return self._sdk.projects.list(page=page, page_size=500, include=columns, ordering="id")

    def create_project(self, mark: str, title: str, config: str) -> Project:
        """Make a project; labels are asked one annotation a task, skips go to nobody else."""
        given = (title if len(title.strip()) > 2 else f"queue {title}")[:50]  # 3 to 50 characters are taken
        made = self._calls.change(f"make the project {given!r}", lambda: self._make(mark, given, config))
        return Project(int(made.id), mark, config, 0)

    def _make(self, mark: str, title: str, config: str) -> Any:
        return self._sdk.projects.create(
            title=title,
            description=mark,
            label_config=config,
            maximum_annotations=1,
            skip_queue="IGNORE_SKIPPED",
            show_skip_button=True,
            enable_empty_annotation=False,
            show_collab_predictions=True,
            sampling="Sequential sampling",
        )

    def set_config(self, project: int, config: str) -> None:
        """Show another label config from now on."""
        what = f"show another label config in project {project}"
        self._calls.change(what, lambda: self._sdk.projects.update(project, label_config=config))

    def watch(self, project: int, url: str, secret: str) -> None:
        """Have a URL told, with a secret in its header, whenever something in a project is answered, edited or deleted.

        Asked again it changes nothing; another URL or secret takes the place of the one before.
        """
        found = self._calls.ask(f"list the webhooks of project {project}", partial(self._webhooks, project))
        given: dict[str, Any] = {"url": url, "headers": {SECRET_HEADER: secret}, "actions": TOLD, "is_active": True}
        ours = [each for each in found if SECRET_HEADER in (each.headers or {})]
        hooks, what = self._sdk.webhooks, f"have project {project} tell what is answered"
        if not ours:
            new = {**given, "project": project, "send_for_all_actions": False, "send_payload": False}
            self._calls.change(what, lambda: hooks.create(**new))
            return
        first = ours[0]
        same = (first.url, first.headers, first.is_active) == (url, given["headers"], True)
        if not same or set(first.actions or ()) != set(TOLD):
            number = int(first.id or 0)
            self._calls.change(what, lambda: hooks.update(number, **given))  # actions that are left out are forgotten

    def _webhooks(self, project: int) -> list[Any]:
        return [each for each in self._sdk.webhooks.list(project=str(project)) if each.project == project]

    # -------------------------------------------------------------------------------------------------------- tasks

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Add tasks (`{"data": {...}, "predictions": [...]}`) and return their ids, in order."""
        if not tasks:
            return []
        ids = self._calls.change(
            f"add {len(tasks)} tasks to project {project}",
            lambda: _http.import_into(self._client, self._headers(), project, tasks),
        )
        if len(ids) != len(tasks):
            raise LabelServerError(
                f"Label Studio at {self._url}: {len(tasks)} tasks went to project {project}, and it names {len(ids)}; look which it has"
            )
        return ids

    def list_tasks(self, project: int, *, after: int = 0) -> Iterator[ServerTask]:
        """Yield the tasks with an id above `after`, ascending, without their answers."""
        begun = {task["id"] for task in self._rows(project, [_http.drafted()], "id", _http.IDS_A_PAGE, after)}
        columns = "id,data,updated_at,total_annotations,cancelled_annotations"
        for task in self._rows(project, [], columns, _http.TASKS_A_PAGE, after):
            whose = task["data"].get("dataplat_id") if isinstance(task["data"], dict) else None
            answers = int(task["total_annotations"] or 0) + int(task["cancelled_annotations"] or 0)
            moment = _http.utc(task["updated_at"])
            yield ServerTask(task["id"], str(whose or ""), moment, answers, int(task["id"] in begun))

    def changed_tasks(
        self, project: int, since: datetime, known: Mapping[int, datetime] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield tasks that were updated at or after `since`, as the export has them, annotations included.

        Those that were updated last when `known` says are left out.

        Those that are updated meanwhile come too, if need be again: when this ends, nothing that was updated before
        the last task that came is missing.
        """
        had: dict[int, str] = {}
        seen = known or {}
        for _ in range(10):
            rows = self._rows(project, [_http.updated(since)], "id,updated_at", _http.IDS_A_PAGE, 0)
            listed = {task["id"]: task["updated_at"] for task in rows}
            new = [
                task
                for task, moment in listed.items()
                if had.get(task) != moment and seen.get(task) != _http.utc(moment)
            ]
            for start in range(0, len(new), _http.IDS_AN_EXPORT):
                for task in self._chosen(project, new[start : start + _http.IDS_AN_EXPORT]):
                    had[task["id"]] = task["updated_at"]
                    yield task
            if not new:
                return
            since = max(_http.utc(moment) for moment in listed.values())

    def _chosen(self, project: int, tasks: Sequence[int]) -> list[dict[str, Any]]:
        what = f"export {len(tasks)} tasks of project {project}"
        return self._calls.ask(what, lambda: _http.export_of(self._client, self._headers(), project, tasks))

    def _rows(
        self, project: int, filters: Sequence[Mapping[str, Any]], columns: str, size: int, after: int
    ) -> Iterator[dict[str, Any]]:
        """Yield some columns of the tasks that meet filters and have an id above `after`, by id."""

        def page(after: int, number: int) -> _http.Page:
            asked = [*filters, _http.above(after)] if after else filters
            params = _http.query(project, asked, columns, size, number)
            what = f"list the tasks of project {project}"
            return self._calls.ask(what, lambda: _http.get_page(self._client, self._headers(), params))

        first: Callable[[int], _http.Page] = lambda last: page(last, 1)  # noqa: E731
        return _http.ascending(first, lambda number: page(after, number), after)

    @contextmanager
    def export(self, project: int) -> Iterator[Iterator[bytes]]:
        """Give all annotated tasks of a project as one JSON array, in pieces of any size."""
        options: Any = {"chunk_size": 1 << 16, "timeout_in_seconds": _http.LONG}
        what = f"export project {project}"

        def begin() -> tuple[Iterator[bytes], bytes]:
            pieces = self._sdk.projects.exports.download_sync(
                project, export_type="JSON", download_all_tasks=False, request_options=options
            )
            return pieces, next(pieces, b"")

        pieces, first = self._calls.ask(what, begin)
        try:
            yield self._pieces(what, pieces, first)
        finally:
            with suppress(AttributeError):
                pieces.close()  # type: ignore[attr-defined]

    def _pieces(self, what: str, pieces: Iterator[bytes], first: bytes) -> Iterator[bytes]:
        if first:
            yield first
        try:
            yield from pieces
        except Exception as error:
            raised = self._calls.error(what, error, changes=False)
            if raised is None:
                raise
            raise raised from error

    def update_task(self, task: int, data: Mapping[str, Any]) -> None:
        """Replace a task's data."""
        given = dict(data)
        self._calls.change(f"change task {task}", lambda: self._sdk.tasks.update(str(task), data=given))

    def delete_tasks(self, project: int, tasks: Sequence[int]) -> None:
        """Delete tasks and what hangs on them; those that are gone already are passed over."""
        for start in range(0, len(tasks), DELETED_AT_ONCE):
            some = [int(task) for task in tasks[start : start + DELETED_AT_ONCE]]
            what = f"delete {len(some)} tasks of project {project}"
            self._calls.change(what, partial(self._delete, project, some))

    def delete_unanswered(self, project: int, tasks: Sequence[int]) -> set[int]:
        """Delete those tasks on which nothing hangs when they are deleted; return the others that are still there."""
        for start in range(0, len(tasks), DELETED_AT_ONCE):
            some = [int(task) for task in tasks[start : start + DELETED_AT_ONCE]]
            what = f"delete {len(some)} tasks of project {project} that nobody answered"
            self._calls.change(what, partial(self._delete, project, some, _http.unanswered()))
        if not tasks:
            return set()
        asked = frozenset(tasks)
        rows = self._rows(project, [], "id", _http.IDS_A_PAGE, min(asked) - 1)
        return {task["id"] for task in rows if task["id"] in asked}

    def _delete(self, project: int, tasks: list[int], filters: Any = None) -> None:
        from label_studio_sdk.actions.types import PrepareParamsRequestRequestSelectedItemsIncluded as Included

        options: Any = {"timeout_in_seconds": _http.LONG}
        if filters is not None:
            options["additional_body_parameters"] = {"filters": filters}
        chosen = Included.model_validate({"all": False, "included": tasks})
        self._sdk.actions.create(id="delete_tasks", project=project, selected_items=chosen, request_options=options)

    def task_url(self, project: int, task: int | None = None) -> str:
        """Return the page where a task (None: the next one) is answered."""
        return f"{self._url}/projects/{project}/data?" + ("labeling=1" if task is None else f"task={task}")

    def clock(self) -> datetime:
        """Return the server's own time, to the second: what `updated_at` is told by."""
        return self._calls.ask("tell its time", lambda: _http.server_time(self._client))
