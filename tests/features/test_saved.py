"""Training sets that are saved together: both sides of a split with their notes, or neither, whoever dies or comes between."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dataplat._features import FeatureStore
from dataplat._features._lineage import training_sets
from dataplat._lake import Lake
from dataplat.cli import _features_train as train
from dataplat.errors import ContractFailed
from dataplat.testing.store_faults import CrashStore, SimulatedCrash, copied

SETS = ("train", "train_holdout")
CHANGING = ("create", "delete", "adopt", "replace")
EACH = 1 if os.environ.get("DATAPLAT_DEATHS") else 2


def spine(desk, hours):
    """Return rows of some hours."""
    times = [desk.hour(number) for number in hours for _ in range(2)]
    return {"airport": ["JFK", "LGA"] * len(hours), "t": times}


def sides(desk, hours, cut):
    """Return the sides of a split by time."""
    made = desk.store.training_set(spine(desk, hours), desk.service)
    return dict(zip(SETS, made.split(holdout=desk.hour(cut)), strict=True))


def there(lake):
    """Return what a lake has of both: rows, and the ids that notes say of their versions."""
    names = {info.name for info in lake.datasets()}
    noted = {each["dataset_version"]: each["id"] for each in training_sets(FeatureStore(lake))}
    return [(lake[name].rows, noted.get(lake[name].id)) for name in SETS if name in names]


def of(store):
    """Return a lake on a store, opened anew."""
    return Lake(store, "test", "memory")


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_both_or_none_are_there(desk, when):
    """First ones, and then others in their place: at each call that changes the lake."""
    one, two = sides(desk, range(3), 2), sides(desk, range(5), 3)
    states = [[], [(4, one["train"].id), (2, one["train_holdout"].id)]]
    states.append([(6, two["train"].id), (4, two["train_holdout"].id)])
    past = copied(desk.lake.store)
    for number, sets in enumerate((one, two)):
        counting = CrashStore(copied(past), operations=CHANGING)
        FeatureStore(of(counting)).save(sets)
        assert counting.calls > 3
        for at in range(1, counting.calls + 1, EACH):
            store = copied(past)
            with pytest.raises(SimulatedCrash):
                FeatureStore(of(CrashStore(store, at, when, CHANGING))).save(sets)
            assert there(of(store)) in states[number : number + 2]
        FeatureStore(of(store)).save(sets)
        assert there(of(store)) == states[number + 1]
        past = store


def test_in_one_commit_that_says_both(desk):
    """With the lineage of each; saved again nothing is new; one alone is saved as ever."""
    sets = sides(desk, range(3), 2)
    before = len(desk.lake.commits("main"))
    done = desk.store.save(sets)
    assert len(desk.lake.commits("main")) == before + 1
    commit = desk.lake.commits("main")[0]
    assert {each.commit for each in done.values()} == {desk.lake["train"].commit.id}
    assert all(made.id[:12] in commit.message for made in sets.values())
    for name in SETS:
        lineage = desk.lake[name].commit.changes[name].lineage
        assert ("weather", desk.lake["weather"].id) in [(each.name, each.version) for each in lineage]
    again = desk.store.save(sets)
    assert [each.commit for each in again.values()] == [None, None]
    assert len(desk.lake.commits("main")) == before + 1
    assert sets["train"].save("train").version == done["train"].version


def test_notes_are_of_what_landed_where_somebody_was_quicker(desk, monkeypatch):
    """Another commit of the same dataset comes between plan and commit: what is noted is the version that is there."""
    sets = sides(desk, range(3), 2)
    others = desk.store.training_set(spine(desk, range(2)), desk.service)
    quicker = [others]
    from dataplat._features import _saved

    real = _saved._once

    def between(notes):
        if quicker:
            quicker.pop().save("train")
        return real(notes)

    monkeypatch.setattr(_saved, "_once", between)
    desk.store.save(sets)
    assert not quicker
    assert there(desk.lake) == [(4, sets["train"].id), (2, sets["train_holdout"].id)]


def test_of_what_does_not_meet_a_contract_nothing_lands(desk):
    """Only what is held out does not: what is trained on is not there either."""
    import dataplat as dp

    sets = sides(desk, range(5), 4)
    with pytest.raises(ContractFailed):
        desk.store.save(sets, contract=dp.Contract(checks=[dp.row_count(min=3)]))
    assert there(desk.lake) == []


@pytest.mark.parametrize("failing", range(1, 5))
def test_a_file_to_train_on_is_never_beside_another_holdout(desk, tmp_path, monkeypatch, failing):
    """Killed at each step: it is there only with what was held out of it, and no draft stays of what failed."""
    one, two = sides(desk, range(3), 2), sides(desk, range(5), 3)
    paths = [tmp_path / "train.parquet", tmp_path / "train_holdout.parquet"]

    def files(sets):
        train._to_files(dict(zip(paths, sets.values(), strict=True)))

    files(one)
    calls = []

    def dying(call):
        def step(*given, **more):
            calls.append(call)
            if len(calls) == failing:
                raise SimulatedCrash
            return call(*given, **more)

        return step

    with monkeypatch.context() as fault:
        fault.setattr(pq, "write_table", dying(pq.write_table))
        fault.setattr(Path, "replace", dying(Path.replace))
        with pytest.raises(SimulatedCrash):
            files(two)
    found = [pq.read_table(path).num_rows if path.is_file() else None for path in paths]
    assert found in ([4, 2], [None, 2], [None, 4])
    assert {path.name for path in tmp_path.iterdir()} <= {path.name for path in paths}
    files(two)
    assert [pq.read_table(path).num_rows for path in paths] == [6, 4]
