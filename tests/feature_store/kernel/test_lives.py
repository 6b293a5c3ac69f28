"""Lives of rows (PIT 1, 7, 8, 18, 19), by hand: whole histories are in test_windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataplat.feature_store.kernel.lives import FOREVER, Lives, lives


def told(found: Lives) -> list[tuple[int, int, int]]:
    """Return (row, from, until) of each life."""
    until = np.full(len(found), FOREVER) if found.until is None else found.until
    return list(zip(found.row.tolist(), found.on.tolist(), until.tolist(), strict=True))


def of(*rows: tuple[int, int], **more: Any) -> Lives:
    """Return the lives of rows (e, k) of one key."""
    e, k = (np.array([row[at] for row in rows]) for at in range(2))
    arrays = {name: np.array(given) if isinstance(given, list) else given for name, given in more.items()}
    return lives(np.array([0, len(rows)]), e, k, **arrays)


def test_1_a_row_counts_from_when_it_is_true_and_can_be_served() -> None:
    """The later of both times."""
    assert told(of((5, 9), (8, 2))) == [(0, 9, FOREVER), (1, 8, FOREVER)]


def test_8_as_known_now_counts_from_the_event_time() -> None:
    """Whenever it came."""
    assert told(of((5, 9), as_known="now")) == [(0, 5, FOREVER)]


def test_7_a_version_ends_when_a_newer_one_can_be_served() -> None:
    """Versions of an event follow each other; a row of no event is on its own."""
    found = of((5, 5), (5, 7), (5, 9), event=[0, -1, 0])
    assert told(found) == [(0, 5, 9), (1, 7, FOREVER), (2, 9, FOREVER)]


def test_7_of_versions_that_came_together_the_last_in_order_counts() -> None:
    """The other one has no life at all."""
    assert told(of((5, 5), (6, 5), event=[0, 0])) == [(1, 6, FOREVER)]
    assert told(of((5, 5), (5, 5), event=[0, 0], ties=[1, 0])) == [(0, 5, FOREVER)]


def test_7_a_newer_version_may_be_of_the_future() -> None:
    """The older one is known to be wrong from then on, and the newer one is not there yet."""
    assert told(of((5, 5), (90, 7), event=[0, 0])) == [(0, 5, 7), (1, 90, FOREVER)]


def test_19_a_row_ends_when_it_is_deleted() -> None:
    """From then on it is gone; now it is not there at all."""
    assert told(of((5, 5), (6, 6), gone=[8, FOREVER])) == [(0, 5, 8), (1, 6, FOREVER)]
    assert told(of((5, 5), (6, 6), gone=[8, FOREVER], as_known="now")) == [(1, 6, FOREVER)]


def test_19_a_version_comes_back_when_the_newer_one_is_deleted() -> None:
    """It has two lives."""
    found = of((5, 5), (5, 7), event=[0, 0], gone=[FOREVER, 9])
    assert told(found) == [(0, 5, 7), (0, 9, FOREVER), (1, 7, 9)]
    assert found.starts.tolist() == [0, 3]


def test_rows_keep_the_numbers_that_they_are_given() -> None:
    """Columns need not be in the order of the kernel."""
    assert of((5, 5), (6, 6), row=[7, 3], gone=[4, FOREVER]).row.tolist() == [3]
