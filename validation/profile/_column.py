"""What a profile says of one column, and how what is said of parts becomes what is said of all of them.

A `ColumnProfile` is a value made of one part's rows, or of several merged. Merging is a function of the set of parts:
in whatever order and grouping they are merged, the result is the same, byte for byte (`_points`, `_values`, `_times` and
`_sums` say why for each piece).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np

from dataplat.errors import SchemaError
from dataplat.validation.profile._lengths import Lengths
from dataplat.validation.profile._points import Points
from dataplat.validation.profile._runs import Caching, told
from dataplat.validation.profile._sums import SCALE
from dataplat.validation.profile._times import Times
from dataplat.validation.profile._values import Values

Array: TypeAlias = np.ndarray[Any, Any]
Scalar: TypeAlias = int | float | str | bool

NUMBERS: Final = frozenset({"int", "float", "decimal", "date", "time", "timestamp", "timestamp_tz", "duration"})
"""Families whose values have an order and quantiles; times are integers."""
_ADDED: Final = ("rows", "nulls", "nans", "zeros", "negative", "total", "squares")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ColumnProfile(Caching):
    """What is known of the rows of one column.

    Args:
        name: the column.
        family: what its values are: `int`, `float`, `decimal`, `bool`, `string`, `binary`, `date`, `time`, `timestamp`
            (naive), `timestamp_tz`, `duration`, `null`, `list`, `map` or `struct`.
        scale: digits behind the point, for decimals.
        rows: all rows, of which `nulls` are null and `nans` are NaN; neither is in anything below.
        infinite: rows that are -inf and +inf; they are in `points`, `low`, `high` and `values`, not in the sums.
        zeros: rows that are 0 (−0.0, too); false ones, of booleans.
        negative: rows that are less than 0, -inf among them.
        total: the exact sum of the finite numbers; of floats in units of 2**-1074, of decimals in units of the last digit.
        squares: the exact sum of their squares, in the square of that unit.
        low: the least value, in what `unit` says; of decimals its text; of texts at most 256 characters of it, by code
            point; None for other families and where there is none.
        high: the greatest.
        points: ranks and quantiles, of families in `NUMBERS`.
        values: distinct and frequent values, of families that are not nested.
        lengths: of texts in characters, of bytes, of lists and maps in items.
        patterns: frequent shapes of texts: `A` is an upper-case letter of ASCII, `a` a lower-case one, `9` a digit, `U` a
            character beyond ASCII, `C` a control character, others are themselves; `…` follows where 32 were not enough.
        times: when rows lie, of dates and timestamps.
    """

    name: str
    family: str
    rows: int
    scale: int = 0
    nulls: int = 0
    nans: int = 0
    infinite: tuple[int, int] = (0, 0)
    zeros: int = 0
    negative: int = 0
    total: int = field(default=0, repr=False)
    squares: int = field(default=0, repr=False)
    low: Scalar | None = None
    high: Scalar | None = None
    points: Points | None = field(default=None, repr=False)
    values: Values | None = field(default=None, repr=False)
    lengths: Lengths | None = field(default=None, repr=False)
    patterns: Values | None = field(default=None, repr=False)
    times: Times | None = field(default=None, repr=False)

    @property
    def numeric(self) -> bool:
        """Whether values have an order and quantiles."""
        return self.family in NUMBERS

    @property
    def unit(self) -> str | None:
        """What integers that stand for times count: `us` (microseconds, since 1970 or midnight) or `d` (days since 1970)."""
        if self.family == "date":
            return "d"
        return "us" if self.family in {"time", "timestamp", "timestamp_tz", "duration"} else None

    @property
    def there(self) -> int:
        """Rows that hold a value: neither null nor NaN."""
        return self.rows - self.nulls - self.nans

    @property
    def missing(self) -> float:
        """The share of rows that are null or NaN."""
        return 1 - self.there / self.rows if self.rows else 0.0

    @cached_property
    def mean(self) -> float | None:
        """The mean of the finite numbers, the exact one rounded once; None where there are none or it has no meaning."""
        return _quotient(self.total, self._unit(self._finite, 1)) if self._finite else None

    @cached_property
    def deviation(self) -> float | None:
        """The standard deviation of the finite numbers as a sample; None for fewer than two."""
        count = self._finite
        if count < 2:
            return None
        return _root(count * self.squares - self.total**2, self._unit(count * (count - 1), 2))

    @property
    def rank_error(self) -> float:
        """The most that `cdf` can be off by: certain, and 0 where every number is there."""
        return self.points.certain_error if self.points else 0.0

    @property
    def likely_rank_error(self) -> float:
        """The most that `cdf` is off by, but for one case in a million."""
        return self.points.likely_error if self.points else 0.0

    def quantile(self, share: Any) -> Any:
        """Return the number (in `unit`) up to which this share of the numbers lies, or an array for an array of shares.

        Its rank is off by `rank_error` at most; 0 and 1 give the least and the greatest, exactly.

        Raises:
            SchemaError: values have no quantiles.
        """
        shares = np.asarray(share, np.float64)
        points = self._points
        if not points.count:
            return None if shares.ndim == 0 else np.full(shares.shape, np.nan)
        low, high = self._ends
        found = points.quantiles(shares) if len(points.values) else np.full(shares.shape, low)
        found = np.where(shares <= 0, low, np.where(shares >= 1, high, found))
        return found.item() if shares.ndim == 0 else found

    def cdf(self, at: Any, *, below: bool = False) -> Any:
        """Return the share of the numbers that are at most `at` (`below`: less than it), for one or for an array.

        Raises:
            SchemaError: values have no order.
        """
        found = self._upto(np.asarray(at), below=below) / max(self._points.count, 1)
        return float(found) if found.ndim == 0 else found

    def histogram(self, edges: Any) -> Array:
        """Return how many numbers lie between neighbours of `edges` (ascending): from each to before the next, and at the last.

        Counts are off by twice `rank_error` of the numbers at most.

        Raises:
            SchemaError: values have no order.
        """
        edges = np.asarray(edges)
        sums = self._upto(edges, below=True)
        sums[-1] = self._upto(edges[-1:])[0]
        return np.diff(sums)

    @property
    def distinct(self) -> int | None:
        """How many distinct values there are: exactly below 1,024, else about; None for nested columns. NaN and null are none."""
        return None if self.values is None else self.values.distinct

    @property
    def distinct_bounds(self) -> tuple[int, int] | None:
        """Between which their number lies, but for one case in twenty."""
        return None if self.values is None else self.values.distinct_bounds

    def frequent(self, number: int | None = None) -> tuple[tuple[Any, int], ...]:
        """Return frequent values with the rows of each, the most frequent first; all of them where they are few.

        Times are integers in `unit`, bytes are hexadecimal, decimals are text. A count is too low by `frequent_error` rows
        at most, and never too high.
        """
        return () if self.values is None else self.values.frequent[:number]

    @property
    def frequent_error(self) -> int:
        """How many rows a frequent value can have beyond its count, or a value that is not listed can have."""
        return 0 if self.values is None else self.values.error

    @property
    def _points(self) -> Points:
        if self.points is None:
            raise SchemaError(f"column {self.name!r} holds {self.family} values, which have no quantiles")
        return self.points

    @property
    def _ends(self) -> tuple[Any, Any]:
        """The least and the greatest number, as `points` has them."""
        return (float(self.low or 0), float(self.high or 0)) if self.family == "decimal" else (self.low, self.high)

    @property
    def _finite(self) -> int:
        return self.there - sum(self.infinite) if self.numeric else 0

    def _unit(self, count: int, power: int) -> int:
        """Return what sums (of squares: `power` 2) are divided by to be means over `count`."""
        unit: int = (1 << SCALE) if self.family == "float" else 10**self.scale
        result: int = count * unit**power
        return result

    def _upto(self, at: Array, *, below: bool = False) -> Array:
        """Return how many numbers are up to each value, as well as it is known; the ends are known exactly."""
        points = self._points
        if not points.count:
            return np.zeros(at.shape, np.int64)
        found = points.upto(at, below=below)
        low, high = self._ends
        over, under = (at > high, at <= low) if below else (at >= high, at < low)
        return np.where(over, points.count, np.where(under, 0, found))


_FIELDS: Final = tuple(each.name for each in fields_of(ColumnProfile))


def merge(several: Sequence[ColumnProfile]) -> ColumnProfile:
    """Return what is known of all rows of one column; of the same profiles it is the same, in whatever order.

    Raises:
        SchemaError: They are of columns that differ in name, family or scale.
    """
    first = several[0]
    if len(several) == 1:
        return first
    fields = dict(zip(_FIELDS, told(several, *_FIELDS), strict=True))
    kinds = {*zip(fields["name"], fields["family"], fields["scale"], strict=True)}
    if len(kinds) > 1:
        texts = " and ".join(f"{name!r} ({family})" for name, family, _ in sorted(kinds))
        raise SchemaError(f"profiles of columns that differ cannot be merged: {texts}")
    lowest, highest = zip(*fields["infinite"], strict=True)
    key: Any = Decimal if first.family == "decimal" else None
    return ColumnProfile(
        name=first.name,
        family=first.family,
        scale=first.scale,
        **{name: sum(fields[name]) for name in _ADDED},
        infinite=(sum(lowest), sum(highest)),
        low=min((low for low in fields["low"] if low is not None), key=key, default=None),
        high=max((high for high in fields["high"] if high is not None), key=key, default=None),
        points=_merged(Points, fields["points"]),
        values=_merged(Values, fields["values"]),
        lengths=_merged(Lengths, fields["lengths"]),
        patterns=_merged(Values, fields["patterns"]),
        times=_merged(Times, fields["times"]),
    )


def _quotient(above: int, under: int) -> float:
    """Return the nearest float; infinite where it is beyond all of them."""
    try:
        return above / under
    except OverflowError:
        return math.inf if above > 0 else -math.inf


def _root(above: int, under: int) -> float:
    """Return the square root of a quotient, which may be beyond all floats where its root is not."""
    bits = max(0, 66 - (above.bit_length() - under.bit_length()) // 2)
    return _quotient(math.isqrt((above << 2 * bits) // under), 1 << bits)


def _merged(kind: Any, pieces: Sequence[Any]) -> Any:
    there = [piece for piece in pieces if piece is not None]
    return kind.merge(there) if there else None
