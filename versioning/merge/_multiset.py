"""Rows without a key, three-way, as multisets: there are no conflicts, only counts.

Of a row that is b times in the base, o times in ours and t times in theirs, b − max(b − o, b − t) stay if both took
copies away, else b + (o − b) + (t − b).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from dataplat.versioning.merge._edits import RowEdits, RowsMerged
from dataplat.versioning.merge._selection import Selection

if TYPE_CHECKING:
    from dataplat.versioning.merge._selection import Digests, Rows
    from dataplat.versioning.merge._sides import Sides

_ON = ["lane0", "lane1"]


def merge_multiset(sides: Sides) -> RowsMerged:
    """Return the edit of ours that adds what theirs added on balance, and removes what it removed on balance."""
    edits = RowEdits(sides)
    removed, added = sides.moved.theirs.removed, sides.moved.theirs.added
    if not len(removed):
        return edits.finish(changed=0, exact=True)
    went = _frame(sides, removed)
    came = _frame(sides, added).join(went.select(_ON).unique(), on=_ON, how="semi")
    went, came = _nth(went), _nth(came)
    nth = [*_ON, "nth"]
    edits.leave_theirs(_rows(came.join(went, on=nth, how="semi")))  # it was only written anew
    net = went.join(came, on=nth, how="anti")
    if not net.height:
        return edits.finish(changed=0, exact=True)
    exact = _remove(sides, edits, went, net)
    return edits.finish(changed=0, exact=exact)


def _remove(sides: Sides, edits: RowEdits, went: pl.DataFrame, net: pl.DataFrame) -> bool:
    """Remove from ours what it does not lack already; return whether that is all that theirs removed."""
    wanted = net.group_by(_ON).len("wanted")
    ours = sides.moved.ours
    mine_went = _frame(sides, ours.removed).join(wanted, on=_ON, how="semi")
    mine_came = _frame(sides, ours.added if mine_went.height else Selection()).join(wanted, on=_ON, how="semi")
    lacks = mine_went.group_by(_ON).len("went").join(mine_came.group_by(_ON).len("came"), on=_ON, how="left")
    lacks = lacks.select(*_ON, lacks=pl.max_horizontal(pl.col("went").cast(pl.Int64) - pl.col("came").fill_null(0), 0))
    todo = wanted.join(lacks, on=_ON, how="left").select(
        *_ON, todo=pl.max_horizontal(pl.col("wanted").cast(pl.Int64) - pl.col("lacks").fill_null(0), 0)
    )
    removed = sides.moved.theirs.removed
    there = went.filter(pl.Series(_still_there(sides, removed)))
    first = pl.concat(
        [there.select(*_ON, "row", mine=pl.lit(value=False)), mine_came.select(*_ON, "row", mine=pl.lit(value=True))]
    )
    chosen = _nth(first).join(todo, on=_ON).filter(pl.col("nth") < pl.col("todo"))
    edits.remove(removed.subset(_rows(chosen.filter(~pl.col("mine")))))
    edits.delete_ours(_rows(chosen.filter(pl.col("mine"))))
    return chosen.height == net.height


def _still_there(sides: Sides, removed: Selection) -> np.ndarray:
    """Return which rows that theirs removed lie in ours where the base has them."""
    ours = sides.moved.ours
    gone = {part.place: positions for part, positions in ours.removed.pieces}
    found = [np.empty(0, np.bool_)]
    for part, positions in removed.pieces:
        mask = np.full(len(positions), ours.twin(part) is not None)
        if mask.any() and part.place in gone:
            mask &= ~np.isin(np.asarray(positions.to_array()), np.asarray(gone[part.place].to_array()))
        found.append(mask)
    return np.concatenate(found)


def _frame(sides: Sides, rows: Selection) -> pl.DataFrame:
    digests: Digests = rows.digests(sides.objects, sides.schema, sides.schema.names)
    return pl.DataFrame(
        {"lane0": digests[:, 0], "lane1": digests[:, 1], "row": np.arange(len(digests), dtype=np.int64)}
    )


def _nth(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.int_range(pl.len()).over(_ON).alias("nth"))


def _rows(frame: pl.DataFrame) -> Rows:
    rows: Rows = frame["row"].sort().to_numpy()
    return rows
