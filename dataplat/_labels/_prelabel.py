"""What is prefilled: predictions of a dataset, or of a function of the user's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dataplat.errors import BadColumn, ConfigError, LabelError

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State


def prelabels(state: State, tasks: pa.Table) -> pa.Table:
    """Return new tasks with `prediction` (a result as JSON) and `score`, where there is one."""
    import pyarrow as pa

    given = state.spec.prelabel
    if given is None or not tasks.num_rows:
        return tasks
    function = _function(given)
    found = _called(function, given, tasks) if function else _looked_up(state, given)
    config = state.config
    predictions: list[str | None] = []
    scores: list[float | None] = []
    for task in tasks["task"].to_pylist():
        label, score = found.get(task, (None, None))
        if label is None:
            predictions.append(None)
        else:
            result = json.loads(label) if _is_result(label) else label
            predictions.append(
                json.dumps(result if isinstance(result, list) and _regions(result) else config.result_of(result))
            )
        scores.append(score if label is not None else None)
    tasks = tasks.append_column("prediction", pa.array(predictions, pa.string()))
    return tasks.append_column("score", pa.array(scores, pa.float64()))


def _function(given: str) -> Callable[[dict[str, Any]], Any] | None:
    """Return the function that `FILE.py:NAME` names; None where it is a reference."""
    file, colon, name = given.rpartition(":")
    if not colon or not file.endswith(".py"):
        return None
    import runpy
    from pathlib import Path

    if not Path(file).is_file():
        raise ConfigError(f"prelabel {given}: there is no file {file}")
    there = runpy.run_path(file)
    if not callable(there.get(name)):
        raise ConfigError(f"prelabel {given}: {file} has no function {name}")
    function: Callable[[dict[str, Any]], Any] = there[name]
    return function


def _called(
    function: Callable[[dict[str, Any]], Any], given: str, tasks: pa.Table
) -> dict[str, tuple[Any, float | None]]:
    found = {}
    for task, data in zip(tasks["task"].to_pylist(), tasks["data"].to_pylist(), strict=True):
        row = json.loads(data)
        try:
            answer = function(row)
        except Exception as error:
            raise LabelError(f"prelabel {given} failed on {data[:200]}: {type(error).__name__}: {error}") from error
        label, score = answer if isinstance(answer, tuple) else (answer, None)
        found[task] = (label, score)
    return found


def _looked_up(state: State, given: str) -> dict[str, tuple[Any, float | None]]:
    """Join predictions to tasks: by the columns that identify a task, or by the source's key."""
    from dataplat._labels._rows import tasks_of

    predictions = state.referred(given)
    names = predictions.schema.names
    column = next((name for name in ("result", "label", "prediction") if name in names), None)
    if column is None:
        raise BadColumn(f"{given} has no column label, prediction or result to prefill; it has {', '.join(names)}")
    score = next((name for name in ("score", "confidence") if name in names), None)
    rows = tasks_of(state, predictions, [column] if score is None else [column, score])
    scores: Iterable[Any] = [None] * rows.num_rows if score is None else rows[score].to_pylist()
    return {
        task: (label, None if points is None else float(points))
        for task, label, points in zip(rows["task"].to_pylist(), rows[column].to_pylist(), scores, strict=True)
    }


def _is_result(label: Any) -> bool:
    return isinstance(label, str) and label[:1] in {"[", "{"}


def _regions(result: list[Any]) -> bool:
    return all(isinstance(item, dict) and "type" in item for item in result)
