"""Data that DVC tracks: each Git revision that changed it is a state.

DVC itself is not asked: its package brings seventy others and holds back some of ours (python-dateutil), and what it
knows stands in four small files that Git and a few lines read.
"""

from __future__ import annotations

import json
import posixpath
import shutil
import tempfile
import weakref
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.connectors.files._options import FileOptions
from dataplat.connectors.source import Item, Position, Progress, Source, Split
from dataplat.connectors.tables._dvc_files import Config, Out, outs_of
from dataplat.connectors.tables._dvc_objects import DvcObjects
from dataplat.connectors.tables._git import Git, copy_of, local
from dataplat.connectors.tables._location import Location
from dataplat.connectors.tables._revision import Revision
from dataplat.errors import SourceError, SourceNotFound

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class _Tracked:
    """A path in a repository, and the file of DVC's that tracks it (or a folder around it)."""

    git: Git
    path: str
    file: str

    def out(self, revision: str) -> Out | None:
        """Return what it was at a revision, None where it was not tracked."""
        text = self.git.read(revision, self.file)
        if text is None:
            return None
        pipeline = self.git.read(revision, posixpath.join(posixpath.dirname(self.file), "dvc.yaml"))
        return next((out for out in outs_of(self.file, text, pipeline) if _within(self.path, out.path)), None)


def revisions(location: Location) -> list[Revision]:
    """Return the Git revisions that `location` names and that changed the data, oldest first."""
    git, path = _repository(location.place)
    last = git.commit_of(location.last or "HEAD")
    tracked = _tracked(git, path, last)
    if location.last is not None and not location.is_range:
        return [_revision(location, tracked, last)]
    found: list[Revision] = []
    before: Out | None = None
    for commit in git.log(last, [tracked.file]):
        out = tracked.out(commit.id)
        if out is not None and out != before:
            found.append(Revision(location, commit.id, commit.message, commit.author, commit.time))
        before = out
    if location.first is None:
        return found
    start = git.commit_of(location.first)
    behind = set(git.run("rev-list", "--first-parent", f"{start}..{last}").decode().split())
    later = [revision for revision in found if revision.id in behind]
    return later if any(revision.id == start for revision in later) else [_revision(location, tracked, start), *later]


def _revision(location: Location, tracked: _Tracked, revision: str) -> Revision:
    if tracked.out(revision) is None:
        raise SourceNotFound(f"{tracked.path} of {tracked.git.folder} is not tracked by DVC at {revision[:12]}")
    commit = tracked.git.commit(revision)
    return Revision(location, commit.id, commit.message, commit.author, commit.time)


def _repository(place: str) -> tuple[Git, str]:
    """Return the repository, and the path in it."""
    if "://" in place or not Path(place).is_absolute():
        head, mark, path = place.partition(".git/")
        url = head + ".git"
        if not mark:
            scheme, _, rest = place.rpartition("://")
            head, mark, path = rest.partition("//")
            url = f"{scheme}://{head}" if scheme else head
        if not mark or not path:
            raise SourceError(f"dvc://{place}: write the repository, then //, then the path in it: dvc://{place}//data")
        return copy_of(url), path.strip("/")
    git = local(Path(place))
    if git is None:
        raise SourceNotFound(f"{place} lies in no Git repository, and DVC's history is Git's")
    path = Path(place).relative_to(git.folder).as_posix()
    if path == ".":
        raise SourceError(f"dvc://{place} names a repository: add the path of the data that DVC tracks in it")
    return git, path


def _tracked(git: Git, path: str, revision: str) -> _Tracked:
    around = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    files = git.files(revision)
    known = set(files)
    likely = [f"{name}.dvc" for name in around if f"{name}.dvc" in known]
    others = [name for name in files if name.endswith(".dvc") or posixpath.basename(name) == "dvc.lock"]
    for file in dict.fromkeys((*likely, *others)):
        tracked = _Tracked(git, path, file)
        if tracked.out(revision) is not None:
            return tracked
    raise SourceNotFound(
        f"{path} of {git.folder} is not tracked by DVC at {revision[:12]}: no .dvc or dvc.lock file names it"
    )


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def open_state(revision: Revision, options: FileOptions) -> Source:
    """Return the files of a state as a source, after fetching them into a folder that goes with it."""
    from dataplat.connectors.files._open import open_path

    git, path = _repository(revision.location.place)
    tracked = _tracked(git, path, revision.id)
    out = tracked.out(revision.id)
    assert out is not None
    folder = Path(tempfile.mkdtemp(prefix="dataplat-dvc-"))
    try:
        source = _Fetched(open_path(str(_fetch(_objects(tracked, revision.id), out, path, folder)), options))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(source, shutil.rmtree, folder, ignore_errors=True)
    return source


def _objects(tracked: _Tracked, revision: str) -> DvcObjects:
    git = tracked.git
    root = posixpath.dirname(tracked.file)
    while git.read("HEAD", posixpath.join(root, ".dvc/config")) is None and root:
        root = posixpath.dirname(root)
    name = posixpath.join(root, ".dvc/config")
    home = git.folder / root / ".dvc"
    here = not git.is_copy and home.is_dir()
    own = home / "config.local"
    local_text = own.read_text("utf-8") if here and own.is_file() else None
    config = Config.read(git.read(revision, name), git.read("HEAD", name), local_text)
    return DvcObjects(config, home if here else None, str(git.folder))


def _fetch(objects: DvcObjects, out: Out, path: str, folder: Path) -> Path:
    """Fetch a file, or all of a folder; return where it lies, under its own name."""
    target = folder / posixpath.basename(path)
    if not out.is_folder:
        objects.fetch(out, out.md5, target)
        return target
    listing = folder / ".listing"
    objects.fetch(out, out.md5, listing)
    entries = json.loads(listing.read_bytes())
    listing.unlink()
    inside = path[len(out.path) :].strip("/")
    taken = [entry for entry in entries if not inside or _within(entry["relpath"], inside)]
    if not taken:
        raise SourceNotFound(f"{out.path} holds no {inside} at that revision")
    for entry in taken:
        relative = posixpath.normpath(entry["relpath"])
        if relative.startswith(("../", "/")) or relative == "..":
            raise SourceError(f"{out.path}: the path {entry['relpath']!r} leads out of the folder")
        place = target / posixpath.relpath(relative, inside or ".") if relative != inside else target
        place.parent.mkdir(parents=True, exist_ok=True)
        objects.fetch(Out(out.path, entry["md5"], out.legacy, out.remote), entry["md5"], place)
    return target


class _Fetched:
    """Files in a temporary folder, which lives as long as this; of a tree the time of change is not known."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """What people call it."""
        return self._source.name

    @property
    def is_text(self) -> bool:
        """Whether the files are text."""
        return self._source.is_text

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return what would be read."""
        return self._source.plan(positions)

    def schema(self) -> pa.Schema:
        """Return the schema of the files."""
        return self._source.schema()

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield the rows."""
        from dataplat.connectors.files.tree import TreeSource

        for item in self._source.read(split, on_progress):
            yield _without_time(item) if isinstance(self._source, TreeSource) else item

    def position(self, split: Split) -> Position | None:
        """Return None: the state has the position."""
        return None


def _without_time(item: Any) -> Any:
    import pyarrow as pa

    if not isinstance(item, pa.RecordBatch):
        return item
    at = item.schema.get_field_index("modified")
    return item.set_column(at, item.schema.field(at), pa.nulls(item.num_rows, item.schema.field(at).type))
