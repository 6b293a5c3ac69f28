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

from dataplat._labels._projects import Placement, Placements, find_projects, make_projects, settle, take_in
from dataplat._labels._state import State
from dataplat._labels._tasks import Links, queue_tasks, task_payload
from dataplat.errors import CommitConflict, KeyViolation, LabelError, LabelServerDenied, LabelServerError
from dataplat.labeling.reconcile import reconcile
from dataplat.labeling.tables import KEYS, dataset, schema

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.ingest._progress import Meter
    from dataplat.labeling.assign import Assignment
    from dataplat.labeling.server import LabelServer, Project

_AGAIN: Final = 5
"""How often a push that somebody else outran is planned anew."""
_TRIES: Final = 4
_WAIT: Final = 0.5  # seconds, doubled each time
_CHUNK: Final = 1_000
"""Tasks of one import: an answer in a few seconds, far below the server's limits."""


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
    for attempt in range(_AGAIN):
        result = PushResult(request.queue, tasks, plan=request.plan)
        try:
            _once(lake, request, result)
        except (CommitConflict, KeyViolation):
            if attempt == _AGAIN - 1:
                raise
            tasks = result.tasks
        else:
            result.seconds = request.meter.seconds
            return result
    raise AssertionError("a loop that returns or raises")


def _once(lake: Lake, request: PushRequest, result: PushResult) -> None:
    state = State.at_head(lake, request.queue, request.branch)
    spec = state.spec
    if spec.closed:
        raise LabelError(
            f"queue {spec.name!r} is closed; open it again with `dataplat label queue set {spec.name} --open`"
        )
    if not spec.annotators:
        raise LabelError(
            f"queue {spec.name!r} has nobody to ask: `dataplat label annotator add NAME --queue {spec.name}`"
        )
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
        self.request.meter.enter("placing")
        for annotator, names in wanted.items():
            self.send(projects[annotator], annotator, tasks.take([rows[name] for name in names]))
        self.result.waiting = self._waiting(tasks, planned=Counter())

    def _waiting(self, tasks: pa.Table, planned: Counter[str]) -> int:
        """Count the answers that nobody has been asked for yet, of tasks that are not gold."""
        asked = planned + Counter(each.task for each in self.placements if each.there and each.state != "skipped")
        rows = zip(tasks["task"].to_pylist(), tasks["stream"].to_pylist(), strict=True)
        return sum(max(0, self.state.spec.overlap - asked[task]) for task, stream in rows if stream != "gold")

    @property
    def server(self) -> LabelServer:
        """The annotation server; a plan has none."""
        assert self.request.server is not None
        return self.request.server

    def prepare(self, annotators: Sequence[str], tasks: pa.Table) -> dict[str, Project]:
        """Learn what lies in all projects of the queue; return those of annotators, made where they lack one."""
        found = find_projects(self.state, self.server)
        projects = make_projects(self.state, self.server, found, annotators)
        known = frozenset(tasks["task"].to_pylist())
        for annotator, held in found.items():
            for project in held:
                done = settle(self.placements, self.server, project, annotator, known, self.lease)
                self._tell(done, project, annotator)
                self._config(self.server, project, annotator)
        return projects

    def send(
        self, project: Project, annotator: str, tasks: pa.Table, payload: Callable[[dict[str, Any]], Any] | None = None
    ) -> None:
        """Bring tasks into a project, as `payload` makes them of their rows."""
        links = self.request.links
        made = payload or (lambda row: task_payload(self.state, row, links))
        for start in range(0, tasks.num_rows, _CHUNK):
            chunk = tasks.slice(start, _CHUNK).to_pylist()
            self._import(self.server, project, annotator, {row["task"]: made(row) for row in chunk})
            self.request.meter.add_rows(len(chunk))

    def commit(self) -> None:
        """Note where everything lies, in one commit, if there is any news."""
        new, changed = self.placements.changed(new=True), self.placements.changed(new=False)
        if not new and not changed:
            return
        import pyarrow as pa

        name = dataset(self.state.name, "placements")
        message = f"label push {self.state.name}: {len(new):,} placed"
        with self.state.lake.transaction(self.state.branch, message=message) as tx:
            self.state.check_unchanged(tx, "placements")
            if new:
                tx.ingest(pa.Table.from_pylist(new, schema("placements")), into=name, key=KEYS["placements"])
            if changed:
                rows = pa.Table.from_pylist(changed, schema("placements"))
                tx.ingest(rows, into=name, mode="upsert", key=KEYS["placements"])

    def _assign(self, tasks: pa.Table) -> Assignment:
        from dataplat._labels._gold import paused
        from dataplat.labeling.assign import Asked, Placed, assign

        spec = self.state.spec
        self.result.paused = paused(self.state)
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

    def _import(
        self, server: LabelServer, project: Project, annotator: str, payload: dict[str, dict[str, Any]]
    ) -> None:
        """Import tasks; where it is not known whether they landed, look before they are sent again."""
        wait = _WAIT
        for attempt in range(_TRIES):
            names = list(payload)
            if not names:
                return
            try:
                ids = server.import_tasks(project.id, [payload[name] for name in names])
            except LabelServerDenied:
                raise
            except LabelServerError:
                if attempt == _TRIES - 1:
                    raise
                time.sleep(wait)
                wait *= 2
                for name in self._landed(server, project, annotator):
                    payload.pop(name, None)
            else:
                self._note(zip(names, ids, strict=True), project, annotator)
                return

    def _landed(self, server: LabelServer, project: Project, annotator: str) -> list[str]:
        """Take in what lies past the last id that is known; return whose tasks these are."""
        held = self.placements.of(project.id)
        after = max((max(each.id, *each.copies, 0) for each in held), default=0)
        by_task = {each.task: each.id for each in held}
        result = reconcile(by_task, server.list_tasks(project.id, after=after), whole=False)
        if result.delete:
            server.delete_tasks(project.id, result.delete)
        take_in(self.placements, result, project, annotator, self.lease)
        self.result.placed[annotator] += len(result.found)
        self.result.removed += len(result.delete)
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
            ids = {each.id: each for each in held}
            free = {
                each.id
                for each in server.list_tasks(project, after=min(ids) - 1)
                if each.id in ids and not each.annotations and not each.drafts
            }
            server.delete_tasks(project, sorted(free))
            for id_ in free:
                ids[id_].state, ids[id_].news = "moved", True
            self.result.moved += len(free)

    def _tell(self, done: Any, project: Project, annotator: str) -> None:
        self.result.found += len(done.found)
        self.result.removed += len(done.delete)
        if done.gone:
            self.result.notes.append(
                f"{len(done.gone):,} tasks of {annotator} had been deleted on the server; unanswered ones are asked again"
            )
        if done.strange:
            self.result.notes.append(
                f"{len(done.strange):,} tasks in project {project.id} ({annotator}) are not of this queue, and are left alone"
            )

    def _config(self, server: LabelServer, project: Project, annotator: str) -> None:
        """Show the queue's config where the project has another one."""
        from dataplat.labeling.config import LabelConfig

        if project.config and LabelConfig.from_xml(project.config).id == self.state.config.id:
            return
        server.set_config(project.id, self.state.spec.config)
        self.result.notes.append(f"the project of {annotator} had another label config: it shows the queue's again")
