"""What a fake Label Studio holds: people, projects, tasks and answers, in memory; nothing here knows of HTTP."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from xml.etree import ElementTree as ET

_MICROSECOND = timedelta(microseconds=1)
_A_MOMENT = timedelta(seconds=1)


class Refused(Exception):
    """A request that is answered by a status of refusal; `fields` say which value of it was wrong."""

    def __init__(self, status: int, detail: str, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.fields = status, detail, fields


@dataclass(slots=True)
class User:
    """Somebody with an account."""

    id: int
    name: str
    email: str
    token: str


@dataclass(slots=True)
class Prediction:
    """What a task's form is prefilled with."""

    id: int
    result: list[Any]
    score: float | None
    model_version: str
    created_at: datetime


@dataclass(slots=True)
class Annotation:
    """An answer; `was_cancelled` says that it was skipped."""

    id: int
    unique_id: str
    task: int
    completed_by: int
    result: Any
    was_cancelled: bool
    lead_time: float | None
    created_at: datetime
    updated_at: datetime
    ground_truth: bool = False
    updated_by: int | None = None
    prediction: Prediction | None = None
    parent_prediction: int | None = None
    parent_annotation: int | None = None


@dataclass(slots=True)
class Draft:
    """What somebody has begun to answer."""

    id: int
    user: int
    result: list[Any]
    created_at: datetime


@dataclass(slots=True)
class Task:
    """A question of a project."""

    id: int
    project: int
    inner_id: int
    data: dict[str, Any]
    meta: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    updated_by: int | None = None
    predictions: list[Prediction] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)


@dataclass(slots=True)
class Project:
    """What its annotators see; `settings` are the values that were sent and that nothing here looks at."""

    id: int
    title: str
    description: str
    label_config: str
    created_at: datetime
    created_by: int
    settings: dict[str, Any] = field(default_factory=dict)
    tasks: dict[int, Task] = field(default_factory=dict)
    inner: int = 0


class Clock:
    """A clock that never tells the same time twice, and may be wrong by `skew`."""

    def __init__(self) -> None:
        self.skew = timedelta(0)
        self._last = datetime(1970, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time, a microsecond later than before at least; a clock that is put back goes back."""
        time = datetime.now(UTC) + self.skew
        if timedelta(0) <= self._last - time < _A_MOMENT:
            time = self._last + _MICROSECOND
        self._last = time
        return time


class State:
    """Everything that the server holds. Its caller sees to it that one thing happens at a time."""

    def __init__(self, token: str) -> None:
        self.clock = Clock()
        self.users: dict[int, User] = {}
        self.projects: dict[int, Project] = {}
        self.webhooks: dict[int, dict[str, Any]] = {}
        self._ids = {
            kind: count(1) for kind in ("user", "project", "task", "annotation", "prediction", "draft", "hook")
        }
        self._random = random.Random(0)
        self.admin = self.add_user("admin", token=token)

    # ------------------------------------------------------------------------------------------------ look things up

    def project(self, id: int) -> Project:
        """Return a project."""
        if id not in self.projects:
            raise Refused(404, "No Project matches the given query.")
        return self.projects[id]

    def task(self, id: int) -> Task:
        """Return a task, of whatever project."""
        for project in self.projects.values():
            if id in project.tasks:
                return project.tasks[id]
        raise Refused(404, "No Task matches the given query.")

    def annotation(self, id: int) -> tuple[Task, Annotation]:
        """Return an answer and the task that it is of."""
        for project in self.projects.values():
            for task in project.tasks.values():
                for each in task.annotations:
                    if each.id == id:
                        return task, each
        raise Refused(404, "No Annotation matches the given query.")

    # ------------------------------------------------------------------------------------------------ change things

    def next_id(self, kind: str) -> int:
        """Return the next id of a kind of thing."""
        return next(self._ids[kind])

    def add_user(self, name: str, *, token: str | None = None) -> User:
        """Make an account."""
        token = token or f"{self._random.getrandbits(160):040x}"
        user = User(self.next_id("user"), name, f"{name}@example.com", token)
        self.users[user.id] = user
        return user

    def add_project(self, values: Mapping[str, Any], by: int) -> Project:
        """Make a project from what was sent."""
        title = str(values.get("title", "New Project"))
        config = str(values.get("label_config") or "<View></View>")
        check_title(title)
        variables(config)
        rest = {name: value for name, value in values.items() if name not in {"title", "description", "label_config"}}
        description = str(values.get("description") or "")
        project = Project(self.next_id("project"), title, description, config, self.clock.now(), by, rest)
        self.projects[project.id] = project
        return project

    def add_tasks(self, project: Project, items: Iterable[Any], by: int) -> list[Task]:
        """Add tasks from what was sent; the caller has checked them (`check_items`)."""
        return [self._add_task(project, item, by) for item in items]

    def _add_task(self, project: Project, item: Mapping[str, Any], by: int) -> Task:
        whole: Mapping[str, Any] = item if "data" in item else {"data": item}
        now = self.clock.now()
        project.inner += 1
        task = Task(self.next_id("task"), project.id, project.inner, whole["data"], whole.get("meta") or {}, now, now)
        for each in whole.get("predictions") or []:
            self.add_prediction(task, each)
        for each in whole.get("annotations") or []:
            made = self.annotate(task, each.get("completed_by", by), each)
            made.ground_truth = bool(each.get("ground_truth", True))  # as the real one takes imported answers
            made.updated_by = None
        task.updated_at, task.updated_by = now, None
        project.tasks[task.id] = task
        return task

    def add_prediction(self, task: Task, values: Mapping[str, Any]) -> Prediction:
        """Add what a task's form is prefilled with."""
        version = str(values.get("model_version") or "undefined")
        made = Prediction(
            self.next_id("prediction"), values.get("result") or [], values.get("score"), version, self.clock.now()
        )
        task.predictions.append(made)
        return made

    def annotate(self, task: Task, user: int, values: Mapping[str, Any], at: datetime | None = None) -> Annotation:
        """Answer a task; the draft that the same person had goes."""
        at = at or self.clock.now()
        made = Annotation(
            id=self.next_id("annotation"),
            unique_id=str(values.get("unique_id") or uuid.UUID(int=self._random.getrandbits(128), version=4)),
            task=task.id,
            completed_by=user,
            result=values.get("result"),
            was_cancelled=bool(values.get("was_cancelled", False)),
            lead_time=values.get("lead_time"),
            created_at=at,
            updated_at=at,
            ground_truth=bool(values.get("ground_truth", False)),
            updated_by=user,
            prediction=task.predictions[0] if task.predictions else None,
            parent_prediction=values.get("parent_prediction"),
            parent_annotation=values.get("parent_annotation"),
        )
        task.annotations.append(made)
        task.drafts = [each for each in task.drafts if each.user != user]
        touch(task, at, user)
        return made

    def change(
        self, task: Task, annotation: Annotation, values: Mapping[str, Any], by: int, at: datetime | None = None
    ) -> None:
        """Change an answer."""
        at = at or self.clock.now()
        for name in ("result", "was_cancelled", "lead_time", "ground_truth"):
            if name in values:
                setattr(annotation, name, values[name])
        annotation.updated_at, annotation.updated_by = at, by
        touch(task, at, by)

    def withdraw(self, task: Task, annotation: Annotation, by: int) -> None:
        """Delete an answer; the task stays, and is told to have changed."""
        task.annotations.remove(annotation)
        touch(task, self.clock.now(), by)

    def add_draft(self, task: Task, user: int, result: list[Any]) -> Draft:
        """Begin an answer that is not submitted."""
        draft = Draft(self.next_id("draft"), user, result, self.clock.now())
        task.drafts.append(draft)
        return draft

    def delete_tasks(self, project: Project, ids: Iterable[int]) -> list[int]:
        """Delete tasks with all that hangs on them; return which were there."""
        there = [id for id in dict.fromkeys(ids) if id in project.tasks]
        for id in there:
            del project.tasks[id]
        return there


def touch(task: Task, at: datetime, user: int) -> None:
    """Note that a task changed."""
    task.updated_at, task.updated_by = at, user


def check_title(title: str) -> None:
    """Refuse a title that is shorter or longer than the real one takes."""
    bound = "no more than 50" if len(title) > 50 else "at least 3" if len(title) < 3 else None
    if bound is not None:
        raise Refused(400, "Validation error", {"title": [f"Ensure this field has {bound} characters."]})


def variables(config: str) -> set[str]:
    """Return the columns that a label config shows; refuse what is no XML."""
    try:
        root = ET.fromstring(config)  # noqa: S314
    except ET.ParseError as error:
        raise Refused(400, "Validation error", {"label_config": [str(error)]}) from error
    values = {str(each.get("value")) for each in root.iter() if each.get("name")}
    return {found.group(1) for value in values if (found := re.fullmatch(r"\$(\w+)", value))}


def check_items(project: Project, items: Any) -> list[Any]:
    """Return the tasks of an import; refuse none at all, and any that lacks a column that the config shows."""
    tasks = items if isinstance(items, list) else [items]
    if not tasks:
        raise Refused(400, "Validation error", {"non_field_errors": ["load_tasks: No tasks added"]})
    asked = variables(project.label_config)
    for number, item in enumerate(tasks):
        data = item.get("data", item) if isinstance(item, dict) else None
        missing = sorted(asked - set(data)) if isinstance(data, dict) else ["data"]
        if missing:
            said = f'Error at item {number}: "{missing[0]}" key is expected in task data'
            raise Refused(400, "Validation error", {"non_field_errors": [said]})
    return tasks
