"""The part of `Lake` about Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pyspark.sql import SparkSession

    from dataplat._lake import Lake


class Sparking:
    """Methods of `Lake`."""

    def spark(
        self, master: str | None = None, *, extras: Iterable[str] = (), jars: str | Path | None = None, **settings: Any
    ) -> SparkSession:
        """Return a session of Spark that reads and writes this lake: the one that runs, or a new one.

        Args:
            master: `local[4]`, `spark://HOST:PORT`, `yarn`, `k8s://…`; `sc://HOST:PORT` of Spark Connect, whose server has
                dataplat and its jars itself. None: what the environment says, else `local[*]`.
            extras: jars that Spark needs besides those for the lake's own store: "kafka", "s3", "gcs".
            jars: a folder to take jars from (default: that of DATAPLAT_SPARK_JARS); without one they come from Maven Central.
            **settings: Spark's own, without `spark.` and with underscores for dots: `executor_memory="4g"`.

        Raises:
            MissingExtra: pyspark is not installed.
            ConfigError: There is no Java that Spark runs on, no such jar or no such setting.
            EngineError: The session that runs lacks what is asked for, or none could be started.
        """
        from dataplat._spark._session import session
        from dataplat.connectors.spark.jars import extras_of

        wanted = (*extras, *extras_of(cast("Lake", self).url))
        return session(master, extras=wanted, jars=jars, **settings)
