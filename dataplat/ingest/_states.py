"""Land the states of a table that others version, each as a version, oldest first, each in a commit of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataplat.connectors.tables import Revision, locate, revisions
from dataplat.errors import SourceError
from dataplat.ingest._target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat._lake import Lake
    from dataplat.ingest._plan import IngestPlan
    from dataplat.ingest._progress import Listener
    from dataplat.ingest._request import IngestRequest
    from dataplat.ingest._result import IngestResult


def ingest_states(lake: Lake, request: IngestRequest, progress: Listener | None) -> IngestResult:
    """Land the states that were not landed yet; a kill in between leaves those before it, and the next one goes on.

    The result is that of the last state, with the rows of all added up; one that does not meet its contract is the
    last, and its result its own.
    """
    from dataplat.ingest._ingest import ingest

    results: list[IngestResult] = []
    todo = pending(lake, request)
    for revision in todo:
        results.append(ingest(lake, _pinned(request, revision), progress))
        if _is_refused(results[-1]):
            break  # what comes after it has to wait
    last = results[-1]
    if len(results) == 1:
        return last
    landed = sum(result.commit is not None for result in results)
    last = replace(last, notes=(f"{landed:,} of {len(todo):,} states landed, oldest first", *last.notes))
    return last if _is_refused(last) else _added_up(last, results)


def _is_refused(result: IngestResult) -> bool:
    """Whether a state did not meet its contract, and is in quarantine."""
    return result.commit is None and not result.nothing_to_do


def _added_up(last: IngestResult, results: Sequence[IngestResult]) -> IngestResult:
    return replace(
        last,
        rows_in=sum(result.rows_in for result in results),
        rows_added=sum(result.rows_added for result in results),
        rows_deleted=sum(result.rows_deleted for result in results),
        new_bytes=sum(result.new_bytes for result in results),
        seconds=sum(result.seconds for result in results),
    )


def plan_states(lake: Lake, request: IngestRequest) -> IngestPlan:
    """Return the plan of the newest state, naming those before it that would land, too."""
    from dataplat.connectors.source import Split
    from dataplat.ingest._ingest import plan_ingest

    todo = pending(lake, request)
    plan = plan_ingest(lake, _pinned(request, todo[-1]))
    before = [Split("", revision.text) for revision in todo[:-1]]
    return replace(plan, splits=(*before, *plan.splits))


def pending(lake: Lake, request: IngestRequest) -> Sequence[Revision]:
    """Return the states that the dataset has not been at, oldest first; where there is none, the one that it is at.

    Raises:
        SourceError: The table's history has not got the state that was landed last.
    """
    text = str(request.source)
    location = locate(text)
    assert location is not None
    found = revisions(text, history=request.history)
    held = Target.at(lake.objects, lake.refs.head(request.branch).commit, request.into).positions()
    at = (held.get(location.source) or {}).get("revision")
    ids = [revision.id for revision in found]
    if at is None or (at not in ids and (len(found) == 1 or location.is_range)):
        return found
    if at not in ids:
        raise SourceError(
            f"{request.into} was read up to {at[:12]} of {location.place}, which its history does not hold (any more): "
            "name the states to land, as in @A..B"
        )
    return found[ids.index(at) + 1 :] or [found[ids.index(at)]]


def _pinned(request: IngestRequest, revision: Revision) -> IngestRequest:
    """Return the request for one state, with the message of who made it."""
    return replace(
        request, source=revision.text, revision=revision, history=False, message=request.message or revision.message
    )
