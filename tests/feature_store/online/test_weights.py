"""What records take in memory is told from their sizes, and held against real stores."""

from __future__ import annotations

from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from dataplat.feature_store.online import weights
from dataplat.feature_store.online.connect import RedisSettings
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.online.redis_store import RedisStore
from dataplat.feature_store.online.store import Snapshot

SNAPSHOT = Snapshot("s", 0, {}, "c")
SIZES = [(12, 24), (9, 180), (40, 900), (12, 3000), (12, 6700)]


def items(key: int, record: int, count: int = 2000):
    """Return records of about such a size, by key."""
    rng = Random(key + record)
    return [
        (number.to_bytes(key, "big"), rng.randbytes(record + rng.randint(-record // 10, record // 10)))
        for number in range(count)
    ]


@pytest.mark.parametrize(("key", "record"), SIZES)
def test_records_in_lmdb(tmp_path, key, record):
    """Within a tenth of the pages that LMDB itself counts."""
    store = LmdbStore(tmp_path)
    made = items(key, record)
    store.load("space", SNAPSHOT, made)
    taken = store.size("space").nbytes
    store.close()
    told = sum(weights.in_lmdb(len(name), len(value)) for name, value in made)
    assert told == pytest.approx(taken, rel=0.1)


@pytest.mark.parametrize(("key", "record"), SIZES)
def test_records_in_redis(shared_redis, key, record):
    """Within a tenth of what a real Redis needs more with them."""
    store = RedisStore(RedisSettings(shared_redis.host, shared_redis.port), uuid4().hex)
    made = items(key, record, 4000)
    store.load("before", SNAPSHOT, made[:10])  # connections, scripts
    with shared_redis.client() as client:
        before = client.info("memory")["used_memory"]
        store.load("space", SNAPSHOT, made)
        taken = client.info("memory")["used_memory"] - before
    for space in store.spaces():
        store.drop(space)
    store.close()
    told = sum(weights.in_redis(len(name), len(value)) for name, value in made)
    assert told == pytest.approx(taken, rel=0.1)


@pytest.mark.parametrize("kind", [LmdbStore, RedisStore])
def test_stores_say_what_a_record_weighs(kind):
    """So that a plan can ask them, without speaking to one."""
    assert isinstance(kind(Path("/nowhere")) if kind is LmdbStore else kind(RedisSettings("h"), "l"), weights.Weighs)
