"""How far a queue is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat.errors import LabelError

if TYPE_CHECKING:
    from dataplat._labels._state import State
    from dataplat.labeling.server import LabelServer


@dataclass(frozen=True, slots=True)
class AnnotatorStatus:
    """How far one annotator is: tasks placed, answered, skipped, open; the share of right gold tasks (None: none yet)."""

    name: str
    placed: int
    answered: int
    skipped: int
    open: int
    gold: float | None
    paused: bool
    lead_time: float | None


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """How far a queue is.

    Attributes:
        name: the queue's.
        source: what is asked about.
        tasks: questions, gold ones included.
        done: tasks with as many answers as they are to have.
        started: tasks with some answers, but not all.
        annotations: answers that were pulled, skips among them.
        closed: whether it takes no more.
        annotators: one for each.
    """

    name: str
    source: str
    tasks: int
    done: int
    started: int
    annotations: int
    overlap: int
    closed: bool
    annotators: tuple[AnnotatorStatus, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        names = ("name", "source", "tasks", "done", "started", "annotations", "overlap", "closed")
        people = [
            {name: getattr(each, name) for name in AnnotatorStatus.__dataclass_fields__} for each in self.annotators
        ]
        return {name: getattr(self, name) for name in names} | {"annotators": people}


def status(state: State) -> QueueStatus:
    """Count tasks and answers, from what was pulled."""
    from dataplat._labels._gold import judged

    answers = state.annotations.to_arrow(columns=["task", "annotator", "skipped", "lead_time"]).to_pylist()
    said = {(row["task"], row["annotator"]) for row in answers if not row["skipped"]}
    answered = Counter(task for task, annotator in said if annotator != state.spec.adjudicator)
    needed = {
        row["task"]: len(state.spec.annotators) if row["stream"] == "gold" else state.spec.overlap
        for row in state.tasks.select(["task", "stream"]).to_pylist()
    }
    done = sum(answered[task] >= count for task, count in needed.items())
    started = sum(0 < answered[task] < count for task, count in needed.items())
    held = state.placements.select(["annotator", "state"]).to_pylist()
    states = Counter((row["annotator"], row["state"]) for row in held)
    gold = judged(state)
    people = dict.fromkeys([*state.spec.annotators, *(row["annotator"] for row in [*held, *answers])])
    times: dict[str, list[float]] = {}
    for row in answers:
        if row["lead_time"] is not None:
            times.setdefault(row["annotator"], []).append(row["lead_time"])
    return QueueStatus(
        name=state.name,
        source=state.spec.source,
        tasks=len(needed),
        done=done,
        started=started,
        annotations=len(answers),
        overlap=state.spec.overlap,
        closed=state.spec.closed,
        annotators=tuple(
            AnnotatorStatus(
                name=name,
                placed=sum(states[name, kind] for kind in ("open", "answered", "skipped")),
                answered=states[name, "answered"],
                skipped=states[name, "skipped"],
                open=states[name, "open"],
                gold=gold.scores.get(name),
                paused=name in gold.paused,
                lead_time=sum(times[name]) / len(times[name]) if name in times else None,
            )
            for name in people
        ),
    )


def next_page(state: State, server: LabelServer, annotator: str) -> str:
    """Return the page of the first open task of an annotator, in the order of the queue."""
    from dataplat._labels._projects import Placements

    if annotator not in state.spec.annotators:
        raise LabelError(
            f"{annotator!r} is not asked by queue {state.name!r}; it asks {', '.join(state.spec.annotators) or 'nobody'}"
        )
    open_tasks = {
        each.task: each for each in Placements(state.placements) if each.annotator == annotator and each.state == "open"
    }
    for task in state.tasks["task"].to_pylist():
        if task in open_tasks:
            return server.task_url(open_tasks[task].project, open_tasks[task].id)
    raise LabelError(f"nothing waits for {annotator} in queue {state.name!r}: push more, or pull to see what is done")
