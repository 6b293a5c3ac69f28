"""Which versions stay: the newest of each branch, what tags and leases name, what the rule of a branch keeps, bases of merges."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Final

from dataplat.errors import ConfigError
from dataplat.versioning._record import (
    BARRED,
    Record,
    Tag,
    decode_record,
    decode_tag,
    is_record_key,
    is_tag_key,
)
from dataplat.versioning.commit import load_commit
from dataplat.versioning.gc._leases import Held, leases
from dataplat.versioning.history import log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Commit

KEEP: Final = "keep"
ALL: Final = "all"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN: Final = re.compile(r"(\d+)([smhdw])")


def span(text: str) -> int:
    """Return a time such as `30d`, `12h` or `0s` in µs; raise `ConfigError`."""
    found = _SPAN.fullmatch(str(text).strip())  # a number has no unit, and is told so
    if found is None:
        raise ConfigError(f"{text!r} is no time: write a number and s, m, h, d or w, as in 30d")
    return int(found[1]) * _UNITS[found[2]] * 1_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """What stays of a branch beside its head: versions younger than `age` (µs), or among the newest `count`."""

    text: str = ALL
    age: int | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read `all`, `30d`, `10`, or `30d,10`, of which either holds; raise `ConfigError`."""
        age = count = None
        for piece in text.split(","):
            word = piece.strip()
            if word == ALL:
                return cls()
            if word.isdecimal() and int(word) > 0:
                count = int(word)
            elif _SPAN.fullmatch(word):
                age = span(word)
            else:
                raise ConfigError(f"{text!r} is no rule: write all, an age as 30d, a number of versions, or 30d,10")
        return cls(text.strip(), age, count)

    def keeps(self, age: int, place: int) -> bool:
        """Whether a version stays that is `age` µs old and has `place` newer ones before it."""
        if self.age is None and self.count is None:
            return True
        return (self.age is not None and age <= self.age) or (self.count is not None and place < self.count)


@dataclass(slots=True)
class Fate:
    """What becomes of one version: `because` it stays, or, where that is empty, `lost` says why it goes."""

    dataset: str
    version: str
    time: int
    rows: int
    because: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def stays(self) -> bool:
        """Whether anything keeps it."""
        return bool(self.because)


@dataclass(slots=True)
class Survey:
    """Refs and leases as they are now, every commit that they reach, and the fate of every version.

    `pinned` are versions that readers hold by id: as they are, even where they were erased since; `objects` (`.bin`) are
    held by who has yet to name them.
    """

    heads: list[Record]
    deleted: list[Record]
    tags: list[Tag]
    leases: list[Held]
    commits: dict[str, Commit]
    fates: dict[tuple[str, str], Fate] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)

    def fate(self, dataset: str, version: str, time: int, rows: int) -> Fate:
        """Return the fate of a version, noted first if need be."""
        return self.fates.setdefault((dataset, version), Fate(dataset, version, time, rows))

    def past(self, commit_id: str) -> set[str]:
        """Return the ids of a commit and of all that it descends from."""
        seen, todo = {commit_id}, [commit_id]
        while todo:
            new = [parent for parent in self.commits[todo.pop()].parents if parent not in seen]
            seen.update(new)
            todo += new
        return seen


def survey(objects: Objects, now: int, default: str = ALL) -> Survey:
    """Look at all refs; `now` (µs) is the store's time, `default` the rule of branches that have none.

    Leases are read before tags and branches: one that has ended since has its tag or branch by then.
    """
    store = objects.store
    held = list(leases(store))
    heads, deleted, commits = _records(objects)
    tags = [decode_tag(store.read(info.key), info.key) for info in store.list("refs/tags/") if is_tag_key(info.key)]
    found = Survey(heads, deleted, tags, held, commits)
    for commit_id in [tag.commit_id for tag in tags] + [id for lease in held for id in lease.file.commits]:
        _load(objects, commit_id, commits)
    _all_parents(objects, commits)
    for head in heads:
        _branch(objects, found, head, now, default)
    for record in deleted:
        for fate, _place in _walk(objects, found, record.commit):
            fate.lost.append(f"branch {record.branch} was deleted")
    for tag in tags:
        _tag(objects, found, tag, now)
    for lease in held:
        if lease.pins(now):
            _pinned(objects, found, lease)
    if any(head.settings.get(KEEP, default) != ALL for head in heads):
        _bases(objects, found)
    return found


def _records(objects: Objects) -> tuple[list[Record], list[Record], dict[str, Commit]]:
    """Return heads, where branches stood when they were deleted, and the commits in all records."""
    heads, deleted, commits = [], [], {}
    folder = ""
    for info in objects.store.list("refs/branches/"):
        if not is_record_key(info.key):
            continue
        record = decode_record(objects.store.read(info.key), info.key)
        commits[record.commit_id] = record.commit
        if record.kind == "delete":
            deleted += [] if record.message == BARRED else [record]
        elif folder != info.key.rpartition("/")[0]:
            heads.append(record)
        folder = info.key.rpartition("/")[0]
    return heads, deleted, commits


def _load(objects: Objects, commit_id: str, commits: dict[str, Commit]) -> Commit:
    if commit_id not in commits:
        commits[commit_id] = load_commit(objects, commit_id)
    return commits[commit_id]


def _all_parents(objects: Objects, commits: dict[str, Commit]) -> None:
    todo = list(commits.values())
    while todo:
        unknown = [parent for parent in todo.pop().parents if parent not in commits]
        todo += [_load(objects, parent, commits) for parent in unknown]


def _branch(objects: Objects, found: Survey, head: Record, now: int, default: str) -> None:
    rule = Rule.parse(head.settings.get(KEEP, default))
    for state_name, state in head.commit.datasets(objects.read).items():
        newest = found.fate(state_name, str(state.version), state.time, state.rows)
        newest.because.insert(0, f"newest on {head.branch}")
    for fate, place in _walk(objects, found, head.commit):
        if rule.keeps(now - fate.time, place):
            fate.because.append(f"{head.branch} keeps {rule.text}")
        else:
            fate.lost.append(f"{head.branch} keeps {rule.text}")
    if rule.text == ALL:
        _merged(found, head)


def _merged(found: Survey, head: Record) -> None:
    """A branch that keeps all keeps also what was merged into it."""
    for commit in (found.commits[commit_id] for commit_id in found.past(head.commit_id)):
        for dataset, change in commit.changes.items():
            if change.version is not None:
                fate = found.fate(dataset, change.version, commit.time, change.rows)
                if not fate.because:
                    fate.because.append(f"merged into {head.branch}")


def _walk(objects: Objects, found: Survey, head: Commit) -> Iterator[tuple[Fate, int]]:
    """Yield the versions in the past of `head`, each with how many newer ones its dataset has there."""
    for dataset in head.datasets(objects.read, dropped=True):
        place = 0
        for entry in log(_Known(objects, found.commits), head, dataset):  # type: ignore[arg-type]
            change = entry.change
            if change.version is not None and entry.is_version:
                yield found.fate(entry.dataset, change.version, entry.commit.time, change.rows), place
                place += 1


def _bases(objects: Objects, found: Survey) -> None:
    """Keep what any two branches have in common last: a merge of them compares both with it.

    Where several commits are last the base is their merge (a criss-cross), which needs what those have in common, too.
    """
    pairs = {
        (ours.commit_id, theirs.commit_id): f"{ours.branch} and {theirs.branch}"
        for ours, theirs in combinations(found.heads, 2)
    }
    done: set[tuple[str, str]] = set()
    while pairs:
        pair, whose = pairs.popitem()
        done.add(pair)
        common = found.past(pair[0]) & found.past(pair[1])
        lowest = sorted(common.difference(*(found.commits[id].parents for id in common)))
        pairs |= {inner: whose for inner in combinations(lowest, 2) if inner not in done}
        for commit_id in lowest:
            for dataset, state in found.commits[commit_id].datasets(objects.read).items():
                fate = found.fate(dataset, str(state.version), state.time, state.rows)
                if not fate.because:
                    fate.because.append(f"merges of {whose} begin there")


class _Known:
    """Objects, of which the commits were read already."""

    def __init__(self, objects: Objects, commits: dict[str, Commit]) -> None:
        self._objects = objects
        self._commits = commits

    def read(self, id: str, suffix: str) -> bytes:
        """Return the bytes of an object."""
        known = self._commits.get(id)
        return self._objects.read(id, suffix) if known is None else known.data


def _tag(objects: Objects, found: Survey, tag: Tag, now: int) -> None:
    for dataset, state in found.commits[tag.commit_id].datasets(objects.read).items():
        fate = found.fate(dataset, str(state.version), state.time, state.rows)
        if tag.expires and tag.expires <= now:
            fate.lost.append(f"tag {tag.name} expired")
        else:
            fate.because.append(f"tag {tag.name}")


def _pinned(objects: Objects, found: Survey, lease: Held) -> None:
    who = f"lease of {lease.file.actor}"
    for commit_id in lease.file.commits:
        for dataset, state in found.commits[commit_id].datasets(objects.read).items():
            found.fate(dataset, str(state.version), state.time, state.rows).because.append(who)
    by_id: dict[str, Fate] = {}
    for fate in found.fates.values():
        by_id.setdefault(fate.version, fate)
    found.pinned.update(lease.file.versions)
    found.objects.update(lease.file.objects)
    for version in lease.file.versions:
        fate = by_id.get(version) or found.fate("", version, 0, 0)
        fate.because.append(who)
