"""Which rows of a key matter between two times: what may be left out where its questions are asked in several places.

A row that is known after the last question is seen by none. Of what could be served by the first question the newest row is
newer than all before it at every later time, so that those are no last value any more; and no window reaches further back
than its length. Corrections, deletes and windows of a lifetime look at all rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dataplat.feature_store.definitions import FeatureView, Field
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.windows import Window, parts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools: TypeAlias = NDArray[np.bool_]


def is_cut(view: FeatureView) -> bool:
    """Say whether of old rows some can be left out, however old the first question is."""
    return not view.view.row_key and view.view.history == "append" and _reach(view) is not None


def mattering(view: FeatureView, found: Facts, first: int | None, last: int | None) -> Bools:
    """Return which rows of one key may be seen by questions from `first` to `last`, microseconds, both included.

    Args:
        view: whose rows they are.
        found: rows of one key in order, all of them or some.
        first: the time of the first question; None: there may be earlier ones than any row.
        last: that of the last; None: there may be later ones than any row.
    """
    there = np.ones(len(found), bool) if last is None else found.k <= last
    if first is None or not is_cut(view):
        return there
    settled = np.maximum(found.e, found.k) <= first
    filled = {each.column for each in view.features if isinstance(each, Field) and each.fill == "last_non_null"}
    needed = [settled, *(settled & np.asarray(found.columns.column(name).is_valid()) for name in sorted(filled))]
    if not all(each.any() for each in needed):
        return there
    oldest = min(int(found.e[np.flatnonzero(each)[-1]]) for each in needed)
    reach = _reach(view)
    assert reach is not None
    return there & ((found.e >= oldest) | (found.e > first - reach))


def _reach(view: FeatureView) -> int | None:
    """Return how far back windows reach, microseconds, whole tiles included; None: to the beginning."""
    found = 0
    for each in view.features:
        for part in parts_of(each):
            if not isinstance(part, Window):
                continue
            if part.span is None:
                return None
            found = max(found, part.span + (part.hop or 0))
    return found
