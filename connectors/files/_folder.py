"""What lies in a folder, with nothing passed over in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dataplat.config import LAKE_MARK
from dataplat.errors import SourceError

HIDDEN = "a hidden file or marker among data files (its name begins with . or _)"
LAKE = "a lake's own folder"


@dataclass(frozen=True, slots=True)
class Folder:
    """The files below a folder in order of their paths, and what was left out: (path, reason)."""

    files: tuple[Path, ...]
    left_out: tuple[tuple[Path, str], ...]


def files_below(root: Path, *, hidden: bool) -> Folder:
    """Return the regular files below `root`; without `hidden`, names that begin with `.` or `_` are left out.

    A link to a file counts as the file it leads to. A lake's own folder is left out. Raises `SourceError` naming a link
    to a folder or to nothing, a pipe, socket or device, and a folder that cannot be listed: none is passed over.
    """
    files: list[Path] = []
    left_out: list[tuple[Path, str]] = []
    for folder, folders, names in os.walk(root, onerror=_refuse):
        aside = set() if hidden else {name for name in (*folders, *names) if name.startswith((".", "_"))}
        left_out += [(Path(folder, name), HIDDEN) for name in aside]
        lakes = {name for name in folders if name not in aside and Path(folder, name, LAKE_MARK).is_file()}
        left_out += [(Path(folder, name), LAKE) for name in lakes]
        folders[:] = [name for name in folders if name not in aside | lakes]
        for name in folders:
            if Path(folder, name).is_symlink():
                raise SourceError(
                    f"{Path(folder, name)} is a link to a folder, which is not followed: copy what it leads to, "
                    "or remove it, or name the files by a glob"
                )
        files += _regular(folder, [name for name in names if name not in aside])
    return Folder(tuple(sorted(files)), tuple(sorted(left_out)))


def _regular(folder: str, names: list[str]) -> Iterator[Path]:
    for name in names:
        path = Path(folder, name)
        if not path.is_file():
            kind = "a link that leads to nothing" if path.is_symlink() else "a pipe, socket or device, no file"
            raise SourceError(f"{path} is {kind}: remove it, or name the files by a glob")
        yield path


def _refuse(error: OSError) -> NoReturn:
    raise SourceError(f"{error.filename} cannot be listed: {error.strerror}") from error
