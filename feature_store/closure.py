"""The closure of a service: all that the values of its features depend on, and its hash (PIT 26).

A model remembers the hash it was trained under, sends it, and is refused where it differs. In it: the columns in their
order (models take them by position), the used features with defaults and fills, sources, keys, times, ttl, windows,
conditions, expressions, the types of the request, and the version of the kernel. Not in it: what is only said about
features, the name and version of the service, features that it does not use, limits, freshness and drift, and the order of
declarations that give no order to anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from dataplat.errors import ClosureMismatch, ConfigError
from dataplat.feature_store.definitions import Feature, FeatureService, FeatureView, Field, OnDemand, Sql
from dataplat.feature_store.kernel import VERSION
from dataplat.feature_store.kernel.ondemand import Expression, Transforms
from dataplat.feature_store.windows import First, Last, LastN, Window, parts_of

FORMAT: Final = 1
LEAST: Final = 12
"""Digits of a hash that tell it from every other, as of ids elsewhere."""


def closure_hash(service: FeatureService) -> str:
    """Return the SHA-256 of the closure of a service, in hexadecimal."""
    return hashlib.sha256(json.dumps(closure(service), sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def check_closure(service: FeatureService, sent: str) -> None:
    """Raise `ClosureMismatch` if a model was trained under another closure than that of the service (PIT 26)."""
    check_hash(service.reference, closure_hash(service), sent)


def check_hash(space: str, served: str, sent: str) -> None:
    """Refuse a model that was trained under another closure than is served, naming both (PIT 26).

    Args:
        space: what is served, as `service@version`.
        served: the hash of its closure.
        sent: what the model was trained under: that hash, or its first 12 digits or more, as commands print it.

    Raises:
        ClosureMismatch: It is another.
    """
    given = sent.strip().lower()
    if given == served or (len(given) >= LEAST and served.startswith(given)):
        return
    raise ClosureMismatch(
        f"the model was trained under {sent!r}, and {space} is {served}: a definition changed since. Ask for the version "
        "that it was trained under, or train it again",
        sent,
        served,
    )


def closure(service: FeatureService) -> dict[str, Any]:
    """Return the closure of a service as plain values.

    Raises:
        ConfigError: An on-demand feature makes no sense, or two views of one name differ.
    """
    transforms = Transforms.of(service)
    return {
        "closure": FORMAT,
        "kernel": VERSION,
        "columns": [column for each in service.features for column in each.outputs],
        "views": {view.name: _view(view) for view in used_views(service, transforms)},
        "on_demand": {each.name: _expression(each) for each in transforms.expressions},
    }


def used_views(service: FeatureService, transforms: Transforms | None = None) -> tuple[FeatureView, ...]:
    """Return the views of a service, each with the features that are used: asked for, or read by on-demand features.

    Those that are asked for come first, in their order.

    Raises:
        ConfigError: Two views of one name are not the same view.
    """
    read = set((transforms or Transforms.of(service)).features)
    asked = [each for each in service.features if isinstance(each, FeatureView)]
    behind = [view for each in service.features if isinstance(each, OnDemand) for view in each.views]
    found: dict[str, FeatureView] = {view.name: view for view in asked}
    for view in behind:
        wanted = tuple(each for each in view.features if f"{view.name}__{each.feature}" in read)
        found[view.name] = _united(found[view.name], view, wanted) if view.name in found else _narrowed(view, wanted)
    return tuple(view for view in found.values() if view.features)


def _narrowed(view: FeatureView, features: Sequence[Feature]) -> FeatureView:
    return FeatureView.made_of(view.name, replace(view.view, features=tuple(features)), view.renamed)


def _united(one: FeatureView, other: FeatureView, wanted: Sequence[Feature]) -> FeatureView:
    """Return a view with the features of another one, which must be the same view."""
    if _narrowed(one, ()) != _narrowed(other, ()) or one.view.columns != other.view.columns:
        raise ConfigError(f"two different views are called {one.name!r}; give one of them an alias")
    have = {each.feature: each for each in one.features}
    for each in wanted:
        if have.setdefault(each.feature, each) != each:
            raise ConfigError(f"{one.name} has two different features called {each.feature!r}")
    return _narrowed(one, tuple(have.values()))


def _view(view: FeatureView) -> dict[str, Any]:
    told = view.view
    windows = [part for each in view.features for part in parts_of(each) if isinstance(part, Window)]
    dtypes = {entity.name: entity.dtype for entity in told.entities}
    spine = dict(zip(dtypes, view.spine_keys, strict=True))
    return {
        "source": {"sql": told.source.query} if isinstance(told.source, Sql) else told.source,
        "keys": sorted([spine[entity], dtypes[entity], column] for column, entity in told.keys),
        "timestamp": told.timestamp,
        "known_at": told.known_at,
        "delay": told.delay,
        "ttl": told.ttl,
        "where": told.where,
        "zone": told.zone,
        "history": told.history,
        "row_key": sorted(told.row_key) if windows else [],
        "ties": _ties(view),
        "features": {each.feature: _plain(each.describe()) for each in view.features},
    }


def _ties(view: FeatureView) -> list[str]:
    """Return the columns that order rows that tie, so far as that can be seen in a feature that is used.

    Rows that tie on all columns up to that of the last used feature hold the same values in each of them: so a column
    that is declared behind it changes nothing.
    """
    columns = view.view.columns
    if view.view.row_key and any(isinstance(part, Window) for each in view.features for part in parts_of(each)):
        return list(columns)  # which of two corrections counts, whatever is then made of it
    seen = {
        part.column
        for each in view.features
        for part in parts_of(each)
        if isinstance(part, Field | First | Last | LastN) and part.column is not None
    }
    last = max((at for at, column in enumerate(columns) if column in seen), default=-1)
    return list(columns[: last + 1])


def computed_words(service: FeatureService) -> dict[str, str]:
    """Return what each on-demand feature of a service computes, in Polars' words."""
    told = closure(service)["on_demand"]
    return {name: each["words"].removesuffix(f'.alias("{name}")') for name, each in told.items()}


def _expression(made: Expression) -> dict[str, Any]:
    """Return an expression as the JSON that Polars writes, and in its words: JSON has no NaN."""
    tree = json.loads(made.expr.meta.serialize(format="json"))
    return {
        "tree": _plain(tree),
        "words": str(made.expr),
        "request": dict(made.request),
        "default": _plain(made.default),
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON that differs where it does: 1 is not 1.0, 0.0 not -0.0, a date not its text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return {type(value).__name__: repr(value)}
