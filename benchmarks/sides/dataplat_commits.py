"""dataplat: `race LAKE PROCESSES APPENDS` on one branch, or `grow LAKE COMMITS` in one process.

`grow` prints the median time of the commits around the tenth and of the last, and the bytes of metadata (all that is
stored besides parts) that each of them wrote. `DATAPLAT_COMPACT=false` keeps a part per commit.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

import _race

AROUND = 32
"""Commits of which the median is taken: some merge segments and some do not."""


def begin(folder, number):
    import dataplat as dp

    small = _race.rows(number)
    warm = dp.open(f"memory://warm{number}")
    warm.ingest(small, into="warm")
    lake = dp.open(folder, create=False)
    lake.datasets()
    return lambda: lake.ingest(small, into="events")


def metadata(folder):
    """Return the bytes of all objects that are no parts, and of all records."""
    total = 0
    for top in ("objects", "refs"):
        for where, _, names in os.walk(Path(folder) / top):
            total += sum((Path(where) / name).stat().st_size for name in names if not name.endswith(".parquet"))
    return total


def timed(append, count):
    """Return the seconds of each of `count` commits."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        append()
        seconds.append(time.perf_counter() - start)
    return seconds


def measured(append, folder):
    """Return the median of some commits in ms, and the bytes of metadata of one."""
    before = metadata(folder)
    median = statistics.median(timed(append, AROUND))
    return median * 1000, (metadata(folder) - before) / AROUND


def grow(folder, commits):
    import dataplat as dp

    lake = dp.open(folder)
    numbers = iter(range(commits))

    def append():  # other rows each time: equal ones would be the same part
        lake.ingest(_race.rows(next(numbers)), into="events")

    timed(append, 9)
    early, early_bytes = measured(append, folder)
    timed(append, commits - 9 - 2 * AROUND)
    late, late_bytes = measured(append, folder)
    version = lake["events"]
    print(
        json.dumps(
            {
                "p50_tenth_ms": early,
                "p50_last_ms": late,
                "bytes_tenth": early_bytes,
                "bytes_last": late_bytes,
                "commits": commits,
                "parts": version.manifest.n_parts,
            }
        )
    )


if __name__ == "__main__":
    what, folder, *counts = sys.argv[1:]
    if what == "grow":
        grow(folder, int(counts[0]))
    else:
        import dataplat as dp

        dp.open(folder).ingest(_race.rows(0), into="events")
        _race.run(begin, folder, *map(int, counts))
