"""What of a source was known when: its rows as `Fact`s, each with when it came and when it went (PIT 1, 4, 7, 8, 19, 28)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from dataplat.errors import SchemaError
from dataplat.feature_store.definitions import FeatureView
from dataplat.lake.schema import JsonType, parse_type
from dataplat.testing._features_values import bits, key_of, micros_of, rank

if TYPE_CHECKING:
    import polars as pl

Row: TypeAlias = dict[str, Any]
"""Values by column; times are the counts that Arrow holds, in the unit of their type."""


@dataclass(frozen=True, slots=True)
class Version:
    """All rows of a source as they were from the commit at `at` (microseconds) on."""

    at: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset: the types of its columns, as `dataplat.lake.schema` spells them, and its versions, the oldest first."""

    types: Mapping[str, JsonType]
    versions: tuple[Version, ...]

    @classmethod
    def of(cls, types: Mapping[str, JsonType], rows: Sequence[Row]) -> Source:
        """Return a source of one version."""
        return cls(types, (Version(0, tuple(rows)),))


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of a view's source: whose it is, when it was true, and from when until when it can be served."""

    key: tuple[Any, ...] | None
    e: int
    k: int
    gone: int | None
    """When it was deleted, or replaced by an upsert; None: it is there."""
    event: tuple[Any, ...] | None
    """Its row key, where the view names one."""
    order: tuple[Any, ...]
    """(e, k, its own columns): of two facts of a key the one with the greater order is the newer one."""
    row: Row


def facts(view: FeatureView, source: Source) -> list[Fact]:
    """Return the facts of a view, in no order that matters.

    Raises:
        SchemaError: A time is null, or is none; a key is of another type.
    """
    if view.view.history == "append":
        return [_fact(view, source, row, None, None) for row in source.versions[-1].rows if _counts(view, source, row)]
    return [fact for fact in by_commits(view, source) if _counts(view, source, fact.row)]


def by_commits(view: FeatureView, source: Source) -> Iterator[Fact]:
    """Yield a fact for every copy of a row that a version brought: `k` is the commit's time, a delete ends it (28)."""
    alive: list[tuple[Row, int]] = []  # (row, when it came)
    for version in source.versions:
        coming = list(version.rows)
        staying: list[tuple[Row, int]] = []
        for row, came in alive:
            if (at := _index(coming, row)) is not None:
                del coming[at]
                staying.append((row, came))
            else:
                yield _fact(view, source, row, came, version.at)
        alive = staying + [(row, version.at) for row in coming]
    for row, came in alive:
        yield _fact(view, source, row, came, None)


def _index(rows: Sequence[Row], row: Row) -> int | None:
    wanted = {column: bits(value) for column, value in row.items()}
    for at, other in enumerate(rows):
        if all(bits(other[column]) == value for column, value in wanted.items()):
            return at
    return None


def _fact(view: FeatureView, source: Source, row: Row, came: int | None, gone: int | None) -> Fact:
    told = view.view

    def time(column: str) -> int:
        what = f"{told.source}.{column}"
        found = micros_of(row[column], source.types[column], what, told.zone)
        if found is None:
            raise SchemaError(f"{what} is null")  # 6: a null k is refused, and so is a null e
        return found

    e = time(told.timestamp)
    k = came if came is not None else e if told.known_at is None else time(told.known_at)
    columns = [column for column, _ in told.keys]
    dtypes = [entity.dtype for entity in told.entities]
    key = key_of([row[column] for column in columns], dtypes, [f"{view.name}.{column}" for column in columns])
    event: tuple[Any, ...] | None = tuple(bits(row[column]) for column in told.row_key)
    if not event or any(row[column] is None for column in told.row_key):
        event = None  # a null names no event: such a row is one of its own
    order = (e, k, tuple(rank(row[column]) for column in told.columns))  # 6
    return Fact(key, e, k, gone, event, order, row)


def _counts(view: FeatureView, source: Source, row: Row) -> bool:
    """Say whether a row passes the view's `where`; one for which that is null does not."""
    import polars as pl
    import pyarrow as pa

    if view.view.where is None:
        return True
    condition = _condition(view.view.where)
    columns = condition.meta.root_names()
    frame = pl.from_arrow(pa.table({name: pa.array([row[name]], parse_type(source.types[name])) for name in columns}))
    assert isinstance(frame, pl.DataFrame)
    return frame.select(condition).item() is True


@lru_cache(maxsize=256)
def _condition(text: str) -> pl.Expr:
    import io

    import polars as pl

    if text.startswith("{"):
        return pl.Expr.deserialize(io.StringIO(text), format="json")
    return pl.sql_expr(text)


def visible(fact: Fact, t: int, delay: int, *, now: bool) -> bool:
    """Say whether a fact can be served at `t`: k + delay <= t (1, 8), and it is not gone by then (19).

    `now`: as_known="now", so it is there at all, whenever it came.
    """
    if now:
        return fact.gone is None
    return fact.k + delay <= t and (fact.gone is None or t < fact.gone + delay)


def current(rows: Sequence[Fact]) -> list[Fact]:
    """Return of facts of one event only the newest known: the greatest k, then e, their own columns and their key (7)."""
    newest: dict[Any, Fact] = {}
    alone: list[Fact] = []
    for fact in rows:
        if fact.event is None:
            alone.append(fact)
        elif fact.event not in newest or _known_order(fact) > _known_order(newest[fact.event]):
            newest[fact.event] = fact
    return alone + list(newest.values())


def _known_order(fact: Fact) -> tuple[Any, ...]:
    e, k, own = fact.order
    return (k, e, own, rank(fact.key))  # the key at last: versions that tie may be of different ones
