"""Kinds of rules that profiles teach: what each learns of versions that were good, and whether another version keeps it.

A rule is learned from some profiles of a column and asked of another. Bounds are let out, so that what lies a little
beyond all that was seen is no alarm: by a tenth of the span, rounded outwards to two digits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dataplat.validation.profile._column import ColumnProfile

_FEW: Final = 24  # values of which a list is worth reading
_REPEATED: Final = 20  # rows per value, below which it may be chance that no other came
_ROOM: Final = 0.1
_ENOUGH: Final = 5  # versions from which spreads between versions are learned
_SIGMAS: Final = 4.0
_LONGEST_PATTERN: Final = 24
_NEARLY: Final = 0.85  # five standard errors of the estimate of distinct values
_CLASSES: Final = {"A": "[A-Z]", "a": "[a-z]", "9": r"\d"}

_SAID_BETTER: Final = {
    "length": frozenset({"isin", "pattern"}),
    "pattern": frozenset({"isin"}),
    "range": frozenset({"unique"}),  # numbers that name rows grow
    "mean": frozenset({"unique"}),
}
"""Kinds of rules that say nothing more where one of the others was learned."""

Profiles: TypeAlias = Sequence[ColumnProfile]


@dataclass(frozen=True, slots=True)
class Learned:
    """A rule of one column: `field` is the code of a pandera check, or `rule` that of a rule of the whole.

    `nullable` is False for the rule that there is no null. `value` is what was learned.
    """

    kind: str
    column: str
    value: Any
    field: str = ""
    rule: str = ""

    def holds(self, profile: ColumnProfile) -> bool:
        """Return whether a version keeps it, as far as its profile can tell."""
        return KINDS[self.kind].holds(self.value, profile)


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of rule is learned (None: there is nothing to say) and asked."""

    learn: Callable[[Profiles], Learned | None]
    holds: Callable[[Any, ColumnProfile], bool]


def learn(profiles: Profiles, *, without: frozenset[str] = frozenset()) -> list[Learned]:
    """Return what profiles of one column, of versions that were good, teach; no rules of the kinds `without`."""
    shown = [profile for profile in profiles if profile.rows]
    if not shown or len({profile.family for profile in shown}) > 1:
        return []
    found = [KINDS[kind].learn(shown) for kind in KINDS if kind not in without]
    rules = {each.kind: each for each in found if each is not None}
    return [rule for kind, rule in rules.items() if not _SAID_BETTER.get(kind, frozenset()) & rules.keys()]


def _not_null(profiles: Profiles) -> Learned | None:
    if any(profile.nulls + profile.nans for profile in profiles):
        return None
    return Learned("not_null", profiles[-1].name, value=False)


def _null_share(profiles: Profiles) -> Learned | None:
    most = max(profile.missing for profile in profiles)
    if not 0 < most < 1 or len(profiles) < 2:
        return None
    bound = min(1.0, math.ceil(most * 1.5 * 100 + 1) / 100)
    name = profiles[-1].name
    return Learned("null_share", name, bound, rule=f"dp.null_share({name!r}, {bound!r})")


_LARGEST: Final = 1e300
"""Beyond, there is no room left around what was seen; infinities are, too."""


def _range(profiles: Profiles) -> Learned | None:
    numbers = [profile for profile in profiles if profile.family in {"int", "float"} and profile.there]
    finite = [profile for profile in numbers if profile.low is not None and profile.high is not None]
    if not finite or len(finite) < len(numbers) or any(profile.nans for profile in numbers):  # NaN is in no range
        return None
    low, high = min(float(p.low) for p in finite), max(float(p.high) for p in finite)  # type: ignore[arg-type]
    if max(abs(low), abs(high)) > _LARGEST:
        return None
    room = (high - low) * _ROOM or abs(high) * _ROOM or 1.0
    bottom = 0.0 if 0 <= low < room else _outward(low - room, room, down=True)
    bottom = 0.0 if low >= 0 > bottom else bottom
    top = _outward(high + room, room, down=False)
    whole = profiles[-1].family == "int"
    bounds = (int(bottom), int(top)) if whole else (bottom, top)
    return Learned("range", profiles[-1].name, bounds, field=f"pa.Check.in_range({bounds[0]!r}, {bounds[1]!r})")


def _outward(value: float, room: float, *, down: bool) -> float:
    """Round to the second digit of `room`, away from what was seen."""
    step = 10.0 ** (math.floor(math.log10(room)) - 1) if room > 0 else 1.0
    step = max(step, 1e-12)
    steps = math.floor(value / step) if down else math.ceil(value / step)
    return round(steps * step, 12)


def _in_range(bounds: Any, profile: ColumnProfile) -> bool:
    if profile.low is None or profile.high is None:
        return True
    return bool(bounds[0] <= float(profile.low) and float(profile.high) <= bounds[1])


def _isin(profiles: Profiles) -> Learned | None:
    if profiles[-1].family != "string":
        return None
    values: set[str] = set()
    rows = 0
    for profile in profiles:
        told = _exact(profile)
        if told is None:
            return None
        values |= told
        rows += profile.there
    if not values or len(values) > _FEW or rows < _REPEATED * len(values):
        return None
    listed = sorted(values)
    return Learned("isin", profiles[-1].name, frozenset(values), field=f"pa.Check.isin({listed!r})")


def _exact(profile: ColumnProfile) -> set[str] | None:
    """Return all values of a column where the profile lists every one of them, uncut."""
    listed = profile.frequent()
    if sum(count for _, count in listed) != profile.there or any(len(value) > 255 for value, _ in listed):
        return None
    return {value for value, _ in listed}


def _all_in(values: Any, profile: ColumnProfile) -> bool:
    return all(value in values for value, _ in profile.frequent())


def _pattern(profiles: Profiles) -> Learned | None:
    shapes: set[str] = set()
    for profile in profiles:
        if profile.patterns is None:
            return None
        listed = _patterns(profile)
        if listed is None:
            return None
        shapes |= listed
    if len(shapes) != 1:
        return None
    (shape,) = shapes
    if (
        not shape
        or len(shape) > _LONGEST_PATTERN
        or "…" in shape
        or not set(shape) & set(_CLASSES)
        or set(shape) & {"U", "C"}
    ):
        return None
    regex = "^" + "".join(_run(each.group()) for each in re.finditer(r"(.)\1*", shape)) + "$"
    return Learned("pattern", profiles[-1].name, shape, field=f"pa.Check.str_matches({regex!r})")


def _patterns(profile: ColumnProfile) -> set[str] | None:
    assert profile.patterns is not None
    listed = profile.patterns.frequent
    return {shape for shape, _ in listed} if sum(count for _, count in listed) == profile.there else None


def _run(run: str) -> str:
    one = _CLASSES.get(run[0], re.escape(run[0]))
    return one if len(run) == 1 else f"{one}{{{len(run)}}}"


def _same_shape(shape: Any, profile: ColumnProfile) -> bool:
    listed = None if profile.patterns is None else profile.patterns.frequent
    return listed is None or all(each == shape for each, _ in listed)


def _length(profiles: Profiles) -> Learned | None:
    told = [profile.lengths for profile in profiles if profile.lengths is not None and profile.there]
    if profiles[-1].family != "string" or not told:
        return None
    least, most = min(each.low for each in told), max(each.high for each in told)
    top = max(most + 1, math.ceil(most * (1 + _ROOM)))
    bounds = (0 if least <= 1 else 1, top)
    return Learned("length", profiles[-1].name, bounds, field=f"pa.Check.str_length({bounds[0]}, {bounds[1]})")


def _length_holds(bounds: Any, profile: ColumnProfile) -> bool:
    lengths = profile.lengths
    return lengths is None or not profile.there or (bounds[0] <= lengths.low and lengths.high <= bounds[1])


def _mean(profiles: Profiles) -> Learned | None:
    whole = [profile for profile in profiles if not profile.nans and not sum(profile.infinite)]
    means = [profile.mean for profile in whole if profile.family in {"int", "float"} and profile.mean is not None]
    if len(means) < _ENOUGH or len(whole) < len(profiles):
        return None
    middle = math.fsum(means) / len(means)
    spread = math.sqrt(math.fsum((each - middle) ** 2 for each in means) / (len(means) - 1))
    if not spread or not math.isfinite(spread):
        return None
    bounds = (
        _outward(middle - _SIGMAS * spread, spread, down=True),
        _outward(middle + _SIGMAS * spread, spread, down=False),
    )
    name = profiles[-1].name
    return Learned("mean", name, bounds, rule=f"dp.mean({name!r}, {bounds[0]!r}, {bounds[1]!r})")


def _mean_holds(bounds: Any, profile: ColumnProfile) -> bool:
    return profile.mean is None or bool(bounds[0] <= profile.mean <= bounds[1])


def _unique(profiles: Profiles) -> Learned | None:
    if profiles[-1].family not in {"int", "string"} or not all(_may_be_unique(profile) for profile in profiles):
        return None
    name = profiles[-1].name
    return Learned("unique", name, value=True, rule=f"dp.unique({name!r})")


def _may_be_unique(profile: ColumnProfile) -> bool:
    """Return whether nearly every row has a value of its own, as far as an estimate goes: rows say it for certain."""
    distinct = profile.distinct
    return profile.there > 1 and not profile.nulls and distinct is not None and distinct >= _NEARLY * profile.there


KINDS: Final[dict[str, Kind]] = {
    "not_null": Kind(_not_null, lambda _, profile: not profile.nulls + profile.nans),
    "null_share": Kind(_null_share, lambda bound, profile: profile.missing <= bound),
    "range": Kind(_range, _in_range),
    "isin": Kind(_isin, _all_in),
    "pattern": Kind(_pattern, _same_shape),
    "length": Kind(_length, _length_holds),
    "mean": Kind(_mean, _mean_holds),
    "unique": Kind(_unique, lambda _, profile: _may_be_unique(profile)),
}
