"""Positions of sources, three-way: a source may go on where one branch read it, not where both did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataplat.versioning.merge._conflicts import Conflict, Settlement, json_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataplat.versioning._lsm import Read
    from dataplat.versioning.commit import DatasetState, Position


def merge_positions(
    dataset: str,
    states: tuple[DatasetState, DatasetState, DatasetState],
    read: Read,
    settlement: Settlement,
    newest: Callable[[], str],
    *,
    keyed: bool,
    reverting: bool,
) -> dict[str, Position]:
    """Return where sources stand otherwise than in ours (None: as if never read); `states` are base, ours and theirs.

    Where both branches read a source to the same place, a dataset with a key has its rows once, one without twice. A
    revert leaves sources alone that went on since.
    """
    base, _, theirs = states
    if theirs.positions == base.positions:
        return {}
    was, mine, other = (state.load_positions(None, read) for state in states)
    moved: dict[str, Position] = {}
    for source in sorted({*was, *other}):
        before, here, there = was.get(source), mine.get(source), other.get(source)
        if there == before or (reverting and here != before):
            continue
        if here == before:
            moved[source] = there
        elif not (keyed and here == there):
            conflict = Conflict(
                dataset=dataset,
                kind="source",
                column=source,
                base=_text(before),
                ours=_text(here),
                theirs=_text(there),
            )
            if settlement.settle(conflict, newest) == "theirs" and there != here:
                moved[source] = there
    return moved


def _text(position: Any) -> str | None:
    return None if position is None else json_text(position)
