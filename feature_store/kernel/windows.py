"""Functions of the events of windows, for all questions at once (PIT 7, 8, 16, 22, 23).

    count     of events, 0 of none; all other functions skip nulls (but first, last, last n), and are null of nothing
    sum       correctly rounded; of integers int64, of decimals decimal128(38); what does not fit is refused
    mean      the correctly rounded sum, divided by the count of values
    std       the root of (n Σx² - (Σx)²) / (n (n - 1)), which is exact and rounded once; null of one value
    quantile  sorted; h = q (n - 1); a + (b - a) (h - floor h) for the neighbours a, b of h; a where h is whole
    distinct  exactly; all NaN are one value, and so are -0.0 and 0.0
    ratio     both as floats, then divided; null where either is null, or the second is 0

NaN propagates; in `min` and `max` -0.0 is below 0.0. Every result depends on the multiset of what is known and in the
window, and for first, last and last n on the order of rows (PIT 6): on no part, order or engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dataplat.errors import SchemaError
from dataplat.feature_store.kernel.columns import Ordered
from dataplat.feature_store.kernel.exact import Numbers, Sums, prefixes
from dataplat.feature_store.kernel.moments import deviations, means
from dataplat.feature_store.kernel.ranks import dense, different, extremes, smallest
from dataplat.feature_store.kernel.spans import Chunk, Coming, Span, chunks, coming, span
from dataplat.feature_store.windows import (
    Count,
    DistinctCount,
    First,
    Last,
    LastN,
    Max,
    Mean,
    Min,
    Quantile,
    Ratio,
    Std,
    Sum,
    Window,
    parts_of,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.feature_store.kernel.lives import Lives

    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]

Length: TypeAlias = tuple[int | None, int | None]
"""A window and its hop, microseconds; None: lifetime, exact."""


def windows(
    lives: Lives,
    columns: Mapping[str, pa.Array],
    group: Ints,
    t: Ints,
    features: Sequence[Window | Ratio],
) -> list[pa.Array]:
    """Return a column for each feature, with a value for each question, in the order of the questions.

    Args:
        lives: of the rows of a view.
        columns: those that features are of.
        group: the number of the key that each question is about; -1: none, whose windows are empty.
        t: its time, microseconds.
        features: what is asked.

    Raises:
        SchemaError: A column cannot be summed or ordered, or a sum of integers does not fit.
    """
    wanted = list(dict.fromkeys(flat(features)))
    source = _Source(columns)
    made = {feature: _maker(feature, source, len(t)) for feature in wanted}
    for chunk in chunks(lives, group, t):
        part = _Part(source, chunk, coming(chunk), wanted)
        for maker in made.values():
            maker.add(part)
    found = {feature: maker.column() for feature, maker in made.items()}
    return [ratio(each, found) if isinstance(each, Ratio) else found[each] for each in features]


def flat(features: Sequence[Window | Ratio]) -> list[Window]:
    """Return the windows of features, those of ratios included."""
    return [part for each in features for part in parts_of(each)]


def ratio(feature: Ratio, found: Mapping[Window, pa.Array]) -> pa.Array:
    """Return one column divided by another."""
    import pyarrow as pa

    above, below = (found[each].cast(pa.float64(), safe=False) for each in (feature.above, feature.below))
    numbers, divisors = np.asarray(above.fill_null(0.0)), np.asarray(below.fill_null(0.0))
    there = np.asarray(above.is_valid()) & (divisors != 0)
    with np.errstate(all="ignore"):
        return pa.array(numbers / np.where(there, divisors, 1.0), mask=~there)


@dataclass(slots=True)
class _Source:
    """The columns of a view, read as numbers and as ordered values, once."""

    columns: Mapping[str, pa.Array]
    numbers: dict[str, Numbers] = field(default_factory=dict)
    orders: dict[str, Ordered] = field(default_factory=dict)
    valids: dict[str, Bools | None] = field(default_factory=dict)

    def valid(self, name: str) -> Bools | None:
        """Return which values of a column are not null; None: all."""
        if name not in self.valids:
            column = self.columns[name]
            self.valids[name] = np.asarray(column.is_valid()) if column.null_count else None
        return self.valids[name]

    def number(self, name: str) -> Numbers:
        """Return a column as numbers."""
        if name not in self.numbers:
            self.numbers[name] = Numbers.of(self.columns[name], name)
        return self.numbers[name]

    def ordered(self, name: str) -> Ordered:
        """Return a column as values that have an order."""
        if name not in self.orders:
            self.orders[name] = Ordered.of(self.columns[name], name)
        return self.orders[name]


@dataclass(slots=True)
class _Part:
    """A chunk, and what several features need of it, made once."""

    source: _Source
    chunk: Chunk
    come: Coming
    features: Sequence[Window]
    spans: dict[Length, Span] = field(default_factory=dict)
    some: dict[tuple[Length, str], Span] = field(default_factory=dict)
    sums: dict[tuple[Length, str, int], Sums] = field(default_factory=dict)

    def span(self, feature: Window, *, present: bool = True) -> Span:
        """Return the lives of each question: those whose value is not null, or all."""
        length = (feature.span, feature.hop)
        if length not in self.spans:
            self.spans[length] = span(self.chunk, self.come, *length)
        column = feature.column
        valid = None if column is None or not present else self.source.valid(column)
        if column is None or valid is None:
            return self.spans[length]
        if (length, column) not in self.some:
            self.some[length, column] = self.spans[length].only(valid[self.chunk.row])
        return self.some[length, column]

    def sum(self, feature: Window, power: int) -> Sums:
        """Return the exact sums of the values of a window, or of their squares: one pass for all windows of a column."""
        assert feature.column is not None
        wanted = (feature.span, feature.hop), feature.column, power
        if wanted not in self.sums:
            self._sum(feature.column, power)
        return self.sums[wanted]

    def _sum(self, column: str, power: int) -> None:
        kinds = (Std,) if power == 2 else (Sum, Mean, Std)
        alike = {
            (each.span, each.hop): self.span(each, present=False)
            for each in self.features
            if each.column == column and isinstance(each, kinds)
        }
        numbers = self.source.number(column)
        numbers = numbers.take(self.chunk.row)
        come = numbers if self.come.ordered else numbers.take(self.come.order)
        cuts = [self.come.came] + [each.gone for each in alike.values() if each.go is None]
        came, *gone = prefixes(come, cuts, power)
        for length, each in alike.items():
            went = gone.pop(0) if each.go is None else prefixes(numbers.take(each.go), [each.gone], power)[0]
            self.sums[length, column, power] = came - went


class _Maker:
    """Makes the column of one feature, part by part; each kind fills what it needs."""

    def __init__(self, feature: Window, source: _Source, length: int) -> None:
        self.feature = feature
        self.name = feature.column or ""
        self.kind: Any = source.columns[self.name].type if self.name else None
        self.counts: Ints = np.zeros(length, np.int64)

    def add(self, part: _Part) -> None:
        """Answer the questions of a part."""
        raise NotImplementedError

    def column(self) -> pa.Array:
        """Return the column, when all parts are done."""
        raise NotImplementedError


class _Counts(_Maker):
    def add(self, part: _Part) -> None:
        self.counts[part.chunk.asked] = part.span(self.feature).count

    def column(self) -> pa.Array:
        import pyarrow as pa

        return pa.array(self.counts)


class _Distinct(_Maker):
    def add(self, part: _Part) -> None:
        chunk, ordered = part.chunk, part.source.ordered(self.name)
        off = chunk.off(self.feature.span, self.feature.hop)
        valid = part.source.valid(self.name)
        valid = None if valid is None else valid[chunk.row]
        self.counts[chunk.asked] = different(chunk, part.come, off, ordered.same()[chunk.row], valid)

    def column(self) -> pa.Array:
        import pyarrow as pa

        return pa.array(self.counts, mask=self.counts == 0)


class _Floats(_Maker):
    """Mean, standard deviation, quantile, and sums of floats."""

    def __init__(self, feature: Window, source: _Source, length: int) -> None:
        super().__init__(feature, source, length)
        self.found = np.zeros(length)
        self.least = 2 if isinstance(feature, Std) else 1

    def add(self, part: _Part) -> None:
        count = part.span(self.feature).count
        self.counts[part.chunk.asked] = count
        with np.errstate(invalid="ignore", over="ignore"):
            self.found[part.chunk.asked] = self._found(part, count)

    def _found(self, part: _Part, count: Ints) -> NDArray[np.float64]:
        if isinstance(self.feature, Quantile):
            return self._quantile(part, count, self.feature.q)
        total = part.sum(self.feature, 1)
        scale = part.source.number(self.name).scale
        if isinstance(self.feature, Std):
            if total.wild is not None:  # NaN propagates, also of one value
                self.counts[part.chunk.asked] += total.wild[0] > 0
            return deviations(total, part.sum(self.feature, 2), count, scale)
        return total.rounded() if isinstance(self.feature, Sum) else means(total, count, scale)

    def _quantile(self, part: _Part, count: Ints, q: float) -> NDArray[np.float64]:
        ordered = part.source.ordered(self.name)
        if not ordered.numeric:
            raise SchemaError(f"{self.name} holds {self.kind}, which has no quantiles: cast it to a number")
        some = part.span(self.feature)
        keys, codes = dense(ordered.keys[part.chunk.row])
        if not len(keys):
            return np.zeros(len(count))
        place = q * np.maximum(count - 1, 0)
        below = np.floor(place).astype(np.int64)
        rest = place - below
        between = np.flatnonzero(rest)
        both = some.take(np.concatenate((np.arange(len(count)), between)))  # the values are gone through once
        ranks = np.concatenate((below, below[between] + 1))
        values = ordered.floats(keys[np.minimum(smallest(both, codes, ranks), len(keys) - 1)])
        low, high = values[: len(count)], values[: len(count)].copy()
        high[between] = values[len(count) :]
        found = np.where(rest > 0, low + (high - low) * rest, low)
        if ordered.nan is not None:
            found[some.only(ordered.nan[part.chunk.row]).count > 0] = np.nan
        return found

    def column(self) -> pa.Array:
        import pyarrow as pa

        return pa.array(self.found, mask=self.counts < self.least)


class _Wholes(_Maker):
    """Sums of integers and decimals."""

    def __init__(self, feature: Window, source: _Source, length: int) -> None:
        super().__init__(feature, source, length)
        self.found: NDArray[Any] = np.zeros(length, object if self.decimal else np.int64)

    @property
    def decimal(self) -> bool:
        """Whether they are decimals."""
        import pyarrow as pa

        return bool(pa.types.is_decimal(self.kind))

    def add(self, part: _Part) -> None:
        self.counts[part.chunk.asked] = part.span(self.feature).count
        total = part.sum(self.feature, 1)
        what = f"the sum of {self.name}"
        self.found[part.chunk.asked] = total.integers() if self.decimal else total.int64(what)

    def column(self) -> pa.Array:
        import pyarrow as pa

        if not self.decimal:
            return pa.array(self.found, pa.int64(), mask=self.counts == 0)
        return decimals(self.found.tolist(), self.counts > 0, self.kind.scale, f"the sum of {self.name}")


def decimals(unscaled: Sequence[int], there: Bools, scale: int, what: str) -> pa.Array:
    """Return integers as decimals of 38 digits; raise `SchemaError` where one has more."""
    import pyarrow as pa

    exact = Context(prec=100)
    cells = [
        exact.create_decimal(each).scaleb(-scale, exact) if some else None
        for each, some in zip(unscaled, there.tolist(), strict=True)
    ]
    try:
        return pa.array(cells, pa.decimal128(38, scale))
    except pa.ArrowInvalid as error:
        raise SchemaError(f"{what} does not fit into 38 digits: {error}") from error


class _Extremes(_Maker):
    """The least or the greatest value; NaN where there is one."""

    def __init__(self, feature: Window, source: _Source, length: int) -> None:
        super().__init__(feature, source, length)
        self.found: Ints = np.zeros(length, np.int64)
        self.ordered = source.ordered(self.name)

    def add(self, part: _Part) -> None:
        some = part.span(self.feature)
        greatest = isinstance(self.feature, Max)
        self.counts[part.chunk.asked] = some.count
        keys = self.ordered.extreme(greatest=greatest)[part.chunk.row]
        self.found[part.chunk.asked] = extremes(some, keys, greatest=greatest)

    def column(self) -> pa.Array:
        return self.ordered.column(self.found, self.counts > 0)


class _Rows(_Maker):
    """First, last, last n: values of rows by their order."""

    def __init__(self, feature: Window, source: _Source, length: int) -> None:
        super().__init__(feature, source, length)
        self.values = source.columns[self.name]
        self.found: list[tuple[Ints, Ints]] = []  # (question, row), the newest first

    def add(self, part: _Part) -> None:
        some = part.span(self.feature, present=False)
        count = some.count
        self.counts[part.chunk.asked] = count
        own = np.arange(len(part.chunk.row))
        for back in range(min(getattr(self.feature, "n", 1), int(count.max(initial=0)))):
            asked = np.flatnonzero(count > back)
            here = some.take(asked)
            rank = np.zeros(len(asked), np.int64) if isinstance(self.feature, First) else here.count - 1 - back
            place = here.come[here.gone + rank] if here.go is None else smallest(here, own, rank)
            self.found.append((part.chunk.asked[asked], part.chunk.row[place]))

    def column(self) -> pa.Array:
        import pyarrow as pa

        asked = np.concatenate([np.zeros(0, np.int64), *(asked for asked, _ in self.found)])
        rows = np.concatenate([np.zeros(0, np.int64), *(rows for _, rows in self.found)])
        if not isinstance(self.feature, LastN):
            place = np.zeros(len(self.counts), np.int64)
            place[asked] = rows
            return self.values.take(pa.array(place, mask=self.counts == 0))
        rows = rows[np.argsort(asked, kind="stable")]
        sizes = np.minimum(self.counts, self.feature.n)
        offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
        values = self.values.take(pa.array(rows))
        return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(self.counts == 0))


def _maker(feature: Window, source: _Source, length: int) -> _Maker:
    import pyarrow as pa

    if isinstance(feature, Sum):
        floats = pa.types.is_floating(source.columns[feature.column or ""].type)
        return (_Floats if floats else _Wholes)(feature, source, length)
    kinds: dict[type[Window], type[_Maker]] = {Count: _Counts, DistinctCount: _Distinct, Min: _Extremes, Max: _Extremes}
    kinds |= dict.fromkeys((Mean, Std, Quantile), _Floats)
    kinds |= dict.fromkeys((First, Last, LastN), _Rows)
    return kinds[type(feature)](feature, source, length)
