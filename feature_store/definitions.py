"""What users declare: entities, views of features over a dataset or a query, windows, transforms, services.

Values only: nothing here reads data or knows a lake. Each has `describe()`, plain values that are equal on every machine
for equal definitions; the closure hash of a service (`feature_store.closure`) is made of them. Names that are not given
follow one rule: `column_function_window` (`arr_delay_mean_24h`), `count_1h`, or the column itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

from dataplat.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

Duration: TypeAlias = "str | timedelta"
"""`"90s"`, `"5m"`, `"24h"`, `"7d"`, `"2w"`, or a timedelta; kept as microseconds."""

Fill: TypeAlias = Literal["null", "last_non_null"]
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
class Entity:
    """What features are about: a name, and the type of its key in Arrow's words (`string`, `int64`)."""

    name: str
    dtype: str = "string"

    def __post_init__(self) -> None:
        check_name("entity", self.name)

    def describe(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"entity": self.name, "dtype": self.dtype}


@dataclass(frozen=True, slots=True)
class Sql:
    """A query as a source; it names pinned or moving references of the lake (`select … from flights`)."""

    query: str


@dataclass(frozen=True, slots=True)
class Field:
    """A column as a feature: the value of the newest row.

    Attributes:
        column: the column of the source.
        default: what is served where there is none (status `defaulted`).
        fill: `last_non_null` takes the newest row whose value is not null; ttl then applies to that row.
    """

    column: str
    _: KW_ONLY
    default: Any = None
    fill: Fill = "null"
    name: str | None = None

    @property
    def feature(self) -> str:
        """Its name."""
        return self.name or self.column

    def describe(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"field": self.column, "default": self.default, "fill": self.fill, "name": self.feature}


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
        match = re.fullmatch(r"hop\((.+)\)", self.accuracy)
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

    def __init__(
        self,
        column: str,
        q: float = 0.5,
        *,
        window: Duration | int | None,
        accuracy: str = "exact",
        name: str | None = None,
    ) -> None:
        if not 0 <= q <= 1:
            raise ConfigError(f"a quantile is of 0 to 1, and not {q!r}")
        for attribute, value in (
            ("column", column),
            ("q", q),
            ("window", window),
            ("accuracy", accuracy),
            ("name", name),
        ):
            object.__setattr__(self, attribute, value)
        self.__post_init__()

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

    window: Duration | int | None = None
    function: ClassVar[str] = "first"
    lifelong: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Last(Window):
    """The value of the newest event of the window, null if that is null."""

    window: Duration | int | None = None
    function: ClassVar[str] = "last"
    lifelong: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class LastN(Window):
    """The values of the newest `n` events, the newest first, as a list."""

    n: int = 1
    function: ClassVar[str] = "last_n"
    lifelong: ClassVar[str] = ""

    def __init__(
        self,
        column: str,
        n: int,
        *,
        window: Duration | int | None = None,
        accuracy: str = "exact",
        name: str | None = None,
    ) -> None:
        if n < 1:
            raise ConfigError(f"LastN is of 1 value or more, and not {n!r}")
        for attribute, value in (
            ("column", column),
            ("n", n),
            ("window", window),
            ("accuracy", accuracy),
            ("name", name),
        ):
            object.__setattr__(self, attribute, value)
        self.__post_init__()

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

    @property
    def feature(self) -> str:
        """Its name."""
        return self.name or f"{self.above.feature}_per_{self.below.feature}"

    def describe(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"ratio": [self.above.describe(), self.below.describe()], "name": self.feature}


Feature: TypeAlias = "Field | Window | Ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What a view is made of, checked and in plain types."""

    source: str | Sql
    entities: tuple[Entity, ...]
    keys: tuple[tuple[str, str], ...]
    timestamp: str
    known_at: str | None
    delay: int
    ttl: int | None
    row_key: tuple[str, ...]
    where: str | None
    features: tuple[Feature, ...]
    zone: str | None
    history: Literal["append", "commits"]
    max_events_per_key: int
    freshness: int | None


class FeatureView:
    """Features of one entity (or several, or none) from one source.

    Args:
        name: letters, digits and `_`; columns of training sets are called `name__feature`.
        source: the name of a dataset, or `dataplat.sql("select …")`.
        entity: whose features they are; several are a composite key; None: one value for all rows (PIT 20).
        keys: source column → entity, where they are called otherwise.
        timestamp: the column of event time `e`.
        ttl: how old a row may be and still be served; there is no default: None says that it never expires.
        features: columns (their names), `Field`s, window functions, `Ratio`s.
        known_at: the column of known time `k`; by default a row was known when it happened.
        delay: from when it is known until it can be served.
        row_key: columns that name an event: of several rows of one, the newest known counts (PIT 7).
        where: rows that count, as a Polars expression or SQL.
        zone: the time zone of naive timestamps, which are refused without (PIT 13).
        history: `append`: the source only grows; `commits`: differences of versions are rows whose `k` is the time of
            the commit (PIT 28).
        max_events_per_key: above which an exact window is refused, and hop is suggested (PIT 22).
        freshness: how old a snapshot may be, before it is called stale.

    Raises:
        ConfigError: A name, duration or combination that makes no sense.
    """

    def __init__(
        self,
        name: str,
        *,
        source: str | Sql,
        timestamp: str,
        ttl: Duration | None,
        features: Sequence[str | Feature],
        entity: Entity | Sequence[Entity] | None = None,
        keys: Mapping[str, str] | None = None,
        known_at: str | None = None,
        delay: Duration | None = None,
        row_key: Sequence[str] = (),
        where: pl.Expr | str | None = None,
        zone: str | None = None,
        history: Literal["append", "commits"] = "append",
        max_events_per_key: int = 100_000,
        freshness: Duration | None = None,
    ) -> None:
        check_name("feature view", name)
        entities = () if entity is None else (entity,) if isinstance(entity, Entity) else tuple(entity)
        self.name = name
        self.view = _View(
            source=source,
            entities=entities,
            keys=_keys(name, entities, keys or {}),
            timestamp=timestamp,
            known_at=known_at,
            delay=0 if delay is None else micros(delay, "delay"),
            ttl=None if ttl is None else micros(ttl, "ttl"),
            row_key=tuple(row_key),
            where=_condition(where),
            features=_features(name, features),
            zone=zone,
            history=history,
            max_events_per_key=max_events_per_key,
            freshness=None if freshness is None else micros(freshness, "freshness"),
        )
        self.renamed: tuple[tuple[str, str], ...] = ()

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features, in the order of their declaration."""
        return self.view.features

    @property
    def spine_keys(self) -> tuple[str, ...]:
        """The columns of a spine, or of a lookup, that hold the key, in the order of the entities."""
        renamed = dict(self.renamed)
        return tuple(renamed.get(entity.name, entity.name) for entity in self.view.entities)

    def alias(self, name: str, *, on: Mapping[str, str]) -> FeatureView:
        """Return the view under another name; `on` maps spine columns to entities (PIT 21)."""
        check_name("feature view", name)
        there = {entity.name for entity in self.view.entities}
        for column, entity in on.items():
            if entity not in there:
                raise ConfigError(f"alias {name}: {self.name} has no entity {entity!r} for column {column!r}")
        other = object.__new__(FeatureView)
        other.name, other.view = name, self.view
        other.renamed = tuple(sorted((entity, column) for column, entity in on.items()))
        return other

    def __getitem__(self, names: str | Sequence[str]) -> FeatureView:
        """Return the view with some of its features: `view[["temp"]]`."""
        wanted = [names] if isinstance(names, str) else list(names)
        there = {feature.feature: feature for feature in self.features}
        for name in wanted:
            if name not in there:
                raise ConfigError(f"{self.name} has no feature {name!r}; it has {', '.join(there)}")
        other = object.__new__(FeatureView)
        other.name, other.renamed = self.name, self.renamed
        other.view = replace(self.view, features=tuple(there[name] for name in wanted))
        return other

    def describe(self) -> dict[str, Any]:
        """Return it as plain values: all that its features depend on."""
        view = self.view
        return {
            "view": self.name,
            "source": {"sql": view.source.query} if isinstance(view.source, Sql) else view.source,
            "entities": [entity.describe() for entity in view.entities],
            "keys": [list(pair) for pair in view.keys],
            "renamed": [list(pair) for pair in self.renamed],
            "timestamp": view.timestamp,
            "known_at": view.known_at,
            "delay": view.delay,
            "ttl": view.ttl,
            "row_key": list(view.row_key),
            "where": view.where,
            "features": [feature.describe() for feature in view.features],
            "zone": view.zone,
            "history": view.history,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureView) and self.describe() == other.describe()

    def __hash__(self) -> int:
        return hash((self.name, self.renamed, len(self.features)))

    def __repr__(self) -> str:
        about = ", ".join(entity.name for entity in self.view.entities) or "no entity"
        return f"FeatureView({self.name!r}, of {about}: {', '.join(each.feature for each in self.features)})"


@dataclass(frozen=True)
class Request:
    """Columns that come with a request, and their Arrow types: `Request({"distance": "float64"})`."""

    columns: Mapping[str, str]

    def describe(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"request": dict(self.columns)}


@dataclass(frozen=True)
class OnDemand:
    """A feature computed of others and of the request, by a function that returns a Polars expression (PIT 25)."""

    name: str
    inputs: tuple[FeatureView | Request, ...]
    function: Callable[[Any], Any] = field(compare=False)
    default: Any = None


@dataclass(frozen=True)
class FeatureService:
    """The features that one model uses, in order: views (or some features of them) and on-demand features.

    (name, version) never changes its meaning: another definition is another version (PIT 26).
    """

    name: str
    features: tuple[FeatureView | OnDemand, ...]
    version: int = 1

    def __init__(self, name: str, features: Sequence[FeatureView | OnDemand], version: int = 1) -> None:
        check_name("feature service", name)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "features", tuple(features))
        object.__setattr__(self, "version", version)
        seen: set[str] = set()
        for each in self.features:
            if each.name in seen:
                raise ConfigError(f"service {name} has {each.name!r} twice; give one of them an alias")
            seen.add(each.name)

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """Its views, those that only on-demand features use last."""
        found = [each for each in self.features if isinstance(each, FeatureView)]
        for each in self.features:
            if isinstance(each, OnDemand):
                names = {view.name for view in found}
                found += [view for view in each.inputs if isinstance(view, FeatureView) and view.name not in names]
        return tuple(found)


def on_demand(
    *, inputs: Sequence[FeatureView | Request], name: str | None = None, default: Any = None
) -> Callable[[Callable[[Any], Any]], OnDemand]:
    """Make a function an on-demand feature, called as the function is; in it `t.x` is a feature or request column."""

    def make(function: Callable[[Any], Any]) -> OnDemand:
        called = name or function.__name__
        check_name("on-demand feature", called)
        return OnDemand(called, tuple(inputs), function, default)

    return make


def check_name(what: str, name: str) -> str:
    """Return a name; raise `ConfigError` where it is none, or holds what joins names (`__`)."""
    if not _NAME.fullmatch(name) or "__" in name:
        raise ConfigError(f"{name!r} cannot name a {what}: letters, digits and single _, not beginning with a digit")
    return name


def _keys(view: str, entities: Sequence[Entity], keys: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return (source column, entity) in the order of the entities."""
    by_entity = {entity: column for column, entity in keys.items()}
    unknown = set(by_entity) - {entity.name for entity in entities}
    if unknown:
        raise ConfigError(f"view {view}: keys name {min(unknown)!r}, which is not among its entities")
    return tuple((by_entity.get(entity.name, entity.name), entity.name) for entity in entities)


def _features(view: str, features: Sequence[str | Feature]) -> tuple[Feature, ...]:
    made = tuple(Field(each) if isinstance(each, str) else each for each in features)
    seen: set[str] = set()
    for each in made:
        if each.feature in seen:
            raise ConfigError(f"view {view} has the feature {each.feature!r} twice; give one of them name=")
        seen.add(each.feature)
    if not made:
        raise ConfigError(f"view {view} has no features")
    return made


def _condition(where: pl.Expr | str | None) -> str | None:
    """Return a condition as text: SQL as given, an expression as the JSON that Polars writes."""
    if where is None or isinstance(where, str):
        return where
    return where.meta.serialize(format="json")
