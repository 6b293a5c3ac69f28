"""Definitions in the lake itself: the dataset `features.definitions`, a row for each version of a service; `apply` is a commit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import CommitConflict, ConfigError, FeatureNotFound, KeyViolation
from dataplat.feature_store.closure import closure, closure_hash, used_views
from dataplat.feature_store.codec import service_from_json, service_to_json
from dataplat.feature_store.definitions import FeatureService, FeatureView
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._store import FeatureStore

DATASET: Final = "features.definitions"
KEY: Final = ("service", "version")
_AGAIN: Final = 5


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` did.

    Attributes:
        service: `name@version`.
        closure: its hash.
        commit: the commit; None where the same definition was there.
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
    commit = store.lake.refs.head(store.branch).commit
    state = commit.dataset(DATASET, store.lake.objects.read)
    if state is None or state.version is None:
        return []
    return _definitions(store, str(state.version), store.lake.version(DATASET, store.branch, commit))


def _definitions(store: FeatureStore, id: str, version: Any) -> list[Definition]:
    known: dict[str, list[Definition]] = store.known_definitions
    if id not in known:
        rows = version.to_arrow(columns=["service", "version", "closure", "definition"]).to_pylist()
        known.clear()
        known[id] = sorted((Definition(**row) for row in rows), key=lambda each: (each.service, each.version))
    return known[id]


def resolve(store: FeatureStore, service: FeatureService | str) -> FeatureService:
    """Return a service: as given, or the one of a name (its newest version), or of `name@version`.

    Raises:
        FeatureNotFound: It was not applied, or not in that version.
    """
    return service if isinstance(service, FeatureService) else definition(store, service).read()


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
    """
    if isinstance(view, FeatureView):
        return view
    found = views(store)
    if view not in found:
        raise FeatureNotFound(
            f"no feature view {view!r} was applied on branch {store.branch}{_near(view, sorted(found))}"
        )
    return found[view]


def views(store: FeatureStore) -> dict[str, FeatureView]:
    """Return the views of the newest version of each service, by name."""
    newest = {each.service: each for each in definitions(store)}
    found: dict[str, FeatureView] = {}
    for each in newest.values():
        for view in each.read().views:
            if view.name not in found or len(view.features) > len(found[view.name].features):
                found[view.name] = view
    return found


def apply(store: FeatureStore, service: FeatureService, message: str = "") -> Applied:
    """Commit the definition of a service, unless the same is there.

    Raises:
        ConfigError: That version of the service is defined otherwise (PIT 26).
    """
    name, hashed = f"{service.name}@{service.version}", closure_hash(service)
    for attempt in range(_AGAIN):
        held = [each for each in definitions(store) if each.name == name]
        if held:
            _check_same(held[0], service, hashed)
            return Applied(name, hashed, None)
        try:
            with store.lake.transaction(store.branch, message=message or f"features: apply {name}") as tx:
                tx.ingest(_row(service, hashed), into=DATASET, mode="append", key=list(KEY))
        except (CommitConflict, KeyViolation):  # somebody else was at it: the same, or another one
            if attempt == _AGAIN - 1:
                raise
            continue
        return Applied(name, hashed, None if tx.commit is None else tx.commit.id)
    raise AssertionError("a loop that returns or raises")


def retire(store: FeatureStore, name: str, message: str = "") -> str | None:
    """Take a version of a service (`name@version`) out of use; return the commit. Its snapshot goes, too.

    Earlier commits still have its definition, and the same definition may be applied again.

    Raises:
        FeatureNotFound: There is none.
        ConfigError: No version is named.
    """
    import polars as pl

    if "@" not in name:
        raise ConfigError(f"say which version of {name} is to be retired: {name}@1")
    held = definition(store, name)
    wanted = (pl.col("service") == held.service) & (pl.col("version") == held.version)
    result = store.lake.delete(DATASET, wanted, branch=store.branch, message=message or f"features: retire {held.name}")
    store.online.drop(held.name)
    return result.commit


def _check_same(held: Definition, service: FeatureService, hashed: str) -> None:
    if held.closure != hashed:
        told = "; ".join(differences(held.read(), service)) or "its columns"
        raise ConfigError(
            f"{held.name} is defined already, and otherwise ({told}): a version never changes its meaning. Give the new "
            f"definition version={held.version + 1}"
        )


def differences(before: FeatureService, after: FeatureService) -> list[str]:
    """Return what differs between two definitions, in words."""
    one, other = closure(before), closure(after)
    told = []
    for what, word in (("views", "view"), ("on_demand", "on-demand feature")):
        for name in sorted({*one[what], *other[what]}):
            if name not in other[what]:
                told.append(f"{word} {name} is gone")
            elif name not in one[what]:
                told.append(f"{word} {name} is new")
            elif one[what][name] != other[what][name]:
                told.append(f"{word} {name} differs in {_changed(one[what][name], other[what][name])}")
    if one["columns"] != other["columns"]:
        gone = [name for name in one["columns"] if name not in other["columns"]]
        new = [name for name in other["columns"] if name not in one["columns"]]
        told += [f"without {', '.join(gone)}"] * bool(gone) + [f"with {', '.join(new)}"] * bool(new)
        told += ["its features in another order"] * (not gone and not new)
    return told


def _changed(one: dict[str, Any], other: dict[str, Any]) -> str:
    names = [name for name in one if one[name] != other.get(name)]
    return ", ".join(names)


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
