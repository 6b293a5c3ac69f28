"""Which tasks a query of the Data Manager names, and in which order: the filters that Label Studio's API takes.

After the documentation of `GET /api/tasks/` (https://api.labelstud.io): `{"filters": {"conjunction": "and"|"or",
"items": [{"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": 42}]}, "ordering": ["tasks:id"],
"selectedItems": {"all": false, "included": [1, 2]}}`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from dataplat.testing._label_state import Refused, Task

_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"

_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_or_equal": operator.le,
    "greater": operator.gt,
    "greater_or_equal": operator.ge,
    "in_list": lambda held, asked: held in asked,
    "not_in_list": lambda held, asked: held not in asked,
    "contains": lambda held, asked: str(asked).lower() in str(held).lower(),
    "not_contains": lambda held, asked: str(asked).lower() not in str(held).lower(),
    "in": lambda held, asked: asked["min"] <= held <= asked["max"],
    "not_in": lambda held, asked: not asked["min"] <= held <= asked["max"],
    "empty": lambda held, asked: (not held) == asked,
}


def selected(tasks: Iterable[Task], query: Mapping[str, Any]) -> list[Task]:
    """Return the tasks that a query names, in the order that it asks for (by id, where it asks for none)."""
    kept = [task for task in tasks if _chosen(task, query.get("selectedItems")) and _meets(task, query.get("filters"))]
    ordering = list(query.get("ordering") or ["tasks:id"])
    column = ordering[0].lstrip("-")
    kept.sort(key=lambda task: task.id)
    kept.sort(key=lambda task: _column(task, column), reverse=ordering[0].startswith("-"))
    return kept


def _chosen(task: Task, chosen: Mapping[str, Any] | None) -> bool:
    if chosen is None:
        return True
    if chosen.get("all"):
        return task.id not in (chosen.get("excluded") or [])
    return task.id in (chosen.get("included") or [])


def _meets(task: Task, filters: Mapping[str, Any] | None) -> bool:
    if not filters or not filters["items"]:
        return True
    each = [_holds(task, item) for item in filters["items"]]
    return any(each) if filters["conjunction"] == "or" else all(each)


def _holds(task: Task, item: Mapping[str, Any]) -> bool:
    compare = _COMPARE.get(item["operator"])
    if compare is None:
        raise Refused(400, f"no such operator: {item['operator']}")
    held = _column(task, item["filter"].removeprefix("filter:"))
    if held is None:
        return item["operator"] == "empty" and bool(item["value"])
    return compare(held, _value(item["value"], item["type"]))


def _value(value: Any, kind: str) -> Any:
    if isinstance(value, dict):
        return {name: _value(each, kind) for name, each in value.items()}
    if isinstance(value, list):
        return [_value(each, kind) for each in value]
    if kind == "Number":
        return float(value)
    if kind == "Boolean":
        return str(value).lower() == "true"
    if kind == "Datetime":
        try:
            return datetime.strptime(value, _TIME).replace(tzinfo=UTC)
        except ValueError as error:  # the real one fails so, too
            raise Refused(500, str(error)) from error
    return value


def _column(task: Task, name: str) -> Any:
    name = name.removeprefix("tasks:")
    if name.startswith("data."):
        return task.data.get(name.removeprefix("data."))
    known: dict[str, Callable[[Task], Any]] = {
        "id": lambda task: task.id,
        "inner_id": lambda task: task.inner_id,
        "created_at": lambda task: task.created_at,
        "updated_at": lambda task: task.updated_at,
        "total_annotations": lambda task: sum(not each.was_cancelled for each in task.annotations),
        "cancelled_annotations": lambda task: sum(each.was_cancelled for each in task.annotations),
        "total_predictions": lambda task: len(task.predictions),
        "draft_exists": lambda task: bool(task.drafts),
    }
    if name not in known:
        raise Refused(400, f"the fake knows no column {name!r} of tasks")
    return known[name](task)
