"""Maps in segments answer as dicts do, and a commit's share of them stays bounded."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import IntegrityError
from dataplat.lake.objects import Stage
from dataplat.lake.stores import MemoryStore
from dataplat.versioning._cache import forget_decoded
from dataplat.versioning._lsm import MapRef
from dataplat.versioning.segments import SEGMENT_LIMIT


def raw(value):
    """Return JSON."""
    return msgspec.Raw(msgspec.json.encode(value))


def plain(value):
    """Return what JSON says."""
    return None if value is None else msgspec.json.decode(value)


keys = st.sampled_from([f"source {i}" for i in range(40)])
puts = st.dictionaries(keys, st.integers(), max_size=8)


@settings(max_examples=60)
@given(st.lists(puts, max_size=20), st.sampled_from([0, 60, 400]), st.sets(keys, max_size=5))
def test_map_answers_as_a_dict(batches, limit, asked):
    """Any sequence of puts, with any limit inline, gives the entries of a dict, by key and all together."""
    stage, model, held = Stage(MemoryStore()), {}, MapRef()
    for batch in batches:
        held = held.updated({key: raw(value) for key, value in batch.items()}, stage, stage.read, limit=limit)
        model.update(batch)
    forget_decoded()
    assert {key: plain(value) for key, value in held.items(stage.read).items()} == model
    assert {key: plain(value) for key, value in held.get_many(asked, stage.read)} == {
        key: model[key] for key in asked & model.keys()
    }
    assert plain(held.get("nobody", stage.read)) is None


def test_kept_keys_stay_inline(stage):
    """Entries that may not leave the commit yet stay in it, whatever the limit."""
    held = MapRef().updated({"a": raw(1), "b": raw(2)}, stage, stage.read, limit=0, keep={"b"})
    assert list(held.inline) == ["b"]
    assert plain(held.get("a", stage.read)) == 1


def test_bytes_per_update_are_bounded(stage):
    """With 20,000 entries, put one by one, an update writes 5 KB on average and inline stays below its limit."""
    held, last = MapRef(), 0
    for i in range(20_000):
        held = held.updated({f"file:/data/{i:08}.csv": raw({"size": i})}, stage, stage.read, limit=2_048)
        last = max(last, sum(len(bytes(value)) for value in held.inline.values()))
    assert last <= 2_048
    assert stage.pending_bytes / 20_000 < 1_000
    sizes = [len(stage.read(id, suffix)) for id, suffix in held.object_ids(stage.read)]
    assert max(sizes) <= SEGMENT_LIMIT
    assert plain(held.get("file:/data/00012345.csv", stage.read)) == {"size": 12_345}


def test_large_runs_are_cut_into_segments(stage):
    """A run beyond 256 KB is several segments, of which a look-up reads one."""
    entries = {f"{i:06}": raw([i * 7919 % 1_000_003, "x" * 60, str(i * i)]) for i in range(60_000)}
    held = MapRef().updated(entries, stage, stage.read, limit=0)
    ids = list(held.object_ids(stage.read))
    assert len(ids) > 3
    assert all(len(stage.read(*each)) <= SEGMENT_LIMIT for each in ids)
    forget_decoded()
    read = []
    assert held.get("031234", lambda *each: read.append(each) or stage.read(*each)) is not None
    assert len(read) == 2


def test_damaged_index_is_named(stage):
    """An index that is not one raises IntegrityError."""
    held = MapRef(runs=stage.put(b"{}", ".json"))
    with pytest.raises(IntegrityError, match="not the index of a map"):
        held.items(stage.read)
