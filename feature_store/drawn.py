"""Rows in the shape of somebody's own sources, made to be hard: ties, late and future rows, nulls, NaN, keys that recur.

Of each type a few values are drawn again and again, so that they meet: what goes wrong goes wrong where things are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import SchemaError
from dataplat.feature_store.definitions import FeatureView
from dataplat.feature_store.kernel.order import columns_of

if TYPE_CHECKING:
    import pyarrow as pa

HOUR: Final = 3_600_000_000
START: Final = 1_750_000_000_000_000
"""Microseconds: when drawn rows begin."""
_FLOATS: Final = (0.1, 0.2, 0.3, -0.0, 0.0, 1.0, 2.5, 1e16, -1e16, 1e-300, math.nan, math.inf)
_WORDS: Final = ("", "a", "b", "é", "10", "9", "zz")
_NUMBERS: Final = (0, 1, 2, 3, 7, 100)


class Drawn:
    """What is drawn for one service: rows for each view, and questions.

    Args:
        rng: draws.
        steps: microseconds that times are apart: ttl, windows and delays of the service among them, so that rows lie on
            their edges.
    """

    def __init__(self, rng: Random, steps: Sequence[int]) -> None:
        self.rng = rng
        self.steps = [0, 0, 1, HOUR // 2, HOUR, 7 * HOUR, *steps, *(step + 1 for step in steps)]

    def time(self) -> int:
        """Draw a time, microseconds."""
        return START + self.rng.choice((0, 1, 2, 3, 5, 8, 13, 21)) * HOUR + self.rng.choice(self.steps)

    def rows(self, view: FeatureView, schema: pa.Schema, count: int) -> pa.Table:
        """Draw rows of a view's source, with all columns that it reads.

        Raises:
            SchemaError: A column is missing, or of a type of which nothing can be drawn.
        """
        import pyarrow as pa

        told = view.view
        keys = {column for column, _ in told.keys}
        times = {told.timestamp: [self.time() for _ in range(count)]}
        if told.known_at is not None:
            late = (0, 0, 0, *self.steps, -HOUR)
            times[told.known_at] = [each + self.rng.choice(late) for each in times[told.timestamp]]
        columns = {}
        for name in columns_of(view):
            kind = schema.field(name).type
            if name in times:
                columns[name] = _times(times[name], kind)
            else:
                nulls = 0.02 if name in keys or name in told.row_key else 0.15
                columns[name] = self.column(kind, count, nulls=nulls, few=name in keys or name in told.row_key)
        return pa.table(columns)

    def column(self, kind: pa.DataType, count: int, *, nulls: float = 0.0, few: bool = False) -> pa.Array:
        """Draw a column of a type; of `few` different values where rows are to meet."""
        import pyarrow as pa

        values = [None if self.rng.random() < nulls else self._value(kind, few=few) for _ in range(count)]
        return pa.array(values, kind)

    def _value(self, kind: pa.DataType, *, few: bool = False) -> Any:
        import pyarrow as pa

        types = pa.types
        if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            size = kind.list_size if types.is_fixed_size_list(kind) else self.rng.choice((0, 1, 3))
            return [self._value(kind.value_type) for _ in range(size)]
        if types.is_struct(kind):
            return {field.name: self._value(field.type) for field in kind}
        for fits, values in _pools(kind):
            if fits:
                return self.rng.choice(values[1:4] if few else values)
        if types.is_temporal(kind):
            return _small(kind, self.rng)
        raise SchemaError(f"no values of {kind} can be drawn")


def _pools(kind: pa.DataType) -> list[tuple[bool, tuple[Any, ...]]]:
    """Return the values that are drawn of a type, behind whether it is the one."""
    from pyarrow import types

    texts = types.is_string(kind) or types.is_large_string(kind)
    return [
        (types.is_boolean(kind), (False, True, False, True)),
        (types.is_integer(kind), _NUMBERS),
        (types.is_floating(kind), _FLOATS),
        (types.is_decimal(kind), tuple(Decimal(each).scaleb(-getattr(kind, "scale", 0)) for each in _NUMBERS)),
        (texts, _WORDS),
        (types.is_binary(kind) or types.is_large_binary(kind), tuple(word.encode() for word in _WORDS)),
        (types.is_date(kind), tuple(date(2026, 1, 1) + timedelta(days=each) for each in _NUMBERS)),
    ]


def _small(kind: pa.DataType, rng: Random) -> Any:
    import pyarrow as pa

    count = pa.array([rng.choice(_NUMBERS)], pa.int32() if kind.bit_width == 32 else pa.int64())
    return count.cast(kind)[0].as_py()


def _times(micros: Sequence[int], kind: pa.DataType) -> pa.Array:
    """Return times in a type that a source holds times in."""
    import pyarrow as pa

    zone = kind.tz if pa.types.is_timestamp(kind) else None
    return pa.array(micros, pa.int64()).cast(pa.timestamp("us", zone)).cast(kind, safe=False)


def request(types: Mapping[str, str], drawn: Drawn, count: int) -> dict[str, pa.Array]:
    """Draw the columns of requests."""
    from dataplat.lake.schema import parse_type

    return {name: drawn.column(parse_type(kind), count) for name, kind in types.items()}
