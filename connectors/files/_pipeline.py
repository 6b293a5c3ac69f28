"""Run one stage beside the consumer: ordered, bounded, and gone when the consumer goes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_OWN = "dataplat-parse"


def ordered_map(
    work: Callable[[In], Out], items: Iterable[In], *, workers: int = 2, ahead: int = 3, inline: bool = False
) -> Generator[Out, None, None]:
    """Yield `work(item)` in the order of `items`, which a thread of its own draws.

    At most `ahead` + `workers` + 1 items exist at a time. An error of `items` or `work` is raised where its
    result would have come. Closing the generator waits for what runs and starts nothing more. With `inline` (a few
    items are not worth a thread) everything is done by the consumer.
    """
    if inline:
        yield from map(work, items)
        return
    results: queue.Queue[Future[Out] | None] = queue.Queue(maxsize=ahead)
    stop = threading.Event()

    def feed(pool: ThreadPoolExecutor) -> None:
        try:
            for item in items:
                if stop.is_set() or not _put(results, pool.submit(work, item), stop):
                    return
        except BaseException as error:  # noqa: BLE001 (handed over to the consumer, whatever it is)
            failed: Future[Out] = Future()
            failed.set_exception(error)
            _put(results, failed, stop)
        finally:
            if isinstance(items, Iterator) and hasattr(items, "close"):
                items.close()
            _put(results, None, stop)

    pool = ThreadPoolExecutor(workers, thread_name_prefix=_OWN)
    feeder = threading.Thread(target=feed, args=(pool,), name=_OWN, daemon=True)
    feeder.start()
    try:
        while (future := results.get()) is not None:
            yield future.result()
    finally:
        stop.set()
        # An abandoned generator is closed by whatever thread collects it; ours cannot wait for themselves.
        ours = threading.current_thread().name.startswith(_OWN)
        if not ours:
            feeder.join()
        pool.shutdown(wait=not ours, cancel_futures=True)


def _put(results: queue.Queue[Future[Out] | None], item: Future[Out] | None, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            results.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
