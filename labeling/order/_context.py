"""What an order may look at, as functions that whoever pushes a queue hands in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Rows(Protocol):
    """Rows of a version: what `lake["NAME@REF"]` gives."""

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        ...

    def to_arrow(self, *, columns: Sequence[str] | None = None, where: Any = None) -> pa.Table:
        """Return the rows, of some columns, that meet a predicate."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What scores are taken from.

    Args:
        tasks: ids of the tasks to order; scores come in their order.
        source: the rows that are asked about, those of `where` alone. Several may be one task.
        version: gives the rows that a reference names (`"predictions"`, `"flights@v3"`).
        task_ids: gives the task of each row of a table that has the columns `columns`: the same function that made
            `tasks`.
        columns: the columns by which rows are a task: those shown, and the key.
        asked: ids of tasks that were queued before, of rows that `source` has: diversity keeps away from them.
        changes: gives the rows that versions of a dataset changed (they were there before under the same key, with
            other values), a table for each version, the newest first; None, or None for a dataset, where nobody can
            tell.
    """

    tasks: Sequence[str]
    source: Rows
    version: Callable[[str], Rows]
    task_ids: Callable[[pa.Table], Any]
    columns: tuple[str, ...]
    asked: frozenset[str] = frozenset()
    changes: Callable[[str], Iterable[pa.Table] | None] | None = None
