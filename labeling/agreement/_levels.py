"""How far apart two values are, by level of measurement, and the disagreement that follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np

from dataplat.errors import ConfigError
from dataplat.labeling.agreement._ratings import Array, Value
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    from dataplat.labeling.agreement._coincidences import Coincidences

Level: TypeAlias = Literal["nominal", "ordinal", "interval", "ratio"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)

_BLOCK: Final = 1 << 21  # distances that are held at once


def observed_and_expected(
    found: Coincidences, level: Level, categories: Sequence[Value] | None = None
) -> tuple[float, float]:
    """Return the disagreement within units, and that of all ratings paired with each other, in the same unit.

    α is 1 - (n - 1) observed / expected for n ratings. The second is 0 where nothing varies.

    Raises:
        ConfigError: There is no such level, or the values are not of it.
    """
    if level not in LEVELS:
        raise ConfigError(f"no level {level!r} of measurement{did_you_mean(level, LEVELS)}: {', '.join(LEVELS)}")
    often = found.frequencies
    apart = found.low != found.high
    weights = found.count[apart] / (found.size[apart] - 1)
    low, high = found.low[apart], found.high[apart]
    if (often > 0).sum() < 2:
        return 0.0, 0.0
    if level == "nominal":
        total = int(often.sum())
        return float(weights.sum()), float(total * total - int((often * often).sum())) / 2
    scale = _scale(found.values, level, categories, often)
    if level == "ratio":
        return float(weights @ _ratio(scale[low], scale[high])), _expected_ratio(scale, often)
    observed = float(weights @ (scale[low] - scale[high]) ** 2)
    return observed, _expected_square(scale, often)


def _scale(values: tuple[Value, ...], level: Level, categories: Sequence[Value] | None, often: Array) -> Array:
    """Return the place of each value on the scale: itself, or of ordinal ones the middle of its ranks."""
    if level == "ordinal":
        order = order_of(values, categories) if categories else _ranked(values)
        ranks = np.empty(len(values))
        sorted_often = often[order]
        ranks[order] = np.cumsum(sorted_often) - sorted_often / 2
        return ranks
    scale = numbers_of(values, level)
    if not np.isfinite(scale).all():
        raise ConfigError(f"an infinite rating is no number of a {level} scale")
    if level == "ratio" and (scale < 0).any():
        raise ConfigError(
            f"a ratio scale begins at 0, and there are ratings of {scale.min():g}: is it an interval scale?"
        )
    return scale


def order_of(values: tuple[Value, ...], categories: Sequence[Value] | None) -> Array:
    """Return the numbers of the values in the order of the categories, None: as they are.

    Raises:
        ConfigError: A value is no category.
    """
    if categories is None:
        return np.arange(len(values))
    place = {value: number for number, value in enumerate(categories)}
    for value in values:
        if value not in place:
            raise ConfigError(f"{value!r} is none of the categories{did_you_mean(str(value), map(str, categories))}")
    return np.array(sorted(range(len(values)), key=lambda number: place[values[number]]), np.int64)


def _ranked(values: tuple[Value, ...]) -> Array:
    return np.argsort(numbers_of(values, "ordinal"), kind="stable")


def numbers_of(values: tuple[Value, ...], level: str) -> Array:
    """Return values as numbers; texts are read as such, as ratings are written in results.

    Raises:
        ConfigError: A text is no number.
    """
    found: list[Any] = []
    for value in values:
        try:
            found.append(float(value))
        except ValueError:
            hint = "; say their order, categories=[…]" if level == "ordinal" else ""
            raise ConfigError(f"ratings of an {level} scale are numbers, and {value!r} is none{hint}") from None
    return np.array(found, np.float64)


def _ratio(one: Array, two: Array) -> Array:
    both = one + two
    share: Array = np.divide(one - two, both, out=np.zeros(np.broadcast(one, two).shape), where=both != 0)
    return share**2


def _expected_square(scale: Array, often: Array) -> float:
    """Return the sum of squared differences over all pairs, without a table of them."""
    total = often.sum()
    away = scale - (often @ scale) / total
    return float(total * (often @ away**2) - (often @ away) ** 2)


def _expected_ratio(scale: Array, often: Array) -> float:
    step = max(1, _BLOCK // len(scale))
    rows = range(0, len(scale), step)
    blocks = (often[at : at + step] @ (_ratio(scale[at : at + step, None], scale[None, :]) @ often) for at in rows)
    return float(sum(blocks)) / 2
