"""Many processes append to one table at the same time: what the programs of that comparison share."""

import json
import multiprocessing as mp
import time
from collections.abc import Callable
from typing import Any

SMALL_ROWS = 10


def rows(number: int) -> Any:
    """Return the rows that a process appends every time."""
    import pyarrow as pa

    return pa.table({"a": [number] * SMALL_ROWS, "b": list(range(SMALL_ROWS))})


def run(begin: Callable[[str, int], Callable[[], object]], folder: str, processes: int, appends: int) -> None:
    """Let every process make what `begin` returns, and, once all are ready, call it `appends` times; print figures.

    The time is from the first call to the end of the last: processes and imports are not in it.
    """
    context = mp.get_context("spawn")
    ready, answers = context.Barrier(processes), context.Queue()
    started = [
        context.Process(target=_work, args=(begin, folder, number, appends, ready, answers))
        for number in range(processes)
    ]
    for process in started:
        process.start()
    outcomes = [answers.get() for _ in started]
    for process in started:
        process.join()
    failures = sum(failed for _, _, failed, _ in outcomes)
    seconds = max(end for _, end, _, _ in outcomes) - min(start for start, _, _, _ in outcomes)
    told = [error for *_, error in outcomes if error]
    if told:
        print(f"one of the failures: {told[0]}")
    done = processes * appends - failures
    print(json.dumps({"seconds": seconds, "failures": failures, "commits_per_s": done / seconds}))


def _work(begin, folder, number, appends, ready, answers):
    append = begin(folder, number)
    ready.wait()
    start, failed, told = time.time(), 0, ""
    for _ in range(appends):
        try:
            append()
        except Exception as error:  # noqa: BLE001 - what a side raises where it gives up is what is counted
            failed, told = failed + 1, repr(error)[:300]
    answers.put((start, time.time(), failed, told))
