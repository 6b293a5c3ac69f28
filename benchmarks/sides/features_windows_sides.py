"""Windows of 24 hours and 7 days for each row of a spine, in a way that is named; the last line is JSON.

python features_windows_sides.py dataplat FOLDER SPINE_ROWS LAKE RUNS
python features_windows_sides.py duckdb FOLDER SPINE_ROWS

The data are those of features_join_sides.py: of one history. Both give count, sum and mean of a column over (t - w, t];
sums of DuckDB are not exact, so what is printed of them agrees but for rounding.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from features_join_sides import spine_of, told

LENGTHS = {"24h": "24 hours", "7d": "7 days"}


def with_dataplat(folder: Path, rows: int, where: Path, runs: Path) -> None:
    """Our windows: correctly rounded."""
    import dataplat as dp
    from dataplat.feature_store.runs import Runs

    spine, store = spine_of(folder, rows), dp.open(where).features
    store.__dict__["runs"] = Runs(runs)
    features = [each for w in LENGTHS for each in (dp.Count(window=w), dp.Sum("a1", window=w), dp.Mean("a1", window=w))]
    view = dp.FeatureView(
        "a", source="a", entity=dp.Entity("key", "int64"), timestamp="at", ttl=None, features=features
    )
    begin = time.perf_counter()
    made = store.training_set(spine, dp.FeatureService("bench", [view])).table
    told({name: made[name] for name in made.schema.names if "__" in name}, begin)


def with_duckdb(folder: Path, rows: int) -> None:
    """Spine and events in one table, RANGE frames over each key: DuckDB's own windows, with limits."""
    import duckdb

    begin = time.perf_counter()
    base = duckdb.connect()
    base.execute("set memory_limit = '6GB'")
    base.execute(f"set temp_directory = '{folder / 'duckdb.tmp'}'")
    base.execute("set max_temp_directory_size = '8GB'")
    found = ", ".join(
        f"count(x) over w{w} as count_{w}, sum(x) over w{w} as sum_{w}, avg(x) over w{w} as mean_{w}" for w in LENGTHS
    )
    frames = ", ".join(  # (t - w, t]: times are whole microseconds
        f"w{w} as (partition by key order by moment range between interval '{length}' - interval 1 microsecond preceding "
        "and current row)"
        for w, length in LENGTHS.items()
    )
    names = ", ".join(f"{what}_{w}" for w in LENGTHS for what in ("count", "sum", "mean"))
    table: Any = base.sql(
        f"select {names} from (select row, {found} from ("
        f"select key, t as moment, cast(null as double) as x, row_number() over () as row "
        f"from (select * from read_parquet('{folder}/spine.parquet') limit {rows}) union all "
        f"select key, \"at\", a1, null from read_parquet('{folder}/a/*.parquet')"
        f") window {frames}) where row is not null order by row"
    ).to_arrow_table()
    told({name: table[name] for name in table.schema.names}, begin)


if __name__ == "__main__":
    what, there, rows, *more = sys.argv[1:]
    if what == "dataplat":
        with_dataplat(Path(there), int(rows), Path(more[0]), Path(more[1]))
    else:
        with_duckdb(Path(there), int(rows))
