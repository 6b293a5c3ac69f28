"""Whether a lake still holds what was written: every object hashed again, every row counted and digested anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataplat.errors import IntegrityError, ObjectNotFound, RefError, StoreError
from dataplat.ingest._progress import Meter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataplat._lake import Lake
    from dataplat.ingest._progress import Listener
    from dataplat.lake.part import Part
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.manifest import Manifest


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
        try:
            names = list(manifest.object_ids())
        except (IntegrityError, ObjectNotFound) as error:
            self.report.problems.append(f"{label}: {error}")
            return
        broken = False
        for object_id, suffix in names:
            problem = self._object(object_id, suffix)
            if problem is not None:
                broken = True
                self.report.problems.append(f"{label}: {problem}")
        if not broken:
            self._rows(label, manifest)
            self._files(label, manifest)

    def commit(self, commit: Commit) -> None:
        """Check the object of a commit."""
        problem = self._object(commit.id, ".json")
        if problem is not None:
            self.report.problems.append(f"commit {commit.id[:12]}: {problem}")

    def _object(self, object_id: str, suffix: str) -> str | None:
        name = object_id, suffix
        if name not in self._seen:
            self._seen[name] = self._hash(object_id, suffix)
        return self._seen[name]

    def _hash(self, object_id: str, suffix: str) -> str | None:
        from dataplat.lake.objects import Objects

        try:
            data = Objects(self._lake.store).read(object_id, suffix)
        except (IntegrityError, StoreError) as error:
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
        from dataplat.lake._part_open import open_part
        from dataplat.lake.content_id import digest
        from dataplat.lake.deletes import load_deletes
        from dataplat.lake.scan import scan

        objects = self._lake.objects
        try:
            load_deletes(objects, part)
            whole = part.with_deletes(None, 0)
            found = digest(scan(objects, [whole], open_part(objects, whole).schema))
        except (IntegrityError, StoreError) as error:
            return str(error)
        self.report.rows += found.rows
        self._meter.add_rows(found.rows)
        if found != part.digest:
            return f"part {part.id}: its rows do not add up to the digest that the manifest holds"
        return None


def verify(lake: Lake, reference: str | None, listener: Listener | None) -> VerifyReport:
    """Verify one version, or every version that a branch or a tag reaches."""
    verifier = _Verifier(lake, Meter(listener, stage="verifying"))
    if reference is not None:
        version = lake[reference]
        verifier.version(version.dataset, version.manifest)
        return verifier.report
    for commit in _commits(lake, verifier.report):
        verifier.commit(commit)
        for dataset, change in commit.changes.items():
            if change.version is not None and change.version != change.base:
                _version(lake, verifier, dataset, change.version)
    return verifier.report


def _version(lake: Lake, verifier: _Verifier, dataset: str, version: str) -> None:
    from dataplat.versioning.manifest import load_manifest

    try:
        verifier.version(dataset, load_manifest(lake.objects, version))
    except (IntegrityError, StoreError) as error:
        verifier.report.problems.append(f"{dataset}@id:{version[:12]}: {error}")


def _commits(lake: Lake, report: VerifyReport) -> Iterator[Commit]:
    """Yield every commit that a branch or tag reaches, once."""
    from dataplat.versioning.commit import load_commit

    heads = [record.commit for record in lake.branches()]
    todo = [commit.id for commit in heads] + [tag.commit_id for tag in lake.tags()]
    known = {commit.id: commit for commit in heads}
    seen: set[str] = set()
    while todo:
        commit_id = todo.pop()
        if commit_id in seen:
            continue
        seen.add(commit_id)
        try:
            commit = known.get(commit_id) or load_commit(lake.objects, commit_id)
        except (IntegrityError, StoreError, RefError) as error:
            report.problems.append(f"commit {commit_id[:12]}: {error}")
            continue
        todo += commit.parents
        yield commit
