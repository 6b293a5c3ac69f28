"""A lake and an online store, of which the same cells are asked in training sets and in lookups.

Rows and questions lie in the year 2100, counted in microseconds: after every snapshot, so that serving can be asked for
each of these moments, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeAlias

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat.feature_store.online.connect import online_store
from dataplat.feature_store.runs import Runs

EPOCH = -4_102_444_800_000_000
"""1970, as these microseconds are counted."""
TIME = pa.timestamp("us", "UTC")
ROWS = pa.schema(
    [
        ("key", pa.string()),
        ("e", TIME),
        ("k", TIME),
        ("x", pa.float64()),
        ("n", pa.int64()),
        ("s", pa.string()),
        ("id", pa.int64()),
    ]
)
REQUEST = {"distance": pa.float64()}
"""Columns that are asked for beside keys."""

Cells: TypeAlias = "dict[str, list[tuple[Any, str, int | None]]]"
"""(value, status, age in microseconds) by column."""


def at(moment: Any) -> Any:
    """Return a time, of microseconds after the beginning of 2100."""
    return datetime(2100, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment) if type(moment) is int else moment


def spine(asked: Sequence[Any], keys: Sequence[str]) -> pa.Table:
    """Return the rows of a spine, of (t, key, …)."""
    columns: dict[str, Any] = {"t": pa.array([at(t) for t, *_ in asked], TIME)}
    for number, name in enumerate(keys):
        values = [each[1 + number] for each in asked]
        told = any(each is not None for each in values)
        columns[name] = pa.array(values, None if told else REQUEST.get(name, pa.string()))
    return pa.table(columns)


def cells(table: pa.Table, without: Sequence[str]) -> Cells:
    """Return the cells of a table with statuses and ages."""
    found: Cells = {}
    for name in table.schema.names:
        if name in without or name.endswith(("__status", "__age")):
            continue
        ages = table[f"{name}__age"].to_pylist()
        micros = [None if age is None else age // timedelta(microseconds=1) for age in ages]
        found[name] = list(zip(table[name].to_pylist(), table[f"{name}__status"].to_pylist(), micros, strict=True))
    return found


@dataclass
class Site:
    """A lake, and what is asked of it."""

    lake: dp.Lake
    store: FeatureStore
    _numbers: Iterator[int] = field(default_factory=count)

    epoch = EPOCH
    at = staticmethod(at)
    spine = staticmethod(spine)

    def land(self, rows: Sequence[dict[str, Any]], into: str = "s", **options: Any) -> None:
        """Land rows, in a commit."""
        timed = [{name: at(value) if name in ("e", "k") else value for name, value in row.items()} for row in rows]
        self.lake.ingest(pa.Table.from_pylist(timed, ROWS), into=into, **options)

    def service(self, features: Any) -> dp.FeatureService:
        """Return a service of features, of a name that no other one has."""
        return dp.FeatureService(f"m{next(self._numbers)}", features if isinstance(features, list) else [features])

    def live(self, features: Any) -> dp.FeatureService:
        """Return a service that is applied, and has a snapshot."""
        service = self.service(features)
        self.store.apply(service)
        self.store.materialize(service)
        return service

    def trained(self, features: Any, *asked: Any, keys: Sequence[str] = ("key",), **options: Any) -> Cells:
        """Return the cells of a training set for (t, key, …)."""
        service = features if isinstance(features, dp.FeatureService) else self.service(features)
        made = self.store.training_set(spine(asked, keys), service, statuses=True, ages=True, **options)
        return cells(made.to_arrow(), ("t", *keys))

    def served(self, service: dp.FeatureService, *asked: Any, keys: Sequence[str] = ("key",)) -> Cells:
        """Return the cells of lookups, one for each time."""
        together: dict[Any, list[int]] = defaultdict(list)
        for place, (t, *_) in enumerate(asked):
            together[t].append(place)
        found: Cells = {}
        for t, places in together.items():
            wanted = {name: [asked[place][1 + number] for place in places] for number, name in enumerate(keys)}
            looked = self.store.lookup(service, wanted, t=at(t), statuses=True).to_arrow()
            for name, its in cells(looked, ()).items():
                column = found.setdefault(name, [(None, "", None)] * len(asked))
                for place, cell in zip(places, its, strict=True):
                    column[place] = cell
        return found

    def told(self, features: Any, *asked: Any, keys: Sequence[str] = ("key",)) -> Cells:
        """Return the cells of a training set, after lookups have said the same, to the last bit."""
        service = self.live(features)
        trained = self.trained(service, *asked, keys=keys)
        assert repr(self.served(service, *asked, keys=keys)) == repr(trained)
        return trained

    def values(self, features: Any, *asked: Any, keys: Sequence[str] = ("key",)) -> list[Any]:
        """Return the values of the only column."""
        [column] = self.told(features, *asked, keys=keys).values()
        return [value for value, _, _ in column]


@pytest.fixture
def site(new_lake, tmp_path):
    """Return a lake with nothing in it, and an online store and a cache of the test's own."""
    lake = new_lake()
    store = FeatureStore(lake)
    store.__dict__["online"] = online_store(f"lmdb:{tmp_path / 'online'}", lake.id)
    store.__dict__["runs"] = Runs(tmp_path / "runs")
    yield Site(lake, store)
    store.online.close()
