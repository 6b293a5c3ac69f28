"""Definitions as JSON, and back: what `apply` keeps in the lake. What is read is equal to what was written, hash and all.

An on-demand feature is kept as the JSON that Polars writes of its expression: its function may be gone tomorrow.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.errors import LakeFormatError
from dataplat.feature_store import windows
from dataplat.feature_store.definitions import (
    Entity,
    Feature,
    FeatureService,
    FeatureView,
    Field,
    OnDemand,
    Request,
    Sql,
    ViewParts,
)
from dataplat.feature_store.kernel.ondemand import Expression, Transforms
from dataplat.feature_store.windows import Ratio, Window

if TYPE_CHECKING:
    import polars as pl

FORMAT: Final = 1
Json: TypeAlias = dict[str, Any]

_WINDOWS: Final[dict[str, type[Window]]] = {
    kind.__name__: kind
    for kind in (
        windows.Count,
        windows.Sum,
        windows.Mean,
        windows.Std,
        windows.Min,
        windows.Max,
        windows.DistinctCount,
        windows.Quantile,
        windows.First,
        windows.Last,
        windows.LastN,
    )
}
_VIEW: Final = ("timestamp", "known_at", "delay", "ttl", "where", "zone", "history", "max_events_per_key", "freshness")


def service_to_json(service: FeatureService) -> Json:
    """Return a service as plain values.

    Raises:
        ConfigError: An on-demand feature makes no sense.
    """
    import polars as pl

    transforms = {each.name: each for each in Transforms.of(service).expressions}
    inputs = [view for each in service.features if isinstance(each, OnDemand) for view in each.views]
    return {
        "format": FORMAT,
        "service": service.name,
        "version": service.version,
        "polars": pl.__version__,
        "features": [
            {"view": view_to_json(each)} if isinstance(each, FeatureView) else _made_to_json(transforms[each.name])
            for each in service.features
        ],
        "inputs": [view_to_json(view) for view in inputs],
    }


def service_from_json(told: Mapping[str, Any]) -> FeatureService:
    """Return the service of `service_to_json`.

    Raises:
        LakeFormatError: It is of another format, says what this version knows nothing of, or Polars cannot read one of its
            expressions.
    """
    if told.get("format") != FORMAT:
        raise LakeFormatError(
            f"the definition of a service has format {told.get('format')!r}, and this dataplat knows {FORMAT}: use a newer one"
        )
    try:
        return _service(told)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, AssertionError) as error:
        raise LakeFormatError(
            f"the definition of service {told.get('service')!r} version {told.get('version')} was kept by another version "
            f"of dataplat, and this one cannot read it ({type(error).__name__}: {error}): use that version, or apply the "
            "service again, as a new version"
        ) from error


def _service(told: Mapping[str, Any]) -> FeatureService:
    inputs = [view_from_json(each) for each in told["inputs"]]
    views = [view_from_json(each["view"]) for each in told["features"] if "view" in each]
    made = iter(views)
    features = [
        next(made) if "view" in each else _made_from_json(each["on_demand"], inputs, str(told["polars"]))
        for each in told["features"]
    ]
    return FeatureService(told["service"], features, told["version"])


def view_to_json(view: FeatureView) -> Json:
    """Return a view as plain values."""
    kept = view.view
    return {
        "name": view.name,
        "renamed": [list(pair) for pair in view.renamed],
        "source": {"sql": kept.source.query} if isinstance(kept.source, Sql) else kept.source,
        "entities": [[entity.name, entity.dtype] for entity in kept.entities],
        "keys": [list(pair) for pair in kept.keys],
        "row_key": list(kept.row_key),
        "features": [_feature_to_json(each) for each in kept.features],
        "columns": list(kept.columns),
        **{name: getattr(kept, name) for name in _VIEW},
        **({"drift": dict(kept.drift)} if kept.drift else {}),
    }


def view_from_json(told: Mapping[str, Any]) -> FeatureView:
    """Return the view of `view_to_json`; a ValueError says what would be written otherwise: nothing is overlooked."""
    made = _view(told)
    again = view_to_json(made)
    if other := [name for name in told if name not in again or again[name] != told[name]]:
        raise ValueError(f"what view {told['name']} says of {', '.join(other)}")
    return made


def _view(told: Mapping[str, Any]) -> FeatureView:
    source = told["source"]
    parts = ViewParts(
        source=Sql(source["sql"]) if isinstance(source, dict) else source,
        entities=tuple(Entity(name, dtype) for name, dtype in told["entities"]),
        keys=tuple((column, entity) for column, entity in told["keys"]),
        row_key=tuple(told["row_key"]),
        features=tuple(_feature_from_json(each) for each in told["features"]),
        columns=tuple(told["columns"]),
        **{name: told[name] for name in _VIEW},
        drift=tuple((name, bound) for name, bound in told.get("drift", {}).items()),
    )
    return FeatureView.made_of(told["name"], parts, tuple((entity, column) for entity, column in told["renamed"]))


def _feature_to_json(feature: Feature) -> Json:
    if isinstance(feature, Field):
        return {
            "field": feature.column,
            "default": _plain(feature.default),
            "fill": feature.fill,
            "name": feature.name,
        }
    if isinstance(feature, Ratio):
        return {"ratio": [_feature_to_json(each) for each in (feature.above, feature.below)], "name": feature.name}
    return {"function": type(feature).__name__} | {
        each.name: getattr(feature, each.name) for each in fields(feature) if each.name != "_"
    }


def _feature_from_json(told: Mapping[str, Any]) -> Feature:
    if "field" in told:
        return Field(told["field"], default=_value(told["default"]), fill=told["fill"], name=told["name"])
    if "ratio" in told:
        above, below = (_feature_from_json(each) for each in told["ratio"])
        assert isinstance(above, Window)
        assert isinstance(below, Window)
        return Ratio(above, below, name=told["name"])
    given = {name: value for name, value in told.items() if name != "function"}
    return _made(_WINDOWS[told["function"]], given)


def _made(kind: type[Window], given: dict[str, Any]) -> Window:
    column = given.pop("column")
    if kind is windows.Count:
        return windows.Count(**given)
    return kind(column, **given)


def _made_to_json(made: Expression) -> Json:
    tree = json.loads(made.expr.meta.serialize(format="json"))
    inner = tree["Alias"][0] if isinstance(tree, dict) and "Alias" in tree else tree
    return {
        "on_demand": {
            "name": made.name,
            "expression": inner,
            "words": str(made.expr),
            "features": list(made.features),
            "request": dict(made.request),
            "default": _plain(made.default),
        }
    }


def _made_from_json(told: Mapping[str, Any], inputs: Sequence[FeatureView], polars: str) -> OnDemand:
    """Return an on-demand feature whose function returns the expression that was kept."""
    read = set(told["features"])
    own = [
        view[wanted]
        for view in inputs
        if (wanted := [each.feature for each in view.features if f"{view.name}__{each.feature}" in read])
    ]
    expr = _read(json.dumps(told["expression"]), told["name"], polars)
    return OnDemand(told["name"], (*own, Request(told["request"])), lambda _: expr, _value(told["default"]))


def _read(text: str, name: str, polars: str) -> pl.Expr:
    import polars as pl

    try:
        return pl.Expr.deserialize(io.StringIO(text), format="json")
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise LakeFormatError(
            f"on-demand feature {name} was kept by Polars {polars}, and Polars {pl.__version__} cannot read it ({error}): "
            "apply the service again, as a new version"
        ) from error


def _plain(value: Any) -> Any:
    """Return a default as JSON that says what it is."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, list | tuple):
        return {"list": [_plain(each) for each in value]}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, timedelta):
        return {"timedelta": value // timedelta(microseconds=1)}
    raise LakeFormatError(f"a default cannot be {value!r}, a {type(value).__name__}: it could not be kept")


def _value(told: Any) -> Any:
    if not isinstance(told, dict):
        return told
    [(kind, text)] = told.items()
    readers: dict[str, Any] = {
        "float": float.fromhex,
        "list": lambda items: [_value(each) for each in items],
        "bytes": base64.b64decode,
        "decimal": Decimal,
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "timedelta": lambda count: timedelta(microseconds=count),
    }
    return readers[kind](text)
