"""What a service's features are now, of some entities: one read of the online store, and what is made of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import NotMaterialized, SchemaError
from dataplat.feature_store.closure import check_hash
from dataplat.feature_store.online.plan import ServingPlan
from dataplat.feature_store.online.serve import OneRow, Served, Serving
from dataplat.feature_store.status import NAMES
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService
    from dataplat.feature_store.online.store import OnlineStore, Reading, Snapshot

FRESH: Final = 2.0
"""Seconds for which what a name without a version means is remembered."""


class Looked:
    """Features of some entities at one time, a value for each of them, in their order.

    Attributes:
        t: the time that was asked for, microseconds UTC.
    """

    __slots__ = ("_served", "_told", "t")

    def __init__(self, served: Served, t: int, *, statuses: bool) -> None:
        self._served, self.t, self._told = served, t, statuses

    def __len__(self) -> int:
        return len(self._served)

    def __repr__(self) -> str:
        return f"Looked({len(self)} rows of {len(self._served.columns)} features, snapshot {self.snapshot})"

    @property
    def snapshot(self) -> str:
        """The id of the snapshot that the values are of."""
        return self._served.snapshot.id

    @property
    def sequence(self) -> int:
        """Up to which pushed row they are."""
        return self._served.sequence

    @property
    def columns(self) -> Mapping[str, Sequence[Any]]:
        """The values by column."""
        return self._served.columns

    @property
    def statuses(self) -> dict[str, list[str]]:
        """The word for each cell's status, by column (`present`, `missing_key`, …)."""
        return {name: [NAMES[code] for code in codes] for name, codes in self._served.statuses.items()}

    @property
    def ages(self) -> dict[str, list[timedelta | None]]:
        """How old the row is that each value is of, by column; None where there is none."""
        return {
            name: [None if age is None else timedelta(microseconds=age) for age in ages]
            for name, ages in self._served.ages.items()
        }

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the values of each entity, in the order of the columns: what a model takes."""
        columns = self._served.columns
        if isinstance(columns, OneRow):
            return [tuple(columns.row)]
        return list(zip(*columns.values(), strict=True)) if columns else [()] * len(self)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return a list of values for each column, `column__status` and `column__age` too where they were asked for."""
        columns = self._served.columns
        told = columns.dict() if isinstance(columns, OneRow) else columns
        found = {name: list(values) for name, values in told.items()}
        if self._told:
            statuses, ages = self.statuses, self.ages
            for name in self._served.columns:
                found |= {f"{name}__status": list(statuses[name]), f"{name}__age": list(ages[name])}
        return found

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table."""
        return self._served.table(statuses=self._told, ages=self._told)

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas frame."""
        return self.to_arrow().to_pandas()

    @property
    def served(self) -> Served:
        """What the online store answered, as it is logged."""
        return self._served


class Lookups:
    """What a feature store looks up with: services that were asked for are prepared once.

    Args:
        store: the feature store.
        online: the online store.
    """

    def __init__(self, store: FeatureStore, online: OnlineStore) -> None:
        self.store, self.online = store, online
        self._known: dict[Any, _Known] = {}
        self._lock = Lock()

    def known(self, service: FeatureService | str) -> _Known:
        """Return what is prepared for a service.

        Raises:
            FeatureNotFound: There is none of that name and version.
            NotMaterialized: It has no snapshot.
        """
        name = service if isinstance(service, str) else id(service)
        found = self._known.get(name)
        if found is not None and (found.until is None or time.monotonic() < found.until):
            return found
        with self._lock:
            found = self._prepared(service)
            self._known[name] = found
            return found

    def _prepared(self, service: FeatureService | str) -> _Known:
        moving = isinstance(service, str) and "@" not in service
        until = time.monotonic() + FRESH if moving else None
        meant, snapshot = self._meant(service)
        for other in self._known.values():
            if other.service is meant:
                return _Known(service, meant, other.serving, self.online, until)
        return _Known(service, meant, serving_of(meant, snapshot), self.online, until)

    def _meant(self, service: FeatureService | str) -> tuple[FeatureService, Snapshot]:
        """Return the service that is meant, and its snapshot: of a name the newest version that has one."""
        from dataplat._features._registry import definitions, resolve

        newest = resolve(self.store, service)
        every = [newest]
        if isinstance(service, str) and "@" not in service:
            own = [each for each in definitions(self.store) if each.service == newest.name]
            every += [each.read() for each in reversed(own) if each.version < newest.version]
        for meant in every:
            snapshot = self.online.snapshot(meant.reference)
            if snapshot is not None:
                return meant, snapshot
        raise not_materialized(newest.reference)


def not_materialized(space: str) -> NotMaterialized:
    """Return the error of a service that has no snapshot."""
    return NotMaterialized(f"{space} has no snapshot to serve: materialise it (`dataplat features materialize`)")


def serving_of(service: FeatureService, snapshot: Snapshot) -> Serving:
    """Return what answers requests of a service from the records of a snapshot."""
    return Serving(ServingPlan.of(service, snapshot.types))


class _Known:
    """A service that is looked up.

    Attributes:
        given: as it was asked for, so that its id stays its own.
        service: it.
        until: until when that name means it; None: for ever.
    """

    __slots__ = ("columns", "given", "online", "service", "serving", "space", "until")

    def __init__(
        self,
        given: FeatureService | str,
        service: FeatureService,
        serving: Serving,
        online: OnlineStore,
        until: float | None,
    ) -> None:
        self.given, self.service, self.serving, self.online, self.until = given, service, serving, online, until
        self.space = serving.plan.space
        self.columns = frozenset((*serving.plan.entities, *serving.plan.transforms.request))

    def read(self, keys: Sequence[bytes]) -> Reading:
        """Read records."""
        return self.online.read(self.space, keys)


def lookup(
    lookups: Lookups,
    service: FeatureService | str,
    entities: Mapping[str, Any],
    *,
    t: datetime | int | None = None,
    statuses: bool = False,
    closure: str | None = None,
) -> Looked:
    """Look features up: see `FeatureStore.lookup`."""
    known = lookups.known(service)
    if closure is not None:
        check_hash(known.space, known.serving.plan.closure, closure)
    if not known.columns.issuperset(entities):
        extra = next(name for name in entities if name not in known.columns)
        raise SchemaError(f"{known.space} is not asked by {extra!r}{did_you_mean(extra, sorted(known.columns))}")
    given = entities
    for values in entities.values():
        if type(values) is not list:
            given = {name: _listed(name, values) for name, values in entities.items()}
            break
    at = time.time_ns() // 1000 if t is None else _micros(t)
    return Looked(known.serving.answer(given, given, at, known.read), at, statuses=statuses)


def _listed(name: str, values: Any) -> Sequence[Any]:
    """Return the values of a column as a list."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise SchemaError(
            f"{name} is {values!r}, and should be a list: a value for each row, as in {{{name!r}: [{values!r}]}}"
        )
    if isinstance(values, list | tuple):
        return values
    for convert in ("to_pylist", "to_list", "tolist"):  # of Arrow, Polars and pandas, numpy
        if hasattr(values, convert):
            found: list[Any] = getattr(values, convert)()
            return found
    return list(values)


def _micros(t: datetime | int) -> int:
    if isinstance(t, int):
        return t
    if t.tzinfo is None:
        raise SchemaError(f"t is {t}, without a zone: datetime.now(timezone.utc) has one")
    return (t - datetime.fromisoformat("1970-01-01T00:00:00+00:00")) // timedelta(microseconds=1)
