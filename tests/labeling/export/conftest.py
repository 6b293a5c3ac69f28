"""The answers of the real editor, as the tables of a queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataplat.labeling.answers import read_tasks
from dataplat.labeling.config import LabelConfig
from dataplat.labeling.tables import schema

EDITOR = Path(__file__).parents[1] / "editor"


def queue(tasks: list[dict[str, Any]], config: LabelConfig) -> dict[str, Any]:
    """Return what an export takes, from tasks as a server lists them."""
    read = read_tasks(tasks, config, {1: "ada", 2: "bob"})
    rows = []
    for at, task in enumerate(tasks):
        data = {name: value for name, value in task["data"].items() if name != "dataplat_id"}
        rows.append({"task": task["data"]["dataplat_id"], "position": at, "stream": "fixed", "data": json.dumps(data)})
    asked = pa.Table.from_pylist(rows, schema=schema("tasks"))
    return {"tasks": asked, "annotations": read.annotations, "regions": read.regions, "config": config}


@pytest.fixture
def edited() -> Callable[[str], dict[str, Any]]:
    """Return a function that gives the answers of one project of the editor."""

    def read(name: str) -> dict[str, Any]:
        tasks = json.loads((EDITOR / f"{name}.tasks.json").read_bytes())["tasks"]
        return queue(tasks, LabelConfig.from_xml((EDITOR / f"{name}.xml").read_text()))

    return read


@pytest.fixture
def asked() -> Callable[..., dict[str, Any]]:
    """Return a function that makes a queue of a config and of (data, results) pairs."""

    def make(xml: str, *tasks: tuple[dict[str, Any], list[Any]], **fields: Any) -> dict[str, Any]:
        made = [
            {
                "id": at, "data": data | {"dataplat_id": f"{at:032x}"}, "updated_at": "2026-11-28T01:41:00Z",
                "annotations": [
                    {
                        "id": 100 * at + place, "completed_by": place + 1, "result": result, "lead_time": 2.5,
                        "created_at": "2026-11-28T01:40:00Z", "updated_at": f"2026-11-28T01:40:0{place}Z",
                        "was_cancelled": result == "skip", "ground_truth": False, "project": 1, **fields,
                    }
                    for place, result in enumerate(results)
                ],
            }
            for at, (data, results) in enumerate(tasks)
        ]  # fmt: skip
        return queue(made, LabelConfig.from_xml(xml))

    return make
