"""Who does work that falls into pieces, and what of a lake travels to them."""

from __future__ import annotations

import pickle

import pytest

from dataplat._engine import engine_of
from dataplat.config import Secret
from dataplat.errors import ConfigError
from dataplat.lake.engine import Local, in_runs
from dataplat.lake.memos import Memos, computation_id
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.stores import Address, CachingStore, FileStore, MemoryStore, StoreWrapper, open_store


def sent(what):
    """Return what arrives where something was sent to."""
    return pickle.loads(pickle.dumps(what))  # noqa: S301 - just made


class Elsewhere:
    """An engine whose calls travel, as far as runs are concerned."""

    name = "elsewhere"

    def map(self, function, items):
        """Yield what the function returns."""
        return map(function, items)


def test_results_come_in_the_order_of_items():
    """What comes back stands where the item stood."""
    assert list(Local().map(str, [3, 1, 2])) == ["3", "1", "2"]
    assert list(Local().map(str, [])) == []


def test_an_error_is_raised_as_it_is():
    """What a function raises is what the caller sees."""
    with pytest.raises(ZeroDivisionError):
        list(Local().map(lambda number: 1 // number, [1, 0]))


def test_runs_are_of_neighbours_where_calls_travel():
    """A call that travels takes a few items, one that does not takes them all; none are lost, none of no item."""
    assert in_runs(Local(), [1, 2, 3], 2) == [[1, 2, 3]]
    assert in_runs(Elsewhere(), [1, 2, 3], 2) == [[1, 2], [3]]
    assert in_runs(Local(), [], 2) == in_runs(Elsewhere(), [], 2) == []


def test_names_of_engines(tmp_path):
    """`local` is this process, an engine is itself, and no other name is known."""
    objects = Objects(FileStore(tmp_path))
    assert isinstance(engine_of("local", objects), Local)
    other = Elsewhere()
    assert engine_of(other, objects) is other
    with pytest.raises(ConfigError, match="there is no engine 'dask': it is local or spark"):
        engine_of("dask", objects)


def test_a_lake_in_memory_stays_in_its_process():
    """Machines that cannot see the lake are not asked, and nothing of Spark is started to find out."""
    with pytest.raises(ConfigError, match="known to this process alone"):
        engine_of("spark", Objects(MemoryStore()))


def test_objects_travel_as_an_address(tmp_path):
    """Objects that were sent elsewhere read what lies in the store, and memos what was remembered."""
    store = FileStore(tmp_path / "lake")
    with Stage(store) as stage:
        name = stage.put(b"some bytes", ".bin")
        stage.flush()
    asked = computation_id("test", 1)
    Memos(store).put({"seven": 7}, asked, name)
    assert sent(Objects(store)).read(name, ".bin") == b"some bytes"
    assert sent(Memos(store)).get(asked, name) == {"seven": 7}


def test_what_is_staged_does_not_travel(tmp_path):
    """Others cannot read it, so it is refused before anything is sent."""
    store = FileStore(tmp_path / "lake")
    with Stage(store) as stage, pytest.raises(ConfigError, match="staged"):
        pickle.dumps(Objects(store, stage))


def test_stores_are_opened_once_a_process(tmp_path):
    """All that arrives in a process shares one store, and so its copies and connections."""
    address = Address.of(FileStore(tmp_path))
    assert sent(address).open() is address.open()


def test_a_store_far_away_travels_with_references_to_secrets(monkeypatch):
    """The settings go along; of a secret only where it lies does."""
    monkeypatch.setenv("THE_KEY", "not-to-be-sent")
    settings = {"endpoint_url": "http://127.0.0.1:9", "key": "env:THE_KEY", "secret": "env:THE_KEY", "region": "eu"}
    store = open_store("s3://some-bucket/a/lake", settings)
    assert b"not-to-be-sent" not in pickle.dumps(Address.of(store))
    back = sent(Address.of(store)).open()
    assert isinstance(back, CachingStore)
    assert Address.of(back) == Address.of(store)
    assert dict(Address.of(back).settings)["key"] == Secret("env:THE_KEY", "options: key")


def test_a_store_in_a_wrapper_of_somebody_else_has_no_address(tmp_path):
    """What the wrapper does would be lost on the way, and nobody would notice."""
    with pytest.raises(ConfigError, match="needs a folder or a URL"):
        Address.of(StoreWrapper(FileStore(tmp_path)))
