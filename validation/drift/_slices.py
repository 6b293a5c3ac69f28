"""Which of the bins that drift is measured by each value lies in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow.compute as pc

from dataplat.errors import SchemaError
from dataplat.validation.drift._bins import NAN, NULL, RARE, UNSEEN, Bins, bins_of, edges_of
from dataplat.validation.drift._column import Array, Categories, Numbers, alike, column_of, texts_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Slices:
    """Bins with the rows of both sides in each, and of each row of the second side the number of its bin."""

    labels: tuple[str, ...]
    before: Array
    after: Array
    of: Array


def slices_of(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Slices:
    """Return the bins of two columns, fixed by the first, and where each value of the second lies.

    Raises:
        SchemaError: A column is nested, or they are of two kinds.
    """
    sides = alike(column_of(before), column_of(after))
    if sides is None:
        raise SchemaError(f"values of type {before.type} and {after.type} cannot be compared")
    one, two = sides
    bins = bins_of(one, two)
    if isinstance(one, Numbers):
        assert isinstance(two, Numbers)
        of = _of_numbers(after, two, one if len(one.knots) else two, bins)
    else:
        of = _of_texts(texts_of(after, two.kind), one, bins)
    return Slices(bins.labels, bins.before, bins.after, of)


def _of_numbers(values: pa.ChunkedArray, column: Numbers, ground: Numbers, bins: Bins) -> Array:
    """Return bins as they are counted: below the least number of the reference, up to each edge, above the last."""
    ascending = pc.sort_indices(values).to_numpy()  # NaN, then null, come after all numbers
    found = np.full(len(values), bins.labels.index(NULL))
    count = len(column.knots)
    found[ascending[count : count + column.nans]] = bins.labels.index(NAN)
    if count:
        within = 1 + np.searchsorted(edges_of(ground), column.knots, "left")
        found[ascending[:count]] = np.where(column.knots < ground.low, 0, within)
    return found


def _of_texts(values: pl.Series, known: Categories, bins: Bins) -> Array:
    """Return the bin of each value: its own, else that of values that are rare, or that the reference has not."""
    own = bins.labels[:-3]
    rare, unseen, null = (bins.labels.index(name, len(own)) for name in (RARE, UNSEEN, NULL))
    frame = pl.DataFrame({"value": values.cast(pl.String)})
    places = pl.DataFrame({"value": own, "bin": range(len(own))}, schema={"value": pl.String, "bin": pl.Int64})
    seen = known.counts.select(pl.col("value").cast(pl.String), seen=pl.lit(rare, pl.Int64))
    found = frame.join(places, on="value", how="left", maintain_order="left").join(
        seen, on="value", how="left", maintain_order="left"
    )
    bin_ = pl.coalesce("bin", "seen", pl.lit(unseen, pl.Int64))
    return found.select(pl.when(pl.col("value").is_null()).then(null).otherwise(bin_)).to_series().to_numpy()
