"""Commits are named by their bytes, and carry where every dataset stands without growing."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest

from dataplat.errors import IntegrityError, LakeFormatError
from dataplat.versioning._json import canonical
from dataplat.versioning.commit import (
    Commit,
    DatasetChange,
    DatasetState,
    decode_commit,
    load_commit,
    next_state,
    with_bulk,
)


def test_id_is_hash_of_bytes(lake):
    """The commit id is the SHA-256 of the object, which is canonical JSON."""
    made = lake.append(1)
    data = lake.objects.read(made.id, ".json")
    assert sha256(data).hexdigest() == made.id
    assert canonical(msgspec.json.decode(data)) == data
    assert load_commit(lake.objects, made.id) == made


def test_nonce_makes_equal_commits_two():
    """Two commits that say the same are still two."""
    one, other = (Commit(author="a", time=1, nonce=nonce) for nonce in ("x", "y"))
    assert one.id != other.id


def test_id_survives_fields_of_a_later_version():
    """A commit with a field that we do not know keeps the id of its bytes."""
    data = canonical(msgspec.json.decode(Commit(author="a", time=1, nonce="n").data) | {"zebra": 1})
    assert decode_commit(data, "it").id == sha256(data).hexdigest()


def test_foreign_and_damaged_bytes(lake, stage):
    """Another kind of object is a format error, no JSON an integrity error."""
    with pytest.raises(LakeFormatError, match="not a commit"):
        decode_commit(b'{"format":"dataplat.commit/2"}', "object 1")
    with pytest.raises(IntegrityError, match="object 1 is not readable"):
        decode_commit(b"{", "object 1")


def test_state_names_the_commit_that_changed_each_dataset(lake):
    """A dataset that a commit leaves alone keeps the commit that changed it; in its own commit the id is filled in."""
    first = lake.append(1, dataset="a")
    second = lake.append(2, dataset="b")
    states = second.datasets(lake.objects.read)
    assert {name: state.commit for name, state in states.items()} == {"a": first.id, "b": second.id}
    assert first.dataset("a", lake.objects.read).commit == first.id
    assert (states["a"].rows, states["a"].bytes, states["a"].time) == (10, 101, first.time)


def test_commit_stays_small_with_many_datasets(lake):
    """With 300 datasets a commit that changes one is below 10 KB, and all states can be read."""
    for i in range(300):
        made = lake.append(i, dataset=f"dataset number {i}")
    assert len(made.data) < 10_000
    assert len(made.datasets(lake.objects.read)) == 300
    assert made.dataset("dataset number 7", lake.objects.read).rows == 10


def test_commit_stays_small_with_many_positions(lake):
    """A dataset fed from 500 files keeps the position of each, and its commits stay below 10 KB."""
    for i in range(500):
        made = lake.append(i, starts={f"file:/{i}": None}, positions={f"file:/{i}": {"size": i, "sha256": "a" * 64}})
    assert len(made.data) < 10_000
    state = made.dataset("orders", lake.objects.read)
    assert state.position("file:/7", lake.objects.read) == {"size": 7, "sha256": "a" * 64}
    assert state.position("file:/nobody", lake.objects.read) is None
    assert len(state.load_positions(None, lake.objects.read)) == 500
    assert state.load_positions(["file:/1", "file:/x"], lake.objects.read).keys() == {"file:/1"}


def test_many_positions_at_once_go_to_an_object(lake):
    """One commit that reads 10,000 files stays small; its positions can still be read."""
    positions = {f"file:/data/{i}.csv": {"size": i} for i in range(10_000)}
    made = lake.append(1, starts=dict.fromkeys(positions), positions=positions)
    change = made.changes["orders"]
    assert len(made.data) < 10_000
    assert change.load_positions(lake.objects.read) == positions
    assert change.load_starts(lake.objects.read) == dict.fromkeys(positions)
    assert made.dataset("orders", lake.objects.read).position("file:/data/9.csv", lake.objects.read) == {"size": 9}


def test_few_positions_stay_inline(stage):
    """Small positions are readable in the commit itself."""
    change = DatasetChange(mode="append", starts={"k": None}, positions={"k": {"p0": 5}})
    assert with_bulk(change, stage) is change
    assert change.load_positions(stage.read) == {"k": {"p0": 5}}


def test_dropped_datasets_are_remembered(lake):
    """A dropped dataset is not among the datasets, but its last commit is known."""
    lake.append(1)
    dropped = lake.publish(lake.change(mode="drop"))
    assert dropped.datasets(lake.objects.read) == {}
    assert dropped.datasets(lake.objects.read, dropped=True)["orders"].version is None
    assert dropped.dataset("orders", lake.objects.read).commit == dropped.id


def test_first_commit_has_no_parent(stage):
    """The state of a commit without parents is what it changes itself."""
    held = next_state(None, {"a": DatasetState(version="v")}, stage, stage.read)
    assert list(held.inline) == ["a"]
