"""What lies on the server for a queue: its projects, found again by their marks, and what the lake knows of their tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dataplat.labeling.reconcile import Reconciled, reconcile
from dataplat.labeling.server import LabelServer, Project, project_mark

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State

_TITLE = 50
"""Characters of a title, as Label Studio allows."""


@dataclass(slots=True)
class Placement:
    """One task before one annotator; `news` says that the lake does not have it so."""

    task: str
    annotator: str
    project: int
    id: int
    copies: list[int] = field(default_factory=list)
    state: str = "open"
    until: datetime | None = None
    seen: datetime | None = None
    news: bool = True
    new: bool = True

    def row(self) -> dict[str, Any]:
        """Return it as a row of `NAME.placements`."""
        names = ("task", "annotator", "project", "id", "copies", "state", "until", "seen")
        return {name: getattr(self, name) for name in names}

    @property
    def there(self) -> bool:
        """Whether the task lies on the server."""
        return self.state not in {"moved", "gone"}


class Placements:
    """All placements of a queue, and those that changed since they were read."""

    def __init__(self, table: pa.Table) -> None:
        self._all: dict[tuple[str, str], Placement] = {}
        for row in table.to_pylist():
            row["copies"] = row["copies"] or []
            self._all[row["task"], row["annotator"]] = Placement(**row, news=False, new=False)

    def __iter__(self) -> Iterator[Placement]:
        return iter(self._all.values())

    def get(self, task: str, annotator: str) -> Placement | None:
        """Return the placement of a task before an annotator."""
        return self._all.get((task, annotator))

    def of(self, project: int) -> list[Placement]:
        """Return what lies in a project."""
        return [each for each in self if each.project == project and each.there]

    def put(self, placement: Placement) -> None:
        """Add a placement, or replace one."""
        held = self._all.get((placement.task, placement.annotator))
        placement.new = held is None or held.new
        self._all[placement.task, placement.annotator] = placement

    def changed(self, *, new: bool) -> list[dict[str, Any]]:
        """Return the rows that the lake does not have at all, or has otherwise."""
        return [each.row() for each in self if each.news and each.new is new]


def find_projects(state: State, server: LabelServer) -> dict[str, list[Project]]:
    """Return the queue's projects by annotator, the oldest first: two callers at once may have made one each."""
    prefix = project_mark(state.lake.id, state.name, "")
    found: dict[str, list[Project]] = {}
    for project in sorted(server.projects(prefix), key=lambda each: each.id):
        found.setdefault(project.mark.removeprefix(prefix), []).append(project)
    return found


def make_projects(
    state: State, server: LabelServer, found: Mapping[str, list[Project]], annotators: Iterable[str]
) -> dict[str, Project]:
    """Return one project for each annotator; those that lack one get it."""
    made: dict[str, Project] = {}
    for annotator in annotators:
        if annotator in found:
            made[annotator] = found[annotator][0]
            continue
        mark = project_mark(state.lake.id, state.name, annotator)
        title = f"{state.name} · {annotator}"
        made[annotator] = server.create_project(mark, title[:_TITLE], state.spec.config)
    return made


def settle(
    placements: Placements,
    server: LabelServer,
    project: Project,
    annotator: str,
    known: frozenset[str],
    lease: datetime,
) -> Reconciled:
    """Make what the lake knows of a project and what lies there the same; lists it only where their counts differ."""
    held = placements.of(project.id)
    if project.tasks == sum(1 + len(each.copies) for each in held):
        return Reconciled()
    by_task = {each.task: each.id for each in held}
    result = reconcile(by_task, server.list_tasks(project.id), known=known, whole=True)
    if result.delete:
        server.delete_tasks(project.id, result.delete)
    for each in held:
        if each.copies and each.task not in result.copies:
            each.copies, each.news = [], True
    take_in(placements, result, project, annotator, lease)
    for task in result.gone:
        placement = placements.get(task, annotator)
        if placement is not None:
            placement.state, placement.news, placement.copies = "gone", True, []
    return result


def take_in(placements: Placements, result: Reconciled, project: Project, annotator: str, lease: datetime) -> None:
    """Note tasks that were found on the server, and copies that hold answers."""
    for task, id_ in result.found.items():
        held = placements.get(task, annotator)
        if held is not None and held.project == project.id:
            held.id, held.news = id_, True
            held.state = held.state if held.there else "open"
        else:
            placements.put(Placement(task, annotator, project.id, id_, until=lease))
    for task, ids in result.copies.items():
        held = placements.get(task, annotator)
        if held is not None and sorted(held.copies) != sorted(ids):
            held.copies, held.news = sorted({*held.copies, *ids}), True
