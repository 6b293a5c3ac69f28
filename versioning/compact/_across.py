"""A change that was planned before a compaction, on the version after it: its deletes follow the rows.

The commit of a compaction says which live rows of which parts went, in order, into which parts; so a row position
before it is a row position after it, exactly, and no row has to be read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dataplat.lake.part import Part
from dataplat.versioning.commit import Moved
from dataplat.versioning.compact._rewrite import DeletesCodec, Rewrite
from dataplat.versioning.manifest import Manifest, ManifestEdit, PartKey

if TYPE_CHECKING:
    from pyroaring import BitMap

_MOST_PARTS: Final = 512
"""A larger compaction does not say where rows went: those who were overtaken by it plan again."""


def moved_by(rewrites: Sequence[Rewrite], dropped: Collection[PartKey]) -> tuple[Moved, ...]:
    """Return where rows went, as a commit records it, by those rewrites whose inputs are `dropped` in the end."""
    rewrites = [each for each in rewrites if any(part.place in dropped for part in each.inputs)]
    if sum(len(rewrite.inputs) + len(rewrite.outputs) for rewrite in rewrites) > _MOST_PARTS:
        return ()
    return tuple(
        Moved(
            tuple((part.place, part.live, part.deletes) for part in rewrite.inputs),
            tuple((part.place, part.rows) for part in rewrite.outputs),
        )
        for rewrite in rewrites
    )


def across(
    edit: ManifestEdit, before: Manifest, after: Manifest, moved: Sequence[Moved], codec: DeletesCodec
) -> ManifestEdit:
    """Return the edit of `after`, what a compaction made of `before`, that deletes the rows that `edit` deletes."""
    deletes = {part.place: found for key, found in edit.deletes.items() for part in before.find(key)}
    drop = {part.place for key in edit.drop for part in before.find(key)}
    if not deletes and not drop:
        return edit
    there = after.table().by_place
    changed: list[Part] = []
    for run in moved:
        changed += _outputs(run, deletes, drop, there, codec)
        for place, _, _ in run.inputs:
            deletes.pop(place, None)
            drop.discard(place)
    deletes.update((part.place, (part.deletes, part.deleted)) for part in changed if part.live)
    drop.update(part.place for part in changed if not part.live)
    return replace(edit, deletes=deletes, drop=sorted(drop))


def _outputs(
    run: Moved,
    deletes: dict[int, tuple[str | None, int]],
    drop: set[int],
    there: dict[int, Part],
    codec: DeletesCodec,
) -> Iterator[Part]:
    """Yield the outputs of a run of which rows are deleted, with all their deletes."""
    import numpy as np

    from dataplat.lake.deletes import remap, split

    rows = []
    first = 0
    for place, live, folded in run.inputs:
        if place in drop:
            rows.append(np.arange(first, first + live, dtype=np.int64))
        elif place in deletes:
            rows.append(remap(codec.load(deletes[place][0]), codec.load(folded), first))
        first += live
    if not rows:
        return
    found: dict[int, BitMap] = dict(split(np.concatenate(rows), [count for _, count in run.outputs]))
    for at, late in found.items():
        part = there.get(run.outputs[at][0])  # None: all of its rows had been deleted when it was committed
        if part is not None:
            yield part.with_deletes(*codec.stage(codec.load(part.deletes) | late))
