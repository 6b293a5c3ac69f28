"""Makes the snapshot that is served: all of it at first, then only what changed between the versions of its sources.

    flush what was pushed → read what is live → find the keys that changed → pack their records → change, in one step

What was pushed and is in the dataset by then leaves the overlay in the same step in which the snapshot that holds it goes live.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dataplat._features._registry import definition
from dataplat._features._sources import ViewSource
from dataplat.errors import ConfigError, ContractFailed, FeatureNotFound
from dataplat.feature_store.closure import closure_hash
from dataplat.feature_store.definitions import FeatureService
from dataplat.feature_store.online.plan import Group, ServingPlan, bases_of, types_of
from dataplat.feature_store.online.record import changes, keys_of, pack
from dataplat.feature_store.online.store import Snapshot

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.kernel.facts import Facts
    from dataplat.feature_store.online.store import OnlineStore
    from dataplat.ingest._progress import Meter

ROWS = 8_000_000
"""Rows of a source whose records are made at once."""


@dataclass(frozen=True, slots=True)
class Materialized:
    """What was made, or would be.

    Attributes:
        service: `name@version`.
        snapshot: the id of the snapshot that is live now; of a plan that of the one that is live, None where none is.
        written: records that were written; of a plan that would be.
        removed: records that were taken away.
        keys: records that the snapshot has.
        nbytes: what they take.
        full: whether everything was made.
        settled: rows that had been pushed and are part of the snapshot now.
        pins: the versions that it was made from.
        seconds: how long it took.
        plan: whether nothing was done.
    """

    service: str
    snapshot: str | None
    written: int
    removed: int
    keys: int
    nbytes: int
    full: bool
    settled: int
    pins: Mapping[str, str]
    seconds: float
    plan: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def materialize(
    store: FeatureStore,
    service: FeatureService | str,
    meter: Meter,
    *,
    full: bool,
    plan: bool,
    contracts: Mapping[str, Any],
) -> Materialized:
    """Make the snapshot of a service that is live from then on.

    Raises:
        FeatureNotFound: The service was not applied.
        ConfigError: It was applied with another definition.
        ContractFailed: A source does not meet its contract: what was live is served.
        SnapshotConflict: Somebody else made one meanwhile.
        SchemaError: A source lost a column, or holds what features cannot be made of.
    """
    begun = time.monotonic()
    meant = _applied(store, service)
    meter.enter("looking at what changed")
    work = _Work.of(store, meant, full=full, plan=plan)
    _hold(work, contracts)
    if plan:
        return work.planned(time.monotonic() - begun)
    if work.live is not None and work.same:
        return work.done(0, 0, time.monotonic() - begun, full=False, settled=0)
    meter.enter("packing")
    counted = _Counted(meter)
    if work.changed is None:
        work.online.load(work.space, work.snapshot, counted.whole(work.everything()), settled=work.settled)
    else:
        work.online.change(work.space, work.snapshot, counted.some(work.changes()), settled=work.settled)
    return work.done(
        counted.written,
        counted.removed,
        time.monotonic() - begun,
        full=work.changed is None,
        settled=work.settling,
    )


def _hold(work: _Work, contracts: Mapping[str, Any]) -> None:
    """Raise where a source does not meet its contract."""
    for source in work.sources.values():
        for version in source.versions.values():
            contract = contracts.get(version.dataset)
            if contract is not None and not (report := version.validate(contract)).ok:
                lines = "\n  ".join(outcome.line() for outcome in report.failed[:5])
                raise ContractFailed(
                    f"{version.dataset}@id:{version.id[:12]} does not meet contract {report.contract}, so {work.space} "
                    f"goes on to serve what is live:\n  {lines}",
                    report,
                )


def _applied(store: FeatureStore, service: FeatureService | str) -> FeatureService:
    if isinstance(service, str):
        return definition(store, service).read()
    name = f"{service.name}@{service.version}"
    try:
        held = definition(store, name)
    except FeatureNotFound as error:
        raise FeatureNotFound(f"{error}; apply it before it is materialised") from error
    if held.closure != closure_hash(service):
        raise ConfigError(f"{name} was applied with another definition: give this one another version, and apply it")
    return service


@dataclass
class _Work:
    """One materialisation.

    Attributes:
        live: the snapshot that is live.
        settled: the sequence up to which the sources hold what was pushed; None: as far as before.
        settling: how many pushed rows that is.
        changed: by group the digests of keys that changed; None: all are made.
    """

    plan: ServingPlan
    sources: Mapping[str, ViewSource]
    online: OnlineStore
    live: Snapshot | None
    settled: int | None
    settling: int
    at: int
    changed: dict[int, tuple[Any, Any]] | None = None

    @classmethod
    def of(cls, store: FeatureStore, service: FeatureService, *, full: bool, plan: bool) -> _Work:
        from dataplat._features._push import Settling

        online, space = store.online, f"{service.name}@{service.version}"
        live = online.snapshot(space)
        settling = Settling.before(store, service, space)  # first what was pushed, then the sources that hold it
        if not plan:
            settling.flush()
        commit = store.lake.refs.head(store.branch).commit
        sources = {base.name: ViewSource.of(store, base, commit) for base in bases_of(service)}
        types = types_of({name: source.schema for name, source in sources.items()})
        settled, count = settling.after()
        if not plan:
            settling.remember(space, count)
        now = time.time_ns() // 1000
        work = cls(
            ServingPlan.of(service, types),
            sources,
            online,
            live,
            settled,
            count,
            now if live is None else max(now, live.at),
        )
        fits = live is not None and live.closure == closure_hash(service) and live.types == work.plan.types
        if fits and not full:
            work.changed = {group.number: work._changed(group) for group in work.plan.groups}
        return work

    @property
    def space(self) -> str:
        return self.plan.space

    @property
    def pins(self) -> dict[str, str]:
        return {name: version for source in self.sources.values() for name, version in source.pins.items()}

    @property
    def same(self) -> bool:
        """Whether what is live is what would be made."""
        assert self.live is not None
        return self.changed is not None and self.live.pins == self.pins and not self.settling

    @property
    def snapshot(self) -> Snapshot:
        service = self.plan.service
        about = [closure_hash(service), sorted(self.pins.items()), self.at, self.settled, self.live and self.live.id]
        return Snapshot(
            id=hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16],
            at=self.at,
            pins=self.pins,
            closure=closure_hash(service),
            parent=None if self.live is None else self.live.id,
            made=time.time_ns() // 1000,
            types=self.plan.types,
        )

    def everything(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all records, those of a range of keys together."""
        for group in self.plan.groups:
            own = {base.name: self.sources[base.name] for base in group.bases}
            most = max(source.rows for source in own.values())
            count = max(1, -(-most // ROWS)) if all(source.apart for source in own.values()) else 1
            for ranges in zip(*(source.ranges(count) for source in own.values()), strict=True):
                facts = {name: rows for name, (_, _, rows) in zip(own, ranges, strict=True)}
                yield from pack(self.plan, group, facts, self.at)

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield the records of keys that changed, and None for those that are gone."""
        assert self.live is not None
        assert self.changed is not None
        for group in self.plan.groups:
            high, low = self.changed[group.number]
            if not len(high):
                continue
            own = {base.name: self.sources[base.name] for base in group.bases}
            apart = all(source.apart for source in own.values())  # else all keys together, and of all bases
            facts = {name: source.of_keys(high, low) if apart else source.whole for name, source in own.items()}
            made = set()
            for key, record in changes(self.plan, group, facts, self.at):
                made.add(key)
                yield key, record
            for key in self._gone(group, high, low):
                if key not in made:
                    made.add(key)
                    yield key, None

    def _changed(self, group: Group) -> tuple[Any, Any]:
        assert self.live is not None
        found = [self.sources[base.name].changed(self.live.pins) for base in group.bases]
        pairs = np.unique(np.concatenate([np.column_stack(each) for each in found]), axis=0)
        return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])

    def _gone(self, group: Group, high: Any, low: Any) -> Iterable[bytes]:
        """Yield the record keys of changed keys as they were before: of a key that lost all rows nothing else tells."""
        assert self.live is not None
        for base in group.bases:
            before: Facts = self.sources[base.name].at(self.live.pins).of_keys(high, low)
            if not len(before):
                continue
            for key in keys_of(group, before.keys, len(before)).unique().to_pylist():
                if key is not None:
                    yield key

    def planned(self, seconds: float) -> Materialized:
        written = sum(len(high) for high, _ in self.changed.values()) if self.changed is not None else self._most()
        live = self.live
        return Materialized(
            self.space,
            None if live is None else live.id,
            written,
            0,
            written if live is None else live.keys,
            0 if live is None else live.nbytes,
            self.changed is None,
            self.settling,
            self.pins,
            seconds,
            plan=True,
        )

    def _most(self) -> int:
        """Count the keys."""
        count = 0
        for group in self.plan.groups:
            words = [
                np.column_stack((part.high, part.low)) for base in group.bases for part in self.sources[base.name].parts
            ]
            count += len(np.unique(np.concatenate(words), axis=0))
        return count

    def done(self, written: int, removed: int, seconds: float, *, full: bool, settled: int) -> Materialized:
        live = self.online.snapshot(self.space)
        assert live is not None
        return Materialized(
            self.space, live.id, written, removed, live.keys, live.nbytes, full, settled, self.pins, seconds
        )


class _Counted:
    """Records on their way, counted."""

    def __init__(self, meter: Meter) -> None:
        self.written = self.removed = 0
        self._meter = meter

    def whole(self, items: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        for item in items:
            self.written += 1
            if not self.written % 10_000:
                self._meter.add_rows(10_000)
            yield item

    def some(self, items: Iterable[tuple[bytes, bytes | None]]) -> Iterator[tuple[bytes, bytes | None]]:
        for key, record in items:
            if record is None:
                self.removed += 1
            else:
                self.written += 1
            yield key, record
