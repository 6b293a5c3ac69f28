"""Changes of the columns of a dataset: planned, committed, and planned anew where the branch moved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

from dataplat.errors import BadColumn, ConfigError, DatasetNotFound, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Check
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.modes import Evolution
    from dataplat.versioning.publish import PlannedChange

TypeLike: TypeAlias = "pa.DataType | str | dict[str, Any]"
"""An Arrow type, or how a schema spells one: `"int64"`, `"decimal(10, 2)"`, `{"list": "string"}`."""


@dataclass(frozen=True, slots=True)
class EvolvePlan:
    """What an evolution would do: `changes` in words, the schema before and after (as `Version.schema_json`)."""

    dataset: str
    branch: str
    version: str
    changes: tuple[str, ...]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "dataset": self.dataset,
            "branch": self.branch,
            "version": self.version,
            "changes": list(self.changes),
            "before": self.before,
            "after": self.after,
        }


class EvolveOptions(TypedDict, total=False):
    """What `Lake.evolve` takes; one column may be given as text, instead of a list of it."""

    drop: Sequence[str]
    rename: Mapping[str, str]
    add: Mapping[str, TypeLike] | Sequence[str]
    widen: Mapping[str, TypeLike]
    nullable: Sequence[str]
    required: Sequence[str]
    order: Sequence[str]


def evolution(**given: Unpack[EvolveOptions]) -> Evolution:
    """Return what is asked for as values; raise `ConfigError` for an option that is not there."""
    from dataplat.versioning.modes import Evolution

    unknown = sorted(given.keys() - EvolveOptions.__annotations__.keys())
    if unknown:
        known = ", ".join(sorted(EvolveOptions.__annotations__))
        raise ConfigError(f"evolve has no option {unknown[0]!r}: there are {known}")
    return Evolution(
        drop=_listed(given.get("drop", ())),
        rename=dict(given.get("rename", {})),
        add={name: as_type(kind) for name, kind in _added(given.get("add", ()))},
        widen={name: as_type(kind) for name, kind in given.get("widen", {}).items()},
        nullable=_listed(given.get("nullable", ())),
        required=_listed(given.get("required", ())),
        order=_listed(given.get("order", ())),
    )


def _added(given: Mapping[str, TypeLike] | Sequence[str]) -> Iterable[tuple[str, TypeLike]]:
    return given.items() if isinstance(given, Mapping) else map(column_and_type, _listed(given))


def column_and_type(text: str) -> tuple[str, str]:
    """Return name and type of `gate string`; a name with spaces stands in double quotes: `"the gate" string`."""
    text = text.strip()
    if text.startswith('"'):
        name, _, kind = text[1:].partition('"')
    else:
        name, _, kind = text.partition(" ")
    if not name or not kind.strip():
        raise BadColumn(f"{text!r} is no column with its type: write it as 'gate string' or 'price decimal(10, 2)'")
    return name, kind.strip()


def as_type(kind: TypeLike) -> pa.DataType:
    """Return an Arrow type from one, or from how a schema spells it; nested ones may be JSON text."""
    from dataplat.lake.schema import parse_type

    if isinstance(kind, str) and kind.lstrip().startswith("{"):
        try:
            kind = json.loads(kind)
        except ValueError as error:
            raise BadColumn(f"the type {kind!r} is no JSON: {error}") from error
    try:
        return parse_type(kind) if isinstance(kind, (str, dict)) else kind
    except SchemaError as error:
        raise BadColumn(str(error)) from error


def _listed(names: Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def plan_evolve(lake: Lake, dataset: str, wanted: Evolution, branch: str) -> EvolvePlan:
    """Return what `evolve` would do; reads rows only where statistics cannot tell that a column has no null."""
    from dataplat.lake.schema import plain_columns
    from dataplat.versioning.modes import evolved

    manifest = _head(lake, dataset, branch)
    found = evolved(lake.objects, manifest, wanted)
    after = manifest.schema_json if found.edit.schema_json is None else found.edit.schema_json
    return EvolvePlan(
        dataset, branch, manifest.id, found.changes, plain_columns(manifest.schema_json), plain_columns(after)
    )


def evolve(lake: Lake, dataset: str, wanted: Evolution, branch: str, message: str) -> Version:
    """Commit an evolution and return the version; where it changes nothing, the one that is there."""
    from dataplat.lake.objects import Stage
    from dataplat.versioning.publish import commit

    manifest = _head(lake, dataset, branch)
    change, said = evolve_change(lake.objects, dataset, manifest, wanted)
    if change.edit.is_empty:
        return lake.version(dataset, branch)
    with Stage(lake.store) as stage:
        made = commit(lake.io, branch, [change], stage, message=message or "; ".join(said))
    return lake.version(dataset, branch, made)


def evolve_change(
    objects: Objects, dataset: str, manifest: Manifest, wanted: Evolution
) -> tuple[PlannedChange, tuple[str, ...]]:
    """Return the change that evolves `manifest`, and what it does in words.

    It holds on a head with other rows, where no column that becomes required is null in them; where the columns are
    others, too, it is planned anew.
    """
    from dataplat.versioning.modes import evolved
    from dataplat.versioning.publish import PlannedChange

    found = evolved(objects, manifest, wanted)

    def replan(head: Manifest | None) -> PlannedChange:
        if head is None:
            raise DatasetNotFound(f"dataset {dataset!r} was dropped meanwhile. Nothing was committed.")
        return evolve_change(objects, dataset, head, wanted)[0]

    change = PlannedChange(
        dataset=dataset,
        mode="evolve",
        base_version=manifest.id,
        edit=found.edit,
        recheck=_recheck(objects, found.required) if found.required else None,
        replan=replan,
    )
    return change, found.changes


def _recheck(objects: Objects, required: Sequence[str]) -> Callable[[Manifest], Sequence[Check]]:
    def recheck(after: Manifest) -> Sequence[Check]:
        from dataplat.versioning.modes import refuse_nulls

        refuse_nulls(objects, after.parts(), after.schema, required, after.key)
        return ()

    return recheck


def _head(lake: Lake, dataset: str, branch: str) -> Manifest:
    """Return the dataset as it stands at the head of `branch`."""
    return lake.version(dataset, branch).manifest
