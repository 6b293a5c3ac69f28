"""Ingest CSV, NDJSON and Parquet, committed and with content id, beside DuckDB, pyarrow and dlt."""

from __future__ import annotations

from pathlib import Path

from benchmarks._data import need
from benchmarks._lake import init
from benchmarks._measure import DATAPLAT, Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, at_most, of, ratio

MEMORY = 700


def tables(settings: Settings) -> list[Table]:
    """Measure text at both sizes, dlt at the smaller one, and Parquet at the larger."""
    found = [_text(kind, rows, settings) for kind in ("csv", "ndjson") for rows in settings.sizes]
    return [*found, _parquet(settings)]


def dataplat_ingest(source: Path) -> Side:
    """Return the side that ingests a file into a lake that is there already."""
    return Side(
        "dataplat",
        lambda scratch: [DATAPLAT, "ingest", str(source), "--into", "rows", "--lake", str(scratch / "lake")],
        prepare=lambda scratch: init(scratch / "lake"),
    )


def _text(kind: str, rows: int, settings: Settings) -> Table:
    source = need(kind, rows)
    sides = [
        Side("DuckDB COPY", lambda scratch: side_program("duckdb_copy", source, scratch / "out.parquet")),
        dataplat_ingest(source),
    ]
    with_dlt = rows == settings.small and settings.slow
    if with_dlt:
        sides.append(Side("dlt (rows)", lambda scratch: side_program("dlt_load", source, scratch)))
    results = compare(sides, settings.repeat)
    lines = [
        ratio("wall, beside DuckDB COPY", of(results, "dataplat"), of(results, "DuckDB COPY"), 1.4),
        _memory(results),
    ]
    if with_dlt:
        theirs, ours = of(results, "dlt (rows)"), of(results, "dataplat")
        if ours and theirs:
            lines.append(
                Line("beside dlt's rows, wall", f"{theirs / ours:.1f} × faster", "≥ 20 ×", theirs >= 20 * ours)
            )
    return Table(f"Ingest {kind.upper()}, {rows:,} rows × 8", tuple(lines), tuple(results))


def _parquet(settings: Settings) -> Table:
    rows = settings.large
    source = need("parquet", rows)
    results = compare(
        [
            Side("pyarrow read + write", lambda scratch: side_program("pyarrow_copy", source, scratch / "out.parquet")),
            Side(
                "pyarrow, streamed",
                lambda scratch: side_program("pyarrow_copy", source, scratch / "o.parquet", "stream"),
            ),
            dataplat_ingest(source),
        ],
        settings.repeat,
    )
    return Table(
        f"Ingest Parquet, {rows:,} rows × 8",
        (
            ratio(
                "wall, beside pyarrow read + write", of(results, "dataplat"), of(results, "pyarrow read + write"), 1.4
            ),
            _beside_stream(results),
            _memory(results),
        ),
        tuple(results),
    )


def _beside_stream(results: list[Result]) -> Line:
    """Say how far it is from the least that can be: pyarrow in batches, which does not load pandas either."""
    ours, theirs = of(results, "dataplat"), of(results, "pyarrow, streamed")
    reached = NOT_MEASURED if ours is None or theirs is None else f"{ours / theirs:.2f} × ({ours:.3f} / {theirs:.3f} s)"
    return Line("wall, beside pyarrow in batches", reached, "–", None)


def _memory(results: list[Result]) -> Line:
    peak = of(results, "dataplat", "rss")
    return at_most("peak memory", None if peak is None else peak / 1e6, MEMORY, "MB")
