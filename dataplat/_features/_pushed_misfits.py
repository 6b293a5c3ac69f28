"""Pushed rows that cannot land: the dataset has a row of their key already, or they have none.

A push cannot know: it does not wait for the lake, and others write to it. Such a row must not keep the others from landing, nor
be lost: it goes into `features.refused`, in the commit in which the others land, and is served no longer from the next snapshot on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat._transaction import Transaction

REFUSED: Final = "features.refused"
_LOG: Final = logging.getLogger("dataplat.features")


def sort_out(store: FeatureStore, dataset: str, table: pa.Table) -> list[bool]:
    """Say of each row whether it can land: whether it has a key, the first row of it."""
    import polars as pl

    version = store.lake.version(dataset, store.branch)
    if not version.key:
        return [True] * table.num_rows
    names = list(version.key)
    frame = pl.from_arrow(table.select(names))
    assert isinstance(frame, pl.DataFrame)
    whole = frame.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
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


def set_aside(tx: Transaction, dataset: str, ids: list[str], rows: list[bytes]) -> None:
    """Keep rows that cannot land."""
    import pyarrow as pa

    text = [_json(row) for row in rows]
    table = pa.table({"dataset": [dataset] * len(ids), "id": ids, "row": text})
    tx.ingest(table, into=REFUSED, mode="append", key=["dataset", "id"])
    _LOG.warning("%d pushed rows of %s did not land: its key is taken; they are in %s", len(ids), dataset, REFUSED)


def _json(row: bytes) -> str:
    import json

    import pyarrow as pa

    (told,) = pa.ipc.open_stream(row).read_all().to_pylist()
    return json.dumps(told, default=str, ensure_ascii=False)
