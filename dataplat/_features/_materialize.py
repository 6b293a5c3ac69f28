"""Makes the snapshot that is served: all of it at first, then only what changed between the versions of its sources.

    flush what was pushed → read what is live → find the keys that changed → pack their records → change, in one step

What was pushed and is in the dataset by then leaves the overlay in the same step in which the snapshot that holds it goes live.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dataplat._features._gates import bound, hold
from dataplat._features._group import facts_of_keys
from dataplat._features._kept import Kept
from dataplat._features._registry import definition
from dataplat._features._sources import ViewSource, different
from dataplat.errors import ConfigError, FeatureNotFound, ObjectNotFound, SnapshotConflict, StoreError, VersionNotFound
from dataplat.feature_store.closure import closure_hash
from dataplat.feature_store.definitions import FeatureService
from dataplat.feature_store.kernel.order import starts_of
from dataplat.feature_store.online.plan import Group, ServingPlan, bases_of, types_of
from dataplat.feature_store.online.record import changes, keys_of, pack
from dataplat.feature_store.online.store import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataplat._features._pushed_settling import Settling
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.kernel.facts import Facts
    from dataplat.feature_store.online.store import OnlineStore
    from dataplat.ingest._progress import Meter
    from dataplat.lake.engine import Engine

    Pairs: TypeAlias = NDArray[np.void]
    """Digests of keys: (high, low)."""

ROWS = 8_000_000
"""Rows of a source whose records are made at once."""
_SOME = 256
"""Records that are counted together."""
_AGAIN = 6
"""How often it is begun because somebody else made a snapshot meanwhile."""
_FIRST_WAIT = 0.1
"""Seconds that are waited at most before the second time, doubled each time."""


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
        notes: what could not be looked at, in words.
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
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a snapshot is to be made.

    Attributes:
        full: all of it anew.
        plan: only say what would be done.
        contracts: by dataset what it has to meet.
        accept_drift: features may move as far as they do.
        engine: who makes all of it, where all is made.
    """

    full: bool = False
    plan: bool = False
    contracts: Mapping[str, Any] = field(default_factory=dict)
    accept_drift: bool = False
    engine: str | Engine = "local"


def materialize(store: FeatureStore, service: FeatureService | str, meter: Meter, asked: Asked) -> Materialized:
    """Make the snapshot of a service that is live from then on.

    Where another one went live meanwhile it begins anew, and so with what is there by then: nothing older takes its place.

    Raises:
        FeatureNotFound: The service was not applied.
        ConfigError: It was applied with another definition, or a contract is of what is no source.
        ContractFailed: A source does not meet its contract, or features move too far: what was live is served.
        SnapshotConflict: Others made one again and again meanwhile.
        SchemaError: A source lost a column, or holds what features cannot be made of.
    """
    begun = time.monotonic()
    for attempt in range(_AGAIN):
        try:
            return _made(store, _applied(store, service), meter, asked, begun)
        except SnapshotConflict:
            if attempt == _AGAIN - 1:
                raise
            time.sleep(random.uniform(0, _FIRST_WAIT * 2**attempt))  # noqa: S311 - who waits how long is no secret
    raise AssertionError("a loop that returns or raises")


def rollback(store: FeatureStore, service: FeatureService) -> Snapshot:
    """Serve the snapshot before again."""
    space = service.reference
    gone = store.online.snapshot(space)
    back = store.online.rollback(space)
    if gone is not None and gone.id != back.id:
        Kept(store, space).drop(gone.id)
    return back


def _made(store: FeatureStore, service: FeatureService, meter: Meter, asked: Asked, begun: float) -> Materialized:
    meter.enter("looking at what changed")
    work = _Work.of(store, service, asked)
    if work.same:
        assert work.live is not None
        notes = () if asked.plan else _unless_read_only(work.kept.tidy, work.live, work.commits)
        return work.done(0, 0, time.monotonic() - begun, plan=asked.plan, notes=notes)
    hold(work.space, work.sources, asked.contracts)
    if asked.plan:
        work.compare()
        notes = work.gate(asked)
        return replace(work.planned(time.monotonic() - begun), notes=notes)
    notes = _unless_read_only(work.kept.take, work.id, work.commits)
    try:
        work.compare()
        notes += work.gate(asked)
        meter.enter("packing")
        counted = _Counted(meter)
        if work.changed is None:
            work.online.load(
                work.space, work.snapshot, counted.whole(work.everything(store, asked.engine)), settled=work.settled
            )
        else:
            work.online.change(work.space, work.snapshot, counted.some(work.changes()), settled=work.settled)
    except BaseException:
        work.let_go()
        raise
    if work.live is not None:
        work.kept.drop(work.live.parent)  # a step back leads to what was live, and no further
    done = work.done(counted.written, counted.removed, time.monotonic() - begun, notes=notes)
    if (
        work.live is None and work.pushed.missed()
    ):  # rows that came meanwhile: there was no snapshot to serve them beside
        later = _made(store, service, meter, asked, begun)
        return replace(done, snapshot=later.snapshot, keys=later.keys, nbytes=later.nbytes, pins=later.pins)
    return done


def _unless_read_only(keep: Callable[..., None], *what: Any) -> tuple[str, ...]:
    """Hold versions; return a note where the lake cannot be written: it can be served from all the same."""
    try:
        keep(*what)
    except StoreError as error:
        return (f"its versions are not held, and may be collected: {error}",)
    return ()


def _applied(store: FeatureStore, service: FeatureService | str) -> FeatureService:
    if isinstance(service, str):
        return definition(store, service).read()
    name = service.reference
    try:
        held = definition(store, name)
    except FeatureNotFound as error:
        raise FeatureNotFound(f"{error}; apply it before it is materialised") from error
    if held.closure != closure_hash(service):
        raise ConfigError(f"{name} was applied with another definition: give this one another version, and apply it")
    return held.read()  # limits may have been applied since, without another version


@dataclass
class _Work:
    """One materialisation.

    Attributes:
        live: the snapshot that is live.
        pushed: what was pushed.
        settled: the sequence up to which the sources hold what was pushed; None: as far as before.
        settling: how many pushed rows that is.
        difference: whether the new snapshot can be made of what is live and what changed.
        changed: by group the digests of keys that changed; None: all are made.
        id: of the new snapshot.
    """

    plan: ServingPlan
    sources: Mapping[str, ViewSource]
    online: OnlineStore
    kept: Kept
    live: Snapshot | None
    pushed: Settling
    settled: int | None
    settling: int
    at: int
    difference: bool
    changed: dict[int, tuple[Any, Any]] | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def of(cls, store: FeatureStore, service: FeatureService, asked: Asked) -> _Work:
        from dataplat._features._pushed_settling import Settling

        online, space = store.online, service.reference
        live = online.snapshot(space)
        settling = Settling.before(store, service, space)  # first what was pushed, then the sources that hold it
        if not asked.plan:
            settling.flush()
        commit = settling.head or store.lake.refs.head(store.branch).commit
        sources = {base.name: ViewSource.of(store, base, commit) for base in bases_of(service)}
        types = types_of({name: source.schema for name, source in sources.items()})
        settled, count = settling.after()
        if not asked.plan:
            settling.remember(space, count)
        now, serving = time.time_ns() // 1000, ServingPlan.of(service, types)
        return cls(
            serving,
            sources,
            online,
            Kept(store, space),
            live,
            settling,
            settled,
            count,
            now if live is None else max(now, live.at),
            not asked.full and live is not None and live.closure == serving.closure and live.types == serving.types,
        )

    @property
    def space(self) -> str:
        return self.plan.space

    @property
    def pins(self) -> dict[str, str]:
        return {name: version for source in self.sources.values() for name, version in source.pins.items()}

    @property
    def same(self) -> bool:
        """Whether what is live is what would be made."""
        return self.difference and self.live is not None and self.live.pins == self.pins and not self.settling

    @property
    def commits(self) -> tuple[str, ...]:
        """The commits that have these versions."""
        found = {version.found_at.id for source in self.sources.values() for version in source.versions.values()}
        return tuple(sorted(found))

    def compare(self) -> None:
        """Find the keys that changed; all of them where what is live was made of what is not there any more."""
        if not self.difference:
            return
        assert self.live is not None
        try:
            if not any(self.sources[base.name].erased(self.live.pins) for base in self.plan.bases):
                self.changed = {group.number: self._changed(group) for group in self.plan.groups}
        except (VersionNotFound, ObjectNotFound):  # collected, or of a lake that was put back to what it was
            self.changed = None

    def gate(self, asked: Asked) -> tuple[str, ...]:
        """Raise where features would move too far; return what could not be compared."""
        if self.live is None or asked.accept_drift:
            return ()
        return bound(self.space, [base.view for base in self.plan.bases], self.sources, self.live, self.at)

    def let_go(self) -> None:
        """Let go of versions that were held for a snapshot that did not go live; where it is not known they stay."""
        with suppress(StoreError):
            live = self.online.snapshot(self.space)
            if live is None or live.id != self.id:
                self.kept.drop(self.id)

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(
            id=self.id,
            at=self.at,
            pins=self.pins,
            closure=self.plan.closure,
            parent=None if self.live is None else self.live.id,
            made=time.time_ns() // 1000,
            types=self.plan.types,
        )

    def everything(self, store: FeatureStore, engine: str | Engine) -> Iterator[tuple[bytes, bytes]]:
        """Yield all records, those of a range of keys together."""
        if engine != "local":
            from dataplat._spark._features_records import records_by

            yield from records_by(engine, store, self.plan, self.sources, self.at)
            return
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
            facts, apart = facts_of_keys(own, high, low, self.live.pins)
            yield from changes(self.plan, group, facts, self.at)
            yield from ((key, None) for key in self._gone(group, facts, _pairs(high, low) if apart else None))

    def _changed(self, group: Group) -> tuple[Any, Any]:
        assert self.live is not None
        found = [self.sources[base.name].changed(self.live.pins) for base in group.bases]
        return found[0] if len(found) == 1 else different(found)

    def _gone(self, group: Group, facts: Mapping[str, Facts], changed: Pairs | None) -> Iterable[bytes]:
        """Return the record keys of what had rows before and has none: of the keys that changed, or (None) of all."""
        assert self.live is not None
        there = _pairs(*different([(rows.high, rows.low) for rows in facts.values()]))
        if changed is not None and len(there) == len(changed):
            return ()
        lost = None if changed is None else np.setdiff1d(changed, there)
        found: dict[bytes | None, None] = {}
        for base in group.bases:
            old = self.sources[base.name].at(self.live.pins)
            before: Facts = old.whole if lost is None else old.of_keys(lost["high"], lost["low"])
            places, pairs = _keys_in(before)
            gone = places[~np.isin(pairs, there) if lost is None else np.isin(pairs, lost)]
            found |= dict.fromkeys(keys_of(group, before.keys.take(gone), len(gone)).to_pylist())
        return (key for key in found if key is not None)

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

    def done(
        self, written: int, removed: int, seconds: float, *, plan: bool = False, notes: tuple[str, ...] = ()
    ) -> Materialized:
        live = self.online.snapshot(self.space)
        assert live is not None
        return Materialized(
            self.space,
            live.id,
            written,
            removed,
            live.keys,
            live.nbytes,
            not self.same and self.changed is None,
            self.settling,
            self.pins,
            seconds,
            plan,
            notes,
        )


def _pairs(high: Any, low: Any) -> Pairs:
    """Return the two halves of digests as one value each, that can be sorted."""
    found = np.empty(len(high), [("high", np.uint64), ("low", np.uint64)])
    found["high"], found["low"] = high, low
    return found


def _keys_in(rows: Facts) -> tuple[Any, Pairs]:
    """Return where the rows of each key begin, and its digest."""
    starts = starts_of(rows)
    return starts, _pairs(rows.high[starts], rows.low[starts])


class _Counted:
    """Records on their way, counted."""

    def __init__(self, meter: Meter) -> None:
        self.written = self.removed = 0
        self._meter = meter

    def whole(self, items: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        rest = iter(items)
        while some := list(islice(rest, _SOME)):
            self.written += len(some)
            self._meter.add_rows(len(some))
            yield from some

    def some(self, items: Iterable[tuple[bytes, bytes | None]]) -> Iterator[tuple[bytes, bytes | None]]:
        rest = iter(items)
        while some := list(islice(rest, _SOME)):
            removed = sum(record is None for _, record in some)
            self.removed += removed
            self.written += len(some) - removed
            self._meter.add_rows(len(some))
            yield from some
