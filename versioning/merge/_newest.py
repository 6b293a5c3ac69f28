"""Which side touched a row last, by the commits of each side since the base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from dataplat.versioning.history import Entry, log
from dataplat.versioning.manifest import Manifest, load_manifest
from dataplat.versioning.merge._delta import delta

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.merge._selection import Digests, Selection

_KEY: Final = ["lane0", "lane1"]
_ROW: Final = ["row0", "row1"]


def touch_times(
    objects: Objects,
    head: Commit,
    name: str,
    base_version: str | None,
    schema: pa.Schema,
    key: Sequence[str],
    keys: Digests,
) -> NDArray[np.int64]:
    """Return for each key (by digest) the time of the newest commit that added, replaced or removed its row; 0 for none.

    A commit that writes the same row again, as a compaction does, does not touch it.
    """
    times = np.zeros(len(keys), np.int64)
    wanted = pl.DataFrame({"lane0": keys[:, 0], "lane1": keys[:, 1], "at": np.arange(len(keys))})
    for entry in _entries(objects, head, name, base_version):
        if not wanted.height:
            break
        hit = wanted.join(_touched(objects, entry, schema, key), on=_KEY, how="semi")
        times[hit["at"].to_numpy()] = entry.commit.time
        wanted = wanted.join(hit, on="at", how="anti")
    return times


def _entries(objects: Objects, head: Commit, name: str, base_version: str | None) -> Iterator[Entry]:
    for entry in log(objects, head, name):
        if base_version is not None and entry.change.version == base_version:
            return
        if entry.is_version and entry.change.mode != "compact":
            yield entry


def _touched(objects: Objects, entry: Entry, schema: pa.Schema, key: Sequence[str]) -> pl.DataFrame:
    after = load_manifest(objects, str(entry.change.version))
    base = entry.change.base
    before = Manifest.empty(after.schema_json, after.key) if base is None else load_manifest(objects, base)
    moved = delta(objects, before, after)
    went, came = (_rows(objects, rows, schema, key) for rows in (moved.removed, moved.added))
    on = [*_KEY, *_ROW]
    return pl.concat([went.join(came, on=on, how="anti"), came.join(went, on=on, how="anti")]).select(_KEY)


def _rows(objects: Objects, rows: Selection, schema: pa.Schema, key: Sequence[str]) -> pl.DataFrame:
    keys = rows.digests(objects, schema, key)
    whole = rows.digests(objects, schema, schema.names)
    return pl.DataFrame({"lane0": keys[:, 0], "lane1": keys[:, 1], "row0": whole[:, 0], "row1": whole[:, 1]})
