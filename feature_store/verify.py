"""Proof on somebody's own definitions that training and serving agree: drawn rows, answered in four ways that share little.

    training   the kernel over all rows at once
    parts      the same over rows in parts, merged in another order, and over ranges of keys
    search     last values searched part by part, without merging
    serving    records packed at some time, asked at later ones: other code, in plain Python, one row at a time

They have to be equal to the last bit, in values, statuses and ages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dataplat.feature_store.closure import closure_hash, used_views
from dataplat.feature_store.definitions import FeatureService, FeatureView, Field
from dataplat.feature_store.drawn import Drawn, request
from dataplat.feature_store.kernel.answer import answer, answers, served
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.asof import latest
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.kernel.order import between, facts, merged, without_moves
from dataplat.feature_store.keys import dtype
from dataplat.feature_store.online.plan import ServingPlan, bases_of, flat, identity, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Reading, Snapshot

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.feature_store.kernel.facts import Facts

    Ints: TypeAlias = NDArray[np.int64]

_ROWS, _ASKED, _TOLD = 120, 24, 20


@dataclass(slots=True)
class Verified:
    """What was tried, and where two ways differed.

    Attributes:
        service: `name@version`.
        worlds: sets of rows that were drawn.
        cells: values with their statuses and ages that were compared, of each way.
        differences: where ways differed, in words, the first twenty.
    """

    service: str
    worlds: int = 0
    cells: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all ways agreed."""
        return not self.differences

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "service": self.service,
            "ok": self.ok,
            "worlds": self.worlds,
            "cells": dict(self.cells),
            "differences": list(self.differences),
        }


def verify(
    service: FeatureService,
    schemas: Mapping[str, pa.Schema],
    *,
    worlds: int = 50,
    seed: int = 0,
    done: Callable[[int, int], None] | None = None,
) -> Verified:
    """Draw so many worlds, and compare.

    Args:
        service: the definitions.
        schemas: of the source of each view, by its name.
        worlds: sets of rows.
        seed: of what is drawn; equal seeds draw the same.
        done: is told after each world how many are done, and how many questions it asked.
    """
    found = Verified(service.reference)
    for number in range(worlds):
        world = _World(service, schemas, Random(f"{seed} {number}"))  # noqa: S311 - rows, not keys
        for way, row, column, ours, theirs in world.compared(found.cells):
            if len(found.differences) < _TOLD:
                found.differences.append(
                    f"world {number} (seed {seed}), {way}, row {row}: {column} is {theirs!r}, and {ours!r} in training"
                )
        found.worlds += 1
        if done is not None:
            done(found.worlds, _ASKED)
    return found


class _World:
    """Rows for every view of a service, and questions about them."""

    def __init__(self, service: FeatureService, schemas: Mapping[str, pa.Schema], rng: Random) -> None:
        self.service, self.rng = service, rng
        self.views = used_views(service)
        self.schemas = schemas
        self.drawn = Drawn(rng, _steps(self.views))
        self.parts = {base.name: self._parts(base) for base in bases_of(service)}
        self.facts = {
            view.name: merged(view, self.parts[base.name])
            for view in self.views
            for base in bases_of(service)
            if identity(base) == identity(view)
        }
        self.plan = ServingPlan.of(service, types_of(schemas))
        self.spine = self._spine()

    def _parts(self, view: FeatureView) -> list[Facts]:
        rows = self.rng.choice((0, 3, _ROWS // 4, _ROWS))
        table = self.drawn.rows(view, self.schemas[view.name], rows)
        k = gone = None
        if view.view.history == "commits":
            k = np.array([self.drawn.time() for _ in range(rows)], np.int64)
            gone = np.array(
                [FOREVER if self.rng.random() < 0.7 else each + 1 + self.rng.choice(self.drawn.steps) for each in k],
                np.int64,
            )
        cuts = sorted(self.rng.choices(range(rows + 1), k=2))
        return [
            facts(
                view,
                table[low:high],
                k=None if k is None else k[low:high],
                gone=None if gone is None else gone[low:high],
            )
            for low, high in zip([0, *cuts], [*cuts, rows], strict=True)
        ]

    def _spine(self) -> pa.Table:
        import pyarrow as pa

        columns: dict[str, Any] = {
            name: self.drawn.column(dtype(entity), _ASKED, nulls=0.05, few=True)
            for name, entity in self.plan.entities.items()
        }
        columns |= request(self.plan.transforms.request, self.drawn, _ASKED)
        return pa.table(columns) if columns else pa.table({"": pa.nulls(_ASKED)})

    def compared(self, cells: dict[str, int]) -> Iterator[tuple[str, int, str, Any, Any]]:
        """Yield where a way differs from training: way, row, column, values."""
        t = np.array([self.drawn.time() for _ in range(_ASKED)], np.int64)
        for view in self.views:
            ask = Ask.of(view, self.spine, t)
            whole = answer(view, self.facts[view.name], ask)
            for way, told in self._ways(view, ask):
                for name in told.columns:
                    cells[way] = cells.get(way, 0) + len(ask)
                    yield from _differing(way, f"{view.name}__{name}", _cells(whole, name), _cells(told, name))
        yield from self._served(cells)

    def _ways(self, view: FeatureView, ask: Ask) -> Iterator[tuple[str, Any]]:
        base = next(base for base in bases_of(self.service) if identity(base) == identity(view))
        parts = self.parts[base.name]
        yield "parts", answer(view, merged(view, parts[::-1]), ask)
        if without_moves(self.facts[view.name]) and view.view.entities:
            half = 1 << 63
            low = [between(part, 0, half) for part in parts]
            rows = np.flatnonzero(ask.high < np.uint64(half))
            yield "parts", _Some(answer(view, merged(view, low), ask.take(rows)), rows, len(ask))
        plain = [each.feature for each in view.features if isinstance(each, Field) and each.fill == "null"]
        if plain and (found := latest(parts, ask)) is not None:
            closed = np.setdiff1d(np.arange(len(ask)), found.open)
            yield "search", _Some(served(view[plain], parts, found, ask), closed, len(ask), every=True)

    def _served(self, cells: dict[str, int]) -> Iterator[tuple[str, int, str, Any, Any]]:
        serving = Serving(self.plan)
        for _ in range(2):
            at = self.drawn.time() + self.rng.choice((-40 * 3_600_000_000, 0))
            records: dict[bytes, bytes] = {}
            for group in self.plan.groups:
                own = {
                    base.name: next(
                        self.facts[view.name] for view in self.views if identity(view) == identity(base.view)
                    )
                    for base in group.bases
                }
                records.update(pack(self.plan, group, own, at))
            snapshot = Snapshot("drawn", at, {}, closure_hash(self.service), types=self.plan.types)

            def read(keys: Sequence[bytes], held: dict[bytes, bytes] = records, live: Snapshot = snapshot) -> Reading:
                return Reading(live, 0, [held.get(key) for key in keys], [()] * len(keys))

            t = max(at, self.drawn.time())
            asked = {name: self.spine.column(name).to_pylist() for name in self.spine.schema.names if name}
            found = serving.answer(asked, asked, t, read).table(statuses=True, ages=True)
            wanted = answers(self.service, self.facts, self.spine, np.full(_ASKED, t))
            for name in wanted.schema.names:
                cells["serving"] = cells.get("serving", 0) + _ASKED
                yield from _differing("serving", name, _values(wanted.column(name)), _values(found.column(name)))


@dataclass(frozen=True)
class _Some:
    """An answer to some of the questions: the others are not compared."""

    told: Any
    rows: Ints
    count: int
    every: bool = False

    @property
    def columns(self) -> Mapping[str, Any]:
        return self.told.columns  # type: ignore[no-any-return]


def _cells(told: Any, name: str) -> dict[int, Any]:
    """Return (value, status, age) by question."""
    if isinstance(told, _Some):
        cells = _cells(told.told, name)
        if told.every:
            return {row: cells[row] for row in told.rows.tolist()}
        return {row: cells[at] for at, row in enumerate(told.rows.tolist())}
    values = _values(told.columns[name])
    rows = zip(values.values(), told.statuses[name].tolist(), told.ages[name].tolist(), strict=True)
    return dict(enumerate(rows))


def _values(column: Any) -> dict[int, Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    return dict(enumerate(column.to_pylist()))


def _differing(
    way: str, name: str, ours: Mapping[int, Any], theirs: Mapping[int, Any]
) -> Iterator[tuple[str, int, str, Any, Any]]:
    for row, value in theirs.items():
        if repr(ours[row]) != repr(value):  # floats as they are written: NaN is NaN, -0.0 is not 0.0
            yield way, row, name, ours[row], value


def _steps(views: Sequence[FeatureView]) -> list[int]:
    """Return the lengths that edges lie at."""
    found = {view.view.ttl or 0 for view in views} | {view.view.delay for view in views}
    for view in views:
        for each in flat(view.features):
            found |= {each.span or 0, each.hop or 0}
    return sorted(found - {0})
