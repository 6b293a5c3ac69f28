"""Makes a training set on Spark in `local[2]`, in a way that is named; the last line is JSON.

python spark_join_sides.py dataplat|window FOLDER SPINE_ROWS LAKE SCRATCH

Both answer what `features_join_sides.py` does: of each of three views two columns of the newest row with `at <= t` and age within
a week. Both write what they answered; ours is a version with its content id. What they answered is told as sums.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

VIEWS = ("a", "b", "c")
WEEK = 7 * 86_400


def session(scratch: Path, **more: Any) -> Any:
    """Return a session that has done a job, with workers that run; `more` settings are those of a peer."""
    from dataplat._spark._session import session as made

    spark = made(
        "local[2]",
        **{
            "spark.ui.enabled": False,
            "spark.driver.memory": "3g",
            "spark.sql.shuffle.partitions": 8,
            "spark.local.dir": scratch / "local",
            "spark.sql.warehouse.dir": scratch / "warehouse",
            **more,
        },
    )
    spark.sparkContext.setLogLevel("ERROR")
    spark.range(1000).mapInArrow(lambda batches: batches, "id long").count()  # by value: workers know no module of here
    return spark


def told(table: Any, begin: float, end: float) -> None:
    """Print how long it took, and what came out."""
    import pyarrow.compute as pc

    figures = {"seconds": end - begin, "answered": 0.0, "sum": 0.0}
    for name in table.schema.names:
        if "__" in name:
            column = table.column(name)
            figures["answered"] += len(column) - column.null_count
            figures["sum"] += pc.sum(column).as_py() or 0.0
    print(json.dumps(figures))


def with_dataplat(folder: Path, rows: int, where: Path, scratch: Path) -> None:
    """Our training set, saved."""
    import pyarrow.parquet as pq

    import dataplat as dp
    from dataplat._spark._engine import SparkEngine

    lake = dp.open(where)
    lake.ingest(pq.read_table(folder / "spine.parquet").slice(0, rows), into="spine", mode="replace")
    engine = SparkEngine(session(scratch))
    entity = dp.Entity("key", "int64")
    views = [
        dp.FeatureView(
            view, source=view, entity=entity, timestamp="at", ttl="7d", features=[f"{view}{each}" for each in (1, 2)]
        )
        for view in VIEWS
    ]
    begin = time.perf_counter()
    made = lake.features.training_set("spine", dp.FeatureService("bench", views), engine=engine)
    made.save("train")
    end = time.perf_counter()
    told(made.table, begin, end)


def with_window(folder: Path, rows: int, scratch: Path) -> None:
    """One union of the spine and all histories, one window by key, the last row of each view that is not null."""
    import pyarrow.parquet as pq

    some = scratch / "spine.parquet"
    pq.write_table(pq.read_table(folder / "spine.parquet").slice(0, rows), some)
    spark = session(scratch)
    from pyspark.sql import Window
    from pyspark.sql import functions as sf

    begin = time.perf_counter()
    nothing = {view: sf.lit(None).cast(f"struct<at:timestamp,{view}1:double,{view}2:double>") for view in VIEWS}
    asked = spark.read.parquet(str(some)).select(
        "key", "t", sf.monotonically_increasing_id().alias("row"), *(each.alias(view) for view, each in nothing.items())
    )
    every = asked
    for view in VIEWS:
        history = spark.read.parquet(str(folder / view))
        own = {**nothing, view: sf.struct("at", f"{view}1", f"{view}2")}
        every = every.union(
            history.select(
                "key",
                sf.col("at").alias("t"),
                sf.lit(None).cast("long").alias("row"),
                *(own[each].alias(each) for each in VIEWS),
            )
        )
    by_time = Window.partitionBy("key").orderBy("t", sf.col("row").asc_nulls_first())
    upto = by_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    found = every.select(
        "key", "t", "row", *(sf.last(view, ignorenulls=True).over(upto).alias(view) for view in VIEWS)
    ).where("row is not null")
    fresh = {view: (sf.unix_seconds("t") - sf.unix_seconds(f"{view}.at")) <= WEEK for view in VIEWS}
    columns = [
        sf.when(fresh[view], sf.col(f"{view}.{view}{each}")).alias(f"{view}__{view}{each}")
        for view in VIEWS
        for each in (1, 2)
    ]
    found.select("key", "t", *columns).write.parquet(str(scratch / "found"))
    end = time.perf_counter()
    told(pq.read_table(scratch / "found"), begin, end)


if __name__ == "__main__":
    what, there, rows, lake, scratch = sys.argv[1:]
    if what == "dataplat":
        with_dataplat(Path(there), int(rows), Path(lake), Path(scratch))
    else:
        with_window(Path(there), int(rows), Path(scratch))
