"""Who does work that falls into pieces: this process, or many machines.

A piece is small and stands for much: a part, an id, a bucket of keys. Whoever works on one reads rows where it is and leaves
what it finds in the lake; what comes back is as small as the piece, never rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

ANSWERS = 1 << 11
"""Answers that one machine takes, of what tasks can add up before."""


class Engine(Protocol):
    """Calls a function for each of many pieces."""

    @property
    def name(self) -> str:
        """What it is called: `local`, `spark`."""
        ...

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield what `function` returns for each item, in their order.

        Function, items and results may travel, so they are pickled where they do; objects of a lake open its store again
        where they arrive. A function may be called twice for an item, and what it leaves in a lake is the same then.
        What one raises is raised here.
        """
        ...


class Local:
    """This process does it, one piece after the other."""

    name = "local"

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield what `function` returns for each item."""
        return map(function, items)


def in_runs(engine: Engine, items: Sequence[T], longest: int) -> list[Sequence[T]]:
    """Return items as runs of neighbours, each worth a call: of `longest` where calls travel, else one of all.

    Of very many items runs are longer, so that there are at most `ANSWERS`: each comes back to one machine.
    """
    if isinstance(engine, Local):
        return [items] if items else []
    longest = max(longest, -(-len(items) // ANSWERS))
    return [items[start : start + longest] for start in range(0, len(items), longest)]
