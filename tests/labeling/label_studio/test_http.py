"""Lists are read whole, whatever the pages are like; times and forms are read as servers write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.labeling.label_studio._http import Page, ascending, updated, utc

ids_of_tasks = st.sets(st.integers(1, 10**6), max_size=60).map(sorted)


def rows(ids: list[int]) -> list[dict[str, Any]]:
    """Return tasks."""
    return [{"id": task} for task in ids]


@given(ids_of_tasks, st.integers(1, 20), st.integers(0, 10**6))
def test_any_page_size(ids: list[int], size: int, after: int) -> None:
    """Each task above an id comes once, by id, however small the pages are."""

    def first(last: int) -> Page:
        left = [task for task in ids if task > last]
        return Page(rows(left[:size]), len(left))

    assert [each["id"] for each in ascending(first, _never, after)] == [task for task in ids if task > after]


@given(ids_of_tasks, st.integers(1, 20), st.data())
def test_deleted_and_added_meanwhile(ids: list[int], size: int, data: st.DataObject) -> None:
    """Tasks that were there all the time come, though others go and come between two pages."""
    there, gone = list(ids), set(data.draw(st.sets(st.sampled_from(ids)))) if ids else set()
    asked = [0]

    def first(last: int) -> Page:
        asked[0] += 1
        if asked[0] == 2:
            there[:] = [task for task in there if task not in gone] + [10**6 + 1, 10**6 + 2]
        left = [task for task in there if task > last]
        return Page(rows(left[:size]), len(left))

    def numbered(page: int) -> Page:
        return Page(rows(there[(page - 1) * size : page * size]), len(there))

    found = [each["id"] for each in ascending(first, numbered, 0)]
    assert len(found) == len(set(found))
    assert set(found) >= set(ids) - gone


@given(ids_of_tasks, st.integers(1, 20), st.integers(0, 10**6), st.integers(0, 99))
def test_out_of_order(ids: list[int], size: int, after: int, seed: int) -> None:
    """Where the server orders them as it likes each comes once all the same."""
    mixed = list(ids)
    Random(seed).shuffle(mixed)

    def first(last: int) -> Page:
        left = [task for task in mixed if task > last]
        return Page(rows(left[:size]), len(left))

    def numbered(page: int) -> Page:
        left = [task for task in mixed if task > after]
        return Page(rows(left[(page - 1) * size : page * size]), len(left))

    found = [each["id"] for each in ascending(first, numbered, after)]
    assert sorted(found) == [task for task in ids if task > after]


_never: Callable[[int], Page] = lambda _: pytest.fail("pages in order need not be numbered")  # noqa: E731


def test_times() -> None:
    """Times of the server are UTC, with a zone or without; filters are written as it reads them."""
    assert utc("2026-11-28T01:44:34.110435Z") == datetime(2026, 11, 28, 1, 44, 34, 110435, UTC)
    assert utc("2026-11-28T01:44:34.110435") == datetime(2026, 11, 28, 1, 44, 34, 110435, UTC)
    assert utc("2026-11-28T03:44:34+02:00").isoformat() == "2026-11-28T01:44:34+00:00"
    east = datetime(2026, 11, 28, 3, 0, 0, 5, timezone(timedelta(hours=2)))
    assert updated(east)["value"] == "2026-11-28T01:00:00.000005Z"
