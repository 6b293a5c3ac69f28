"""Windows of many events from records, against the kernel's of all rows: the same to the last bit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dataplat.errors import SchemaError
from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView, Field
from dataplat.feature_store.kernel.answer import answers
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.online.plan import ServingPlan, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Reading, Snapshot
from dataplat.feature_store.windows import (
    Count,
    DistinctCount,
    First,
    Last,
    LastN,
    Max,
    Mean,
    Min,
    Quantile,
    Ratio,
    Std,
    Sum,
    Window,
)
from dataplat.testing._features_values import bits

HOUR = 3_600_000_000
COLUMNS: dict[str, pa.DataType] = {
    "x": pa.float64(),
    "f": pa.float32(),
    "n": pa.int64(),
    "u": pa.uint64(),
    "b": pa.bool_(),
    "d": pa.decimal128(12, 3),
    "s": pa.string(),
    "y": pa.binary(),
    "w": pa.timestamp("us", "UTC"),
}
WILD = (0.0, -0.0, 0.1, -2.5, 1e300, 5e-324, 1e16)


def value(rng: Random, column: str, *, wild: bool) -> Any:
    """Draw a value of a column."""
    if rng.random() < 0.1:
        return None
    number = rng.randint(-30, 30)
    odd = rng.choice((math.nan, math.inf, -math.inf)) if wild and rng.random() < 0.02 else rng.choice(WILD)
    return {
        "x": rng.choice((rng.lognormvariate(0, 3), odd)),
        "f": float(np.float32(rng.choice((rng.gauss(0, 1), -0.0, 0.0)))),
        "n": rng.choice((number, 2**53 + number)),
        "u": rng.choice((abs(number), 2**63 + 5)) if number > 28 else abs(number),
        "b": number > 0,
        "d": Decimal(number) / 1000,
        "s": rng.choice("abcdeé漢"),
        "y": rng.choice((b"", b"\x00", b"\xff")),
        "w": number,
    }[column]


def source(rng: Random, events: int, *, wild: bool, late: bool) -> pa.Table:
    """Draw events of two keys over ten days."""
    e = [rng.randint(0, 240) * HOUR + rng.choice((0, 0, 1, -1)) for _ in range(events)]
    columns: dict[str, Any] = {
        "k": pa.array([rng.choice("ab") for _ in range(events)]),
        "t": pa.array(e).cast(pa.timestamp("us", "UTC")),
        "seen": pa.array([each + (rng.choice((0, 0, 30 * HOUR)) if late else 0) for each in e]).cast(
            pa.timestamp("us", "UTC")
        ),
    }
    for column, kind in COLUMNS.items():
        values = [value(rng, column, wild=wild) for _ in range(events)]
        columns[column] = pa.array(values, pa.int64()).cast(kind) if column == "w" else pa.array(values, kind)
    return pa.table(columns)


def every(accuracy: str, window: str | None) -> list[Window | Ratio]:
    """Return all functions of all columns that have them."""
    told: dict[str, Any] = {"window": window, "accuracy": accuracy}
    found: list[Window | Ratio] = [Count(**told)]
    found += [kind(column, **told) for kind in (Mean, Std) for column in "xfnbd"]
    found += [Sum(column, **told) for column in "xfnbd"]
    found += [kind(column, **told) for kind in (Min, Max, DistinctCount) for column in COLUMNS]
    found += [Quantile(column, q, **told) for q in (0.0, 0.37, 0.9, 1.0) for column in "xfnud"]
    found += [kind(column, **told) for kind in (First, Last) for column in COLUMNS]
    found += [LastN(column, 5, **told) for column in COLUMNS]
    found.append(Ratio(Sum("d", name="above", **told), Mean("x", name="below", **told), name="ratio"))
    return found


class Served:
    """A view's windows, from records made at a time."""

    def __init__(self, features: list[Any], table: pa.Table, at: int, **told: Any) -> None:
        view = FeatureView("v", source="s", entity=Entity("k"), timestamp="t", ttl=None, features=features, **told)
        self.service = FeatureService("s", [view])
        self.plan = ServingPlan.of(self.service, types_of({"v": table.schema}))
        self.facts = facts(view, table)
        records = dict(pack(self.plan, self.plan.groups[0], {"v": self.facts}, at))
        snapshot = Snapshot("s", at, {}, self.plan.closure, types=self.plan.types)
        self.serving = Serving(self.plan)
        self.read = lambda keys: Reading(snapshot, 0, [records.get(key) for key in keys], [])

    def differences(self, t: int) -> list[str]:
        """Return where what is served at a time is not what the kernel says."""
        keys = ["a", "b", "c", None]
        wanted = answers(self.service, {"v": self.facts}, pa.table({"k": pa.array(keys)}), np.full(4, t))
        found = self.serving.answer({"k": keys}, {}, t, self.read).table(statuses=True, ages=True)
        assert found.schema == wanted.schema
        return [
            f"{name} at {t}: {one}, not {other}"
            for name in wanted.schema.names
            if bits(one := found[name].to_pylist()) != bits(other := wanted[name].to_pylist())
        ]


@pytest.mark.parametrize(
    ("accuracy", "window"), [("exact", "30h"), ("hop(1h)", "30h"), ("hop(7h)", "100h"), ("exact", None)]
)
@pytest.mark.parametrize(("wild", "late"), [(False, False), (True, True)])
def test_23_windows_of_many_events(accuracy: str, window: str | None, *, wild: bool, late: bool) -> None:
    """Every function of every type, of hundreds of events in a window, by events and by tiles."""
    rng = Random(f"{accuracy} {window} {wild}")
    table = source(rng, 1500, wild=wild, late=late)
    at = 200 * HOUR + 7
    served = Served(every(accuracy, window), table, at, **({"known_at": "seen"} if late else {}))
    wrong = [each for t in (at, at + HOUR, 231 * HOUR, 500 * HOUR) for each in served.differences(t)]
    assert wrong == []


def test_a_sum_that_does_not_fit_is_refused() -> None:
    """As the kernel refuses it: by events, and by tiles."""
    table = pa.table({"k": ["a", "a"], "t": pa.array([1, 2]).cast(pa.timestamp("us", "UTC")), "n": [2**62, 2**62]})
    for told in ({"window": "1h"}, {"window": "1h", "accuracy": "hop(1m)"}, {"window": None}):
        served = Served([Sum("n", **told)], table, 3)
        with pytest.raises(SchemaError, match="the sum of n does not fit into int64"):
            served.serving.answer({"k": ["a"]}, {}, 3, served.read)


def test_4_an_expired_view_holds_nothing() -> None:
    """A sum that would not fit is not made."""
    table = pa.table({"k": ["a", "a"], "t": pa.array([1, 2]).cast(pa.timestamp("us", "UTC")), "n": [2**62, 2**62]})
    served = Served([Sum("n", window=None), Count(window=None)], table, 3)
    view = FeatureView(
        "v", source="s", entity=Entity("k"), timestamp="t", ttl="5us", features=list(served.plan.bases[0].windows)
    )
    plan = ServingPlan.of(FeatureService("s", [view]), types_of({"v": table.schema}))
    records = dict(pack(plan, plan.groups[0], {"v": served.facts}, 3))
    snapshot = Snapshot("s", 3, {}, plan.closure, types=plan.types)
    found = Serving(plan).answer({"k": ["a"]}, {}, 8, lambda keys: Reading(snapshot, 0, [*map(records.get, keys)], []))
    assert dict(found.columns) == {"v__n_sum_lifetime": [None], "v__count_lifetime": [0]}
    assert found.statuses == {"v__n_sum_lifetime": [5], "v__count_lifetime": [5]}


@pytest.mark.parametrize("told", [{"window": "5us"}, {"window": "7us", "accuracy": "hop(3us)"}, {"window": None}])
@pytest.mark.parametrize("ordered", [False, True])
def test_22_every_time_of_a_small_world(told: dict[str, Any], *, ordered: bool) -> None:
    """Records made at every microsecond, asked at every later one: no edge is missed, and nothing needs another's rows."""
    rows = [(3, 3, None), (5, 9, None), (8, 8, 14), (12, 12, None), (13, 30, None), (20, 6, 26)]
    table = pa.table(
        {
            "k": ["a"] * len(rows),
            "t": pa.array([e for e, _, _ in rows]).cast(pa.timestamp("us", "UTC")),
            "x": [float(at) if at != 3 else None for at in range(len(rows))],
        }
    )
    features: list[Any] = ["x", Field("x", fill="last_non_null", default=-1.0, name="filled")]
    if ordered:
        features += [First("x", **told), LastN("x", 2, **told)]
    else:
        features += [Count(**told), Sum("x", **told), Min("x", **told), Quantile("x", 0.4, **told)]
        features += [DistinctCount("x", **told)]
    view = FeatureView(
        "v", source="s", entity=Entity("k"), timestamp="t", ttl="9us", features=features, history="commits"
    )
    service = FeatureService("s", [view])
    plan = ServingPlan.of(service, types_of({"v": table.schema}))
    known = np.array([k for _, k, _ in rows])
    gone = np.array([FOREVER if end is None else end for _, _, end in rows])
    own = facts(view, table, k=known, gone=gone)
    times = np.arange(34)
    wanted = answers(service, {"v": own}, pa.table({"k": ["a"] * len(times)}), times).to_pylist()
    serving = Serving(plan)
    for at in times.tolist():
        records = dict(pack(plan, plan.groups[0], {"v": own}, at))
        snapshot = Snapshot(f"s{at}", at, {}, plan.closure, types=plan.types)
        for t in range(at, len(times)):
            found = serving.answer({"k": ["a"]}, {}, t, partial(_read, snapshot, records))
            assert found.table(statuses=True, ages=True).to_pylist() == [wanted[t]], (at, t)


def _read(snapshot: Snapshot, records: dict[bytes, bytes], keys: Sequence[bytes]) -> Reading:
    return Reading(snapshot, 0, [records.get(key) for key in keys], [])
