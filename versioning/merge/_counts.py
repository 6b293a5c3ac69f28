"""How many rows one version has more, fewer, and other than an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from dataplat.versioning.merge._delta import delta

if TYPE_CHECKING:
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
    if not set(columns) <= set(before.schema.names):
        return came, went, 0
    frames = []
    for rows in (moved.removed, moved.added):
        digests = rows.digests(objects, after.schema, columns)
        frame = pl.DataFrame({"lane0": digests[:, 0], "lane1": digests[:, 1]})
        frames.append(frame.with_columns(pl.int_range(pl.len()).over("lane0", "lane1").alias("nth")))
    both = frames[0].join(frames[1], on=["lane0", "lane1", "nth"]).height
    return came - both, went - both, both if after.key else 0
