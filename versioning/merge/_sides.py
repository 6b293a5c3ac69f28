"""What a merge of one dataset works on: three manifests, the rows that each side moved, and the schema to come."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from dataplat.lake.schema import schema_from_json, stored_name
from dataplat.versioning.merge._delta import Delta, delta
from dataplat.versioning.merge._schema import by_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from dataplat.lake.objects import Objects, Stage
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.merge._conflicts import Settlement
    from dataplat.versioning.merge._schema import MergedSchema
    from dataplat.versioning.merge._selection import Digests

_NOWHERE: Final = b"\0"
"""A stored name that no part has, since no column can be called so."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Rows that each side took away and brought since the base."""

    ours: Delta
    theirs: Delta

    @classmethod
    def of(cls, objects: Objects, base: Manifest, ours: Manifest, theirs: Manifest) -> Moved:
        """Compare both sides with the base."""
        return cls(delta(objects, base, ours), delta(objects, base, theirs))


@dataclass(frozen=True)
class Sides:
    """One dataset on its way together.

    `newest_rows` says of keys, given by digests, whether theirs touched each last.
    """

    dataset: str
    base: Manifest
    ours: Manifest
    theirs: Manifest
    moved: Moved
    merged: MergedSchema
    objects: Objects
    stage: Stage
    settlement: Settlement
    newest_rows: Callable[[Digests], list[str]]

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema to come, with stored names."""
        return schema_from_json(self.merged.columns)

    def hidden(self, side: str) -> frozenset[str]:
        """Return stored names of columns that stay though `side` dropped them: its rows lack them, whatever its parts hold."""
        return frozenset(stored for stored, dropper in self.merged.kept.items() if dropper == side)

    def seen_by(self, side: str) -> pa.Schema:
        """Return the schema to come for reading rows that `side` wrote: what is hidden from it is null."""
        hidden = self.hidden(side)
        if not hidden:
            return self.schema
        import pyarrow as pa

        veil = {b"stored": _NOWHERE}
        return pa.schema(
            [field.with_metadata(veil) if stored_name(field) in hidden else field for field in self.schema]
        )

    @property
    def key(self) -> list[str]:
        """The key to come."""
        return list(self.merged.key)

    @cached_property
    def lacks(self) -> Mapping[str, frozenset[str]]:
        """By side the columns to come that it has not."""
        found = {}
        for side, manifest in (("base", self.base), ("ours", self.ours), ("theirs", self.theirs)):
            there = by_stored(manifest.schema_json)
            columns = by_stored(self.merged.columns)
            found[side] = frozenset(str(column["name"]) for stored, column in columns.items() if stored not in there)
        return found
