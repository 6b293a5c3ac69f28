"""One side of the validation benchmark: SIDE PATH; prints what the validation itself took, modules imported before.

`make ROWS PATH` writes the file of 10 columns, `land FILE LAKE PARTS` a lake of so many parts. The same nine checks, and
no nulls but in one column, are asked by all sides; each counts failing rows, of which there are none.
"""

import json
import os
import sys
import time
from pathlib import Path

CARRIERS = ["AA", "UA", "DL", "WN", "B6", "AS", "NK", "F9", "HA", "G4"]
NOT_NULL = ("flight_id", "arr_delay", "distance", "air_time", "carrier", "dest", "temp")


def rows(start, count):
    import numpy as np
    import pyarrow as pa

    draw = np.random.default_rng(start)
    destinations = np.array([f"D{number:03d}" for number in range(300)])
    late = draw.normal(10, 30, count).clip(-100)
    return pa.table(
        {
            "flight_id": np.arange(start, start + count),
            "dep_delay": pa.array(late, mask=draw.random(count) < 0.02),
            "arr_delay": draw.normal(5, 35, count),
            "distance": draw.integers(50, 5000, count),
            "air_time": draw.integers(20, 700, count),
            "carrier": np.array(CARRIERS)[draw.integers(0, 10, count)],
            "dest": destinations[draw.integers(0, 300, count)],
            "temp": draw.normal(15, 10, count),
            "flight": draw.integers(1, 9999, count).astype("int32"),
            "time_hour": pa.array(1_704_067_200 + np.arange(start, start + count) // 1000, pa.timestamp("s")),
        }
    )


def make(count, path):
    import pyarrow.parquet as pq

    step = 1 << 17
    with pq.ParquetWriter(path, rows(0, 1).schema) as writer:
        for start in range(0, int(count), step):
            writer.write_table(rows(start, min(step, int(count) - start)))


def land(path, folder, parts):
    """Land a file as so many parts, in one commit; by itself it would have parts of a million rows."""
    import pyarrow.parquet as pq

    import dataplat as dp
    from dataplat.lake.parts import PartWriter

    size = -(-pq.read_metadata(path).num_rows // int(parts))
    if int(parts) > 1:
        PartWriter.__init__.__kwdefaults__["target_rows"] = size
    dp.open(folder).ingest(str(path), "flights")


def flights(*, whole=True):
    """Return the model; without `whole` only what statistics of parts can prove: ranges, nulls and types."""
    import pandera.polars as pa

    def column(kind, *checks, **options):
        return pa.Column(kind, list(checks), **options)

    columns = {
        "dep_delay": column(float, pa.Check.ge(-120), nullable=True),
        "arr_delay": column(float, pa.Check.in_range(-500, 500)),
        "distance": column(int, pa.Check.ge(0), pa.Check.le(6000)),
        "air_time": column(int, pa.Check.gt(0)),
        "temp": column(float, pa.Check.le(100)),
    }
    if whole:
        columns |= {
            "flight_id": column(int, unique=True),
            "carrier": column(str, pa.Check.isin(CARRIERS)),
            "dest": column(str, pa.Check.str_matches(r"^D\d{3}$")),
        }
    return pa.DataFrameSchema(columns, name="flights")


def dataplat(path):
    import dataplat as dp

    contract = dp.Contract(flights())
    dp.validate(rows(0, 100), contract)

    def check():
        report = dp.validate(path, contract)
        return report.ok, {}

    return check


def pandera(path):
    import polars as pl

    model = flights()
    model.validate(pl.DataFrame(rows(0, 100)), lazy=True)

    def check():
        model.validate(pl.read_parquet(path), lazy=True)
        return True, {}

    return check


def by_hand(path):
    """One pass of one lazy query that counts what fails."""
    import polars as pl

    c = pl.col
    failing = [
        c("flight_id").is_duplicated(),
        c("dep_delay") < -120,
        ~c("arr_delay").is_between(-500, 500),
        c("distance") < 0,
        c("distance") > 6000,
        c("air_time") <= 0,
        ~c("carrier").is_in(CARRIERS),
        ~c("dest").str.contains(r"^D\d{3}$"),
        c("temp") > 100,
        *(c(name).is_null() for name in NOT_NULL),
        *(c(name).is_nan() for name in ("arr_delay", "temp")),
    ]

    def check():
        query = pl.scan_parquet(path).select(each.sum().alias(str(at)) for at, each in enumerate(failing))
        return not any(query.collect().row(0)), {}

    return check


def pointblank(path):
    import pointblank as pb
    import polars as pl

    def check():
        asked = (
            pb.Validate(pl.read_parquet(path))
            .rows_distinct(columns_subset="flight_id")
            .col_vals_ge("dep_delay", -120, na_pass=True)
            .col_vals_between("arr_delay", -500, 500)
            .col_vals_ge("distance", 0)
            .col_vals_le("distance", 6000)
            .col_vals_gt("air_time", 0)
            .col_vals_in_set("carrier", CARRIERS)
            .col_vals_regex("dest", r"^D\d{3}$")
            .col_vals_le("temp", 100)
            .col_vals_not_null(list(NOT_NULL))
        )
        return asked.interrogate(collect_extracts=False).all_passed(), {}

    return check


def great_expectations(path):
    import great_expectations as gx
    import great_expectations.expectations as e
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    frames = context.data_sources.add_pandas("pandas").add_dataframe_asset("flights")
    batch = frames.add_batch_definition_whole_dataframe("all")
    asked = [
        e.ExpectColumnValuesToBeUnique(column="flight_id"),
        e.ExpectColumnValuesToBeBetween(column="dep_delay", min_value=-120),
        e.ExpectColumnValuesToBeBetween(column="arr_delay", min_value=-500, max_value=500),
        e.ExpectColumnValuesToBeBetween(column="distance", min_value=0),
        e.ExpectColumnValuesToBeBetween(column="distance", max_value=6000),
        e.ExpectColumnValuesToBeBetween(column="air_time", min_value=0, strict_min=True),
        e.ExpectColumnValuesToBeInSet(column="carrier", value_set=CARRIERS),
        e.ExpectColumnValuesToMatchRegex(column="dest", regex=r"^D\d{3}$"),
        e.ExpectColumnValuesToBeBetween(column="temp", max_value=100),
        *(e.ExpectColumnValuesToNotBeNull(column=name) for name in NOT_NULL),
    ]
    suite = context.suites.add(gx.ExpectationSuite("flights", expectations=asked))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="v", data=batch, suite=suite))

    def check():
        found = definition.run(batch_parameters={"dataframe": pd.read_parquet(path)}, result_format="BOOLEAN_ONLY")
        return found.success, {}

    return check


def counted():
    """Count the row groups and dictionaries read of parts, and the memos, from now on."""
    from dataplat.lake import _part_dictionary, _part_open, memos

    seen = {"row_groups_read": 0, "dictionaries_read": 0, "memos_read": 0}
    parts = set()

    def count(owner, method, what):
        call = getattr(owner, method)

        def counting(self, *given, **named):
            seen[what] += 1
            if what == "row_groups_read":
                parts.add(self.part.id)
            return call(self, *given, **named)

        setattr(owner, method, counting)

    count(_part_open.OpenPart, "read", "row_groups_read")
    count(_part_dictionary.Dictionaries, "of", "dictionaries_read")
    count(memos.Memos, "get", "memos_read")
    return seen, parts


def statistics(folder):
    """Ranges, nulls and types of our own parts, on a version of which nothing is remembered."""
    import dataplat as dp

    lake = dp.open(folder, create=False)
    forget(lake)
    contract = dp.Contract(flights(whole=False))
    lake["flights"].validate(contract)
    forget(lake)
    seen, _ = counted()

    def check():
        report = lake["flights"].validate(contract)
        return report.ok and set(report.how) == {"proven"}, seen

    return check


def forget(lake):
    for info in list(lake.store.list("memo/")):
        lake.store.delete(info.key)


def full(folder):
    """All of a version of many parts, of which nothing is remembered."""
    import dataplat as dp

    lake = dp.open(folder, create=False)
    contract = dp.Contract(flights())
    dp.validate(rows(0, 100), contract)
    forget(lake)
    version, (seen, _) = lake["flights"], counted()

    def check():
        return version.validate(contract).ok, seen

    return check


def appended(folder):
    """The version after one more part, when the one before has been judged; held against the full run."""
    import dataplat as dp

    os.environ["DATAPLAT_COMPACT"] = "false"  # the part more stays one
    lake = dp.open(folder, create=False)
    contract = dp.Contract(flights())
    before = lake["flights"]
    before.validate(contract)
    lake.ingest(rows(before.rows, before.rows // len(before.parts)), "flights")
    version, (seen, parts) = lake["flights"], counted()
    new = {part.id for part in version.parts} - {part.id for part in before.parts}
    before = seen.copy()

    def check():
        report = version.validate(contract)
        own = {"old_parts_read": len(parts - new)} | {name: seen[name] - before[name] for name in seen}
        check.report = report
        return report.ok, own

    def same():
        forget(lake)
        whole = lake["flights"].validate(contract)
        return list(map(plain, whole.checks)) == list(map(plain, check.report.checks))

    check.after = same
    return check


def plain(check):
    return (
        check.name,
        check.column,
        check.number,
        check.level,
        check.status,
        check.failing,
        check.rows,
        check.examples,
    )


SIDES = {
    "dataplat": dataplat,
    "pandera": pandera,
    "by_hand": by_hand,
    "pointblank": pointblank,
    "great_expectations": great_expectations,
    "statistics": statistics,
    "full": full,
    "appended": appended,
}

if __name__ == "__main__":
    side, *given = sys.argv[1:]
    if side in {"make", "land"}:
        (make if side == "make" else land)(*given)
        sys.exit()
    check = SIDES[side](*map(Path, given))
    wall, cpu = time.perf_counter(), time.process_time()
    ok, own = check()
    figures = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu, "ok": int(ok), **own}
    if hasattr(check, "after"):
        figures["equal"] = int(check.after())
    if not ok:
        sys.exit(f"{side}: data that meets the contract did not pass")
    print(json.dumps(figures))
