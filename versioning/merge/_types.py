"""Which type holds the values of two others."""

from __future__ import annotations

from typing import Any, Final

from dataplat.lake.canonical import family
from dataplat.lake.schema import parse_type
from dataplat.versioning.modes import holds

_INTEGERS: Final = ("int16", "int32", "int64")


def wider(one: Any, other: Any) -> Any | None:
    """Return, of types in JSON form, one that holds the values of both; None where there is none that is near."""
    left, right = parse_type(one), parse_type(other)
    if holds(left, right):
        return one
    if holds(right, left):
        return other
    if family(left) == family(right) == "int":
        both = (kind for kind in _INTEGERS if holds(parse_type(kind), left) and holds(parse_type(kind), right))
        return next(both, None)
    return None


def reads_as(wide: Any, narrow: Any) -> bool:
    """Return whether rows written as `narrow` can be read as `wide`, whatever their values (types in JSON form)."""
    return wide == narrow or holds(parse_type(wide), parse_type(narrow))
