"""Which parts a compaction rewrites, and where it puts new ones."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import given

from dataplat.lake.digest import Digest
from dataplat.lake.part import Part
from dataplat.versioning.compact import Target, plan_runs, spread

TARGET = Target(nbytes=1_000, rows=100, deleted=0.2)


def part(place: int, rows: int, deleted: int = 0) -> Part:
    """A part of so many rows, ten bytes each."""
    return Part(f"{place:064x}", rows, rows * 10, "", Digest(rows), deletes="d" * 64 if deleted else None,
                deleted=deleted, place=place)  # fmt: skip


sizes = st.tuples(st.integers(1, 120), st.integers(0, 119)).map(lambda pair: (pair[0], min(pair[1], pair[0] - 1)))
versions = st.lists(sizes, max_size=30).map(
    lambda found: [part(i * 4096, rows, gone) for i, (rows, gone) in enumerate(found)]
)


def compacted(parts: list[Part], next_place: int) -> list[Part]:
    """What a compaction makes of a version: outputs are cut at the target, as the writer of parts does."""
    for run in reversed(plan_runs(parts, next_place, TARGET)):
        at = parts.index(run.parts[0])
        whole, rest = divmod(run.rows, TARGET.rows)
        rows = [TARGET.rows] * whole + ([rest] if rest else [])
        places = spread(run.parts[0].place, run.end, len(rows), ())
        assert places is not None
        parts = parts[:at] + list(map(part, places, rows)) + parts[at + len(run.parts) :]
    return parts


@given(versions)
def test_a_second_plan_is_empty(parts: list[Part]) -> None:
    """What a compaction makes needs none, keeps all rows, and never makes more parts than there were."""
    after = compacted(parts, len(parts) * 4096)
    assert plan_runs(after, len(parts) * 4096, TARGET) == []
    assert sum(each.live for each in after) == sum(each.live for each in parts)
    assert len(after) <= len(parts)
    assert all(one.place < other.place for one, other in pairwise(after))
    assert not any(TARGET.is_holey(each) for each in after)
    assert not any(TARGET.is_small(one) and TARGET.is_small(other) and one.rows + other.rows <= 100
                   for one, other in pairwise(after))  # fmt: skip


@given(versions)
def test_runs_are_adjacent_and_apart(parts: list[Part]) -> None:
    """A run is parts that follow each other; no part is in two, and each ends where the next part begins."""
    runs = plan_runs(parts, len(parts) * 4096, TARGET)
    order = {each.place: at for at, each in enumerate(parts)}
    numbers = [order[each.place] for run in runs for each in run.parts]
    assert numbers == sorted(set(numbers))
    for run in runs:
        first, last = order[run.parts[0].place], order[run.parts[-1].place]
        assert last - first + 1 == len(run.parts)
        assert run.end == (parts[last + 1].place if last + 1 < len(parts) else len(parts) * 4096)


def test_what_is_left_alone() -> None:
    """One small part, large ones, and a few deleted rows are no reason; many deleted rows of one part are."""
    assert plan_runs([part(0, 10)], 4096, TARGET) == []
    assert plan_runs([part(0, 90), part(4096, 10), part(8192, 90, 10)], 12288, TARGET) == []
    (run,) = plan_runs([part(0, 90), part(4096, 90, 30), part(8192, 90)], 12288, TARGET)
    assert [each.place for each in run.parts] == [4096]


def test_a_run_without_room_takes_in_its_neighbour() -> None:
    """Where places are used up, the part behind is rewritten with it, and at the very end nothing is."""
    (run,) = plan_runs([part(4095, 90, 30), part(4096, 90), part(8192, 90)], 12288, TARGET)
    assert [each.place for each in run.parts] == [4095, 4096]
    assert plan_runs([part(4095, 90, 30)], 4096, TARGET) == []


@given(st.integers(0, 50), st.integers(1, 200), st.integers(1, 20), st.sets(st.integers(0, 250)))
def test_places_are_free_and_inside(first: int, span: int, count: int, used: set[int]) -> None:
    """Places ascend between the ends and are nobody's; None only where they do not fit."""
    places = spread(first, first + span, count, used)
    free = [at for at in range(first + 1, first + span) if at not in used]
    if places is None:
        assert len(free) < 2 * count + len(used)
        return
    assert len(places) == count
    assert places == sorted(set(places))
    assert set(places) <= set(free)


def test_one_part_may_be_folded_thousands_of_times() -> None:
    """Each folding moves a part by one place only."""
    at, count = 0, 0
    while (found := spread(at, 4096, 1, ())) is not None:
        (at,), count = found, count + 1
    assert count == 4095
