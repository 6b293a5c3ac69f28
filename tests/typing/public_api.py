# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# (pyarrow has no types of its own)
"""What a type checker tells a user of the public names. Read by `make check` (pyright, strictly), never run."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_type

import polars as pl
import pyarrow as pa

import dataplat as dp

lake = dp.open("path", create=False)
assert_type(lake, dp.Lake)
assert_type(lake.id, str)
assert_type([(item.name, item.rows, item.nbytes) for item in lake.datasets()], list[tuple[str, int, int]])

version = lake["orders@v1"]
assert_type(version, dp.Version)
assert_type(version.rows, int)
assert_type(version.key, tuple[str, ...])
assert_type(version.created, datetime)
assert_type(version.content_id, str)
assert_type(version.content_id_if_known, str | None)
assert_type(version.to_arrow(columns=["a"], where="a > 1"), pa.Table)
assert_type(version.to_polars(where=pl.col("a") > 1), pl.DataFrame)
assert_type(version.batches(1000), Iterator[pa.RecordBatch])

result = lake.ingest("orders.csv", into="orders", key=["order"], mode="upsert")
assert_type(result, dp.IngestResult)
assert_type(result.version, dp.Version | None)
assert_type(result.rows_added, int)
assert_type(lake.plan_ingest("orders.csv", into="orders").lines(), list[str])

diff = lake.diff("orders@v1", "orders")
assert_type(diff, dp.Diff)
assert_type(diff.summary.added, int)
assert_type(diff.changed, pa.Table)

query = lake.sql('select * from "orders@v1"')
assert_type(query, dp.Query)
assert_type(query.commit(into="copy"), dp.IngestResult)
assert_type(lake.delete("orders", where="a = 1"), dp.IngestResult)
assert_type(lake.rollback("orders@main~1"), dp.Version)
assert_type(lake.verify().ok, bool)

try:
    lake["nope"]
except dp.DatasetNotFound as error:
    assert_type(error, dp.DatasetNotFound)
