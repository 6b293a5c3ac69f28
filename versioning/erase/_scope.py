"""What an erase has to look at: a dataset under all the names that it ever had, and who else has something of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataplat.versioning.commit import Commit, DatasetChange
    from dataplat.versioning.gc._retention import Survey

Node = tuple[str, str]
"""A commit, and a dataset that it changed."""


def keep_everything(found: Survey) -> None:
    """Give every version of every commit a reason to stay, whatever rules say: an erase forgets nothing but the rows."""
    for commit in found.commits.values():
        for dataset, change in commit.changes.items():
            if change.version is not None:
                fate = found.fate(dataset, change.version, commit.time, change.rows)
                if not fate.because:
                    fate.because.append("an erase collects only what it erased")


@dataclass(frozen=True, slots=True)
class Scope:
    """A dataset: `names` that it ever had, its `changes` by commit, oldest first, and `rejects` likewise.

    `twins` are datasets that are none of it and have the very same versions.
    """

    names: tuple[str, ...]
    changes: tuple[tuple[Commit, str, DatasetChange], ...]
    rejects: tuple[tuple[Commit, str, DatasetChange], ...]
    twins: tuple[str, ...]

    @property
    def versions(self) -> list[str]:
        """The ids of its versions, as commits name them, oldest first."""
        return list(dict.fromkeys(c.version for _, _, c in self.changes if c.version is not None))

    @property
    def rejects_versions(self) -> list[str]:
        """The ids of the versions of its rejects."""
        return list(dict.fromkeys(c.version for _, _, c in self.rejects if c.version is not None))


def scope_of(commits: Mapping[str, Commit], wanted: Iterable[str]) -> Scope:
    """Return all that ever went by one of the `wanted` names, followed through renames in both directions."""
    nodes = {(id, name): (commit, name, change) for id, commit in commits.items() for name, change in _of(commit)}
    group = _grouped(nodes)
    names = set(wanted)
    chosen = {group[node] for node in nodes if node[1] in names}
    inside = _sorted([found for node, found in nodes.items() if group[node] in chosen])
    family = {name for _, name, _ in inside}
    rejects = {f"{name}.rejects" for name in family}
    beside = {group[node] for node in nodes if node[1] in rejects} - chosen
    aside = _sorted([found for node, found in nodes.items() if group[node] in beside])
    versions = {change.version for _, _, change in (*inside, *aside)} - {None}
    outside = [found for node, found in nodes.items() if group[node] not in chosen | beside]
    twins = {name for _, name, change in outside if change.version in versions}
    return Scope(tuple(sorted(family)), tuple(inside), tuple(aside), tuple(sorted(twins)))


def _of(commit: Commit) -> Iterable[tuple[str, DatasetChange]]:
    return commit.changes.items()


def _sorted(
    found: list[tuple[Commit, str, DatasetChange]],
) -> list[tuple[Commit, str, DatasetChange]]:
    return sorted(found, key=lambda one: (one[0].time, one[0].id, one[1]))


def _grouped(nodes: Mapping[Node, tuple[Commit, str, DatasetChange]]) -> dict[Node, Node]:
    """Return for each change one that stands for its dataset: changes are joined with those that they were made from."""
    leader = {node: node for node in nodes}

    def find(node: Node) -> Node:
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for node, (_, name, change) in nodes.items():
        before = (change.before, change.renamed_from or name)
        if change.base is not None and before in leader:  # without a base the name was taken anew
            leader[find(node)] = find(before)
    return {node: find(node) for node in nodes}


@dataclass(frozen=True, slots=True)
class Derived:
    """A dataset that was made from the one erased, directly or not: `fits` says that the condition can be asked of it."""

    name: str
    made_from: tuple[str, ...]
    branches: tuple[str, ...]
    fits: bool


@dataclass(frozen=True, slots=True)
class Shared:
    """Another dataset that holds `parts` of the parts with such rows: `fits` says that the condition can be asked of it."""

    name: str
    parts: int
    fits: bool


def derivations(commits: Mapping[str, Commit], names: Iterable[str]) -> dict[str, set[str]]:
    """Return by name the datasets that were made from `names`, and from what, through any number of steps."""
    made: dict[str, set[str]] = defaultdict(set)
    for commit in commits.values():
        for dataset, change in commit.changes.items():
            inputs = {one.name for one in change.lineage if one.kind == "dataset"} - {dataset}
            made[dataset] |= inputs
    known = set(names)
    found: dict[str, set[str]] = {}
    while True:
        new = {name: inputs & known for name, inputs in made.items() if name not in known and inputs & known}
        if not new:
            return found
        found.update(new)
        known |= new.keys()
