"""What is declared: services and views, and all that is known of one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from dataplat._features._registry import definition, definitions, resolve_view, views
from dataplat.errors import FeatureNotFound, LakeFormatError
from dataplat.feature_store.closure import closure, computed_words, used_views
from dataplat.feature_store.definitions import FeatureView, Field, OnDemand, Sql
from dataplat.feature_store.kernel.order import condition
from dataplat.feature_store.windows import spoken
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    from dataplat._features._registry import Definition
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import Feature


@dataclass(frozen=True, slots=True)
class Listed:
    """One version of a service.

    Attributes:
        service: its name.
        version: which.
        closure: the hash of its definition.
        features: how many columns a model gets.
        views: the views that it reads.
        snapshot: the id of the snapshot that is served; None: none is.
        keys: records of that.
        unreadable: why this version of dataplat cannot read the definition; None: it can.
    """

    service: str
    version: int
    closure: str
    features: int
    views: tuple[str, ...]
    snapshot: str | None
    keys: int
    unreadable: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Shown:
    """A service or a view, as it is declared.

    Attributes:
        kind: `service` or `view`.
        name: its name, a service's with its version.
        about: what it says of itself, in words.
        features: (name, what it is made of).
        closure: of a service: its closure as plain values.
    """

    kind: str
    name: str
    about: dict[str, Any] = field(default_factory=dict)
    features: tuple[tuple[str, str], ...] = ()
    closure: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def __repr__(self) -> str:
        lines = [f"{self.kind} {self.name}"]
        lines += [f"  {name}: {value}" for name, value in self.about.items() if value not in (None, "", [], ())]
        wide = max((len(name) for name, _ in self.features), default=0)
        return "\n".join(lines + [f"    {name:<{wide}}  {what}" for name, what in self.features])


def listed(store: FeatureStore) -> list[Listed]:
    """Return all versions of all services."""
    return [_listed(store, each) for each in definitions(store)]


def _listed(store: FeatureStore, each: Definition) -> Listed:
    snapshot = store.online.snapshot(each.name)
    live, keys = (None, 0) if snapshot is None else (snapshot.id, snapshot.keys)
    try:
        service = each.read()
    except LakeFormatError as error:
        return Listed(each.service, each.version, each.closure, 0, (), live, keys, str(error))
    read = tuple(view.name for view in used_views(service))
    columns = sum(1 if isinstance(one, OnDemand) else len(one.features) for one in service.features)
    return Listed(each.service, each.version, each.closure, columns, read, live, keys)


def show(store: FeatureStore, name: str) -> Shown:
    """Return what a service or a view is; a service's newest version, unless `name@version` says which.

    Raises:
        FeatureNotFound: Neither is called so.
    """
    services = {each.service for each in definitions(store)}
    if name.partition("@")[0] not in services:
        there = views(store)
        if name in there:
            return _view(resolve_view(store, name))
        near = did_you_mean(name, sorted(services | set(there))) if services else "; nothing was"
        raise FeatureNotFound(f"no feature service or view {name!r} was applied on branch {store.branch}{near}")
    held = definition(store, name)
    service = held.read()
    features: list[tuple[str, str]] = []
    for each in service.features:
        if isinstance(each, FeatureView):
            features += [(f"{each.name}__{one.feature}", _what(one)) for one in each.features]
        else:
            features.append((each.name, computed_words(service)[each.name]))
    keys = list(dict.fromkeys(key for view in used_views(service) for key in view.spine_keys))
    about = {"closure": held.closure, "keys": ", ".join(keys), "request": _request(closure(service))}
    return Shown("service", held.name, about, tuple(features), closure(service))


def _request(told: dict[str, Any]) -> str:
    found = {name: kind for each in told["on_demand"].values() for name, kind in each["request"].items()}
    return ", ".join(f"{name} ({kind})" for name, kind in sorted(found.items()))


def _view(view: FeatureView) -> Shown:
    kept = view.view
    about = {
        "source": kept.source.query if isinstance(kept.source, Sql) else kept.source,
        "keys": ", ".join(f"{column} = {entity}" for column, entity in kept.keys),
        "event time": kept.timestamp,
        "known time": kept.known_at if kept.history == "append" else "of the commits",
        "delay": spoken(kept.delay) if kept.delay else None,
        "ttl": "never expires" if kept.ttl is None else spoken(kept.ttl),
        "row key": ", ".join(kept.row_key),
        "where": None if kept.where is None else str(condition(kept.where)),
        "zone": kept.zone,
        "freshness": None if kept.freshness is None else spoken(kept.freshness),
        "drift": ", ".join(f"{name} {bound:g}" for name, bound in kept.drift),
    }
    return Shown("view", view.name, about, tuple((each.feature, _what(each)) for each in view.features))


def _what(feature: Feature) -> str:
    if isinstance(feature, Field):
        more = [f"else {feature.default!r}"] if feature.default is not None else []
        more += ["the last that is not null"] if feature.fill != "null" else []
        return ", ".join([f"last {feature.column}", *more])
    told = feature.describe()
    if "ratio" in told:
        return " / ".join(each["name"] for each in told["ratio"])
    of = f" of {told['column']}" if told["column"] else ""
    how = "" if told["accuracy"] == "exact" else f", {told['accuracy']}"
    length = "all time" if told["span"] is None else spoken(told["span"])
    which = f" {told['q']}" if "q" in told else f" {told['n']}" if "n" in told else ""
    word = "last" if told["window"] == "last_n" else told["window"]
    return f"{word}{which}{of} over {length}{how}"
