"""What is on the server against what the lake knows of it: pure, so that a crash at any step can be thought through.

Servers give no unique id of the caller's choice, so an import whose answer was lost may have landed. Every task carries
its own name (`data.dataplat_id`): what the server lists is compared with what was placed, tasks that nobody knew of are
taken in, copies that nobody answered are deleted, and copies that somebody did answer are kept, as one task.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dataplat.labeling.server import ServerTask


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What is to be done about one project, and what is known of it then.

    Attributes:
        found: by task, the id that stands for it on the server, where that is news.
        copies: by task, ids of further copies that hold answers.
        delete: ids of copies that hold none.
        strange: ids of tasks that dataplat did not make (somebody imported them by hand).
        gone: tasks that were placed, and that the server has no more; only where all of it was listed.
    """

    found: dict[str, int] = field(default_factory=dict)
    copies: dict[str, list[int]] = field(default_factory=dict)
    delete: list[int] = field(default_factory=list)
    strange: list[int] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def reconcile(
    held: Mapping[str, int], listed: Iterable[ServerTask], *, known: Iterable[str] | None = None, whole: bool
) -> Reconciled:
    """Compare the tasks of a project that the lake holds (task → id) with those that the server lists.

    Two callers that see the same list keep the same copy: one that was answered before one that was not, then the one
    that the lake holds, then the oldest.

    Args:
        held: what was placed, as far as the lake knows.
        listed: tasks of the server.
        known: all tasks of the queue; others are strange.
        whole: whether `listed` is all of the project, or only what came since.
    """
    there: dict[str, list[ServerTask]] = defaultdict(list)
    result = Reconciled()
    tasks = None if known is None else frozenset(known)
    for each in listed:
        if not each.task or (tasks is not None and each.task not in tasks):
            result.strange.append(each.id)
        else:
            there[each.task].append(each)
    for task, copies in there.items():
        holder = held.get(task)
        in_order = sorted(copies, key=lambda each: (not _used(each), each.id != holder, each.id))
        listed_too = whole or any(each.id == holder for each in copies)
        _settle(result, task, holder if listed_too else None, in_order, None if listed_too else holder)
    if whole:
        result.gone.extend(task for task in held if task not in there)
    return result


def _settle(result: Reconciled, task: str, holder: int | None, copies: list[ServerTask], older: int | None) -> None:
    """Decide about the copies of one task; `older` is the one that the lake holds, where it is not among them."""
    kept = copies[0] if older is None else None
    if kept is not None and kept.id != holder:
        result.found[task] = kept.id
    others = [each for each in copies if each is not kept]
    if used := [each.id for each in others if _used(each)]:
        result.copies[task] = used
    result.delete.extend(each.id for each in others if not _used(each))


def _used(task: ServerTask) -> bool:
    return task.annotations > 0 or task.drafts > 0
