"""A compaction on a branch that moved while it ran: the changes of others win, and are carried over exactly.

Rows that were deleted from a part that it read are deleted from the parts that it wrote, at the positions to which
they went. Parts that came since are not touched. A run of which somebody else rewrote a part is left to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dataplat.lake.part import Part
from dataplat.versioning._difference import PartsDifference
from dataplat.versioning.compact._rewrite import DeletesCodec, Rewrite
from dataplat.versioning.manifest import ManifestEdit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dataplat.lake.digest import Digest


def edit_of(rewrites: Sequence[Rewrite], digest: Digest | None) -> ManifestEdit:
    """Return the edit that puts the outputs in the place of the inputs; the digest of all rows stays what it is."""
    return ManifestEdit(
        add=[part for rewrite in rewrites for part in rewrite.outputs if part.live],
        drop=[part.place for rewrite in rewrites for part in rewrite.inputs],
        digest=digest,
    )


def rebased(rewrites: Sequence[Rewrite], theirs: PartsDifference, codec: DeletesCodec) -> list[Rewrite]:
    """Return the rewrites that hold after `theirs`, each on the inputs that are left; none where others were faster."""
    taken = [part.place for part in theirs.added]
    gone = {part.place for part in theirs.dropped}
    changed = {before.place: after for before, after in theirs.changed}
    return [
        _carried(rewrite, gone, changed, codec)
        for rewrite in rewrites
        if not any(rewrite.first <= place < rewrite.end for place in taken)
        and not gone.issuperset(part.place for part in rewrite.inputs)
    ]


def _carried(rewrite: Rewrite, gone: set[int], changed: Mapping[int, Part], codec: DeletesCodec) -> Rewrite:
    if not any(part.place in gone or part.place in changed for part in rewrite.inputs):
        return rewrite
    late: dict[int, Part | None] = {}
    for part in rewrite.inputs:
        if part.place in gone:
            late[part.place] = None
        elif part.place in changed:
            late[part.place] = changed[part.place]
    outputs = delete_moved(rewrite.inputs, rewrite.outputs, late, codec)
    return replace(
        rewrite, inputs=tuple(part for part in rewrite.inputs if part.place not in gone), outputs=tuple(outputs)
    )


def delete_moved(
    inputs: Sequence[Part], outputs: Sequence[Part], late: Mapping[int, Part | None], codec: DeletesCodec
) -> list[Part]:
    """Return `outputs` without the rows that `late` says to be deleted: by place of an input, None for all its rows.

    `inputs` have the deletes that were folded when they were read.
    """
    import numpy as np

    from dataplat.lake.deletes import split

    rows: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    first = 0
    for part in inputs:
        if part.place in late:
            rows.append(_moved(part, late[part.place], first, codec))
        first += part.live
    found = split(np.concatenate(rows), [part.rows for part in outputs])
    return [
        part.with_deletes(*codec.stage(codec.load(part.deletes) | found[at])) if at in found else part
        for at, part in enumerate(outputs)
    ]


def _moved(part: Part, after: Part | None, first: int, codec: DeletesCodec) -> npt.NDArray[np.int64]:
    import numpy as np

    from dataplat.lake.deletes import remap

    if after is None:
        return np.arange(first, first + part.live, dtype=np.int64)
    return remap(codec.load(after.deletes), codec.load(part.deletes), first)
