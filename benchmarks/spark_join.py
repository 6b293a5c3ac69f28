"""Point-in-time joins on Spark: a spine, three views, histories of `--large` rows each, beside a union and a window by hand."""

from __future__ import annotations

from benchmarks import features_join
from benchmarks._measure import Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Table, of, ratio

OURS, PLAIN = "dataplat, engine=spark", "Spark, union + window"
VIEWS = 3


def tables(settings: Settings) -> list[Table]:
    """Measure both in `local[2]`."""
    rows = settings.large
    history, lake = features_join.data(rows)
    spine = min(features_join.SPINE, settings.large // 10)
    results = compare(
        [
            Side(OURS, lambda scratch: side_program("spark_join_sides", "dataplat", history, spine, lake, scratch)),
            Side(PLAIN, lambda scratch: side_program("spark_join_sides", "window", history, spine, lake, scratch)),
        ],
        settings.repeat,
    )
    own = "after Spark has started, and done a first job"
    lines = (
        ratio(f"ours / Spark's window, {own}", of(results, OURS, "seconds"), of(results, PLAIN, "seconds"), 1.0),
        ratio("the same, whole processes", of(results, OURS), of(results, PLAIN), 1.0),
    )
    title = f"Point-in-time join on Spark, {spine:,} rows × {VIEWS} views × {rows:,}"
    return [Table(title, lines, tuple(results))]
