"""Brings questions before people: what is new in the source becomes tasks, tasks are placed before annotators.

Two commits: first the tasks, so that whatever lies on the server is known to the lake; then where each was placed. What
was imported in between by somebody who died is found on the server by its name, and taken in.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dataplat._heads import anew
from dataplat._labels._people import strangers, with_people
from dataplat._labels._projects import Placement, Placements, make_projects, shown_by
from dataplat._labels._settle import Settled, forget_lost, settle, take_in
from dataplat._labels._state import State
from dataplat._labels._tasks import Links, queue_tasks, task_payload
from dataplat.errors import (
    LabelServerDenied,
    LabelServerError,
    LabelServerTooLarge,
)
from dataplat.labeling.reconcile import reconcile

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.ingest._progress import Meter
    from dataplat.labeling.assign import Assignment
    from dataplat.labeling.server import LabelServer, Project

_TRIES: Final = 4
_WAIT: Final = 0.5  # seconds, doubled each time
_CHUNK: Final = 5_000
"""Tasks of one import: an answer in a few seconds, far below the server's limits."""
_BYTES: Final = 16 << 20
"""Bytes of one import, if it holds more than one task: what front servers take, and a twelfth of what Label Studio does."""


@dataclass(slots=True)
class PushResult:
    """What a push did, or would do.

    Attributes:
        queue: its name.
        tasks: new tasks of the queue.
        held_out: rows' tasks that were left out, because they are held out.
        placed: tasks that were put before somebody, by annotator.
        moved: unanswered tasks whose lease had ended, put before somebody else.
        found: tasks that lay on the server and that the lake did not know of (an earlier push died, or heard nothing).
        removed: copies on the server that nobody had answered.
        waiting: answers that are still to be asked for, beyond what is placed.
        paused: annotators who answered too few gold tasks rightly.
        notes: what else is to be said.
        plan: whether nothing was done.
    """

    queue: str
    tasks: int = 0
    held_out: int = 0
    placed: Counter[str] = field(default_factory=Counter)
    moved: int = 0
    found: int = 0
    removed: int = 0
    waiting: int = 0
    paused: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    plan: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        names = ("queue", "tasks", "held_out", "moved", "found", "removed", "waiting", "notes", "seconds", "plan")
        told = {name: getattr(self, name) for name in names}
        return told | {"placed": dict(self.placed), "paused": list(self.paused)}


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What is to be pushed: at most `limit` tasks put before each annotator, media by `links`, or only planned."""

    queue: str
    branch: str
    server: LabelServer | None
    links: Links
    meter: Meter
    limit: int | None = None
    plan: bool = False


def push(lake: Lake, request: PushRequest) -> PushResult:
    """Do it, planned anew where somebody else was at the queue meanwhile.

    Raises:
        LabelError: The queue is closed, or nobody is there to be asked.
        LabelServerError: The server did not do it; what it did is known, and the next push goes on from there.
    """
    tasks = 0

    def attempt() -> PushResult:
        nonlocal tasks
        result = PushResult(request.queue, tasks, plan=request.plan)
        try:
            _once(lake, request, result)
        finally:
            tasks = result.tasks  # those of an attempt that was outrun have been committed
        return result

    result = anew(attempt)
    result.seconds = request.meter.seconds
    return result


def _once(lake: Lake, request: PushRequest, result: PushResult) -> None:
    state = State.at_head(lake, request.queue, request.branch)
    state.check_open()
    named = with_people(state, request.server)
    if named is not state:
        result.notes.append(f"asks all who have an account: {', '.join(named.spec.annotators)}")
        state = named
    tasks = queue_tasks(state, request.meter, plan=request.plan)
    result.tasks += tasks.new
    result.held_out = tasks.held_out
    if request.plan:
        Placing(State.at_head(lake, request.queue, request.branch), request, result).plan(tasks.table)
        return
    placing = Placing(State.at_head(lake, request.queue, request.branch), request, result)
    try:
        placing.place(tasks.table)
    finally:
        placing.commit()


class Placing:
    """One attempt to place tasks."""

    def __init__(self, state: State, request: PushRequest, result: PushResult) -> None:
        self.state = state
        self.request = request
        self.result = result
        self.placements = Placements(state.placements)
        self.lease = datetime.now(UTC) + timedelta(seconds=state.spec.lease)
        self.most = _CHUNK

    def plan(self, tasks: pa.Table) -> None:
        """Say what would be placed, from what the lake knows."""
        assignment = self._assign(tasks)
        self.result.placed = Counter(annotator for _, annotator in assignment.create)
        self.result.moved = len(assignment.move)
        self.result.waiting = self._waiting(tasks, planned=Counter(task for task, _ in assignment.create))

    def place(self, tasks: pa.Table) -> None:
        """Bring what is to be placed to the server."""
        spec = self.state.spec
        projects = self.prepare(spec.annotators, tasks)
        assignment = self._assign(tasks)
        self._take_back(self.server, assignment.move)
        wanted: dict[str, list[str]] = defaultdict(list)
        for task, annotator in assignment.create:
            wanted[annotator].append(task)
        for task, before, annotator in assignment.move:
            held_before = self.placements.get(task, before)
            if held_before is not None and held_before.state == "moved":
                wanted[annotator].append(task)
        rows = {task: index for index, task in enumerate(tasks["task"].to_pylist())}
        self._renew(tasks, rows)
        self.request.meter.enter("placing")
        for annotator, names in wanted.items():
            self.send(projects[annotator], annotator, tasks.take([rows[name] for name in names]))
        self.result.waiting = self._waiting(tasks, planned=Counter())

    def _renew(self, tasks: pa.Table, rows: dict[str, int]) -> None:
        """Give open tasks new links to what they show, where half of the time has passed that links are good for."""
        spec = self.state.spec
        if not self.state.config.media:
            return
        lease, half = timedelta(seconds=spec.lease), timedelta(seconds=spec.media_for / 2)
        for each in self.placements:
            if each.state != "open" or each.until is None or each.until - lease + half > datetime.now(UTC):
                continue
            row = tasks.slice(rows[each.task], 1).to_pylist()[0]
            self.server.update_task(each.id, task_payload(self.state, row, self.request.links)["data"])
            each.until, each.news = self.lease, True

    def _waiting(self, tasks: pa.Table, planned: Counter[str]) -> int:
        """Count the answers that nobody has been asked for yet, of tasks that are not gold."""
        held = Counter(each.task for each in self.placements if each.state in {"open", "answered", "kept"})
        asked = planned + held
        rows = zip(tasks["task"].to_pylist(), tasks["stream"].to_pylist(), strict=True)
        return sum(max(0, self.state.spec.overlap - asked[task]) for task, stream in rows if stream != "gold")

    @property
    def server(self) -> LabelServer:
        """The annotation server; a plan has none."""
        assert self.request.server is not None
        return self.request.server

    def prepare(self, annotators: Sequence[str], tasks: pa.Table) -> dict[str, Project]:
        """Learn what lies in all projects of the queue; return those of annotators, made where they lack one."""
        from dataplat.labeling.serve import watch_project

        found = make_projects(self.state, self.server, annotators)
        for name in strangers(annotators, self.server):
            self.result.notes.append(f"{name} has no account yet: `dataplat label annotator add {name}` makes it")
        lost = forget_lost(self.placements, found)
        if lost:
            self.result.notes.append(
                f"projects with {lost:,} open tasks had been deleted on the server; these are asked again"
            )
        known = frozenset(tasks["task"].to_pylist())
        for annotator, held in found.items():
            done = settle(self.placements, self.server, held, annotator, known, self.lease)
            self._tell(done, annotator)
            for project in held:
                self._config(self.server, project, annotator)
                watch_project(self.server, project.id, self.state.name)
        return {annotator: held[0] for annotator, held in found.items()}

    def send(
        self, project: Project, annotator: str, tasks: pa.Table, payload: Callable[[dict[str, Any]], Any] | None = None
    ) -> None:
        """Bring tasks into a project, as `payload` makes them of their rows."""
        links = self.request.links
        made = payload or (lambda row: task_payload(self.state, row, links))
        waiting: dict[str, Any] = {}
        size = 0
        for row in tasks.to_pylist():
            one = made(row)
            more = len(msgspec.json.encode(one))
            if len(waiting) == self.most or (waiting and size + more > _BYTES):
                self._import(project, annotator, waiting)
                waiting, size = {}, 0
            waiting[row["task"]] = one
            size += more
            self.request.meter.add_rows(1)
        self._import(project, annotator, waiting)

    def commit(self) -> None:
        """Note where everything lies, in one commit, if there is any news."""
        news = self.placements.news
        if not news:
            return
        message = f"label push {self.state.name}: {sum(each.new for each in news):,} placed"
        with self.state.lake.transaction(self.state.branch, message=message) as tx:
            self.state.check_unchanged(tx, "placements")
            self.placements.commit(tx, self.state.name)

    def _assign(self, tasks: pa.Table) -> Assignment:
        from dataplat._labels._gold import judged
        from dataplat.labeling.assign import Asked, Placed, assign

        spec = self.state.spec
        self.result.paused = judged(self.state).paused
        rows = zip(tasks["task"].to_pylist(), tasks["stream"].to_pylist(), strict=True)
        return assign(
            [Asked(task, stream == "gold") for task, stream in rows if stream != "adjudication"],
            [
                Placed(each.task, each.annotator, each.state, each.until)
                for each in self.placements
                if each.annotator != spec.adjudicator
            ],
            spec.annotators,
            spec.overlap,
            datetime.now(UTC),
            paused=self.result.paused,
            limit=self.request.limit,
            gold_every=spec.gold_every,
        )

    def _import(self, project: Project, annotator: str, payload: dict[str, Any]) -> None:
        """Import tasks; where it is not known whether they landed, look before they are sent again."""
        wait, tries = _WAIT, 0
        while payload:
            names = list(payload)[: self.most]
            try:
                ids = self.server.import_tasks(project.id, [payload[name] for name in names])
            except LabelServerDenied:
                raise
            except LabelServerTooLarge:
                if len(names) == 1:
                    raise
                self.most = len(names) // 2
            except LabelServerError:
                tries += 1
                if tries == _TRIES:
                    raise
                time.sleep(wait)
                wait *= 2
                for name in self._landed(project, annotator):
                    payload.pop(name, None)
            else:
                self._note(zip(names, ids, strict=True), project, annotator)
                for name in names:
                    del payload[name]

    def _landed(self, project: Project, annotator: str) -> list[str]:
        """Take in what lies past the last id that is known; return whose tasks these are."""
        held = self.placements.of(project.id)
        after = max((max(each.id, *each.copies, 0) for each in held), default=0)
        by_task = {each.task: each.id for each in held}
        listed = list(self.server.list_tasks(project.id, after=after))
        result = reconcile(by_task, listed, whole=False)
        stayed = self.server.delete_unanswered(project.id, result.delete)
        take_in(self.placements, result, {each.id: project.id for each in listed}, annotator, self.lease)
        self.result.placed[annotator] += len(result.found)
        self.result.removed += len(result.delete) - len(stayed)
        return list(result.found)

    def _note(self, placed: Any, project: Project, annotator: str) -> None:
        for task, id_ in placed:
            self.placements.put(Placement(task, annotator, project.id, id_, until=self.lease))
            self.result.placed[annotator] += 1

    def _take_back(self, server: LabelServer, moves: Sequence[tuple[str, str, str]]) -> None:
        """Delete tasks whose lease has ended where nobody answers them; of one that was answered since, nothing."""
        by_project: dict[int, list[Placement]] = defaultdict(list)
        for task, annotator, _ in moves:
            placement = self.placements.get(task, annotator)
            assert placement is not None
            by_project[placement.project].append(placement)
        for project, held in by_project.items():
            stayed = server.delete_unanswered(project, [each.id for each in held])
            for each in held:
                if each.id not in stayed:
                    each.state, each.news = "moved", True
            self.result.moved += len(held) - len(stayed)

    def _tell(self, done: Settled, annotator: str) -> None:
        self.result.found += len(done.found)
        self.result.removed += done.removed
        if done.gone:
            self.result.notes.append(
                f"{done.gone:,} open tasks of {annotator} had been deleted on the server; they are asked again"
            )
        if done.strange:
            self.result.notes.append(
                f"{done.strange:,} tasks before {annotator} are not of this queue, and are left alone"
            )

    def _config(self, server: LabelServer, project: Project, annotator: str) -> None:
        """Show the queue's config where the project has another one."""
        shown = shown_by(project)
        if shown is not None and shown.id == self.state.config.id:
            return
        server.set_config(project.id, self.state.spec.config)
        self.result.notes.append(f"the project of {annotator} had another label config: it shows the queue's again")
