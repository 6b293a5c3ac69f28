"""A stage beside the consumer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from dataplat.connectors.files._pipeline import ordered_map


def _threads() -> int:
    return sum(thread.name.startswith("dataplat-parse") for thread in threading.enumerate())


def test_order_is_kept() -> None:
    """Results come in the order of the items, however long each takes."""

    def work(i: int) -> int:
        time.sleep(0.002 * (i % 3))
        return i * i

    assert list(ordered_map(work, range(30))) == [i * i for i in range(30)]
    assert _threads() == 0


def test_items_are_bounded() -> None:
    """No more items are drawn than may be in flight."""
    drawn = []

    def items() -> Iterator[int]:
        for i in range(100):
            drawn.append(i)
            yield i

    results = ordered_map(lambda i: i, items(), workers=2, ahead=3)
    next(results)
    time.sleep(0.3)
    assert len(drawn) <= 1 + 2 + 3 + 1
    results.close()
    assert _threads() == 0


@pytest.mark.parametrize("where", ["items", "work"])
def test_errors_come_in_order(where: str) -> None:
    """An error comes where its result would have come, and ends the threads."""

    def items() -> Iterator[int]:
        yield from range(5)
        if where == "items":
            raise ValueError("broken")
        yield 5

    def work(i: int) -> int:
        if i == 5:
            raise ValueError("broken")
        return i

    results = ordered_map(work, items())
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="broken"):
        next(results)
    assert _threads() == 0


def test_the_items_are_closed() -> None:
    """Leaving early closes the generator of items, so that its file is closed."""
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    results = ordered_map(lambda i: i, items())
    next(results)
    results.close()
    assert closed.is_set()
