# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# (pyarrow has no types of its own)
"""What a type checker tells a user of the public names. Read by `make check` (pyright, strictly), never run."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_type

import polars as pl
import pyarrow as pa

import dataplat as dp
from dataplat.labeling import cohen_kappa, krippendorff_alpha
from dataplat.validation import Report
from dataplat.validation.drift import DriftReport
from dataplat.validation.profile import Profile

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

profile = version.profile(columns=["a"])
assert_type(profile, Profile)
assert_type(dp.profile("orders.csv"), Profile)
assert_type(lake.drift("orders@v1", "orders", by="a"), DriftReport)
assert_type(dp.drift("before.csv", "after.csv"), DriftReport)
assert_type(version.outliers(), pa.Table)
assert_type(version.validate("contract.py:Orders"), Report)

queue = lake.label_queue("q", "orders", show=["a"], choices=["x", "y"], order=dp.uncertainty("predictions"), overlap=2)
assert_type(queue, dp.LabelQueue)
assert_type(queue.push(limit=10).placed["anna"], int)
assert_type(queue.pull().commit, str | None)
assert_type(queue.status().done, int)
assert_type(queue.agreement().tasks, int)
assert_type(queue.adjudicate(0.7).moved, int)
assert_type(queue.consensus("dawid-skene").table, pa.Table)
assert_type(queue.consensus().commit(into="labels"), dp.IngestResult)
assert_type(queue.accuracy("predictions").low, float)
assert_type([said.label for said in queue.blame({"a": 1})], list[str | None])
assert_type(queue.annotations, dp.Version)
assert_type([each.name for each in lake.label_queues()], list[str])
assert_type(krippendorff_alpha([["a", None], ["a", "b"]], level="nominal"), float)
assert_type(cohen_kappa(["a"], ["b"]), float)

try:
    lake["nope"]
except dp.DatasetNotFound as error:
    assert_type(error, dp.DatasetNotFound)
