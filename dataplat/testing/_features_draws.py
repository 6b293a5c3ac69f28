"""Rows of drawn worlds: sources with everything in them that PIT.md has a rule for, on a coarse grid so that times meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from dataplat.lake.schema import JsonType
from dataplat.testing._features_history import Row, Source, Version

STEP: Final = 1_800_000_000
"""Half an hour: times are multiples of it, some a microsecond off, so that edges are met exactly."""
STEPS: Final = 64
BASES: Final = (
    datetime(2026, 3, 28, 12, tzinfo=UTC),  # clocks of Berlin go forward in it,
    datetime(2026, 10, 24, 12, tzinfo=UTC),  # and back
    datetime(2026, 10, 31, 20, tzinfo=UTC),  # those of New York
    datetime(1969, 12, 31, 8, tzinfo=UTC),  # counts below 0
)
ZONES: Final = ("Europe/Berlin", "America/New_York", "UTC")
AWARE: Final = (
    "timestamp[us, UTC]",
    "timestamp[ns, UTC]",
    "timestamp[ms, UTC]",
    "timestamp[s, UTC]",
    "timestamp[us, Europe/Berlin]",
)
NAIVE: Final = ("timestamp[us]", "timestamp[ns]", "timestamp[ms]")
AIRPORTS: Final = ("1", "12", "", "JFK")
PLANES: Final = ("23", "3")
CARRIERS: Final = (0, 1, -(2**31))
FLOATS: Final = (
    0.0,
    -0.0,
    0.0,
    -0.0,
    1.5,
    -2.25,
    0.1,
    0.2,
    0.3,
    1e16,
    -1e16,
    1.0,
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    5e-324,
)
TAME: Final = (1.5, -2.25, 0.1, 0.2, 0.3, 1e16, -1e16, 1.0, 3.25, 7.0)
INTS: Final = (0, 1, -1, 3, 7, 2**53 + 1, -(2**53) - 1)
STRINGS: Final = ("", "a", "B", "é", "10", "7", "zz")
COLUMNS: Final[dict[str, JsonType]] = {
    "id": "int64",
    "airport": "string",
    "plane": "string",
    "carrier": "int64",
    "x": "float64",
    "y": "float64",
    "n": "int64",
    "s": "string",
    "v": {"list": "float64"},
    "flag": "bool",
    "cancelled": "int64",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """When a world happens."""

    rng: Random
    base: int

    @classmethod
    def drawn(cls, rng: Random) -> Clock:
        """Draw one."""
        return cls(rng, (rng.choice(BASES) - _EPOCH) // timedelta(microseconds=1))

    def moment(self, most: int = STEPS) -> int:
        """Draw a time on the grid, or a microsecond beside it."""
        return self.base + self.rng.randrange(most) * STEP + self.rng.choice((0, 0, 0, 0, 0, 1, -1))

    def count(self, micros: int, kind: str, zone: str | None) -> int:
        """Return a time as a type counts it, for naive ones on the clocks of `zone`; what it cannot hold is cut off."""
        if zone is not None and "," not in kind:
            instant = _EPOCH + timedelta(microseconds=micros)
            offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
            assert offset is not None
            micros += offset // timedelta(microseconds=1)
        unit = kind.removeprefix("timestamp[")[:2].strip("],")
        if unit == "ns":
            return micros * 1000 + self.rng.choice((0, 1, 999))
        return micros // {"us": 1, "ms": 1_000, "s": 1_000_000}[unit]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A drawn source, and what a view must know of it."""

    name: str
    source: Source
    zone: str | None
    known: bool
    commits: bool


def dataset(rng: Random, clock: Clock, name: str, size: int) -> Dataset:
    """Draw a dataset of at most `size` rows that ever were."""
    zone = rng.choice((None, None, *ZONES))
    kind = rng.choice(AWARE if zone is None else NAIVE)
    types = {
        **COLUMNS,
        "at": kind,
        "seen": rng.choice((kind, kind, AWARE[0])),
        "carrier": rng.choice(("int64", "int32")),
    }
    commits = rng.random() < 0.35
    drawing = _Drawing(rng, clock, types, zone, tame=commits or rng.random() < 0.3)
    source = Source(types, tuple(drawing.versions(size))) if commits else Source.of(types, drawing.appended(size))
    return Dataset(name, source, zone, not commits and rng.random() < 0.7, commits)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Draws the rows of one source."""

    rng: Random
    clock: Clock
    types: dict[str, JsonType]
    zone: str | None
    tame: bool

    def row(self, id: int) -> Row:
        """Draw a row: its known time mostly later than its event time, sometimes much, sometimes before it."""
        rng = self.rng
        values: Row = {
            "id": id,
            "airport": rng.choice(AIRPORTS),
            "plane": rng.choice(PLANES),
            "carrier": rng.choice(CARRIERS),
        }
        for column in ("airport", "plane", "carrier"):
            if rng.random() < 0.04:
                values[column] = None
        e = self.clock.moment()
        k = e + rng.choice((0, 0, 0, 1, 2, 2, 12, -6)) * STEP
        return values | self.features() | self.times(e, k)

    def times(self, e: int, k: int) -> Row:
        """Return the columns of times."""
        at, seen = str(self.types["at"]), str(self.types["seen"])
        return {"at": self.clock.count(e, at, self.zone), "seen": self.clock.count(k, seen, self.zone)}

    def features(self) -> Row:
        """Draw what features are of; nulls are frequent."""
        rng = self.rng
        floats = TAME if self.tame else FLOATS
        size = rng.randrange(3)
        found = {
            "x": rng.choice(floats),
            "y": rng.choice(TAME),
            "n": rng.choice(INTS),
            "s": rng.choice(STRINGS),
            "v": [rng.choice((*TAME, None)) for _ in range(size)],
            "flag": rng.random() < 0.5,
            "cancelled": rng.choice((0, 0, 0, 1, None)),
        }
        return {column: None if rng.random() < 0.15 else value for column, value in found.items()}

    def appended(self, size: int) -> list[Row]:
        """Draw rows of a source that only grows: some are corrections of earlier ones, some ties, some equal."""
        rng = self.rng
        rows: list[Row] = []
        for id in range(size):
            draw = rng.random() if rows else 1.0
            if draw < 0.15:
                rows.append(self._corrected(rng.choice(rows)))
            elif draw < 0.25:  # ties on e, and on k
                rows.append(rng.choice(rows) | {"id": id} | self.features())
            elif draw < 0.28:
                rows.append(dict(rng.choice(rows)))
            else:
                rows.append(self.row(id) | ({"id": None} if rng.random() < 0.02 else {}))
        rng.shuffle(rows)
        return rows

    def _corrected(self, row: Row) -> Row:
        """Return a row of the same event: known later, of other values, sometimes of another time or key."""
        other = self.row(row["id"])
        keep = ["airport", "plane", "carrier"] if self.rng.random() < 0.8 else []
        keep += ["at"] if self.rng.random() < 0.6 else []
        return other | {column: row[column] for column in keep}

    def versions(self, size: int) -> list[Version]:
        """Draw the versions of a source that is upserted and deleted, each at its commit's time."""
        rng = self.rng
        times = sorted({self.clock.moment() for _ in range(rng.randint(2, 8))})
        alive: dict[int, Row] = {}
        found = []
        for number, at in enumerate(times):
            for id in list(alive):
                draw = rng.random()
                if draw < 0.2:
                    del alive[id]
                elif draw < 0.4:
                    alive[id] = self._corrected(alive[id])
            fresh = size // (2 * len(times))
            alive |= {id: self.row(id) for id in range(number * fresh, (number + 1) * fresh)}
            found.append(Version(at, tuple(alive.values())))
        return found


def spine(
    rng: Random, clock: Clock, size: int, kind: str, near: Sequence[tuple[int, Row]]
) -> tuple[dict[str, JsonType], list[Row]]:
    """Draw a spine: its types and rows; some rows twice, some with keys that nobody knows, or none.

    `near` are times, and keys with which something happens then: most rows are about one of them.
    """
    types: dict[str, JsonType] = {
        "t": kind, "airport": "string", "plane": "string", "carrier": "int64", "dest": "string",
        "distance": "float64", "note": "string",
    }  # fmt: skip
    rows: list[Row] = []
    for at in range(size):
        if rows and rng.random() < 0.06:
            rows.append(dict(rng.choice(rows)))
            continue
        row = {
            "t": clock.count(clock.moment(STEPS + 24), kind, None),
            "airport": _key(rng, AIRPORTS, "nowhere"),
            "plane": _key(rng, PLANES, "none"),
            "carrier": _key(rng, CARRIERS, 99),
            "dest": _key(rng, AIRPORTS, "nowhere"),
            "distance": rng.choice((1.0, 0.0, 2475.0, math.nan, None)),
            "note": f"row {at}",
        }
        if near and rng.random() < 0.7:
            t, keys = rng.choice(near)
            row |= {"t": clock.count(t, kind, None)} | keys
        rows.append(row)
    return types, rows


def _key(rng: Random, known: Sequence[Any], unknown: Any) -> Any:
    draw = rng.random()
    return None if draw < 0.03 else unknown if draw < 0.06 else rng.choice(known)
