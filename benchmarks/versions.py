"""Changes of a large dataset and what they cost later: delete, append, full dump again, row diff, scan with deletes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks._data import need
from benchmarks._lake import fresh
from benchmarks._measure import DATA, DATAPLAT, Result, Side, compare, link_tree, side_program, tree_bytes
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, at_most, of, ratio

FEW = "ratio > 3.69"
"""Some thousand of ten million rows, scattered."""
HUNDREDTH = "ratio > 2.29"
"""1 % of the rows, scattered."""
OURS, LANCE, DELTA, ICEBERG = "dataplat", "Lance", "delta-rs", "pyiceberg"


def tables(settings: Settings) -> list[Table]:
    """Measure each operation beside its peers; every side starts from its own committed dataset of the same rows."""
    lake = DATA / f"lake-versions-{settings.large}"
    fresh(lake, need("parquet", settings.large), "--key", "id")
    try:
        return [measured(settings, lake) for measured in (_delete, _append, _dump, _diff, _scan)]
    finally:
        shutil.rmtree(lake, ignore_errors=True)


def _delete(settings: Settings, lake: Path) -> Table:
    results = compare(_sides("delete", FEW, settings, lake), settings.repeat)
    new = of(results, OURS, "new_bytes")
    lines = [
        ratio("operation, beside Lance", of(results, OURS, "seconds"), of(results, LANCE, "seconds"), 1),
        at_most("new bytes (memos apart)", None if new is None else new / 1e3, 40, "kB"),
    ]
    return Table(f"Delete where {FEW} of {settings.large:,} rows × 8", tuple(lines), tuple(results))


def _append(settings: Settings, lake: Path) -> Table:
    rows = need("more", settings.large)
    sides = _sides("append", rows, settings, lake)
    raw = Side("pyarrow write", lambda scratch: side_program("pyarrow_rows", "write", rows, scratch / "rows.parquet"))
    results = compare([*sides, raw], settings.repeat)
    lines = [
        ratio(
            "operation, beside the raw write",
            of(results, OURS, "seconds"),
            of(results, "pyarrow write", "seconds"),
            1.2,
            plus=0.05,
        ),
        _bytes(results, rows.stat().st_size * 1.05),
    ]
    return Table(f"Append 1 % to {settings.large:,} rows × 8", tuple(lines), tuple(results))


def _dump(settings: Settings, lake: Path) -> Table:
    text, typed = need("dump-csv", settings.large), need("dump", settings.large)
    sides = [
        _side("dataplat, CSV", "dataplat_versions", "replace", text, lake),
        _side("dataplat, Parquet", "dataplat_versions", "replace", typed, lake),
        Side("pyarrow parse CSV", lambda _: side_program("pyarrow_rows", "parse", text)),
        Side("pyarrow read Parquet", lambda _: side_program("pyarrow_rows", "read", typed)),
    ]
    results = compare(sides, settings.repeat)
    lines = [
        ratio(
            f"{kind}, operation, beside reading it", of(results, ours, "seconds"), of(results, theirs, "seconds"), reach
        )
        for kind, ours, theirs, reach in (
            ("CSV", "dataplat, CSV", "pyarrow parse CSV", 1.5),
            ("Parquet", "dataplat, Parquet", "pyarrow read Parquet", 12),
        )
    ]
    lines += [_bytes(results, 1.2e6, side) for side in ("dataplat, CSV", "dataplat, Parquet")]
    return Table(f"Full dump of {settings.large:,} rows × 8 again, 0.1 % changed", tuple(lines), tuple(results))


def _diff(settings: Settings, lake: Path) -> Table:
    updates = need("updates", settings.large)

    def upserted(program: str, base: Path, *, identify: bool = False) -> Callable[[Path], None]:
        def prepare(scratch: Path) -> None:
            link_tree(base, scratch / "base")
            if program == "dataplat_versions":
                into = ["--into", "rows", "--mode", "upsert", "--lake", str(scratch / "base")]
                _run([DATAPLAT, "ingest", str(updates), *into])
                if identify:
                    show = ["rows", "--content-id", "--lake", str(scratch / "base")]
                    _run([DATAPLAT, "version", "show", *show])
            else:
                _run(side_program(program, "upsert", updates, scratch / "base"))

        return prepare

    def side(name: str, program: str, prepare: Callable[[Path], None], what: str = "diff") -> Side:
        return Side(name, lambda scratch: side_program(program, what, "-", scratch / "base"), prepare)

    sides = [
        side("dataplat, cold", "dataplat_versions", upserted("dataplat_versions", lake)),
        side("dataplat, before-image", "dataplat_versions", upserted("dataplat_versions", lake, identify=True)),
        side("dataplat, full scan", "dataplat_versions", upserted("dataplat_versions", lake), "scan"),
        side("Lance, stable row ids", "lance_versions", upserted("lance_versions", _made("lance", settings.large))),
    ]
    if settings.slow:
        delta = upserted("delta_versions", _made("delta", settings.large))
        sides.append(side("delta-rs, change feed", "delta_versions", delta))
    results = compare(sides, settings.repeat)
    cold, scan = (of(results, name, "seconds") for name in ("dataplat, cold", "dataplat, full scan"))
    lines = [
        ratio("cold, operation, beside a full scan", cold, scan, 1.5),
        at_most("with the before-image, operation", of(results, "dataplat, before-image", "seconds"), 0.1, "s"),
    ]
    return Table(f"Row diff, 10,000 of {settings.large:,} rows × 8", tuple(lines), tuple(results))


def _scan(settings: Settings, lake: Path) -> Table:
    source = need("parquet", settings.large)
    lance = _made("lance", settings.large)

    def deleted(program: str, base: Path) -> Callable[[Path], None]:
        def prepare(scratch: Path) -> None:
            link_tree(base, scratch / "base")
            _run(side_program(program, "delete", HUNDREDTH, scratch / "base"))

        return prepare

    def side(name: str, program: str, base: Path, *, whole: bool) -> Side:
        prepare = _linked(base) if whole else deleted(program, base)
        return Side(name, lambda scratch: side_program(program, "scan", "-", scratch / "base"), prepare)

    results = compare(
        [
            side("dataplat, 1 % deleted", "dataplat_versions", lake, whole=False),
            side("dataplat, none deleted", "dataplat_versions", lake, whole=True),
            Side("pyarrow, plain Parquet", lambda _: side_program("pyarrow_rows", "scan", source)),
            side("Lance, 1 % deleted", "lance_versions", lance, whole=False),
            side("Lance, none deleted", "lance_versions", lance, whole=True),
        ],
        settings.repeat,
    )
    ours, plain, theirs, whole = (
        of(results, name, "seconds")
        for name in ("dataplat, 1 % deleted", "pyarrow, plain Parquet", "Lance, 1 % deleted", "Lance, none deleted")
    )
    own = round(theirs / whole, 2) if theirs and whole else 0.0
    lines = [
        ratio("operation, beside plain Parquet", ours, plain, 1.35),
        ratio("beside no deletes, at most Lance's ratio", ours, of(results, "dataplat, none deleted", "seconds"), own),
    ]
    return Table(f"Full scan with 1 % of {settings.large:,} rows × 8 deleted", tuple(lines), tuple(results))


def _sides(what: str, given: object, settings: Settings, lake: Path) -> list[Side]:
    """Return the sides of an operation that all engines have."""
    sides = [
        _side(OURS, "dataplat_versions", what, given, lake),
        _side(LANCE, "lance_versions", what, given, _made("lance", settings.large)),
    ]
    if settings.slow:
        sides += [
            _side(DELTA, "delta_versions", what, given, _made("delta", settings.large)),
            _side(ICEBERG, "iceberg_versions", what, given, _made("iceberg", settings.large)),
        ]
    return sides


def _side(name: str, program: str, what: str, given: object, base: Path) -> Side:
    """Return a side that starts from `base`, and counts the bytes that came."""
    before = tree_bytes(base, without=("memo",))

    def after(scratch: Path) -> dict[str, float]:
        return {"new_bytes": tree_bytes(scratch / "base", without=("memo",)) - before}

    def command(scratch: Path) -> list[str]:
        return side_program(program, what, given, base if name == ICEBERG else scratch / "base")

    prepare = _restored(base) if name == ICEBERG else _linked(base)
    return Side(name, command, prepare, None if name == ICEBERG else after)


def _linked(base: Path) -> Callable[[Path], None]:
    return lambda scratch: link_tree(base, scratch / "base")


def _restored(base: Path) -> Callable[[Path], None]:
    """Iceberg metadata holds absolute paths: the table is worked on where it lies, and put back from a copy."""
    kept = base.with_name(f"{base.name}-kept")

    def prepare(_: Path) -> None:
        if kept.exists():
            shutil.rmtree(base)
        else:
            shutil.copytree(base, kept)
            return
        shutil.copytree(kept, base)

    return prepare


def _made(kind: str, rows: int) -> Path:
    """Return the table of a peer with all rows, made now if it is missing."""
    path = DATA / f"{kind}-versions-{rows}"
    if not path.exists():
        _run(side_program(f"{kind}_versions", "make", need("parquet", rows), path))
    return path


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _bytes(results: list[Result], reach: float, side: str = OURS) -> Line:
    new = of(results, side, "new_bytes")
    shown = f"{new:,.0f}" if new is not None else "not measured"
    return Line(f"{side}: new bytes (memos apart)", shown, f"≤ {reach:,.0f}", None if new is None else new <= reach)
