"""Each object lies in a store once, also while a collection may yet delete the key that it had."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from dataplat._lake import Lake
from dataplat.lake._object_keys import parse_key


def replace(lake, *keys, dataset="t"):
    """Make these rows the dataset."""
    lake.ingest(rows(*keys), dataset, mode="replace")


def rows(*keys):
    """Return a table of keys."""
    return pa.table({"id": list(keys), "text": [f"x{key}" for key in keys]})


def keys(store):
    """Return the keys of all objects."""
    return {info.key for info in store.list("objects/")}


def doubles(store):
    """Return the objects that lie in a store more than once."""
    found = Counter(map(parse_key, keys(store)))
    return {name: count for name, count in found.items() if count > 1}


def test_what_comes_back_while_its_key_is_condemned_is_stored_once(memory_lake):
    """Far away a key stays condemned for a week; rows that come back, twice, go to one other key, and are counted once."""
    lake = memory_lake
    for at in range(3):
        replace(lake, at * 10, at * 10 + 1)
    lake.keep("main", "1")
    assert lake.gc(grace="0s").done.objects > 0
    gone = keys(lake.store)
    for dataset in ("t", "copy", "t"):
        replace(lake, 10, 11, dataset=dataset)
        assert doubles(lake.store) == {}
    assert [key for key in keys(lake.store) - gone if "~" in key and key.endswith(".parquet")]
    fresh = Lake(lake.store, lake.id, lake.url)
    assert fresh["copy"].to_arrow() == fresh["t"].to_arrow() == rows(10, 11)
    assert fresh.verify().ok
    assert lake.gc(grace="0s").done.definite is False
    replace(lake, 0, 1, dataset="copy")
    assert doubles(lake.store) == {}
