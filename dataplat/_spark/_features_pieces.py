"""What tasks read: some parts of a spine or of a view's source, each where the task runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dataplat._features._row_query import of_view, shown_rows
from dataplat._features._sources import together, typed
from dataplat._features._spine import Landed
from dataplat._spark._features_routes import SLICE_BYTES
from dataplat.feature_store.kernel.order import columns_of, facts
from dataplat.feature_store.kernel.tables import packed, unpacked

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._sources import ViewSource
    from dataplat._features._spine import Spine
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureView
    from dataplat.feature_store.kernel.facts import Facts
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

ROWS: Final = 1_000_000
"""Rows of a spine that one task reads, if one part has no more."""


@dataclass(frozen=True, slots=True)
class SpineParts:
    """Rows of a spine that lie in a lake.

    Attributes:
        first: the number of the first row.
        rows: how many there are.
    """

    first: int
    rows: int
    objects: Objects
    parts: tuple[Part, ...]
    schema: pa.Schema

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read them."""
        from dataplat.lake.scan import to_table

        return to_table(self.objects, self.parts, self.schema, columns=columns)


@dataclass(frozen=True, slots=True)
class SpineRows:
    """Rows of a spine that somebody gave, sent along."""

    first: int
    rows: int
    data: bytes

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read them."""
        found = unpacked(self.data)
        return found if columns is None else found.select(list(columns))


def spine_pieces(spine: Spine, rows: int = ROWS) -> list[SpineParts | SpineRows]:
    """Return a spine in pieces."""
    from dataplat._version import Version

    given = spine.given
    if not isinstance(given, Version | Landed):
        table = spine.table
        rows = max(1, min(rows, SLICE_BYTES * table.num_rows // max(1, table.nbytes)))
        firsts = range(0, max(table.num_rows, 1), rows)
        return [SpineRows(first, len(some), packed(some)) for first in firsts for some in [table.slice(first, rows)]]
    stored = given.schema if isinstance(given, Landed) else given.manifest.schema
    found: list[SpineParts | SpineRows] = []
    at = 0
    for parts in _some(given.parts, rows):
        count = sum(part.live for part in parts)
        found.append(SpineParts(at, count, given.objects, tuple(parts), stored))
        at += count
    return found or [SpineParts(0, 0, given.objects, (), stored)]


def spine_schema(spine: Spine) -> pa.Schema:
    """Return the columns of a spine."""
    from dataplat._version import Version

    return spine.given.schema if isinstance(spine.given, Version | Landed) else spine.table.schema


def _some(parts: Sequence[Part], rows: int) -> Iterator[list[Part]]:
    some: list[Part] = []
    held = 0
    for part in parts:
        if some and held + part.live > rows:
            yield some
            some, held = [], 0
        some.append(part)
        held += part.live
    if some:
        yield some


@dataclass(frozen=True, slots=True)
class FactParts:
    """Rows of a view's source: some parts of one dataset, shown by a query row by row if the source is one.

    Attributes:
        number: of the view among those of the work.
        schema: of the dataset, as it is stored.
        shown: of the source.
    """

    number: int
    view: FeatureView
    objects: Objects
    parts: tuple[Part, ...]
    schema: pa.Schema
    shown: pa.Schema

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(part.live for part in self.parts)

    def facts(self) -> Facts:
        """Read them."""
        rows = shown_rows(of_view(self.view), self.objects, self.parts, self.schema, columns_of(self.view))
        return typed(facts(self.view, rows), self.shown)

    def sample(self) -> Facts:
        """Read some of them: those of the first batch."""
        from dataplat.lake.scan import scan

        query = of_view(self.view)
        there = self.schema.names
        wanted = [name for name in columns_of(self.view) if name in there] if query is None else None
        import pyarrow as pa

        batches = scan(self.objects, self.parts[:1], self.schema, columns=wanted, threads=0)
        first = next(iter(batches), None)
        if first is None:
            return facts(self.view, self.shown.empty_table())
        table = pa.Table.from_batches([first])
        return facts(self.view, table if query is None else query.of(table)[0])


@dataclass(frozen=True, slots=True)
class FactsWhole:
    """All facts of a view whose source is no sum of its parts: a query of several rows, or the differences of versions.

    One task makes them, by what makes them on one machine.
    """

    number: int
    view: FeatureView
    objects: Objects
    lake: tuple[str, str, str]
    pins: tuple[tuple[str, str], ...]
    rows: int = 0

    def facts(self) -> Facts:
        """Make them."""
        from dataplat._features._sources import ViewSource
        from dataplat._features._store import FeatureStore
        from dataplat._lake import Lake

        lake_id, url, branch = self.lake
        store = FeatureStore(Lake(self.objects.store, lake_id, url), branch)
        source = ViewSource.of(store, self.view).at(dict(self.pins))
        (make,) = source.parts.makes
        return typed(make(), source.schema)


FactPiece = FactParts | FactsWhole


def fact_pieces(number: int, source: ViewSource, store: FeatureStore) -> list[FactPiece]:
    """Return a view's source in pieces."""
    if not source.by_parts:
        lake = store.lake
        told = (lake.id, lake.url, store.branch)
        return [FactsWhole(number, source.view, lake.objects, told, tuple(sorted(source.pins.items())))]
    version = source.version
    return [
        FactParts(number, source.view, version.objects, tuple(some), version.manifest.schema, source.schema)
        for some in together(version.parts)
        if any(map(source.matters, some))
    ]
