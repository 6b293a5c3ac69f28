"""What is asked of the server that annotators see; Label Studio is one, and the tests' fake speaks its HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Somebody with an account; `name` is what queues call them."""

    id: int
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Project:
    """What one annotator of a queue sees. `mark` is how it is found again (`project_mark`); `tasks` counts them."""

    id: int
    mark: str
    config: str
    tasks: int


@dataclass(frozen=True, slots=True)
class ServerTask:
    """A task as the server has it: its id, whose question it is (`data.dataplat_id`), and how much hangs on it."""

    id: int
    task: str
    updated_at: datetime
    annotations: int
    drafts: int = 0


def project_mark(lake_id: str, queue: str, annotator: str) -> str:
    """Return what a project's description holds, by which it is found again after a crash."""
    return f"dataplat:{lake_id}:{queue}:{annotator}"


class LabelServer(Protocol):
    """A server of annotation. Every call raises `LabelServerError` or one of its leaves.

    A call that changes something may have taken effect though it raised `LabelServerTimeout`: callers look before they
    do it again.
    """

    @property
    def url(self) -> str:
        """Its address, for people."""
        ...

    def users(self) -> list[ServerUser]:
        """Return all accounts."""
        ...

    def projects(self, prefix: str) -> list[Project]:
        """Return the projects whose mark begins so."""
        ...

    def create_project(self, mark: str, title: str, config: str) -> Project:
        """Make a project; labels are asked one annotation a task, skips go to nobody else."""
        ...

    def set_config(self, project: int, config: str) -> None:
        """Show another label config from now on."""
        ...

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Add tasks (`{"data": {...}, "predictions": [...]}`) and return their ids, in order."""
        ...

    def list_tasks(self, project: int, *, after: int = 0) -> Iterator[ServerTask]:
        """Yield the tasks with an id above `after`, ascending, without their answers."""
        ...

    def changed_tasks(
        self, project: int, since: datetime, known: Mapping[int, datetime] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield tasks that were updated at or after `since`, as the export has them, annotations included.

        Those that were updated last when `known` says are left out.
        """
        ...

    def export(self, project: int) -> AbstractContextManager[Iterator[bytes]]:
        """Give all annotated tasks of a project as one JSON array, in pieces of any size."""
        ...

    def update_task(self, task: int, data: Mapping[str, Any]) -> None:
        """Replace a task's data."""
        ...

    def delete_tasks(self, project: int, tasks: Sequence[int]) -> None:
        """Delete tasks and what hangs on them; those that are gone already are passed over."""
        ...

    def delete_unanswered(self, project: int, tasks: Sequence[int]) -> set[int]:
        """Delete those tasks on which nothing hangs when they are deleted; return the others that are still there.

        Whoever looks first and deletes then takes the answer with it that somebody gave in between.
        """
        ...

    def clock(self) -> datetime:
        """Return the server's own time, by which it says when a task was updated; it may be a second behind."""
        ...

    def task_url(self, project: int, task: int | None = None) -> str:
        """Return the page where a task (None: the next one) is answered."""
        ...
