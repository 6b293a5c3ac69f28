"""Makes queues: the definition is checked against the data before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from dataplat._labels._state import State, referred
from dataplat.errors import AlreadyExists, BadColumn, ConfigError, LabelError, QueueNotFound
from dataplat.labeling.spec import QueueSpec, check_queue_name
from dataplat.labeling.tables import KEYS, Kind, dataset, schema
from dataplat.versioning.references import at_branch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat._lake import Lake

_KINDS: tuple[Kind, ...] = tuple(KEYS)


def create(lake: Lake, spec: QueueSpec, branch: str) -> State:
    """Commit an empty queue, or return the one that is there where it is the same.

    Raises:
        AlreadyExists: There is a queue of that name, defined otherwise, or a dataset has a name that it needs.
        LabelConfigError: The label config does not fit the columns shown.
        BadColumn, DatasetNotFound: A column or reference is not there.
    """
    check(lake, spec, branch)
    try:
        held = State.at_head(lake, spec.name, branch)
    except QueueNotFound:
        pass
    else:
        if held.spec == spec or held.spec == structs.replace(spec, annotators=spec.annotators or held.spec.annotators):
            return held
        raise AlreadyExists(
            f"there is a queue {spec.name!r} already, and it is not the same ({_difference(held.spec, spec)}); open it "
            f"by its name alone, change it with `dataplat label queue set`, or take another name"
        )
    taken = {each.name for each in lake.datasets(branch)} & {dataset(spec.name, kind) for kind in _KINDS}
    if taken:
        raise AlreadyExists(f"a queue {spec.name!r} needs the name {min(taken)!r}, which a dataset has already")
    with lake.transaction(branch, message=f"label queue {spec.name}") as tx:
        for kind in _KINDS:
            rows = definition(spec) if kind == "queue" else schema(kind).empty_table()
            tx.ingest(rows, into=dataset(spec.name, kind), key=KEYS[kind], schema=schema(kind))
    return State.at_head(lake, spec.name, branch)


def change(state: State, **changes: Any) -> State:
    """Commit another definition of a queue: who is asked, how many answer, the config; never what a task is.

    Raises:
        LabelError: The change would make other tasks of the same rows: that is another queue.
    """
    spec = structs.replace(state.spec, **changes)
    for name in ("name", "key"):
        if getattr(spec, name) != getattr(state.spec, name):
            raise LabelError(f"{name} says what a task of queue {spec.name!r} is: make another queue")
    if spec.show != state.spec.show:
        raise LabelError(
            f"queue {spec.name!r} shows {', '.join(state.spec.show)}, and answers were given about these: "
            f"make another queue to show {', '.join(spec.show)}"
        )
    check(state.lake, spec, state.branch)
    if spec != state.spec:
        rows = definition(spec)
        message = f"label queue {spec.name}: {_difference(state.spec, spec)}"
        with state.lake.transaction(state.branch, message=message) as tx:
            state.check_unchanged(tx, "queue")
            tx.ingest(rows, into=dataset(spec.name, "queue"), mode="upsert", key=KEYS["queue"])
    return State.at_head(state.lake, spec.name, state.branch)


def definition(spec: QueueSpec) -> pa.Table:
    """Return the one row of `NAME.queue`."""
    import pyarrow as pa

    return pa.table({"queue": [spec.name], "definition": [spec.to_json()]}, schema=schema("queue"))


def check(lake: Lake, spec: QueueSpec, branch: str) -> None:
    """Raise where a queue cannot be what `spec` says."""
    from dataplat.labeling.config import LabelConfig
    from dataplat.versioning.references import resolve

    check_queue_name(spec.name)
    if spec.overlap < 1:
        raise ConfigError(f"overlap says how many people answer each task: at least 1, not {spec.overlap}")
    if spec.adjudicator in spec.annotators:
        raise ConfigError(
            f"{spec.adjudicator} decides between the others, and is not one of them: take another adjudicator"
        )
    version = referred(lake, spec.source, branch)
    columns = version.schema
    _check_columns(spec.source, columns.names, [*spec.show, *spec.key])
    LabelConfig.from_xml(spec.config).check(columns, spec.show)
    for reference in (spec.gold, *spec.holdout):
        if reference is not None:
            resolve(lake.refs, lake.objects, at_branch(reference, branch), dataset=version.dataset)
    if spec.gold is not None:
        gold = referred(lake, spec.gold, branch, version.dataset)
        _check_columns(f"gold={spec.gold}", gold.schema.names, [*spec.show, *spec.key, spec.answer])
    if spec.where is not None:
        from dataplat.lake.where import parse_where

        parse_where(spec.where, columns)


def _check_columns(source: str, there: Sequence[str], wanted: Sequence[str]) -> None:
    from dataplat.lake.schema import did_you_mean

    for name in wanted:
        if name not in there:
            raise BadColumn(f"{source} has no column {name!r}{did_you_mean(name, there)}; it has {', '.join(there)}")


def _difference(before: QueueSpec, after: QueueSpec) -> str:
    """Return what differs between two definitions, in words."""
    names = [name for name in QueueSpec.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    told = []
    for name in names:
        was, now = getattr(before, name), getattr(after, name)
        told.append(f"another {name}" if name == "config" else f"{name} {was!r} → {now!r}")
    return ", ".join(told)
