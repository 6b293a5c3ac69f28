"""Tasks whose answer is known, and who answers too few of them rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dataplat.labeling.tables import schema

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat._version import Version


def gold_tasks(state: State, version: Version, known: Sequence[str]) -> pa.Table:
    """Return gold tasks that the queue does not have yet."""
    del version, known
    return schema("tasks").empty_table()


def paused(state: State) -> tuple[str, ...]:
    """Return who answers too few gold tasks rightly to be asked more."""
    del state
    return ()


def scores(state: State) -> dict[str, float]:
    """Return the share of gold tasks that each annotator answered rightly; who answered none is not there."""
    del state
    return {}
