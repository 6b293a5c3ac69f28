"""A server that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers.features import Running, running, until
from servers.redis import RedisServer

BOUNDS = {"max_body": 60_000, "max_entities": 250, "patience": 1.0, "connections": 64}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server of two workers with small bounds, which tests leave as it is."""
    with running(tmp_path_factory.mktemp("server"), workers=2, **BOUNDS) as found:
        until(found.ready)
        yield found


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory, shared_redis: RedisServer) -> Iterator[Running]:
    """Return the same over a Redis."""
    with running(tmp_path_factory.mktemp("redis-server"), workers=2, online=shared_redis.url, **BOUNDS) as found:
        until(found.ready)
        yield found


@pytest.fixture(params=["server", "redis_server"], ids=["lmdb", "redis"])
def any_server(request: pytest.FixtureRequest) -> Running:
    """Return each of them."""
    found: Running = request.getfixturevalue(request.param)
    return found
