"""What is read of a Git repository: its history and files of any revision, by the program `git`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dataplat.errors import SourceError, SourceNotFound
from dataplat.lake._cache_dir import cache_dir

_FIELDS = "%H%x00%an <%ae>%x00%aI%x00%B%x00%x00"


@dataclass(frozen=True, slots=True)
class Commit:
    """A Git commit: `time` is the author's, ISO 8601."""

    id: str
    author: str
    time: str
    message: str


@dataclass(frozen=True, slots=True)
class Git:
    """A repository on this machine; `is_copy` where it is dataplat's own bare copy of one elsewhere."""

    folder: Path
    is_copy: bool = False

    def run(self, *arguments: str) -> bytes:
        """Return what `git` prints; raise `SourceError` with what it says where it fails."""
        return _git("-C", str(self.folder), *arguments)

    def commit_of(self, revision: str) -> str:
        """Return the id of the commit that `revision` names."""
        try:
            return (
                self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
                .decode()
                .strip()
            )
        except SourceError:
            raise SourceNotFound(f"{self.folder} has no revision {revision!r}") from None

    def read(self, revision: str, path: str) -> str | None:
        """Return a file as it was, None where there was none."""
        try:
            return self.run("show", f"{revision}:{path}").decode("utf-8")
        except SourceError:
            return None

    def files(self, revision: str) -> list[str]:
        """Return the paths of all files of a revision."""
        return [
            name.decode("utf-8", "surrogateescape")
            for name in self.run("ls-tree", "-r", "-z", "--name-only", revision).split(b"\0")
            if name
        ]

    def log(self, last: str, paths: list[str]) -> list[Commit]:
        """Return the commits on the line of `last` (merges as one) that changed any of `paths`, oldest first."""
        shown = self.run("log", "--first-parent", "--reverse", f"--format={_FIELDS}", last, "--", *paths)
        return [_commit(entry) for entry in shown.decode("utf-8", "replace").split("\0\0\n") if entry.strip("\n")]

    def commit(self, revision: str) -> Commit:
        """Return one commit."""
        shown = self.run("log", "-1", f"--format={_FIELDS}", revision)
        return _commit(shown.decode("utf-8", "replace").removesuffix("\0\0\n"))


def _commit(entry: str) -> Commit:
    id, author, time, message = entry.split("\0", 3)
    return Commit(id.strip(), author, time, message.strip())


def local(path: Path) -> Git | None:
    """Return the repository that `path` lies in, or is (a bare one), None where there is none."""
    for folder in (path, *path.parents):
        if (folder / ".git").exists() or ((folder / "HEAD").is_file() and (folder / "objects").is_dir()):
            return Git(folder)
    return None


def copy_of(url: str) -> Git:
    """Return a bare copy of the repository at `url`, kept in the user's cache and brought up to date."""
    folder = cache_dir() / "git" / hashlib.sha256(url.encode()).hexdigest()[:32]
    if folder.exists():
        _git("-C", str(folder), "fetch", "--quiet", "--prune", "--tags", "origin", "+refs/heads/*:refs/heads/*")
        return Git(folder, is_copy=True)
    fresh = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    try:
        _git("clone", "--quiet", "--bare", "--", url, str(fresh))
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Git(folder, is_copy=True)


def _git(*arguments: str) -> bytes:
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False, env=env)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise SourceError(
            "what DVC tracks is read through Git, and there is no program `git` here: install it"
        ) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
        raise SourceError(f"git {arguments[2] if arguments[0] == '-C' else arguments[0]}: {said}")
    return done.stdout
