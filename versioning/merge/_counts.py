"""How many rows one version has more, fewer, and other than an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from dataplat.lake.schema import stored_in
from dataplat.versioning.merge._delta import delta
from dataplat.versioning.merge._schema import by_stored
from dataplat.versioning.merge._types import reads_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat.lake.objects import Objects
    from dataplat.versioning.manifest import Manifest


def counted(objects: Objects, before: Manifest, after: Manifest) -> tuple[int, int, int]:
    """Return rows added, removed, and replaced (by key; without one, or with another, nothing is).

    Only keys are read, or, without one, whole rows; and only where rows both went and came.
    """
    moved = delta(objects, before, after)
    went, came = len(moved.removed), len(moved.added)
    if not (went and came):
        return came, went, 0
    columns = list(after.key) or after.schema.names
    if not _reads_alike(before, after, columns):
        return came, went, 0
    frames = []
    for rows in (moved.removed, moved.added):
        digests = rows.digests(objects, after.schema, columns)
        frame = pl.DataFrame({"lane0": digests[:, 0], "lane1": digests[:, 1]})
        frames.append(frame.with_columns(pl.int_range(pl.len()).over("lane0", "lane1").alias("nth")))
    both = frames[0].join(frames[1], on=["lane0", "lane1", "nth"]).height
    return came - both, went - both, both if after.key else 0


def _reads_alike(before: Manifest, after: Manifest, columns: Sequence[str]) -> bool:
    """Whether rows of `before` can be read under these columns of `after`; not where it was made anew, say."""
    old = by_stored(before.schema_json)
    wanted = [column for column in after.schema_json if column["name"] in set(columns)]
    return all(
        stored_in(column) in old and reads_as(column["type"], old[stored_in(column)]["type"]) for column in wanted
    )
