"""Drawn histories of both online stores are what dictionaries say."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from hypothesis import settings

from dataplat.config import Config
from dataplat.feature_store.online import lmdb_store
from dataplat.feature_store.online.connect import online_store
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.online.store import OnlineStore
from dataplat.testing.online_machine import OnlineMachine
from servers import RedisServer

MANY = 20 if os.environ.get("DATAPLAT_DEATHS") else 1
BRIEF = settings(max_examples=30 * MANY, stateful_step_count=25, deadline=None)


class LmdbMachine(OnlineMachine):
    """In a folder of its own."""

    def make_store(self) -> OnlineStore:
        """Return a new store."""
        self.folder = TemporaryDirectory()
        return LmdbStore(Path(self.folder.name) / "online")

    def teardown(self) -> None:
        """Remove the folder."""
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


class TestLmdb(LmdbMachine.TestCase):
    """Differences in one transaction."""

    settings = BRIEF


class TestLmdbInLarge(LmdbMachine.TestCase):
    """Differences that are too large for one: a copy is changed."""

    settings = settings(max_examples=15 * MANY, stateful_step_count=25, deadline=None)

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lmdb_store, "IN_MEMORY", 1)
        monkeypatch.setattr(lmdb_store, "BATCH", 300)
        monkeypatch.setattr(lmdb_store, "TOGETHER", 1)


@pytest.fixture
def redis_machine(shared_redis: RedisServer) -> type[OnlineMachine]:
    """Return a machine whose stores are lakes of one Redis."""

    class RedisMachine(OnlineMachine):
        def make_store(self) -> OnlineStore:
            return online_store(shared_redis.url, uuid4().hex, Config())

    return RedisMachine


def test_redis(redis_machine: type[OnlineMachine]) -> None:
    """Redis does what dictionaries do."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(redis_machine, settings=BRIEF)
