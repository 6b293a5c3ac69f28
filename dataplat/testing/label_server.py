"""A fake Label Studio: the part of its HTTP interface that queues use, in memory, with faults that a test asks for.

    with FakeLabelStudio() as site:
        anna = site.add_user("anna")
        ...                                         # a client at site.url with site.token
        site.answer(task, anna, [{"from_name": ...}])
        site.next(Fault("hang", seconds=2))         # the next request lands, and nobody hears of it
        site.at(3, Fault("status", status=500))     # the third from now fails

It is no Label Studio: what it answers was written down from release 1.23.2, and the same suite runs against both
(`dataplat.testing.label_server_suite`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

from dataplat.testing import _label_json as written
from dataplat.testing._label_http import Serving
from dataplat.testing._label_routes import Limits, Request
from dataplat.testing._label_state import Annotation, Project, Refused, State, Task, User

__all__ = ["FakeLabelStudio", "Fault", "Limits", "Request"]

TOKEN: Final = "0123456789abcdef0123456789abcdef01234567"  # noqa: S105  (of a server that holds nothing)

How = Literal["status", "drop", "torn", "hang", "half", "call"]
Which = Callable[[Request], bool]


@dataclass(frozen=True, slots=True)
class Fault:
    """What a request gets in place of its answer.

    Attributes:
        how: `status`: another answer. `drop`: the connection is reset. `torn`: reset in the midst of the answer.
            `hang`: the answer comes after `seconds`. `half`: of an import, the first half lands, and 500 is answered.
            `call`: `do` is called, and the answer is as ever.
        passed: whether the request has its effect first.
        status: of the other answer.
        retry_after: what the header of that name says, in seconds.
        seconds: how long a `hang` is.
        do: what a `call` calls.
    """

    how: How
    passed: bool = True
    status: int = 500
    retry_after: float | None = None
    seconds: float = 0.0
    do: Callable[[], object] | None = None


def to(method: str, part: str) -> Which:
    """Name the requests of a method whose path holds a part."""
    return lambda request: request.method == method and part in request.path


IMPORTS: Final[Which] = to("POST", "/import")
EXPORTS: Final[Which] = to("GET", "/export")
LISTS: Final[Which] = to("GET", "/api/tasks/")


def _any(_: Request) -> bool:
    return True


class FakeLabelStudio:
    """Serves on a free port of the loopback while it is entered.

    Attributes:
        token: what its administrator's requests have to bear.
        limits: what it takes at once; may be set at any time.
        requests: those that came, in order.
        hooks: whether webhooks are sent.
    """

    def __init__(self) -> None:
        self.state = State(TOKEN)
        self.limits = Limits()
        self.requests: list[Request] = []
        self.hooks = True
        self._lock = threading.RLock()
        self._waiting: list[tuple[Which, list[int], Fault]] = []
        self._serving = Serving(self)

    @property
    def url(self) -> str:
        """Its address."""
        return self._serving.url

    @property
    def token(self) -> str:
        """The token of its administrator."""
        return self.state.admin.token

    # --------------------------------------------------------------------------------------------------- faults

    def next(self, fault: Fault, which: Which = _any) -> None:
        """Give a fault to the next request of those that `which` names, once."""
        self.at(1, fault, which)

    def at(self, number: int, fault: Fault, which: Which = _any) -> None:
        """Give a fault to the n-th request from now of those that `which` names, counted from 1."""
        with self._lock:
            self._waiting.append((which, [number], fault))

    def forget(self) -> None:
        """Forget what came, and which faults wait."""
        with self._lock:
            self.requests.clear()
            self._waiting.clear()

    def came(self, request: Request) -> Fault | None:
        """Note a request and return the fault that it gets."""
        with self._lock:
            self.requests.append(request)
            due = None
            for planned in list(self._waiting):
                which, left, fault = planned
                if not which(request):
                    continue
                left[0] -= 1
                if left[0] == 0:
                    self._waiting.remove(planned)
                    due = due or fault
            return due

    def expire(self) -> None:
        """Take no token that was given until now; `token` is a new one."""
        with self._lock:
            self.state.admin.token = f"{int(self.state.admin.token, 16) + 1:040x}"

    def put_clock(self, skew: timedelta) -> None:
        """Have the server's clock go wrong by so much."""
        self.state.clock.skew = skew

    # ------------------------------------------------------------------------------------------- what people do

    def add_user(self, name: str) -> int:
        """Make an account and return its id."""
        with self._lock:
            return self.state.add_user(name).id

    def answer(
        self,
        task: int,
        user: int,
        result: Any,
        *,
        at: datetime | None = None,
        lead_time: float | None = 1.0,
        unique_id: str | None = None,
    ) -> int:
        """Answer a task, as of a time of the server's clock (now); return the annotation's id.

        A time that is past is an answer that took long to be seen: the server wrote it down before it was committed.
        """
        values = {"result": result, "lead_time": lead_time, "unique_id": unique_id}
        return self._annotate(task, user, values, at)

    def skip(self, task: int, user: int, result: Any = (), *, at: datetime | None = None) -> int:
        """Skip a task; return the annotation's id."""
        return self._annotate(task, user, {"result": list(result), "was_cancelled": True, "lead_time": 1.0}, at)

    def _annotate(self, task: int, user: int, values: Mapping[str, Any], at: datetime | None) -> int:
        with self._lock:
            found = self.state.task(task)
            made = self.state.annotate(found, user, values, at)
        self._serving.tell("ANNOTATION_CREATED", found.project)
        return made.id

    def edit(self, annotation: int, result: Any, *, user: int | None = None, at: datetime | None = None) -> None:
        """Change an answer; by default whoever gave it does."""
        with self._lock:
            task, found = self.state.annotation(annotation)
            self.state.change(task, found, {"result": result}, user or found.completed_by, at)
        self._serving.tell("ANNOTATION_UPDATED", task.project)

    def withdraw(self, annotation: int) -> None:
        """Delete an answer; its task stays."""
        with self._lock:
            task, found = self.state.annotation(annotation)
            self.state.withdraw(task, found, found.completed_by)
        self._serving.tell("ANNOTATIONS_DELETED", task.project)

    def draft(self, task: int, user: int, result: list[Any]) -> None:
        """Begin to answer a task."""
        with self._lock:
            self.state.add_draft(self.state.task(task), user, result)

    def delete(self, *tasks: int) -> None:
        """Delete tasks and what hangs on them; nobody is told but by their absence."""
        with self._lock:
            for id in tasks:
                with suppress(Refused):
                    self.state.delete_tasks(self.state.project(self.state.task(id).project), [id])

    def set_config(self, project: int, config: str) -> None:
        """Edit a project's label config, as somebody in its settings does."""
        with self._lock:
            self.state.project(project).label_config = config

    # --------------------------------------------------------------------------------------------- what is there

    @property
    def users(self) -> list[User]:
        """All accounts."""
        return list(self.state.users.values())

    @property
    def projects(self) -> list[Project]:
        """All projects."""
        with self._lock:
            return list(self.state.projects.values())

    def tasks(self, project: int | None = None) -> list[Task]:
        """Return the tasks (of a project), by id."""
        with self._lock:
            kept = [each for each in self.state.projects.values() if project in {None, each.id}]
            return sorted((task for each in kept for task in each.tasks.values()), key=lambda task: task.id)

    def annotations(self) -> list[Annotation]:
        """Return all answers, by id."""
        return sorted((each for task in self.tasks() for each in task.annotations), key=lambda each: each.id)

    def exported(self, tasks: Iterable[Task]) -> list[dict[str, Any]]:
        """Return tasks as an export has them."""
        with self._lock:
            return [written.exported_task(each) for each in tasks]

    @property
    def lock(self) -> threading.RLock:
        """Held while anything happens to `state`."""
        return self._lock

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.stop()
