"""Walk all that branches and tags name, hash what it needs, and compare counts, statistics and digests with rows.

The first pass looks at each object, part and segment once, however many versions share it: a version is compared with
the one of its dataset that was looked at before, so the cost follows what changed. Only where something is damaged a
second pass finds all versions, commits, branches and tags that it touches.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from dataplat.errors import VersionNotFound
from dataplat.lake._object_keys import object_key
from dataplat.lake.deletes import load_deletes
from dataplat.lake.objects import Objects
from dataplat.versioning._difference import difference
from dataplat.versioning._protection import contract_objects
from dataplat.versioning.commit import load_commit
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.needs import files
from dataplat.versioning.redactions import Redactions
from dataplat.versioning.verify._beside import check_logs, check_memos, check_orphans
from dataplat.versioning.verify._history import DAMAGE, History, read_history
from dataplat.versioning.verify._manifests import Contents, Sums, contents, segment_misfit
from dataplat.versioning.verify._report import Problem, VerifyReport
from dataplat.versioning.verify._rows import PartCheck, check_part, live_digest
from dataplat.versioning.verify._shelf import Shelf, name_of

if TYPE_CHECKING:
    from dataplat.lake.digest import Digest
    from dataplat.lake.part import Part
    from dataplat.lake.stores import Store
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.needs import Name
    from dataplat.versioning.verify._report import Kind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """How to look: `told` hears of (bytes hashed, rows read); `gone` says that a missing version was collected or erased."""

    told: Callable[[int, int], object] = lambda _bytes, _rows: None
    gone: Callable[[str], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class _Seen:
    """A version that was looked at and is whole, with the sums over its parts."""

    manifest: Manifest
    sums: Sums


class Verifier:
    """One verification of one store."""

    def __init__(self, store: Store, check: Check, *, whole: bool = True) -> None:
        self.report = VerifyReport()
        self.store = store
        self.objects = Objects(store)
        self.shelf = Shelf(store, self._hashed, whole=whole)
        self._check = check
        self._holders: dict[str, set[tuple[str, str]]] = defaultdict(set)  # version: (dataset, commit)
        self._needs: dict[Name, set[str]] = defaultdict(set)  # damaged object: commits that need it themselves
        self._parts: dict[str, PartCheck | None] = {}
        self._live: dict[tuple[str, str | None, str], Digest | None] = {}
        self._segments: set[str] = set()
        self._blobs: dict[tuple[str, str | None], dict[Name, int]] = {}
        self._near: dict[str, _Seen] = {}
        self._noted: dict[str, tuple[Kind, str, set[str]]] = {}  # what is wrong with what is as written, by key
        self._parents: dict[str, tuple[str, ...]] = {}
        self._starts: dict[str, list[str]] = {}
        self._orphans: set[Name] = set()
        self._refs: dict[str, tuple[str, ...]] = {}  # of problems of refs: what they touch
        self._standing: set[str] = set()  # versions that branches and tags stand at: nothing excuses that they are gone

    def _hashed(self, nbytes: int) -> None:
        self.report.objects += 1
        self.report.nbytes += nbytes
        self._check.told(self.report.nbytes, self.report.rows)

    # ----------------------------------------------------------------------------------------------- first pass

    def lake(self) -> None:
        """Look at everything."""
        history = read_history(self.store, self._note_ref)
        self._starts = history.starts()
        self._standing = self._versions_at(history)
        for head in history.heads():
            for name in contract_objects(head):
                if not self.shelf.check(name):
                    self._needs[name].add(head.commit_id)
        for commit in self._walk(history):
            self._commit(commit)
            for dataset, change in commit.changes.items():
                if change.version is not None:
                    first = change.version not in self._holders
                    self._holders[change.version].add((dataset, commit.id))
                    if first:
                        self.version(dataset, change.version)
        self._orphans = check_orphans(self.store, self.shelf, history, self.report)
        check_memos(self.store, self.report)
        check_logs(self.store, self._note_ref)

    def _note_ref(self, key: str, kind: Kind, what: str, refs: tuple[str, ...]) -> None:
        self._noted[key] = kind, what, set()
        self._refs[key] = refs

    def _walk(self, history: History) -> Iterator[Commit]:
        """Yield every commit that a branch or a tag reaches; one whose object is damaged may still be in a record."""
        todo = list(history.starts())
        while todo:
            commit_id = todo.pop()
            if commit_id in self._parents:
                continue
            name = (commit_id, ".json")
            good = self.shelf.check(name)
            commit = history.commits.get(commit_id)
            if good and commit is None:
                commit = self._tried(partial(load_commit, self.objects, commit_id), name)
            self._parents[commit_id] = () if commit is None else commit.parents
            if not good:
                self._needs[name].add(commit_id)
            if commit is not None:
                todo += commit.parents
                yield commit

    def _commit(self, commit: Commit) -> None:
        for name in self._of_commit(commit):
            if not self.shelf.check(name):
                self._needs[name].add(commit.id)

    def _of_commit(self, commit: Commit) -> Iterator[Name]:
        """Yield the objects of a commit, each before it is read."""
        read = self.objects.read
        yield from _drained(commit.state.object_ids(read))
        for dataset, change in commit.changes.items():
            if change.bulk:
                yield change.bulk, ".bin"
            for report in (check.report for check in change.checks if check.report):
                yield report if self.shelf.keys((report, ".json")) else self._redactions.follow(report), ".json"
            try:
                state = commit.dataset(dataset, read)
            except DAMAGE:
                continue
            if state is not None:
                yield from _drained(state.positions.object_ids(read))

    def alone(self, dataset: str, version: str) -> None:
        """Look at one version only."""
        self._holders[version].add((dataset, ""))
        self.version(dataset, version)

    def version(self, dataset: str, version: str) -> None:
        """Look at a version: its objects, and that it adds up."""
        version = self._in_its_place(version)
        name = (version, ".json")
        if self._check.gone(version) and version not in self._standing and not self._is_there(version):
            return
        self.report.versions += 1
        if not self.shelf.check(name):
            return
        manifest = self._tried(partial(load_manifest, self.objects, version), name)
        if manifest is None:
            return
        found = contents(manifest)
        for ref in found.refs:
            if self.shelf.check((ref.id, ".bin"), ref.size) and ref.id not in self._segments and found.whole:
                self._segments.add(ref.id)
                wrong = segment_misfit(ref, manifest)
                if wrong:
                    self._note((ref.id, ".bin"), wrong, version)
        sums = self._sums(dataset, manifest, found)
        if sums is None or not found.whole:
            return
        wrong = sums.misfit(manifest)
        if wrong:
            self._note(name, wrong, version)
        else:
            self._near[dataset] = _Seen(manifest, sums)

    def _in_its_place(self, version: str) -> str:
        """Return the version that is looked at: of one that was erased the one that it leads to."""
        new = version if self.shelf.keys((version, ".json")) else self._redactions.follow(version)
        if new != version:
            self._holders[new] |= self._holders.pop(version)
        return new

    @cached_property
    def _redactions(self) -> Redactions:
        try:
            return Redactions.load(self.store)
        except DAMAGE:  # noted when the logs are checked
            return Redactions()

    def _is_there(self, version: str) -> bool:
        """Whether something is left of a version that was collected, and not of a collection that was stopped half-way."""
        try:
            return all(map(self.shelf.keys, self._of_version(version)))
        except DAMAGE:
            return False

    def _versions_at(self, history: History) -> set[str]:
        now = time.time_ns() // 1000
        found: set[str] = set()
        heads = [head.commit for head in history.heads()]
        tagged = [tag.commit_id for tag in history.tags if not tag.is_over(now)]
        for commit in heads + [history.commits[id] for id in tagged if id in history.commits]:
            with suppress(*DAMAGE):  # found when the commit is looked at
                found.update(str(state.version) for state in commit.datasets(self.objects.read).values())
        return found

    def _sums(self, dataset: str, manifest: Manifest, found: Contents) -> Sums | None:
        """Look at the parts that were not looked at, and return the sums over all; None where some are damaged."""
        near = self._near.get(dataset)
        if near is None or not found.whole or near.manifest.schema_json != manifest.schema_json:
            sums, whole = Sums(), True
            for part in found.parts.values():
                good = self._part(manifest, part)
                whole = whole and good
                sums = sums.plus(part, self._live_digest(manifest, part)) if good else sums
            return sums if whole else None
        differ, sums = difference(near.manifest, manifest), near.sums
        for part in (*differ.dropped, *(before for before, _ in differ.changed)):
            sums = sums.plus(part, self._live_digest(manifest, part), -1)
        whole = True
        for part in (*differ.added, *(after for _, after in differ.changed)):
            good = self._part(manifest, part)
            whole = whole and good
            sums = sums.plus(part, self._live_digest(manifest, part)) if good else sums
        return sums if whole else None

    def _part(self, manifest: Manifest, part: Part) -> bool:
        """Return whether a part, its deletes and the files it names are whole."""
        name = (part.id, ".parquet")
        good = self.shelf.check(name, part.size)
        if part.deletes is not None:
            good = self.shelf.check((part.deletes, ".bin")) and good
        if not good:
            return False
        if part.id not in self._parts:
            self._parts[part.id] = self._rows(manifest, part)
        if part.deletes is not None and self._parts[part.id] is not None:
            deletes = (part.deletes, ".bin")
            if self._tried(partial(load_deletes, self.objects, part), deletes) is None:
                return False
        if self._parts[part.id] is None:
            return False
        held = part.id, part.deletes
        if held not in self._blobs:
            self._blobs[held] = dict(files(self.objects, manifest, [part]))
        blobs = [self.shelf.check(*blob) for blob in self._blobs[held].items()]  # all are looked at
        return all(blobs)

    def _rows(self, manifest: Manifest, part: Part) -> PartCheck | None:
        from dataplat.lake.schema import stored_name

        name = (part.id, ".parquet")
        names = {field.name: stored_name(field) for field in manifest.schema}
        check = self._tried(partial(check_part, self.objects, part, names), name)
        if check is None:
            return None
        self.report.rows += check.digest.rows
        self._check.told(self.report.nbytes, self.report.rows)
        if check.wrong:
            self._note(name, check.wrong, manifest.id)
            return None
        return check

    def _live_digest(self, manifest: Manifest, part: Part) -> Digest | None:
        check = self._parts.get(part.id)
        if manifest.digest is None or check is None:
            return None
        key = (part.id, part.deletes, repr(manifest.schema_json))
        if key not in self._live:
            name = (part.id, ".parquet")
            self._live[key] = self._tried(partial(live_digest, self.objects, part, manifest.schema, check), name)
        return self._live[key]

    def _tried(self, do: Callable[[], T], name: Name) -> T | None:
        """Return what `do` does; where bytes that are what was written cannot be read, note it."""
        try:
            return do()
        except DAMAGE as error:
            self._note(name, str(error), None)
            return None

    def _note(self, name: Name, what: str, version: str | None) -> None:
        key = object_key(*name)
        touched = self._noted.setdefault(key, ("inconsistent", what, set()))[2]
        touched.update([] if version is None else [version])

    # ---------------------------------------------------------------------------------------------- second pass

    def finish(self) -> VerifyReport:
        """Say of everything that is damaged what it touches."""
        damaged = {name for name in self.shelf.checked.keys() - self._orphans if self.shelf.bad_keys(name)}
        touched = self._touched(damaged | {name for key in self._noted if (name := name_of(key))})
        reached = self._reached() if damaged or self._noted else {}
        wrong: dict[str, tuple[Kind, str, Name | None]] = {
            key: (*self.shelf.damage[key], name) for name in sorted(damaged) for key in self.shelf.bad_keys(name)
        }
        for key, (kind, what, versions) in self._noted.items():
            name = name_of(key)
            if name is not None:
                touched[name] |= versions
            wrong.setdefault(key, (kind, what, name))
        for key, (kind, what, name) in wrong.items():
            versions = set() if name is None else touched[name]
            commits = set() if name is None else self._needs.get(name, set())
            self.report.problems.append(self._problem(key, kind, what, versions, commits, reached))
        return self.report

    def _problem(
        self, key: str, kind: Kind, what: str, versions: set[str], commits: set[str], reached: dict[str, set[str]]
    ) -> Problem:
        holders = [holder for version in versions for holder in self._holders.get(version, ())]
        labels = {f"{dataset}@id:{v[:12]}" for v in versions for dataset, _ in self._holders.get(v, {("", "")})}
        for commit in commits:  # what a commit made is told of where it stands
            made = ((v, d) for v, all_ in self._holders.items() for d, at in all_ if at == commit)
            labels.update(f"{dataset}@id:{version[:12]}" for version, dataset in made)
        every = {*commits, *(commit for _, commit in holders)}
        refs = {ref for ref, reach in reached.items() if not every.isdisjoint(reach)}
        refs.update(self._refs.get(key, ()))
        return Problem(key, kind, what, tuple(sorted(labels)), tuple(sorted(commits)), tuple(sorted(refs)))

    def _touched(self, damaged: Iterable[Name]) -> dict[Name, set[str]]:
        """Return by damaged object the versions that need it."""
        wanted = set(damaged)
        touched: dict[Name, set[str]] = defaultdict(set)
        for version in self._holders if wanted else ():
            for name in self._of_version(version):
                if name in wanted:
                    touched[name].add(version)
        return touched

    def _of_version(self, version: str) -> Iterator[Name]:
        yield version, ".json"
        try:
            manifest = load_manifest(self.objects, version)
        except (*DAMAGE, VersionNotFound):
            return
        found = contents(manifest)
        yield from ((ref.id, ".bin") for ref in found.refs)
        for part in found.parts.values():
            yield part.id, ".parquet"
            if part.deletes is not None:
                yield part.deletes, ".bin"
            yield from self._blobs.get((part.id, part.deletes), ())

    def _reached(self) -> dict[str, set[str]]:
        """Return by branch and tag the commits that it reaches."""
        reached: dict[str, set[str]] = {}
        for start, names in self._starts.items():
            seen, todo = {start}, [start]
            while todo:
                parents = [parent for parent in self._parents.get(todo.pop(), ()) if parent not in seen]
                seen.update(parents)
                todo += parents
            reached.update(dict.fromkeys(names, seen))
        return reached


def _drained(names: Iterable[Name]) -> Iterator[Name]:
    """Yield names up to the first that cannot be followed; it has been yielded, so it will be found damaged."""
    try:
        yield from names
    except DAMAGE:
        return


def verify_lake(store: Store, check: Check) -> VerifyReport:
    """Look at every object, record, tag and memo of a lake."""
    verifier = Verifier(store, check)
    verifier.lake()
    return verifier.finish()


def verify_version(store: Store, dataset: str, version: str, check: Check) -> VerifyReport:
    """Look at the objects of one version."""
    verifier = Verifier(store, check, whole=False)
    verifier.alone(dataset, version)
    return verifier.finish()
