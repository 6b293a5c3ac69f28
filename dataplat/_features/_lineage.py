"""From where features come, and where they went: sources, views, services, snapshots, training sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dataplat._features._registry import definition, readable
from dataplat._features._sources import ViewSource
from dataplat._heads import version_at
from dataplat.errors import DataplatError, FeatureNotFound
from dataplat.feature_store.closure import used_views
from dataplat.feature_store.definitions import FeatureService, OnDemand, Sql
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    from dataplat._features._registry import Definition
    from dataplat._features._store import FeatureStore

SETS: Final = "features.training_sets"


@dataclass(slots=True)
class Node:
    """Something of a lineage, and what comes from it.

    Attributes:
        kind: dataset, query, view, on_demand, service, snapshot or training_set.
        name: what it is called.
        about: what else is known of it.
        to: what is made of it.
    """

    kind: str
    name: str
    about: dict[str, Any] = field(default_factory=dict)
    to: list[Node] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"kind": self.kind, "name": self.name, **self.about, "to": [each.to_dict() for each in self.to]}

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield it as an indented tree."""
        about = ", ".join(f"{name} {value}" for name, value in self.about.items() if value not in (None, "", [], {}))
        yield f"{'  ' * depth}{self.kind} {self.name}{f' ({about})' if about else ''}"
        for each in self.to:
            yield from each.lines(depth + 1)

    def __repr__(self) -> str:
        return "\n".join(self.lines())


def lineage(store: FeatureStore, name: str) -> list[Node]:
    """Return what a service is made of: a tree for each source, down to training sets and the live snapshot.

    Args:
        store: the feature store.
        name: a service, `service@version`, a view, or a dataset that views read.

    Raises:
        FeatureNotFound: Nothing is called so.
    """
    there = readable(store)
    wanted = [each for each, service in there if name in _names(service)]
    if "@" in name or any(each.service == name for each in wanted):
        wanted = [definition(store, name)] if "@" in name else [each for each in wanted if each.service == name]
    if not wanted:
        names = sorted({each for _, service in there for each in _names(service) if "@" not in each})
        near = did_you_mean(name, names) if names else "; nothing was applied"
        raise FeatureNotFound(f"no service, view or source is called {name!r}{near}")
    trees: dict[str, Node] = {}
    for each in wanted:
        made = _service(store, each)
        service = each.read()
        for view in used_views(service):
            source = view.view.source
            called = source.query if isinstance(source, Sql) else str(source)
            if name not in (each.service, each.name, view.name, called) and name not in _read(
                store, view.name, service
            ):
                continue
            root = trees.setdefault(called, Node("query" if isinstance(source, Sql) else "dataset", called))
            root.about |= _pins(store, service, view.name)
            at = next((node for node in root.to if node.name == view.name), None)
            if at is None:
                at = Node("view", view.name, {"features": [feature.feature for feature in view.features]})
                root.to.append(at)
            at.to.append(made)
    return list(trees.values())


def _names(service: FeatureService) -> set[str]:
    found = {service.name, service.reference}
    for view in used_views(service):
        found |= {view.name}
        found |= {view.view.source} if isinstance(view.view.source, str) else set()
    return found | {each.name for each in service.features if isinstance(each, OnDemand)}


def _read(store: FeatureStore, view: str, service: FeatureService) -> set[str]:
    meant = next(each for each in used_views(service) if each.name == view)
    try:
        return {dataset for dataset, _ in ViewSource.of(store, meant).datasets}
    except DataplatError:
        return set()


def _pins(store: FeatureStore, service: FeatureService, view: str) -> dict[str, Any]:
    meant = next(each for each in used_views(service) if each.name == view)
    try:
        pins = ViewSource.of(store, meant).datasets
    except DataplatError as error:
        return {"missing": str(error)}
    return {"now": ", ".join(f"{dataset}@id:{version[:12]}" for dataset, version in pins)}


def _service(store: FeatureStore, each: Definition) -> Node:
    made = Node("service", each.name, {"closure": each.closure[:12]})
    service = each.read()
    made.to += [Node("on_demand", one.name) for one in service.features if isinstance(one, OnDemand)]
    snapshot = store.online.snapshot(each.name)
    if snapshot is not None:
        made.to.append(Node("snapshot", snapshot.id, {"keys": snapshot.keys}))
    for row in training_sets(store):
        if (row["service"], row["version"]) == (each.service, each.version):
            made.to.append(
                Node("training_set", f"{row['dataset']}@id:{row['dataset_version'][:12]}", {"id": row["id"][:12]})
            )
    return made


def training_sets(store: FeatureStore) -> list[dict[str, Any]]:
    """Return the training sets that were saved, the oldest first."""
    found = version_at(store.lake, SETS, store.branch)
    return [] if found is None else list(found.to_arrow().to_pylist())
