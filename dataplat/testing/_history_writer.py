"""Simulated writers: each runs a script of operations drawn from its own seed, and notes how they ended."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from dataplat.errors import AlreadyExists, CommitInDoubt, DatasetNotFound, ObjectNotFound, VersionNotFound
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.stores import RetryingStore, Store
from dataplat.testing._history_compact import plan_compaction
from dataplat.testing._history_erase import request_of
from dataplat.testing._history_gate import LimitGate, protect, unprotect
from dataplat.testing._history_merge import Columns, Merging, columns_of
from dataplat.testing._history_plans import KEYED, Kind, Operation, Planner
from dataplat.testing._history_rows import content
from dataplat.testing._history_script import DATASETS, FEEDS, KEYS, LIMITS, REFUSALS, Attempt, Process, Script
from dataplat.versioning import history, publish
from dataplat.versioning.commit import Commit, DatasetState, load_commit
from dataplat.versioning.erase import erase
from dataplat.versioning.gc.collect import Options, collect
from dataplat.versioning.gc.lease import lease_versions
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.rebase import PlannedChange
from dataplat.versioning.refs import Patience, Refs

if TYPE_CHECKING:
    from dataplat.testing.simulator import Simulator


class Session:
    """One run of a writer, as a process would be: its own refs, objects and caches."""

    def __init__(self, simulator: Simulator, me: Process, script: Script) -> None:
        self._simulator = simulator
        self._me = me
        self._script = script
        store: Store = me.store
        if script.retries:
            store = RetryingStore(me.store, 20.0, clock=me.monotonic, sleep=me.sleep, rng=me.rng)
        patience = Patience(attempts=script.attempts, sleep=me.sleep, rng=me.rng)
        self._store = store
        self._refs = Refs(store, me.clock, actor=me.name, patience=patience, nonce=me.token)
        self._lake = publish.LakeIO(Objects(store), self._refs, LimitGate())
        self._count = 0

    def run(self) -> None:
        """Run the script."""
        kinds, weights = zip(*self._script.weights.items(), strict=True)
        for _ in range(self._script.operations):
            (kind,) = self._me.rng.choices(kinds, weights)
            self.attempt(kind, self._me.rng.choice(self._script.branches))

    def found(self) -> None:
        """Make the lake, and datasets that writers will meet on."""
        create_lake(self._store, self._refs)
        keys = range(KEYS)
        for operation in (
            Operation("founder.1", "insert", "users", tuple((key, "old") for key in keys)),
            Operation("founder.2", "append", "events", tuple((key, "old") for key in keys)),
            Operation("founder.3", "ingest", "stream", source="a"),
        ):
            self._commit("main", [operation])
        if len(self._script.branches) > 1:
            self.attempt("branch", "exp")

    def attempt(self, kind: str, branch: str) -> None:
        """Try one operation, and note how it ended."""
        self._count += 1
        attempt = Attempt(f"{self._me.name}.{self._count}", kind, branch, self._simulator.step)
        self._script.done.append(attempt)
        try:
            attempt.commit_id = self._run(kind, branch, attempt.id)
            attempt.outcome = "done"
        except CommitInDoubt as error:
            attempt.commit_id = error.commit_id
            attempt.outcome = "in doubt"
        except REFUSALS:
            attempt.outcome = "refused"
        except ObjectNotFound:  # what it had no lease on was collected; whether that was right is judged in the end
            if not (self._script.weights.get("gc") or self._script.weights.get("erase")):  # an erase collects, too
                raise
            attempt.outcome = "refused"
        attempt.ended = self._simulator.step
        if attempt.outcome == "done" and kind in FEEDS and self._me.rng.random() < self._script.auto:
            self.attempt("compact", branch)  # as a branch compacts itself

    def _run(self, kind: str, branch: str, id: str) -> str:
        """Do one thing; return the id of the commit that it made or named."""
        steps: dict[str, Callable[[str, str, str], str]] = {
            "branch": self._branch,
            "erase": self._erase,
            "gc": self._collect,
            "merge": self._merge,
            "pick": self._merge,
            "protect": self._protect,
            "read": self._read,
            "revert": self._merge,
            "tag": self._tag,
            "unbranch": self._branch,
            "unprotect": self._protect,
        }
        return steps.get(kind, self._change)(kind, branch, id)

    def _branch(self, kind: str, branch: str, id: str) -> str:
        if kind == "unbranch":
            return self._refs.delete_branch("exp", message=id).commit_id
        return self._refs.create_branch(branch, self._refs.head("main").commit, message=id).commit_id

    def _tag(self, kind: str, branch: str, id: str) -> str:
        commit = self._past(self._refs.head(branch).commit)
        return self._refs.create_tag(f"t{self._me.rng.randrange(4)}", commit.id, message=id).commit_id

    def _collect(self, kind: str, branch: str, id: str) -> str:
        collect(self._lake.objects, self._refs, Options(self._script.keep, 0, self._definite))
        return ""

    def _erase(self, kind: str, branch: str, id: str) -> str:
        rng = self._me.rng
        modulus, key = rng.choice(((5, 0), (7, 0), (11, 0), (0, rng.randrange(2 * KEYS))))
        operation = Operation(id, "erase", rng.choice(DATASETS), modulus=modulus, stop=key)
        self._script.erases.append(operation)
        done = erase(self._lake, request_of(operation))
        if done.definite and not done.held:
            self._script.erased.add(id)
        return ""

    def _protect(self, kind: str, branch: str, id: str) -> str:
        if kind == "unprotect":
            return unprotect(self._lake, branch, id)
        rng = self._me.rng
        dataset = rng.choice(("users", "events", "accounts", "people"))
        return protect(self._lake, self._store, branch, dataset, rng.choice(LIMITS), id)

    def _merge(self, kind: str, branch: str, id: str) -> str:
        """Bring what another branch has, or what one commit did, into a branch; or undo it."""
        rng = self._me.rng
        (other,) = {"main", "exp"} - {branch}
        theirs = self._refs.head(branch if kind == "revert" else other).commit
        if kind != "merge":
            theirs = rng.choice(list(islice(history.commits(self._lake.objects, theirs), 4)))
        policy = rng.choice(("", "ours", "theirs"))
        operation = Operation(id, cast("Kind", kind), "", back_to=theirs.id, policy=policy)
        return Merging(self._lake, self._store, self._rest).run(operation, branch, theirs)

    def _rest(self) -> None:
        """Let planning take its time."""
        self._me.sleep(self._me.rng.choice((0.0, 0.001, 0.01)))

    def _change(self, kind: str, branch: str, id: str) -> str:
        """Commit to a branch; return the id of the commit."""
        if kind == "slow":
            return self._commit(branch, [self._append(id, "events")], slow=True)
        if kind == "again":
            return self._commit(branch, [Operation(id, "append", "events", ((0, "again"),))])
        if kind == "pair":
            return self._commit(branch, [self._append(id, "events"), self._append(id, "users")])
        return self._commit(branch, [self._operation(cast("Kind", kind), id)])

    def _past(self, head: Commit) -> Commit:
        """Return a commit that is `head`, or a little older."""
        if not self._script.weights.get("gc"):
            return head
        return self._me.rng.choice(list(islice(history.commits(self._lake.objects, head), 4)))

    def _definite(self, _store: Store) -> bool:
        return not getattr(self._me.store, "unanswered", 0)

    def _read(self, kind: str, branch: str, id: str) -> str:
        """Read a version slowly, under a lease: nothing of it may go meanwhile."""
        commit = self._past(self._refs.head(branch).commit)
        states = list(commit.datasets(self._lake.objects.read).values())
        if not states:
            return ""
        version = str(self._me.rng.choice(states).version)
        with lease_versions(self._lake.objects, self._refs, [version]):
            for _ in range(3):
                self._me.sleep(self._me.rng.choice((0.0, 0.01, 3.0)))
                try:
                    objects = Objects(self._store)
                    content(objects.read, load_manifest(objects, version))
                except (ObjectNotFound, VersionNotFound) as error:
                    raise AssertionError(f"a version was collected under a lease: {error}") from error
        return ""

    def _append(self, id: str, dataset: str) -> Operation:
        return Operation(id, "insert" if dataset in KEYED else "append", dataset, self._rows(id, new=True))

    def _rows(self, id: str, *, new: bool = False) -> tuple[tuple[int, str], ...]:
        rng = self._me.rng
        keys = sorted(rng.sample(range(KEYS, 4 * KEYS) if new else range(2 * KEYS), rng.randint(1, 3)))
        return tuple((key, id) for key in keys)

    def _operation(self, kind: Kind, id: str) -> Operation:
        rng = self._me.rng
        match kind:
            case "append":
                return self._append(id, "events")
            case "insert" | "upsert":
                dataset = rng.choice(("users", "users", "users", "accounts"))
                return Operation(id, kind, dataset, self._rows(id, new=kind == "insert"))
            case "ingest":
                return Operation(id, kind, "stream", source=rng.choice(("a", "b")))
            case "rename":
                return Operation(id, kind, "accounts", rename_to="people")
            case "delete":
                return Operation(id, kind, rng.choice(DATASETS), modulus=rng.choice((3, 5, 7, 11)))
            case "replace":
                return Operation(id, kind, "events", self._rows(id))
        return Operation(id, kind, rng.choice((*DATASETS, *DATASETS, "accounts", "people")))

    def _commit(self, branch: str, operations: list[Operation], *, slow: bool = False) -> str:
        with Stage(self._store) as stage:
            objects = Objects(self._store, stage)
            head = self._refs.head(branch).commit
            states = [head.dataset(operation.dataset, objects.read) for operation in operations]
            full = [
                self._completed(operation, head, state) for operation, state in zip(operations, states, strict=True)
            ]
            planned = [self._planned(*each, objects, stage) for each in zip(full, states, strict=True)]
            self._rest()
            if slow:  # its objects lie in the store long before the branch moves
                stage.flush()
                self._me.sleep(self._me.rng.choice((0.1, 3.0, 20.0)))
            message = "\n".join(operation.text for operation in full)
            return publish.commit(self._lake, branch, planned, stage, message=message).id

    def _completed(self, operation: Operation, head: Commit, state: DatasetState | None) -> Operation:
        """Return the operation with what depends on the head that it is planned on."""
        read = self._lake.objects.read
        there = state is not None and state.version is not None
        if operation.kind == "ingest":
            held = None if state is None else state.position(operation.source, read)
            start = held or 0
            stop = start + self._me.rng.randint(1, 3)
            rows = tuple((at, operation.source) for at in range(start, stop))
            return replace(operation, rows=rows, start=held, stop=stop)
        if operation.kind in {"compact", "delete", "drop", "evolve", "rename", "rollback"} and not there:
            raise DatasetNotFound(f"there is no dataset {operation.dataset!r}")
        if operation.kind == "evolve":
            assert state is not None
            columns = columns_of(load_manifest(self._lake.objects, str(state.version)))
            return replace(operation, columns=self._evolved(columns))
        if operation.kind == "rollback":
            past = list(history.versions(self._lake.objects, head, operation.dataset))
            entry = self._me.rng.choice(past)
            return replace(operation, back_to=entry.commit.id, back_to_name=entry.dataset)
        return operation

    def _evolved(self, columns: Columns) -> Columns:
        """Return the columns with another name for the second, or with one more."""
        name = self._me.rng.choice("abcd")
        if any(name in column for column in columns):
            raise AlreadyExists(f"there is, or was, a column {name}")
        if self._me.rng.random() < 0.5:
            return (columns[0], (name, columns[1][1]), *columns[2:])
        return (*columns, (name, name))

    def _planned(
        self, operation: Operation, state: DatasetState | None, objects: Objects, stage: Stage
    ) -> PlannedChange:
        version = None if state is None else state.version
        if operation.kind == "rollback":
            past = load_commit(objects, operation.back_to).dataset(operation.back_to_name, objects.read)
            return PlannedChange(dataset=operation.dataset, mode="rollback", base_version=version, restore=past)
        base = None if version is None else load_manifest(objects, version)
        planner = Planner(stage, objects.read)
        if operation.kind == "compact":
            assert base is not None
            return plan_compaction(planner, operation.dataset, base, self._me.rng)
        return planner.plan(operation, base)
