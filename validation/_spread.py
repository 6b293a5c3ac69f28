"""Looks at pieces of data where an engine has it done: threads of this process, or tasks elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Final, TypeVar

from dataplat.lake.engine import Local, in_runs
from dataplat.validation._digests import Answer, Piece, in_order
from dataplat.validation._memory import Memory

AT_ONCE: Final = 8
"""Pieces that one call of an engine looks at."""
TOLD: Final = 1 << 24
"""Digests that all tasks together tell at most: of a share that has more of them this process finds them itself."""

R = TypeVar("R")
S = TypeVar("S")


def each(memory: Memory, do: Callable[[Piece], Answer], pieces: Sequence[Piece], threads: int) -> Iterator[Answer]:
    """Yield what `do` makes of each piece, in order; pieces travel without statistics."""
    if is_here(memory):
        return in_order(do, pieces, threads)
    runs = in_runs(memory.engine, bare(pieces), AT_ONCE)
    return chain.from_iterable(memory.engine.map(partial(_of_all, do, threads), runs))


def once(memory: Memory, do: Callable[..., R], *given: Any) -> R:
    """Return what `do` makes of all that is given: in one task, so that rows are read there and not here."""
    (answer,) = memory.engine.map(partial(_called, do), [given])
    return answer


def each_share(
    memory: Memory, look: Callable[[int], R], shares: int, tell: Callable[[R, int], S | None]
) -> Iterator[R | S]:
    """Yield what `look` finds in each share; where it is called elsewhere, what `tell` makes of that to travel.

    It may be so many digests; where `tell` returns None it would be more, and the share is looked at here.
    """
    if is_here(memory):
        yield from map(look, range(shares))
        return
    looked = partial(_told, look, tell, TOLD // shares)
    for number, found in enumerate(memory.engine.map(looked, range(shares))):
        yield look(number) if found is None else found


def is_here(memory: Memory) -> bool:
    """Whether this process reads rows itself."""
    return isinstance(memory.engine, Local)


def bare(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces without their statistics."""
    return [replace(piece, stats={}) for piece in pieces]


def _of_all(do: Callable[[Piece], Answer], threads: int, pieces: Sequence[Piece]) -> list[Answer]:
    return list(in_order(do, pieces, threads))


def _told(look: Callable[[int], R], tell: Callable[[R, int], S | None], most: int, number: int) -> S | None:
    return tell(look(number), most)


def _called(do: Callable[..., R], given: Sequence[Any]) -> R:
    return do(*given)
