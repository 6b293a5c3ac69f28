"""Drawn worlds: the same for a seed, whatever the machine; they meet every case of every rule, and find planted bugs."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings

from dataplat.feature_store.closure import closure_hash
from dataplat.testing import _features_functions as functions
from dataplat.testing import _features_history as history
from dataplat.testing import features_reference as module
from dataplat.testing._features_exercised import CASES, Counts
from dataplat.testing._features_functions import applied, begins
from dataplat.testing._features_history import visible
from dataplat.testing._features_values import float_sum, is_nan, rank, same
from dataplat.testing.features_reference import reference
from dataplat.testing.features_worlds import World, differences, drawn_world, exercised, worlds

SEEDS = range(60)


@pytest.fixture(scope="module")
def some() -> list[World]:
    """Worlds, answered."""
    found = [drawn_world(seed, events=300, rows=20) for seed in SEEDS]
    for world in found:
        world.answer()
    return found


def test_seed_is_one_world():
    """Its services, rows and answers are the same again; those of another seed are not."""

    def told(seed):
        world = drawn_world(seed, events=40)
        return closure_hash(world.service), repr(world.sources), repr(world.spine), repr(world.answer())

    assert told(5) == told(5)
    assert all(one != other for one, other in zip(told(5), told(6), strict=True))


def test_every_case_of_every_rule_occurs(some):
    """Each at least five times in sixty small worlds."""
    total = Counts()
    for world in some:
        total.update(exercised(world))
    assert set(total) == set(CASES)
    assert {case: total[case] for case in CASES if total[case] < 5} == {}


def test_worlds_have_the_size_that_was_asked_for():
    """At most so many rows in all sources together, however many versions they have, and so many spine rows."""
    for seed in range(10):
        world = drawn_world(seed, events=90, rows=7)
        rows = {
            (name, repr(row)) for name, source in world.sources.items() for each in source.versions for row in each.rows
        }
        assert len(rows) <= 90
        assert 1 <= len(world.spine) <= 7


def test_tables_hold_what_the_rows_hold(some):
    """As Arrow: the types as spelt, values as they are, times as counts."""
    for world in some[:10]:
        for name, source in world.sources.items():
            table = world.table(name)
            assert table.num_rows == len(source.versions[-1].rows)
            assert table["n"].to_pylist() == [row["n"] for row in source.versions[-1].rows]
            assert table["at"].cast("int64").to_pylist() == [row["at"] for row in source.versions[-1].rows]
        assert world.spine_table()["note"].to_pylist() == [row["note"] for row in world.spine]


def test_answers_are_rows_of_the_spine_and_columns_of_the_service(some):
    """N rows in, N rows out; columns in the order of the service; values have the types that are told."""
    for world in some:
        answer = world.answer()
        assert {len(cells) for cells in answer.cells.values()} == {len(world.spine)}
        first = world.service.features[0]
        assert next(iter(answer.cells)) == f"{first.name}__{first.features[0].feature}"
        assert differences(answer, answer.table()) == []


def test_differences_are_told_to_the_last_bit(some):
    """Another value, status or age, a missing column, fewer rows: each is named with its row."""
    world = next(world for world in some if any(name.endswith("__x") for name in world.answer().cells))
    table = world.answer().table()
    name = table.schema.names[0]
    assert differences(world.answer(), table.drop([name])) == [f"{name} is missing"]
    assert differences(world.answer(), table.drop([f"{name}__age"])) == []
    assert f"{name} has 0 rows, not {len(world.spine)}" in differences(world.answer(), table[:0])
    at = table.schema.get_field_index(f"{name}__age")
    other = table.set_column(at, f"{name}__age", table[f"{name}__age"].fill_null(-5))
    wanted = Counter(cell.age is None for cell in world.answer().cells[name])[True]
    assert len(differences(world.answer(), other, most=1000)) == wanted


@settings(max_examples=15, deadline=None)
@given(worlds(events=30, rows=6))
def test_order_of_rows_and_of_the_spine_is_nothing(world):
    """Sources backwards, and the spine backwards, give the same cells, backwards."""
    sources = {
        name: type(source)(source.types, tuple(type(each)(each.at, each.rows[::-1]) for each in source.versions))
        for name, source in world.sources.items()
    }
    told = reference(world.service, sources, world.spine[::-1], world.types, as_known=world.as_known).table()
    assert differences(world.answer(), told.take(list(range(len(world.spine)))[::-1])) == []


def _late(fact, t, delay, *, now):
    return visible(fact, t, delay - 1, now=now)


def _undead(fact, t, delay, *, now):
    return visible(fact, t, delay, now=now) or (not now and fact.k + delay <= t)


def _undelayed(fact, t, delay, *, now):
    return visible(fact, t, 0, now=now)


def _closed(window, t):
    found = begins(window, t)
    return None if found is None else found - 1


def _never_hops(window, t):
    return None if window.span is None else t - window.span


def _nulls_last(value):
    return (3,) if value is None else rank(value)


def _naive_sum(values):
    total = 0.0
    for value in values:
        total += value
    return total


def _zeros_differ(value):
    return ("zero", math.copysign(1, value)) if isinstance(value, float) and value == 0 else same(value)


def _skipping_nan(window, values):
    return applied(window, [value for value in values if not is_nan(value)])


PLANTED = {
    "k + delay < t + 1": (module, "visible", _late),
    "deletions are forgotten": (module, "visible", _undead),
    "delay is forgotten": (module, "visible", _undelayed),
    "windows are closed at their start": (module, "begins", _closed),
    "hop is exact": (module, "begins", _never_hops),
    "nulls last among ties": (history, "rank", _nulls_last),
    "sums are rounded at each step": (functions, "float_sum", _naive_sum),
    "-0.0 is not 0.0": (functions, "same", _zeros_differ),
    "NaN is skipped": (module, "applied", _skipping_nan),
    "corrections are events": (module, "current", lambda rows: rows),
    "an age of the ttl is expired": (
        module._Moment,
        "_expired",
        lambda me, fact: me.ttl is not None and me.t - fact.e >= me.ttl,
    ),
    "the oldest row is served": (module, "_past", lambda rows, t: sorted(rows, key=lambda fact: fact.order)),
    "defaults are forgotten": (module, "_or_default", lambda feature, cell: cell),
    "a null key is a key": ((module, history), "key_of", lambda values, dtypes, what: tuple(values)),
    "times are rounded": (history, "micros_of", lambda count, kind, what, zone=None: _rounded(count, kind, what, zone)),
}


def _rounded(count, kind, what, zone):
    from dataplat.testing._features_values import micros_of

    return micros_of(count + 500 if "[ns" in kind else count, kind, what, zone)


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(some, monkeypatch, bug):
    """Worlds tell a kernel with one rule wrong from a right one."""
    before = [(world, world.answer()) for world in some]
    owner, name, planted = PLANTED[bug]
    for each in owner if isinstance(owner, tuple) else (owner,):
        monkeypatch.setattr(each, name, planted)
    for world, answer in before:
        other = reference(world.service, world.sources, world.spine, world.types, as_known=world.as_known)
        if differences(answer, other.table()):
            return
    pytest.fail(f"no world found that {bug}")


def test_sum_of_the_reference_is_that_of_fsum():
    """What the planted sum is not."""
    assert float_sum([0.1] * 10) == math.fsum([0.1] * 10) != _naive_sum([0.1] * 10)
