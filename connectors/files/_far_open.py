"""From the URL of a file, pattern or folder far away to a source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from dataplat.config import LAKE_MARK
from dataplat.connectors.files._far import FarFile, Kept
from dataplat.connectors.files._folder import HIDDEN, LAKE, path_order
from dataplat.connectors.source import Source
from dataplat.errors import ObjectNotFound, SourceError, SourceNotFound, StoreError

if TYPE_CHECKING:
    from dataplat.connectors.files._options import FileOptions
    from dataplat.lake.stores._far_files import FarFiles, FarState

SCHEMES = frozenset({"s3", "gs", "gcs", "hdfs"})
_GLOB = re.compile(r"[*?\[]")
_TOKEN = re.compile(r"\*+|\?|\[!?\]?[^\]/]*\]|[^*?\[]+|\[")


def is_far(name: str) -> bool:
    """Whether `name` is the URL of something that is read over a network as files are."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.lower() in SCHEMES


def open_far(name: str, options: FileOptions) -> Source:
    """Return the source of a file, pattern or folder at an `s3://`, `gs://` or `hdfs://` URL.

    Names are taken as they stand: nothing in them is unquoted, and `..` is a name like others. Raises `SourceNotFound`
    where there is nothing, `SourceError` where a server refuses, `ConfigError` where URL or settings are wrong.
    """
    from dataplat.connectors.files._files import FileSource
    from dataplat.lake.stores._far_files import far_files

    files, key = far_files(name)
    if options.format == "tree":
        raise SourceError(f"{name}: a tree is read from a folder of this machine only: copy it here first")
    try:
        found, left_out, by = _found(files, key, name)
    except StoreError as error:
        kind = SourceNotFound if "no such bucket" in str(error) else SourceError
        raise kind(f"{name} cannot be looked at: {error}") from error
    if not found:
        raise SourceNotFound(f"there is nothing at {name}: no file of that name, and none below or matching it")
    if by == f"{files.url}/{key}" and not _GLOB.search(key):
        _require_data(name, found, options)
    kept = Kept()
    far = [
        FarFile(f"{files.url}/{state.key}", files, state, kept)
        for state in sorted(found, key=lambda state: path_order(state.key))
    ]
    return FileSource(name, far, options, left_out=[(f"{files.url}/{at}", why) for at, why in left_out], found_by=by)


def _found(files: FarFiles, key: str, name: str) -> tuple[list[FarState], list[tuple[str, str]], str]:
    """Return the files, what is left out of a folder and why, and what they were found by ("" for one by its name)."""
    glob = _GLOB.search(key)
    if glob:
        matches = re.compile(_pattern(key)).fullmatch
        listed = files.below(key[: glob.start()])
        found = [state for state in listed if (state.key == key or matches(state.key)) and not _is_folder(state)]
        return found, [], f"{files.url}/{key}"
    if key and (file := _state(files, key)) is not None and not (key.endswith("/") and file.size == 0):
        return [file], [], ""
    folder = f"{key.rstrip('/')}/" if key.strip("/") else ""
    kept, left_out = _visible([state for state in files.below(folder) if not _is_folder(state)], folder)
    if left_out and not kept:
        raise SourceError(f"{name} holds no data file: {files.url}/{left_out[0][0]} is {left_out[0][1]}")
    return kept, left_out, f"{files.url}/{key}"


def _state(files: FarFiles, key: str) -> FarState | None:
    try:
        return files.state(key)
    except ObjectNotFound:
        return None


def _is_folder(state: FarState) -> bool:
    """Whether it is what consoles make where somebody makes a folder."""
    return state.key.endswith("/") and state.size == 0


def _visible(states: Iterable[FarState], folder: str) -> tuple[list[FarState], list[tuple[str, str]]]:
    """Return the files that are no markers and of no lake, and what is left out, with the reason."""
    states = list(states)
    marks = {state.key for state in states if state.key.rpartition("/")[2] == LAKE_MARK}
    lakes = tuple(mark.removesuffix(LAKE_MARK) for mark in marks if mark != folder + LAKE_MARK)
    kept: list[FarState] = []
    left_out: dict[str, str] = {}
    for state in states:
        lake = next((at for at in lakes if state.key.startswith(at)), None)
        if lake is not None:
            left_out[lake] = LAKE
        elif any(part.startswith((".", "_")) for part in state.key[len(folder) :].split("/")):
            left_out[state.key] = HIDDEN
        else:
            kept.append(state)
    return kept, sorted(left_out.items())


def _require_data(name: str, found: list[FarState], options: FileOptions) -> None:
    from dataplat.connectors.files._formats import format_of_name

    if options.format is not None:
        return
    other = next((state.key for state in found if format_of_name(state.key) is None), None)
    data = [state.key for state in found if format_of_name(state.key) is not None]
    if other is None:
        return
    advice = f"{name.rstrip('/')}/**/*{PurePosixPath(data[0]).suffix}" if data else "a glob, and the --format"
    raise SourceError(
        f"{name} holds {len(data)} data files and others like {PurePosixPath(other).name}: name the data files by {advice}"
    )


def _pattern(glob: str) -> str:
    """Return the regular expression of a pattern: `**` is any number of folders, and a leading dot wants to be named."""
    parts = glob.split("/")
    out = ""
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "**":
            out += r"(?:[^./][^/]*/)*" + (r"[^./][^/]*" if last else "")
            continue
        dot = r"(?!\.)" if part[:1] in {"*", "?", "["} else ""
        out += dot + _TOKEN.sub(_translated, part) + ("" if last else "/")
    return out


def _translated(token: re.Match[str]) -> str:
    text = token[0]
    if text[0] == "*":
        return "[^/]*"
    if text[0] == "?":
        return "[^/]"
    if text[0] == "[" and len(text) > 1:
        inside = text[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"(?!/)[{'^' + inside[1:] if inside[0] == '!' else inside}]"
    return re.escape(text)
