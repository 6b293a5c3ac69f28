"""Records of what is served, made by tasks of Spark: all rows of some keys meet in one, which packs them as one machine does.

Records come to the driver in a stream, some megabytes at a time, and from there into the online store: one that is a file lies
on one machine, and any takes a snapshot as one step, from one writer.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat._features._sources import typed
from dataplat._spark._features import SIZE, SMALL, spark_of
from dataplat._spark._features_moves import moves
from dataplat._spark._features_packets import SPINE, VIEW, Packet, frame_of, streamed, then
from dataplat._spark._features_pieces import fact_pieces
from dataplat._spark._features_routes import Routes, routes
from dataplat.feature_store.codec import service_from_json, service_to_json
from dataplat.feature_store.kernel.order import facts, merged
from dataplat.feature_store.kernel.tables import facts_from_table, facts_to_table, packed, unpacked
from dataplat.feature_store.online.plan import ServingPlan, bases_of
from dataplat.feature_store.online.record import pack

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._sources import ViewSource
    from dataplat._features._store import FeatureStore
    from dataplat._spark._features_pieces import FactPiece
    from dataplat.feature_store.definitions import FeatureView
    from dataplat.lake.engine import Engine

    Sides: TypeAlias = Iterator[tuple[int, Iterator[Packet]]]
    Records: TypeAlias = Iterator[tuple[bytes, bytes]]

_BYTES: Final = 4 << 20
"""Bytes of records that travel together."""


def records_by(
    engine: str | Engine, store: FeatureStore, plan: ServingPlan, sources: Mapping[str, ViewSource], at: int
) -> Records:
    """Yield all records of a service, by tasks of Spark: those that `pack` makes of all rows.

    Raises:
        ConfigError: The lake is in the memory of this process, where tasks are not.
        EngineError: Spark gave up.
    """
    spark = spark_of(engine, store)
    bases = bases_of(plan.service)
    own = [sources[base.name] for base in bases]
    pieces = [fact_pieces(number, source, store) for number, source in enumerate(own)]
    moved = moves(spark, bases, pieces)
    numbers = {base.name: number for number, base in enumerate(bases)}
    found: list[Routes] = []
    first = 0
    for group in plan.groups:
        members = [numbers[base.name] for base in group.bases]
        rows = sum(piece.rows for number in members for piece in pieces[number])
        made = routes(first, rows, (), SIZE, 1 if rows <= SMALL else spark.cores)
        found.append(Routes(first, 1) if moved & set(members) else made)
        first = found[-1].stop
    work = Packing(
        service_to_json(plan.service),
        plan.types,
        tuple(own_.schema for own_ in own),
        tuple(found),
        at,
    )
    frame = frame_of(spark, [each for several in pieces for each in several], Filing(work))
    for data in streamed(spark, then(frame, first, work)):
        yield from pickle.loads(data)  # noqa: S301 - our own tasks wrote it


@dataclass(frozen=True)
class Packing:
    """Packs the rows of some keys of a group.

    Attributes:
        service: what is served, as JSON.
        types: of the columns of its bases.
        schemas: of their sources.
        routes: by group, where rows of its keys go.
        at: for which time.
    """

    service: Mapping[str, Any] = field(repr=False)
    types: Any
    schemas: tuple[pa.Schema, ...]
    routes: tuple[Routes, ...]
    at: int

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("plan", "bases")}

    @cached_property
    def plan(self) -> ServingPlan:
        """How the service is served."""
        return ServingPlan.of(service_from_json(self.service), self.types)

    @cached_property
    def bases(self) -> tuple[FeatureView, ...]:
        """Of what something is kept, by number."""
        return bases_of(self.plan.service)

    def group_of(self, name: str) -> int:
        """Return the number of the group of a base."""
        return next(at for at, group in enumerate(self.plan.groups) for base in group.bases if base.name == name)

    def __call__(self, sides: Sides) -> Iterator[Packet]:
        """Yield records."""
        rows, at = {}, 0
        for side, packets in sides:
            base, pieces = self.bases[side - VIEW], []
            for each in packets:
                at = each.to
                pieces.append(facts_from_table(unpacked(each.data), base))
            rows[base.name] = merged(base, pieces)
        if not rows:
            return
        group = self.plan.groups[self.group_of(next(iter(rows)))]
        for number, base in enumerate(self.bases):
            if base.name in {each.name for each in group.bases} and base.name not in rows:
                schema = self.schemas[number]
                rows[base.name] = typed(facts(base, schema.empty_table()), schema)
        some: list[tuple[bytes, bytes]] = []
        size = 0
        for key, record in pack(self.plan, group, rows, self.at):
            some.append((key, record))
            size += len(key) + len(record)
            if size >= _BYTES:
                yield Packet(0, SPINE, at, pickle.dumps(some))
                some, size = [], 0
        if some:
            yield Packet(0, SPINE, at, pickle.dumps(some))


@dataclass(frozen=True)
class Filing:
    """Reads a piece of a source, and brings its facts to where they are packed."""

    work: Packing

    def __call__(self, piece: FactPiece) -> Iterator[Packet]:
        """Yield the facts of a piece."""
        base = self.work.bases[piece.number]
        own = self.work.routes[self.work.group_of(base.name)]
        for to, some in own.of_facts(base, piece.facts(), None):
            yield Packet(to, VIEW + piece.number, 0, packed(facts_to_table(some)))
