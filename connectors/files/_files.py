"""Files as a source: fingerprints as positions, one schema for all, formats behind it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dataplat.connectors.files._background import BackgroundFingerprint
from dataplat.connectors.files._entry import Entry, opened
from dataplat.connectors.files._far import FarFile, FarReader, seen_before
from dataplat.connectors.files._formats import (
    TEXT_FORMATS,
    entries_of,
    file_reader,
    format_of_name,
    join_of,
    sniffer,
    text_reader,
)
from dataplat.connectors.files._options import FileOptions, Typing
from dataplat.connectors.files._stream import position_of
from dataplat.connectors.files._widen import combine
from dataplat.connectors.source import Item, Position, Progress, Rejects, SchemaWidened, Split
from dataplat.errors import SchemaMismatch, SourceError, SourceNotFound

if TYPE_CHECKING:
    import pyarrow as pa


SNIFFED_FILES = 32
"""Of so many text files the beginning is looked at up front; what others say differently is met when they are read."""


QUICK_WIDENINGS = 2
"""So often types widen at the first surprise; after that a file is looked at to its end before all begins again."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path | FarFile
    label: str
    entries: tuple[Entry, ...]


class FileSource:
    """Files of one format as one source; each file keeps a position of its own under `file:<absolute path>`.

    `left_out` names what lies beside them and is not read, with the reason, for the plan to say. `shown` replaces the
    path in messages, `found_by` is the folder or pattern that they were found by, absolute, which each position says; and
    `keeps_position=False` leaves files without an id (a spooled standard input). Raises `SourceNotFound` and `SourceError` where a file is missing or of no known format.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[Path] | Sequence[FarFile],
        options: FileOptions,
        *,
        left_out: Sequence[tuple[Path | str, str]] = (),
        shown: str | None = None,
        keeps_position: bool = True,
        found_by: str = "",
    ) -> None:
        self._name = name
        self._options = options
        self._paths: list[Path | FarFile] = list(paths)
        self._left_out = left_out
        self._shown = shown
        self._keeps_position = keeps_position
        self._found_by = {"found_by": found_by} if found_by else {}
        self._active = self._paths
        self._widenings = 0
        self._by_label = {shown or str(path): path for path in self._paths}
        self._known: dict[Path | FarFile, _File] = {}
        self._schema: pa.Schema | None = None
        self._positions: dict[str, Position] = {}

    @property
    def name(self) -> str:
        """What people call it."""
        return self._name

    @property
    def is_text(self) -> bool:
        """Whether the files are text, whose types are guessed; others carry types of their own."""
        first = self._paths[0]
        named = self._options.format or format_of_name(first.name)
        if isinstance(first, FarFile) and named:  # what is held already is not to be asked for a byte
            return named in TEXT_FORMATS
        return self._file(first).entries[0].format in TEXT_FORMATS

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return one split per file; a file whose fingerprint is held already is skipped.

        Size and modification time decide without reading the file; where only the time differs, a hash of it does.
        """
        splits = [self._split(path, positions) for path in self._paths]
        self._active = [path for path, split in zip(self._paths, splits, strict=True) if split.skipped is None]
        self._schema = None
        return [*splits, *(Split("", str(path), skipped=reason) for path, reason in self._left_out)]

    def _split(self, path: Path | FarFile, positions: Mapping[str, Position | None]) -> Split:
        if isinstance(path, FarFile):
            return self._far_split(path, positions.get(path.url))
        source = f"file:{path.as_posix()}" if self._keeps_position else ""
        label = self._shown or str(path)
        held = positions.get(source) if source else None
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise SourceNotFound(f"{path} does not exist") from None
        if held is not None and held.get("size") == stat.st_size:
            if held.get("mtime_ns") == stat.st_mtime_ns:
                reason = "already ingested (same size and modification time)"
                return Split(source, label, held, stat.st_size, reason, held)
            now = self._told(position_of(path))
            if now["xxh3_128"] == held.get("xxh3_128"):
                return Split(source, label, held, stat.st_size, "already ingested (same content)", now)
        return Split(source, label, held, stat.st_size)

    def _far_split(self, file: FarFile, held: Position | None) -> Split:
        now = self._told(file.position())
        reason = None if held is None else seen_before(held, now)
        return Split(file.url, file.url, held, file.size, reason, now if reason else None)

    def schema(self) -> pa.Schema:
        """Return the schema of the files to be read, sniffed on the beginning of each (of the first 32 text files).

        Raises `SchemaMismatch` where files have different columns, or the columns that were asked for are missing.
        """
        if self._schema is None:
            self._schema = self._sniffed()
        return self._schema

    def _sniffed(self) -> pa.Schema:
        schema: pa.Schema | None = None
        first = ""
        text = bool(self._active) and self._file(self._active[0]).entries[0].format in TEXT_FORMATS
        for path in self._active[:SNIFFED_FILES] if text else self._active:
            for entry in self._file(path).entries:
                found = sniffer(entry.format).sniff(entry, self._options)
                if schema is None:
                    schema, first = found, entry.label
                    continue
                may_add = entry.format == "ndjson"
                schema = combine(schema, found, join_of(entry.format), where=entry.label, other=first, may_add=may_add)
        if schema is None:
            raise SourceError(f"{self._name}: every file is ingested already, so there is no schema to look at")
        return self._with_wanted(schema, first)

    def _with_wanted(self, found: pa.Schema, label: str) -> pa.Schema:
        wanted = self._options.schema
        if wanted is None:
            return found
        import pyarrow as pa

        missing = [name for name in wanted.names if name not in set(found.names)]
        if missing and not self._sparse():
            raise SchemaMismatch(f"{label} lacks the columns {missing} of the schema; it has {found.names}")
        extra = [field for field in found if field.name not in set(wanted.names)]
        if extra and self._options.extra == "error":
            names = [field.name for field in extra]
            raise SchemaMismatch(
                f"{label} has the columns {names}, which the schema does not name: add them to it, or keep extra columns"
            )
        return pa.schema([*wanted, *extra])

    def _sparse(self) -> bool:
        return any(entry.format == "ndjson" for entry in self._file(self._active[0]).entries)

    def _file(self, path: Path | FarFile) -> _File:
        if path not in self._known:
            entries = tuple(entries_of(path, self._options.format, self._shown))
            known = next(iter(self._known.values()), None)
            if known is not None and known.entries[0].format != entries[0].format:
                raise SourceError(
                    f"{path} is {entries[0].format}, but {known.path} is {known.entries[0].format}: "
                    "files of one input need one format"
                )
            self._known[path] = _File(path, self._shown or str(path), entries)
        return self._known[path]

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield one file's rows; raise `SourceError` where it is damaged or changes meanwhile."""
        path = self._by_label[split.label]
        schema = self.schema()
        fixed = frozenset(self._options.schema.names if self._options.schema is not None else ())
        typing = Typing(schema, fixed, settle=self._widenings >= QUICK_WIDENINGS)
        self._positions.pop(split.label, None)
        try:
            for item in self._items(self._file(path), typing, on_progress):
                if isinstance(item, Rejects) and self._options.on_error == "fail":
                    raise _first_reject(item)
                yield item
        except SchemaWidened as widened:
            raise SchemaWidened(self.widen(widened.schema, split.label), widened.reason) from None

    def widen(self, found: pa.Schema, label: str) -> pa.Schema:
        """Return the schema that `schema` returns from now on: one that also holds what was found in the file `label`."""
        fixed = frozenset(self._options.schema.names if self._options.schema is not None else ())
        self._widenings += 1
        self._schema = self._widened(self.schema(), found, label, fixed)
        return self._schema

    def _widened(self, schema: pa.Schema, found: pa.Schema, label: str, fixed: frozenset[str]) -> pa.Schema:
        entry = self._file(self._active[0]).entries[0]
        extra = [name for name in found.names if name not in set(schema.names)]
        if extra and fixed and self._options.extra == "error":
            raise SchemaMismatch(f"{label} has the columns {extra}, which the schema does not name")
        return combine(schema, found, join_of(entry.format), where=label, other=self._name, may_add=True)

    def _items(self, file: _File, typing: Typing, on_progress: Progress | None) -> Iterator[Item]:
        first = file.entries[0]
        with ExitStack() as stack:
            if first.format in TEXT_FORMATS and first.member is None:
                raw = opened(file.path)
                stack.callback(raw.close)
                stream = stack.enter_context(first.stream(raw))
                reader = text_reader(first.format)
                for item in reader.read(stream, first, typing, self._options):
                    yield item
                    if on_progress is not None:
                        on_progress(raw.done, raw.size)
                self._positions[file.label] = raw.position()
                return
            hashing = _fingerprint(file.path)
            stack.callback(hashing.close)
            for done, entry in enumerate(file.entries, 1):
                for item in self._entry_items(entry, typing):
                    yield item
                    if on_progress is not None and isinstance(file.path, FarFile):
                        on_progress(file.path.told, hashing.size)
                if on_progress is not None:
                    on_progress(hashing.size * done // len(file.entries), hashing.size)
            self._positions[file.label] = hashing.position()

    def _entry_items(self, entry: Entry, typing: Typing) -> Iterator[Item]:
        if entry.format in TEXT_FORMATS:
            with entry.stream() as stream:
                yield from text_reader(entry.format).read(stream, entry, typing, self._options)
        else:
            yield from file_reader(entry.format).read(entry, typing, self._options)

    def position(self, split: Split) -> Position | None:
        """Return the fingerprint of the file that was read."""
        if split.skipped is not None:
            return split.position
        if not split.source:
            return None
        if split.label not in self._positions:
            raise SourceError(f"{split.label} was not read to its end, so it has no position yet")
        return self._told(self._positions[split.label])

    def _told(self, fingerprint: Position) -> Position:
        return {**fingerprint, **self._found_by}


def _fingerprint(path: Path | FarFile) -> BackgroundFingerprint | FarReader:
    return path.opened() if isinstance(path, FarFile) else BackgroundFingerprint(path)


def _first_reject(rejects: Rejects) -> SourceError:
    row = rejects.batch.slice(0, 1).to_pylist()[0]
    place = f"line {row['line']:,}" if row["line"] is not None else f"row {row['row']:,}"
    column = f", column {row['column']!r}" if row["column"] else ""
    return SourceError(
        f"{row['source']}, {place}{column}: {row['error']}; nothing was taken from it "
        "(correct it, or let bad records go to the rejects)"
    )
