"""An Iceberg table that is a folder: numbered metadata files and a hint, no catalog."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.exceptions import ResolveError
from pyiceberg.io.pyarrow import PyArrowFileIO, _pyarrow_to_schema_without_ids
from pyiceberg.schema import promote
from pyiceberg.serializers import FromInputFile, ToOutputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.update import RemoveSnapshotsUpdate, TableRequirement, TableUpdate, update_table_metadata

from dataplat.errors import CommitConflict

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.types import IcebergType, NestedField

_NUMBERED: Final = re.compile(r"v(\d+)\.metadata\.json")


class _Elsewhere(PyArrowFileIO):
    """Files that are named as if they lay in `target`, and lie in `folder` until the whole is there."""

    def __init__(self, target: Path, folder: Path) -> None:
        super().__init__()
        self._from, self._to = f"{target}{os.sep}", f"{folder}{os.sep}"

    def parse_location(  # type: ignore[override]  # (called by instances only)
        self, location: str, properties: dict[str, str] | None = None
    ) -> tuple[str, str, str]:
        """Return scheme, host and path of a location, a path of this machine."""
        path = str(location)
        return "file", "", self._to + path.removeprefix(self._from) if path.startswith(self._from) else path


class _InMemory(NoopCatalog):
    """Applies updates to a table's metadata, and leaves it to the caller to save them."""

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        """Return the metadata after `updates`."""
        for requirement in requirements:
            requirement.validate(table.metadata)
        metadata = update_table_metadata(table.metadata, updates, enforce_validation=False)
        return CommitTableResponse.model_validate({"metadata": metadata, "metadata-location": table.metadata_location})


@dataclass(frozen=True, slots=True)
class FolderTable:
    """The table that is (or will be) the folder `target`, and lies in `folder` now."""

    target: Path
    folder: Path
    io: _Elsewhere = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "io", _Elsewhere(self.target, self.folder))

    def table(self, metadata: TableMetadata) -> Table:
        """Return the table in that state."""
        return Table(("dataplat", self.target.name), metadata, str(self.target), self.io, _InMemory("folder"))

    def newest(self) -> tuple[int, TableMetadata] | None:
        """Return number and content of the newest metadata file, None where there is none."""
        metadata = self.folder / "metadata"
        if not metadata.is_dir():
            return None
        numbers = [int(found[1]) for path in metadata.iterdir() if (found := _NUMBERED.fullmatch(path.name))]
        if not numbers:
            return None
        location = str(self.target / "metadata" / f"v{max(numbers)}.metadata.json")
        return max(numbers), FromInputFile.table_metadata(self.io.new_input(location))

    def save(self, metadata: TableMetadata, number: int) -> None:
        """Write the metadata as number `number`, and point the hint at it.

        Raises:
            CommitConflict: Somebody else wrote that number meanwhile.
        """
        below = self.folder / "metadata"
        fresh = self.target / "metadata" / f".v{number}.partial-{os.getpid()}.json"
        ToOutputFile.table_metadata(metadata, self.io.new_output(str(fresh)), overwrite=True)
        written = below / fresh.name
        try:
            os.link(written, below / f"v{number}.metadata.json")
        except FileExistsError:
            raise CommitConflict(f"{self.target} was exported into by somebody else meanwhile: try again") from None
        finally:
            written.unlink()
        hint = below / f".hint.partial-{os.getpid()}"
        hint.write_text(str(number))
        hint.replace(below / "version-hint.text")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pyiceberg from saying on standard error which columns of a part have no statistics: none need them."""
    log = logging.getLogger("pyiceberg.io.pyarrow")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def fits(metadata: TableMetadata, schema: pa.Schema) -> bool:
    """Whether the table's columns are those of `schema`, in their order."""
    wanted = _pyarrow_to_schema_without_ids(schema)
    return _spelt(metadata.schema()) == _spelt(wanted)


def _spelt(schema: Schema) -> list[tuple[str, str, bool]]:
    return [(column.name, _spelt_type(column.field_type), column.required) for column in schema.fields]


def _spelt_type(kind: IcebergType) -> str:
    return re.sub(r"-?\b\d+: ", "", str(kind))  # without the ids of nested fields


def update_columns(transaction: Transaction, schema: pa.Schema) -> bool:
    """Bring the table to the columns of `schema`; return whether a name now means another column than before.

    A type that Iceberg can widen is widened; else the column goes, and another of its name comes. Files that hold a
    column otherwise have gone from the table by then.
    """
    metadata = transaction.table_metadata
    there = {column.name: column for column in metadata.schema().fields}
    wanted = {column.name: column for column in _pyarrow_to_schema_without_ids(schema).fields}
    changed = [name for name, column in wanted.items() if name in there and not _same(there[name], column)]
    wider = [name for name in changed if _widens(there[name].field_type, wanted[name].field_type)]
    gone = [name for name in there if name not in wanted or (name in changed and name not in wider)]
    if gone:
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column((name,))
    new = [name for name in wanted if name not in there or name in gone]
    with transaction.update_schema(allow_incompatible_changes=True) as update:
        for name in new:
            update.add_column((name,), wanted[name].field_type)
        for name in wider:
            update.update_column((name,), wanted[name].field_type)
        for name in wanted.keys() - set(new):
            if not wanted[name].required and there[name].required:
                update.make_column_optional((name,))
    with transaction.update_schema() as update:
        for before, name in pairwise(wanted):
            update.move_after((name,), (before,))
    return any(column.name in new for known in metadata.schemas for column in known.fields)


def _same(one: NestedField, other: NestedField) -> bool:
    return _spelt_type(one.field_type) == _spelt_type(other.field_type)


def _widens(one: IcebergType, other: IcebergType) -> bool:
    if not (one.is_primitive and other.is_primitive):
        return False
    try:
        return bool(promote(one, other) == other)
    except ResolveError:
        return False


def forget_older(metadata: TableMetadata) -> TableMetadata:
    """Return the metadata without the snapshots before the current one.

    Files are read by the names of columns. Where a name means another column now, an older snapshot would show it
    empty: better it is not there.
    """
    older = [found.snapshot_id for found in metadata.snapshots if found.snapshot_id != metadata.current_snapshot_id]
    if not older:
        return metadata
    return update_table_metadata(metadata, (RemoveSnapshotsUpdate.model_validate({"snapshot-ids": older}),))
