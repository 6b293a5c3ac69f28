"""What people's spans, boxes and outlines come to, task by task, and joined to the rows that were asked about."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dataplat._frames import to_polars
from dataplat._labels._consensus import commit_rows, rows_with
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat.ingest import IngestResult
    from dataplat.labeling.consensus import RegionConsensus

_COLUMNS: Final = ("task", "result", "regions", "disputed", "confidence", "votes")


@dataclass(frozen=True, slots=True)
class QueueRegions:
    """The regions that people agree on, for each task of a queue that somebody answered.

    Attributes:
        found: what `dataplat.labeling.consensus.consensus_regions` found, region by region.
        table: one row a task: `result`, the regions as Label Studio has them (which `--gold` and `--prelabel` read, too;
            `[]` where there are none); how many `regions` that are, and how many are `disputed`; `confidence`, the share
            of the agreed ones of both, 1 where nobody drew any; `votes`, how many people answered.
    """

    found: RegionConsensus
    table: pa.Table
    _state: State

    def rows(self) -> pa.Table:
        """Return one row for each row of the source that was asked about and was answered: its key, and `table`'s columns."""
        return rows_with(self._state, self.table)

    def commit(self, into: str, *, contract: Any = None, message: str | None = None) -> IngestResult:
        """Make the regions of rows the dataset `into`: what it held before and holds no more goes, in one commit."""
        return commit_rows(self._state, self.rows(), into, contract, message or f"regions of queue {self._state.name}")

    def to_dict(self) -> dict[str, Any]:
        """Return what was found of all tasks together as plain values."""
        found = self.found
        counts = {"tasks": self.table.num_rows, "regions": found.table.num_rows, "disputed": found.disputed.num_rows}
        return {"queue": self._state.name, "method": "majority"} | counts | {"left_out": found.left_out}


def region_consensus(state: State, method: str) -> QueueRegions:
    """Find the regions that most people drew.

    Raises:
        ConfigError: The method is one of plain labels.
    """
    import polars as pl
    import pyarrow as pa

    from dataplat.labeling.consensus import consensus_regions
    from dataplat.labeling.consensus.votes import last_words
    from dataplat.labeling.tables import schema

    if method != "majority":
        raise ConfigError(f"regions are agreed on by majority; {method} weighs plain labels, which nobody is asked for")
    answers = to_polars(state.annotations.to_arrow()).filter(~pl.col("task").is_in(state.gold))
    annotations = answers.to_arrow().cast(schema("annotations"))
    found = consensus_regions(state.version("regions").to_arrow(), annotations, adjudicator=state.spec.adjudicator)
    agreed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in found.table.to_pylist():
        agreed[row["task"]].append(row)
    disputed = Counter(found.disputed["task"].to_pylist())
    votes = Counter(last_words(annotations)["task"].to_list())
    rows = [_task(task, agreed[task], disputed[task], count) for task, count in sorted(votes.items())]
    kinds = (pa.string(), pa.string(), pa.int64(), pa.int64(), pa.float64(), pa.int64())
    return QueueRegions(found, pa.Table.from_pylist(rows, pa.schema(list(zip(_COLUMNS, kinds, strict=True)))), state)


def _task(task: str, agreed: list[dict[str, Any]], disputed: int, votes: int) -> dict[str, Any]:
    import msgspec

    result = msgspec.json.encode([_item(row) for row in agreed]).decode()
    share = len(agreed) / (len(agreed) + disputed) if agreed or disputed else 1.0
    return dict(zip(_COLUMNS, (task, result, len(agreed), disputed, share, votes), strict=True))


def _item(row: dict[str, Any]) -> dict[str, Any]:
    """Return a region as an item of a result: as somebody drew it, or, of boxes, the middle of all."""
    import msgspec

    value: dict[str, Any] = msgspec.json.decode(row["value"]) if row["value"] else _percent(row)
    if (row["type"] or "").endswith("labels"):
        value[row["type"]] = row["labels"]
    item = {"id": row["region"]} | {name: row[name] for name in ("from_name", "to_name", "type")} | {"value": value}
    if row["image_width"] is None:
        return item
    return item | {"original_width": row["image_width"], "original_height": row["image_height"], "image_rotation": 0}


def _percent(row: dict[str, Any]) -> dict[str, Any]:
    wide, high = row["image_width"] / 100, row["image_height"] / 100
    return {
        "x": row["x"] / wide,
        "y": row["y"] / high,
        "width": row["width"] / wide,
        "height": row["height"] / high,
        "rotation": row["rotation"],
    }
