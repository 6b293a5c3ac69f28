"""Tasks whose answer is known: mixed in among the others, they show who answers rightly; who does not gets no more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import BadColumn, LabelConfigError, LabelError
from dataplat.labeling.tables import schema

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat._version import Version

_ENOUGH: Final = 5
"""Gold tasks that somebody has to have answered before they are judged."""


def gold_tasks(state: State, known: Sequence[str]) -> pa.Table:
    """Return gold tasks that the queue does not have yet: what rows of `gold` ask, with the right result in `expected`.

    Raises:
        BadColumn: There is no column of answers.
        LabelError: Two rows ask the same and have different answers, or one has an answer that nobody can give.
    """
    if state.spec.gold is None:
        return schema("tasks").empty_table()
    import pyarrow as pa

    from dataplat._labels._tasks import collected

    gold = state.referred(state.spec.gold)
    tasks, expected, held = collected(state, gold, None), _expected(state, gold), set(known)
    names = [None if task in held else expected.get(task) for task in tasks["task"].to_pylist()]
    right = pa.array(names, pa.string())
    return tasks.append_column("expected", right).filter(right.is_valid())


@dataclass(frozen=True, slots=True)
class Judged:
    """How well people answer gold tasks.

    Attributes:
        scores: the share that each annotator answered rightly; who answered none is not there. Where regions are asked
            for, a task counts by how many of them were found, and not too many (F1).
        paused: who answers too few rightly to be asked more, once they have answered enough to tell.
    """

    scores: dict[str, float]
    paused: tuple[str, ...]


def judged(state: State) -> Judged:
    """Judge those who answered gold tasks."""
    found = _answers(state)
    scores = {name: sum(right) / len(right) for name, right in found.items()}
    low = (name for name, right in found.items() if len(right) >= _ENOUGH and scores[name] < state.spec.pause_below)
    return Judged(scores, tuple(sorted(low)))


def _expected(state: State, gold: Version) -> dict[str, str]:
    """Return the right result of each task, as JSON."""
    from dataplat.labeling.task import identity_columns, task_ids
    from dataplat.lake.schema import did_you_mean

    column, names = state.spec.answer, gold.schema.names
    if column not in names:
        raise BadColumn(
            f"gold rows of queue {state.name!r} need their answer: {gold.dataset} has no column "
            f"{column!r}{did_you_mean(column, names)}; say which has it with answer= (--answer)"
        )
    identity = identity_columns(state.spec)
    found: dict[str, str] = {}
    for batch in gold.batches(columns=list(dict.fromkeys([*identity, column]))):
        ids = task_ids(batch, identity, state.name).to_pylist()
        for task, answer in zip(ids, batch[column].to_pylist(), strict=True):
            if answer is None:
                continue
            right = _result(state, answer)
            if found.setdefault(task, right) != right:
                raise LabelError(
                    f"gold rows of queue {state.name!r} that look the same have different answers: {answer!r} is one"
                )
    return found


def _result(state: State, answer: Any) -> str:
    """Return the result that an answer is: one that is a result already, or a plain label that the config can give."""
    if isinstance(answer, str) and answer.lstrip().startswith("[{"):
        return answer
    try:
        result = state.config.result_of(answer)
    except LabelConfigError as error:
        raise LabelError(f"gold of queue {state.name!r} has an answer that nobody can give: {error}") from error
    return json.dumps(result, ensure_ascii=False, sort_keys=True)


def truth(state: State) -> dict[str, str]:
    """Return the plain labels that gold tasks are known to have, by task."""
    from dataplat.labeling.consensus.votes import label_in

    rows = state.tasks.select(["task", "stream", "expected"]).to_pylist()
    known = {row["task"]: label_in(row["expected"], state.config.answer) for row in rows if row["stream"] == "gold"}
    return {task: label for task, label in known.items() if label is not None}


def _answers(state: State) -> dict[str, list[float]]:
    """Return how right each answer to a gold task is, 0 to 1, by annotator."""
    import polars as pl

    from dataplat._frames import to_polars
    from dataplat._labels._votes import answers_of_queue
    from dataplat.labeling.consensus.votes import label_in

    tasks = to_polars(state.tasks.select(["task", "stream", "expected"])).filter(pl.col("stream") == "gold")
    if not tasks.height:
        return {}
    expected = dict(zip(tasks["task"], tasks["expected"], strict=True))
    answers = to_polars(answers_of_queue(state)).filter(pl.col("task").is_in(list(expected)))
    found: dict[str, list[float]] = {}
    regions: list[tuple[str, str]] = []
    for task, annotator, label in answers.select("task", "annotator", "label").iter_rows():
        right = label_in(expected[task], state.config.answer)
        if right is None:
            regions.append((task, annotator))
        elif annotator != state.spec.adjudicator:
            found.setdefault(annotator, []).append(float(label == right))
    for annotator, f1 in _of_regions(state, expected, regions):
        found.setdefault(annotator, []).append(f1)
    return found


def _of_regions(state: State, expected: dict[str, str], answered: list[tuple[str, str]]) -> list[tuple[str, float]]:
    """Return of each answer the share of regions that are where they should be, labelled as they should."""
    if not answered:
        return []
    import polars as pl
    import pyarrow as pa

    from dataplat._frames import to_polars
    from dataplat.labeling.agreement import box_agreement, span_agreement
    from dataplat.labeling.answers import read_tasks

    wanted = {task for task, _ in answered}
    items = [
        {
            "id": number,
            "data": {"dataplat_id": task},
            "annotations": [{"id": number, "result": json.loads(expected[task])}],
        }
        for number, task in enumerate(sorted(wanted), 1)
    ]
    right = to_polars(read_tasks(items, state.config, {}).regions).with_columns(annotator=pl.lit(_GOLD))
    rows = to_polars(state.version("regions").to_arrow(where=pl.col("task").is_in(list(wanted))))
    both = pl.concat([right, rows], how="vertical_relaxed").to_arrow()
    people = pa.table(
        {
            "task": [*(task for task, _ in answered), *wanted],
            "annotator": [*(name for _, name in answered), *(_GOLD for _ in wanted)],
        }
    )
    pairs = [to_polars(compare(both, people).pairs) for compare in (span_agreement, box_agreement)]
    sums = pl.concat(pairs).group_by("task", "one", "other").agg(pl.col("regions", "same").sum())
    told = []
    for one, other, regions, same in sums.select("one", "other", "regions", "same").iter_rows():
        if _GOLD in {one, other}:
            told.append((other if one == _GOLD else one, 2 * same / regions if regions else 1.0))
    return told


_GOLD: Final = "\x00gold"
