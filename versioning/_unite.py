"""Deletes of one part by two writers, united."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.versioning.rebase import MergedDeletes, MergesDeletes

if TYPE_CHECKING:
    from dataplat.lake.objects import Stage
    from dataplat.lake.part import Part


def unites_deletes(stage: Stage) -> MergesDeletes:
    """Return a function that stages the union of two bitmaps in `stage`."""

    def unite(part: Part, ours: str, theirs: str) -> MergedDeletes:
        from dataplat.lake.deletes import SUFFIX, decode, encode

        mine, other = (decode(stage.read(id, SUFFIX)) for id in (ours, theirs))
        before = None if part.deletes is None else decode(stage.read(part.deletes, SUFFIX))
        both = mine & other if before is None else (mine - before) & (other - before)
        union = mine | other
        return MergedDeletes(stage.put(encode(union), SUFFIX), len(union), len(both))

    return unite
