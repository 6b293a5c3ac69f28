"""From what a user names to a source."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Literal

from dataplat.connectors.files._options import FileOptions
from dataplat.connectors.source import Source
from dataplat.errors import ConfigError, SourceError, SourceNotFound

if TYPE_CHECKING:
    import pyarrow as pa

_GLOB = frozenset("*?[")


def open_source(
    source: Any,
    *,
    schema: pa.Schema | None = None,
    extra: Literal["keep", "error"] = "keep",
    null_words: Sequence[str] = (),
    on_error: Literal["reject", "fail"] = "reject",
    format: str | None = None,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    sheet: str | None = None,
    stdin: IO[bytes] | None = None,
) -> Source:
    """Return the source that `source` names; reads nothing but directories yet.

    A path, a glob, a directory, each also on `s3://`, `gs://` or `hdfs://`, a table (`delta://PATH`), `-` (standard input, or `stdin`, kept in a temporary file), or an Arrow table, record
    batch or reader, a pandas or Polars frame; or a source, which is returned. The other arguments are those of `FileOptions`. Raises
    `SourceNotFound` where there is nothing, `SourceError` where it cannot be told how to read it, `ConfigError` where
    no `format` has that name.
    """
    from dataplat.lake.arrow_alone import keep_pandas_out

    keep_pandas_out()
    told, delimiter = _format_named(format, delimiter)
    options = FileOptions(
        schema=schema,
        extra=extra,
        null_words=tuple(null_words),
        on_error=on_error,
        format=told,
        delimiter=delimiter,
        columns=None if columns is None else tuple(columns),
        sheet=sheet,
    )
    if isinstance(source, str | os.PathLike):
        return open_path(os.fspath(source), options, stdin)
    if hasattr(source, "plan") and hasattr(source, "read"):
        return source  # type: ignore[no-any-return]
    from dataplat.connectors.files.frames import FrameSource

    return FrameSource(source, options)


def _format_named(name: str | None, delimiter: str | None) -> tuple[str | None, str | None]:
    """Return the format that people call `name` (or by the suffix of its files), and what is between its fields."""
    if name is None or name == "tree":
        return name, delimiter
    from dataplat.connectors.files._formats import EXTENSIONS, FORMATS

    told = EXTENSIONS.get(f".{name}", name)
    if told not in FORMATS:
        raise ConfigError(f"there is no format {name!r}; there are {', '.join(FORMATS)}, tsv, json and tree")
    return told, delimiter or ("\t" if name == "tsv" else None)


def open_path(name: str, options: FileOptions, stdin: IO[bytes] | None = None) -> Source:
    """Return the source of a path, glob, directory, `-` or the name of a table."""
    from dataplat.connectors.files._far_open import is_far, open_far
    from dataplat.connectors.files._files import FileSource
    from dataplat.connectors.tables import is_table, open_table

    if name == "-":
        return _spooled(stdin or sys.stdin.buffer, options)
    if is_far(name):
        return open_far(name, options)
    if is_table(name):
        return open_table(name, options)
    path = Path(name).expanduser()
    if path.is_dir():
        return _directory(name, path, options)
    if path.exists():
        return FileSource(name, [path.absolute()], options)
    if "://" in name:
        raise _unread(name)
    if not _GLOB & set(name):
        raise SourceNotFound(f"{name} does not exist (looked in {Path.cwd()})")
    found = sorted(Path(match).absolute() for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns)
    files = [match for match in found if match.is_file()]
    lost = next((match for match in found if not match.exists()), None)
    if lost is not None:
        raise SourceNotFound(f"{lost} matches {name}, but is a link that leads to nothing")
    if not files:
        raise SourceNotFound(f"no file matches {name} (looked in {Path.cwd()})")
    return FileSource(name, files, options, found_by=str(path.absolute()))


def _unread(url: str) -> SourceNotFound:
    """Return that nothing reads such a URL, and what to do instead; credentials in it are not repeated."""
    from dataplat.lake.stores._open import shown

    scheme, _, rest = url.partition("://")
    s3 = scheme.lower() in {"s3a", "s3n"}  # Hadoop's names
    instead = f"say {shown(f's3://{rest}')}" if s3 else "bring the file here, or pipe it: … | dataplat ingest -"
    return SourceNotFound(f"{shown(url)}: such URLs are not read; {instead}")


def files_found_by(place: str) -> list[Path]:
    """Return the files that a folder or pattern names now, by what positions say of how their files were found."""
    from dataplat.connectors.files._folder import files_below

    if Path(place).is_dir():
        return list(files_below(Path(place), hidden=False).files)
    found = sorted(Path(match) for match in glob.glob(place, recursive=True))  # noqa: PTH207 (absolute patterns)
    return [path for path in found if path.is_file()]


def _directory(name: str, path: Path, options: FileOptions) -> Source:
    from dataplat.connectors.files._files import FileSource
    from dataplat.connectors.files._folder import files_below
    from dataplat.connectors.files._formats import format_of_name

    path = path.absolute()
    if options.format == "tree":
        return _tree(name, path)
    folder = files_below(path, hidden=False)
    if not folder.names:
        return _tree(name, path)
    other = next((file for file in folder.names if format_of_name(file) is None), None)
    if other is None or options.format is not None:
        return FileSource(name, folder.files, options, left_out=folder.left_out, found_by=str(path))
    data = [file for file in folder.names if format_of_name(file) is not None]
    if not data:
        return _tree(name, path)
    raise SourceError(
        f"{name} holds {len(data)} data files and others like {PurePosixPath(other).name}: name the data files by a "
        f"glob ({name}/**/*{PurePosixPath(data[0]).suffix}), or take all of them as they are with format 'tree'"
    )


def _tree(name: str, path: Path) -> Source:
    from dataplat.connectors.files._folder import list_files
    from dataplat.connectors.files.tree import TreeSource

    listing = list_files(path)
    if not listing.names:
        raise SourceNotFound(f"{name} holds no file")
    return TreeSource(name, path, listing)


def _spooled(stream: IO[bytes], options: FileOptions) -> Source:
    from dataplat.connectors.files._files import FileSource

    spool = tempfile.NamedTemporaryFile(prefix="dataplat-stdin-")  # noqa: SIM115 (lives as long as the source)
    shutil.copyfileobj(stream, spool, 1 << 20)
    spool.flush()
    source = FileSource("-", [Path(spool.name)], options, shown="<stdin>", keeps_position=False)
    source.spool = spool  # type: ignore[attr-defined]
    return source
