"""Iceberg tables: each snapshot of one is a state."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat.connectors.tables._location import Location
from dataplat.connectors.tables._revision import Revision
from dataplat.errors import MissingExtra, SourceError, SourceNotFound

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import StaticTable
    from pyiceberg.table.snapshots import Snapshot

_NUMBER: Final = re.compile(r"v?(\d+)(?:-[0-9a-f-]+)?\.(?:gz\.)?metadata\.json|v?(\d+)\.metadata\.json(?:\.gz)?")


def revisions(location: Location, *, history: bool) -> list[Revision]:
    """Return the snapshots that `location` names, oldest first; with `history` the current one and all before it."""
    table = _table(location)
    line = _ancestors(table)
    if not line:
        raise SourceError(f"{location.place} has no snapshot yet, so there are no rows")
    ids = [str(snapshot.snapshot_id) for snapshot in line]
    if location.last is None:
        return [_revision(location, snapshot) for snapshot in (line if history else line[-1:])]
    for name in (location.first, location.last):
        if name is not None and name not in ids:
            raise SourceNotFound(f"{location.place} has no snapshot {name}; the newest are {', '.join(ids[-5:])}")
    start = ids.index(location.last if location.first is None else location.first)
    return [_revision(location, snapshot) for snapshot in line[start : ids.index(location.last) + 1]]


def _ancestors(table: StaticTable) -> list[Snapshot]:
    """Return the current snapshot and those that it came from, oldest first."""
    found: list[Snapshot] = []
    snapshot = table.current_snapshot()
    while snapshot is not None:
        found.append(snapshot)
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else table.snapshot_by_id(parent)
    return found[::-1]


def _revision(location: Location, snapshot: Snapshot) -> Revision:
    at = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC).isoformat()
    operation = "" if snapshot.summary is None else f" ({snapshot.summary.operation.value})"
    return Revision(
        location, str(snapshot.snapshot_id), f"{location.place} snapshot {snapshot.snapshot_id}{operation}", "", at
    )


def open_reader(revision: Revision) -> pa.RecordBatchReader:
    """Return the rows of a snapshot, deletes applied."""
    import pyarrow as pa

    scan = _table(revision.location).scan(snapshot_id=int(revision.id))
    reader = scan.to_arrow_batch_reader()

    def batches() -> Any:
        try:
            yield from reader
        except OSError as error:
            raise SourceError(f"{revision.text}: a file of that snapshot is gone or damaged: {error}") from error

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _table(location: Location) -> StaticTable:
    try:
        from pyiceberg.table import StaticTable
    except ImportError as error:
        raise MissingExtra("Iceberg tables need pyiceberg: pip install 'dataplat[iceberg]'") from error
    path = Path(location.place)
    if "://" not in location.place and not path.is_file() and not (path / "metadata").is_dir():
        raise SourceNotFound(f"{location.place} is no Iceberg table: there is no folder metadata in it")
    try:
        return StaticTable.from_metadata(_metadata(location.place))
    except (FileNotFoundError, ValueError) as error:
        raise SourceNotFound(f"{location.place} is no Iceberg table: {error}") from error


def _metadata(place: str) -> str:
    """Return the metadata file: the one named, or that which a folder's hint or the highest number says."""
    folder = Path(place) / "metadata"
    if "://" in place or not folder.is_dir() or (folder / "version-hint.text").exists():
        return place
    numbered = {int(found[1] or found[2]): path for path in folder.iterdir() if (found := _NUMBER.fullmatch(path.name))}
    if not numbered:
        raise SourceNotFound(f"{place} holds no metadata file of an Iceberg table")
    return str(numbered[max(numbered)])
