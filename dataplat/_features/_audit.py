"""The audit: what was served, held against what the lake says should have been, cell by cell, to the last bit.

*As served*: each logged row is answered again by the kernel, from the versions that its snapshot was made of and the rows
that had been pushed by then. There must be no difference; of each that there is, a cause is found by answering once more
under other assumptions. *Stale*, apart from that: what a training set says now of the same entities and times, and serving
could not know yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np

from dataplat._features._pushed_rows import PushedRows
from dataplat._features._replay import Replay, Said, with_ttl
from dataplat._features._served import DATASET, land
from dataplat.errors import DatasetNotFound, VersionNotFound
from dataplat.feature_store.closure import closure_hash
from dataplat.feature_store.served_rows import spelled, text, typed
from dataplat.lake.schema import parse_type

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService
    from dataplat.feature_store.kernel.facts import Facts

Cause: TypeAlias = Literal["late", "expired", "definition", "type", "store"]
CAUSES: Final[Mapping[str, str]] = {
    "late": "a row counted that was not to be had yet, or one was left out that was",
    "expired": "a value counted as too old, or as not too old, against its ttl",
    "definition": "it was made with other definitions, or by another kernel",
    "type": "the column had another type",
    "store": "the online store held something else, or the log does",
}
TOLD: Final = 1000
"""Differences that are told one by one; all are counted."""
CHUNK: Final = 20_000
ALL: Final = (1 << 63) - 1
"""A sequence that no row has: all that were pushed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that was served otherwise than it should have been.

    Attributes:
        id: of the row in `features.served`.
        t: the time of the request.
        snapshot: what it was of.
        entities: whose it is.
        column: the feature.
        served: its value, as the log has it.
        served_status: its status.
        replayed: what it should have been.
        replayed_status: likewise.
        cause: one of `CAUSES`.
    """

    id: str
    t: datetime
    snapshot: str
    entities: Mapping[str, Any]
    column: str
    served: Any
    served_status: str
    replayed: Any
    replayed_status: str
    cause: Cause


@dataclass(slots=True)
class Audit:
    """What an audit found.

    Attributes:
        service: `service@version`.
        rows: of the log that were answered again.
        cells: of them.
        snapshots: that they were of.
        first: the time of the oldest.
        last: of the newest.
        differences: the first of them; there must be none.
        causes: how many there are of each cause.
        lost: rows that cannot be answered again: a version of theirs was collected.
        stale: by column, how many cells a training set would say otherwise now.
        stale_rows: rows with such a cell.
    """

    service: str
    rows: int = 0
    cells: int = 0
    snapshots: int = 0
    first: datetime | None = None
    last: datetime | None = None
    differences: list[Difference] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    stale: Counter[str] = field(default_factory=Counter)
    stale_rows: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything was served as it should have been."""
        return not self.causes

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "service": self.service,
            "ok": self.ok,
            "rows": self.rows,
            "cells": self.cells,
            "snapshots": self.snapshots,
            "first": self.first,
            "last": self.last,
            "differences": sum(self.causes.values()),
            "causes": dict(self.causes),
            "lost": self.lost,
            "stale": dict(self.stale),
            "stale_rows": self.stale_rows,
            "told": [{name: getattr(each, name) for name in Difference.__slots__} for each in self.differences],
        }

    def to_html(self) -> str:
        """Return it as one page that needs no network."""
        from dataplat._features._audit_page import page

        return page(self)

    def _repr_html_(self) -> str:
        from dataplat._features._audit_page import fragment

        return fragment(self)

    def __str__(self) -> str:
        what = f"{self.service}: {self.rows:,} served rows, {self.cells:,} cells, {sum(self.causes.values()):,} differences"
        return what + (f", {self.stale_rows:,} rows stale" if self.stale_rows else "")


def audit(
    store: FeatureStore,
    service: FeatureService | str,
    *,
    since: datetime | timedelta | None = None,
    until: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Audit:
    """Hold what was served against the lake: see `FeatureStore.audit`."""
    from dataplat._features._registry import resolve

    land(store)
    meant = resolve(store, service)
    found = Audit(meant.reference)
    rows = _logged(store, found.service, since, until)
    if rows is None or not rows.num_rows:
        return found
    found.first, found.last = rows.column("t")[0].as_py(), rows.column("t")[-1].as_py()
    found.snapshots = len(rows.column("snapshot").unique())
    replay = Replay(store, meant, PushedRows(store, meant).up_to)
    closure, done = closure_hash(meant), 0
    for some in _groups(rows):
        _Group(replay, closure, some, found).audit()
        done += some.num_rows
        if progress is not None:
            progress(done, rows.num_rows)
    return found


def _logged(
    store: FeatureStore, space: str, since: datetime | timedelta | None, until: datetime | None
) -> pa.Table | None:
    """Return the rows of the log, the oldest first; None where nothing was ever logged."""
    import polars as pl

    try:
        version = store.lake.version(DATASET, store.branch)
    except DatasetNotFound:
        return None
    wanted = pl.col("space") == space
    if isinstance(since, timedelta):
        since = datetime.now(UTC) - since
    if since is not None:
        wanted &= pl.col("t") >= since
    if until is not None:
        wanted &= pl.col("t") < until
    return version.to_arrow(where=wanted).sort_by([("t", "ascending"), ("id", "ascending")])


def _groups(rows: pa.Table) -> Iterator[pa.Table]:
    """Yield rows of one snapshot, definition and types, and where rows had been pushed of one sequence, in portions."""
    import polars as pl

    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    for some in frame.partition_by("snapshot", "closure", "pins", "types", "sequence", maintain_order=True):
        for portion in some.iter_slices(CHUNK):
            yield portion.to_arrow()


class _Group:
    """Rows of the log that were answered from the same versions."""

    def __init__(self, replay: Replay, closure: str, rows: pa.Table, found: Audit) -> None:
        self.replay, self.rows, self.found = replay, rows, found
        self.same = rows.column("closure")[0].as_py() == closure
        self.pins: dict[str, str] = msgspec.json.decode(rows.column("pins")[0].as_py())
        self.types: dict[str, Any] = msgspec.json.decode(rows.column("types")[0].as_py())
        self.sequence: int = rows.column("sequence")[0].as_py()
        self.t = np.asarray(rows.column("t").cast("int64"))
        self.spine = replay.spine(rows)
        self.served = _said(rows, self.types)

    def audit(self) -> None:
        replay, found = self.replay, self.found
        try:
            pushed = replay.pushed(self.pins, self.sequence, int(self.t.max()))
            of = replay.facts(self.spine, self.t, self.pins, pushed)
        except VersionNotFound:
            found.lost += self.rows.num_rows
            return
        said = replay.say(self.spine, self.t, of)
        found.rows += self.rows.num_rows
        found.cells += self.rows.num_rows * len(replay.plan.columns)
        differing = self._differing(said)
        if any(differing.values()):
            self._tell(differing, said, of)
        if not replay.current(self.pins, pushed):
            self._stale(replay.say(self.spine, self.t, self.now), said)

    @cached_property
    def now(self) -> dict[str, Facts]:
        """What there is now: of the newest versions, and what was pushed and has not landed."""
        replay = self.replay
        return replay.facts(self.spine, self.t, None, replay.pushed(replay.pins, ALL))

    def _differing(self, said: Said) -> dict[str, list[int]]:
        """Return the rows of each column that were answered otherwise; all, where its type is another."""
        found = {}
        for name, values in said.values.items():
            if self.types.get(name) != said.types[name]:
                found[name] = list(range(self.rows.num_rows))
                continue
            found[name] = _unequal(self.served, said, name, values)
        return found

    def _tell(self, differing: Mapping[str, Sequence[int]], said: Said, of: Mapping[str, Facts]) -> None:
        others = _Others(self, of) if self.same else None
        for name, rows in differing.items():
            for row in rows:
                cause: Cause = "definition" if others is None else others.cause(name, row, said)
                self.found.causes[cause] += 1
                if len(self.found.differences) < TOLD:
                    self.found.differences.append(self._difference(name, row, said, cause))

    def _difference(self, name: str, row: int, said: Said, cause: Cause) -> Difference:
        told = {each: self.rows.column(each)[row].as_py() for each in ("id", "t", "snapshot")}
        return Difference(
            **told,
            entities=msgspec.json.decode(self.rows.column("entities")[row].as_py()),
            column=name,
            served=self.served.values[name][row],
            served_status=self.served.statuses[name][row],
            replayed=said.values[name][row],
            replayed_status=said.statuses[name][row],
            cause=cause,
        )

    def _stale(self, now: Said, said: Said) -> None:
        """Count what a training set says otherwise than serving should have."""
        stale: set[int] = set()
        for name, values in now.values.items():
            rows = _unequal(said, now, name, values)
            if rows:
                self.found.stale[name] += len(rows)
                stale.update(rows)
        self.found.stale_rows += len(stale)


class _Others:
    """Other answers to the same rows, each under one assumption that is not so; made when they are asked for."""

    def __init__(self, group: _Group, of: Mapping[str, Facts]) -> None:
        self._group, self._of = group, of
        self._made: dict[str, list[Said]] = {}

    def cause(self, name: str, row: int, said: Said) -> Cause:
        """Return the cause of a difference: the first assumption under which all that was served of the view is right.

        Of an on-demand feature all that was served of the row has to be.
        """
        group = self._group
        if group.types.get(name) != said.types[name] and self._same_but_type(name, row, said):
            return "type"
        together = [each for each in said.values if _view(each) == _view(name)] if _view(name) else list(said.values)
        causes: tuple[Cause, ...] = ("expired", "late")
        for cause in causes:
            for other in self._answers(cause):
                if not any(_unequal_cell(group.served, other, each, row) for each in together):
                    return cause
        return "store"

    def _same_but_type(self, name: str, row: int, said: Said) -> bool:
        """Tell whether a value is the same in the other type, so far as that can hold it."""
        import pyarrow as pa

        value, kind = said.values[name][row], parse_type(said.types[name])
        try:
            other = parse_type(self._group.types[name])
            cast = spelled(typed([value], kind).cast(other, safe=False))[0]
        except (KeyError, pa.ArrowException):
            return True  # nothing that could be compared is left
        return text(cast) == text(self._group.served.values[name][row])

    def _answers(self, cause: str) -> list[Said]:
        if cause not in self._made:
            self._made[cause] = list(self._expired() if cause == "expired" else self._late())
        return self._made[cause]

    def _expired(self) -> Iterator[Said]:
        """Yield answers as if nothing expired, and as if everything did."""
        group = self._group
        for ttl in (None, 1):
            yield group.replay.say(group.spine, group.t, self._of, change=with_ttl(ttl))

    def _late(self) -> Iterator[Said]:
        """Yield answers as if rows had been known sooner, or pushed rows later."""
        group, replay = self._group, self._group.replay
        yield replay.say(group.spine, group.t, self._of, as_known="now")
        yield replay.say(group.spine, group.t, replay.facts(group.spine, group.t, group.pins))
        yield replay.say(group.spine, group.t, group.now)
        yield replay.say(group.spine, group.t, group.now, as_known="now")


def _view(column: str) -> str:
    """Return the view of a column; nothing of an on-demand feature."""
    return column.partition("__")[0] if "__" in column else ""


def _said(rows: pa.Table, types: Mapping[str, Any]) -> Said:
    """Return what the log says was served."""
    features = [msgspec.json.decode(each) for each in rows.column("features").to_pylist()]
    statuses = [msgspec.json.decode(each) for each in rows.column("statuses").to_pylist()]
    return Said(
        {name: [each.get(name) for each in features] for name in types},
        {name: [each.get(name, "present") for each in statuses] for name in types},
        types,
    )


def _unequal(one: Said, other: Said, name: str, values: Sequence[Any]) -> list[int]:
    """Return the rows that differ in a bit of their value, or in their status."""
    mine, statuses = one.values.get(name), one.statuses.get(name)
    if mine is None or statuses is None:
        return list(range(len(values)))
    if text(mine) == text(values) and list(statuses) == list(other.statuses[name]):
        return []
    return [row for row in range(len(values)) if _unequal_cell(one, other, name, row)]


def _unequal_cell(one: Said, other: Said, name: str, row: int) -> bool:
    if one.statuses[name][row] != other.statuses[name][row]:
        return True
    return text(one.values[name][row]) != text(other.values[name][row])
