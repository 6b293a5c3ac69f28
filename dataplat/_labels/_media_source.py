"""What a link to media names: found in the lake, as the queue has it now."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat.labeling.serve.media import Found, NoMedia, of_bytes, of_place

if TYPE_CHECKING:
    from dataplat._labels._state import State
    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.labeling.serve.links import Media
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

_BACK: Final = 200
"""Changes of the source that are looked through for the part that a task's row was found in."""


def find_media(media: Media) -> Found:
    """Return the picture or sound in a column of the row that a task asks about.

    Raises:
        NoMedia: the task, the column or the file is not there (any more), or is nothing to be shown.
    """
    from dataplat._labels._state import State

    if not media.task.isalnum():
        raise NoMedia("no such task")
    state = State.at_head(_lake(media.lake), media.queue, media.branch)
    columns = ["data", "part", "row", "stream"]
    rows = state.version("tasks").to_arrow(columns=columns, where=f"task = '{media.task}'").to_pylist()
    if not rows:
        raise NoMedia("no such task")
    return media_of(state, rows[0], media.column)


def media_of(state: State, task: dict[str, Any], column: str) -> Found:
    """Return what a column of a task (a row of `NAME.tasks`) names.

    Raises:
        NoMedia: it is not there (any more), or is nothing to be shown.
    """
    from dataplat._labels._media import named

    value = named(json.loads(task["data"]), column)
    if isinstance(value, dict) and "sha256" in value:
        return of_bytes(_cell(state, task, column, str(value["sha256"])), column)
    if not isinstance(value, str) or not value:
        raise NoMedia("the row has none")
    return of_place(value, _beside(state.lake, value))


@lru_cache(maxsize=16)
def _lake(url: str) -> Lake:
    import dataplat

    return dataplat.open(url, create=False)


def _beside(lake: Lake, place: str) -> Path:
    """Return the folder that a path is relative to: where this process runs, else the one that holds the lake."""
    return Path.cwd() if Path(place).exists() else Path(lake.url).parent


def _cell(state: State, task: dict[str, Any], column: str, sha256: str) -> bytes:
    """Return the bytes in a cell of the source; they are what was asked about, or nothing is returned."""
    from pyroaring import BitMap

    from dataplat._labels._media import column_of
    from dataplat.lake.take import rows_at

    known = state.spec.gold if task["stream"] == "gold" else None
    version = state.source if known is None else state.referred(known)
    manifest, part = _with_part(version, task["part"])
    column = column if column in manifest.schema.names else column_of(column)
    found = rows_at(version.objects, [(part, BitMap([task["row"]]))], manifest.schema, [column])
    for batch in found:
        [cell] = batch.column(column).to_pylist()
        for value in cell if isinstance(cell, list) else [cell]:
            if isinstance(value, bytes) and hashlib.sha256(value).hexdigest() == sha256:
                return value
    raise NoMedia("the source no longer has the bytes that were asked about")


def _with_part(version: Version, part_id: str) -> tuple[Manifest, Part]:
    """Return the newest manifest that has a part, and the part: the source may have been compacted since."""
    from dataplat.versioning.history import log
    from dataplat.versioning.manifest import load_manifest

    for part in version.parts:
        if part.id == part_id:
            return version.manifest, part
    for entry in islice(log(version.objects, version.commit, version.dataset), _BACK):
        if entry.change.version is None:
            continue
        manifest = load_manifest(version.objects, entry.change.version)
        for part in manifest.parts():
            if part.id == part_id:
                return manifest, part
    raise NoMedia("the source no longer has the row that was asked about")
