"""Which types hold the values of which others: a part stays in a version only if its columns fit the schema."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from dataplat.lake.canonical import family

_UNITS: Final = ("s", "ms", "us", "ns")
_INSTANTS: Final = frozenset({"timestamp", "timestamp_tz", "duration"})


def holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Return whether every value of `narrow` is a value of `wide`, equal to it as canonical values are.

    Nanoseconds hold no other instants, since they end in 2262; decimals of another scale are other values.
    """
    if wide == narrow or pa.types.is_null(narrow):
        return True
    kind = family(wide)
    if kind != family(narrow) or pa.types.is_nested(wide):
        return False
    if kind == "int":
        return _range(wide)[0] <= _range(narrow)[0] and _range(narrow)[1] <= _range(wide)[1]
    if kind in {"float", "date"}:
        return bool(wide.bit_width >= narrow.bit_width)
    if kind == "decimal":
        return bool(wide.scale == narrow.scale and wide.precision >= narrow.precision)
    if kind in _INSTANTS and "ns" in {wide.unit, narrow.unit}:
        return bool(wide.unit == narrow.unit)  # zones differ: that is the same instant
    if kind == "time" or kind in _INSTANTS:
        return _UNITS.index(wide.unit) >= _UNITS.index(narrow.unit)
    return True


def _range(kind: pa.DataType) -> tuple[int, int]:
    """Return the least and the greatest integer of a type."""
    if pa.types.is_signed_integer(kind):
        return -(1 << (kind.bit_width - 1)), (1 << (kind.bit_width - 1)) - 1
    return 0, (1 << kind.bit_width) - 1
