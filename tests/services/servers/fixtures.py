"""Fixtures of the servers, for tests/conftest.py to name: each one runs as long as its worker does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from servers.browser import chromium
from servers.gcs import GcsServer, fake_gcs
from servers.hdfs import HdfsServer, hdfs
from servers.kafka import KafkaServer, kafka
from servers.label_studio import LabelStudio, run_label_studio
from servers.process import Server
from servers.proxy import Proxy
from servers.redis import RedisServer, redis_cluster, redis_server
from servers.registry import Registry
from servers.s3 import S3Server, moto, versitygw
from servers.spark import SparkServer, spark_session
from servers.spark import spark_cluster as run_cluster
from servers.spark import spark_connect as run_connect

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from pyspark.sql import SparkSession

SERVERS = frozenset(
    {
        "browser",
        "gcs_server",
        "hdfs_server",
        "kafka_server",
        "label_studio",
        "moto_server",
        "own_kafka",
        "own_redis",
        "redis_nodes",
        "s3_server",
        "shared_redis",
        "spark_cluster",
        "spark_connect",
        "spark",
    }
)
FOLDERS = ("tests/server/", "tests/services/", "tests/stores/", "tests/lake/stores/", "tests/feature_store/online/")
"""Where every test talks to processes that it started."""
FORGIVEN = 8
"""Tests of servers that may fail once in a run."""


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Return a versitygw that this worker's tests share: each makes a bucket of its own, none kills it."""
    with versitygw(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Return a moto that this worker's tests share."""
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """Return a fake-gcs-server that this worker's tests share."""
    with pytest.MonkeyPatch.context() as patch, fake_gcs(tmp_path_factory.mktemp("gcs")) as server:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="session")
def hdfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsServer]:
    """Return a NameNode and DataNode; tests that ask for it are marked so that one worker runs them all."""
    with hdfs(tmp_path_factory.mktemp("hdfs")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Return a broker that tests share: each makes topics of its own, none kills it; one worker runs them all."""
    with kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def mortal_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Return a broker that tests of this worker kill one after another; ask for `own_kafka`."""
    with kafka(tmp_path_factory.mktemp("mortal-kafka")) as server:
        yield server


@pytest.fixture
def own_kafka(mortal_kafka: KafkaServer) -> Iterator[KafkaServer]:
    """Return a broker that one test at a time may kill, pause and start again; after it the broker serves again."""
    yield mortal_kafka
    mortal_kafka.resume()
    if not mortal_kafka.serves:
        mortal_kafka.start()


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Return a schema registry of this test's own."""
    with Registry() as serving:
        yield serving


@pytest.fixture
def proxy_to() -> Iterator[Callable[[Server], Proxy]]:
    """Return a function that puts a proxy before a server."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(Proxy(server.host, server.port))


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    """Return a Label Studio that tests share: each makes projects and accounts of its own; one worker runs them all."""
    with run_label_studio(tmp_path_factory.mktemp("label-studio")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a Redis that this worker's tests share: each has a lake of its own, none kills it."""
    with redis_server(tmp_path_factory.mktemp("redis"), fsync="no") as server:
        yield server


@pytest.fixture(scope="session")
def mortal_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a Redis that tests of this worker kill one after another; ask for `own_redis`."""
    with redis_server(tmp_path_factory.mktemp("mortal-redis")) as server:
        yield server


@pytest.fixture
def own_redis(mortal_redis: RedisServer) -> Iterator[RedisServer]:
    """Return a Redis that one test at a time may kill, pause and start again; after it Redis serves again."""
    yield mortal_redis
    mortal_redis.resume()
    if not mortal_redis.serves:
        mortal_redis.start()


@pytest.fixture(scope="session")
def redis_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    """Return the nodes of a cluster that tests share; one worker runs them all."""
    with redis_cluster(tmp_path_factory.mktemp("redis-cluster")) as nodes:
        yield nodes


def one_worker(items: list[pytest.Item]) -> None:
    """Give every test that needs HDFS to the same worker, and so with others that are too slow to be started twice."""
    slow = (
        ("hdfs_server", "hdfs"),
        ("kafka_server", "kafka"),
        ("label_studio", "label_studio"),
        ("redis_nodes", "redis_cluster"),
        ("spark", "spark"),
        ("spark_cluster", "spark"),
        ("spark_connect", "spark"),
    )
    for item in items:
        for fixture, group in slow:
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Return a Spark of two cores that tests share; one worker runs them all."""
    with spark_session(tmp_path_factory.mktemp("spark")) as session:
        yield session


@pytest.fixture(scope="session")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkServer]:
    """Return a standalone cluster of Spark: a master and two workers."""
    with run_cluster(tmp_path_factory.mktemp("spark-cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def spark_connect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkServer]:
    """Return a server of Spark Connect."""
    with run_connect(tmp_path_factory.mktemp("spark-connect")) as server:
        yield server


def asked_again(items: list[pytest.Item]) -> None:
    """Ask a test of a real server once more where it failed, and say so: two cores that nine processes share are late.

    No other test is: what fails now and then within one process is a defect. More than `FORGIVEN` such tests fail the
    run whatever the second answers were, and `make proofs` asks everything once (`DATAPLAT_ASKED_ONCE`).
    """
    if os.environ.get("DATAPLAT_ASKED_ONCE"):
        return
    for item in items:
        used = set(getattr(item, "fixturenames", ())) & SERVERS
        if used or item.nodeid.startswith(FOLDERS):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a headless Chromium that the tests of a module share: each opens pages of its own."""
    with chromium() as found:
        yield found
