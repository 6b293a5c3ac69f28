"""Makes what a lake knows of a queue's projects and what lies on the server the same, whoever died in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from dataplat._labels._projects import Placement, Placements
from dataplat.labeling.reconcile import Reconciled, reconcile

if TYPE_CHECKING:
    from dataplat.labeling.server import LabelServer, Project, ServerTask

_LOOKS: Final = 3
"""How often copies are looked at anew, because somebody answered one while they were removed."""


@dataclass(slots=True)
class Settled:
    """What was found out: tasks that nobody knew of, copies that went, open tasks that are gone, tasks of others."""

    found: list[str] = field(default_factory=list)
    removed: int = 0
    gone: int = 0
    strange: int = 0


def forget_lost(placements: Placements, found: Mapping[str, Sequence[Project]]) -> int:
    """Note of what lay in projects that are not there any more that it is gone; return how much of it was open."""
    there = {project.id for projects in found.values() for project in projects}
    return sum(each.lose() for each in placements if each.there and each.project not in there)


def settle(
    placements: Placements,
    server: LabelServer,
    projects: Sequence[Project],
    annotator: str,
    known: frozenset[str],
    lease: datetime,
    *,
    look: bool = False,
) -> Settled:
    """Compare an annotator's projects, the oldest first, with what the lake holds of them, and note the difference.

    They are listed where the counts differ, or where `look` says so. In all but the oldest only what was answered stays.
    """
    ids = {project.id for project in projects}
    held = [each for each in placements if each.annotator == annotator and each.project in ids and each.there]
    if not look and sum(each.tasks for each in projects) == sum(1 + len(each.copies) for each in held):
        return Settled()
    settled, by_task = Settled(), {each.task: each.id for each in held}
    result, where = Reconciled(), dict[int, int]()
    for _ in range(_LOOKS):
        listed, where = _list(server, projects)
        surplus = {each.id for each in listed if _is_surplus(each, where[each.id] != projects[0].id, known)}
        result = reconcile(by_task, (each for each in listed if each.id not in surplus), known=known, whole=True)
        going = [*result.delete, *surplus]
        stayed = _delete(server, where, going)
        settled.removed += len(going) - len(stayed)
        if not stayed:
            break
    for each in held:
        if each.copies and each.task not in result.copies:
            each.copies, each.news = [], True
    take_in(placements, result, where, annotator, lease)
    settled.found, settled.strange = list(result.found), len(result.strange)
    for task in result.gone:
        placement = placements.get(task, annotator)
        settled.gone += placement is not None and placement.lose()
    return settled


def take_in(
    placements: Placements, result: Reconciled, where: Mapping[int, int], annotator: str, lease: datetime
) -> None:
    """Note tasks that were found on the server, and copies that hold answers; `where` is the project of each."""
    for task, id_ in result.found.items():
        held = placements.get(task, annotator)
        if held is None:
            placements.put(Placement(task, annotator, where[id_], id_, until=lease))
            continue
        if not held.there:
            held.state, held.until = "open", lease
        held.project, held.id, held.news = where[id_], id_, True
    for task, ids in result.copies.items():
        held = placements.get(task, annotator)
        if held is not None and sorted(held.copies) != sorted(ids):
            held.copies, held.news = sorted({*held.copies, *ids}), True


def _is_surplus(task: ServerTask, apart: bool, known: frozenset[str]) -> bool:  # noqa: FBT001
    """Say whether a task of ours lies unanswered in a project that is one too many."""
    return apart and task.task in known and not task.annotations and not task.drafts


def _list(server: LabelServer, projects: Iterable[Project]) -> tuple[list[ServerTask], dict[int, int]]:
    """Return the tasks of all projects, and the project of each."""
    listed: list[ServerTask] = []
    where: dict[int, int] = {}
    for project in projects:
        tasks = list(server.list_tasks(project.id))
        listed += tasks
        where.update((task.id, project.id) for task in tasks)
    return listed, where


def _delete(server: LabelServer, where: Mapping[int, int], tasks: Iterable[int]) -> set[int]:
    """Delete tasks that nobody answered; return those that somebody did answer meanwhile."""
    by_project: dict[int, list[int]] = {}
    for task in tasks:
        by_project.setdefault(where[task], []).append(task)
    stayed: set[int] = set()
    for project, ids in by_project.items():
        stayed |= server.delete_unanswered(project, ids)
    return stayed
