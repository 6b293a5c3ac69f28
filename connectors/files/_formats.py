"""Which module reads which format, and how a format is told."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol, cast

from dataplat.connectors.files import _types, _widen
from dataplat.connectors.files._entry import Entry, archived, opened
from dataplat.connectors.files._far import FarFile
from dataplat.connectors.files._options import FileOptions, Typing
from dataplat.connectors.files._sniff import is_delimited
from dataplat.connectors.files._stream import SUFFIXES, compression_of, decompressed
from dataplat.connectors.source import Item
from dataplat.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_FORMATS = {"csv", "ndjson"}
"""Read as a stream from beginning to end; their types are inferred and may widen."""

EXTENSIONS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".psv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".avro": "avro",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
_HEAD_BYTES = 1 << 14
FORMATS = sorted(set(EXTENSIONS.values()))
_MODULES = {"csv": "csv", "ndjson": "ndjson", "parquet": "parquet", "arrow": "arrow", "avro": "avro", "excel": "excel"}
_MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"FEA1": "arrow", b"\xff\xff\xff\xff": "arrow", b"Obj\x01": "avro"}


class Sniffer(Protocol):
    """What every format's module has."""

    def sniff(self, entry: Entry, options: FileOptions) -> pa.Schema:
        """Return the schema of the file's beginning."""
        ...


class SupportsRead(Protocol):
    """Bytes to be read."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""
        ...


class TextReader(Sniffer, Protocol):
    """A format that is read as a stream."""

    def read(self, stream: IO[bytes], entry: Entry, typing: Typing, options: FileOptions) -> Iterator[Item]:
        """Yield the rows."""
        ...


class FileReader(Sniffer, Protocol):
    """A format that is read out of order."""

    def read(self, entry: Entry, typing: Typing, options: FileOptions) -> Iterator[Item]:
        """Yield the rows."""
        ...


def _module(name: str) -> object:
    return import_module(f"dataplat.connectors.files.{_MODULES[name]}")


def sniffer(name: str) -> Sniffer:
    """Return the module that reads format `name`."""
    return cast("Sniffer", _module(name))


def text_reader(name: str) -> TextReader:
    """Return the module of a format that is read as a stream."""
    return cast("TextReader", _module(name))


def file_reader(name: str) -> FileReader:
    """Return the module of a format that is read out of order."""
    return cast("FileReader", _module(name))


def join_of(name: str) -> _widen.Join:
    """Return how the types of two files of format `name` widen."""
    return _types.join if name in TEXT_FORMATS else _widen.widest


def format_of_name(name: str) -> str | None:
    """Return the format that a file name (or path) tells, looking past the suffix of a compression."""
    name = name.rpartition("/")[
        2
    ].lower()  # by hand: a folder may hold 100,000 names, and a Path costs ten times as much
    while True:
        at = name.rfind(".")
        suffix = name[at:] if 0 < at < len(name) - 1 else ""
        if suffix not in SUFFIXES:
            return EXTENSIONS.get(suffix)
        name = name[:at]


def entries_of(path: Path | FarFile, wanted: str | None, shown: str | None = None) -> list[Entry]:
    """Return what can be read of the file at `path`: itself, or the members of a zip file.

    Where the name tells no format, the first bytes may: the marks of binary formats, a `{` or `[`, and a delimiter that
    cuts at least two lines into equally many fields. Raises `SourceError` where the format cannot be told, or a zip file
    holds several kinds.
    """
    with opened(path) as file:
        head = _head(file)
    named = wanted or format_of_name(path.name)
    compression = compression_of(head)
    if compression == "zip" and named != "excel":
        return _members(path, wanted, shown)
    if compression == "zip":
        compression = None
    told = named or _format_of_content(_inner_head(path, compression) if compression else head)
    if told is None:
        if not head:
            raise SourceError(f"{shown or path} is empty: it has neither a header nor a row")
        raise SourceError(
            f"{shown or path}: its format cannot be told from its name or its first bytes. Name it, "
            f"e.g. --format csv; there are {', '.join(FORMATS)}"
        )
    return [Entry(path, told, compression, shown=shown)]


def _head(stream: SupportsRead) -> bytes:
    head = b""
    while len(head) < _HEAD_BYTES and (more := stream.read(_HEAD_BYTES - len(head))):
        head += more
    return head


def _inner_head(path: Path | FarFile, compression: str) -> bytes:
    with opened(path) as file:
        try:
            return _head(decompressed(file, compression))
        except Exception as error:
            raise SourceError(f"{path} is truncated or damaged at its beginning ({compression}): {error}") from error


def _format_of_content(head: bytes) -> str | None:
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        return "ndjson"
    return "csv" if b"\0" not in head and is_delimited(head, whole=len(head) < _HEAD_BYTES) else None


def _members(path: Path | FarFile, wanted: str | None, shown: str | None) -> list[Entry]:
    label = shown or str(path)
    try:
        with archived(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except zipfile.BadZipFile as error:
        raise SourceError(f"{label} is truncated or damaged, or no zip file: {error}") from error
    names = [name for name in names if not _hidden(name)]
    if not names:
        raise SourceError(f"{label} holds no file")
    kinds = {name: wanted or format_of_name(name) or format_of_name(path.name) for name in names}
    found = set(kinds.values())
    if len(found) > 1 or None in found:
        told = ", ".join(f"{name} ({kind or 'unknown'})" for name, kind in sorted(kinds.items())[:6])
        raise SourceError(
            f"{label} holds files of several or unknown kinds: {told}; unpack it and choose, or name one --format for all of them"
        )
    return [Entry(path, cast("str", kinds[name]), "zip", name, shown) for name in names]


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
