"""What of a view is allowed, and hardly meant: the plan tells it, and refuses nothing for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dataplat.feature_store.online.plan import flat, kind_of
from dataplat.feature_store.windows import spoken

if TYPE_CHECKING:
    from dataplat._features._sources import ViewSource

_SECOND = 1_000_000


def doubts(source: ViewSource, keyless: int, ties: int) -> Iterator[str]:
    """Yield, in words, what should be looked at.

    Args:
        source: the source of a view.
        keyless: how many of its rows have no key.
        ties: how many agree with another one in key and times.
    """
    view = source.view
    told = view.view
    for each in flat(view.features):
        if each.span is not None and each.span < _SECOND:
            yield (
                f"view {view.name}: {each.feature} looks back {spoken(each.span)}: numbers are microseconds, and '24h' is a day"
            )
    if told.history == "commits" and told.known_at is not None:
        yield (
            f"view {view.name}: known_at={told.known_at} is not looked at: with history='commits' rows are known when they "
            "are committed"
        )
    if bounds := _vain(source):
        yield f"view {view.name}: no drift is looked for in {', '.join(bounds)}"
    if keyless:
        yield f"view {view.name}: {keyless:,} rows have no key, and are never served"
    if ties:
        yield (
            f"view {view.name}: {ties:,} rows agree with another one in key, event time and known time; its columns "
            "decide between them, in the order of their declaration"
        )


def _vain(source: ViewSource) -> list[str]:
    """Return the features whose drift is bounded and cannot be told, with the reason."""
    from dataplat.validation.drift import kind_of as compared_as

    view = source.view
    bounded = dict(view.view.drift)
    types = {field.name: field.type for field in source.schema}
    kinds = {each.feature: kind_of(each, types) for each in view.features if each.feature in bounded}
    if not view.view.entities:
        return [f"{name}: without an entity it has one value" for name in kinds]
    return [f"{name}: it holds {kind}" for name, kind in kinds.items() if compared_as(kind) is None]
