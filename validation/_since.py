"""Which blocks a version before does not vouch for."""

from __future__ import annotations

from collections.abc import Collection

from dataplat.validation._memory import Memory
from dataplat.validation.subject import Subject


def came_since(subject: Subject, memory: Memory, asked: str) -> Collection[int]:
    """Return the numbers of the blocks with rows that no version before held when it passed what was `asked`."""
    for version in subject.earlier:
        outcome = memory.whole(version, asked)
        if outcome is not None and outcome.status == "passed":
            new = subject.new_since(version)
            if new is not None:
                return frozenset(new)
    return range(len(subject.blocks))
