"""Export as an Iceberg table whose metadata refers to the parts where they lie."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dataplat.errors import AlreadyExists, MissingExtra
from dataplat.lake.stores import explained
from dataplat.lake.verified import verified_paths
from dataplat.versioning.export._held import held_schema
from dataplat.versioning.export._pieces import pieces, place_piece, stored_file
from dataplat.versioning.export._target import ExportResult, Origin, appear_whole, is_empty
from dataplat.versioning.names import EXPORTED, TAG_DIGITS
from dataplat.versioning.refs import Refs

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

_DATASET: Final = "dataplat.dataset"
"""In the table's properties: which dataset it was exported from."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The data files of a version by absolute path, in row order; `in_place` of them lie in the lake."""

    paths: Sequence[str]
    in_place: int


def export_iceberg(objects: Objects, manifest: Manifest, target: Path, origin: Origin) -> ExportResult:
    """Make the folder `target` an Iceberg table of the version, or add to the one exported before a snapshot of it.

    Parts without deletes are referred to in the lake; the live rows of others are copied to `target/data`. A tag
    keeps the parts from being collected. The table is named by absolute paths, so it cannot be moved.
    """
    try:
        import pyiceberg.table  # noqa: F401  (before anything is written)
    except ImportError as error:
        raise MissingExtra("an export to Iceberg needs pyiceberg: pip install 'dataplat[iceberg]'") from error
    schema = held_schema(manifest, "Iceberg")
    fresh = is_empty(target)
    if not fresh:
        _refuse_foreign(target, origin)
    try:
        if fresh:
            files = appear_whole(target, lambda folder: _create(objects, manifest, target, folder, schema, origin))
            note = "snapshot 1 of the table"
        else:
            files, note = _add_snapshot(objects, manifest, target, schema, origin)
    except OSError as error:
        raise explained(error, f"export to {target}") from error
    notes = [note]
    if files.in_place:
        notes.append(
            f"{files.in_place:,} of {len(files.paths):,} files lie in the lake; the tag {_tag(manifest)} keeps them: leave it"
        )
    nbytes = sum(Path(path).stat().st_size for path in files.paths)
    return ExportResult(target, len(files.paths), manifest.rows, nbytes, tuple(notes))


def _tag(manifest: Manifest) -> str:
    """Return the name of the tag that keeps a version's parts; the same version has one."""
    return f"{EXPORTED}iceberg-{manifest.id[:TAG_DIGITS]}"


def _create(
    objects: Objects, manifest: Manifest, target: Path, folder: Path, schema: pa.Schema, origin: Origin
) -> _Files:
    from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids
    from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
    from pyiceberg.table.metadata import new_table_metadata
    from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

    from dataplat.versioning.export._iceberg_table import FolderTable

    metadata = new_table_metadata(
        _pyarrow_to_schema_without_ids(schema),
        UNPARTITIONED_PARTITION_SPEC,
        UNSORTED_SORT_ORDER,
        str(target),
        {"format-version": "2", _DATASET: origin.dataset},
    )
    (folder / "metadata").mkdir()
    files = _data_files(objects, manifest, target, folder, schema, origin)
    held = FolderTable(target, folder)
    table = held.table(metadata)
    with table.transaction() as transaction:
        transaction.set_properties({"schema.name-mapping.default": metadata.schema().name_mapping.model_dump_json()})
        _snapshot(table, transaction, files.paths, {}, _summary(manifest, origin))
    held.save(table.metadata, 1)
    return files


def _refuse_foreign(target: Path, origin: Origin) -> None:
    from dataplat.versioning.export._iceberg_table import FolderTable

    newest = FolderTable(target, target).newest()
    if newest is None:
        raise AlreadyExists(f"{target} is there already, and no Iceberg table: export into a new folder")
    if newest[1].properties.get(_DATASET) != origin.dataset:
        raise AlreadyExists(
            f"{target} is an Iceberg table that was not exported from dataset {origin.dataset!r}, and its rows would "
            "be replaced: export into a new folder"
        )


def _add_snapshot(
    objects: Objects, manifest: Manifest, target: Path, schema: pa.Schema, origin: Origin
) -> tuple[_Files, str]:
    """Commit what differs from the table's current snapshot; a kill before that leaves the table as it was."""
    from dataplat.versioning.export._iceberg_table import FolderTable, fits, forget_older, update_columns

    held = FolderTable(target, target)
    found = held.newest()
    assert found is not None
    number, metadata = found
    files = _data_files(objects, manifest, target, target, schema, origin)
    table = held.table(metadata)
    there = {task.file.file_path: task.file for task in table.scan().plan_files()}
    new = [path for path in files.paths if path not in there]
    gone = {path: file for path, file in there.items() if path not in set(files.paths)}
    if not new and not gone and fits(metadata, schema):
        return files, f"snapshot {len(metadata.snapshots)} of the table holds exactly this already"
    with table.transaction() as transaction:
        other = not fits(metadata, schema) and update_columns(transaction, schema)
        _snapshot(table, transaction, new, gone, _summary(manifest, origin))
    made = forget_older(table.metadata) if other else table.metadata
    held.save(made, number + 1)
    why = "; those before are gone, since a name means another column now" if other else ""
    return files, f"snapshot {len(made.snapshots):,} of the table: {len(new):,} files added, {len(gone):,} removed{why}"


def _snapshot(
    table: Table, transaction: Transaction, new: Sequence[str], gone: Mapping[str, DataFile], summary: dict[str, str]
) -> None:
    from pyiceberg.io.pyarrow import parquet_file_to_data_file

    from dataplat.versioning.export._iceberg_table import quiet

    snapshots = transaction.update_snapshot(snapshot_properties=summary)
    with quiet(), snapshots.overwrite() if gone else snapshots.fast_append() as snapshot:
        for file in gone.values():
            snapshot.delete_data_file(file)
        for path in new:
            snapshot.append_data_file(parquet_file_to_data_file(table.io, transaction.table_metadata, path))


def _summary(manifest: Manifest, origin: Origin) -> dict[str, str]:
    return {"dataplat.version": manifest.id, "dataplat.commit": origin.commit}


def _data_files(
    objects: Objects, manifest: Manifest, target: Path, folder: Path, schema: pa.Schema, origin: Origin
) -> _Files:
    """Return the version's data files, after copying to `folder/data` (called `target/data`) those that must be.

    Where any lie in the lake, the commit has a tag by then: nothing refers to a part that may be collected.
    """
    paths: dict[str, None] = {}  # the same part may be in a version twice, a file only once in a table
    stored: list[Part] = []
    for piece in pieces(manifest, schema):
        source = stored_file(objects, piece.part, manifest, schema)
        place = None if source is None else os.path.abspath(source)  # noqa: PTH100
        if place is not None and place not in paths:
            stored.append(piece.part)
            paths[place] = None
            continue
        (folder / "data").mkdir(exist_ok=True)
        place_piece(objects, piece, manifest, schema, folder / "data")
        paths[str(target / "data" / piece.name)] = None
    if stored:
        with suppress(AlreadyExists):
            message = f"the Iceberg table {target} refers to its parts"
            Refs(objects.store).create_tag(_tag(manifest), origin.commit, message=message)
        verified_paths(objects, stored)  # no one checks them after us
    return _Files(tuple(paths), len(stored))
