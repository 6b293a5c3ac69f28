"""What differs between two states of a lake, dataset by dataset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dataplat.versioning.diff._diff import Diff
from dataplat.versioning.manifest import load_manifest

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Commit, DatasetState


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """A dataset that differs: `changed`, `added`, `dropped`, or `renamed` (its version is that of `before`, another name).

    `diff` is set where it is `changed`; a dataset that came or went counts all its rows.
    """

    dataset: str
    kind: str
    added: int = 0
    removed: int = 0
    changed: int = 0
    schema_changes: tuple[str, ...] = ()
    before: str = ""
    diff: Diff | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        said = {"dataset": self.dataset, "kind": self.kind, "added": self.added, "removed": self.removed}
        said |= {"changed": self.changed, "schema_changes": list(self.schema_changes)}
        return said | ({"before": self.before} if self.before else {})


class LakeDiff:
    """The difference between two commits: every dataset whose version differs; counted when first asked for."""

    def __init__(self, objects: Objects, before: Commit, after: Commit) -> None:
        self._objects = objects
        self._before = before
        self._after = after

    @cached_property
    def datasets(self) -> list[DatasetDiff]:
        """The datasets that differ, in order of name; a dataset with other rows in no place is left out."""
        old, new = (commit.datasets(self._objects.read) for commit in (self._before, self._after))
        gone = {state.version: name for name, state in old.items() if name not in new}
        found = []
        for name in sorted({*old, *new}):
            if name in old and name in new:
                found += self._changed(name, old[name], new[name])
            elif name in new:
                origin = gone.pop(new[name].version, None)
                renamed = DatasetDiff(name, "renamed", before=str(origin))
                found.append(renamed if origin is not None else DatasetDiff(name, "added", added=new[name].rows))
        found += [DatasetDiff(name, "dropped", removed=old[name].rows) for name in gone.values()]
        return sorted(found, key=lambda one: one.dataset)

    def _changed(self, name: str, old: DatasetState, new: DatasetState) -> list[DatasetDiff]:
        if old.version == new.version or old.version is None or new.version is None:
            return []
        manifests = (load_manifest(self._objects, version) for version in (old.version, new.version))
        diff = Diff(self._objects, *manifests)
        if diff.is_empty:
            return []
        rows = diff.summary
        changes = tuple(map(str, diff.schema_changes))
        return [DatasetDiff(name, "changed", rows.added, rows.removed, rows.changed, changes, diff=diff)]

    @property
    def is_empty(self) -> bool:
        """Whether every dataset holds the same rows under the same schema."""
        return not self.datasets

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        datasets = [dataset.to_dict() for dataset in self.datasets]
        return {"before": self._before.id, "after": self._after.id, "datasets": datasets}

    def __repr__(self) -> str:
        listed = ", ".join(
            f"{one.dataset} ({one.kind} +{one.added:,} -{one.removed:,} ~{one.changed:,})" for one in self.datasets
        )
        return f"LakeDiff({listed or 'nothing differs'})"
