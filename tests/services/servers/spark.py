"""The real Spark, in this process: one session for all tests of a worker, since it takes half a minute to start."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def quiet(folder: Path) -> dict[str, Any]:
    """Return settings under which Spark leaves nothing outside of `folder`, and serves no pages."""
    return {
        "spark.ui.enabled": False,
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": 4,
        "spark.sql.warehouse.dir": folder / "warehouse",
        "spark.local.dir": folder / "local",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder}",
    }


@contextmanager
def spark_session(
    folder: Path, master: str = "local[2]", extras: Sequence[str] = (), **settings: Any
) -> Iterator[SparkSession]:
    """Yield a session whose tasks run in processes of Python of their own, as they do on a cluster."""
    from dataplat._spark._session import session

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    running = session(master=master, extras=extras, **{**quiet(folder), **settings})
    running.sparkContext.setLogLevel("ERROR")
    try:
        yield running
    finally:
        running.stop()
