"""A column of integers that becomes one of floats, since a value came that is no integer: its rows are written anew.

Integers and floats are different values, so a part keeps its place only with the type that it was written with. That
every integer is a float, too, is proven by making it one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.errors import SchemaMismatch
from dataplat.ingest._commit import full_edit
from dataplat.ingest._target import Target
from dataplat.lake.digest import Digest
from dataplat.lake.objects import Objects
from dataplat.lake.scan import scan
from dataplat.lake.schema import conform, plain_schema
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes import Base, Outcome
from dataplat.versioning.publish import PlannedChange

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.ingest._draft import Draft
    from dataplat.ingest._progress import Meter
    from dataplat.ingest._request import IngestRequest
    from dataplat.versioning.commit import Commit


def may_grow(lake: Lake, request: IngestRequest, key: Sequence[str] | None, name: str) -> bool:
    """Return whether a column of integers of the dataset may become one of floats: reads all of its values.

    Not one of the key, nor one whose type was asked for by a schema or contract.
    """
    target = Target.at(lake.objects, lake.refs.head(request.branch).commit, request.into)
    named = set(key or ()) | set(request.schema.names if request.schema is not None else ())
    named |= set(request.contract.schema.columns if request.contract is not None else ())
    if target.manifest is None or name in named | set(target.manifest.key):
        return name not in named
    manifest = target.manifest
    try:
        for batch in scan(lake.objects, manifest.parts(), manifest.schema, columns=[name]):
            conform(batch, _with_floats(plain_schema(batch.schema), [name]))
    except SchemaMismatch:
        return False
    return True


@dataclass(frozen=True, slots=True)
class GrowStep:
    """Write a dataset anew with some of its columns as floats, as a step; its result is what that did, in words."""

    dataset: str
    names: Sequence[str]
    meter: Meter
    replays: bool = True

    def run(self, draft: Draft) -> str | None:
        """Stage the rows and add the change; None where somebody else has done it.

        Raises:
            SchemaMismatch: An integer is no float.
        """
        manifest = draft.existing(self.dataset).manifest
        assert manifest is not None
        schema = _with_floats(manifest.schema, self.names)
        if schema == manifest.schema:
            return None
        self.meter.enter(f"writing column {', '.join(self.names)} anew as float64")
        objects = Objects(draft.lake.store, draft.stage)
        base = Base(manifest, schema, manifest.key, manifest.sort, objects, draft.stage)
        parts = manifest.parts()
        with base.part_writer() as writer:
            for batch in scan(objects, parts, manifest.schema):
                writer.write(conform(batch, schema))
            added = writer.close()
        edit = ManifestEdit(
            add=tuple(added), drop=tuple(part.place for part in parts), digest=base.grown(Digest(), added)
        )
        change = PlannedChange(
            dataset=self.dataset,
            mode="replace",
            base_version=manifest.id,
            edit=full_edit(base, Outcome(edit, manifest.rows, manifest.rows)),
        )
        draft.add(change)
        return f"column {', '.join(self.names)} is float64 from now on: {manifest.rows:,} rows were written anew"

    def done(self, draft: Draft, result: str | None, made: Commit | None) -> str | None:
        """Return the result."""
        return result


def _with_floats(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Return a schema with some of its columns of integers as float64."""
    import pyarrow as pa

    for name in names:
        index = schema.get_field_index(name)
        if index >= 0 and pa.types.is_integer(schema.field(index).type):
            schema = schema.set(index, schema.field(index).with_type(pa.float64()))
    return schema
