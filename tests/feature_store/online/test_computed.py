"""On-demand features of a request: the way of requests is that of training sets (PIT 25)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from dataplat.errors import SchemaError
from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView, Request, on_demand
from dataplat.feature_store.kernel.answer import answers
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.online import computed
from dataplat.feature_store.online.plan import ServingPlan, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Reading, Snapshot
from dataplat.testing._features_values import bits

TABLE = pa.table(
    {
        "k": ["a", "b", "c", "d"],
        "t": pa.array([1] * 4).cast(pa.timestamp("us", "UTC")),
        "x": [1.5, None, math.nan, math.inf],
        "n": pa.array([300, 5, None, -7], pa.int32()),
        "s": ["12", "x", None, "7"],
        "f": [True, False, None, True],
    }
)
VIEW = FeatureView("v", source="s", entity=Entity("k"), timestamp="t", ttl=None, features=["x", "n", "s", "f", "t"])
REQUEST = Request({"d": "float64", "w": "string", "m": "int64"})


def feature(name: str, default: Any = None) -> Any:
    """Return a decorator for an on-demand feature."""
    return on_demand(inputs=[VIEW, REQUEST], name=name, default=default)


FEATURES = [
    feature("per")(lambda t: t.x / t.d),
    feature("filled", -1.0)(lambda t: t.x * t.d),
    feature("scaled")(lambda t: t.x / 3.7 + t.d / 0.3),
    feature("words")(lambda t: t.s + t.w),
    feature("both")(lambda t: t.f & (t.n > t.m)),
    feature("small")(lambda t: t.n.cast(pl.Int8)),
    feature("parsed", 0)(lambda t: t.s.str.to_integer()),
    feature("later")(lambda t: t.t.dt.offset_by("1d")),
]


class Site:
    """A service of some on-demand features."""

    def __init__(self, features: list[Any]) -> None:
        self.service = FeatureService("f", [VIEW, *features])
        self.plan = ServingPlan.of(self.service, types_of({"v": TABLE.schema}))
        self.facts = facts(VIEW, TABLE)
        self.records = dict(pack(self.plan, self.plan.groups[0], {"v": self.facts}, 1))
        self.serving = Serving(self.plan)

    def ask(self, keys: list[Any], request: dict[str, Any]) -> Any:
        """Ask for some rows."""
        snapshot = Snapshot("s", 1, {}, self.plan.closure, types=self.plan.types)
        return self.serving.answer(
            {"k": keys}, request, 1, lambda some: Reading(snapshot, 0, [*map(self.records.get, some)], [])
        )


KEYS = ["a", "b", "c", "d", "e", None]
ROWS = {"d": [2.0, 1.0, 0.0, None, 1.0, 1.0], "w": ["!", "", None, "?", "", ""], "m": [1, 2, 3, None, 5, 6]}


@pytest.mark.parametrize(
    "features",
    [*([each] for each in FEATURES), FEATURES[:5], FEATURES],
    ids=lambda each: "+".join(one.name for one in each),
)
def test_25_values_statuses_and_types_are_those_of_training_sets(features: list[Any]) -> None:
    """Of one row and of many; null, NaN, failed, of other types."""
    site = Site(features)
    needed = {name: values for name, values in ROWS.items() if name in site.plan.transforms.request}
    spine = pa.table({"k": pa.array(KEYS)} | {name: pa.array(values) for name, values in needed.items()})
    wanted = answers(site.service, {"v": site.facts}, spine, np.ones(len(KEYS), np.int64))
    many = site.ask(KEYS, needed).table(statuses=True, ages=True)
    assert many.schema == wanted.schema
    for name in wanted.schema.names:
        assert bits(many[name].to_pylist()) == bits(wanted[name].to_pylist()), name
    for at, key in enumerate(KEYS):
        one = site.ask([key], {name: [values[at]] for name, values in needed.items()})
        table = one.table(statuses=True)
        for name in table.schema.names:
            assert bits(table[name].to_pylist()) == bits(wanted[name].slice(at, 1).to_pylist()), (key, name)


def test_a_request_is_answered_without_the_way_of_training_sets() -> None:
    """Where types are plain: what is measured is what is done."""
    site = Site([FEATURES[at] for at in (0, 1, 3, 4)])
    on_demand_features = site.serving._on_demand
    assert on_demand_features is not None
    assert on_demand_features.plain
    raw = dict(site.ask(["a"], {"d": [2.0], "w": ["!"], "m": [1]}).raw)
    request: dict[str, Any] = {"d": [2.0], "w": ["!"], "m": [1]}
    assert on_demand_features._quickly(raw, request, 1) == {
        "per": [0.75],
        "filled": [3.0],
        "words": ["12!"],
        "both": [True],
    }
    assert on_demand_features._quickly(raw, request | {"d": [2]}, 1) is None  # by Arrow, which says if that is a float


def test_without_the_names_that_are_polars_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Polars that calls them otherwise is used by its public ones."""
    monkeypatch.setattr("polars._utils.wrap.wrap_ldf", None)
    site = Site([FEATURES[at] for at in (0, 1, 3, 4)])
    assert site.ask(["a"], {"d": [2.0], "w": ["!"], "m": [1]}).columns["per"] == [0.75]
    assert computed.made_kinds(site.plan)["per"] == pa.float64()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"w": ["x"], "m": [1]}, "needs the column 'd'"),
        ({"d": ["x"], "w": ["x"], "m": [1]}, "'d', row 0: 'x' is no double"),
        ({"d": [1.0], "w": [1], "m": [1]}, "'w', row 0: 1 is no string"),
        ({"d": [1.0], "w": ["x"], "m": [1.5]}, "'m', row 0: 1.5 is no int64"),
    ],
)
def test_what_is_of_another_type_is_named(request_: dict[str, Any], said: str) -> None:
    """Column, row and value."""
    with pytest.raises(SchemaError, match=said):
        Site([FEATURES[at] for at in (0, 1, 3, 4)]).ask(["a"], request_)
