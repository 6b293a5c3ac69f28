"""Brings answers home: read from the server, compared with those that are held, and committed where they differ.

The first pull of a project reads its export; later ones read the tasks that changed since the newest that was seen, by
the server's own clock, and a little before. A pull never looks at its own clock, and keeps nothing of its own: what was
seen stands in `NAME.placements`. Two pulls at once bring the same rows; the slower one finds the branch moved and looks
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from dataplat._heads import anew
from dataplat._labels._answers import Answered, Held
from dataplat._labels._projects import Placements, find_projects, shown_by
from dataplat._labels._settle import forget_lost, settle
from dataplat._labels._state import State
from dataplat.labeling.tables import KEYS, Kind, dataset

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat.ingest._progress import Meter
    from dataplat.labeling.answers import Answers
    from dataplat.labeling.server import LabelServer, Project

OVERLAP: Final = 30.0
"""Seconds before the newest change that was seen from which changes are read again: a server may commit out of order."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What is to be pulled. With `full` all answers are read, whatever was seen before."""

    queue: str
    branch: str
    server: LabelServer
    meter: Meter
    full: bool = False
    overlap: float = OVERLAP
    contract: Any = None


@dataclass(slots=True)
class PullResult:
    """What a pull brought.

    Attributes:
        queue: its name.
        commit: the commit; None where nothing had changed.
        new: answers that came.
        changed: answers that were edited since.
        deleted: answers that were taken back; earlier versions keep them.
        unread: items of results that could not be laid flat; they are in the annotations as they came.
        found: tasks on the server that the lake did not know of.
        removed: copies on the server that nobody had answered.
        gone: tasks that were deleted on the server; what was answered about them stays.
        notes: what else is to be said.
    """

    queue: str
    commit: str | None = None
    new: int = 0
    changed: int = 0
    deleted: int = 0
    unread: int = 0
    found: int = 0
    removed: int = 0
    gone: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        names = (
            "queue",
            "commit",
            "new",
            "changed",
            "deleted",
            "unread",
            "found",
            "removed",
            "gone",
            "notes",
            "seconds",
        )
        return {name: getattr(self, name) for name in names}


def pull(lake: Lake, request: PullRequest) -> PullResult:
    """Do it, anew where somebody else was at the queue meanwhile.

    Raises:
        LabelServerError: The server did not answer as it should; nothing was committed.
        ContractFailed: The answers do not meet the contract; nothing was committed.
    """
    result = anew(lambda: _once(State.at_head(lake, request.queue, request.branch), request))
    result.seconds = request.meter.seconds
    return result


def _once(state: State, request: PullRequest) -> PullResult:
    server, result = request.server, PullResult(request.queue)
    placements = Placements(state.placements)
    known = frozenset(state.version("tasks").to_arrow(columns=["task"])["task"].to_pylist())
    names = {user.id: user.name for user in server.users()}
    lease = datetime.now(UTC) + timedelta(seconds=state.spec.lease)
    with ExitStack() as stack:
        answered = stack.enter_context(closing(Answered(Held(state.annotations), known)))
        found = find_projects(state, server)
        result.gone += forget_lost(placements, found)
        for annotator, projects in found.items():
            done = settle(placements, server, projects, annotator, known, lease, look=request.full)
            result.found += len(done.found)
            result.removed += done.removed
            result.gone += done.gone
            for project in projects:
                answered.begin(project.id, placements)
                request.meter.enter("reading answers")
                since = None if request.full else _since(placements, project, request.overlap)
                config = shown_by(project)
                if config is None or config.id != state.config.id:
                    result.notes.append(
                        f"the project of {annotator} shows another label config than the queue's: answers under it are "
                        f"kept as they are; the next push shows the queue's again"
                    )
                seen = {each.id: each.seen for each in placements.of(project.id) if each.seen is not None}
                for answers in _read(request, project, names, since, seen, stack):
                    answered.take(answers)
                    request.meter.add_rows(answers.annotations.num_rows)
                answered.end(placements, whole=since is None)
        result.new, result.changed, result.deleted = answered.counts
        result.unread = answered.unread
        result.notes += answered.notes
        if answered.copies:
            result.notes.append(f"{answered.copies:,} answers are about copies of a task, and count for the task")
        result.commit = _commit(state, request, answered, placements)
    return result


def _since(placements: Placements, project: Project, overlap: float) -> datetime | None:
    """Return from when on changes are read: a little before the newest that was seen; None: nothing was."""
    seen = [each.seen for each in placements if each.project == project.id and each.seen is not None]
    return max(seen) - timedelta(seconds=overlap) if seen else None


def _read(
    request: PullRequest,
    project: Project,
    names: dict[int, str],
    since: datetime | None,
    seen: dict[int, datetime],
    stack: ExitStack,
) -> Iterator[Answers]:
    """Yield the answers that changed since, but for tasks that were last `seen` as they are; None: all.

    All are followed by what changed while they were read. An export is no snapshot: what changes in its first part while
    its last is written is missing, and may be older than the newest in it.
    """
    from dataplat.labeling.answers import read_export, read_tasks

    server, config = request.server, shown_by(project)
    if since is None:
        since, seen = server.clock(), {}
        yield from read_export(stack.enter_context(server.export(project.id)), config, names)
    chunk: list[dict[str, Any]] = []
    for task in server.changed_tasks(project.id, since, seen):
        chunk.append(task)
        if len(chunk) == 500:
            yield read_tasks(chunk, config, names)
            chunk = []
    if chunk:
        yield read_tasks(chunk, config, names)


def _commit(state: State, request: PullRequest, answered: Answered, placements: Placements) -> str | None:
    """Commit what came, in one commit; return its id, None where nothing had changed."""
    if not answered.any and not placements.news:
        return None
    message = "label pull {}: {:,} new, {:,} changed, {:,} deleted".format(state.name, *answered.counts)
    with state.lake.transaction(state.branch, message=message) as tx:
        state.check_unchanged(tx, "placements", "annotations", "regions", "relations")
        placements.commit(tx, state.name)
        if gone := answered.gone:
            tx.delete(dataset(state.name, "annotations"), _among(gone))
        kinds: tuple[Kind, ...] = ("annotations", "regions", "relations")
        for kind in kinds:
            name = dataset(state.name, kind)
            if kind != "annotations" and (stale := answered.stale):
                tx.delete(name, _among(stale))
            reader = answered.reader(kind)
            if reader is not None:
                contract = request.contract if kind == "annotations" else None
                tx.ingest(reader, into=name, mode="upsert", key=KEYS[kind], contract=contract, on_error="fail")
    return None if tx.commit is None else tx.commit.id


def _among(annotations: list[str]) -> Any:
    import polars as pl

    return pl.col("annotation").is_in(annotations)
