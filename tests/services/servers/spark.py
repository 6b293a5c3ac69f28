"""The real Spark, in this process: one session for all tests of a worker, since it takes half a minute to start."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat._spark._java import java_home
from servers.process import Process, free_port, running

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[3]
_found = importlib.util.find_spec("pyspark")
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""What has a Java start with half of the work, where it is not to run for long."""
WORKERS = ("127.0.0.1", "localhost")
_PATIENCE = 300
"""Seconds that a process of Java may take to serve, where nine others start, too."""
SPARK_HOME = Path("pyspark" if _found is None or _found.origin is None else _found.origin).parent


def quiet(folder: Path) -> dict[str, Any]:
    """Return settings under which Spark leaves nothing outside of `folder`, and serves no pages."""
    return {
        "spark.ui.enabled": False,
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": 4,
        "spark.sql.warehouse.dir": folder / "warehouse",
        "spark.local.dir": folder / "local",
        "spark.driver.extraJavaOptions": " ".join((*QUICK, f"-Dderby.system.home={folder}")),
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


@dataclass(frozen=True)
class SparkServer:
    """Processes of Spark that a driver, or a client, talks to."""

    url: str
    processes: Sequence[Process]


@contextmanager
def spark_cluster(folder: Path) -> Iterator[SparkServer]:
    """Run a standalone cluster: a master, and two workers of one core each, which start executors as processes of their own.

    The workers have hosts of two names, for Spark runs no second attempt of a task where its first one runs.
    """
    page = free_port()

    def master(port: int) -> list[str]:
        return _java("org.apache.spark.deploy.master.Master", "127.0.0.1", port, page)

    def leads(port: int) -> bool:
        return "New state: ALIVE" in _log(folder / "master") and listens(port)

    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        place = running(folder / "master", master, leads, _PATIENCE, _environment(folder / "master"))
        port, process = stack.enter_context(place)
        url = f"spark://127.0.0.1:{port}"
        begun = [pool.submit(stack.enter_context, _worker(folder / host, host, url)) for host in WORKERS]
        yield SparkServer(url, [process, *(each.result()[1] for each in begun)])


def _worker(folder: Path, host: str, master: str) -> AbstractContextManager[tuple[int, Process]]:
    def command(port: int) -> list[str]:
        own = ["--cores", "1", "--memory", "1g", "--work-dir", str(folder / "work")]
        return [*_java("org.apache.spark.deploy.worker.Worker", host, port, free_port()), *own, master]

    def registered(_: int) -> bool:
        return "Successfully registered with master" in _log(folder)

    return running(folder, command, registered, _PATIENCE, _environment(folder))


@contextmanager
def spark_connect(folder: Path) -> Iterator[SparkServer]:
    """Run a server of Spark Connect, whose own Spark is a `local[2]`."""

    def command(port: int) -> list[str]:
        settings = {
            **quiet(folder),
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": port,
        }
        told = [word for name, value in settings.items() for word in ("--conf", f"{name}={_text(value)}")]
        server = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--master", "local[2]"]
        return [str(SPARK_HOME / "bin" / "spark-submit"), *server, *told, "spark-internal"]

    with running(folder, command, listens, _PATIENCE, _environment(folder)) as (port, process):
        yield SparkServer(f"sc://127.0.0.1:{port}", [process])


def listens(port: int) -> bool:
    """Return whether something takes connections on a port of the loopback."""
    with socket.socket() as probe, suppress(OSError):
        probe.settimeout(1)
        probe.connect(("127.0.0.1", port))
        return True
    return False


def _log(folder: Path) -> str:
    return (folder / "log").read_text("utf-8", errors="replace")


def _java(main: str, host: str, port: int, page: int) -> list[str]:
    home = java_home() or (Path(os.environ["JAVA_HOME"]) if os.environ.get("JAVA_HOME") else None)
    java = "java" if home is None else str(home / "bin" / "java")
    opens = ("java.lang", "java.nio", "java.util", "java.net", "java.util.concurrent", "sun.nio.ch")
    opened = [word for name in opens for word in ("--add-opens", f"java.base/{name}=ALL-UNNAMED")]
    settings = {
        "spark.master.rest.enabled": False,
        "spark.rpc.askTimeout": _PATIENCE,
        "spark.worker.timeout": _PATIENCE,
    }
    told = [f"-D{name}={_text(value)}" for name, value in settings.items()]
    place = ["--host", host, "--port", str(port), "--webui-port", str(page)]
    return [java, "-Xmx256m", *QUICK, *opened, *told, "-cp", f"{SPARK_HOME / 'jars'}/*", main, *place]


def _environment(folder: Path) -> dict[str, str]:
    """Return what processes of Spark need beside ours: this Python and this dataplat, and nothing outside of `folder`."""
    return {
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_SCALA_VERSION": "2.13",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_NO_DAEMONIZE": "1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
