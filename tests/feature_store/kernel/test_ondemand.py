"""On-demand features: names, chains and errors of their functions; computed at once, cell by cell where they fail."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError, SchemaError
from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView, OnDemand, Request, on_demand
from dataplat.feature_store.kernel.ondemand import Transforms, expression, typed
from dataplat.feature_store.status import Status
from dataplat.testing._features_values import bits
from dataplat.testing.features_reference import all_views, reference
from dataplat.testing.features_worlds import drawn_world

AIRPORT = Entity("airport")
PLAIN = {"source": "s", "entity": AIRPORT, "timestamp": "at", "ttl": None}
WEATHER = FeatureView("weather", features=["temp", "wind"], **PLAIN)
SOIL = FeatureView("soil", features=["temp", "first word"], **PLAIN)
REQUEST = Request({"distance": "float64", "n": "int32"})


def made(function, *inputs, **told):
    """Return the expression of a function."""
    return expression(on_demand(inputs=inputs or (WEATHER, SOIL, REQUEST), name="made", **told)(function))


def transforms(*features):
    """Return what a service of these computes."""
    return Transforms.of(FeatureService("m", features))


def test_names_are_columns_of_views_and_of_the_request():
    """`t.x` is `view__x`, or the request's x; what is read is told, sorted, with the request's types."""
    found = made(lambda t: t.wind / t.distance + t.wind)
    assert found.features == ("weather__wind",)
    assert found.request == {"distance": "float64"}
    assert found.columns == ("weather__wind", "distance")
    assert found.expr.meta.output_name() == "made"


def test_shared_name_is_an_error_unless_its_input_is_named():
    """Both ways out are in the message."""
    with pytest.raises(
        ConfigError, match=r'weather and soil both have \'temp\'; write t\["weather"\].temp or t\["soil"\].temp'
    ):
        made(lambda t: t.temp)
    assert made(lambda t: t["weather"].temp - t["soil"].temp).features == ("soil__temp", "weather__temp")
    assert made(lambda t: t["soil"]["first word"]).features == ("soil__first word",)
    assert made(lambda t: t["request"].n).request == {"n": "int32"}


def test_alias_is_a_view_of_its_own():
    """Its columns bear its name."""
    there = WEATHER.alias("there", on={"dest": "airport"})
    found = made(lambda t: t["there"].temp - t["weather"].temp, WEATHER, there)
    assert found.features == ("there__temp", "weather__temp")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda t: t.winds, "none of its inputs has 'winds'; did you mean 'wind'"),
        (lambda t: t["wether"].wind, "has no input 'wether'; did you mean 'weather'"),
        (lambda t: t["weather"].winds, "weather has no 'winds'; did you mean 'wind'"),
        (lambda _: pl.col("other"), "reads 'other', which is not among its inputs"),
        (lambda _: pl.lit(1), "reads none of its inputs"),
        (lambda _: 1, "returns int"),
        (lambda _: pl.col("weather__temp", "weather__wind"), "several columns"),
    ],
)
def test_function_that_makes_no_sense_is_refused(function, message):
    """By name, with what was meant."""
    with pytest.raises(ConfigError, match=message):
        made(function)


def test_request_that_makes_no_sense_is_refused():
    """A wildcard, an unknown type, one column in two types, one that is a feature's column."""
    for columns, error in (({"*": "int64"}, "called"), ({"^a$": "int64"}, "called"), ({"a": "number"}, "unknown type")):
        with pytest.raises((ConfigError, SchemaError), match=error):
            made(lambda t: t.a, Request(columns))
    with pytest.raises(ConfigError, match="'a' is int64, and string, too"):
        made(lambda t: t.a, Request({"a": "int64"}), Request({"a": "string"}))
    with pytest.raises(ConfigError, match="is a feature and a column of the request"):
        made(lambda t: t.wind, WEATHER, Request({"weather__wind": "int64"}))
    one = on_demand(inputs=[Request({"a": "int64"})], name="one")(lambda t: t.a)
    two = on_demand(inputs=[Request({"a": "string"})], name="two")(lambda t: t.a)
    with pytest.raises(ConfigError, match="two wants the request's 'a' as string, another feature as int64"):
        transforms(one, two)


def test_chain_is_one_expression_with_the_defaults_of_its_links():
    """It reads what its links read, and is computed without them."""
    per = on_demand(inputs=[WEATHER, REQUEST], name="per", default=0.5)(lambda t: t.wind / t.distance)
    chain = on_demand(inputs=[per, SOIL], name="chain")(lambda t: t.per * t.temp)
    found = transforms(chain)
    assert found.features == ("soil__temp", "weather__wind")
    assert found.request == {"distance": "float64"}
    inputs = pl.DataFrame({"soil__temp": [4.0, 4.0], "weather__wind": [3.0, None], "distance": [2.0, 2.0]})
    assert found.compute(inputs).frame.to_dict(as_series=False) == {"chain": [6.0, 2.0]}
    assert FeatureService("m", [chain]).views == (WEATHER, SOIL)


def test_all_are_computed_in_one_select(monkeypatch):
    """As long as none fails; the function itself was called once, when the service was made."""
    calls = []
    features = [
        on_demand(inputs=[WEATHER], name=f"f{n}")(lambda t, n=n: calls.append(n) or t.wind + n) for n in range(5)
    ]
    found = transforms(*features)
    selects = []
    original = pl.DataFrame.select
    monkeypatch.setattr(pl.DataFrame, "select", lambda me, *told: selects.append(len(told[0])) or original(me, *told))
    for _ in range(3):
        result = found.compute(pl.DataFrame({"weather__wind": [1.0]}))
    assert (calls, selects) == ([0, 1, 2, 3, 4], [5, 5, 5])
    assert result.frame.row(0) == (1.0, 2.0, 3.0, 4.0, 5.0)


def test_statuses_and_defaults():
    """Null, defaulted in the type of the column, error on the rows that fail, which no default hides."""
    inputs = pl.DataFrame({"weather__wind": [1.0, None, 1e9, math.nan]})
    small = on_demand(inputs=[WEATHER], name="small", default=7)(lambda t: t.wind.cast(pl.Int8))
    twice = on_demand(inputs=[WEATHER], name="twice")(lambda t: t.wind * 2)
    found = transforms(small, twice).compute(inputs)
    assert found.frame["small"].to_list() == [1, 7, None, None]
    assert found.frame["small"].dtype == pl.Int8
    assert found.statuses["small"].tolist() == [Status.PRESENT, Status.DEFAULTED, Status.ERROR, Status.ERROR]
    assert found.statuses["twice"].tolist() == [Status.PRESENT, Status.NULL, Status.PRESENT, Status.PRESENT]
    assert found.statuses["twice"].dtype == np.int8


def test_no_rows_and_no_features():
    """An empty batch has the columns, a service without on-demand features has none."""
    twice = on_demand(inputs=[WEATHER], name="twice")(lambda t: t.wind * 2)
    found = transforms(twice).compute(pl.DataFrame({"weather__wind": []}, schema={"weather__wind": pl.Float64}))
    assert found.frame.shape == (0, 1)
    assert transforms(WEATHER).compute(pl.DataFrame({"a": [1]})).statuses == {}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["1", "22", "x", "", None, "-3"]), max_size=40))
def test_failing_rows_are_those_that_fail_alone(texts):
    """Whatever stands beside them."""
    view = FeatureView("v", features=["s"], **PLAIN)
    parsed = transforms(on_demand(inputs=[view], name="parsed")(lambda t: t.s.str.to_integer()))
    frame = pl.DataFrame({"v__s": texts}, schema={"v__s": pl.String})
    whole = parsed.compute(frame)
    assert [status == Status.ERROR for status in whole.statuses["parsed"]] == [text in {"x", ""} for text in texts]
    for at, text in enumerate(texts):
        alone = parsed.compute(frame[at : at + 1])
        assert alone.statuses["parsed"][0] == whole.statuses["parsed"][at], text
        assert alone.frame["parsed"][0] == whole.frame["parsed"][at]


def test_drawn_worlds_agree_with_one_row_at_a_time():
    """A whole spine in one select gives the bits and statuses of each row alone: null, defaulted, failing, chained."""
    seen = Counter()
    for seed in range(40):
        world = drawn_world(seed, events=60, rows=30)
        computed = [each for each in world.service.features if isinstance(each, OnDemand)]
        service = FeatureService("all", [*all_views(world.service), *computed])
        answer = reference(service, world.sources, world.spine, world.types, as_known=world.as_known)
        found = Transforms.of(service)
        table = answer.table().select(found.features)
        request = typed({name: world.spine_table()[name] for name in world.types}, found.request)
        for name in found.request:
            table = table.append_column(name, request[name])
        result = found.compute(pl.from_arrow(table))
        for name, statuses in result.statuses.items():
            cells = answer.cells[name]
            assert [bits(value) for value in result.frame[name].to_list()] == [bits(cell.value) for cell in cells]
            assert statuses.tolist() == [cell.status for cell in cells]
            seen.update(cell.status for cell in cells)
    assert min(seen[each] for each in (Status.PRESENT, Status.NULL, Status.DEFAULTED, Status.ERROR)) > 5


def test_columns_of_a_request_are_typed():
    """Python values and Arrow arrays of narrower types fit; what is not declared is left out."""
    found = typed({"distance": [1, None], "n": pa.array([1, 2], pa.int8()), "x": [0, 0]}, REQUEST.columns)
    assert found.schema == pa.schema({"distance": pa.float64(), "n": pa.int32()})
    assert found.to_pydict() == {"distance": [1.0, None], "n": [1, 2]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n": [1]}, "has no 'distance' .float64."),
        ({"distance": [1.0, "far"], "n": [1, 1]}, "'distance', row 1: 'far' is no double"),
        ({"distance": [1.0, 1.0], "n": [1, 2**31]}, "'n', row 1: 2147483648 is no int32"),
        ({"distance": [1.0], "n": pa.array([2.5])}, "'n', row 0: 2.5 is no int32"),
    ],
)
def test_request_that_does_not_fit_is_refused_by_column_row_and_value(values, message):
    """So that the answer to a request can name the field."""
    with pytest.raises(SchemaError, match=message):
        typed(values, REQUEST.columns)
