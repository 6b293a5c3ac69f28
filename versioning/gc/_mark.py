"""What is needed: the objects of versions, found from those that differ from one version to the next."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataplat.errors import ObjectNotFound, VersionNotFound
from dataplat.versioning._protection import contract_objects
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.needs import of_commit, of_version, step
from dataplat.versioning.redactions import Redactions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dataplat.lake.objects import Objects
    from dataplat.versioning.gc._retention import Fate, Survey
    from dataplat.versioning.needs import Name, Step


def steps(objects: Objects, fates: Iterable[Fate], gone: Mapping[str, object]) -> Iterator[tuple[Fate, Step | None]]:
    """Yield, dataset by dataset, each version with how it differs from the one yielded before it of its dataset.

    None stands for a version that was collected before; any other that is not there raises `ObjectNotFound`. Of an erased
    one it is what it leads to, even while the old object is still there.
    """
    redactions = Redactions.load(objects.store)
    by_dataset: dict[str, list[Fate]] = {}
    for fate in fates:
        by_dataset.setdefault(fate.dataset, []).append(fate)
    for versions in by_dataset.values():
        before = None
        for fate in sorted(versions, key=lambda fate: -fate.time):
            try:
                manifest = load_manifest(objects, redactions.follow(fate.version))
                found = step(objects, before, manifest)
            except (ObjectNotFound, VersionNotFound):
                if fate.version not in gone:
                    raise
                yield fate, None
                continue
            before = manifest
            yield fate, found


def of_commits(objects: Objects, found: Survey) -> set[Name]:
    """Return what commits and branches need beside versions; it stays for ever, so that the past can be told."""
    names: set[Name] = set()
    for commit in found.commits.values():
        names.update([(commit.id, ".json"), *of_commit(commit, objects.read)])
    for head in found.heads:
        names.update(contract_objects(head))
    from dataplat.versioning.erasures import erases

    for erase in erases(
        objects.store
    ):  # of each: branches name its lists only afterwards, and those of later ones after that
        names.update((id, ".bin") for id in erase.suppress.values())
    names.update((id, ".bin") for id in found.objects)
    redactions = Redactions.load(objects.store)
    return {(redactions.follow(id), suffix) if suffix == ".json" else (id, suffix) for id, suffix in names}


def mark(objects: Objects, found: Survey, gone: Mapping[str, object]) -> set[Name]:
    """Return every object that has to stay."""
    names = of_commits(objects, found)
    for _, difference in steps(objects, [fate for fate in found.fates.values() if fate.stays], gone):
        if difference is not None:
            names.update(difference.gained)
    for version in found.pinned:
        with suppress(ObjectNotFound, VersionNotFound):
            names.update(of_version(objects, load_manifest(objects, version)))
    return names


@dataclass(slots=True)
class Held:
    """Bytes of one version: all that it needs, and what only it needs; `present` is False where it was collected."""

    nbytes: int = 0
    only: int = 0
    present: bool = True


@dataclass(slots=True)
class Ledger:
    """Who needs which object. `sizes` (bytes by object) is what the store says; what it does not list counts nothing."""

    sizes: Mapping[Name, int]
    versions: dict[tuple[str, str], Held] = field(default_factory=dict)
    datasets: dict[str, Held] = field(default_factory=dict)
    names: set[Name] = field(default_factory=set)

    def fill(self, objects: Objects, fates: Iterable[Fate], gone: Mapping[str, object]) -> Ledger:
        """Count all versions; return itself."""
        holders: Counter[Name] = Counter()  # versions that need an object
        owners: Counter[Name] = Counter()  # datasets
        last: dict[Name, Held] = {}
        run = _Run("", self)
        order = []
        for fate, difference in steps(objects, fates, gone):
            held = self.versions[fate.dataset, fate.version] = Held(present=difference is not None)
            if difference is None:
                continue
            if run.dataset != fate.dataset:
                run.end(holders, owners, last)
                run = _Run(fate.dataset, self)
                order.append(run)
            run.add(difference, held, holders, last)
        run.end(holders, owners, last)
        self.names.update(holders)
        for name, count in holders.items():
            if count == 1:
                last[name].only += self.sizes.get(name, 0)
        for each in order:
            of = self.datasets[each.dataset] = Held()
            for name in each.seen:
                of.nbytes += self.sizes.get(name, 0)
                of.only += self.sizes.get(name, 0) if owners[name] == 1 else 0
        return self


class _Run:
    """The versions of one dataset, one after the other: an object is needed from where it comes to where it goes."""

    def __init__(self, dataset: str, ledger: Ledger) -> None:
        self.dataset = dataset
        self.seen: set[Name] = set()
        self._sizes = ledger.sizes
        self._active: Counter[Name] = Counter()
        self._since: dict[Name, tuple[int, Held]] = {}
        self._at = 0
        self._nbytes = 0

    def add(self, difference: Step, held: Held, holders: Counter[Name], last: dict[Name, Held]) -> None:
        """Go on to the next version."""
        for name in difference.gained:
            self._active[name] += 1
            if self._active[name] == 1:
                self._since[name] = self._at, held
                self._nbytes += self._sizes.get(name, 0)
                self.seen.add(name)
        for name in difference.lost:
            self._active[name] -= 1
            if not self._active[name]:
                self._close(name, holders, last)
        held.nbytes = self._nbytes
        self._at += 1

    def _close(self, name: Name, holders: Counter[Name], last: dict[Name, Held]) -> None:
        since, held = self._since.pop(name)
        holders[name] += self._at - since
        last[name] = held
        self._nbytes -= self._sizes.get(name, 0)

    def end(self, holders: Counter[Name], owners: Counter[Name], last: dict[Name, Held]) -> None:
        """Close what the last version still needs."""
        for name in list(self._since):
            self._close(name, holders, last)
        owners.update(self.seen)
