"""Pushed rows that cannot land: the dataset has a row of their key already, they have none, or its columns are others now.

A push cannot know: it does not wait for the lake, and others write to it. Such a row must not keep the others from landing, nor
be lost: it goes into `features.refused`, in the commit in which the others land, and is served no longer from the next snapshot on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from dataplat._features._pushed_names import REFUSED
from dataplat._features._pushed_types import refitted, row_of
from dataplat.errors import SchemaError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from dataplat._transaction import Transaction
    from dataplat._version import Version

_LOG: Final = logging.getLogger("dataplat.features")


def sort_out(version: Version, rows: Sequence[bytes]) -> tuple[pa.Table, list[str | None]]:
    """Return the rows that can land, in the types of their dataset, and of each why it cannot; None: it can."""
    import pyarrow as pa

    told: list[str | None] = [None] * len(rows)
    tables, places = [], []
    for place, row in enumerate(rows):
        table = row_of(row)
        if table.schema != version.schema:
            try:
                table = refitted(version.dataset, version.schema, table)
            except SchemaError as error:
                told[place] = str(error)
                continue
        tables.append(table)
        places.append(place)
    whole = pa.concat_tables([version.schema.empty_table(), *tables])
    fits = _keyed(version, whole)
    for place, fit in zip(places, fits, strict=True):
        if not fit:
            told[place] = "its key is taken, or it has none"
    return whole.filter(pa.array(fits, pa.bool_())), told


def _keyed(version: Version, table: pa.Table) -> list[bool]:
    """Say of each row whether it has a key, the first row of it."""
    import polars as pl
    import polars.selectors as cs

    if not version.key or not table.num_rows:
        return [True] * table.num_rows
    names = list(version.key)
    frame = pl.from_arrow(table.select(names))
    assert isinstance(frame, pl.DataFrame)
    whole = frame.select(pl.all_horizontal(pl.all().is_not_null(), cs.float().is_not_nan())).to_series()
    fresh = frame.select(pl.struct(names).is_first_distinct()).to_series() & whole
    there = pl.from_arrow(version.to_arrow(columns=names, where=_among(frame, names)))
    assert isinstance(there, pl.DataFrame)
    if len(there):
        both = frame.join(there.unique().with_columns(_there=True), on=names, how="left", maintain_order="left")
        fresh &= both["_there"].is_null()
    return fresh.to_list()


def _among(frame: pl.DataFrame, names: list[str]) -> pl.Expr:
    """Return a condition that rows of these keys meet, and few others."""
    import polars as pl

    found = pl.lit(value=True)
    for name in names:
        column = frame[name].drop_nulls()
        if len(column):
            found &= (pl.col(name) >= column.min()) & (pl.col(name) <= column.max())
    return found


def set_aside(tx: Transaction, dataset: str, misfits: Sequence[tuple[str, bytes, str]]) -> None:
    """Keep rows that cannot land: (id, row, why)."""
    import pyarrow as pa

    ids, rows, why = (list(each) for each in zip(*misfits, strict=True))
    table = pa.table({"dataset": [dataset] * len(ids), "id": ids, "row": [_json(row) for row in rows]})
    tx.ingest(table, into=REFUSED, mode="upsert", key=["dataset", "id"])
    for reason in dict.fromkeys(why):
        _LOG.warning(
            "%d pushed rows of %s did not land: %s; they are in %s", why.count(reason), dataset, reason, REFUSED
        )


def _json(row: bytes) -> str:
    import json

    (told,) = row_of(row).to_pylist()
    return json.dumps(told, default=str, ensure_ascii=False)
