"""What must hold after a simulated history, whatever went wrong in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dataplat.errors import BranchNotFound, ObjectNotFound, VersionNotFound
from dataplat.lake.objects import Objects
from dataplat.lake.stores import Store
from dataplat.testing._history_kept import kept
from dataplat.testing._history_plans import KEYED, Operation
from dataplat.testing._history_rows import Row, content, digest_of
from dataplat.testing._history_writer import Attempt
from dataplat.versioning import history
from dataplat.versioning._record import BARRED
from dataplat.versioning.commit import Commit, DatasetState, load_commit
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.refs import Record, Refs


class Broken(AssertionError):
    """An invariant does not hold; the message says which, and where."""


@dataclass(frozen=True, slots=True)
class Data:
    """What a dataset should be: its rows as a multiset, and where its sources were read to."""

    rows: Counter[Row] = field(default_factory=Counter)
    positions: Mapping[str, Any] = field(default_factory=dict)


Model = Mapping[str, Data]
"""Datasets by name, as a plain dict would hold them."""


class Checker:
    """Judges what a history left in `store`, with fresh eyes: nothing that its writers remembered."""

    def __init__(self, store: Store, attempts: Iterable[Attempt], branches: Iterable[str], keep: str = "all") -> None:
        self._objects = Objects(store)
        self._keep = keep
        self._kept: set[str] = set()
        self._refs = Refs(store, actor="checker")
        self._attempts = list(attempts)
        self._branches = list(branches)
        self._models: dict[str, Model] = {}

    def check(self) -> None:
        """Raise `Broken` if an invariant does not hold."""
        logs = {branch: self._log(branch) for branch in self._branches}
        self._kept = kept(self._objects, self._refs, self._keep)
        for branch, records in logs.items():
            self._check_chain(branch, records)
            self._check_attempts(branch, records)
            for record in records:
                self._check_content(record.commit)
            self._check_histories(records)
        self._check_tags()

    def _log(self, branch: str) -> list[Record]:
        try:
            return list(self._refs.log(branch))[::-1]
        except BranchNotFound:
            return []

    def _check_chain(self, branch: str, records: list[Record]) -> None:
        """Records follow each other without gaps, each commit on the one before it: a branch is one line."""
        last: Record | None = None
        for number, record in enumerate(records):
            where = f"record {number} of {branch}"
            _expect(record.number == number, f"{where} has number {record.number}")
            alive = last is not None and last.kind != "delete"
            barred = record.kind == "delete" and record.message == BARRED
            fits = alive == (record.kind != "create") or (barred and not alive)
            _expect(fits, f"{where} is a {record.kind} after {last and last.kind}")
            if last is not None:
                _expect(record.time > last.time, f"{where} is not younger than the one before it")
            if record.kind == "commit" and last is not None:
                _expect(record.commit.parents[0] == last.commit_id, f"{where} is not made on the head before it")
            if record.kind in {"delete", "fence"} and last is not None and not barred:
                _expect(record.commit_id == last.commit_id, f"{where} moves the branch as it is a {record.kind}")
            last = record

    def _check_attempts(self, branch: str, records: list[Record]) -> None:
        """What succeeded is there once, what was refused is not, in the order in which it happened."""
        numbers: dict[str, list[int]] = {}
        for record in records:
            text = record.commit.message if record.kind == "commit" else record.message
            for id in {operation.id for operation in _operations(text)} if record.kind == "commit" else {text}:
                numbers.setdefault(id, []).append(record.number)
        done = []
        for attempt in self._attempts:
            if attempt.kind in {"tag", "gc", "read"} or (attempt.kind != "unbranch" and attempt.branch != branch):
                continue
            if attempt.kind == "unbranch" and branch != "exp":
                continue
            found = numbers.pop(attempt.id, [])
            _expect(len(found) <= 1, f"{attempt} landed {len(found)} times on {branch}: {found}")
            if attempt.outcome == "done":
                _expect(len(found) == 1, f"{attempt} was lost on {branch}")
                done.append((attempt, found[0]))
                if attempt.kind not in {"branch", "unbranch"}:
                    _expect(records[found[0]].commit_id == attempt.commit_id, f"{attempt} landed as another commit")
            if attempt.outcome == "refused":
                _expect(not found, f"{attempt} was refused and is on {branch}")
        for attempt, number in done:
            for other, later in done:
                if attempt.ended < other.began:
                    _expect(number < later, f"{attempt} ended before {other} began, and stands behind it on {branch}")

    def _check_content(self, commit: Commit) -> None:
        """Every dataset that the commit changed is what a plain dict would be, in data and in positions."""
        if commit.id in self._models:
            return
        if not commit.parents:
            self._models[commit.id] = {}
            return
        parent = load_commit(self._objects, commit.parents[0])
        self._check_content(parent)
        model = dict(self._models[parent.id])
        for operation in _operations(commit.message):
            self._apply(operation, model, commit)
        self._models[commit.id] = model
        _expect(load_commit(self._objects, commit.id) == commit, f"commit {commit.id} is another as an object")
        states = commit.datasets(self._objects.read)
        _expect(states.keys() == model.keys(), f"{commit.message}: {sorted(states)} are there, not {sorted(model)}")
        for name in commit.changes:
            if name in model:
                self._check_kept(f"{name} after {commit.message}", name, states[name], model[name])

    def _check_kept(self, where: str, name: str, state: DatasetState, data: Data) -> None:
        """A version may be gone only if nothing keeps it."""
        try:
            self._check_dataset(where, name, state, data)
        except (ObjectNotFound, VersionNotFound) as error:
            _expect(state.version not in self._kept, f"{where}: it was collected, and is needed: {error}")

    def _check_dataset(self, where: str, name: str, state: DatasetState, data: Data) -> None:
        read = self._objects.read
        manifest = load_manifest(self._objects, str(state.version))
        rows = content(read, manifest)
        _expect(rows == data.rows, f"{where}: rows are {dict(rows)}, should be {dict(data.rows)}")
        parts = manifest.parts()
        counted = (
            sum(part.live for part in parts),
            sum(part.deleted for part in parts),
            sum(part.size for part in parts),
            len(parts),
        )
        stored = (manifest.rows, manifest.deleted, manifest.nbytes, manifest.n_parts)
        _expect(counted == stored, f"{where}: the root counts {stored}, its parts are {counted}")
        _expect((state.rows, state.bytes) == (manifest.rows, manifest.nbytes), f"{where}: the commit counts otherwise")
        digest = digest_of(list(rows.elements()))
        _expect(manifest.digest in {None, digest}, f"{where}: the digest is {manifest.digest}, not {digest}")
        positions = state.load_positions(None, read)
        _expect(positions == data.positions, f"{where}: positions are {positions}, should be {data.positions}")
        if name in KEYED:
            keys = Counter(key for key, _ in rows.elements())
            _expect(all(n == 1 for n in keys.values()), f"{where}: keys occur twice: {keys}")

    def _apply(self, operation: Operation, model: dict[str, Data], commit: Commit) -> None:
        """Do to the model what the operation says, as if nobody else were there."""
        name, where = operation.dataset, f"commit {commit.id[:8]} ({operation.text})"
        data = model.get(name, Data())
        rows, positions = Counter(data.rows), dict(data.positions)
        match operation.kind:
            case "append" | "insert" | "ingest":
                rows.update(operation.rows)
            case "upsert":
                keys = {key for key, _ in operation.rows}
                rows = Counter({row: n for row, n in rows.items() if row[0] not in keys}) + Counter(operation.rows)
            case "delete":
                rows = Counter({row: n for row, n in rows.items() if row[0] % operation.modulus})
            case "replace":
                rows = Counter(operation.rows)
            case "drop":
                del model[name]
                return
            case "rename":
                model[operation.rename_to] = model.pop(name)
                return
            case "rollback":
                model[name] = self._models[operation.back_to][operation.back_to_name]
                return
        if operation.source:
            held = positions.get(operation.source)
            _expect(
                held == operation.start, f"{where}: the source stands at {held}, the rows begin at {operation.start}"
            )
            positions[operation.source] = operation.stop
        model[name] = Data(rows, positions)

    def _check_histories(self, records: list[Record]) -> None:
        """The log of a dataset visits exactly the commits that changed it."""
        if not records:
            return
        head = records[-1].commit
        past = list(history.commits(self._objects, head))
        for name in head.datasets(self._objects.read, dropped=True):
            skipping = [entry.commit.id for entry in history.log(self._objects, head, name)]
            _expect(skipping == _walked(past, name), f"the log of {name} is {skipping}, not {_walked(past, name)}")

    def _check_tags(self) -> None:
        tags = {tag.message: tag for tag in self._refs.tags()}
        for attempt in self._attempts:
            if attempt.kind != "tag":
                continue
            if attempt.outcome == "done":
                _expect(attempt.id in tags, f"{attempt} was lost")
                _expect(tags[attempt.id].commit_id == attempt.commit_id, f"{attempt} names another commit")
            if attempt.outcome == "refused":
                _expect(attempt.id not in tags, f"{attempt} was refused and is there")
        for tag in self._refs.tags():
            self._check_content(load_commit(self._objects, tag.commit_id))


def _walked(past: list[Commit], name: str) -> list[str]:
    """Return the commits that changed a dataset, found by looking at every one."""
    found = []
    for commit in past:
        if name in commit.changes:
            found.append(commit.id)
            name = commit.changes[name].renamed_from or name
    return found


def _operations(message: str) -> list[Operation]:
    return [msgspec.json.decode(line, type=Operation) for line in message.splitlines()]


def _expect(holds: bool, claim: str) -> None:  # noqa: FBT001 - reads as assert
    if not holds:
        raise Broken(claim)
