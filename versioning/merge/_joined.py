"""Which rows both sides touched, found by position and by digests of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from dataplat.versioning.merge._selection import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from pyroaring import BitMap

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.merge._selection import Digests, Rows
    from dataplat.versioning.merge._sides import Moved

_ON = ["lane0", "lane1"]


@dataclass(frozen=True, slots=True)
class Touched:
    """Keys that both sides touched, one a row: where each lies, −1 for nowhere.

    `base` counts through `went`, rows of the base that a side removed; `ours` and `theirs` through the rows that the
    sides added, or, where `at_base` of the side is set, the side still has the row of the base.
    """

    went: Selection
    digests: Digests
    base: Rows
    ours: Rows
    theirs: Rows
    ours_at_base: np.ndarray
    theirs_at_base: np.ndarray
    theirs_changed: int

    def __len__(self) -> int:
        return len(self.base)


def touched(objects: Objects, moved: Moved, schema: pa.Schema, key: Sequence[str], kept: frozenset[str]) -> Touched:
    """Find the keys that both sides touched.

    `kept` are the sides that dropped a column which stays: rows that such a side brought count as touched by both,
    since they lack it.
    """
    ours, theirs = moved.ours, moved.theirs
    both = Selection.of(_both_removed(ours.removed, theirs.removed))
    went = theirs.removed if "ours" not in kept else Selection.of(_united(ours.removed, theirs.removed))
    need = bool(len(both)) or (len(ours.added) and len(theirs.added)) or bool(kept)
    if not need and not (len(theirs.removed) and len(theirs.added)):
        return _none(went)
    base = _frame(went.digests(objects, schema, key), "base")
    new = _frame(theirs.added.digests(objects, schema, key), "theirs")
    by_theirs = base if went is theirs.removed else base.filter(_among(_numbers(went, theirs.removed)))
    replaced = by_theirs.join(new, on=_ON).height
    if not need:
        return _none(went, replaced)
    mine = _frame(ours.added.digests(objects, schema, key), "ours")
    in_both = _among(_numbers(went, both))
    old = base.filter(in_both)
    known = old.join(mine, on=_ON, how="left").join(new, on=_ON, how="left")
    inserted = mine.join(new, on=_ON).join(old, on=_ON, how="anti").with_columns(base=pl.lit(-1, pl.Int64))
    columns = [*_ON, "base", "ours", "theirs"]
    found = pl.concat([known.select(columns), inserted.select(columns)])
    found = found.with_columns(ours_at_base=False, theirs_at_base=False)
    for side in sorted(kept):
        found = pl.concat([found, _forced(side, went, moved, base, mine if side == "ours" else new, in_both)])
    return _touched(went, found.with_columns(pl.col("base", "ours", "theirs").fill_null(-1)), replaced)


def _forced(
    side: str, went: Selection, moved: Moved, base: pl.DataFrame, added: pl.DataFrame, in_both: pl.Expr
) -> pl.DataFrame:
    """Return the rows that only `side` replaced; the other still has the row of the base."""
    removed = moved.ours.removed if side == "ours" else moved.theirs.removed
    only = base.filter(_among(_numbers(went, removed)) & ~in_both)
    other = "theirs" if side == "ours" else "ours"
    rows = only.join(added, on=_ON).with_columns(pl.lit(-1, pl.Int64).alias(other))
    at_base = {f"{name}_at_base": pl.lit(name == other) for name in ("ours", "theirs")}
    return rows.select(*_ON, "base", "ours", "theirs").with_columns(**at_base)


def _touched(went: Selection, found: pl.DataFrame, replaced: int) -> Touched:
    return Touched(
        went=went,
        digests=found.select(_ON).to_numpy(),
        base=found["base"].to_numpy(),
        ours=found["ours"].to_numpy(),
        theirs=found["theirs"].to_numpy(),
        ours_at_base=found["ours_at_base"].to_numpy(),
        theirs_at_base=found["theirs_at_base"].to_numpy(),
        theirs_changed=replaced,
    )


def _none(went: Selection, replaced: int = 0) -> Touched:
    empty, no = np.empty(0, np.int64), np.empty(0, np.bool_)
    return Touched(went, np.empty((0, 2), np.uint64), empty, empty, empty, no, no, replaced)


def _among(rows: Rows) -> pl.Expr:
    return pl.col("base").is_in(pl.Series(rows).implode())


def _frame(digests: Digests, row: str) -> pl.DataFrame:
    numbers = np.arange(len(digests), dtype=np.int64)
    return pl.DataFrame({"lane0": digests[:, 0], "lane1": digests[:, 1], row: numbers})


def _both_removed(ours: Selection, theirs: Selection) -> list[tuple[Part, BitMap]]:
    mine = {part.place: positions for part, positions in ours.pieces}
    return [(part, positions & mine[part.place]) for part, positions in theirs.pieces if part.place in mine]


def _united(ours: Selection, theirs: Selection) -> list[tuple[Part, BitMap]]:
    pieces = {part.place: (part, positions) for part, positions in theirs.pieces}
    for part, positions in ours.pieces:
        known = pieces.get(part.place)
        pieces[part.place] = (part, positions if known is None else known[1] | positions)
    return [pieces[place] for place in sorted(pieces)]


def _numbers(whole: Selection, some: Selection) -> Rows:
    """Return the row numbers in `whole` of the rows of `some`, whose parts are among those of `whole`."""
    wanted = {part.place: positions for part, positions in some.pieces}
    found, start = [np.empty(0, np.int64)], 0
    for part, positions in whole.pieces:
        inside = wanted.get(part.place)
        if inside:
            at = np.searchsorted(np.asarray(positions.to_array()), np.asarray(inside.to_array()))
            found.append(at.astype(np.int64) + start)
        start += len(positions)
    return np.concatenate(found)
