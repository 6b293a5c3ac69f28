"""Schema and rows of one dataset, merged: which rows moved, what the columns become, then the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from dataplat.errors import CommitConflict, IntegrityError
from dataplat.lake.content_id import row_digests
from dataplat.lake.scan import scan, to_table
from dataplat.lake.schema import schema_from_json, stored_in
from dataplat.versioning.merge._conflicts import Conflict, Settlement, json_text
from dataplat.versioning.merge._keyed import merge_keyed
from dataplat.versioning.merge._multiset import merge_multiset
from dataplat.versioning.merge._schema import OTHER, MergedSchema, SchemaMerge, by_stored
from dataplat.versioning.merge._sides import Moved, Sides

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects, Stage
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.merge._edits import RowsMerged
    from dataplat.versioning.merge._selection import Digests, Selection

_ON = ["lane0", "lane1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentMerge:
    """Merges what is in a dataset. `newest` says which side changed the dataset last, `newest_rows` of keys, each row."""

    dataset: str
    base: Manifest
    ours: Manifest
    theirs: Manifest
    objects: Objects
    stage: Stage
    settlement: Settlement
    newest: Callable[[], str]
    newest_rows: Callable[[MergedSchema, Digests], list[str]]

    @property
    def _manifests(self) -> Mapping[str, Manifest]:
        return {"base": self.base, "ours": self.ours, "theirs": self.theirs}

    def merge(self) -> tuple[Manifest, RowsMerged] | None:
        """Return the merged manifest, staged, and what became of the rows; None where a column's conflict is open."""
        moved = Moved.of(self.objects, self.base, self.ours, self.theirs)
        before = len(self.settlement.open)
        schemas = SchemaMerge(
            self.dataset,
            self._manifests,
            self.settlement,
            self.newest,
            lambda stored, dropper: self._changed_cells(moved, stored, dropper),
        )
        merged = schemas.merge()
        if len(self.settlement.open) > before:
            return None
        self._check_recast(merged)
        contested = self._contested(merged)
        if contested:  # the rows decide, once they are there
            loose = [column | ({"nullable": True} if column["name"] in contested else {}) for column in merged.columns]
            merged = replace(merged, columns=loose)
        sides = Sides(
            dataset=self.dataset,
            base=self.base,
            ours=self.ours,
            theirs=self.theirs,
            moved=moved,
            merged=merged,
            objects=self.objects,
            stage=self.stage,
            settlement=self.settlement,
            newest_rows=lambda keys: self.newest_rows(merged, keys),
        )
        rows = merge_keyed(sides) if merged.key else merge_multiset(sides)
        if contested:
            rows = self._forbidding(sides, rows, contested)
        return (self.ours if rows.edit.is_empty else self.ours.apply(rows.edit, self.stage)), rows

    def _changed_cells(self, moved: Moved, stored: str, dropper: str) -> int:
        """Count the rows, in the base and on the other side, whose cell of a dropped column the other side changed."""
        manifest = self._manifests[OTHER[dropper]]
        side = moved.ours if dropper == "theirs" else moved.theirs
        if not (manifest.key and len(side.removed) and len(side.added)):
            return 0
        names = {stored_in(column): column["name"] for column in manifest.schema_json}
        key, name = list(manifest.key), str(names[stored])
        went = self._cells(side.removed, manifest, key, name, "was")
        came = self._cells(side.added, manifest, key, name, "is")
        both = went.join(came, on=_ON)
        return both.filter((pl.col("was0") != pl.col("is0")) | (pl.col("was1") != pl.col("is1"))).height

    def _cells(self, rows: Selection, manifest: Manifest, key: list[str], name: str, prefix: str) -> pl.DataFrame:
        keys = rows.digests(self.objects, manifest.schema, key)
        cells = row_digests(rows.read(self.objects, manifest.schema, [name]))
        return pl.DataFrame(
            {"lane0": keys[:, 0], "lane1": keys[:, 1], f"{prefix}0": cells[:, 0], f"{prefix}1": cells[:, 1]}
        )

    def _contested(self, merged: MergedSchema) -> list[str]:
        """Return the columns to come that may not be null, though on a side they may, or are not there."""
        return [
            str(column["name"])
            for column in merged.columns
            if not column.get("nullable", True)
            and any(self._may_be_null(side, stored_in(column)) for side in ("ours", "theirs"))
        ]

    def _may_be_null(self, side: str, stored: str) -> bool:
        column = by_stored(self._manifests[side].schema_json).get(stored)
        return column is None or bool(column.get("nullable", True))

    def _forbidding(self, sides: Sides, rows: RowsMerged, names: list[str]) -> RowsMerged:
        """Forbid nulls in these columns, as one side does; where the other brought some it is a conflict to settle.

        Whoever wins, a column that holds a null may be null.
        """
        columns = [dict(column) for column in sides.merged.columns]
        for column in columns:
            name = str(column["name"])
            if name not in names:
                continue
            nulls = rows.stays.read(self.objects, sides.schema, [name]).column(0).null_count
            nulls += to_table(self.objects, rows.edit.add, sides.schema, columns=[name]).column(0).null_count
            if nulls:
                self._settle_nulls(column, nulls)
            column["nullable"] = bool(nulls)
        edit = replace(rows.edit, schema_json=None if columns == self.ours.schema_json else columns)
        return replace(rows, edit=edit)

    def _settle_nulls(self, column: Mapping[str, object], nulls: int) -> None:
        texts = {}
        for side, manifest in self._manifests.items():
            there = by_stored(manifest.schema_json).get(stored_in(column))
            shown = None if there is None else {"nullable": there.get("nullable", True)}
            texts[side] = None if shown is None else json_text(shown | ({"nulls": nulls} if shown["nullable"] else {}))
        conflict = Conflict(
            dataset=self.dataset,
            kind="column",
            column=str(column["name"]),
            base=texts["base"],
            ours=texts["ours"],
            theirs=texts["theirs"],
        )
        self.settlement.settle(conflict, self.newest)

    def _check_recast(self, merged: MergedSchema) -> None:
        """Raise unless the rows of a side whose type was not taken can be read as the type that was."""
        schema = schema_from_json(merged.columns)
        names = {stored_in(column): str(column["name"]) for column in merged.columns}
        for stored, side in merged.recast:
            manifest = self._manifests[side]
            try:
                for _ in scan(self.objects, manifest.parts(), schema, columns=[names[stored]]):
                    pass
            except IntegrityError as error:
                raise CommitConflict(
                    f"dataset {self.dataset!r}: column {names[stored]!r} cannot become what was chosen, since rows of {side} "
                    f"do not fit: {error}. Nothing moved; choose the other side, or change the column there first."
                ) from error
