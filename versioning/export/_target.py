"""Where an export goes: which folders are refused, and how one appears whole."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dataplat.errors import AlreadyExists, ConfigError, StoreError
from dataplat.lake.stores import SupportsFiles, SupportsUrl, explained

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Where an export lies (a folder, or a URL), and how much of it there is: the files of the version.

    `notes` is what to know about it.
    """

    directory: Path | str
    files: int
    rows: int
    nbytes: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """What is exported: the dataset's name, and the commit at which it has the version."""

    dataset: str
    commit: str


@contextmanager
def held(objects: Objects, version: str) -> Iterator[None]:
    """Keep a version from being collected meanwhile; of a lake that cannot be written to it is only read."""
    from dataplat.versioning.gc.lease import lease_versions
    from dataplat.versioning.refs import Refs

    with ExitStack() as stack:
        with suppress(StoreError):
            stack.enter_context(lease_versions(objects, Refs(objects.store), [version]))
        yield


def absolute(directory: str | Path) -> Path:
    """Return the absolute path of a folder: `.` has no name of its own, and links are left as they are."""
    return Path(os.path.abspath(directory))  # noqa: PTH100


def refuse_lake(objects: Objects, target: Path, *, above: bool = True) -> None:
    """Raise `ConfigError` where `target` is the lake's own folder, in it, or (unless `above` is False) around it.

    What cleans up after a table (vacuum, `dvc gc`) deletes files that the table does not name: the lake would be those.
    """
    if not (isinstance(objects.store, SupportsFiles) and isinstance(objects.store, SupportsUrl)):
        return
    lake, here = Path(objects.store.url("lake.json")).resolve().parent, target.resolve()
    if here.is_relative_to(lake) or (above and lake.is_relative_to(here)):
        raise ConfigError(f"{target} is the lake's own folder, or inside or around it ({lake}): export elsewhere")


def is_empty(target: Path) -> bool:
    """Whether nothing lies at `target`, or an empty folder."""
    return not target.exists() or (target.is_dir() and not any(target.iterdir()))


def refuse_full(target: Path) -> None:
    """Raise `AlreadyExists` where something lies at `target`."""
    if not is_empty(target):
        raise AlreadyExists(f"{target} is there already and not empty: export into a new folder, or empty this one")


def appear_whole(target: Path, write: Callable[[Path], Made]) -> Made:
    """Call `write` with a new folder that becomes `target` once it returns, and goes where it does not."""
    host = "".join(letter if letter.isalnum() else "_" for letter in socket.gethostname())
    stem = f".{target.name}.partial-{host}-"
    partial = target.with_name(f"{stem}{os.getpid()}")
    try:
        _remove_dead(target.parent, stem)
        partial.mkdir(parents=True)
        made = write(partial)
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except StoreError:
        raise
    except OSError as error:
        raise explained(error, f"export to {target}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return made


def _remove_dead(folder: Path, stem: str) -> None:
    """Remove what exports to the same target left that were killed on this machine."""
    for left in folder.iterdir() if os.name == "posix" and folder.is_dir() else ():
        pid = left.name.removeprefix(stem)
        if left.name.startswith(stem) and pid.isdecimal() and not _runs(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def size_below(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    total, todo = 0, [str(folder)]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                else:
                    total += entry.stat().st_size
    return total
