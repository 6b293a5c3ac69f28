"""Finds events: pure functions of what was and what came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from dataplat.validation.report import CheckOutcome

Kind: TypeAlias = Literal[
    "column new",
    "column gone",
    "column retyped",
    "column renamed",
    "value new",
    "dependency changed",
    "snapshot stale",
    "snapshot fresh",
    "snapshot failing",
    "snapshot made",
    "pushes waiting",
    "pushes landing",
]

_VALUES: Final = 20
_TEXTS: Final[Mapping[Kind, str]] = {
    "column new": "{where}: the source has a new column {subject} ({after})",
    "column gone": "{where}: the source has no column {subject} ({before}) any more",
    "column retyped": "{where}: column {subject} of the source is {after}, and was {before}",
    "column renamed": "{where}: column {before} of the source seems to be called {after} now",
    "value new": "{where}: column {subject} has a value that its contract does not list: {after}",
    "dependency changed": "{where}: {subject}, on which it depends, is {after}, and was {before}",
    "snapshot stale": "{served}: view {subject} is stale: its snapshot is of {after}, and may be {before} old",
    "snapshot fresh": "{served}: view {subject} is not stale any more",
    "snapshot failing": "{served}: no snapshot can be made, what is live is served: {after}",
    "snapshot made": "{served}: snapshots can be made again",
    "pushes waiting": "{where}: rows that were pushed cannot land, they are served and wait: {after}",
    "pushes landing": "{where}: rows that were pushed land again",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that changed: what (`subject`, a column, a value's column or a dependency), from `before` to `after`.

    Of a service of features, which then is `dataset`: a view whose snapshot is older than it may be, or that none can be made.

    `id` is the same for the same change of the same version, so that it is told once, however often it is found.
    """

    id: str
    kind: Kind
    dataset: str
    branch: str
    subject: str
    before: str | None
    after: str | None
    time: int

    @property
    def text(self) -> str:
        """The event as a sentence."""
        where, served = f"{self.dataset}@{self.branch}", f"{self.dataset} on {self.branch}"
        return _TEXTS[self.kind].format(
            where=where, served=served, subject=self.subject, before=self.before, after=self.after
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        names = ("id", "kind", "dataset", "branch", "subject", "before", "after", "time", "text")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Place:
    """Where events are found: the lake, the dataset on its branch, the version that was there, and when."""

    lake: str
    dataset: str
    branch: str
    version: str | None
    time: int

    def event(self, kind: Kind, subject: str, before: str | None, after: str | None) -> Event:
        """Return an event of this place."""
        told = json.dumps([self.lake, self.dataset, self.branch, self.version, kind, subject, before, after])
        name = hashlib.sha256(told.encode()).hexdigest()[:24]
        return Event(name, kind, self.dataset, self.branch, subject, before, after, self.time)


def of_columns(place: Place, held: Mapping[str, str], came: Mapping[str, str]) -> Iterator[Event]:
    """Yield events of a source whose columns (name → type) were `held` and are what `came`.

    One column gone and one new of the same type is a column renamed, as far as anybody can tell.
    """
    gone = [name for name in held if name not in came]
    new = [name for name in came if name not in held]
    if len(gone) == len(new) == 1 and held[gone[0]] == came[new[0]]:
        yield place.event("column renamed", gone[0], gone[0], new[0])
        gone, new = [], []
    for name in gone:
        yield place.event("column gone", name, held[name], None)
    for name in new:
        yield place.event("column new", name, None, came[name])
    for name, kind in came.items():
        if name in held and held[name] != kind:
            yield place.event("column retyped", name, held[name], kind)


def of_values(place: Place, checks: Iterable[CheckOutcome]) -> Iterator[Event]:
    """Yield events of values that a contract does not list, as far as the examples of its checks show them."""
    for check in checks:
        if check.column is None or not check.failing or not check.name.startswith("isin("):
            continue
        values = dict.fromkeys(example.value for example in check.examples if example.value is not None)
        for value in list(values)[:_VALUES]:
            yield place.event("value new", check.column, None, value)


def of_dependencies(place: Place, held: Mapping[str, str], came: Mapping[str, str]) -> Iterator[Event]:
    """Yield events of declared dependencies (name → version) whose version is another."""
    for name, version in came.items():
        if name in held and held[name] != version:
            yield place.event("dependency changed", name, held[name], version)
