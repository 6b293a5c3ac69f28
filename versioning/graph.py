"""The graph of commits: an order in which children come before their parents, and its drawing in lanes, as git has it.

Pure, but for `walk`, which is given a function that loads a commit.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


class _Node(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def parents(self) -> Sequence[str]: ...
    @property
    def time(self) -> int: ...


N = TypeVar("N", bound=_Node)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a drawing: its lanes, and the commit whose line it is (None: edges only)."""

    lanes: str
    commit: str | None = None


def walk(heads: Iterable[N], load: Callable[[str], N], limit: int | None = None) -> list[N]:
    """Return the newest `limit` commits that `heads` reach (None: all), each before its parents."""
    known = {head.id: head for head in heads}
    waiting = [(-node.time, node.id) for node in known.values()]
    heapq.heapify(waiting)
    found: dict[str, N] = {}
    while waiting and (limit is None or len(found) < limit):
        node = known[heapq.heappop(waiting)[1]]
        found[node.id] = node
        for parent in node.parents:
            if parent not in known:
                known[parent] = load(parent)
                heapq.heappush(waiting, (-known[parent].time, parent))
    return list(ordered(found))


def ordered(nodes: Mapping[str, N]) -> Iterator[N]:
    """Yield nodes, each before its parents, otherwise the newest first: hosts whose clocks differ do not matter."""
    children = dict.fromkeys(nodes, 0)
    for node in nodes.values():
        for parent in node.parents:
            if parent in children:
                children[parent] += 1
    ready = [(-nodes[id].time, id) for id, count in children.items() if not count]
    heapq.heapify(ready)
    while ready:
        node = nodes[heapq.heappop(ready)[1]]
        yield node
        for parent in node.parents:
            if parent in children:
                children[parent] -= 1
                if not children[parent]:
                    heapq.heappush(ready, (-nodes[parent].time, parent))


def draw(nodes: Iterable[tuple[str, Sequence[str]]]) -> list[Line]:
    """Return the drawing of (id, parents), given so that each comes before its parents.

    A lane waits for one commit; two columns a lane. Lanes that wait for the same one join above it, a merge opens a
    lane for each further parent. Parents that are not among the nodes leave their lanes open.
    """
    lanes: list[str] = []
    lines: list[Line] = []
    for id, parents in nodes:
        if id not in lanes:
            lanes.append(id)
        at = lanes.index(id)
        for lane in range(len(lanes) - 1, at, -1):
            if lanes[lane] == id:
                lines.append(Line(_joined(len(lanes), at, lane)))
                del lanes[lane]
        lines.append(Line(_text("*" if lane == at else "|" for lane in range(len(lanes))), id))
        if not parents:
            lines.append(Line(_ended(len(lanes), at)))  # else what follows would look like its parent
            del lanes[at]
            continue
        lanes[at] = parents[0]
        for number, parent in enumerate(parents[1:], 1):
            lines.append(Line(_opened(len(lanes), at + number - 1)))
            lanes.insert(at + number, parent)
    return lines[: -1 if lines and lines[-1].lanes == "" else None]


def _text(marks: Iterable[str]) -> str:
    return " ".join(marks).rstrip()


def _joined(count: int, at: int, lane: int) -> str:
    """Draw how a lane joins one to its left; those beyond it move up."""
    text = list(_text("|" for _ in range(count)))
    for between in range(at, lane):
        text[2 * between + 1] = "_"
    text[2 * lane - 1] = "/"
    return _moved(text, lane, count)


def _ended(count: int, at: int) -> str:
    """Draw how the lanes beyond one that ended move up."""
    return _moved(list(_text("|" for _ in range(count))), at, count)


def _moved(text: list[str], gone: int, count: int) -> str:
    text[2 * gone] = " "
    for lane in range(gone + 1, count):
        text[2 * lane - 1], text[2 * lane] = "/", " "
    return "".join(text).rstrip()


def _opened(count: int, at: int) -> str:
    """Draw how a lane opens to the right of one; those beyond it move on."""
    text = ["|" if lane <= at else " " for lane in range(count + 1)]
    gaps = [" " if lane < at else "\\" for lane in range(count)]
    return "".join(mark + gap for mark, gap in zip(text, [*gaps, ""], strict=True)).rstrip()
