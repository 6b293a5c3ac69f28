"""Who needs how many bytes: by version, by dataset, and what nobody needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.lake._object_keys import parse_key
from dataplat.versioning.gc._mark import Held, Ledger, of_commits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataplat.lake.objects import Objects
    from dataplat.versioning.gc._retention import Fate
    from dataplat.versioning.gc.collect import Look
    from dataplat.versioning.needs import Name


@dataclass(frozen=True, slots=True)
class VersionUse:
    """Bytes of one version: `nbytes` of all that it needs, `only` of what no other version needs.

    `why` says what keeps it, or, where it does not stay, why it goes; `present` is False where it was collected.
    """

    dataset: str
    version: str
    time: int
    rows: int
    nbytes: int
    only: int
    stays: bool
    present: bool
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """Bytes of all versions of a dataset together: `only` is what no other dataset needs."""

    dataset: str
    versions: int
    nbytes: int
    only: int


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes of a lake's objects: by version (newest first) and dataset, of commits and branches, and of nothing.

    `unreachable` counts objects that neither a version, kept or not, nor a commit needs; `objects` all there are.
    """

    versions: tuple[VersionUse, ...]
    datasets: tuple[DatasetUse, ...]
    objects: int
    nbytes: int
    metadata: int
    unreachable: int
    unreachable_bytes: int
    memos: int


def use(objects: Objects, seen: Look) -> Use:
    """Return who needs which bytes of what was seen; manifests are read as far as they differ."""
    sizes: dict[Name, int] = {}
    for info in seen.stored:
        name = parse_key(info.key)
        if name is not None:
            sizes[name] = sizes.get(name, 0) + info.size
    ledger = Ledger(sizes).fill(objects, seen.survey.fates.values(), seen.gone)
    commits = of_commits(objects, seen.survey)
    lost = sizes.keys() - ledger.names - commits
    fates = sorted(seen.survey.fates.values(), key=lambda fate: (fate.dataset, -fate.time))
    return Use(
        versions=tuple(_version(fate, ledger.versions) for fate in fates),
        datasets=tuple(
            DatasetUse(name, _count(ledger.versions, name), held.nbytes, held.only)
            for name, held in sorted(ledger.datasets.items())
        ),
        objects=len(seen.stored),
        nbytes=sum(info.size for info in seen.stored),
        metadata=sum(sizes.get(name, 0) for name in commits),
        unreachable=len(lost),
        unreachable_bytes=sum(sizes[name] for name in lost),
        memos=sum(info.size for info in seen.memos),
    )


def _count(versions: Mapping[tuple[str, str], Held], dataset: str) -> int:
    return sum(held.present for (name, _), held in versions.items() if name == dataset)


def _version(fate: Fate, held: Mapping[tuple[str, str], Held]) -> VersionUse:
    of = held[fate.dataset, fate.version]
    return VersionUse(
        fate.dataset,
        fate.version,
        fate.time,
        fate.rows,
        of.nbytes,
        of.only,
        stays=fate.stays,
        present=of.present,
        why=tuple(dict.fromkeys(fate.because or fate.lost)),
    )
