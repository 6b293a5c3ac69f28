"""Notices events of an ingest, and has them told; an ingest never waits for that, nor fails by it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from dataplat.events._derive import Event, Place, of_columns, of_dependencies, of_values
from dataplat.versioning.commit import Input

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.config import Config
    from dataplat.ingest._draft import Draft
    from dataplat.ingest._request import IngestRequest
    from dataplat.ingest._target import Target
    from dataplat.validation import Report

SOURCE: Final = "source"
DEPENDENCY: Final = "dependency"
_BACK: Final = 16  # changes that are looked at for what the last ingest saw


def lineage(lake: Lake, target: Target, source: pa.Schema, landed: pa.Schema) -> tuple[Input, ...]:
    """Return what the next ingest compares with: the source's columns, where they are others than those that land, and
    the versions of what the dataset depends on.
    """  # noqa: D205
    columns = _columns(source)
    found = [] if columns == _columns(landed) else [Input(name=target.name, kind=SOURCE, detail={"columns": columns})]
    versions = _dependencies(lake, target)
    found += [Input(name=name, kind=DEPENDENCY, version=version) for name, version in versions.items()]
    return tuple(found)


def events_of(
    draft: Draft, request: IngestRequest, target: Target, source: pa.Schema, report: Report | None
) -> list[Event]:
    """Return what changed since the last ingest of a dataset; nothing of one that is new, or where nobody is told.

    A column that some records of a stream do not have is not gone.
    """
    if target.manifest is None or not _anybody_told():
        return []
    lake = draft.lake
    place = Place(lake.id, target.name, draft.branch, target.version, lake.refs.now())
    before = _last(target)
    columns: Mapping[str, str] | None = next((each.detail["columns"] for each in before if each.kind == SOURCE), None)
    held = _columns(target.manifest.schema) if columns is None else columns
    came = _columns(source)
    if request.stream is not None:
        held = {name: kind for name, kind in held.items() if name in came}
    versions = {each.name: each.version for each in before if each.kind == DEPENDENCY}
    return [
        *of_columns(place, held, came),
        *of_values(place, () if report is None else report.checks),
        *of_dependencies(place, versions, _dependencies(lake, target)),
    ]


def notice(lake: Lake, found: list[Event]) -> None:
    """Have events told, if anybody asked for that; problems of it are not the ingest's."""
    import warnings

    from dataplat.events._deliver import start
    from dataplat.events._outbox import Outbox

    if not found or not _anybody_told():
        return
    try:
        if Outbox.of(lake.id).add(found):
            start(lake.id)
    except OSError as error:
        warnings.warn(f"{len(found)} events could not be kept to be told: {error}", RuntimeWarning, stacklevel=2)


def _last(target: Target) -> tuple[Input, ...]:
    """Return the lineage of the last ingest of a dataset."""
    from dataplat.versioning.history import log

    for entry in islice(log(target.objects, target.commit, target.name), _BACK):
        if entry.change.mode in {"append", "upsert", "replace"}:
            return entry.change.lineage
    return ()


def _columns(schema: pa.Schema) -> dict[str, str]:
    from dataplat.lake.schema import type_text, type_to_json

    return {field.name: type_text(type_to_json(field.type)) for field in schema}


def _dependencies(lake: Lake, target: Target) -> dict[str, str]:
    """Return the versions of what the dataset is declared to depend on: datasets of the lake, else libraries."""
    found: dict[str, Any] = {}
    for name in _config().depends.get(target.name, ()):
        state = target.commit.dataset(name, lake.objects.read)
        if state is not None:
            found[name] = "gone" if state.version is None else state.version
            continue
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _anybody_told() -> bool:
    """Whether somebody is to be told."""
    return bool(_config().notify)


def _config() -> Config:
    """Return the settings; none where one of them is wrong: that is said where it is used, and stops no ingest here."""
    from dataplat.config import Config, load
    from dataplat.errors import ConfigError

    try:
        return load()
    except ConfigError:
        return Config()
