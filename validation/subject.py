"""What is judged: rows in blocks, each of which can be judged apart, and remembered.

A block of a version is a part with its deletes; of a Parquet file the file; of a table in memory the table. Blocks are
read in units (row groups), by several threads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import pyarrow as pa

from dataplat.errors import SourceError
from dataplat.lake.part import ColumnStats, Part
from dataplat.lake.scan import PART_COLUMN, ROW_COLUMN

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pyarrow.parquet as pq

    from dataplat.lake._part_dictionary import Dictionaries
    from dataplat.lake.memos import Memos
    from dataplat.lake.objects import Objects
    from dataplat.versioning.manifest import Manifest

PART: Final = PART_COLUMN
ROW: Final = ROW_COLUMN

_LOOK_BACK: Final = 32
"""Versions before one that are looked at for what is known of the same parts."""

Identity: TypeAlias = "tuple[str, str | None]"
"""Of rows that never change: part id and deletes id."""


class Unit(Protocol):
    """Rows that are read at once. `rows` is how many were written, `stats` what is known of them without reading."""

    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def stats(self) -> Mapping[str, ColumnStats]: ...  # noqa: D102
    def read(self) -> list[pa.RecordBatch]:
        """Return the rows that count: the columns asked for, and `ROW`, the position in the block."""
        ...

    def only(self, columns: Collection[str]) -> Unit:
        """Return the same rows, of these of the columns asked for alone."""
        ...

    def dictionary(self, column: str) -> pa.Array | None:
        """Return the texts that a column may hold beside null, or None where only its rows tell."""
        ...


class Block(Protocol):
    """Rows that are judged together. `rows` count, `written` are with those deleted, of which `stats` speak."""

    name: str | None
    rows: int
    written: int
    stats: Mapping[str, ColumnStats]
    identity: Identity | None

    def units(self, columns: Sequence[str], dictionaries: Collection[str] = ()) -> Iterator[Unit]:
        """Yield what has to be read for these columns; texts among `dictionaries` may come as dictionaries."""
        ...


class Subject(Protocol):
    """Rows with a schema: a version, a file, a table."""

    title: str
    schema: pa.Schema
    key: tuple[str, ...]
    rows: int
    version: str | None
    memos: Memos | None
    threads: int
    unique: tuple[tuple[str, ...], ...]
    """Column sets that are unique by the way the rows are kept."""

    @property
    def earlier(self) -> Sequence[str]:
        """Ids of versions before this one, the latest first."""
        ...

    @property
    def blocks(self) -> Sequence[Block]: ...  # noqa: D102
    def stored(self, column: str) -> str:
        """Return the name by which blocks hold a column."""
        ...

    def scan(self, columns: Sequence[str], *, positions: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield all rows that count, always in the same order; with `PART` (number of the block) and `ROW`."""
        ...

    def new_since(self, version: str) -> Collection[int] | None:
        """Return the numbers of the blocks with rows that an `earlier` version did not have; None if nobody knows."""
        ...


class PartBlock:
    """A part of a version, with its deletes."""

    def __init__(self, objects: Objects, part: Part, schema: pa.Schema) -> None:
        self.name: str | None = part.id
        self.rows = part.live
        self.written = part.rows
        self.stats = part.stats
        self.identity: Identity | None = (part.id, part.deletes)
        self.part = part
        self._objects = objects
        self._schema = schema

    def __reduce__(self) -> tuple[type[PartBlock], tuple[Objects, Part, pa.Schema]]:
        """Travel without statistics: who judges by them does so before."""
        return PartBlock, (self._objects, replace(self.part, stats={}), self._schema)

    def units(self, columns: Sequence[str], dictionaries: Collection[str] = ()) -> Iterator[Unit]:
        """Yield the row groups of the part; it is opened now."""
        from dataplat.lake.scan import row_groups

        return row_groups(self._objects, self.part, self._schema, columns, dictionaries=dictionaries)

    def as_written(self) -> PartBlock:
        """Return the part with the rows that were deleted since."""
        return PartBlock(self._objects, self.part.with_deletes(None, 0), self._schema) if self.part.deletes else self

    def live(self) -> npt.NDArray[np.bool_] | None:
        """Return which of its rows as written count; None: all."""
        from dataplat.lake.deletes import live_mask, load_deletes

        return live_mask(load_deletes(self._objects, self.part), 0, self.written) if self.part.deletes else None


class VersionSubject:
    """A version of a dataset."""

    def __init__(
        self,
        objects: Objects,
        manifest: Manifest,
        title: str,
        earlier: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        from dataplat.lake.memos import Memos

        self.title = title
        self.manifest = manifest
        self.schema: pa.Schema = manifest.schema
        self.key = manifest.key
        self.rows = manifest.rows
        self.version: str | None = manifest.id
        self.memos: Memos | None = Memos(objects.store)
        self.threads = max(2, min(8, objects.at_once))
        self.unique: tuple[tuple[str, ...], ...] = (manifest.key,) if manifest.key else ()
        self.objects = objects
        self._earlier = earlier
        self._ids: list[str] | None = None
        self._blocks: list[PartBlock] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Travel without the parts, which are read again where it arrives, and without what was before."""
        return self.__dict__ | {"_blocks": None, "_ids": [], "_earlier": tuple}

    @property
    def earlier(self) -> Sequence[str]:
        """Ids of versions before this one, the latest first."""
        if self._ids is None:
            self._ids = list(islice(self._earlier(), _LOOK_BACK))
        return self._ids

    @property
    def blocks(self) -> Sequence[PartBlock]:
        """The parts, in order."""
        if self._blocks is None:
            self._blocks = [PartBlock(self.objects, part, self.schema) for part in self.manifest.parts()]
        return self._blocks

    def stored(self, column: str) -> str:
        """Return the name by which parts hold a column."""
        from dataplat.lake.schema import stored_name

        return stored_name(self.schema.field(column))

    def scan(self, columns: Sequence[str], *, positions: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield all rows that count, in order."""
        from dataplat.lake.scan import scan

        parts = self.manifest.parts()
        return scan(self.objects, parts, self.schema, columns=list(columns), with_positions=positions)

    def new_since(self, version: str) -> Collection[int] | None:
        """Return the numbers of the parts that came since, or of which deletes were undone."""
        from dataplat.errors import ObjectNotFound, VersionNotFound
        from dataplat.lake.deletes import load_deletes
        from dataplat.versioning._difference import difference
        from dataplat.versioning.manifest import load_manifest

        try:
            before = load_manifest(self.objects, version)
            if before.schema_json != self.manifest.schema_json:
                return None
            changed = difference(before, self.manifest)
            objects = self.objects
            undone = [new for old, new in changed.changed if load_deletes(objects, old) - load_deletes(objects, new)]
        except (ObjectNotFound, VersionNotFound):  # collected
            return None
        places = {part.place for part in (*changed.added, *undone)}
        return [number for number, block in enumerate(self.blocks) if block.part.place in places]


class _TableUnit:
    def __init__(self, batch: pa.RecordBatch, start: int) -> None:
        self.rows = batch.num_rows
        self.stats: Mapping[str, ColumnStats] = {}
        self._batch = batch
        self._start = start

    def read(self) -> list[pa.RecordBatch]:
        return [_numbered(self._batch, self._start)]

    def only(self, columns: Collection[str]) -> _TableUnit:
        names = [name for name in self._batch.schema.names if name in columns]
        return _TableUnit(self._batch.select(names), self._start)

    def dictionary(self, column: str) -> None:
        """Return None: of a table all rows are there."""


def _numbered(batch: pa.RecordBatch, start: int) -> pa.RecordBatch:
    rows = pa.array(range(start, start + batch.num_rows), pa.int64()) if batch.num_rows < 1 else _range(start, batch)
    return pa.RecordBatch.from_arrays([*batch.columns, rows], names=[*batch.schema.names, ROW])


def _range(start: int, batch: pa.RecordBatch) -> pa.Array:
    import numpy as np

    return pa.array(np.arange(start, start + batch.num_rows, dtype=np.int64))


class TableSubject:
    """A table in memory: one block, without statistics; its units are batches of up to 131,072 rows."""

    def __init__(self, table: pa.Table, title: str = "the table", key: Sequence[str] = ()) -> None:
        self.title = title
        self.schema: pa.Schema = table.schema
        self.key = tuple(key)
        self.version: str | None = None
        self.memos: Memos | None = None
        self.threads = 2
        self.unique: tuple[tuple[str, ...], ...] = ()
        self.earlier: Sequence[str] = ()
        self.name: str | None = None
        self.rows = self.written = table.num_rows
        self.stats: Mapping[str, ColumnStats] = {}
        self.identity: Identity | None = None
        self._table = table

    @property
    def blocks(self) -> Sequence[Block]:
        """The table itself."""
        return [self] if self.rows else []

    def stored(self, column: str) -> str:
        """Return the column's name."""
        return column

    def new_since(self, version: str) -> None:
        """Return None: there are no versions."""

    def units(self, columns: Sequence[str], dictionaries: Collection[str] = ()) -> Iterator[Unit]:
        """Yield its batches."""
        del dictionaries
        start = 0
        for batch in self._table.select(list(columns)).to_batches(max_chunksize=1 << 17):
            yield _TableUnit(batch, start)
            start += batch.num_rows

    def scan(self, columns: Sequence[str], *, positions: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield its batches."""
        start = 0
        for batch in self._table.select(list(columns)).to_batches(max_chunksize=1 << 17):
            yield _with_block(_numbered(batch, start), 0) if positions else batch
            start += batch.num_rows


def _with_block(batch: pa.RecordBatch, number: int) -> pa.RecordBatch:
    block = pa.repeat(pa.scalar(number, pa.uint32()), batch.num_rows)
    names = [*batch.schema.names[:-1], PART, ROW]
    return pa.RecordBatch.from_arrays([*batch.columns[:-1], block, batch.columns[-1]], names=names)


_TRUSTED: Final = frozenset({"int", "decimal", "date", "time", "timestamp", "timestamp_tz", "duration"})
"""Families of which anybody's footer is believed: others leave NaN out of bounds, or cut texts short."""


class _FileUnit:
    def __init__(
        self, file: ParquetBlock, group: int, start: int, columns: Sequence[str], dictionaries: Collection[str]
    ) -> None:
        self._file, self._group, self._start = file, group, start
        self._columns, self._dictionaries = list(columns), tuple(sorted(dictionaries))
        self.rows: int = file.metadata.row_group(group).num_rows

    @property
    def stats(self) -> Mapping[str, ColumnStats]:
        return self._file.group_stats(self._group, self._columns)

    def read(self) -> list[pa.RecordBatch]:
        try:
            table = self._file.reader(self._dictionaries).read_row_group(
                self._group, columns=self._columns, use_threads=False
            )
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{self._file.path}: row group {self._group} cannot be read: {error}") from error
        table = table.select(self._columns).combine_chunks()
        found, start = [], self._start
        for batch in table.to_batches() if self._columns else _bare(self.rows):
            found.append(_numbered(batch, start))
            start += batch.num_rows
        return found

    def only(self, columns: Collection[str]) -> _FileUnit:
        names = [name for name in self._columns if name in columns]
        return _FileUnit(self._file, self._group, self._start, names, set(self._dictionaries) & set(names))

    def dictionary(self, column: str) -> pa.Array | None:
        return self._file.dictionary(self._group, column)


def _bare(rows: int) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_struct_array(pa.StructArray.from_buffers(pa.struct([]), rows, [None]))]


class ParquetBlock:
    """A Parquet file that somebody wrote: of its statistics those of integers, decimals and times are believed."""

    def __init__(self, path: Path, *, named: bool = True) -> None:
        import pyarrow.parquet as pq

        self.path = path
        self.name: str | None = path.name if named else None
        self.metadata: pq.FileMetaData = pq.read_metadata(path)
        self.schema: pa.Schema = self.metadata.schema.to_arrow_schema().remove_metadata()
        self.rows = self.written = self.metadata.num_rows
        self.stats: Mapping[str, ColumnStats] = {}
        self.identity: Identity | None = None
        self._readers: dict[Any, pq.ParquetFile] = {}

    def reader(self, dictionaries: tuple[str, ...]) -> pq.ParquetFile:
        """Return this thread's reader."""
        from threading import get_ident

        import pyarrow.parquet as pq

        key = get_ident(), dictionaries
        if key not in self._readers:
            self._readers[key] = pq.ParquetFile(
                self.path, metadata=self.metadata, read_dictionary=list(dictionaries), pre_buffer=False
            )
        return self._readers[key]

    def units(self, columns: Sequence[str], dictionaries: Collection[str] = ()) -> Iterator[Unit]:
        """Yield its row groups."""
        start = 0
        for group in range(self.metadata.num_row_groups):
            unit = _FileUnit(self, group, start, columns, dictionaries)
            yield unit
            start += unit.rows

    def dictionary(self, group: int, column: str) -> pa.Array | None:
        """Return the texts that a column may hold in a row group beside null, or None where only its rows tell."""
        from dataplat.lake._stats import first_leaves

        if not pa.types.is_string(self.schema.field(column).type):
            return None
        return self._dictionaries.of(group, first_leaves(self.schema)[column])

    @cached_property
    def _dictionaries(self) -> Dictionaries:
        from dataplat.lake._part_dictionary import Dictionaries

        return Dictionaries(pa.OSFile(str(self.path)), self.metadata, crc=False)

    def group_stats(self, group: int, columns: Sequence[str]) -> dict[str, ColumnStats]:
        """Return what the footer may be believed of one row group: of texts, how many are null."""
        from dataplat.lake._stats import bounds, first_leaves
        from dataplat.lake.canonical import family

        at, metadata, found = first_leaves(self.schema), self.metadata.row_group(group), {}
        for name in columns:
            kind = self.schema.field(name).type
            trusted = family(kind) in _TRUSTED
            stated = metadata.column(at[name]).statistics if trusted or family(kind) == "string" else None
            if stated is None or not stated.has_null_count:
                continue
            if not trusted:
                found[name] = ColumnStats(stated.null_count)
            elif stated.has_min_max:
                low, high = bounds(metadata.column(at[name]), kind)
                found[name] = ColumnStats(stated.null_count, 0, low, high)
        return found


class ParquetSubject:
    """Parquet files of one schema, in the order given; `named` is whether examples name the files."""

    def __init__(self, paths: Sequence[Path], title: str, key: Sequence[str] = (), *, named: bool = True) -> None:
        self.title = title
        self.blocks: Sequence[ParquetBlock] = [ParquetBlock(path, named=named) for path in paths]
        self.schema: pa.Schema = self.blocks[0].schema
        self.key = tuple(key)
        self.rows = sum(block.rows for block in self.blocks)
        self.version: str | None = None
        self.memos: Memos | None = None
        self.threads = 2
        self.unique: tuple[tuple[str, ...], ...] = ()
        self.earlier: Sequence[str] = ()

    def stored(self, column: str) -> str:
        """Return the column's name."""
        return column

    def new_since(self, version: str) -> None:
        """Return None: there are no versions."""

    def scan(self, columns: Sequence[str], *, positions: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield all rows, file by file."""
        for number, block in enumerate(self.blocks):
            for unit in block.units(columns):
                for batch in unit.read():
                    yield _with_block(batch, number) if positions else batch.select(list(columns))
