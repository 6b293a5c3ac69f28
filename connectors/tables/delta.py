"""Delta tables: each version of one is a state."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.connectors.tables._location import Location
from dataplat.connectors.tables._revision import Revision
from dataplat.errors import MissingExtra, SourceError, SourceNotFound

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable


def revisions(location: Location, *, history: bool) -> list[Revision]:
    """Return the versions that `location` names, oldest first; with `history` all whose log is left."""
    table = _table(location, None if location.is_range or location.last is None else int(location.last))
    made = {int(entry["version"]): entry for entry in table.history() if "version" in entry}
    newest = table.version()
    if location.is_range:
        first, last = int(str(location.first)), int(str(location.last))
        if last > newest or first > last:
            raise SourceNotFound(f"{location.place} has the versions up to {newest}, so not {first}..{last}")
        wanted = list(range(first, last + 1))
    elif history and location.last is None:
        wanted = sorted(made.keys() | {newest})
    else:
        wanted = [newest]
    return [_revision(location, version, made.get(version, {})) for version in wanted]


def _revision(location: Location, version: int, entry: dict[str, Any]) -> Revision:
    time = entry.get("timestamp")
    at = "" if time is None else datetime.fromtimestamp(time / 1000, UTC).isoformat()
    operation = str(entry.get("operation", "")).lower()
    message = f"{location.place} version {version}" + (f" ({operation})" if operation else "")
    return Revision(location, str(version), message, str(entry.get("userName") or ""), at)


def open_reader(revision: Revision) -> pa.RecordBatchReader:
    """Return the rows of a version, in the order of its files; raise `SourceError` where files of it are gone."""
    import pyarrow as pa
    from deltalake import QueryBuilder
    from deltalake.exceptions import DeltaError, DeltaProtocolError

    table = _table(revision.location, int(revision.id))
    try:
        dataset = table.to_pyarrow_dataset()
    except DeltaProtocolError:  # deletion vectors and the like
        found = QueryBuilder().register("state", table).execute("select * from state")
        return pa.RecordBatchReader.from_stream(found)
    except DeltaError as error:
        raise SourceError(f"{revision.text} cannot be read: {error}") from error
    scanner = dataset.scanner(use_threads=True)

    def batches() -> Any:
        try:
            yield from scanner.to_batches()
        except OSError as error:
            raise SourceError(f"{revision.text}: a file of that version is gone or damaged: {error}") from error

    return pa.RecordBatchReader.from_batches(dataset.schema, batches())


def _table(location: Location, version: int | None) -> DeltaTable:
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError
    except ImportError as error:
        raise MissingExtra("Delta tables need deltalake: pip install 'dataplat[delta]'") from error
    if "://" not in location.place and not (Path(location.place) / "_delta_log").is_dir():
        raise SourceNotFound(f"{location.place} is no Delta table: there is no folder _delta_log in it")
    try:
        return DeltaTable(location.place, version=version)
    except TableNotFoundError as error:
        raise SourceNotFound(f"{location.place} is no Delta table: {error}") from error
    except DeltaError as error:
        wanted = "" if version is None else f" version {version} of"
        raise SourceNotFound(f"there is no{wanted} Delta table {location.place}: {error}") from error
