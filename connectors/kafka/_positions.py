"""Where a partition is read on, and what cannot be read any more. Pure.

A position is a JSON object: `topic_id`; `start` and `end`, the offsets of the range that its commit holds; `epoch`, the
leader epoch of the last record (or null); `records`, how many the range held; `partitions`, how many the topic had then;
and, where records were passed over on purpose, `gap`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dataplat.errors import SourceGap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataplat.connectors.kafka._client import Bounds, Topic
    from dataplat.connectors.source import Position

Why: TypeAlias = Literal["retention", "truncated", "recreated"]
OnGap: TypeAlias = Literal["fail", "mark"]

SOURCE = "kafka:"
"""How the ids of these sources begin."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets from `begin` up to `end` that are not there to be read, and why; `end` may be smaller (another log)."""

    why: Why
    begin: int
    end: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as a position keeps it."""
        return {"why": self.why, "from": self.begin, "to": self.end}


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition is read from, the position that this assumes, and what is missing before it."""

    offset: int
    held: Position | None
    gap: Gap | None = None


def source_id(topic: Topic, partition: int) -> str:
    """Return the id under which the position of a partition is kept."""
    return f"{SOURCE}{topic.cluster}/{topic.name}/{partition}"


def held_of(topic: Topic, positions: Mapping[str, Any]) -> dict[int, Position]:
    """Return the positions of the partitions of `topic` among those of a dataset."""
    prefix = source_id(topic, 0)[:-1]
    return {
        int(source[len(prefix) :]): position
        for source, position in positions.items()
        if source.startswith(prefix) and source[len(prefix) :].isdecimal()
    }


def start_of(topic: Topic, partition: int, bounds: Bounds, held: Mapping[int, Position]) -> Start:
    """Return where a partition is read on, given the positions of all partitions of its topic."""
    position = held.get(partition)
    if position is None:
        known = max((other["partitions"] for other in held.values() if other["topic_id"] == topic.id), default=None)
        came_since = known is not None and partition >= known
        gap = Gap("retention", 0, bounds.earliest) if came_since and bounds.earliest > 0 else None
        return Start(bounds.earliest, None, gap)
    end = position["end"]
    if position["topic_id"] != topic.id:
        return Start(bounds.earliest, position, Gap("recreated", end, bounds.earliest))
    if bounds.earliest > end:
        return Start(bounds.earliest, position, Gap("retention", end, bounds.earliest))
    if bounds.end < end:
        return Start(bounds.end, position, Gap("truncated", end, bounds.end))
    return Start(end, position)


def cut_back_to(start: Start, offset: int) -> Start:
    """Return where a partition is read on whose log was cut back to `offset`: what came since stands from there on."""
    assert start.gap is not None
    return replace(start, offset=offset, gap=replace(start.gap, end=offset))


def refuse(topic: Topic, partition: int, gap: Gap) -> SourceGap:
    """Return the error for a gap that nobody has said to pass over."""
    where = f"{topic.name}[{partition}]"
    what = {
        "retention": f"its records from offset {gap.begin:,} up to {gap.end:,} are gone: retention has deleted them "
        "before they were read",
        "truncated": f"it was read up to offset {gap.begin:,}, and ends at {gap.end:,} now: its log was truncated",
        "recreated": f"the topic was deleted and made again (its id is {topic.id} now): it was read up to offset "
        f"{gap.begin:,} of the old one, and the new one begins at {gap.end:,}",
    }[gap.why]
    return SourceGap(
        f"{where}: {what}. Nothing was committed. To go on from what there is, and have this written down in the "
        "commit: --on-gap mark"
    )


def marked(topic: Topic, partition: int, gap: Gap) -> str:
    """Return what was written down of a gap, in words."""
    what = {
        "retention": f"offsets {gap.begin:,} up to {gap.end:,} are gone",
        "truncated": f"its log was cut back after offset {gap.begin:,} had been reached; it is read on from {gap.end:,}",
        "recreated": f"the topic was made anew; of the old one nothing from offset {gap.begin:,} on was read, the new one "
        f"begins at {gap.end:,}",
    }[gap.why]
    return f"{topic.name}[{partition}]: a gap is marked: {what}"


def moved(topic: Topic, start: Start, end: int, *, records: int, epoch: int | None) -> dict[str, Any]:
    """Return the position of a partition that was read from `start` up to `end`."""
    position = {
        "topic_id": topic.id,
        "start": start.offset,
        "end": end,
        "epoch": epoch,
        "records": records,
        "partitions": len(topic.partitions),
    }
    return position if start.gap is None else {**position, "gap": start.gap.to_dict()}
