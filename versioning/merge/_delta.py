"""What one side did since the base, as rows that went and rows that came, without reading any."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyroaring import BitMap

from dataplat.lake.deletes import load_deletes
from dataplat.versioning._difference import difference
from dataplat.versioning.merge._selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Delta:
    """Rows that count before and not after (by parts of before), and the other way round (by parts of after).

    `twins` says where a part of before whose place or deletes differ lies after, None for nowhere. `fresh` are the
    places of parts that before has not.
    """

    removed: Selection
    added: Selection
    twins: Mapping[int, Part | None]
    fresh: frozenset[int]

    def twin(self, part: Part) -> Part | None:
        """Return the part of after that is this part of before, None where it went."""
        return self.twins.get(part.place, part)


def delta(objects: Objects, before: Manifest, after: Manifest) -> Delta:
    """Return what became of the rows; a part that lies at another place only is no difference."""
    differs = difference(before, after)
    moved, dropped, fresh = _moved(differs.dropped, differs.added)
    removed = [(part, live_rows(objects, part)) for part in dropped]
    added = [(part, live_rows(objects, part)) for part in fresh]
    twins: dict[int, Part | None] = {part.place: None for part in dropped}
    for old, new in (*differs.changed, *moved):
        twins[old.place] = new
        if old.deletes != new.deletes:
            gone, there = load_deletes(objects, old), load_deletes(objects, new)
            removed.append((old, there - gone))
            added.append((new, gone - there))
    return Delta(Selection.of(removed), Selection.of(added), twins, frozenset(part.place for part in fresh))


def live_rows(objects: Objects, part: Part) -> BitMap:
    """Return the positions of a part that count."""
    return BitMap(range(part.rows)) - load_deletes(objects, part)


def _moved(dropped: Iterable[Part], added: Iterable[Part]) -> tuple[list[tuple[Part, Part]], list[Part], list[Part]]:
    """Pair parts of one id, those with equal deletes first; return (pairs, dropped ones left, added ones left)."""
    pairs: list[tuple[Part, Part]] = []
    gone, came = list(dropped), list(added)
    for name in (_twin_of, _same_object):
        waiting: dict[object, list[Part]] = defaultdict(list)
        for part in reversed(came):
            waiting[name(part)].append(part)
        left = []
        for part in gone:
            others = waiting[name(part)]
            if others:
                pairs.append((part, others.pop()))
            else:
                left.append(part)
        paired = {new.place for _, new in pairs}
        gone, came = left, [part for part in came if part.place not in paired]
    return pairs, gone, came


def _twin_of(part: Part) -> object:
    return part.id, part.deletes


def _same_object(part: Part) -> object:
    return part.id
