"""Whether a lake still holds what was written: every object hashed again, every row counted and digested anew."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataplat.ingest._progress import Meter
from dataplat.versioning.lakefile import LAKE_KEY, open_lake
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.reachable import DAMAGE, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dataplat._lake import Lake
    from dataplat.ingest._progress import Listener
    from dataplat.lake.part import Part
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.manifest import Manifest, Read


@dataclass(slots=True)
class VerifyReport:
    """What was looked at, and what is wrong: one line per damaged object, with the versions that it touches."""

    objects: int = 0
    nbytes: int = 0
    versions: int = 0
    rows: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "ok": self.ok,
            "objects": self.objects,
            "bytes": self.nbytes,
            "versions": self.versions,
            "rows": self.rows,
            "problems": list(self.problems),
        }


class _Verifier:
    """Looks at each object and each part once, however many versions share it."""

    def __init__(self, lake: Lake, meter: Meter) -> None:
        self.report = VerifyReport()
        self._lake = lake
        self._meter = meter
        self._seen: dict[tuple[str, str], str | None] = {}
        self._parts: dict[tuple[str, str | None], str | None] = {}

    def version(self, dataset: str, manifest: Manifest) -> None:
        """Check every object of a version, and the rows of its parts."""
        self.report.versions += 1
        label = f"{dataset}@id:{manifest.id[:12]}"
        if self._objects(label, manifest.object_ids):
            self._rows(label, manifest)
            self._files(label, manifest)

    def commit(self, commit: Commit) -> None:
        """Check the objects of a commit: itself, the map of all datasets, positions, reports."""
        self._objects(f"commit {commit.id[:12]}", lambda: _objects_of(commit, self._lake.objects.read))

    def _objects(self, label: str, names: Callable[[], Iterable[tuple[str, str]]]) -> bool:
        """Hash objects, whose names may lie in others of them; return whether all are as they were written."""
        problems = []
        try:
            for object_id, suffix in names():
                problem = self._object(object_id, suffix)
                problems += [] if problem is None else [problem]
        except DAMAGE as error:
            problems.append(str(error))
        self.report.problems += (f"{label}: {problem}" for problem in problems)
        return not problems

    def _object(self, object_id: str, suffix: str) -> str | None:
        name = object_id, suffix
        if name not in self._seen:
            self._seen[name] = self._hash(object_id, suffix)
        return self._seen[name]

    def _hash(self, object_id: str, suffix: str) -> str | None:
        from dataplat.lake.objects import Objects

        try:
            data = Objects(self._lake.store).read(object_id, suffix)
        except DAMAGE as error:
            return f"object {object_id}{suffix}: {error}"
        self.report.objects += 1
        self.report.nbytes += len(data)
        self._meter.at_byte(self.report.nbytes, 0)
        return None

    def _rows(self, label: str, manifest: Manifest) -> None:
        for part in manifest.parts():
            identity = part.id, part.deletes
            if identity not in self._parts:
                self._parts[identity] = self._part(part)
            problem = self._parts[identity]
            if problem is not None:
                self.report.problems.append(f"{label}: {problem}")

    def _files(self, label: str, manifest: Manifest) -> None:
        """Check the objects that the rows of a file tree refer to."""
        from dataplat.lake.scan import scan
        from dataplat.versioning.export import is_tree

        if not is_tree(manifest):
            return
        for batch in scan(self._lake.objects, manifest.parts(), manifest.schema, columns=["path", "object"]):
            for row in batch.to_pylist():
                problem = None if row["object"] is None else self._object(row["object"], ".bin")
                if problem is not None:
                    self.report.problems.append(f"{label}: file {row['path']}: {problem}")

    def _part(self, part: Part) -> str | None:
        """Read a part as it was written, and compare rows and digest with what the manifest says."""
        from dataplat.lake.content_id import digest
        from dataplat.lake.deletes import load_deletes
        from dataplat.lake.take import written_rows

        try:
            load_deletes(self._lake.objects, part)
            found = digest(written_rows(self._lake.objects, part))
        except DAMAGE as error:
            return str(error)
        self.report.rows += found.rows
        self._meter.add_rows(found.rows)
        if found != part.digest:
            return f"part {part.id}: its rows do not add up to the digest that the manifest holds"
        return None


def _objects_of(commit: Commit, read: Read) -> Iterator[tuple[str, str]]:
    yield commit.id, ".json"
    yield from commit.state.object_ids(read)
    for dataset, change in commit.changes.items():
        if change.bulk:
            yield change.bulk, ".bin"
        yield from ((check.report, ".json") for check in change.checks if check.report)
        state = commit.dataset(dataset, read)
        if state is not None:
            yield from state.positions.object_ids(read)


def verify(lake: Lake, reference: str | None, listener: Listener | None) -> VerifyReport:
    """Verify one version, or every version that a branch or a tag reaches, every record of them and `lake.json`."""
    verifier = _Verifier(lake, Meter(listener, stage="verifying"))
    problems = verifier.report.problems
    if reference is not None:
        with _noted(reference, problems):
            version = lake[reference]
            verifier.version(version.dataset, version.manifest)
        return verifier.report
    with _noted(LAKE_KEY, problems):
        open_lake(lake.store)
    for commit in reachable(lake.objects, problems):
        verifier.commit(commit)
        for dataset, change in commit.changes.items():
            if change.version is not None and change.version != change.base:
                with _noted(f"{dataset}@id:{change.version[:12]}", problems):
                    verifier.version(dataset, load_manifest(lake.objects, change.version))
    return verifier.report


@contextmanager
def _noted(label: str, problems: list[str]) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        problems.append(f"{label}: {error}")
