"""Who said what about a row, and when: the history of the answers, version by version.

Parts are immutable and shared by versions, so each is looked at once, however many versions have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dataplat._frames import to_polars
from dataplat.errors import BadColumn, LabelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

What: TypeAlias = Literal["answered", "changed", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Said:
    """One answer as of one commit.

    Attributes:
        what: whether it was answered, changed or withdrawn then.
        task: what was asked.
        annotator: who.
        label: the plain answer; None where there is none (regions alone, or a skip).
        result: the answer as it came.
        skipped: whether the task was skipped, and `reason` why.
        at: when, by the server.
        commit: the commit that brought it, and `pulled` when that was.
        annotation: the server's id of it.
    """

    what: What
    task: str
    annotator: str | None
    label: str | None
    result: str | None
    skipped: bool
    reason: str | None
    at: datetime | None
    commit: str
    pulled: datetime
    annotation: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def blame(state: State, where: Mapping[str, Any] | str) -> list[Said]:
    """Return all that was said of the tasks that `where` names, the oldest first.

    Raises:
        LabelError: It names no task of the queue.
        BadColumn: The source has no such column.
    """
    tasks = _tasks(state, where)
    before: dict[str, dict[str, Any]] = {}
    told: list[Said] = []
    for commit, pulled, rows in _versions(state, tasks):
        now = {row["annotation"]: row for row in rows}
        for annotation, row in sorted(now.items(), key=lambda item: (str(item[1]["updated_at"]), item[0])):
            held = before.get(annotation)
            if held != row:
                told.append(_said(state, "answered" if held is None else "changed", row, commit, pulled))
        gone = [row for annotation, row in before.items() if annotation not in now]
        told += [_said(state, "withdrawn", row, commit, pulled) for row in gone]
        before = now
    return told


def _tasks(state: State, where: Mapping[str, Any] | str) -> list[str]:
    """Return the tasks that are named: by id, or by values of the source's columns."""
    known = set(state.tasks["task"].to_pylist())
    if isinstance(where, str):
        found = [task for task in known if task.startswith(where)] if len(where) >= 4 else []
    else:
        found = _tasks_of_rows(state, where)
    if len(where) == 0 or not known.intersection(found):
        named = where if isinstance(where, str) else ", ".join(f"{name}={value}" for name, value in where.items())
        raise LabelError(
            f"queue {state.name!r} has no task of {named or 'nothing'}: `dataplat label push` makes them of new rows"
        )
    return sorted(known.intersection(found))


def _tasks_of_rows(state: State, where: Mapping[str, Any]) -> list[str]:

    from dataplat._labels._rows import source_rows
    from dataplat.lake.schema import did_you_mean

    version = state.source
    names = version.schema.names
    for name in where:
        if name not in names:
            raise BadColumn(f"{version.dataset} has no column {name!r}{did_you_mean(name, names)}")
    rows = to_polars(source_rows(state, list(where)))
    asked = [_equal(rows.schema[name], name, value) for name, value in where.items()]
    found: list[str] = rows.filter(*asked)["task"].unique().to_list()
    return found


def _equal(kind: pl.DataType, name: str, value: Any) -> pl.Expr:
    """Return whether a column is a value; a text stands for the value that it writes."""
    import polars as pl

    if value is None:
        return pl.col(name).is_null()
    if not isinstance(value, str) or kind == pl.String:
        return pl.col(name).eq(pl.lit(value))
    if kind.is_temporal() or kind == pl.Boolean:
        return pl.col(name).cast(pl.String).eq(pl.lit(value))
    try:
        return pl.col(name) == pl.Series([value]).cast(kind)
    except pl.exceptions.InvalidOperationError as error:
        raise BadColumn(f"column {name!r} is {kind}, and {value!r} is none") from error


def _versions(state: State, tasks: list[str]) -> Iterator[tuple[str, datetime, list[dict[str, Any]]]]:
    """Yield of each version of the answers, the oldest first, the commit, its time, and the rows about the tasks."""
    from dataplat.versioning.history import moment, versions
    from dataplat.versioning.manifest import load_manifest

    newest = state.annotations
    seen: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for entry in reversed(list(versions(newest.objects, state.commit, newest.dataset))):
        assert entry.change.version is not None
        manifest = load_manifest(newest.objects, entry.change.version)
        rows: list[dict[str, Any]] = []
        for part in manifest.parts():
            if (part.id, part.deletes) not in seen:
                seen[part.id, part.deletes] = _about(state, manifest, part, tasks).to_pylist()
            rows += seen[part.id, part.deletes]
        yield entry.commit.id, moment(entry.commit.time), rows


def _about(state: State, manifest: Manifest, part: Part, tasks: list[str]) -> pa.Table:
    import polars as pl

    from dataplat.lake.scan import to_table
    from dataplat.lake.where import parse_where

    where = parse_where(pl.col("task").is_in(tasks), state.annotations.schema)
    return to_table(state.annotations.objects, [part], manifest.schema, where=where)


def _said(state: State, what: What, row: Mapping[str, Any], commit: str, pulled: datetime) -> Said:
    from dataplat.labeling.consensus.votes import label_in

    return Said(
        what=what,
        task=row["task"],
        annotator=row["annotator"],
        label=None if row["skipped"] else label_in(row["result"], state.config.answer),
        result=row["result"],
        skipped=bool(row["skipped"]),
        reason=row["reason"],
        at=row["updated_at"] or row["created_at"],
        commit=commit,
        pulled=pulled,
        annotation=row["annotation"],
    )
