"""When a branch that is fed in small commits compacts itself: parts merge by size, like the runs of an LSM tree.

A part's *tier* is the power of 16 in its rows. Rows move up a tier each time they are rewritten, so none is
rewritten more often than there are tiers (five to a full part), and at most some sixteen parts of each wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from dataplat.lake.part import Part
from dataplat.versioning.compact._plan import Run, Target, runs_of
from dataplat.versioning.manifest import _STEP

if TYPE_CHECKING:
    from dataplat.versioning._root import Root
    from dataplat.versioning.manifest import Manifest

FAN: Final = 16
"""So many parts of a tier become one of the next."""

_COVERED: Final = 4
"""So many parts that lie before a larger one are joined: they would never be the newest of their tier again."""

_FULL: Final = 99
_FOLD_BYTES: Final = 1 << 20
_FOLD_DELETED: Final = 0.3


def is_due(root: Root, added: int) -> bool:
    """Whether it is time to look, after a commit that added `added` parts: at every sixteenth part appended.

    Nothing is read for it.
    """
    appended = root.next // _STEP
    return added > 0 and appended // FAN > (appended - added) // FAN


def tail_parts(manifest: Manifest) -> list[Part]:
    """Return the newest parts, those that lie in the manifest's tail behind all of its base; no more is read."""
    root = manifest.root
    floor = max((ref.last for ref in root.base), default=-1)
    return [part for part in manifest.table(lambda ref: not ref.level and ref.last > floor).parts if part.place > floor]


def plan_tail(parts: Sequence[Part], next_place: int, target: Target | None = None) -> list[Run]:
    """Return what to rewrite of the newest `parts` of a version; mostly nothing."""
    target = Target() if target is None else target
    tiers = [_tier(part, target) for part in parts]
    merged = _merged_from(parts, tiers)
    spans = [*_covered(tiers[:merged]), *_folded(parts[:merged])]
    if merged < len(parts):
        spans.append((merged, len(parts)))
    return runs_of(parts, next_place, sorted(spans))


def _tier(part: Part, target: Target) -> int:
    return (part.live.bit_length() - 1) // 4 if target.is_small(part) else _FULL


def _merged_from(parts: Sequence[Part], tiers: Sequence[int]) -> int:
    """Return where the newest parts begin that together make one of a tier above all of theirs.

    Of several such beginnings the oldest: what is merged in one go need not be merged again at once.
    """
    found = at = len(parts)
    rows = highest = 0
    while at > 0 and tiers[at - 1] != _FULL:
        at -= 1
        rows += parts[at].live
        highest = max(highest, tiers[at])
        whole = at == 0 or tiers[at - 1] > highest
        if whole and len(parts) - at >= FAN and rows >= FAN ** (highest + 1):
            found = at
    return found


def _covered(tiers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield spans of parts that lie before larger ones."""
    covered = [False] * len(tiers)
    highest = -1
    for at in range(len(tiers) - 1, -1, -1):
        covered[at] = tiers[at] < highest
        highest = max(highest, tiers[at])
    for is_covered, group in groupby(range(len(tiers)), key=covered.__getitem__):
        numbers = list(group)
        if is_covered and len(numbers) >= _COVERED:
            yield numbers[0], numbers[-1] + 1


def _folded(parts: Sequence[Part]) -> Iterator[tuple[int, int]]:
    for at, part in enumerate(parts):
        if part.size > _FOLD_BYTES and part.deleted > _FOLD_DELETED * part.rows:
            yield at, at + 1
