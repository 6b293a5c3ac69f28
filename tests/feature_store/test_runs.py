"""Facts that are remembered: what is read is what was kept, or nothing."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import xxhash

import dataplat as dp
from dataplat.feature_store import runs as module
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.runs import Runs, computation

TABLE = pa.table(
    {
        "k": ["a", "b", None, "a"],
        "at": pa.array([4, 3, 2, 1], pa.timestamp("us", "UTC")),
        "x": [1.0, None, float("nan"), 2.0],
        "tags": [["p"], None, [], ["q", None]],
    }
)


def view(**options):
    """Return a view of the table."""
    given = {"source": "s", "entity": dp.Entity("k"), "timestamp": "at", "ttl": None, "features": ["x", "tags"]}
    return dp.FeatureView("v", **(given | options))


@pytest.mark.parametrize("options", [{}, {"row_key": ["x"]}, {"entity": None}])
def test_what_is_read_is_what_was_kept(tmp_path, options):
    """Every array and column, with rows that have no key, and events."""
    runs, own = Runs(tmp_path), view(**options)
    made = facts(own, TABLE)
    assert not runs.has(own, TABLE.schema, "one")
    assert runs.keep(own, TABLE.schema, "one", made)
    found = runs.read(own, TABLE.schema, "one")
    for name in ("high", "low", "e", "k", "keyless", "gone", "event"):
        mine, its = getattr(made, name), getattr(found, name)
        assert (mine is None and its is None) or np.array_equal(mine, its)
    assert (str(found.keys), str(found.columns)) == (str(made.keys), str(made.columns))


def test_a_file_that_changed_is_looked_through_again(tmp_path):
    """Whole when it was first read, damaged later: it is as good as none."""
    runs, own = Runs(tmp_path), view()
    runs.keep(own, TABLE.schema, "one", facts(own, TABLE))
    [file] = tmp_path.glob("*/*.run")
    for _ in range(2):
        assert runs.read(own, TABLE.schema, "one") is not None
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert runs.read(own, TABLE.schema, "one") is None
    file.write_bytes(whole)
    assert runs.read(own, TABLE.schema, "one") is not None


def test_a_file_is_hashed_once_until_the_machine_starts_anew(tmp_path, monkeypatch):
    """Other processes trust what one has found whole; after a start what was written may not be on the disk."""
    own, hashed = view(), []
    Runs(tmp_path).keep(own, TABLE.schema, "one", facts(own, TABLE))

    def hashing(data):
        hashed.append(len(data))
        return xxhash.xxh3_128(data)

    monkeypatch.setattr(module, "xxhash", SimpleNamespace(xxh3_128=hashing))
    for boot, expected in (("one", 1), ("one", 1), ("two", 2), ("", 3), ("", 4)):
        monkeypatch.setattr(module, "_boot", lambda boot=boot: boot)
        assert Runs(tmp_path).read(own, TABLE.schema, "one") is not None
        assert len(hashed) == expected


def test_an_erase_forgets_what_is_remembered(tmp_path, monkeypatch):
    """Sorted rows may be those that have to go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lake = dp.open(tmp_path / "lake")
    lake.ingest(TABLE.select(["k", "at", "x"]).slice(0, 2), "s")
    given = {"entity": dp.Entity("k"), "timestamp": "at", "ttl": None, "features": ["x"]}
    service = dp.FeatureService("m", [dp.FeatureView("v", source="s", **given)])
    spine = {"k": ["a"], "t": pa.array([10], pa.timestamp("us", "UTC"))}
    assert lake.features.training_set(pa.table(spine), service).to_arrow()["v__x"].to_pylist() == [1.0]
    assert list(Runs.of_user().folder.glob("*/*.run"))
    lake.erase("s", "k = 'a'", reason="ticket 1")
    assert not list(Runs.of_user().folder.glob("*/*.run"))
    assert lake.features.training_set(pa.table(spine), service).to_arrow()["v__x"].to_pylist() == [None]


def test_what_was_used_longest_ago_goes(tmp_path):
    """All views together are no larger than they may be; the newest stays whatever its size."""
    own = view()
    made = facts(own, TABLE)
    Runs(tmp_path).keep(own, TABLE.schema, "zero", made)
    size = next(tmp_path.glob("*/*.run")).stat().st_size
    runs = Runs(tmp_path, size=2 * size)
    for number, name in enumerate(("zero", "one")):
        runs.keep(own, TABLE.schema, name, made)
        os.utime(tmp_path / computation(own, TABLE.schema) / f"{name}.run", (number, number))
    assert runs.read(own, TABLE.schema, "zero") is not None
    runs.keep(own, TABLE.schema, "two", made)
    assert [runs.has(own, TABLE.schema, name) for name in ("zero", "one", "two")] == [True, False, True]
    assert not list(tmp_path.glob("*/.*"))


def test_a_folder_in_the_way_costs_time_only(tmp_path):
    """What cannot be kept is made each time."""
    (tmp_path / "file").write_text("")
    runs, own = Runs(tmp_path / "file"), view()
    made = facts(own, TABLE)
    assert not runs.keep(own, TABLE.schema, "one", made)
    assert runs.read(own, TABLE.schema, "one") is None
    assert runs.facts(own, TABLE.schema, "one", lambda: made) is made


def test_facts_are_of_a_definition_and_of_types():
    """Whatever changes what rows are sorted or kept changes the name; what does not, does not."""
    others = [
        view(ttl="1d"),
        view(features=["tags", "x"]),
        view(where="x > 1"),
        view(delay="1m"),
        view(known_at="at"),
        view(row_key=["x"]),
        view(entity=dp.Entity("k", "binary")),
    ]
    wanted = computation(view(), TABLE.schema)
    assert computation(others[0], TABLE.schema) == wanted
    found = [computation(each, TABLE.schema) for each in others[1:]]
    assert len({wanted, *found}) == len(others)
    wider = TABLE.set_column(2, "x", TABLE["x"].cast(pa.float32())).schema
    assert computation(view(), wider) != wanted
