"""Which values meet in units, counted: sums that can be added and taken away, so that agreement follows every pull.

A unit that m people rated holds m (m - 1) / 2 pairs of ratings. How many pairs of each two values there are, by m, is
all that α (at every level) and Fleiss' κ need to know. These are whole numbers: added in any order they are the same,
and what is taken away leaves exactly what was there before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dataplat.errors import ConfigError, LabelError
from dataplat.labeling.agreement._levels import Level, observed_and_expected
from dataplat.labeling.agreement._ratings import MISSING, Array, Value, codes_of, codes_of_ratings

_DENSE: Final = 1 << 23
"""Units x values up to which values are counted in a table."""


@dataclass(frozen=True, slots=True, eq=False)
class Coincidences:
    """Pairs of ratings of one unit, counted by their two values and by how many ratings the unit has.

    `values` are the categories in ascending order. Entry i says that values number `low[i]` and `high[i]` (not less)
    meet in `count[i]` pairs, in units of `size[i]` ratings each. Units of fewer than two ratings are not pairable and
    count nowhere.

    Example:
        >>> before = Coincidences.of([["a", "b"], ["a", "a"]])
        >>> after = before + Coincidences.of([["b"], ["b"]])
        >>> round(after.alpha(), 3)
        0.444
    """

    values: tuple[Value, ...]
    size: Array
    low: Array
    high: Array
    count: Array

    @classmethod
    def of(cls, ratings: Any) -> Coincidences:
        """Count ratings given as raters x units; None and NaN are missing.

        Raises:
            ConfigError: They are no table, or numbers and texts together.
        """
        coded = codes_of_ratings(ratings)
        raters, units = coded.codes.shape
        return cls._of(np.tile(np.arange(units), raters), coded.codes.ravel(), coded.values, units)

    @classmethod
    def of_votes(cls, units: Any, values: Any) -> Coincidences:
        """Count ratings given one by one: of each the unit (any value that names it) and the value.

        Raises:
            ConfigError: There are not as many units as values, or values are numbers and texts together.
        """
        named, coded = codes_of(units), codes_of(values)
        if len(named.codes) != len(coded.codes):
            raise ConfigError(f"every vote has a unit: {len(named.codes)} units for {len(coded.codes)} votes")
        if (named.codes == MISSING).any():
            raise ConfigError("every vote has a unit, and one has none")
        return cls._of(named.codes, coded.codes, coded.values, len(named.values))

    @classmethod
    def _of(cls, units: Array, codes: Array, values: tuple[Value, ...], number: int) -> Coincidences:
        if (codes == MISSING).any():
            there = codes != MISSING
            units, codes = units[there], codes[there]
        count = _by_table if number * len(values) <= _DENSE else _by_pairs
        return cls(values, *count(units, codes, number, len(values)))

    @property
    def units(self) -> int:
        """How many units have two ratings or more."""
        sizes = np.unique(self.size)
        pairs = np.array([self.count[self.size == size].sum() for size in sizes], np.int64)
        return int((pairs // (sizes * (sizes - 1) // 2)).sum())

    @property
    def ratings(self) -> int:
        """How many ratings are pairable."""
        return int(self.frequencies.sum())

    @property
    def frequencies(self) -> Array:
        """How often each value is given, in pairable units."""
        sizes = np.unique(self.size)
        found = np.zeros((len(sizes), len(self.values)), np.int64)
        at = np.searchsorted(sizes, self.size)
        np.add.at(found, (at, self.low), self.count)
        np.add.at(found, (at, self.high), self.count)
        often: Array = (found // (sizes - 1)[:, None]).sum(axis=0)  # each rating is in one pair less than its unit has
        return often

    def alpha(self, level: Level = "nominal", *, categories: Sequence[Value] | None = None) -> float:
        """Return Krippendorff's α; see `krippendorff_alpha`."""
        observed, expected = observed_and_expected(self, level, categories)
        return 1 - (self.ratings - 1) * observed / expected if expected else float("nan")

    def fleiss(self) -> float:
        """Return Fleiss' κ; see `fleiss_kappa`."""
        often = self.frequencies
        if (often > 0).sum() < 2:
            return float("nan")
        alike = self.low == self.high
        size = self.size[alike]
        agreed = float((2 * self.count[alike] / (size * (size - 1))).sum()) / self.units
        chance = float((often * often).sum()) / self.ratings**2
        return (agreed - chance) / (1 - chance)

    def __add__(self, other: Coincidences) -> Coincidences:
        return self._with(other, 1)

    def __sub__(self, other: Coincidences) -> Coincidences:
        return self._with(other, -1)

    def _with(self, other: Coincidences, sign: int) -> Coincidences:
        kinds = {isinstance(value, str) for value in (*self.values, *other.values)}
        if len(kinds) > 1:
            raise ConfigError("ratings are all numbers or all texts: these are numbers here and texts there")
        values = tuple(sorted({*self.values, *other.values}))
        place = {value: number for number, value in enumerate(values)}
        sides = [(each, np.array([place[value] for value in each.values], np.int64)) for each in (self, other)]
        size = np.concatenate([each.size for each, _ in sides])
        low = np.concatenate([at[each.low] for each, at in sides])
        high = np.concatenate([at[each.high] for each, at in sides])
        return _summed(values, (size, low, high), np.concatenate((self.count, sign * other.count)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Coincidences) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.values, self.count.tobytes()))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        fields = ("size", "low", "high", "count")
        return {"values": list(self.values)} | {name: getattr(self, name).tolist() for name in fields}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Coincidences:
        """Read what `to_dict` gave."""
        fields = (np.array(found[name], np.int64) for name in ("size", "low", "high", "count"))
        return cls(tuple(found["values"]), *fields)


def _summed(values: tuple[Value, ...], keys: tuple[Array, Array, Array], counts: Array) -> Coincidences:
    """Return entries of one key as one, those of none left out, and values that are nowhere with them."""
    order = np.lexsort(keys[::-1])
    keys = keys[0][order], keys[1][order], keys[2][order]
    first = np.ones(len(order), bool)
    first[1:] = (keys[0][1:] != keys[0][:-1]) | (keys[1][1:] != keys[1][:-1]) | (keys[2][1:] != keys[2][:-1])
    starts = np.flatnonzero(first)
    total = np.add.reduceat(counts[order], starts) if len(starts) else counts[:0]
    if (total < 0).any():
        raise LabelError("units were taken away that had not been added: what is counted is not what was counted")
    kept = starts[total > 0]
    size, low, high = (key[kept] for key in keys)
    used = np.unique(np.concatenate((low, high)))
    return Coincidences(
        tuple(values[at] for at in used.tolist()), size, np.searchsorted(used, low), np.searchsorted(used, high), total[total > 0]
    )  # fmt: skip


def _by_table(units: Array, codes: Array, number: int, values: int) -> tuple[Array, Array, Array, Array]:
    """Count by values x units: the pairs are the product of that table with itself."""
    table = np.bincount(codes * number + units, minlength=number * values).reshape(values, number).astype(np.float64)
    sizes = np.bincount(units, minlength=number)
    found: list[tuple[Array, Array, Array, Array]] = []
    for size in (np.flatnonzero(np.bincount(sizes)[2:]) + 2).tolist():
        of = np.flatnonzero(sizes == size)
        columns = table if len(of) == number else table.take(of, axis=1)
        pairs = columns @ columns.T  # exact: whole numbers below 2^53
        own = (np.diagonal(pairs) - columns.sum(axis=1)) / 2
        np.fill_diagonal(pairs, own)
        low, high = np.nonzero(np.triu(pairs))
        found.append((np.full(len(low), size), low, high, pairs[low, high].astype(np.int64)))
    if not found:
        return tuple(np.empty(0, np.int64) for _ in range(4))  # type: ignore[return-value]
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))  # type: ignore[return-value]


def _by_pairs(units: Array, codes: Array, number: int, values: int) -> tuple[Array, Array, Array, Array]:
    """Count pair by pair: for values of which most are there once, as measurements are."""
    sizes = np.bincount(units, minlength=number)
    order = np.argsort(units, kind="stable")
    units, codes = units[order], codes[order]
    firsts, seconds, of = [], [], []
    for step in range(1, int(sizes.max(initial=0))):
        same = units[step:] == units[:-step]
        firsts.append(codes[:-step][same])
        seconds.append(codes[step:][same])
        of.append(sizes[units[step:][same]])
    if not firsts:
        return tuple(np.empty(0, np.int64) for _ in range(4))  # type: ignore[return-value]
    one, two, size = np.concatenate(firsts), np.concatenate(seconds), np.concatenate(of)
    low, high = np.minimum(one, two), np.maximum(one, two)
    summed = _summed(tuple(range(values)), (size, low, high), np.ones(len(low), np.int64))
    back = np.array(summed.values, np.int64)
    return summed.size, back[summed.low], back[summed.high], summed.count
