"""Which runs of adjacent parts are worth rewriting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from dataplat.lake.part import Part

_ROOM: Final = 64
"""So many places more than parts, at least, must a run span for its outputs."""


@dataclass(frozen=True, slots=True)
class Target:
    """How large parts should be (bytes of file, rows), and of what share of deleted rows on a part is rewritten."""

    nbytes: int = 64 << 20
    rows: int = 1_048_576
    deleted: float = 0.2

    def is_small(self, part: Part) -> bool:
        """Whether the rows that count would fill less than half a part."""
        return live_bytes(part) < self.nbytes // 2 and part.live < self.rows // 2

    def is_holey(self, part: Part) -> bool:
        """Whether so many rows are deleted that folding them in pays."""
        return part.deleted > self.deleted * part.rows

    def outputs(self, parts: Sequence[Part]) -> int:
        """Return how many parts the rows of `parts` fill, about."""
        nbytes, rows = sum(map(live_bytes, parts)), sum(part.live for part in parts)
        return max(-(-nbytes // self.nbytes), -(-rows // self.rows))


@dataclass(frozen=True, slots=True)
class Run:
    """Adjacent parts to rewrite; places before `end` are free for what is written."""

    parts: tuple[Part, ...]
    end: int

    @property
    def nbytes(self) -> int:
        """Bytes to read."""
        return sum(part.size for part in self.parts)

    @property
    def rows(self) -> int:
        """Rows that count."""
        return sum(part.live for part in self.parts)


def live_bytes(part: Part) -> int:
    """Return about how many bytes the rows that count take."""
    return part.size * part.live // max(part.rows, 1)


def plan_runs(parts: Sequence[Part], next_place: int, target: Target) -> list[Run]:
    """Return the runs among `parts` (all of a version, in order) that a compaction to `target` rewrites.

    Small parts are joined where fewer parts come of it, and parts with many deleted rows are rewritten without
    them. What it makes needs no compaction, so a second plan is empty.
    """
    marked = [target.is_small(part) or target.is_holey(part) for part in parts]
    spans: list[tuple[int, int]] = []
    for due, group in groupby(range(len(parts)), key=marked.__getitem__):
        numbers = list(group)
        if due:
            spans += _worth(parts, numbers[0], numbers[-1] + 1, target)
    return runs_of(parts, next_place, spans)


def _worth(parts: Sequence[Part], start: int, stop: int, target: Target) -> Iterator[tuple[int, int]]:
    span = parts[start:stop]
    if any(map(target.is_holey, span)) or target.outputs(span) < len(span):
        yield start, stop


def runs_of(parts: Sequence[Part], next_place: int, spans: Sequence[tuple[int, int]]) -> list[Run]:
    """Return spans of `parts` as runs; a run without room for new places takes in the parts behind it."""
    runs: list[Run] = []
    done = 0
    for start, stop in spans:
        start, at = max(start, done), stop
        if start >= stop:
            continue
        while at < len(parts) and not _has_room(parts, start, at, next_place):
            at += 1
        if _has_room(parts, start, at, next_place):
            runs.append(Run(tuple(parts[start:at]), _end(parts, at, next_place)))
            done = at
    return runs


def _has_room(parts: Sequence[Part], start: int, stop: int, next_place: int) -> bool:
    return _end(parts, stop, next_place) - parts[start].place > stop - start + _ROOM


def _end(parts: Sequence[Part], stop: int, next_place: int) -> int:
    return parts[stop].place if stop < len(parts) else next_place
