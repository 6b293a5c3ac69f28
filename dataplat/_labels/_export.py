"""Labels of a queue as others read them: everybody's answers, one person's, or what all come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat._frames import to_polars

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat.labeling.export import Exported, Format

CONSENSUS: Final = "consensus"
"""Whose answers those are that all people's come to."""


def export(state: State, format: Format, folder: str | Path, whose: str | None) -> Exported:
    """Write labels of a queue into a folder, gold tasks left out."""
    import polars as pl

    from dataplat.labeling.export import export as write
    from dataplat.labeling.tables import schema

    annotations, regions = state.annotations.to_arrow(), state.version("regions").to_arrow()
    if whose == CONSENSUS:
        annotations, regions = _consensus(state, annotations, regions)
    tasks = to_polars(state.tasks).filter(pl.col("stream") != "gold")
    asked = tasks["task"].to_list()
    return write(
        format,
        folder,
        tasks=tasks.to_arrow().cast(schema("tasks")),
        annotations=to_polars(annotations).filter(pl.col("task").is_in(asked)).to_arrow().cast(schema("annotations")),
        regions=regions,
        config=state.config,
        annotator=whose,
    )


def _consensus(state: State, annotations: pa.Table, regions: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return one answer for each task: the plain label, and the regions, that people's answers come to."""
    import polars as pl
    import pyarrow as pa

    from dataplat._labels._consensus import consensus
    from dataplat.labeling.consensus import consensus_regions
    from dataplat.labeling.tables import schema

    agreed = consensus_regions(regions, annotations, adjudicator=state.spec.adjudicator).table
    marks = to_polars(agreed.select(schema("regions").names).cast(schema("regions")))
    labels = consensus(state, "majority", None).table
    plain = [_item(state, row["task"], row["label"]) for row in labels.select(["task", "label"]).to_pylist()]
    both = pl.concat([to_polars(pa.Table.from_pylist(plain, schema("regions"))), marks], how="vertical_relaxed")
    said = to_polars(annotations.select(["task", "skipped"])).filter(~pl.col("skipped").fill_null(value=False))
    tasks = said["task"].unique().sort()
    answers = [
        {"annotation": f"{CONSENSUS}/{task}", "task": task, "annotator": CONSENSUS, "result": "[]", "skipped": False}
        for task in tasks
    ]
    return (
        pa.Table.from_pylist(answers, schema("annotations")),
        both.to_arrow().cast(schema("regions")),
    )


def _item(state: State, task: str, label: str) -> dict[str, Any]:
    """Return the item of a plain label, after all regions of its answer."""
    control = state.config.answer
    assert control is not None
    several = control.multiple and "|" in label
    return {
        "annotation": f"{CONSENSUS}/{task}",
        "item": 1 << 20,
        "task": task,
        "annotator": CONSENSUS,
        "from_name": control.name,
        "to_name": ",".join(control.to_name),
        "type": control.type,
        "labels": label.split("|") if several else [label],
        "number": float(label) if control.tag in {"Number", "Rating"} else None,
    }
