"""Definitions in the lake itself: the dataset `features.definitions`, a row for each version of a service; `apply` is a commit."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from dataplat._heads import anew, version_at
from dataplat.errors import ConfigError, FeatureNotFound, LakeFormatError
from dataplat.feature_store.closure import closure, closure_hash, used_views
from dataplat.feature_store.codec import service_from_json, service_to_json
from dataplat.feature_store.definitions import FeatureService, FeatureView, Sql
from dataplat.feature_store.online.plan import identity
from dataplat.feature_store.windows import spoken
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat.ingest._request import Mode

DATASET: Final = "features.definitions"
RETIRED: Final = "features.retired"
"""What retired versions meant: none of them means something else when it comes back (PIT 26)."""
KEY: Final = ("service", "version")
_AGAIN: Final = 5
_TOLD_BY_OTHERS: Final = frozenset({"tree", "ties"})
"""Parts of a closure that differ where others do: an expression is told by its words."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` did.

    Attributes:
        service: `name@version`.
        closure: its hash.
        commit: the commit; None where the same definition was there, with the same limits.
    """

    service: str
    closure: str
    commit: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"service": self.service, "closure": self.closure, "commit": self.commit}


@dataclass(frozen=True, slots=True)
class Definition:
    """A version of a service, as it is kept."""

    service: str
    version: int
    closure: str
    definition: str

    @property
    def name(self) -> str:
        """`service@version`."""
        return f"{self.service}@{self.version}"

    def read(self) -> FeatureService:
        """Return the service."""
        return _read(self.definition)


@lru_cache(maxsize=256)
def _read(definition: str) -> FeatureService:
    return service_from_json(json.loads(definition))


def definitions(store: FeatureStore) -> list[Definition]:
    """Return all versions of all services on the branch, by name and version."""
    version = version_at(store.lake, DATASET, store.branch)
    if version is None:
        return []
    known: dict[str, list[Definition]] = store.known_definitions
    if version.id not in known:
        rows = version.to_arrow(columns=["service", "version", "closure", "definition"]).to_pylist()
        known.clear()
        known[version.id] = sorted((Definition(**row) for row in rows), key=lambda each: (each.service, each.version))
    return known[version.id]


def resolve(store: FeatureStore, service: Any) -> FeatureService:
    """Return a service: as given, or the one of a name (its newest version), or of `name@version`.

    Raises:
        FeatureNotFound: It was not applied, or not in that version.
        ConfigError: It is neither a service nor a name.
    """
    if isinstance(service, FeatureService):
        return service
    if not isinstance(service, str):
        raise ConfigError(f"a service, or the name of one, is asked for, and not {service!r}")
    return definition(store, service).read()


def definition(store: FeatureStore, name: str) -> Definition:
    """Return what is kept of a service: `name` is that of its newest version, or `name@version`."""
    called, at, version = name.partition("@")
    there = definitions(store)
    own = [each for each in there if each.service == called]
    if not own:
        names = sorted({each.service for each in there})
        raise FeatureNotFound(
            f"no feature service {called!r} was applied on branch {store.branch}{_near(called, names)}"
        )
    found = [each for each in own if not at or str(each.version) == version]
    if not found:
        raise FeatureNotFound(
            f"feature service {called!r} has no version {version!r}; it has {', '.join(str(each.version) for each in own)}"
        )
    return found[-1]


def _near(name: str, names: list[str]) -> str:
    """Return the nearest of some names, else those that there are."""
    return did_you_mean(name, names) if names else "; none was"


def resolve_view(store: FeatureStore, view: FeatureView | str) -> FeatureView:
    """Return a view: as given, or the one of a name, with all of its features that any service uses.

    Raises:
        FeatureNotFound: No service that was applied has it.
        ConfigError: Two services have views of that name, of different sources.
    """
    if isinstance(view, FeatureView):
        return view
    found = views(store)
    if view not in found:
        raise FeatureNotFound(
            f"no feature view {view!r} was applied on branch {store.branch}{_near(view, sorted(found))}"
        )
    sources = {_source(each) for each in found[view]}
    if len(sources) > 1:
        told = " and ".join(map(repr, sorted(sources)))
        raise ConfigError(f"services have different views called {view!r}, of {told}; give one of them an alias")
    return found[view][0]


def _source(view: FeatureView) -> str:
    source = view.view.source
    return source.query if isinstance(source, Sql) else source


def views(store: FeatureStore) -> dict[str, list[FeatureView]]:
    """Return the views of the newest version of each service, by name, each with the features that any service uses.

    Where services have different views of one name, there are several, those with more features first.
    """
    newest = {each.service: service for each, service in readable(store)}
    found: dict[str, list[FeatureView]] = {}
    for service in newest.values():
        for view in used_views(service):
            own = found.setdefault(view.name, [])
            at = next((at for at, each in enumerate(own) if _alike(each, view)), len(own))
            own[at : at + 1] = [own[at].with_features(view.features) if at < len(own) else view]
    return {name: sorted(own, key=lambda each: -len(each.features)) for name, own in found.items()}


def _alike(one: FeatureView, other: FeatureView) -> bool:
    """Say whether two views of one name are the same, whichever of its features are used."""
    return one.renamed == other.renamed and identity(one) == identity(other)


def readable(store: FeatureStore) -> list[tuple[Definition, FeatureService]]:
    """Return all versions of all services that this version of dataplat can read, by name and version."""
    found = []
    for each in definitions(store):
        with suppress(LakeFormatError):
            found.append((each, each.read()))
    return found


def retired(store: FeatureStore, name: str) -> str | None:
    """Return the closure of a version (`service@version`) that was retired; None where none was."""
    held = version_at(store.lake, RETIRED, store.branch)
    rows = [] if held is None else held.to_arrow().to_pylist()
    return next((str(row["closure"]) for row in rows if f"{row['service']}@{row['version']}" == name), None)


def otherwise(store: FeatureStore, service: FeatureService, hashed: str) -> str | None:
    """Return why a version of a service cannot be applied: it means something else, or did before it was retired."""
    name = service.reference
    own = [each for each in definitions(store) if each.service == service.name]
    held = next((each for each in own if each.name == name), None)
    if held is not None and held.closure != hashed:
        told = "; ".join(differences(held, service)) or "its columns"
        return (
            f"{name} is applied already, and defined otherwise ({told}): a version never changes its meaning; give this "
            f"definition version={own[-1].version + 1}"
        )
    before = None if held is not None else retired(store, name)
    if before not in (None, hashed):
        newest = max(service.version, *(each.version for each in own), 0)
        return (
            f"{name} was retired, and meant something else (closure {str(before)[:12]}): a version never changes its meaning; "
            f"give this definition version={newest + 1}"
        )
    return None


def apply(store: FeatureStore, service: FeatureService, message: str = "") -> Applied:
    """Commit the definition of a service, unless the same is there; limits of its views may change.

    Raises:
        ConfigError: That version of the service is defined otherwise (PIT 26).
    """
    name, hashed = service.reference, closure_hash(service)

    def attempt() -> Applied:
        if (reason := otherwise(store, service, hashed)) is not None:
            raise ConfigError(reason)
        held = next((each for each in definitions(store) if each.name == name), None)
        if held is not None and limits_changed(held, service) == []:
            return Applied(name, hashed, None)
        with store.lake.transaction(store.branch, message=message or f"features: apply {name}") as tx:
            mode: Mode = "append" if held is None else "upsert"
            tx.ingest(_row(service, hashed), into=DATASET, mode=mode, key=list(KEY))
        return Applied(name, hashed, None if tx.commit is None else tx.commit.id)

    return anew(attempt)


def retire(store: FeatureStore, name: str, message: str = "") -> str | None:
    """Take a version of a service (`name@version`) out of use; return the commit. Its snapshot goes, too.

    Earlier commits still have its definition. The same definition may be applied again, and no other under its version.
    Where a snapshot outlived it (the online store was away), it goes now, and there is no commit.

    Raises:
        FeatureNotFound: There is none.
        ConfigError: No version is named.
    """
    import polars as pl
    import pyarrow as pa

    held, _ = to_retire(store, name)
    if held is None:
        _forget(store, name)
        return None
    wanted = (pl.col("service") == held.service) & (pl.col("version") == held.version)
    meant = {"service": [held.service], "version": pa.array([held.version], pa.int64()), "closure": [held.closure]}
    with store.lake.transaction(store.branch, message=message or f"features: retire {held.name}") as tx:
        tx.delete(DATASET, wanted)
        tx.ingest(pa.table(meant), into=RETIRED, mode="upsert", key=list(KEY))
    _forget(store, held.name)
    return None if tx.commit is None else tx.commit.id


def to_retire(store: FeatureStore, name: str) -> tuple[Definition | None, str]:
    """Return what would be retired, and its closure; None: it is declared no longer, and only served still.

    Raises:
        FeatureNotFound: There is none.
        ConfigError: No version is named.
    """
    if "@" not in name:
        raise ConfigError(f"say which version of {name} is to be retired: {name}@1")
    try:
        held = definition(store, name)
    except FeatureNotFound:
        closure = retired(store, name)
        if closure is None or store.online.snapshot(name) is None:
            raise
        return None, closure
    return held, held.closure


def _forget(store: FeatureStore, name: str) -> None:
    """Take away what is served of a version, and let go of what that was made of."""
    from dataplat._features._kept import Kept

    Kept(store, name).release()
    store.online.drop(name)  # the last, since a second try looks for what is left of it


def limits_changed(held: Definition, service: FeatureService) -> list[str]:
    """Return, in words, which limits of a service's views are others than what is kept: no meaning changes with them."""
    try:
        before = {view.name: _limits(view) for view in held.read().views}
    except LakeFormatError:
        return ["it is kept anew: another version of dataplat did"]
    return [
        f"view {view.name}: {name} is {limit}, and was {before[view.name][name]}"
        for view in service.views
        for name, limit in _limits(view).items()
        if view.name in before and before[view.name][name] != limit
    ]


def _limits(view: FeatureView) -> dict[str, str]:
    told = view.view
    return {
        "freshness": "not limited" if told.freshness is None else spoken(told.freshness),
        "max_events_per_key": f"{told.max_events_per_key:,}",
        "drift": ", ".join(f"{name} {bound!r}" for name, bound in told.drift) or "not limited",
    }


def differences(before: Definition, after: FeatureService) -> list[str]:
    """Return in which way a definition differs from one that is kept, in words."""
    try:
        one, other = closure(before.read()), closure(after)
    except LakeFormatError:
        return [f"another version of dataplat kept {before.name}"]
    told = []
    for what, word in (("views", "view"), ("on_demand", "on-demand feature")):
        for name in sorted({*one[what], *other[what]}):
            if name not in other[what]:
                told.append(f"{word} {name} is gone")
            elif name not in one[what]:
                told.append(f"{word} {name} is new")
            elif one[what][name] != other[what][name]:
                told.append(f"{word} {name}: {_changed(one[what][name], other[what][name])}")
    if one["columns"] != other["columns"]:
        gone = [name for name in one["columns"] if name not in other["columns"]]
        new = [name for name in other["columns"] if name not in one["columns"]]
        told += [f"without {', '.join(gone)}"] * bool(gone) + [f"with {', '.join(new)}"] * bool(new)
        told += ["its features in another order"] * (not gone and not new)
    return told


def _changed(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Return what differs between a view and a view, or an expression and an expression, of closures."""
    told = []
    for name in (name for name in one if one[name] != other[name] and name not in _TOLD_BY_OTHERS):
        if name != "features":
            told.append(f"{name} is {_said(name, other[name])}, and was {_said(name, one[name])}")
            continue
        before, after = one[name], other[name]
        told += [f"without {each}" for each in before if each not in after]
        told += [f"with {each}" for each in after if each not in before]
        told += [f"{each} is made otherwise" for each in after if each in before and before[each] != after[each]]
    return ", ".join(told) or ("its expression" if "tree" in one else "the order of its columns")


def _said(name: str, value: Any) -> str:
    if name in {"ttl", "delay"}:
        return spoken(value) if value else "none"
    return "none" if value in (None, [], {}) else value if isinstance(value, str) else json.dumps(value)


def _row(service: FeatureService, hashed: str) -> pa.Table:
    import pyarrow as pa

    text = json.dumps(service_to_json(service), ensure_ascii=False)
    return pa.table(
        {
            "service": [service.name],
            "version": pa.array([service.version], pa.int64()),
            "closure": [hashed],
            "views": pa.array([[view.name for view in used_views(service)]], pa.list_(pa.string())),
            "definition": [text],
        }
    )
