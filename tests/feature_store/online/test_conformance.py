"""Both online stores do what online stores must."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dataplat.config import Config
from dataplat.feature_store.online.connect import online_store
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.online.store import OnlineStore
from dataplat.testing import online_suite
from servers import RedisServer


class TestLmdb(online_suite.OnlineConformance):
    """In a folder."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[OnlineStore]:
        """Return a new store."""
        made = LmdbStore(tmp_path / "online")
        yield made
        made.close()

    @pytest.fixture
    def again(self, tmp_path: Path) -> Callable[[], OnlineStore]:
        """Return what opens it once more."""
        return lambda: LmdbStore(tmp_path / "online")


class TestRedis(online_suite.OnlineConformance):
    """In one Redis."""

    @pytest.fixture
    def again(self, shared_redis: RedisServer) -> Iterator[Callable[[], OnlineStore]]:
        """Return what opens it once more."""
        lake, made = uuid4().hex, []

        def make() -> OnlineStore:
            made.append(online_store(shared_redis.url, lake, Config()))
            return made[-1]

        yield make
        for each in made:
            each.close()

    @pytest.fixture
    def store(self, again: Callable[[], OnlineStore]) -> OnlineStore:
        """Return a new store."""
        return again()


class TestRedisCluster(online_suite.OnlineConformance):
    """In a cluster of three."""

    @pytest.fixture
    def again(self, redis_nodes: list[RedisServer]) -> Iterator[Callable[[], OnlineStore]]:
        """Return what opens it once more."""
        lake, made = uuid4().hex, []

        def make() -> OnlineStore:
            made.append(online_store(redis_nodes[0].url.replace("redis:", "redis+cluster:"), lake, Config()))
            return made[-1]

        yield make
        for each in made:
            each.close()

    @pytest.fixture
    def store(self, again: Callable[[], OnlineStore]) -> OnlineStore:
        """Return a new store."""
        return again()
