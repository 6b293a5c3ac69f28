"""The edit of ours that a merge makes, gathered row by row and turned into parts and bitmaps at the end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyroaring import BitMap

from dataplat.lake._part_open import open_part
from dataplat.lake.deletes import load_deletes, stage_deletes
from dataplat.lake.parts import PartWriter
from dataplat.lake.take import rows_at
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.merge._delta import live_rows
from dataplat.versioning.merge._selection import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat.lake.digest import Digest
    from dataplat.lake.part import Part
    from dataplat.versioning.merge._selection import Rows
    from dataplat.versioning.merge._sides import Sides


@dataclass(frozen=True, slots=True)
class RowsMerged:
    """The edit, and what it does to ours: rows added, removed, and replaced; `merged` were put together of both.

    `stays` are the rows that ours added and keeps.
    """

    edit: ManifestEdit
    stays: Selection
    added: int
    removed: int
    changed: int
    merged: int


class RowEdits:
    """Gathers which rows of ours go, which that theirs brought come along, and which are written anew."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._parts: dict[int, Part] = {}
        self._deletes: dict[int, BitMap] = defaultdict(BitMap)
        self._taken = sides.moved.theirs.added
        self._tables: list[pa.Table] = []

    def remove_theirs(self) -> None:
        """Take from ours the rows of the base that theirs took away, as far as ours still has them."""
        self.remove(self._sides.moved.theirs.removed)

    def remove(self, rows: Selection) -> int:
        """Take these rows of the base from ours, as far as it still has them; return how many those were."""
        ours = self._sides.moved.ours
        gone = {part.place: positions for part, positions in ours.removed.pieces}
        removed = 0
        for part, positions in rows.pieces:
            twin = ours.twin(part)
            if twin is not None:
                there = positions - gone.get(part.place, BitMap())
                removed += len(there)
                self._delete(twin, there)
        return removed

    def delete_ours(self, rows: Rows) -> None:
        """Take from ours rows that it added, by their numbers among those, which ascend."""
        for part, positions in self._sides.moved.ours.added.subset(rows).pieces:
            self._delete(part, positions)

    def leave_theirs(self, rows: Rows) -> None:
        """Leave out rows that theirs added, by their numbers among those, which ascend; called once."""
        self._taken = self._taken.without(rows)

    def write(self, table: pa.Table) -> None:
        """Write rows anew."""
        if table.num_rows:
            self._tables.append(table)

    def finish(self, *, changed: int, exact: bool, merged: int = 0) -> RowsMerged:
        """Return the edit. `exact` says that what each side did to the rows adds up."""
        stays = self._staying()
        removed = sum(map(len, self._deletes.values()))
        anew = self._live_of_ours() if self._is_recast("ours") else self._veiled_of_ours(stays)
        for part, positions in anew:
            self._delete(part, positions)
        deletes, drop = self._deleted()
        whole, pieces = self._taken_parts()
        sides = self._sides
        ours = sides.ours
        written = self._write(anew, pieces)
        brought = sum(part.live for part in (*whole, *written)) - sum(len(rows) for _, rows in anew)
        edit = ManifestEdit(
            add=(*whole, *written),
            deletes=deletes,
            drop=drop,
            schema_json=None if sides.merged.columns == ours.schema_json else sides.merged.columns,
            key=None if sides.merged.key == ours.key else sides.merged.key,
            sort=None if sides.merged.sort == ours.sort else sides.merged.sort,
            gone=sides.merged.gone if whole else (),
            digest=self._digest() if exact else None,
        )
        return RowsMerged(edit, stays, brought - changed, removed - changed, changed, merged)

    def _veiled_of_ours(self, stays: Selection) -> list[tuple[Part, BitMap]]:
        """Return rows that ours wrote before it dropped a column that stays: they lack it, and have to be written anew."""
        hidden = self._sides.hidden("ours")
        return [(part, positions) for part, positions in stays.pieces if positions and self._holds(part, hidden)]

    def _holds(self, part: Part, stored: frozenset[str]) -> bool:
        return bool(stored) and not stored.isdisjoint(open_part(self._sides.objects, part).schema.names)

    def _staying(self) -> Selection:
        pieces = self._sides.moved.ours.added.pieces
        return Selection.of((part, rows - self._deletes.get(part.place, BitMap())) for part, rows in pieces)

    def _delete(self, part: Part, positions: BitMap) -> None:
        if positions:
            self._parts[part.place] = part
            self._deletes[part.place] |= positions

    def _deleted(self) -> tuple[dict[int, tuple[str | None, int]], list[int]]:
        deletes: dict[int, tuple[str | None, int]] = {}
        drop: list[int] = []
        for place, positions in sorted(self._deletes.items()):
            part = self._parts[place]
            gone = load_deletes(self._sides.objects, part) | positions
            if len(gone) == part.rows:
                drop.append(place)
            else:
                deletes[place] = stage_deletes(self._sides.stage, gone)
        return deletes, drop

    def _live_of_ours(self) -> list[tuple[Part, BitMap]]:
        """Return the rows of ours that stay, to be written anew where a column becomes what its parts do not hold.

        A part that is kept would have the digest of its old values, and would not fit later changes of the schema.
        """
        live = ((part, live_rows(self._sides.objects, part)) for part in self._sides.ours.parts())
        return [(part, rows - self._deletes.get(part.place, BitMap())) for part, rows in live]

    def _is_recast(self, side: str) -> bool:
        return any(recast == side for _, recast in self._sides.merged.recast)

    def _taken_parts(self) -> tuple[list[Part], list[tuple[Part, BitMap]]]:
        """Return parts of theirs that come as they are, and rows of those that are half empty, to be written anew."""
        if self._is_recast("theirs"):
            return [], list(self._taken.pieces)
        whole: list[Part] = []
        pieces: list[tuple[Part, BitMap]] = []
        hidden = self._sides.hidden("theirs")
        fresh = self._sides.moved.theirs.fresh
        for part, positions in self._taken.pieces:
            if part.place not in fresh or 2 * len(positions) < part.rows or self._holds(part, hidden):
                pieces.append((part, positions))
            elif len(positions) == part.live:
                whole.append(replace(part, place=-1))
            else:
                gone = BitMap(range(part.rows)) - positions
                whole.append(replace(part.with_deletes(*stage_deletes(self._sides.stage, gone)), place=-1))
        return whole, pieces

    def _write(self, ours: Sequence[tuple[Part, BitMap]], theirs: Sequence[tuple[Part, BitMap]]) -> list[Part]:
        """Write rows of both sides anew, each as its side sees them."""
        sides = self._sides
        if not ours and not theirs and not self._tables:
            return []
        veiled = {part.place for part, _ in sides.moved.ours.added.pieces} if sides.hidden("ours") else set()
        groups = (
            ([piece for piece in ours if piece[0].place not in veiled], sides.schema),
            ([piece for piece in ours if piece[0].place in veiled], sides.seen_by("ours")),
            (theirs, sides.seen_by("theirs")),
        )
        with PartWriter(sides.stage, sides.schema, key=sides.merged.key, sort=sides.merged.sort) as writer:
            for pieces, seen in groups:
                for batch in rows_at(sides.objects, pieces, seen):
                    writer.write(batch)
            for table in self._tables:
                for batch in table.to_batches():
                    writer.write(batch)
            return writer.close()

    def _digest(self) -> Digest | None:
        sides = self._sides
        base, ours, theirs = (manifest.digest for manifest in (sides.base, sides.ours, sides.theirs))
        alike = sides.base.schema_json == sides.ours.schema_json == sides.theirs.schema_json
        if base is None or ours is None or theirs is None or not alike:
            return None
        return ours + (theirs - base)
