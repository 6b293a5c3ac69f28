"""Which labels differ between two versions of a dataset of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat._frames import to_polars
from dataplat._listing import reference_to
from dataplat.errors import BadColumn

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake


@dataclass(frozen=True, slots=True)
class LabelDiff:
    """What differs between two versions of labels.

    Attributes:
        column: the column that holds them.
        added: rows that have a label now, and had none.
        removed: rows that had one.
        rows: those whose label is another: the key, `before`, `after`.
        moves: how often each label became which: `before`, `after`, `rows`, the most frequent first.
    """

    column: str
    added: int
    removed: int
    rows: pa.Table
    moves: pa.Table

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "column": self.column,
            "added": self.added,
            "removed": self.removed,
            "changed": self.rows.num_rows,
            "moves": self.moves.to_pylist(),
        }


def label_diff(lake: Lake, before: str, after: str, column: str = "label") -> LabelDiff:
    """Compare the labels of two versions, row by row.

    Raises:
        BadColumn: There is no such column, or the dataset has no key, by which rows are the same.
    """
    import polars as pl

    from dataplat.lake.schema import did_you_mean

    diff = lake.diff(before, after)
    older = lake[before]
    newer = lake[reference_to(older.dataset, after)] if after.startswith("@") else lake[after]
    for version in (older, newer):
        if column not in version.schema.names:
            hint = did_you_mean(column, version.schema.names)
            raise BadColumn(f"{version.dataset} has no column {column!r}{hint}; say which holds the labels")
    if not diff.key:
        raise BadColumn(f"{newer.dataset} has no key, so nobody knows which rows are the same: ingest it with one")
    rows = to_polars(diff.changed)
    sides = rows.columns[-2:]  # the rows before and after, whatever the key is called
    was, now = (pl.col(side).struct.field(column).alias(name) for side, name in zip(sides, _SIDES, strict=True))
    told = rows.select(*diff.key, was, now).filter(pl.col("before").ne_missing(pl.col("after")))
    moves = told.group_by(_SIDES).agg(rows=pl.len()).sort("rows", *_SIDES, descending=[True, False, False])
    return LabelDiff(column, diff.summary.added, diff.summary.removed, told.to_arrow(), moves.to_arrow())


_SIDES = ["before", "after"]
