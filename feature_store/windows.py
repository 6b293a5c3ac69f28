"""Functions of the events of a window: count, sum, mean, std, min, max, quantile, distinct, first, last, last n, ratio.

Values only, as in `feature_store.definitions`. A window is called `column_function_window` (`arr_delay_mean_24h`), in the
words in which its length was given, unless it has a name.
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from dataplat.errors import ConfigError
from dataplat.feature_store.given import share

P = TypeVar("P")
Duration: TypeAlias = "str | timedelta"
"""`"90s"`, `"5m"`, `"24h"`, `"7d"`, `"2w"`, or a timedelta; kept as microseconds."""


_UNITS: Final = {
    "us": 1,
    "ms": 10**3,
    "s": 10**6,
    "m": 60 * 10**6,
    "h": 3600 * 10**6,
    "d": 86_400 * 10**6,
    "w": 604_800 * 10**6,
}
_DURATION: Final = re.compile(r"(\d+)\s*(us|ms|s|m|h|d|w)")


def micros(given: Duration, what: str = "a duration") -> int:
    """Return a duration in microseconds; raise `ConfigError` where it is none, or not positive."""
    if isinstance(given, timedelta):
        found = given // timedelta(microseconds=1)
    elif (match := _DURATION.fullmatch(str(given).strip())) is not None:
        found = int(match[1]) * _UNITS[match[2]]
    else:
        raise ConfigError(
            f"{what} is a number and us, ms, s, m, h, d or w, as in 24h, or a timedelta, and not {given!r}"
        )
    if found <= 0:
        raise ConfigError(f"{what} must be above 0, and is {given!r}")
    return found


def spoken(duration: int) -> str:
    """Return microseconds as people write them: the largest unit that divides them."""
    unit = next(unit for unit in ("d", "h", "m", "s", "ms", "us") if duration % _UNITS[unit] == 0)
    return f"{duration // _UNITS[unit]}{unit}"


@dataclass(frozen=True, slots=True)
class Window:
    """A function of the events of a window.

    Attributes:
        column: the column that it is of; None for Count.
        window: how far back, in microseconds after construction; None: from the beginning (lifetime).
        accuracy: `exact`, or `hop(1h)`: the window is made of whole tiles (PIT 16, 22).
        name: what it is called; else `column_function_window`.
    """

    column: str | None = None
    _: KW_ONLY
    window: Duration | int | None
    accuracy: str = "exact"
    name: str | None = None

    function: ClassVar[str] = ""
    needs_column: ClassVar[bool] = True
    lifelong: ClassVar[str] = "lifetime"

    def __post_init__(self) -> None:
        if isinstance(self.window, bool) or (isinstance(self.window, int) and self.window <= 0):
            raise ConfigError(f"a window is longer than nothing, as in 24h, and not {self.window!r}")
        if self.window is not None and not isinstance(self.window, int):
            length = micros(self.window, "a window")
            if self.name is None:  # as it was written: 24h and 1d are the same, and are called what they were called
                said = self.window.replace(" ", "") if isinstance(self.window, str) else spoken(length)
                object.__setattr__(self, "name", self._called(said))
            object.__setattr__(self, "window", length)
        if self.needs_column == (self.column is None):
            raise ConfigError(f"{type(self).__name__} is of {'one' if self.needs_column else 'no'} column")
        _ = self.hop

    @property
    def span(self) -> int | None:
        """The window in microseconds; None: lifetime."""
        assert self.window is None or isinstance(self.window, int)
        return self.window

    @property
    def hop(self) -> int | None:
        """The width of a tile in microseconds; None where it is exact."""
        if self.accuracy == "exact":
            return None
        match = re.fullmatch(r"hop\((.+)\)", str(self.accuracy))
        if match is None:
            raise ConfigError(f"accuracy is exact, or hop(1h), and not {self.accuracy!r}")
        hop = micros(match[1], "a hop")
        if self.span is not None and hop > self.span:
            raise ConfigError(f"a hop of {spoken(hop)} is longer than the window of {spoken(self.span)}")
        return hop

    @property
    def words(self) -> str:
        """The function with its parameters, as names have it."""
        return self.function

    @property
    def feature(self) -> str:
        """Its name."""
        if self.name is not None:
            return self.name
        return self._called(spoken(self.span) if self.span is not None else self.lifelong)

    def _called(self, window: str) -> str:
        return "_".join(piece for piece in (self.column, self.words, window) if piece)

    def describe(self) -> dict[str, Any]:
        """Return it as plain values."""
        told = {"window": self.function, "column": self.column, "span": self.span, "accuracy": self.accuracy}
        return told | {"name": self.feature} | self.parameters()

    def parameters(self) -> dict[str, Any]:
        """Return what it has beside column and window."""
        return {}


@dataclass(frozen=True, slots=True)
class Count(Window):
    """How many events; 0 where there are none."""

    function: ClassVar[str] = "count"
    needs_column: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Sum(Window):
    """The correctly rounded sum (PIT 23)."""

    function: ClassVar[str] = "sum"


@dataclass(frozen=True, slots=True)
class Mean(Window):
    """The correctly rounded sum, divided by the count of values that are not null."""

    function: ClassVar[str] = "mean"


@dataclass(frozen=True, slots=True)
class Std(Window):
    """The standard deviation of the sample, from exact sums of values and squares."""

    function: ClassVar[str] = "std"


@dataclass(frozen=True, slots=True)
class Min(Window):
    """The least value; NaN where there is one."""

    function: ClassVar[str] = "min"


@dataclass(frozen=True, slots=True)
class Max(Window):
    """The greatest value; NaN where there is one."""

    function: ClassVar[str] = "max"


@dataclass(frozen=True, slots=True)
class DistinctCount(Window):
    """How many different values, counted exactly."""

    function: ClassVar[str] = "distinct"


@dataclass(frozen=True, slots=True)
class Quantile(Window):
    """The exact quantile `q` (0 to 1), interpolated linearly between neighbours."""

    q: float = 0.5
    function: ClassVar[str] = "quantile"

    def __post_init__(self) -> None:
        share(self.q, "a quantile")
        Window.__post_init__(self)

    @property
    def words(self) -> str:
        """`p90` for 0.9."""
        return f"p{self.q * 100:g}".replace(".", "_")

    def parameters(self) -> dict[str, Any]:
        """Return which quantile."""
        return {"q": self.q}


@dataclass(frozen=True, slots=True)
class First(Window):
    """The value of the oldest event of the window, null if that is null."""

    window: Duration | int | None = field(default=None, kw_only=True)
    function: ClassVar[str] = "first"
    lifelong: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Last(Window):
    """The value of the newest event of the window, null if that is null."""

    window: Duration | int | None = field(default=None, kw_only=True)
    function: ClassVar[str] = "last"
    lifelong: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class LastN(Window):
    """The values of the newest `n` events, the newest first, as a list."""

    n: int = 1
    window: Duration | int | None = field(default=None, kw_only=True)
    function: ClassVar[str] = "last_n"
    lifelong: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if type(self.n) is not int or self.n < 1:
            raise ConfigError(f"LastN is of 1 value or more, and not {self.n!r}")
        Window.__post_init__(self)

    @property
    def words(self) -> str:
        """`last_5`."""
        return f"last_{self.n}"

    def parameters(self) -> dict[str, Any]:
        """Return how many."""
        return {"n": self.n}


@dataclass(frozen=True, slots=True)
class Ratio:
    """One window feature divided by another; null where either is null or the second is 0."""

    above: Window
    below: Window
    _: KW_ONLY
    name: str | None = None

    def __post_init__(self) -> None:
        for each in (self.above, self.below):
            if not isinstance(each, Window):
                raise ConfigError(f"a Ratio is of two windows, such as Sum and Count, and not of {each!r}")

    @property
    def feature(self) -> str:
        """Its name."""
        return self.name or f"{self.above.feature}_per_{self.below.feature}"

    def describe(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"ratio": [self.above.describe(), self.below.describe()], "name": self.feature}


def parts_of(feature: P | Ratio) -> tuple[P | Window, ...]:
    """Return both sides of a ratio; of another feature itself."""
    return (feature.above, feature.below) if isinstance(feature, Ratio) else (feature,)
