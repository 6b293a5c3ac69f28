"""Which type holds the values of two others."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from dataplat.lake.canonical import family
from dataplat.lake.schema import parse_type, type_to_json
from dataplat.versioning.modes import holds

_INTEGERS: Final = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_EXACT_IN_FLOAT: Final = {64: 32, 32: 16, 16: 8}
"""Bits of a float, and of the widest integers that it holds exactly (all of them)."""


def accepts(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Return whether rows written as `narrow` can be read as `wide`, whatever their values."""
    if holds(wide, narrow):
        return True
    kinds = family(narrow), family(wide)
    if kinds == ("int", "float"):
        return bool(narrow.bit_width <= _EXACT_IN_FLOAT[wide.bit_width])
    if kinds == ("int", "decimal"):
        return bool(wide.scale >= 0 and len(str(1 << narrow.bit_width)) <= wide.precision - wide.scale)
    if kinds == ("decimal", "decimal"):
        whole = wide.precision - wide.scale >= narrow.precision - narrow.scale
        return bool(whole and wide.scale >= narrow.scale)
    return kinds == ("date", "timestamp") and wide.unit != "ns"


def wider(one: Any, other: Any) -> Any | None:
    """Return, of types in JSON form, one that accepts both; None where there is none that is near."""
    left, right = parse_type(one), parse_type(other)
    if accepts(left, right):
        return one
    if accepts(right, left):
        return other
    if family(left) == family(right) == "int":
        return next((type_to_json(kind) for kind in _INTEGERS if accepts(kind, left) and accepts(kind, right)), None)
    if family(left) == family(right) == "decimal":
        scale = max(left.scale, right.scale)
        precision = scale + max(left.precision - left.scale, right.precision - right.scale)
        return f"decimal({precision}, {scale})" if precision <= 76 else None
    return None


def reads_as(wide: Any, narrow: Any) -> bool:
    """Return `accepts` of types in JSON form."""
    return wide == narrow or accepts(parse_type(wide), parse_type(narrow))
