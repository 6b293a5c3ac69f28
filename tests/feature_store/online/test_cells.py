"""Values in records and back, of every type that a column may have."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView, Field
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.online.plan import ServingPlan, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Reading, Snapshot
from dataplat.testing._features_values import bits

NOON = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
CASES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.bool_(), [True, False]),
    (pa.int8(), [-128, 127]),
    (pa.uint8(), [255]),
    (pa.int16(), [-(2**15)]),
    (pa.uint16(), [2**16 - 1]),
    (pa.int32(), [-(2**31)]),
    (pa.uint32(), [2**32 - 1]),
    (pa.int64(), [-(2**63), 2**63 - 1]),
    (pa.uint64(), [2**64 - 1]),
    (pa.float16(), [1.5]),
    (pa.float32(), [0.1, math.inf]),
    (pa.float64(), [0.1, -0.0, math.nan, 5e-324]),
    (pa.string(), ["", "é漢", "x" * 70000]),
    (pa.large_string(), ["a"]),
    (pa.binary(), [b"", b"\x00\xff"]),
    (pa.date32(), [date(1969, 1, 1)]),
    (pa.time64("us"), [time(1, 2, 3, 4)]),
    (pa.timestamp("us", "UTC"), [NOON]),
    (pa.timestamp("ms"), [datetime(1960, 1, 1)]),  # noqa: DTZ001 - a wall clock's
    (pa.duration("us"), [timedelta(days=-3)]),
    (pa.decimal128(10, 3), [Decimal("-1.250"), Decimal("0.000")]),
    (pa.list_(pa.float32()), [[], [0.5, -1.0], [1.0, None]]),
    (pa.list_(pa.int64(), 2), [[1, 2]]),
    (pa.list_(pa.string()), [["a", None], []]),
    (pa.list_(pa.list_(pa.float64())), [[[1.0], []]]),
    (pa.struct([("a", pa.int64()), ("b", pa.string())]), [{"a": 1, "b": None}]),
]


@pytest.mark.parametrize(("kind", "values"), CASES, ids=[str(kind) for kind, _ in CASES])
def test_24_values_of_every_type(kind: pa.DataType, values: list[Any]) -> None:
    """One by one, and many at once, null and default among them; the type is that of the source."""
    values = [*values, None, values[0]]
    keys = [f"k{at}" for at in range(len(values))]
    table = pa.table(
        {
            "k": keys,
            "t": pa.array([1] * len(keys)).cast(pa.timestamp("us", "UTC")),
            "x": pa.array(values, kind),
            "more": [float(at) for at in range(len(keys))],
            "word": [None if at % 2 else f"w{at}" for at in range(len(keys))],
        }
    )
    features = ["more", "x", Field("x", name="y", default=values[0]), "word"]
    view = FeatureView("v", source="s", entity=Entity("k"), timestamp="t", ttl=None, features=features)
    service = FeatureService("f", [view])
    plan = ServingPlan.of(service, types_of({"v": table.schema}))
    assert ServingPlan.of(service, plan.types).types == plan.types
    records = dict(pack(plan, plan.groups[0], {"v": facts(view, table)}, 1))
    snapshot = Snapshot("s", 1, {}, plan.closure, types=plan.types)
    serving = Serving(plan)

    def ask(some: list[str]) -> Any:
        return serving.answer({"k": some}, {}, 1, lambda keys: Reading(snapshot, 0, list(map(records.get, keys)), []))

    alone = [ask([key]).table() for key in keys]
    for found in (pa.concat_tables(alone), ask(keys).table(), ask(keys * 20).table().slice(0, len(keys))):
        assert found.column("v__x").type == (pa.string() if kind == pa.large_string() else kind)
        assert bits(found.column("v__x").to_pylist()) == bits(table.column("x").to_pylist())
        assert bits(found.column("v__y").to_pylist()) == bits(
            [table.column("x")[0].as_py() if value is None else value for value in table.column("x").to_pylist()]
        )
        assert found.column("v__more").to_pylist() == table.column("more").to_pylist()
        assert found.column("v__word").to_pylist() == table.column("word").to_pylist()
    assert bits([ask([key]).columns["v__x"][0] for key in keys]) == bits(table.column("x").to_pylist())
    missing = ask(["nobody"])
    assert missing.columns["v__x"] == [None]
    assert bits(missing.columns["v__y"]) == bits([table.column("x")[0].as_py()])
