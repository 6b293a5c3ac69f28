"""The features of a view from facts in pieces: searched for in each by itself where that is enough, else of all together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dataplat.feature_store.definitions import FeatureView, Field
from dataplat.feature_store.kernel.answer import Answer, AsKnown, answer, served
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.asof import latest
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.kernel.order import by_high, merged, of_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words: TypeAlias = NDArray[np.uint64]


def plain(view: FeatureView) -> bool:
    """Say whether a view has last values alone, which need no row but the newest."""
    return all(isinstance(each, Field) and each.fill == "null" for each in view.features)


def answer_of_pieces(view: FeatureView, pieces: Sequence[Facts], ask: Ask, as_known: AsKnown = None) -> Answer:
    """Return what `answer` does of the facts of all pieces: all rows of the keys that are asked about."""
    found = None
    if plain(view):
        found = searched(
            view, pieces, ask, lambda *keys: merged(view, [of_keys(each, *keys) for each in pieces]), as_known
        )
    return answer(view, merged(view, pieces), ask, as_known=as_known) if found is None else found


def searched(
    view: FeatureView, pieces: Sequence[Facts], ask: Ask, whole: Callable[[Words, Words], Facts], as_known: AsKnown
) -> Answer | None:
    """Return last values found in each piece by itself; None where rows of one come in another order than they happen.

    Args:
        view: a plain one.
        pieces: each is looked at once, and let go.
        ask: the questions.
        whole: returns all facts of some keys.
        as_known: as in `answer`.
    """
    order = by_high(ask.high)
    sorted_ask = ask.take(order)
    told = latest(pieces, sorted_ask, as_known=as_known)
    if told is None:
        return None
    found = served(view, pieces, told, sorted_ask)
    if len(told.open):
        found = _mended(view, sorted_ask, told.open, found, whole, as_known)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return found.placed(places)


def _mended(
    view: FeatureView,
    ask: Ask,
    again: NDArray[np.int64],
    found: Answer,
    whole: Callable[[Words, Words], Facts],
    as_known: AsKnown,
) -> Answer:
    """Ask some questions of all rows of their keys."""
    some = ask.take(again)
    told = answer(view, whole(some.high, some.low), some, as_known=as_known)
    places = np.arange(len(ask))
    places[again] = len(ask) + np.arange(len(again))
    return replace(Answer.joined([found, told]).placed(places), ties=found.ties)
