"""What must hold after a simulated history, whatever went wrong in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from dataplat.errors import BranchNotFound, ObjectNotFound, VersionNotFound
from dataplat.lake.objects import Objects
from dataplat.lake.stores import Store
from dataplat.testing._history_erase import condition_of, erases
from dataplat.testing._history_gate import limit_of
from dataplat.testing._history_kept import kept
from dataplat.testing._history_merge import columns_of
from dataplat.testing._history_model import Broken, Data, Models, expect, operations_of
from dataplat.testing._history_plans import KEYED, Operation
from dataplat.testing._history_rows import Row, content, digest_of, read_part
from dataplat.testing._history_script import Attempt
from dataplat.versioning import history
from dataplat.versioning._protection import contracts_of
from dataplat.versioning._record import BARRED
from dataplat.versioning.commit import Commit, DatasetChange, DatasetState, load_commit
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.refs import Record, Refs

__all__ = ["Broken", "Checker"]


class Checker:
    """Judges what a history left in `store`, with fresh eyes: nothing that its writers remembered."""

    def __init__(
        self,
        store: Store,
        attempts: Iterable[Attempt],
        branches: Iterable[str],
        keep: str = "all",
        erases: Iterable[Operation] = (),
    ) -> None:
        self._objects = Objects(store)
        self._keep = keep
        self._kept: set[str] = set()
        self._erases = list(erases)
        self._refs = Refs(store, actor="checker")
        self._attempts = list(attempts)
        self._branches = list(branches)
        self._commits: dict[str, Commit] = {}
        self._checked: set[str] = set()
        self._models = Models(self._load, self._versions)

    def check(self) -> None:
        """Raise `Broken` if an invariant does not hold."""
        logs = {branch: self._log(branch) for branch in self._branches}
        self._kept = kept(self._objects, self._refs, self._keep)
        for branch, records in logs.items():
            self._check_chain(branch, records)
            self._check_attempts(branch, records)
            for record in records:
                self._check_content(record.commit_id)
            self._check_histories(records)
            self._check_protected(branch, records)
        self._check_tags()

    def check_erased(self, ids: Collection[str]) -> None:
        """Raise `Broken` if a version of any commit holds a row, deleted or not, that an erase of these ids took."""
        for operation in self._erases:
            if operation.id not in ids:
                continue
            gone = erases(condition_of(operation))
            records = [record for branch in self._branches for record in self._log(branch)]
            changes = [record.commit.changes.get(operation.dataset) for record in records]
            for version in {change.version for change in changes if change is not None} - {None}:
                self._check_version_without(str(version), operation, gone)

    def _check_version_without(self, version: str, operation: Operation, gone: Callable[[int], bool]) -> None:
        try:
            parts = load_manifest(self._objects, version).parts()
            keys = [key for part in parts for key, _ in read_part(self._objects.read, part) if gone(key)]
        except (ObjectNotFound, VersionNotFound):
            return
        expect(not keys, f"version {version[:12]} holds keys {keys}, which were erased: {operation.text}")

    def _load(self, id: str) -> Commit:
        if id not in self._commits:
            self._commits[id] = load_commit(self._objects, id)
        return self._commits[id]

    def _versions(self, commit: Commit) -> Mapping[str, str]:
        return {name: str(state.version) for name, state in commit.datasets(self._objects.read).items()}

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
            same = record.commit == self._load(record.commit_id)
            expect(same, f"the commit of {where} is another as an object")
            expect(record.number == number, f"{where} has number {record.number}")
            alive = last is not None and last.kind != "delete"
            barred = record.kind == "delete" and record.message == BARRED
            fits = alive == (record.kind != "create") or (barred and not alive)
            expect(fits, f"{where} is a {record.kind} after {last and last.kind}")
            if last is not None:
                expect(record.time > last.time, f"{where} is not younger than the one before it")
            if record.kind == "commit" and last is not None:
                expect(record.commit.parents[0] == last.commit_id, f"{where} is not made on the head before it")
            if record.kind in {"delete", "fence", "protect"} and last is not None and not barred:
                expect(record.commit_id == last.commit_id, f"{where} moves the branch as it is a {record.kind}")
            last = record

    def _check_attempts(self, branch: str, records: list[Record]) -> None:
        """What succeeded is there once, what was refused is not, in the order in which it happened."""
        numbers: dict[str, list[int]] = {}
        for record in records:
            text = record.commit.message if record.kind == "commit" else record.message
            for id in {operation.id for operation in operations_of(text)} if record.kind == "commit" else {text}:
                numbers.setdefault(id, []).append(record.number)
        done = []
        for attempt in self._attempts:
            if attempt.kind in {"tag", "gc", "read", "erase"} or (
                attempt.kind != "unbranch" and attempt.branch != branch
            ):
                continue
            if attempt.kind == "unbranch" and branch != "exp":
                continue
            found = numbers.pop(attempt.id, [])
            expect(len(found) <= 1, "{} landed {} times on {}: {}", attempt, len(found), branch, found)
            if attempt.outcome == "done":
                expect(len(found) == 1, "{} was lost on {}", attempt, branch)
                done.append((attempt, found[0]))
                if attempt.kind not in {"branch", "unbranch"}:
                    same = records[found[0]].commit_id == attempt.commit_id
                    expect(same, "{} landed as another commit", attempt)
            if attempt.outcome == "refused":
                expect(not found, "{} was refused and is on {}", attempt, branch)
        for attempt, number in done:
            for other, later in done:
                if attempt.ended < other.began:
                    expect(
                        number < later,
                        "{} ended before {} began, and stands behind it on {}",
                        attempt,
                        other,
                        branch,
                    )

    def _check_content(self, id: str) -> None:
        """Every dataset that the commit changed is what a plain dict would be, in data and in positions."""
        if id in self._checked:
            return
        self._checked.add(id)
        commit = self._load(id)
        for parent in commit.parents:
            self._check_content(parent)
        model = self._models.of(id).datasets
        states = commit.datasets(self._objects.read)
        expect(states.keys() == model.keys(), "{}: {} are there, not {}", commit.message, states.keys(), model.keys())
        for name, change in commit.changes.items():
            if name in model:
                self._check_kept(f"{name} after {commit.message}", name, states[name], model[name])
                if change.mode == "compact":
                    self._check_same_content(f"{name} after {commit.message}", change)

    def _check_same_content(self, where: str, change: DatasetChange) -> None:
        """A compaction changes neither rows (which the model says) nor what is known of their digest."""
        try:
            before, after = (load_manifest(self._objects, str(id)) for id in (change.base, change.version))
        except (ObjectNotFound, VersionNotFound):  # whether that was right is judged elsewhere
            return
        if before.redacted_from is None and after.redacted_from is None:
            expect(before.digest == after.digest, f"{where}: the digest was {before.digest}, and is {after.digest}")

    def _check_kept(self, where: str, name: str, state: DatasetState, data: Data) -> None:
        """A version may be gone only if nothing keeps it."""
        try:
            self._check_dataset(where, name, state, data)
        except (ObjectNotFound, VersionNotFound) as error:
            expect(state.version not in self._kept, f"{where}: it was collected, and is needed: {error}")

    def _check_dataset(self, where: str, name: str, state: DatasetState, data: Data) -> None:
        read = self._objects.read
        manifest = load_manifest(self._objects, str(state.version))
        rows = content(read, manifest)
        wanted = self._unerased(name, data.rows)
        expect(rows == wanted, "{}: rows are {}, should be {}", where, rows, wanted)
        parts = manifest.parts()
        counted = (
            sum(part.live for part in parts),
            sum(part.deleted for part in parts),
            sum(part.size for part in parts),
            len(parts),
        )
        stored = (manifest.rows, manifest.deleted, manifest.nbytes, manifest.n_parts)
        expect(counted == stored, "{}: the root counts {}, its parts are {}", where, stored, counted)
        counts = (state.rows, state.bytes) == (manifest.rows, manifest.nbytes)
        expect(counts or manifest.redacted_from is not None, f"{where}: the commit counts otherwise")
        columns = columns_of(manifest)
        expect(columns == data.columns, "{}: the columns are {}, not {}", where, columns, data.columns)
        digest = digest_of(rows.elements())
        expect(manifest.digest in {None, digest}, "{}: the digest is {}, not {}", where, manifest.digest, digest)
        positions = {source: at for source, at in state.load_positions(None, read).items() if at is not None}
        expect(positions == data.positions, "{}: positions are {}, should be {}", where, positions, data.positions)
        if name in KEYED:
            keys = [key for key, _ in rows.elements()]
            expect(len(set(keys)) == len(keys), "{}: keys occur twice: {}", where, keys)

    def _check_protected(self, branch: str, records: list[Record]) -> None:
        """While a branch is held to a contract it meets it, and what the contract speaks of stays."""
        held: Mapping[str, Any] = {}
        there: set[str] = set()
        for record in records:
            datasets = self._models.of(record.commit_id).datasets
            where = f"record {record.number} of {branch}"
            lost = (there & held.keys()) - datasets.keys()
            expect(not lost or record.kind == "create", f"{where} takes away {lost}, which a contract speaks of")
            held, there = contracts_of(record), set(datasets)
            for name in held.keys() & there:
                limit = int(held[name]["id"].removeprefix("limit"))
                over = [key for key, _ in self._unerased(name, datasets[name].rows) if key > limit]
                expect(not over, "{}: {} has keys {}, and is held to {}", where, name, over, limit)
        if records and records[-1].kind != "delete":
            for contract in held.values():
                limit_of(self._objects.read, contract)

    def _unerased(self, name: str, rows: Counter[Row]) -> Counter[Row]:
        for operation in self._erases:
            if operation.dataset == name:
                gone = erases(condition_of(operation))
                rows = Counter({row: n for row, n in rows.items() if not gone(row[0])})
        return rows

    def _check_histories(self, records: list[Record]) -> None:
        """The log of a dataset visits exactly the commits that changed it."""
        if not records:
            return
        head = records[-1].commit
        past = list(history.commits(self._objects, head))
        for name in head.datasets(self._objects.read, dropped=True):
            skipping = [entry.commit.id for entry in history.log(self._objects, head, name)]
            walked = _walked(past, name)
            expect(skipping == walked, "the log of {} is {}, not {}", name, skipping, walked)

    def _check_tags(self) -> None:
        tags = {tag.message: tag for tag in self._refs.tags()}
        for attempt in self._attempts:
            if attempt.kind != "tag":
                continue
            if attempt.outcome == "done":
                expect(attempt.id in tags, f"{attempt} was lost")
                expect(tags[attempt.id].commit_id == attempt.commit_id, f"{attempt} names another commit")
            if attempt.outcome == "refused":
                expect(attempt.id not in tags, f"{attempt} was refused and is there")
        for tag in self._refs.tags():
            self._check_content(tag.commit_id)


def _walked(past: list[Commit], name: str) -> list[str]:
    """Return the commits that changed a dataset, found by looking at every one."""
    found = []
    for commit in past:
        if name in commit.changes:
            found.append(commit.id)
            name = commit.changes[name].renamed_from or name
    return found
