"""Makes a training set, in a way that is named; the last line is JSON. And makes the data: three histories, a spine.

python features_join_sides.py data FOLDER ROWS                    histories of ROWS each, in ten files; a spine of 1,000,000
python features_join_sides.py lake FOLDER LAKE                    a lake of them
python features_join_sides.py dataplat FOLDER SPINE_ROWS LAKE RUNS
python features_join_sides.py numpy|polars|duckdb FOLDER SPINE_ROWS

All sides answer the same: of each view two columns of the newest row with `at <= t` and age within a week, null without
one, in the order of the spine. What they answered is told as sums, so that one can see that they agree.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

VIEWS = ("a", "b", "c")
FILES = 10
SPINE = 1_000_000
KEYS = 100_000
START, SPAN = 1_700_000_000_000_000, 60 * 86_400_000_000
WEEK = 7 * 86_400_000_000


def keys(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return skewed keys: a few have most rows."""
    return (rng.pareto(1.1, rows) * 1000).astype(np.int64) % KEYS


def data(folder: Path, rows: int) -> None:
    """Write histories, in the order of their times, and a spine."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(11)
    for view in VIEWS:
        (folder / view).mkdir(parents=True)
        for number in range(FILES):
            size = rows // FILES
            low, high = (START + SPAN * each // FILES for each in (number, number + 1))
            at = np.sort(rng.integers(low, high, size))
            columns = {"key": keys(rng, size), "at": _times(at)}
            columns |= {f"{view}{each}": rng.normal(size=size) for each in (1, 2)}
            pq.write_table(pa.table(columns), folder / view / f"{number:02}.parquet", compression="zstd")
    spine = pa.table({"key": keys(rng, SPINE), "t": _times(rng.integers(START, START + SPAN, SPINE))})
    pq.write_table(spine, folder / "spine.parquet")


def _times(micros: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(micros).cast(pa.timestamp("us", "UTC"))


def lake(folder: Path, where: Path) -> None:
    """Land the histories, file by file."""
    import pyarrow.parquet as pq

    import dataplat as dp

    made = dp.open(where)
    for view in VIEWS:
        for file in sorted((folder / view).glob("*.parquet")):
            made.ingest(pq.read_table(file), into=view)


def spine_of(folder: Path, rows: int) -> Any:
    """Return the first rows of the spine."""
    import pyarrow.parquet as pq

    return pq.read_table(folder / "spine.parquet").slice(0, rows)


def told(columns: dict[str, Any], begin: float) -> None:
    """Print how long it took, and what came out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    figures = {"seconds": time.perf_counter() - begin, "answered": 0.0, "sum": 0.0}
    for column in columns.values():
        values = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column)
        figures["answered"] += len(values) - values.null_count
        figures["sum"] += pc.sum(values).as_py() or 0.0
    print(json.dumps(figures))


def with_dataplat(folder: Path, rows: int, where: Path, runs: Path) -> None:
    """Our training set; `runs` is where sorted rows are remembered."""
    import dataplat as dp
    from dataplat.feature_store.runs import Runs

    spine, store = spine_of(folder, rows), dp.open(where).features
    store.__dict__["runs"] = Runs(runs)
    entity = dp.Entity("key", "int64")
    views = [
        dp.FeatureView(
            view, source=view, entity=entity, timestamp="at", ttl="7d", features=[f"{view}{each}" for each in (1, 2)]
        )
        for view in VIEWS
    ]
    begin = time.perf_counter()
    made = store.training_set(spine, dp.FeatureService("bench", views)).table
    told({name: made[name] for name in made.schema.names if "__" in name}, begin)


def with_numpy(folder: Path, rows: int) -> None:
    """Sort by key and time, search, take."""
    spine = spine_of(folder, rows)
    begin = time.perf_counter()
    asked, t = spine["key"].to_numpy(), spine["t"].cast("int64").to_numpy()
    columns: dict[str, Any] = {}
    for view, table in _histories(folder):
        key, at = table["key"].to_numpy(), table["at"].cast("int64").to_numpy()
        low, width = int(at.min()) - 1, int(at.max()) - int(at.min()) + 3
        place = key * width + (at - low)
        order = np.argsort(place)
        place = place[order]
        found = np.searchsorted(place, asked * width + np.clip(t - low, 0, width - 1), "right") - 1
        row = order[np.maximum(found, 0)]
        there = (found >= 0) & (key[row] == asked) & (t - at[row] <= WEEK)
        for name in (f"{view}1", f"{view}2"):
            import pyarrow as pa

            columns[name] = pa.array(table[name].to_numpy()[row], mask=~there)
    told(columns, begin)


def _histories(folder: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow.parquet as pq

    for view in VIEWS:
        yield view, pq.read_table(folder / view)


def with_polars(folder: Path, rows: int) -> None:
    """Sort both, `join_asof` by key, back in order."""
    import polars as pl

    begin = time.perf_counter()
    spine = pl.read_parquet(folder / "spine.parquet").head(rows).with_row_index("row").sort("t")
    columns: dict[str, Any] = {}
    for view in VIEWS:
        history = pl.read_parquet(folder / view / "*.parquet").sort("at")
        joined = spine.join_asof(
            history, left_on="t", right_on="at", by="key", strategy="backward", tolerance="7d", check_sortedness=False
        ).sort("row")
        columns |= {name: joined[name].to_arrow() for name in (f"{view}1", f"{view}2")}
    told(columns, begin)


def with_duckdb(folder: Path, rows: int) -> None:
    """ASOF LEFT JOIN, with limits."""
    import duckdb

    begin = time.perf_counter()
    base = duckdb.connect()
    base.execute("set memory_limit = '4GB'")
    base.execute(f"set temp_directory = '{folder / 'duckdb.tmp'}'")
    base.execute("set max_temp_directory_size = '8GB'")
    base.execute(f"create table spine as select * from read_parquet('{folder}/spine.parquet') limit {rows}")
    columns: dict[str, Any] = {}
    for view in VIEWS:
        names = (f"{view}1", f"{view}2")
        served = ", ".join(f"case when s.t - h.at <= interval 7 days then h.{name} end as {name}" for name in names)
        table = base.execute(
            f"select {served} from (select *, rowid as row from spine) s asof left join "
            f"read_parquet('{folder}/{view}/*.parquet') h on s.key = h.key and s.t >= h.at order by s.row"
        ).to_arrow_table()
        columns |= {name: table[name] for name in names}
    told(columns, begin)


SIDES: dict[str, Callable[..., None]] = {"numpy": with_numpy, "polars": with_polars, "duckdb": with_duckdb}

if __name__ == "__main__":
    what, there, *more = sys.argv[1:]
    if what == "data":
        data(Path(there), int(more[0]))
    elif what == "lake":
        lake(Path(there), Path(more[0]))
    elif what == "dataplat":
        with_dataplat(Path(there), int(more[0]), Path(more[1]), Path(more[2]))
    else:
        SIDES[what](Path(there), int(more[0]))
