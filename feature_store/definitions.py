"""What users declare: entities, views of features over a dataset or a query, windows, transforms, services.

Values only: nothing here reads data or knows a lake. Each has `describe()`, plain values that are equal on every machine
for equal definitions; the closure hash of a service (`feature_store.closure`) is made of them. Names that are not given
follow one rule: `column_function_window` (`arr_delay_mean_24h`), `count_1h`, or the column itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dataplat.errors import ConfigError, SchemaError
from dataplat.feature_store.given import count, mapping, one_of, several, share, text
from dataplat.feature_store.windows import Duration, LastN, Ratio, Window, micros, parts_of
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import polars as pl

Fill: TypeAlias = Literal["null", "last_non_null"]
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Entity:
    """What features are about: a name, and the type of its key in Arrow's words (`string`, `int64`)."""

    name: str
    dtype: str = "string"

    def __post_init__(self) -> None:
        from dataplat.feature_store.keys import dtype

        check_name("entity", self.name)
        try:
            dtype(self)
        except SchemaError as error:
            told = str(error).removeprefix(f"entity {self.name}: ")
            raise ConfigError(f"entity {self.name}: {told}") from error

    def describe(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"entity": self.name, "dtype": self.dtype}


@dataclass(frozen=True, slots=True)
class Sql:
    """A query as a source; it names pinned or moving references of the lake (`select … from flights`)."""

    query: str


def sql(query: str) -> Sql:
    """Return a query over the lake's datasets as the source of a view: `sql("select … from landings")`."""
    return Sql(query)


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

    def __post_init__(self) -> None:
        text(self.column, "the column of a Field")
        one_of(self.fill, f"fill of {self.column}", ("null", "last_non_null"))

    @property
    def feature(self) -> str:
        """Its name."""
        return self.name or self.column

    def describe(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"field": self.column, "default": self.default, "fill": self.fill, "name": self.feature}


Feature: TypeAlias = "Field | Window | Ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewParts:
    """What a view is made of, checked and in plain types.

    Attributes:
        columns: those that its features are of, as it declares them: they order rows that tie (PIT 6), also where only
            some of its features are asked for.
        drift: by feature how far its values may move from one snapshot to the next; what is not named may move freely.
    """

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
    columns: tuple[str, ...]
    zone: str | None
    history: Literal["append", "commits"]
    max_events_per_key: int
    freshness: int | None
    drift: tuple[tuple[str, float], ...] = ()


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
        drift: how far what is served of a feature may move with a new snapshot, else that does not go live: one bound for
            all features, or one by feature, as an effect of `dataplat.validation.drift` (`ks` of numbers, `chi2` of
            categories: from 0, nothing, to 1).

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
        drift: float | Mapping[str, float] | None = None,
    ) -> None:
        check_name("feature view", name)
        entities = () if entity is None else several(entity, f"entities of view {name}", Entity, "dataplat.Entity(…)")
        self.name = name
        self.view = ViewParts(
            source=_source(name, source, one_of(history, f"view {name}: history", ("append", "commits"))),
            entities=entities,
            keys=_keys(name, entities, keys or {}),
            timestamp=text(timestamp, f"view {name}: timestamp"),
            known_at=None if known_at is None else text(known_at, f"view {name}: known_at"),
            delay=0 if delay is None else micros(delay, f"view {name}: delay"),
            ttl=None if ttl is None else micros(ttl, f"view {name}: ttl"),
            row_key=several(row_key, f"view {name}: row_key", str, "columns of its source"),
            where=_condition(name, where),
            features=(made := _features(name, features)),
            columns=_columns(made),
            zone=None if zone is None else text(zone, f"view {name}: zone"),
            history=history,
            max_events_per_key=count(max_events_per_key, f"view {name}: max_events_per_key"),
            freshness=None if freshness is None else micros(freshness, f"view {name}: freshness"),
            drift=_drift(name, made, drift),
        )
        self.renamed: tuple[tuple[str, str], ...] = ()

    @classmethod
    def made_of(cls, name: str, view: ViewParts, renamed: tuple[tuple[str, str], ...] = ()) -> FeatureView:
        """Return the view of parts that have been checked; `renamed` are (entity, spine column) of an alias."""
        made = object.__new__(cls)
        made.name, made.view, made.renamed = name, view, renamed
        return made

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features, in the order of their declaration."""
        return self.view.features

    @property
    def outputs(self) -> tuple[str, ...]:
        """The columns of its features in training sets and lookups."""
        return tuple(f"{self.name}__{each.feature}" for each in self.features)

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
        return FeatureView.made_of(name, self.view, tuple(sorted((entity, column) for column, entity in on.items())))

    def __getitem__(self, names: str | Sequence[str]) -> FeatureView:
        """Return the view with some of its features: `view[["temp"]]`."""
        wanted = several(names, f"features of {self.name}", str, "names")
        there = {feature.feature: feature for feature in self.features}
        for name in wanted:
            if name not in there:
                raise ConfigError(f"{self.name} has no feature {name!r}; it has {', '.join(there)}")
        narrowed = replace(self.view, features=tuple(there[name] for name in wanted))
        return FeatureView.made_of(self.name, narrowed, self.renamed)

    def with_features(self, more: Sequence[Feature]) -> FeatureView:
        """Return the view with these features, too, as far as it has none that are called so."""
        have = {feature.feature for feature in self.features}
        new = tuple(feature for feature in more if feature.feature not in have)
        return FeatureView.made_of(self.name, replace(self.view, features=self.features + new), self.renamed)

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
    inputs: tuple[FeatureView | Request | OnDemand, ...]
    function: Callable[[Any], Any] = field(compare=False)
    default: Any = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Its column in training sets and lookups."""
        return (self.name,)

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """The views among its inputs, and among those of the on-demand features among its inputs."""
        found: list[FeatureView] = []
        for each in self.inputs:
            found += [each] if isinstance(each, FeatureView) else each.views if isinstance(each, OnDemand) else []
        return tuple(found)


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
        made = several(features, f"features of service {name}", (FeatureView, OnDemand), "views and on-demand features")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "features", made)
        object.__setattr__(self, "version", count(version, f"the version of service {name}"))
        seen: set[str] = set()
        for each in self.features:
            if each.name in seen:
                raise ConfigError(f"service {name} has {each.name!r} twice; give one of them an alias")
            seen.add(each.name)

    @property
    def reference(self) -> str:
        """What names it, `name@version`: in the registry, in logs, and in online stores as its space."""
        return f"{self.name}@{self.version}"

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """Its views, those that only on-demand features use last, each with the features of all places that name it."""
        found = {each.name: each for each in self.features if isinstance(each, FeatureView)}
        for view in (view for each in self.features if isinstance(each, OnDemand) for view in each.views):
            found[view.name] = found[view.name].with_features(view.features) if view.name in found else view
        return tuple(found.values())


def on_demand(
    *, inputs: Sequence[FeatureView | Request | OnDemand], name: str | None = None, default: Any = None
) -> Callable[[Callable[[Any], Any]], OnDemand]:
    """Make a function an on-demand feature, called as the function is; in it `t.x` is a feature or request column."""

    def make(function: Callable[[Any], Any]) -> OnDemand:
        called = name or function.__name__
        check_name("on-demand feature", called)
        return OnDemand(called, tuple(inputs), function, default)

    return make


def check_name(what: str, name: Any) -> str:
    """Return a name; raise `ConfigError` where it is none, or holds what joins names (`__`)."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or "__" in name:
        raise ConfigError(f"{name!r} cannot name a {what}: letters, digits and single _, not beginning with a digit")
    return name


def _keys(view: str, entities: Sequence[Entity], keys: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return (source column, entity) in the order of the entities."""
    by_entity = {
        entity: column for column, entity in mapping(keys, f"view {view}: keys", "columns to entities").items()
    }
    if len({entity.name for entity in entities}) < len(entities):
        raise ConfigError(f"view {view} has an entity twice; declare another one for the second key")
    unknown = set(by_entity) - {entity.name for entity in entities}
    if unknown:
        raise ConfigError(f"view {view}: keys name {min(unknown)!r}, which is not among its entities")
    return tuple((by_entity.get(entity.name, entity.name), entity.name) for entity in entities)


def _features(view: str, features: Sequence[str | Feature]) -> tuple[Feature, ...]:
    kinds = (str, Field, Window, Ratio)
    given = several(features, f"features of view {view}", kinds, "columns, Fields, windows and Ratios")
    made = tuple(Field(each) if isinstance(each, str) else each for each in given)
    seen: set[str] = set()
    for each in made:
        if each.feature in seen:
            raise ConfigError(f"view {view} has the feature {each.feature!r} twice; give one of them name=")
        if each.feature.endswith(("__status", "__age")):
            raise ConfigError(f"view {view}: {each.feature!r} would be taken for a status or an age; give it name=")
        seen.add(each.feature)
    if not made:
        raise ConfigError(f"view {view} has no features")
    return made


def _columns(features: Sequence[Feature]) -> tuple[str, ...]:
    """Return the columns of features, in the order in which they come up."""
    found: list[str | None] = []
    for each in features:
        parts: tuple[Field | Window, ...] = parts_of(each)
        found += [part.column for part in parts]
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _drift(view: str, features: Sequence[Feature], drift: Any) -> tuple[tuple[str, float], ...]:
    """Return the bounds of drift by feature, in the order of these."""
    if drift is None:
        return ()
    names = [each.feature for each in features]
    lists = {each.feature for each in features if isinstance(each, LastN)}
    plain = [name for name in names if name not in lists]
    given = dict(drift) if isinstance(drift, Mapping) else dict.fromkeys(plain, drift)
    for name, bound in given.items():
        if name not in names:
            raise ConfigError(
                f"view {view}: drift= names {name!r}, which is none of its features{did_you_mean(name, names)}"
            )
        if name in lists:
            raise ConfigError(f"view {view}: drift= names {name!r}, which is of lists: their drift cannot be told")
        if share(bound, f"view {view}: drift= of {name}") == 0:
            raise ConfigError(f"view {view}: drift= of {name} is above 0: some drift is chance")
    return tuple((name, float(given[name])) for name in names if name in given)


def _source(view: str, source: Any, history: str) -> str | Sql:
    if isinstance(source, Sql):
        if history == "commits":
            raise ConfigError(f"view {view}: a query has no commits: history='commits' is of a dataset")
        return source
    return text(source, f'view {view}: source (or it is dataplat.sql("select …"))')


def _condition(view: str, where: pl.Expr | str | None) -> str | None:
    """Return a condition as text: SQL as given, an expression as the JSON that Polars writes."""
    if where is None or isinstance(where, str):
        return where
    if not hasattr(where, "meta"):
        raise ConfigError(f"view {view}: where is a Polars expression or SQL, and not {where!r}")
    return where.meta.serialize(format="json")
