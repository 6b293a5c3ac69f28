"""Export as a Delta table under a root of its own: files by copy or link, then one commit to its log."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import AlreadyExists, MissingExtra
from dataplat.lake.stores import explained
from dataplat.versioning.export._held import held_schema
from dataplat.versioning.export._pieces import Piece, pieces, place_piece
from dataplat.versioning.export._target import ExportResult, Origin, appear_whole, is_empty

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, CommitProperties

    from dataplat.lake.objects import Objects
    from dataplat.versioning.manifest import Manifest

_FROM: Final = "exported by dataplat from dataset "
"""Begins the table's description; the dataset's name follows. (delta-rs takes no properties but Delta's own.)"""


def export_delta(objects: Objects, manifest: Manifest, target: Path, origin: Origin, *, link: str) -> ExportResult:
    """Make the folder `target` a Delta table of the version, or add to the one exported before a version of it.

    Only files that differ are added, and those that are no longer part of it removed from the log (they stay on disk
    for older versions of the table, until its vacuum). Paths are relative.
    """
    try:
        from deltalake import DeltaTable
    except ImportError as error:
        raise MissingExtra("an export to Delta needs deltalake: pip install 'dataplat[delta]'") from error
    schema = held_schema(manifest, "Delta")
    wanted = pieces(manifest, schema)
    if is_empty(target):
        sizes = appear_whole(
            target, lambda folder: _create(objects, manifest, folder, wanted, schema, origin=origin, link=link)
        )
        notes = ["version 0 of the table"]
    else:
        if not DeltaTable.is_deltatable(str(target)):
            raise AlreadyExists(f"{target} is there already, and no Delta table: export into a new folder")
        sizes, notes = _add_version(objects, manifest, target, wanted, schema, origin=origin, link=link)
    return ExportResult(target, len(wanted), manifest.rows, sum(sizes), tuple(notes))


def _create(
    objects: Objects,
    manifest: Manifest,
    folder: Path,
    wanted: Sequence[Piece],
    schema: pa.Schema,
    *,
    origin: Origin,
    link: str,
) -> list[int]:
    from deltalake import Schema
    from deltalake.transaction import create_table_with_add_actions

    adds = [_add(objects, manifest, folder, piece, schema, link) for piece in wanted]
    create_table_with_add_actions(
        str(folder),
        Schema.from_arrow(schema),
        adds,
        name=origin.dataset,
        description=_FROM + origin.dataset,
        commit_properties=_properties(manifest, origin),
    )
    return [add.size for add in adds]


def _add_version(
    objects: Objects,
    manifest: Manifest,
    target: Path,
    wanted: Sequence[Piece],
    schema: pa.Schema,
    *,
    origin: Origin,
    link: str,
) -> tuple[list[int], list[str]]:
    """Commit what differs from the table's newest version; a kill before that leaves the table as it was."""
    from deltalake import DeltaTable, Schema

    table = DeltaTable(str(target))
    if table.metadata().description != _FROM + origin.dataset:
        raise AlreadyExists(
            f"{target} is a Delta table that was not exported from dataset {origin.dataset!r}, and its rows would "
            "be replaced: export into a new folder"
        )
    there = _files(table)
    fits = json.loads(table.schema().to_json()) == json.loads(Schema.from_arrow(schema).to_json())
    new = [piece for piece in wanted if piece.name not in there]
    gone = there.keys() - {piece.name for piece in wanted}
    sizes = [there[piece.name] for piece in wanted if piece.name in there]
    if fits and not new and not gone:
        return sizes, [f"version {table.version()} of the table holds exactly this already"]
    try:
        adds = [_add(objects, manifest, target, piece, schema, link) for piece in new]
    except OSError as error:
        raise explained(error, f"export to {target}") from error
    _commit(table, adds, {name: there[name] for name in gone}, schema, _properties(manifest, origin), fits=fits)
    note = f"version {DeltaTable(str(target)).version()} of the table: {len(new):,} files added, {len(gone):,} removed"
    return [*sizes, *(add.size for add in adds)], [note]


def _commit(
    table: DeltaTable,
    adds: Sequence[AddAction],
    gone: dict[str, int],
    schema: pa.Schema,
    properties: CommitProperties,
    *,
    fits: bool,
) -> None:
    from deltalake import Schema
    from deltalake.transaction import RemoveAction

    delta_schema = Schema.from_arrow(schema)
    if not fits:  # other columns have other files: all that were there go
        table.create_write_transaction(list(adds), "overwrite", delta_schema, commit_properties=properties)
        return
    now = time.time_ns() // 1_000_000
    removes = [RemoveAction(name, True, now, size, {}) for name, size in sorted(gone.items())]
    table.create_write_transaction([*adds, *removes], "append", delta_schema, commit_properties=properties)


def _files(table: DeltaTable) -> dict[str, int]:
    import pyarrow as pa

    actions = pa.table(table.get_add_actions())
    return dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))


def _properties(manifest: Manifest, origin: Origin) -> CommitProperties:
    from deltalake import CommitProperties

    known = {"dataplat.dataset": origin.dataset, "dataplat.version": manifest.id, "dataplat.commit": origin.commit}
    return CommitProperties(custom_metadata=known)


def _add(objects: Objects, manifest: Manifest, folder: Path, piece: Piece, schema: pa.Schema, link: str) -> AddAction:
    from deltalake.transaction import AddAction

    path = place_piece(objects, piece, manifest, schema, folder, link)
    stat = path.stat()
    stats = json.dumps(_stats(piece, schema))
    return AddAction(piece.name, stat.st_size, {}, stat.st_mtime_ns // 1_000_000, True, stats)


def _stats(piece: Piece, schema: pa.Schema) -> dict[str, Any]:
    """Return what Delta's readers skip files by: counts, and the exact bounds of integers and texts."""
    import pyarrow as pa

    part = piece.part
    stats: dict[str, Any] = {"numRecords": part.live}
    if part.deleted:
        return stats
    simple = {
        field.name: part.stats[field.name]
        for field in schema
        if field.name in part.stats and (pa.types.is_integer(field.type) or pa.types.is_string(field.type))
    }
    stats["nullCount"] = {name: known.nulls for name, known in simple.items()}
    bounded = {name: known for name, known in simple.items() if known.low is not None and known.high is not None}
    stats["minValues"] = {name: known.low for name, known in bounded.items()}
    stats["maxValues"] = {name: known.high for name, known in bounded.items()}
    return stats
