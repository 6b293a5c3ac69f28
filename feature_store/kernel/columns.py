"""A column as int64 keys whose order is that of its values, and back: extremes, quantiles and different values need no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from dataplat.errors import SchemaError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]

_LOW: Final = np.iinfo(np.int64).min
_HIGH: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Ordered:
    """A column whose values have an order.

    Attributes:
        kind: its Arrow type.
        keys: int64 for each row; 0 for nulls.
        nan: which are NaN; None: none.
        values: by key, where keys are ranks; None: keys are numbers, or the bits of floats.
    """

    kind: pa.DataType
    keys: Ints
    nan: Bools | None = None
    values: pa.Array | None = None

    @classmethod
    def of(cls, column: pa.Array, what: str = "column") -> Ordered:
        """Read an Arrow column; raise `SchemaError` where its type has no order."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = column.type
        valid = None if column.null_count == 0 else np.asarray(column.is_valid())
        if pa.types.is_floating(kind):
            found = np.asarray(column.cast(pa.float64()).fill_null(0.0))
            nan = np.isnan(found)
            return cls(kind, _of_float(found), nan if nan.any() else None)
        if kind == pa.uint64():
            flipped = np.asarray(column.fill_null(0)) ^ np.uint64(1 << 63)
            return cls(kind, flipped.view(np.int64))
        if pa.types.is_integer(kind):
            return cls(kind, np.asarray(column.cast(pa.int64()).fill_null(0)))
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        options = pc.RankOptions(tiebreaker="dense")
        try:
            ranks = np.asarray(pc.call_function("rank", [column], options)).astype(np.int64) - 1
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise SchemaError(f"{what} holds {kind}, whose values have no order") from error
        ranks = ranks if valid is None else np.where(valid, ranks, 0)
        rows = np.zeros(int(ranks.max(initial=-1)) + 1, np.int64)
        some = np.arange(len(ranks)) if valid is None else np.flatnonzero(valid)
        rows[ranks[some]] = some
        return cls(kind, ranks, None, column.take(pa.array(rows)))

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        import pyarrow as pa

        return bool(pa.types.is_floating(self.kind) or pa.types.is_integer(self.kind) or pa.types.is_decimal(self.kind))

    def same(self) -> Ints:
        """Return keys that are equal where values are: all NaN are, and -0.0 and 0.0."""
        import pyarrow as pa

        if not pa.types.is_floating(self.kind):
            return self.keys
        keys = np.where(self.keys == -1, 0, self.keys)  # -0.0
        return keys if self.nan is None else np.where(self.nan, _HIGH, keys)

    def extreme(self, *, greatest: bool) -> Ints:
        """Return keys in which NaN is beyond all numbers, so that it is what is found."""
        return self.keys if self.nan is None else np.where(self.nan, _HIGH if greatest else _LOW, self.keys)

    def floats(self, keys: Ints) -> NDArray[np.float64]:
        """Return the values of keys, which are numbers, as floats."""
        import pyarrow as pa

        column = self.column(keys, np.ones(len(keys), bool))
        return np.asarray(column.cast(pa.float64(), safe=False))

    def column(self, keys: Ints, there: Bools) -> pa.Array:
        """Return the values of keys as a column of the type that was read; null where none is there."""
        import pyarrow as pa

        if self.values is not None:
            return self.values.take(pa.array(np.where(there, keys, 0), mask=~there)).cast(self.kind)
        if pa.types.is_floating(self.kind):
            return pa.array(_to_float(keys), mask=~there).cast(self.kind, safe=False)
        if self.kind == pa.uint64():
            return pa.array(keys.view(np.uint64) ^ np.uint64(1 << 63), mask=~there)
        return pa.array(np.where(there, keys, 0), mask=~there).cast(self.kind)


def _of_float(values: NDArray[np.float64]) -> Ints:
    """Return ints in the order of floats, -0.0 (-1) below 0.0 (0), as IEEE 754's totalOrder has it."""
    bits = np.ascontiguousarray(values).view(np.int64)
    return bits ^ ((bits >> np.int64(63)) & np.int64(_HIGH))


def _to_float(keys: Ints) -> NDArray[np.float64]:
    found = (keys ^ ((keys >> np.int64(63)) & np.int64(_HIGH))).view(np.float64)
    return np.where((keys == _HIGH) | (keys == _LOW), np.nan, found)
