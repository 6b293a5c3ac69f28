"""The rules about what is kept, pushed, read and refused, in plain Python: PIT 9, 15, 17, 18, 19, 27 and 28."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from dataplat.feature_store.definitions import FeatureService, FeatureView
from dataplat.feature_store.windows import Ratio
from dataplat.testing._features_history import Fact, Row
from dataplat.testing._features_values import bits

Key: TypeAlias = tuple[Any, ...]


def upserted(held: Fact | None, fact: Fact) -> Fact:
    """Return what a store holds after a write: the newer of both by (e, k), whichever was written last (9)."""
    return fact if held is None or fact.order > held.order else held


def counted(pushes: Iterable[tuple[str, Row]]) -> list[Row]:
    """Return the rows of pushes, each idempotency key once, however often it was tried (9)."""
    first: dict[str, Row] = {}
    for id, row in pushes:
        first.setdefault(id, row)
    return list(first.values())


def can_matter(part: Sequence[Fact], last: int, delay: int) -> bool:
    """Say whether a part must be read for a spine that ends at `last` (15): one of its rows can be served by then.

    Nothing else prunes: rows older than the ttl tell `expired` from `missing_key`, and later ones that are known already
    tell `not_yet` from it (4).
    """
    return any(fact.k + delay <= last for fact in part)


def changed(before: Sequence[Fact], after: Sequence[Fact]) -> set[Key]:
    """Return the keys that a new version changes, however old the event times of what was added or deleted are (17)."""
    ours, theirs = _counted(before), _counted(after)
    differing = {each for each in ours.keys() | theirs.keys() if ours.get(each) != theirs.get(each)}
    return {key for key, _ in differing if key is not None}


def _counted(rows: Sequence[Fact]) -> dict[tuple[Key | None, Any], int]:
    found: dict[tuple[Key | None, Any], int] = {}
    for fact in rows:
        each = (fact.key, tuple(sorted((column, repr(bits(value))) for column, value in fact.row.items())))
        found[each] = found.get(each, 0) + 1
    return found


def kept(rows: Sequence[Fact], snapshot: int) -> list[Fact]:
    """Return what last-value features need of one key from a snapshot on: the newest row by then, and all later ones (18)."""
    past = sorted((fact for fact in rows if fact.e <= snapshot), key=lambda fact: fact.order)
    return past[-1:] + [fact for fact in rows if fact.e > snapshot]


def mature(times: Sequence[int], horizon: int, newest_label: int) -> tuple[list[int], int]:
    """Return the spine rows whose labels can be known, t + h <= the labels' newest known time, and how many are not (27)."""
    found = [at for at, t in enumerate(times) if t + horizon <= newest_label]
    return found, len(times) - len(found)


def leaks(service: FeatureService, labels: str, column: str) -> list[str]:
    """Return what the lint says of features from the labels' own dataset (27)."""
    told = []
    for view in service.views:
        if view.view.source != labels:
            continue
        for feature in view.features:
            parts = (feature.above, feature.below) if isinstance(feature, Ratio) else (feature,)
            if column in {part.column for part in parts}:
                told.append(f"{view.name}__{feature.feature} is of the label itself")
            elif view.view.known_at is None:
                told.append(f"{view.name}__{feature.feature} is of the labels' dataset, without known_at")
    return told


def refusal(view: FeatureView, *, changes: bool, key: Sequence[str]) -> str | None:
    """Return why `plan` refuses a view over a dataset that is upserted or deleted (28); None: it does not.

    Args:
        view: the view.
        changes: whether rows of its source are ever replaced or deleted.
        key: the dataset's key.
    """
    told = view.view
    if not changes or told.history == "commits" or {told.timestamp, told.known_at} <= set(key):
        return None
    return (
        f"{view.name}: rows of {told.source} are replaced or deleted, so what was served would vanish from training; "
        'say history="commits", or put the event and known time into its key'
    )
