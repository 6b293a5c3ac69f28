"""The graph of commits: an order that holds whatever the clocks say, and a drawing from which it can be read back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.versioning.graph import Line, draw, ordered, walk


@dataclass(frozen=True)
class Node:
    """A commit by name."""

    id: str
    parents: tuple[str, ...]
    time: int


def drawing(*nodes: tuple[str, list[str]]) -> str:
    """The lines, each with its commit."""
    return "\n".join(f"{line.lanes} {line.commit or ''}".rstrip() for line in draw(nodes))


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([("c", ["b"]), ("b", ["a"]), ("a", [])], "* c\n* b\n* a"),
        (
            [("m", ["b", "x"]), ("x", ["a"]), ("b", ["a"]), ("a", [])],
            "* m\n|\\\n| * x\n* | b\n|/\n* a",
        ),
        (
            [("m", ["b", "y"]), ("n", ["y", "b"]), ("y", ["a"]), ("b", ["a"]), ("a", [])],
            "* m\n|\\\n| | * n\n| | |\\\n| |/ /\n| * | y\n|_|/\n* | b\n|/\n* a",
        ),
        ([("p", ["q"]), ("z", []), ("q", [])], "* p\n| * z\n|\n* q"),
        ([("z", []), ("p", ["q"]), ("q", [])], "* z\n\n* p\n* q"),
        (
            [("p", ["q"]), ("x", ["z"]), ("y", ["q"]), ("z", []), ("q", [])],
            "* p\n| * x\n| | * y\n| * | z\n|  /\n|/\n* q",
        ),
        (
            [("o", ["a", "b", "c"]), ("a", ["r"]), ("b", ["r"]), ("c", ["r"]), ("r", [])],
            "* o\n|\\\n| |\\\n* | | a\n| * | b\n| | * c\n|_|/\n|/\n* r",
        ),
        ([("b", ["out of sight"])], "* b"),
    ],
    ids=["line", "merge", "criss-cross", "two roots", "root first", "a root between", "three parents", "cut off"],
)
def test_drawings(nodes: list[tuple[str, list[str]]], expected: str) -> None:
    """Graphs made by hand look as git draws them."""
    assert drawing(*nodes) == expected


def traced(lines: list[Line]) -> set[tuple[str, str]]:
    """Follow the lanes of a drawing down, as a reader would, and return the edges."""
    edges: set[tuple[str, str]] = set()
    waiting: dict[int, set[str]] = {}  # by column: the children whose edge runs there
    for line in lines:
        if line.commit is not None:
            at = line.lanes.index("*")
            edges |= {(child, line.commit) for child in waiting.get(at, ())}
            assert {2 * n for n in range(len(line.lanes) // 2 + 1)} >= waiting.keys() | {at}
            waiting[at] = {line.commit}
            continue
        moved: dict[int, set[str]] = {}
        for column, children in waiting.items():
            for to in down(line.lanes, column):
                moved.setdefault(to, set()).update(children)
        waiting = moved
    return edges


def down(lanes: str, column: int) -> list[int]:
    """Where an edge goes that comes to a line of edges at `column`."""

    def mark(at: int) -> str:
        return lanes[at] if 0 <= at < len(lanes) else " "

    if mark(column) == "|":
        return [column, column + 2] if mark(column + 1) == "\\" else [column]
    if mark(column + 1) == "\\":
        return [column + 2]
    if mark(column - 1) != "/":
        return []  # it has ended
    to = column - 2
    while mark(to - 1) == "_":
        to -= 2
    return [to]


@st.composite
def graphs(draw_: st.DrawFn) -> list[Node]:
    """Nodes with up to two parents among later ones, each parent younger or older as the clocks of hosts have it."""
    count = draw_(st.integers(1, 14))
    nodes = []
    for n in range(count):
        later = list(range(n + 1, count))
        parents = draw_(st.lists(st.sampled_from(later), max_size=2, unique=True)) if later else []
        nodes.append(Node(str(n), tuple(map(str, parents)), draw_(st.integers(0, 20))))
    return nodes


@settings(deadline=None)
@given(graphs())
def test_a_drawing_says_what_the_graph_is(nodes: list[Node]) -> None:
    """Every edge, and no other, can be followed in the drawing; every commit has one line."""
    lines = draw((node.id, node.parents) for node in nodes)
    assert [line.commit for line in lines if line.commit is not None] == [node.id for node in nodes]
    children = {(node.id, parent) for node in nodes for parent in node.parents}
    assert traced(lines) == children


@settings(deadline=None)
@given(graphs())
def test_children_come_before_parents(nodes: list[Node]) -> None:
    """The order holds whatever times say, and loses nobody."""
    found = [node.id for node in ordered({node.id: node for node in nodes})]
    assert sorted(found) == sorted(node.id for node in nodes)
    assert all(found.index(node.id) < found.index(parent) for node in nodes for parent in node.parents)


def test_a_walk_loads_only_what_it_shows() -> None:
    """Of a long history the newest are loaded, and one parent more."""
    chain = {str(n): Node(str(n), (str(n - 1),) if n else (), n) for n in range(1000)}
    loaded: list[str] = []

    def load(id: str) -> Node:
        loaded.append(id)
        return chain[id]

    assert [node.id for node in walk([chain["999"]], load, 3)] == ["999", "998", "997"]
    assert len(loaded) == 3
    assert len(walk([chain["999"], chain["500"]], load)) == 1000
