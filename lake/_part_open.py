"""Opens a part for reading: its size and footer are checked first, every page by its CRC as it is read.

Page CRCs do not cover the footer, and a footer with one bit turned can give wrong rows; so its hash is in the
manifest. Nor do they cover page headers, see `_part_levels`. What is read at once as a whole is hashed as a whole instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import get_ident

import pyarrow as pa
import pyarrow.parquet as pq

from dataplat.errors import ObjectNotFound
from dataplat.lake._damage import damaged, missing
from dataplat.lake._part_dictionary import Dictionaries
from dataplat.lake._part_footer import MAGIC
from dataplat.lake._part_levels import stored_values
from dataplat.lake._stats import first_leaves
from dataplat.lake.objects import Objects
from dataplat.lake.part import Part

SUFFIX = ".parquet"
TAIL = 64 << 10
"""Bytes read at once in the hope that the footer is no longer."""


@dataclass(frozen=True, slots=True)
class OpenPart:
    """A part whose footer has been checked. Row groups may be read by several threads at once."""

    part: Part
    file: pa.NativeFile
    metadata: pq.FileMetaData
    schema: pa.Schema
    checked: bool
    where: str
    _readers: dict[tuple[int, tuple[str, ...]], pq.ParquetFile] = field(default_factory=dict, repr=False)
    _dictionaries: list[Dictionaries] = field(default_factory=list, repr=False)

    @property
    def row_groups(self) -> int:
        """How many row groups there are."""
        return int(self.metadata.num_row_groups)

    def read(
        self,
        row_group: int,
        columns: Sequence[str],
        keep: pa.BooleanArray | None = None,
        dictionaries: Collection[str] = (),
    ) -> pa.Table:
        """Return these columns of one row group, of all its rows or those to `keep`.

        Texts among `dictionaries` come as dictionary arrays where they are stored so.

        Raises:
            IntegrityError: Its bytes are not what was written.
        """
        group = self.metadata.row_group(row_group)
        try:
            reader = self._reader(tuple(self._repeating(group, columns)))
            table = reader.read_row_group(row_group, columns=list(columns), use_threads=False).select(list(columns))
        except (OSError, pa.ArrowException, KeyError) as error:
            raise damaged(self.part, self.where, f"row group {row_group}: {error}") from error
        if columns and len(table) != group.num_rows:
            raise damaged(self.part, self.where, f"row group {row_group} gave {len(table)} of {group.num_rows} rows")
        if not self.checked:
            self._check_nested(table, group, row_group)
        fields = [self.schema.field(name) for name in columns]
        arrays = [
            _plain(column, column.type if field.name in dictionaries else field.type, keep)
            for column, field in zip(table.columns, fields, strict=True)
        ]
        return pa.Table.from_arrays(arrays, names=list(columns))

    def dictionary(self, row_group: int, column: str) -> pa.StringArray | None:
        """Return the texts that a column may hold in a row group beside null, or None where only its rows tell."""
        if not self._dictionaries:
            self._dictionaries.append(Dictionaries(self.file, self.metadata, crc=not self.checked))
        return self._dictionaries[0].of(row_group, first_leaves(self.schema)[column])

    def _reader(self, dictionaries: tuple[str, ...]) -> pq.ParquetFile:
        """Return this thread's reader: to make one takes a third of the time in which it reads a column of integers."""
        key = get_ident(), dictionaries
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = pq.ParquetFile(
                self.file,
                metadata=self.metadata,
                read_dictionary=dictionaries,
                pre_buffer=False,
                page_checksum_verification=not self.checked,
            )
        return reader

    def _repeating(self, group: pq.RowGroupMetaData, columns: Sequence[str]) -> list[str]:
        """Return the columns of text with a dictionary: laid out after they were filtered, they take half the time."""
        texts = [name for name in columns if _is_text(self.schema.field(name).type)]
        if not texts:
            return []
        at = first_leaves(self.schema)
        return [name for name in texts if group.column(at[name]).has_dictionary_page]

    def _check_nested(self, table: pa.Table, group: pq.RowGroupMetaData, row_group: int) -> None:
        for name, column in zip(table.schema.names, table.columns, strict=True):
            if pa.types.is_nested(column.type):
                for leaf, count in enumerate(stored_values(column), first_leaves(self.schema)[name]):
                    if group.column(leaf).num_values != count:
                        raise damaged(self.part, self.where, f"row group {row_group} lost values of column {name!r}")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _plain(column: pa.ChunkedArray, kind: pa.DataType, keep: pa.BooleanArray | None) -> pa.ChunkedArray:
    kept = column if keep is None else column.filter(keep)  # by column: a table would count out the rows first
    return kept if kept.type == kind else kept.cast(kind)


def open_part(objects: Objects, part: Part) -> OpenPart:
    """Open a part.

    Raises:
        IntegrityError: The object is missing, cut short, or its footer is not the one that was written.
    """
    path = objects.local_path(part.id, SUFFIX)
    if path is not None:
        with suppress(FileNotFoundError):  # missing: `read` knows
            return opened_file(part, pa.OSFile(str(path)), str(path), checked=False)
    elif not objects.holds(part.id, SUFFIX):
        from dataplat.lake._part_remote import open_remote

        return open_remote(objects, part)
    try:
        data = objects.read(part.id, SUFFIX)
    except ObjectNotFound as error:
        raise missing(part) from error
    return opened_file(part, pa.BufferReader(data), f"object {part.id}", checked=True)


def opened_file(part: Part, file: pa.NativeFile, where: str, *, checked: bool) -> OpenPart:
    """Open the part that `file` holds; `checked` says that all of it has been hashed."""
    size = file.size()
    if size != part.size:
        raise damaged(part, where, f"it has {size} bytes, not {part.size}")
    try:
        tail = file.read_at(min(TAIL, size), size - min(TAIL, size))
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if length > size:
            raise damaged(part, where, "its footer is cut")
        tail = tail[-length:] if length <= len(tail) else file.read_at(length, size - length)
    except OSError as error:
        raise damaged(part, where, str(error)) from error
    if hashlib.sha256(tail).hexdigest() != part.footer:
        raise damaged(part, where, "its footer is not the one that was written")
    metadata = pq.read_metadata(pa.BufferReader(MAGIC + tail))
    return OpenPart(part, file, metadata, metadata.schema.to_arrow_schema(), checked, where)
