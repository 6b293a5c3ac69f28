"""Where a table is, and which of its states are meant: `delta://PATH@3`, `iceberg://PATH`, `dvc://REPO/path@v1..v2`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["delta", "dvc", "iceberg"]

_SCHEME: Final = re.compile(r"(delta|dvc|iceberg)://(.+)", re.DOTALL)
_NUMBERS: Final = re.compile(r"(.+)@v?(\d+)(?:\.\.v?(\d+))?", re.DOTALL)
_GIT: Final = re.compile(r"(.+)@([^@\s]+?)(?:\.\.([^@\s]+))?", re.DOTALL)
_GIT_USER: Final = re.compile(r"(ssh://)?[\w.-]+@[\w.-]+[:/][^@]*")


@dataclass(frozen=True, slots=True)
class Location:
    """A table at `place`; `first` and `last` are the states named behind `@` (both None: none was).

    A single state is `last`; a range is both, `first` included.
    """

    kind: Kind
    place: str
    first: str | None = None
    last: str | None = None

    @property
    def is_range(self) -> bool:
        """Whether a range of states is meant."""
        return self.first is not None

    @property
    def source(self) -> str:
        """The id under which the position in the table is kept."""
        return f"{self.kind}:{self.place}"

    def at(self, state: str) -> str:
        """Return the text that names one state of the table."""
        return f"{self.kind}://{self.place}@{state}"


def is_table(source: Any) -> bool:
    """Whether `source` names a table of which every state is whole; looks at most for a file in a folder."""
    return isinstance(source, str | os.PathLike) and locate(os.fspath(source)) is not None


def locate(text: str | bytes) -> Location | None:
    """Return where the table is that `text` names; None where it names none.

    A folder is a Delta table where it holds `_delta_log`, and an Iceberg table where `metadata/version-hint.text`.
    """
    if not isinstance(text, str):
        return None
    found = _SCHEME.fullmatch(text)
    if found is None:
        return _folder(text)
    kind, rest = found[1], found[2]
    if kind == "dvc":
        scheme, mark, behind = rest.rpartition("://")
        host, slash, path = behind.partition("/") if mark else ("", "", behind)  # `user@host` names no revision
        named = None if _GIT_USER.fullmatch(rest) else _GIT.fullmatch(path)
        place, one, two = (path, None, None) if named is None else named.groups()
        place = f"{scheme}{mark}{host}{slash}{place}"
        return Location("dvc", _absolute(place), *((None, one) if two is None else (one, two)))
    named = _NUMBERS.fullmatch(rest)
    place, one, two = (rest, None, None) if named is None else named.groups()
    return Location(
        "delta" if kind == "delta" else "iceberg", _absolute(place), *((None, one) if two is None else (one, two))
    )


def _folder(text: str) -> Location | None:
    if "://" in text:
        return None
    path = Path(text).expanduser()
    if (path / "_delta_log").is_dir():
        return Location("delta", _absolute(text))
    if (path / "metadata" / "version-hint.text").is_file():
        return Location("iceberg", _absolute(text))
    return None


def _absolute(place: str) -> str:
    """Return a local path in its one spelling; a URL stays what it is."""
    if "://" in place or _GIT_USER.fullmatch(place):
        return place
    return Path(os.path.abspath(Path(place).expanduser())).as_posix()  # noqa: PTH100  (links stay)
