"""What leaks from the future into a training set, seen before it is made (PIT 27)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataplat.feature_store.closure import used_views
from dataplat.feature_store.definitions import Feature, FeatureService, FeatureView, Field, Sql
from dataplat.feature_store.kernel.order import columns_of
from dataplat.feature_store.windows import Window, parts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def leaks(
    service: FeatureService, labels: str, columns: Collection[str], reads: Mapping[str, Collection[str]]
) -> list[str]:
    """Return what a service knows of labels that it could not know, in words.

    Args:
        service: the service.
        labels: the dataset that labels come from.
        columns: of the labels.
        reads: by view the datasets that its source reads.
    """
    told = []
    for view in used_views(service):
        if labels not in reads.get(view.name, ()):
            continue
        query = isinstance(view.view.source, Sql)  # whose columns may be called as they like
        label = [each.feature for each in view.features if not query and set(_columns(each)) & set(columns)]
        chosen = [] if query else sorted(_asked_of(view) & set(columns))
        if label:
            told.append(
                f"{view.name}: {', '.join(label)} {'is' if len(label) == 1 else 'are'} made of the label itself ({labels})"
            )
        if chosen:
            told.append(f"{view.name}: its where= looks at the label itself ({labels}: {', '.join(chosen)})")
        if label or chosen:
            continue
        if view.view.known_at is None and view.view.history != "commits":
            told.append(
                f"{view.name} is made of {labels}, where the labels are, and does not say when its rows were known: "
                "give it known_at=, or a row's features may hold its own label"
            )
    return told


def _asked_of(view: FeatureView) -> set[str]:
    """Return the columns that its condition looks at, but for keys and times: these are no labels."""
    told = view.view
    alone = replace(told, keys=(), timestamp="", known_at=None, row_key=(), columns=())
    plain = {told.timestamp, told.known_at, *told.row_key, *(column for column, _ in told.keys), ""}
    return set(columns_of(FeatureView.made_of(view.name, alone))) - plain


def _columns(feature: Feature) -> list[str]:
    parts: tuple[Field | Window, ...] = parts_of(feature)
    return [each.column for each in parts if each.column is not None]
