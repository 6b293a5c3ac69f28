"""A source tried before anything is applied: the columns that a view reads are there, and its features can be computed of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dataplat.errors import DataplatError
from dataplat.feature_store.kernel.answer import answer
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.order import columns_of, of_keys
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat._features._sources import ViewSource
    from dataplat.feature_store.definitions import FeatureView
    from dataplat.feature_store.kernel.facts import Facts

_ROWS: Final = 50
"""Rows of which features are computed, as if they were asked for when these became known."""


def missing(view: FeatureView, names: Sequence[str]) -> list[str]:
    """Return, in words, which columns a view reads that its source has not."""
    return [
        f"view {view.name}: its source has no column {column!r}{did_you_mean(column, names)}"
        for column in columns_of(view)
        if column not in names
    ]


def uncomputable(source: ViewSource) -> list[str]:
    """Return, in words, which features of a view cannot be computed of its rows: each is told, not only the first.

    A column may hold what a function cannot be of, a default be of another type.
    """
    view = source.view
    facts, ask = _asked(source)
    if _fault(view, facts, ask) is None:
        return []
    found = (_fault(view[[each.feature]], facts, ask) for each in view.features)
    return list(dict.fromkeys(each for each in found if each is not None))


def _fault(view: FeatureView, facts: Facts, ask: Ask) -> str | None:
    try:
        answer(view, facts, ask)
    except DataplatError as error:
        return f"view {view.name}: {str(error).removeprefix('view ').removeprefix(f'{view.name}: ')}"
    return None


def _asked(source: ViewSource) -> tuple[Facts, Ask]:
    """Return questions of the times at which some rows became known, the first of before all, and the facts of their keys."""
    facts = source.whole
    rows = np.linspace(0, len(facts) - 1, _ROWS).astype(np.int64)
    if not len(facts):
        none = np.zeros(_ROWS, np.uint64)
        return facts, Ask(none, none, None, np.zeros(_ROWS, np.int64))
    t = np.maximum(facts.e, facts.k)[rows]
    t[0] = min(int(facts.e.min()), int(facts.k.min())) - 1
    keyless = None if facts.keyless is None else facts.keyless[rows]
    ask = Ask(facts.high[rows], facts.low[rows], keyless, t)
    if source.apart:
        keys = np.unique(np.column_stack((ask.high, ask.low)), axis=0)
        facts = of_keys(facts, *(np.ascontiguousarray(keys[:, lane]) for lane in (0, 1)))
    return facts, ask
