"""Sessions of Spark that have what lakes need: a Java, workers that find dataplat, UTC, jars.

    spark = lake.spark("local[4]", executor_memory="4g")

A session that runs already is taken as it is, if it has what is asked for: Spark runs one per process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.connectors.spark.jars import EXCLUDED, EXTRAS, SPARK, check_extras, files_of, packages_of
from dataplat.errors import ConfigError, EngineError, MissingExtra

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_RUNTIME = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timeType.enabled": "true",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "64",
}
"""What a session needs to read lakes well: UTC, times of day, and a few tasks that look at thousands of parts."""


def session(
    master: str | None = None,
    *,
    extras: Iterable[str] = (),
    jars: str | Path | None = None,
    **settings: Any,
) -> SparkSession:
    """Return the session that runs, or build one.

    Args:
        master: `local[N]`, `spark://HOST:PORT`, `yarn`, `k8s://…`, or `sc://HOST:PORT` of Spark Connect. Without one:
            what `spark-submit` or the environment (`SPARK_REMOTE`, too) says, else `local[*]`.
        extras: jars that are needed: "kafka", "s3", "gcs".
        jars: a folder to take jars from; without one DATAPLAT_SPARK_JARS, else Maven Central.
        **settings: Spark's own, `spark.` left out and dots as underscores (`executor_memory="4g"`), or as they are
            (`**{"spark.executor.memory": "4g"}`).

    Raises:
        MissingExtra: pyspark is not installed, or its client alone where no server is named.
        ConfigError: No right Java, a jar that is not there, or a setting that cannot be.
        EngineError: The session that runs lacks what is asked for, or none could be started.
    """
    asked = check_extras(extras)
    wanted = {_setting(name): _value(value) for name, value in settings.items()}
    kinds = pyspark_sessions()
    if master is not None and master.startswith("sc://"):
        return _connected(kinds, master, wanted)
    if master is None and (remote := _remote()) is not None:
        return _set(remote, wanted)
    if master is None and (address := os.environ.get("SPARK_REMOTE", "")).startswith("sc://"):
        return _connected(kinds, address, wanted)
    if _is_client_alone():
        raise MissingExtra(
            "of Spark nothing but the client is installed, and no server is named: say where one is (sc://HOST:PORT), "
            f"or have Spark {SPARK} itself: pip install 'dataplat[spark]'"
        )
    running = kinds.getActiveSession()
    if running is not None and _alive(running):
        return _checked(running, master, asked, wanted)
    return _started(kinds, master, asked, jars, wanted)


def pyspark_sessions() -> type[SparkSession]:
    """Return the class of sessions; raise `MissingExtra` where pyspark is not installed."""
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingExtra(
            f"this needs pyspark {SPARK}: pip install 'dataplat[spark]', or 'dataplat[spark-connect]' for sc:// alone"
        ) from error
    return SparkSession


def _started(
    kinds: type[SparkSession],
    master: str | None,
    extras: tuple[str, ...],
    jars: str | Path | None,
    wanted: dict[str, str],
) -> SparkSession:
    """Build a session, in a process that has none."""
    from dataplat._spark._java import java_home

    home = None if "PYSPARK_GATEWAY_PORT" in os.environ else java_home()
    if home is not None:
        os.environ["JAVA_HOME"] = str(home)
    _let_workers_find_us()
    builder = kinds.builder
    if master is not None:
        builder = builder.master(master)
    if "spark.app.name" not in wanted:
        builder = builder.appName("dataplat")
    for name, value in {**_settings(master), **_jars(extras, jars), **wanted}.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        raise EngineError(f"Spark did not start: {_first_line(error)}") from error


def _settings(master: str | None) -> dict[str, str]:
    """Return what every session of ours has, unless it is told otherwise."""
    settings = {**_RUNTIME, "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"]}
    settings["spark.ui.showConsoleProgress"] = _value(sys.stderr.isatty())  # a bar is nothing for a log file
    if master is not None and master.startswith("local"):  # nobody else has to reach it
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    return settings


def _jars(extras: tuple[str, ...], jars: str | Path | None) -> dict[str, str]:
    """Return the settings that bring the jars of extras."""
    told = {f"spark.hadoop.{name}": value for extra in extras for name, value in EXTRAS[extra].hadoop.items()}
    folder = jars or os.environ.get("DATAPLAT_SPARK_JARS")
    if folder:
        import pyspark

        there = [path.name for path in (Path(pyspark.__file__).parent / "jars").glob("*.jar")]
        files = files_of(Path(folder).expanduser(), extras, there)
        return told | ({"spark.jars": ",".join(str(path.absolute()) for path in files)} if files else {})
    if not extras:
        return {}
    return {**told, "spark.jars.packages": ",".join(packages_of(extras)), "spark.jars.excludes": ",".join(EXCLUDED)}


def _let_workers_find_us() -> None:
    """Have processes of Python that Spark starts be this Python, and import this dataplat."""
    import dataplat

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    ours = str(Path(dataplat.__file__).resolve().parents[1])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if ours not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([ours, *paths])


def _checked(
    running: SparkSession, master: str | None, extras: tuple[str, ...], wanted: Mapping[str, str]
) -> SparkSession:
    """Return the session that runs, made ready for lakes; refuse what it cannot become."""
    context = running.sparkContext
    if master is not None and context.master != master:
        raise EngineError(
            f"a session of Spark runs on {context.master} in this process already, and {master} was asked for: stop it "
            "first (session.stop()), or leave the master out"
        )
    for extra in extras:
        if not has(running, extra):
            raise EngineError(
                f"the session of Spark that runs has no jars for {EXTRAS[extra].what}: stop it and build it anew "
                f"(session.stop(); lake.spark(extras=[{extra!r}])), or start it with {', '.join(EXTRAS[extra].files)}"
            )
    return _set(running, wanted)


def _set(running: SparkSession, wanted: Mapping[str, str]) -> SparkSession:
    """Give a session that runs what lakes need, and what is asked for; refuse what is settled when it starts."""
    for name, value in {**_RUNTIME, **wanted}.items():
        if running.conf.get(name, None) == value:
            continue
        if not running.conf.isModifiable(name):
            raise EngineError(
                f"{name} cannot be set to {value!r} while Spark runs (it is {running.conf.get(name, None)!r}): stop the "
                "session first (session.stop()), or leave the setting out"
            )
        running.conf.set(name, value)
    return running


def _remote() -> SparkSession | None:
    """Return the session of Spark Connect that this thread has, if it has one."""
    connect: Any = sys.modules.get("pyspark.sql.connect.session")
    found: SparkSession | None = None if connect is None else connect.SparkSession.getActiveSession()
    return found


def _connected(kinds: type[SparkSession], master: str, wanted: Mapping[str, str]) -> SparkSession:
    """Return a session of a server somewhere else: its jars and its Java are its own matter."""
    _spare_the_client_a_search()
    builder = kinds.builder.remote(master)
    try:
        return _set(builder.getOrCreate(), wanted)
    except EngineError:
        raise
    except ImportError as error:
        raise MissingExtra(f"{master} needs a client: pip install 'dataplat[spark-connect]' ({error})") from error
    except Exception as error:
        raise EngineError(f"no session of Spark at {master}: {_first_line(error)}") from error


def _is_client_alone() -> bool:
    """Say whether pyspark is that of pyspark-client, which has no Spark of its own."""
    from pyspark.util import is_remote_only

    return bool(is_remote_only())


def _spare_the_client_a_search() -> None:
    """Name a folder of Spark's where only its client is installed: 4.2.0 looks for one, and ends the process without."""
    import pyspark

    if _is_client_alone():
        os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))


def has(running: SparkSession, extra: str) -> bool:
    """Say whether a session that runs in this process has the jars of an extra."""
    jvm: Any = running.sparkContext._jvm  # noqa: SLF001  (pyspark has no other way to ask for a class)
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    try:
        loader.loadClass(EXTRAS[extra].loads)
    except Exception as error:
        if "ClassNotFoundException" in str(error):
            return False
        raise
    return True


def _alive(running: SparkSession) -> bool:
    """Say whether a session still runs: one that was stopped stays the active one."""
    context: Any = running.sparkContext
    return context._jsc is not None and not context._jsc.sc().isStopped()  # noqa: SLF001


def _setting(name: str) -> str:
    if "." not in name:
        name = f"spark.{name.replace('_', '.')}"
    if not name.startswith("spark."):
        raise ConfigError(f"{name!r} is no setting of Spark: its names begin with `spark.`")
    return name


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
