"""What an erase would do: every version of a dataset is asked, and nothing is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat.errors import DatasetNotFound, PredicateError
from dataplat.lake.objects import Objects
from dataplat.versioning.erase._condition import Condition, RejectsCondition, stands_in
from dataplat.versioning.erase._find import Dirty, Finder, manifests_of, part_ids, sharing
from dataplat.versioning.erase._scope import Derived, Scope, Shared, derivations, keep_everything, scope_of
from dataplat.versioning.gc._retention import Survey, survey
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.names import EXPORTED, TAG_DIGITS, nearest
from dataplat.versioning.redactions import Redactions

if TYPE_CHECKING:
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.refs import Refs, Tag


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be erased: rows of `dataset` (and of `also`) that meet `where`; with `rejects` from its rejects, too."""

    dataset: str
    where: Any
    reason: str
    also: tuple[str, ...] = ()
    rejects: bool = True
    told: Callable[[int], object] = lambda _rows: None


@dataclass(slots=True)
class Sight:
    """A lake as an erase sees it: the dataset, its versions as they read now, and which parts of them hold such rows."""

    found: Survey
    redactions: Redactions
    scope: Scope
    condition: Condition
    manifests: dict[str, Manifest]
    dirty: Dirty
    rejects: dict[str, Manifest]
    dirty_rejects: Dirty
    objects: Objects

    @property
    def rows(self) -> int:
        """Rows in parts that match, each counted as often as it was written."""
        return sum(len(rows) for rows in self.dirty.values() if rows is not None)

    @property
    def rejected(self) -> int:
        """Rejected records that go."""
        return sum(len(rows) for rows in self.dirty_rejects.values() if rows is not None)


def see(objects: Objects, refs: Refs, request: Request) -> Sight:
    """Look at every version of a dataset that any record, tag or lease reaches; touch nothing.

    Raises:
        DatasetNotFound: There never was such a dataset, or no version of it is left.
        PredicateError: The condition does not fit the dataset.
    """
    fresh = Objects(objects.store)
    found = survey(fresh, refs.now())
    keep_everything(found)
    redactions = Redactions.load(fresh.store)
    scope = scope_of(found.commits, (request.dataset, *request.also))
    if not scope.changes:
        names = {name for commit in found.commits.values() for name in commit.changes}
        raise DatasetNotFound(f"there is no dataset {request.dataset!r}{nearest(request.dataset, sorted(names))}")
    manifests = dict(manifests_of(fresh, redactions, scope.versions))
    if not manifests:  # collected, with the branch or the rule that kept them
        raise DatasetNotFound(f"no version of {request.dataset!r} is left: all were collected, with their rows")
    condition = Condition.read(request.where, list(manifests.values()))
    finder = Finder(fresh, condition, told=request.told)
    for manifest in manifests.values():
        finder.look(manifest)
    rejects = dict(manifests_of(fresh, redactions, scope.rejects_versions)) if request.rejects else {}
    records = Finder(fresh, RejectsCondition(condition.words()), told=request.told)
    for manifest in rejects.values():
        records.look(manifest)
    return Sight(found, redactions, scope, condition, manifests, finder.dirty, rejects, records.dirty, fresh)


def shared_with(sight: Sight, where: Any) -> list[Shared]:
    """Return the other datasets that hold parts with such rows, too, whatever they came from: there the rows stay."""
    mine = {*sight.scope.names, *(f"{name}.rejects" for name in sight.scope.names)}
    ours = {id(change) for _, _, change in (*sight.scope.changes, *sight.scope.rejects)}
    others: dict[str, dict[str, None]] = defaultdict(dict)
    for commit in sight.found.commits.values():
        for name, change in commit.changes.items():
            if id(change) not in ours and change.version is not None and name not in mine:
                others[name][sight.redactions.follow(change.version)] = None
    held = sharing(sight.objects, others, [*sight.dirty, *sight.dirty_rejects])
    newest = _newest(sight)
    return [Shared(name, len(parts), _fits(sight, newest.get(name), where)) for name, parts in sorted(held.items())]


def exports_of(sight: Sight) -> list[Tag]:
    """Return the tags of exports in place whose tables may refer to parts that go: a tag names the version it is for."""
    versions = {
        old[:TAG_DIGITS]
        for id, manifest in sight.manifests.items()
        if not sight.dirty.keys().isdisjoint(part_ids(manifest, set()))
        for old in sight.redactions.leading_to(id)
    }
    exports = [tag for tag in sight.found.tags if tag.name.startswith(EXPORTED)]
    return [tag for tag in exports if tag.name.rpartition("-")[2] in versions]


def derived_from(sight: Sight, where: Any) -> list[Derived]:
    """Return the datasets that were made from this one, and whether the condition can be asked of their newest version."""
    heads: dict[str, list[str]] = defaultdict(list)
    for head in sight.found.heads:
        for name in head.commit.datasets(sight.objects.read):
            heads[name].append(head.branch)
    newest = _newest(sight)
    made = derivations(sight.found.commits, sight.scope.names)
    return [
        Derived(name, tuple(sorted(inputs)), tuple(heads[name]), _fits(sight, newest.get(name), where))
        for name, inputs in sorted(made.items())
        if not name.endswith(".rejects")
    ]


def _newest(sight: Sight) -> dict[str, str]:
    """Return the newest version of each dataset, on the first branch that has it."""
    found: dict[str, str] = {}
    for head in sight.found.heads:
        for name, state in head.commit.datasets(sight.objects.read).items():
            found.setdefault(name, str(state.version))
    return found


def _fits(sight: Sight, version: str | None, where: Any) -> bool:
    from dataplat.lake.where import parse_where

    if version is None:
        return False
    try:
        parse_where(where, load_manifest(sight.objects, sight.redactions.follow(version)).schema)
    except PredicateError:
        return False
    return True


def mentions(sight: Sight) -> list[str]:
    """Return the commits whose own text (a condition, a message) names one of the values: commits never change."""
    words = sight.condition.words()
    if words is None:
        return []
    named = []
    for commit, _, change in sight.scope.changes:
        texts = [change.where or "", commit.message, change.description or ""]
        text = "\n".join(texts).encode()
        if any(stands_in(word, text) for each in words for word in each):
            named.append(commit.id)
    return list(dict.fromkeys(named))


def refuse_twins(scope: Scope, also: Sequence[str]) -> tuple[str, ...]:
    """Return the datasets that have the very same versions, and that the erase was not told to include."""
    return tuple(name for name in scope.twins if name not in also)
