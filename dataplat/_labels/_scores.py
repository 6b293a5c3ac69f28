"""What an order may look at: the source's rows, other datasets at this branch, what was queued, what was corrected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat._labels._rows import tasks_of
from dataplat.labeling.task import identity_columns, tasks_of_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat._version import Version
    from dataplat.labeling.order import Context, Rows


@dataclass(frozen=True, slots=True)
class _Asked:
    """The rows of the source that are asked about."""

    version: Version
    where: str | None

    @property
    def schema(self) -> pa.Schema:
        return self.version.schema

    def to_arrow(self, *, columns: Sequence[str] | None = None, where: Any = None) -> pa.Table:
        return self.version.to_arrow(columns=columns, where=_both(self.where, where))


@dataclass(frozen=True, slots=True)
class _Keyed:
    """Rows that have the source's key, and not all that identifies a task: they get a column `task`."""

    state: State
    version: Version

    @property
    def schema(self) -> pa.Schema:
        import pyarrow as pa

        return self.version.schema.append(pa.field("task", pa.string()))

    def to_arrow(self, *, columns: Sequence[str] | None = None, where: Any = None) -> pa.Table:
        wanted = self.version.schema.names if columns is None else [name for name in columns if name != "task"]
        return tasks_of(self.state, self.version, wanted, where)


def context(state: State, tasks: Sequence[str]) -> Context:
    """Return what the scores of `tasks` are taken from."""
    from dataplat.labeling.order import Context

    columns = identity_columns(state.spec)

    return Context(
        tasks=tasks,
        source=_Asked(state.source, state.spec.where),
        version=lambda reference: _rows(state, reference),
        task_ids=lambda table: tasks_of_rows(table, columns, state.name),
        columns=columns,
        asked=frozenset(state.tasks["task"].to_pylist()),
        changes=lambda reference: _changes(state, reference),
    )


def _rows(state: State, reference: str) -> Rows:
    """Return the rows that a reference names, with their tasks where only the source's key says which they are."""
    found, key = state.referred(reference), state.source.key
    there = set(found.schema.names)
    told = "task" in there or there.issuperset(identity_columns(state.spec))
    return _Keyed(state, found) if not told and key and there.issuperset(key) else found


def _changes(state: State, reference: str) -> Iterable[pa.Table] | None:
    """Return the rows that each version of a dataset changed, the newest version first; None where it has no key."""
    newest = state.referred(reference)
    return _changed_rows(newest) if newest.key else None


def _changed_rows(newest: Version) -> Iterator[pa.Table]:
    import pyarrow as pa

    from dataplat.versioning.diff import Diff
    from dataplat.versioning.history import versions
    from dataplat.versioning.manifest import load_manifest

    for entry in versions(newest.objects, newest.found_at, newest.dataset):
        base, made = entry.change.base, entry.change.version
        if base is None or made is None:
            return
        sides = (load_manifest(newest.objects, side) for side in (base, made))
        changed = Diff(newest.objects, *sides).changed
        if changed.num_rows:
            after = changed.column(len(newest.key) + 2)  # the key, what differs, the rows before, the rows after
            yield pa.Table.from_struct_array(after)


def _both(one: str | None, other: Any) -> Any:
    """Return the condition that both are."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(other, str):
        return f"({one}) and ({other})"
    import polars as pl

    return pl.sql_expr(one) & other
