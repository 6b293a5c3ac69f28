"""Pushed rows: who asks for them, in what order they are, what they replace (PIT 7, 9)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from dataplat.errors import SchemaError
from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.online import pushed
from dataplat.feature_store.online.plan import ServingPlan
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Reading, Snapshot
from dataplat.feature_store.windows import Count, LastN, Sum

TYPES = {"v": {"x": "float64", "s": "string"}}


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    """Return rows of (key, e, k, id, x, s)."""
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 6
    return pa.table(
        {
            "k": pa.array(columns[0], pa.string()),
            "t": pa.array(columns[1], pa.int64()).cast(pa.timestamp("us", "UTC")),
            "seen": pa.array(columns[2], pa.int64()).cast(pa.timestamp("us", "UTC")),
            "id": pa.array(columns[3], pa.int64()),
            "x": pa.array(columns[4], pa.float64()),
            "s": pa.array(columns[5], pa.string()),
        }
    )


class Site:
    """A view, its records as of 100, and rows that are pushed."""

    def __init__(self, rows: list[tuple[Any, ...]], **told: Any) -> None:
        self.view = FeatureView(
            "v",
            **{
                "source": "s",
                "entity": Entity("k"),
                "timestamp": "t",
                "known_at": "seen",
                "ttl": None,
                "features": [
                    "x",
                    "s",
                    Count(window=None, name="n"),
                    Sum("x", window="50us", accuracy="hop(10us)", name="sum"),
                    LastN("s", 9, name="all"),
                ],
            }
            | told,
        )
        self.plan = ServingPlan.of(FeatureService("f", [self.view]), TYPES)
        self.records = dict(pack(self.plan, self.plan.groups[0], {"v": facts(self.view, table(rows))}, 100))
        self.pushed: dict[bytes, tuple[bytes, ...]] = {}
        self.serving = Serving(self.plan)

    def push(self, rows: list[tuple[Any, ...]]) -> list[pushed.Row]:
        """Push rows, known when they say."""
        found = pushed.rows(self.plan, self.view, table(rows), [row[2] for row in rows])
        for row in found:
            self.pushed[row.key] = (*self.pushed.get(row.key, ()), row.data)
        return found

    def ask(self, key: str = "a", t: int = 100) -> dict[str, Any]:
        """Return the values of a key."""
        snapshot = Snapshot("s", 100, {}, self.plan.closure, types=self.plan.types)

        def read(keys: Any) -> Reading:
            rows = [self.pushed.get(key, ()) for key in keys]
            return Reading(snapshot, 1, [self.records.get(key) for key in keys], rows)

        served = self.serving.answer({"k": [key]}, {}, t, read)
        return {name.removeprefix("v__"): values[0] for name, values in served.columns.items()}


OLD = ("a", 80, 80, 1, 1.0, "old")


def test_9_a_pushed_row_is_served_when_it_can_be() -> None:
    """From the later of its times on, also of a key that has no record."""
    site = Site([OLD])
    site.push([("a", 90, 120, 2, 2.0, "new"), ("b", 95, 95, 3, 3.0, "b")])
    assert site.ask(t=119) == {"x": 1.0, "s": "old", "n": 1, "sum": 1.0, "all": ["old"]}
    assert site.ask(t=120) == {"x": 2.0, "s": "new", "n": 2, "sum": 3.0, "all": ["new", "old"]}
    assert site.ask("b") == {"x": 3.0, "s": "b", "n": 1, "sum": 3.0, "all": ["b"]}


def test_9_an_older_row_does_not_win() -> None:
    """The greater (e, k) is served, whatever came last; windows count both, in order."""
    site = Site([OLD])
    site.push([("a", 90, 90, 2, 2.0, "two"), ("a", 70, 95, 3, 3.0, "late"), ("a", 80, 70, 4, 4.0, "same e, older k")])
    assert site.ask() == {"x": 2.0, "s": "two", "n": 4, "sum": 10.0, "all": ["two", "old", "same e, older k", "late"]}


def test_6_rows_that_tie_are_ordered_by_their_columns() -> None:
    """As in a training set: the greater value is the newer one, NaN the greatest, and null the least."""
    site = Site([OLD])
    site.push([("a", 80, 80, 2, None, "z"), ("a", 80, 80, 3, 1.0, "a")])
    assert site.ask()["s"] == "old"
    site.push([("a", 80, 80, 4, float("nan"), "")])
    assert site.ask()["all"] == ["", "old", "a", "z"]


def test_7_a_row_key_replaces_its_event() -> None:
    """The newest known version counts: one that is pushed, or the one of the record; other columns see all rows."""
    site = Site([OLD, ("a", 85, 99, 2, 5.0, "five")], row_key=["id"])
    assert site.ask()["sum"] == 6.0
    site.push([("a", 81, 98, 2, 7.0, "older version"), ("a", 82, 100, 1, 10.0, "newer version")])
    found = site.ask()
    assert found["n"] == 2
    assert found["sum"] == 15.0
    assert found["all"] == ["five", "newer version"]
    assert found["s"] == "five"


def test_12_rows_that_nobody_asks_for_are_left_out() -> None:
    """A null key, and what does not pass `where`; the others keep their places."""
    site = Site([], where="x > 0")
    found = site.push(
        [(None, 1, 1, 1, 1.0, ""), ("a", 2, 2, 2, -1.0, ""), ("b", 3, 3, 3, 1.0, ""), ("a", 1, 1, 4, 2.0, "")]
    )
    assert [(row.place, row.e, row.k) for row in found] == [(2, 3, 3), (3, 1, 1)]


def test_8_the_delay_is_added() -> None:
    """A view's delay is for pushed rows, too."""
    site = Site([], delay="10us")
    assert [row.k for row in site.push([("a", 95, 95, 1, 1.0, "")])] == [105]
    assert site.ask(t=104)["n"] == 0
    assert site.ask(t=105)["n"] == 1


def test_a_service_that_does_not_use_the_view_has_no_rows() -> None:
    """And an alias is the view."""
    site = Site([])
    other = FeatureView("w", source="other", entity=Entity("k"), timestamp="t", ttl=None, features=["x"])
    assert pushed.rows(site.plan, other, table([OLD]), [1]) == []
    alias = site.view.alias("z", on={"dest": "k"})
    assert len(pushed.rows(site.plan, alias, table([OLD]), [1])) == 1


def test_one_row() -> None:
    """Of values: its key and its bytes."""
    site = Site([])
    values = {
        name: site_column[0].as_py()
        for name, site_column in zip(table([OLD]).schema.names, table([OLD]).columns, strict=True)
    }
    found = pushed.row(site.plan, site.view, values, 80)
    row = pushed.rows(site.plan, site.view, table([OLD]), [80])[0]
    assert found == (row.key, row.data)
    assert pushed.row(site.plan, site.view, values | {"k": "b"}, 80) != found


def test_a_column_that_is_missing_or_of_another_type_is_named() -> None:
    """Nothing is pushed."""
    site = Site([])
    with pytest.raises(SchemaError, match="no column 's'"):
        pushed.rows(site.plan, site.view, table([OLD]).drop_columns(["s"]), [1])
    with pytest.raises(SchemaError, match=r"v\.k holds 7"):
        pushed.rows(site.plan, site.view, table([OLD]).set_column(0, "k", pa.array([7])), [1])
