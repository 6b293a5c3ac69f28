"""Pushed rows that cannot land: their dataset's columns are others now, they break its contract, or their key is taken.

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
    from dataplat.validation import Contract

TAKEN: Final = "its key is taken, or it has none"
_LOG: Final = logging.getLogger("dataplat.features")


def sort_out(
    version: Version, rows: Sequence[bytes], contract: Contract | None = None
) -> tuple[pa.Table, list[str | None]]:
    """Return the rows that can land, in the types of their dataset, and of each why it cannot; None: it can."""
    import pyarrow as pa

    told: list[str | None] = [None] * len(rows)
    tables = [version.schema.empty_table()]
    for place, row in enumerate(rows):
        table = row_of(row)
        try:
            tables.append(table if table.schema == version.schema else refitted(version.dataset, version.schema, table))
        except SchemaError as error:
            told[place] = str(error)
    whole = pa.concat_tables(tables)
    whole = _without(whole, told, _broken(version, whole, contract))
    return _without(whole, told, [None if fit else TAKEN for fit in _keyed(version, whole)]), told


def _without(table: pa.Table, told: list[str | None], why: Sequence[str | None]) -> pa.Table:
    """Return the rows of which nothing is said, and note down what is said of the others."""
    import pyarrow as pa

    places = [place for place, reason in enumerate(told) if reason is None]
    for place, reason in zip(places, why, strict=True):
        told[place] = reason
    return table.filter(pa.array([reason is None for reason in why], pa.bool_()))


def _broken(version: Version, table: pa.Table, contract: Contract | None) -> list[str | None]:
    """Say of each row what of a contract it breaks; nothing where no single row is to blame."""
    if contract is None or not table.num_rows:
        return [None] * table.num_rows
    (batch,) = table.combine_chunks().to_batches()
    verdict = contract.check_batch(batch, version.key)
    if verdict.ok or verdict.fatal:  # the branch says what it is held to, when the rows are to land
        return [None] * table.num_rows
    failures = iter(verdict.failures.to_pylist())
    return [
        None if good else f"it breaks contract {contract.name}: {next(failures)}" for good in verdict.good.to_pylist()
    ]


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
    table = pa.table({"dataset": [dataset] * len(ids), "id": ids, "row": [_json(row) for row in rows], "why": why})
    tx.ingest(table, into=REFUSED, mode="upsert", key=["dataset", "id"])
    _LOG.warning("%d pushed rows of %s did not land; %s says why", len(ids), dataset, REFUSED)  # no value of them here


def _json(row: bytes) -> str:
    import json

    (told,) = row_of(row).to_pylist()
    return json.dumps(told, default=str, ensure_ascii=False)
