"""What people disagree on goes before the one who decides, with what the others said to choose from."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from dataplat._frames import to_polars
from dataplat._heads import anew
from dataplat._labels._state import State
from dataplat.errors import ConfigError, LabelError

if TYPE_CHECKING:
    from dataplat._labels._push import PushRequest, PushResult


def adjudicate(state: State, request: PushRequest, below: float) -> PushResult:
    """Put tasks on which people disagree before the adjudicator.

    Raises:
        ConfigError: `below` is no share.
        LabelError: Nobody decides, who does is one of those who disagree, or the queue is closed.
    """
    from dataplat._labels._push import PushResult

    if not 0 < below <= 1:
        raise ConfigError(f"below is a share of votes, above 0 and at most 1, not {below}")
    result = PushResult(state.name, plan=request.plan)
    anew(lambda: _once(State.at_head(state.lake, state.name, state.branch), request, result, below))
    result.seconds = request.meter.seconds
    return result


def disputed(state: State, below: float) -> list[str]:
    """Return the tasks on which people disagree, in the order of the queue.

    These are tasks of which the most frequent label has less than `below` of the votes, or of which spans or boxes agree
    (F1) less than that.
    """
    import polars as pl

    from dataplat._labels._agreement import answers_of_many, regions_agreement
    from dataplat._labels._votes import answers_of_queue

    answers = answers_of_many(state, answers_of_queue(state))
    votes = to_polars(answers).filter(pl.col("label").is_not_null())
    counts = votes.group_by("task", "label").len().group_by("task").agg(pl.col("len").max() / pl.col("len").sum())
    found = set(counts.filter(pl.col("len") < below)["task"])
    for agreed in regions_agreement(state, answers):
        if agreed is not None:
            found |= set(to_polars(agreed.by_task()).filter(pl.col("f1") < below)["task"])
    return [task for task in state.tasks["task"].to_pylist() if task in found]


def _once(state: State, request: PushRequest, result: PushResult, below: float) -> None:
    import pyarrow as pa

    from dataplat._labels._push import Placing
    from dataplat._labels._tasks import task_payload

    who = _decider(state)
    placing = Placing(state, request, result)
    tasks = state.tasks
    projects = {} if request.plan else placing.prepare([who], tasks)
    there = {each.task for each in placing.placements if each.annotator == who and each.there}
    wanted = [task for task in disputed(state, below) if task not in there][: request.limit]
    if request.plan:
        result.placed[who] = len(wanted)
        return
    at = {task: number for number, task in enumerate(tasks["task"].to_pylist())}
    rows = pa.array([at[task] for task in wanted], pa.int64())
    said = _said(state, wanted)

    def payload(row: dict[str, Any]) -> dict[str, Any]:
        return task_payload(state, row, request.links) | {"predictions": said[row["task"]]}

    request.meter.enter("placing")
    try:
        placing.send(projects[who], who, tasks.take(rows), payload)
    finally:
        placing.commit()


def _decider(state: State) -> str:
    spec = state.spec
    if spec.adjudicator is None:
        raise LabelError(
            f"nobody decides in queue {spec.name!r}: `dataplat label queue set {spec.name} --adjudicator NAME` says who does"
        )
    state.check_open()
    return spec.adjudicator


def _said(state: State, tasks: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what people said of tasks, as predictions that each bear who said it."""
    import polars as pl

    from dataplat._labels._votes import answers_of_queue

    answers = to_polars(answers_of_queue(state)).filter(
        pl.col("task").is_in(tasks), pl.col("annotator") != state.spec.adjudicator
    )
    ids = answers["annotation"].to_list()
    rows = state.annotations.to_arrow(columns=["annotation", "result"], where=pl.col("annotation").is_in(ids))
    results = dict(zip(rows["annotation"].to_pylist(), rows["result"].to_pylist(), strict=True))
    said: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for task, annotator, annotation in answers.select("task", "annotator", "annotation").iter_rows():
        result = json.loads(results[annotation])
        if result:
            said[task].append({"result": result, "model_version": annotator})
    return said
