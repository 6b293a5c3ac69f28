"""What a simulated lake should hold: plain dicts to which the operations of commits are done, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from dataplat.testing._history_merge import Columns, Settle, Unsettled, merge_rows, three_way
from dataplat.testing._history_plans import KEYED, Operation
from dataplat.testing._history_rows import COLUMNS, Row
from dataplat.versioning.commit import Commit


class Broken(AssertionError):
    """An invariant does not hold; the message says which, and where."""


def expect(holds: bool, claim: str, *values: object) -> None:  # noqa: FBT001 - reads as assert
    """Raise `Broken` unless it holds; only then are `values` put into the claim, which costs more than to look."""
    if not holds:
        raise Broken(claim.format(*values) if values else claim)


@dataclass(frozen=True, slots=True)
class Data:
    """What a dataset should be: rows as a multiset, where its sources were read to, its columns; and its version's id."""

    rows: Counter[Row] = field(default_factory=Counter)
    positions: Mapping[str, Any] = field(default_factory=dict)
    columns: Columns = COLUMNS
    version: str = ""

    def same_rows(self, other: Data) -> bool:
        """Whether both hold the same rows."""
        return self.version == other.version or (self.rows, self.columns) == (other.rows, other.columns)


@dataclass(frozen=True, slots=True)
class Model:
    """What a commit should hold: datasets by name, and, by name, where their logs lead: (commit, name there, time)."""

    datasets: Mapping[str, Data] = field(default_factory=dict)
    logs: Mapping[str, tuple[tuple[str, str, int], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trio:
    """A dataset in base, ours and theirs, each with its name there."""

    base: tuple[str, Data] | None
    ours: tuple[str, Data] | None
    theirs: tuple[str, Data] | None

    @property
    def names(self) -> set[str]:
        """All names that it has."""
        return {side[0] for side in (self.base, self.ours, self.theirs) if side is not None}


class Models:
    """Models by commit. `load` reads a commit, `versions` says which versions its datasets have."""

    def __init__(self, load: Callable[[str], Commit], versions: Callable[[Commit], Mapping[str, str]]) -> None:
        self._load = load
        self._versions = versions
        self._known: dict[str, Model] = {}

    def of(self, id: str) -> Model:
        """Return the model of a commit, made from its parents' and from the operations in its message."""
        if id not in self._known:
            self._known[id] = self._made(self._load(id))
        return self._known[id]

    def _made(self, commit: Commit) -> Model:
        if not commit.parents:
            return Model()
        before = self.of(commit.parents[0])
        datasets = dict(before.datasets)
        for operation in operations_of(commit.message):
            if operation.kind in {"merge", "pick", "revert"}:
                self._merge(operation, datasets, commit)
            else:
                self._apply(operation, datasets, commit)
        versions = self._versions(commit)
        logs = dict(before.logs)
        for name, change in commit.changes.items():
            logs[name] = (*before.logs.get(change.renamed_from or name, ()), (commit.id, name, commit.time))
            if name in datasets:
                datasets[name] = replace(datasets[name], version=versions.get(name, ""))
        return Model(datasets, logs)

    def _apply(self, operation: Operation, datasets: dict[str, Data], commit: Commit) -> None:
        """Do what the operation says, as if nobody else were there."""
        name = operation.dataset
        data = datasets.get(name, Data())
        match operation.kind:
            case "append" | "insert" | "ingest":
                rows = data.rows + Counter(operation.rows)
            case "upsert":
                keys = {key for key, _ in operation.rows}
                rows = Counter({row: n for row, n in data.rows.items() if row[0] not in keys}) + Counter(operation.rows)
            case "delete":
                rows = Counter({row: n for row, n in data.rows.items() if row[0] % operation.modulus})
            case "replace":
                rows = Counter(operation.rows)
            case "erase":  # what was erased is left out where a version is compared with this
                return
            case "compact":
                expect(name in datasets, "{} compacts what is not there", operation)
                rows = data.rows
            case "evolve":
                expect(name in datasets, "{} evolves what is not there", operation)
                datasets[name] = replace(data, columns=operation.columns)
                return
            case "drop":
                del datasets[name]
                return
            case "rename":
                datasets[operation.rename_to] = datasets.pop(name)
                return
            case "rollback":
                datasets[name] = self.of(operation.back_to).datasets[operation.back_to_name]
                return
        positions = data.positions
        if operation.source:
            held = positions.get(operation.source)
            expect(held == operation.start, "{}: {} stands at {}", commit.id, operation, held)
            positions = {**positions, operation.source: operation.stop}
        datasets[name] = replace(data, rows=rows, positions=positions)

    # ----------------------------------------------------------------------------------------------------- merges

    def _merge(self, operation: Operation, datasets: dict[str, Data], commit: Commit) -> None:
        from dataplat.testing._history_bases import BaseModels  # it needs what is here

        ours, other = commit.parents[0], operation.back_to
        where = f"commit {commit.id[:8]} ({operation.text})"
        expect(commit.parents[1:] == ((other,) if operation.kind == "merge" else ()), f"{where} has other parents")
        bases = BaseModels(self._load, self.of)
        if operation.kind == "merge":
            lowest, theirs = bases.lowest([ours], [other]), other
        else:
            base, theirs = self._load(other).parents[0], other
            if operation.kind == "revert":
                base, theirs = theirs, base
            lowest = [base]
        touched = None if operation.kind == "merge" else self._load(other).changes.keys()
        one = OneModel(operation, datasets, where)
        before = [(self.of(base), self._load(base).time) for base in lowest]
        for trio in trios(before, self.of(ours), self.of(theirs)):
            if touched is None or trio.names & touched:
                try:
                    one.merge(trio if len(lowest) == 1 else replace(trio, base=bases.base(trio, ours, theirs)))
                except Unsettled as error:
                    raise Broken(f"{where}: a conflict was not noticed: {error} of {trio.names}") from error


def trios(bases: Sequence[tuple[Model, int]], ours: Model, theirs: Model) -> Iterator[Trio]:
    """Yield all datasets: one of a base (given with its time) is on a branch by its name, or where that renamed it."""
    from dataplat.testing._history_bases import came_by

    (base, since), *others = bases
    sides = [_matched(base, side, since) for side in (ours, theirs)]
    for name in base.datasets:
        mine, other = (known.get(name) for known, _ in sides)
        yield Trio(_at(base, name), _at(ours, mine), _at(theirs, other))
    (_, mine_new), (_, other_new) = sides
    for mine, other in came_by(others, ours, theirs, (mine_new, other_new), _matched):
        yield Trio(None, _at(ours, mine), _at(theirs, other))
    for name in sorted(mine_new | other_new):
        mine, other = (name if name in new else None for new in (mine_new, other_new))
        yield Trio(None, _at(ours, mine), _at(theirs, other))


def _at(model: Model, name: str | None) -> tuple[str, Data] | None:
    return None if name is None else (name, model.datasets[name])


def _matched(base: Model, side: Model, since: int) -> tuple[dict[str, str], set[str]]:
    """Return names on a branch by their names in the base, and those of datasets that the base has not."""
    last = {name: base.logs[name][-1][0] for name in base.datasets}
    renamed: dict[str, str] = {}
    for name in side.datasets.keys() - base.datasets.keys():
        for commit, old, time in reversed(side.logs[name]):
            if last.get(old) == commit:
                renamed[name] = old
            if name in renamed or time <= since:
                break
    known = {old: name for name, old in renamed.items()}
    known.update({name: name for name in side.datasets if name in base.datasets and name not in known})
    return known, set(side.datasets) - set(known.values())


@dataclass(frozen=True, slots=True)
class OneModel:
    """Merges one dataset after the other into `datasets`."""

    operation: Operation
    datasets: dict[str, Data]
    where: str

    @property
    def _settle(self) -> Settle:
        return lambda _: self.operation.policy or None

    def _choose(self, what: str) -> str:
        if not self.operation.policy:
            raise Unsettled(what)
        return self.operation.policy

    def merge(self, trio: Trio) -> None:
        """Merge one; raise `Unsettled` where that is a conflict without a policy."""
        base, ours, theirs = trio.base, trio.ours, trio.theirs
        if theirs is None:
            if base is None or ours is None:
                return
            if base[1].same_rows(ours[1]) or self._choose("drop") == "theirs":
                del self.datasets[ours[0]]
        elif ours is None:
            if base is None or (not base[1].same_rows(theirs[1]) and self._choose("drop") == "theirs"):
                self._put(*theirs)
        else:
            self._both(base, ours, theirs)

    def _put(self, name: str, data: Data) -> None:
        expect(name not in self.datasets, f"{self.where}: {name} came where another is")
        self.datasets[name] = data

    def _both(self, base: tuple[str, Data] | None, ours: tuple[str, Data], theirs: tuple[str, Data]) -> None:
        name = self._name(base, ours[0], theirs[0])
        before = Data(version="none") if base is None else base[1]
        mine, other = ours[1], theirs[1]
        keyed = ours[0] in KEYED
        untouched = theirs[1].version in {mine.version, before.version}
        if untouched:
            rows, columns = mine.rows, mine.columns
        elif mine.version == before.version:
            rows, columns = other.rows, other.columns
        elif base is None and mine.same_rows(other):
            rows, columns, untouched = mine.rows, mine.columns, True
        elif base is None and not (keyed and mine.columns == other.columns):
            untouched = self._choose("dataset") == "ours"
            rows, columns = (mine.rows, mine.columns) if untouched else (other.rows, other.columns)
        else:
            start = mine.columns if base is None else before.columns
            columns = three_way("column", (start, mine.columns, other.columns), self._settle)
            rows = merge_rows((before.rows, mine.rows, other.rows), self._settle, keyed=keyed)
        positions = self._positions(before, mine, other, twice=keyed or untouched)
        del self.datasets[ours[0]]
        self._put(name, Data(rows, positions, columns, mine.version))

    def _name(self, base: tuple[str, Data] | None, ours: str, theirs: str) -> str:
        old = None if base is None else base[0]
        if theirs in {ours, old} or self.operation.kind == "revert":
            return ours
        return ours if ours != old and self._choose("name") != "theirs" else theirs

    def _positions(self, base: Data, ours: Data, theirs: Data, *, twice: bool) -> Mapping[str, Any]:
        """Return where sources stand; that both branches read one to the same place is fine where `twice`."""
        found = dict(ours.positions)
        for source in base.positions.keys() | theirs.positions.keys():
            was, here, there = (side.positions.get(source) for side in (base, ours, theirs))
            if there == was or (self.operation.kind == "revert" and here != was):
                continue
            if here == was or (not (twice and here == there) and self._choose("source") == "theirs"):
                found[source] = there
        return {source: position for source, position in found.items() if position is not None}


def operations_of(message: str) -> list[Operation]:
    """Return the operations that a commit's message tells of."""
    return [msgspec.json.decode(line, type=Operation) for line in message.splitlines()]
