"""What lies in a folder, with nothing passed over in silence.

A folder may hold a million files, so names are text below the root, and each file is asked for its state once.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn

from dataplat.config import LAKE_MARK
from dataplat.errors import SourceError

HIDDEN = "a hidden file or marker among data files (its name begins with . or _)"
LAKE = "a lake's own folder"

LeftOut = list[tuple[Path, str]]


@dataclass(frozen=True, slots=True)
class Folder:
    """The names of the files below `root` in order of their paths, and what was left out: (path, reason)."""

    root: Path
    names: tuple[str, ...]
    left_out: tuple[tuple[Path, str], ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files as paths."""
        return tuple(Path(self.root, name) for name in self.names)


@dataclass(frozen=True, slots=True)
class Listing:
    """The files below `root` in order of their paths: names with `/`, sizes (bytes), times of change (ns); what was left out."""

    root: str
    names: list[str]
    sizes: Sequence[int]
    times: Sequence[int]
    left_out: tuple[tuple[Path, str], ...]

    def position(self) -> dict[str, Any]:
        """Return counts and a digest, which change with any name, size or time."""
        quoted = map(
            json.encoder.encode_basestring_ascii, self.names
        )  # the lines as JSON, without a list for each of them
        lines = [f"[{name},{size},{time}]" for name, size, time in zip(quoted, self.sizes, self.times, strict=True)]
        digest = hashlib.sha256(f"[{','.join(lines)}]".encode()).hexdigest()
        return {"files": len(lines), "bytes": sum(self.sizes), "listing": digest}


def files_below(root: Path, *, hidden: bool) -> Folder:
    """Return the regular files below `root`; without `hidden`, names that begin with `.` or `_` are left out.

    A link to a file counts as the file it leads to. A lake's own folder is left out. Raises `SourceError` naming a link
    to a folder or to nothing, a pipe, socket or device, and a folder that cannot be listed: none is passed over.
    """
    left_out: LeftOut = []
    names = sorted(_walk(str(root), left_out, hidden=hidden), key=path_order)
    return Folder(root, tuple(names), tuple(sorted(left_out)))


def list_files(root: Path) -> Listing:
    """Return the files below `root` with sizes and times, hidden ones too; opens none of them.

    Raises:
        SourceError: As `files_below`; also a name that is not UTF-8, or a file that went away meanwhile.
    """
    left_out: LeftOut = []
    names, sizes, times = list[str](), array("q"), array("q")
    mixed = False
    todo = [("", str(root))]
    while todo:
        below, place = todo.pop()
        before = len(names)
        try:
            folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
            try:
                folders = _list_folder(folder, below, place, names, sizes, times)
            finally:
                os.close(folder)
        except OSError as error:
            raise SourceError(f"{place} cannot be listed: {error.strerror}") from error
        mixed |= bool(folders) and len(names) > before
        inside = [(f"{below}{entry.name}/", f"{place}/{entry.name}") for entry in folders]
        entered = zip(inside, folders, strict=True)
        todo += [there for there, entry in entered if _is_to_be_entered(there[1], entry, left_out)]
    _refuse_other_encodings(names, root)
    files = Listing(str(root), names, sizes, times, tuple(sorted(left_out)))
    return _in_order(files) if mixed else files


def _list_folder(
    folder: int, below: str, place: str, names: list[str], sizes: array[int], times: array[int]
) -> list[os.DirEntry[str]]:
    """Take down the files of an open folder by their names; return its folders, the last one first.

    Asked for by its name in an open folder, a file costs a fifth less than by its path: nothing else is walked through.
    """
    with os.scandir(folder) as entries:
        files, folders = list[os.DirEntry[str]](), list[os.DirEntry[str]]()
        for entry in entries:
            if entry.is_file():
                files.append(entry)
            elif entry.is_dir():
                folders.append(entry)
            else:
                _refuse_other_kinds(f"{place}/{entry.name}", entry)
    by_name = attrgetter("name")
    files.sort(key=by_name, reverse=True)
    while files:
        entry = files.pop()  # an entry remembers its state: of a million, only one at a time shall
        try:
            stat = entry.stat()
        except OSError as error:
            raise SourceError(f"{place}/{entry.name} cannot be looked at: {error.strerror}") from error
        names.append(below + entry.name)
        sizes.append(stat.st_size)
        times.append(stat.st_mtime_ns)
    return sorted(folders, key=by_name, reverse=True)


def _in_order(files: Listing) -> Listing:
    """Return the files in order of their paths, which they are not in where a folder holds files beside folders."""
    keys = [path_order(name) for name in files.names]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    names = [files.names[number] for number in order]
    sizes, times = (array("q", [column[number] for number in order]) for column in (files.sizes, files.times))
    return Listing(files.root, names, sizes, times, files.left_out)


def path_order(name: str) -> str:
    """Return what sorts as the parts of a path do: `a/b` comes before `a.b`."""
    return name.replace("/", "\0")


def _refuse_other_encodings(names: list[str], root: Path) -> None:
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        name = next(name for name in names if not _is_unicode(name))
        raise SourceError(f"the name of {name!r} below {root} is not UTF-8: rename it") from None


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walk(root: str, left_out: LeftOut, *, hidden: bool) -> Iterator[str]:
    """Yield the name below `root` of each file, in no order."""
    todo = [("", root)]
    while todo:
        below, place = todo.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if not hidden and entry.name.startswith((".", "_")):
                        left_out.append((Path(entry.path), HIDDEN))
                    elif entry.is_file():
                        yield below + entry.name
                    elif not entry.is_dir():
                        _refuse_other_kinds(entry.path, entry)
                    elif _is_to_be_entered(entry.path, entry, left_out):
                        todo.append((f"{below}{entry.name}/", entry.path))
        except OSError as error:
            raise SourceError(f"{error.filename} cannot be listed: {error.strerror}") from error


def _is_to_be_entered(path: str, folder: os.DirEntry[str], left_out: LeftOut) -> bool:
    if os.path.isfile(os.path.join(path, LAKE_MARK)):  # noqa: PTH113, PTH118 (a Path costs more than the look)
        left_out.append((Path(path), LAKE))
        return False
    if folder.is_symlink():
        raise SourceError(
            f"{path} is a link to a folder, which is not followed: copy what it leads to, "
            "or remove it, or name the files by a glob"
        )
    return True


def _refuse_other_kinds(path: str, entry: os.DirEntry[str]) -> NoReturn:
    kind = "a link that leads to nothing" if entry.is_symlink() else "a pipe, socket or device, no file"
    raise SourceError(f"{path} is {kind}: remove it, or name the files by a glob")
