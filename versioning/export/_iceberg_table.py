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
from pyiceberg.io.pyarrow import PyArrowFileIO, _pyarrow_to_schema_without_ids
from pyiceberg.serializers import FromInputFile, ToOutputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.update import TableRequirement, TableUpdate, update_table_metadata

from dataplat.errors import CommitConflict

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.types import IcebergType

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

    def save(self, table: Table, number: int) -> None:
        """Write the metadata as number `number`, and point the hint at it.

        Raises:
            CommitConflict: Somebody else wrote that number meanwhile.
        """
        metadata = self.folder / "metadata"
        fresh = self.target / "metadata" / f".v{number}.partial-{os.getpid()}.json"
        ToOutputFile.table_metadata(table.metadata, self.io.new_output(str(fresh)), overwrite=True)
        written = metadata / fresh.name
        try:
            os.link(written, metadata / f"v{number}.metadata.json")
        except FileExistsError:
            raise CommitConflict(f"{self.target} was exported into by somebody else meanwhile: try again") from None
        finally:
            written.unlink()
        hint = metadata / f".hint.partial-{os.getpid()}"
        hint.write_text(str(number))
        hint.replace(metadata / "version-hint.text")


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


def update_columns(transaction: Transaction, schema: pa.Schema) -> None:
    """Bring the table to the columns of `schema`: one whose type changes is another column of the same name.

    Files that hold a column otherwise have gone from the table by then.
    """
    there = {column.name: column for column in transaction.table_metadata.schema().fields}
    wanted = {column.name: column for column in _pyarrow_to_schema_without_ids(schema).fields}
    spelt = {name: _spelt_type(column.field_type) for name, column in wanted.items()}
    gone = [name for name, column in there.items() if spelt.get(name) != _spelt_type(column.field_type)]
    if gone:
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column((name,))
    with transaction.update_schema(allow_incompatible_changes=True) as update:
        for name, column in wanted.items():
            if name not in there or name in gone:
                update.add_column((name,), column.field_type)
            elif column.required != there[name].required:
                update.make_column_optional((name,))
    order = list(wanted)
    with transaction.update_schema() as update:
        for before, name in pairwise(order):
            update.move_after((name,), (before,))
