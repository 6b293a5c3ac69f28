"""The rows of a view's source at one commit, as facts: sorted once for each part, and remembered; merged key range by key range.

A dataset's rows are those of its version. With `history="commits"` they are the differences of its versions: what a version
brought was known when it was committed, what a later one took away was gone then (PIT 28). A query's rows are its result.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dataplat._features._row_query import RowQuery, of_view, shown_rows
from dataplat._heads import version_at
from dataplat.errors import DatasetNotFound
from dataplat.feature_store.definitions import FeatureView, Sql
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.kernel.order import between, columns_of, facts, merged, none_moves, of_keys, starts_of
from dataplat.feature_store.runs import Runs
from dataplat.lake.schema import did_you_mean
from dataplat.versioning.references import says_where

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._features._store import FeatureStore
    from dataplat._query import Query
    from dataplat._version import Version
    from dataplat.feature_store.kernel.facts import Facts
    from dataplat.lake.part import Part
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.diff import Diff

    Ints: TypeAlias = NDArray[np.int64]
    Words: TypeAlias = NDArray[np.uint64]

Pins: TypeAlias = Mapping[str, str]
"""Versions that are read, by dataset."""

_WHOLE = 1 << 64
_DAY = 86_400_000_000
PIECE = 1_000_000
"""Rows that are sorted and searched together, if one part has no more."""


@dataclass(frozen=True)
class ViewSource:
    """A view's source, as it was at one commit.

    Attributes:
        view: the view; of an alias what is behind it.
        runs: where facts of parts are remembered.
        versions: what is read, by the name that the view or its query calls it.
        query: the query, where the source is one.
        horizon: parts of which no row was known by then are not read; None: all are.
    """

    view: FeatureView
    runs: Runs
    versions: Mapping[str, Version]
    query: Query | None
    horizon: int | None = None

    @classmethod
    def of(cls, store: FeatureStore, view: FeatureView, commit: Commit | None = None) -> ViewSource:
        """Return the source of a view at a commit, by default at the head of the store's branch.

        Raises:
            DatasetNotFound: There is no such dataset; the view is named.
        """
        from dataplat._query import Query

        lake, source = store.lake, view.view.source
        commit = commit or lake.refs.head(store.branch).commit
        runs = store.runs
        if isinstance(source, Sql):
            query = Query(lake, source.query, store.branch)
            query.inputs = {
                name: version if says_where(name) else _version_at(store, name, commit, f"view {view.name}")
                for name, version in query.inputs.items()
            }
            return cls(view, runs, query.inputs, query)
        if says_where(source):
            return cls(view, runs, {source: lake[source]}, None)
        return cls(view, runs, {source: _version_at(store, source, commit, f"view {view.name}")}, None)

    @property
    def pins(self) -> dict[str, str]:
        """The versions that are read, by the name that they are called by."""
        return {name: version.id for name, version in self.versions.items()}

    @property
    def datasets(self) -> list[tuple[str, str]]:
        """Dataset and version id of all that is read: lineage."""
        return sorted({(version.dataset, version.id) for version in self.versions.values()})

    def at(self, pins: Pins) -> ViewSource:
        """Return it as it was when these versions were read.

        Raises:
            VersionNotFound: One of them was collected.
        """
        from dataplat._version import Version
        from dataplat.versioning.manifest import load_manifest

        found = {}
        for name, version in self.versions.items():
            if name not in pins or pins[name] == version.id:
                found[name] = version
                continue
            manifest = load_manifest(version.objects, pins[name])
            found[name] = Version(version.objects, version.dataset, manifest, version.found_at)
        query = None
        if self.query is not None:
            from copy import copy

            query = copy(self.query)
            query.inputs = found
        return ViewSource(self.view, self.runs, found, query)

    def erased(self, before: Pins) -> bool:
        """Say whether rows were erased from versions that were read then: no difference to them tells which.

        Raises:
            VersionNotFound: One of them was collected.
        """
        return any(version.id != before.get(name, version.id) for name, version in self.at(before).versions.items())

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the source, and their types."""
        if self.by_row is not None:
            return self.by_row.of(self.version.schema.empty_table())[0].schema
        return self.version.schema if self.query is None else self.query.schema

    @cached_property
    def by_row(self) -> RowQuery | None:
        """What shows the dataset to the view row by row, where that is what the query does."""
        return of_view(self.view)

    @property
    def by_parts(self) -> bool:
        """Whether facts of a part are part of the facts of all: rows are those of one dataset, or made of them one by one."""
        return self.view.view.history == "append" and (self.query is None or self.by_row is not None)

    @cached_property
    def parts(self) -> Pieces:
        """The facts of parts, small ones together, or of all where there are none: read when they are looked at."""
        if self.query is not None and not self.by_parts:
            name, make = self._name_of_query(), lambda: facts(self.view, self._queried())
            return Pieces(self, (name,), (make,))
        if self.view.view.history == "commits":
            return Pieces(self, (f"{self.version.id}-commits",), (self._by_commits,))
        found = [some for some in together(self.version.parts) if any(map(self.matters, some))]
        if not found:
            return Pieces(self, ("",), (lambda: facts(self.view, self.schema.empty_table()),))
        return Pieces(self, tuple(map(_name, found)), tuple(partial(self._made, some) for some in found))

    def until(self, t: int) -> ViewSource:
        """Return it without parts that hold only rows which nobody knew at `t`, microseconds (PIT 15)."""
        return replace(self, horizon=t)

    @cached_property
    def whole(self) -> Facts:
        """All facts, in memory."""
        self.parts.make()
        return merged(self.view, self.parts)

    @cached_property
    def apart(self) -> bool:
        """Whether keys can be worked on apart: no correction moves an event from one to another."""
        if not self.view.view.row_key:
            return True
        self.parts.make()
        return none_moves(self.parts, self.rows)

    def apart_since(self, before: Pins) -> bool:
        """Say whether keys can be worked on apart, and could be at the versions `before`: a correction may have gone since."""
        old = self.at(before)
        return self.apart and ((self.by_parts and self._appended(old) is not None) or old.apart)

    @property
    def rows(self) -> int:
        """How many facts there are, at most."""
        if self.by_parts:
            return sum(part.live for part in self.version.parts if self.matters(part))
        return sum(map(len, self.parts))

    def ranges(self, count: int) -> Iterator[tuple[int, int, Facts]]:
        """Yield the facts of ranges of keys with their bounds: upper halves of digests, from the first to before the second.

        `count` is how many there are, or one where keys cannot be worked on apart.
        """
        bounds = [round(number * _WHOLE / count) for number in range(count + 1)] if self.apart else [0, _WHOLE]
        for first, stop in pairwise(bounds):
            yield first, stop, merged(self.view, [between(part, first, stop) for part in self.parts])

    def of_keys(self, high: Words, low: Words) -> Facts:
        """Return all facts of some keys; of all keys where these cannot be worked on apart."""
        if not self.apart:
            return self.whole
        return merged(self.view, [of_keys(part, high, low) for part in self.parts])

    def changed(self, before: Pins) -> tuple[Words, Words]:
        """Return the digests of keys of which rows came, went, or are others than at the versions `before`."""
        old = self.at(before)
        if old.pins == self.pins:
            return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        if self.by_parts:
            return self._changed_rows(old)
        return differing(old.whole, self.whole)

    @property
    def version(self) -> Version:
        """The version, where one dataset is the source."""
        return next(iter(self.versions.values()))

    def _made(self, parts: Sequence[Part]) -> Facts:
        return facts(self.view, self._rows_of(parts, columns_of(self.view)))

    def _rows_of(self, parts: Sequence[Part], columns: Sequence[str]) -> pa.Table:
        version = self.version
        return shown_rows(self.by_row, version.objects, parts, version.manifest.schema, columns)

    def _shown(self, rows: pa.Table) -> pa.Table:
        return rows if self.by_row is None else self.by_row.of(rows)[0]

    def matters(self, part: Part) -> bool:
        """Say whether a row of a part may have been known by the horizon, as far as its statistics tell."""
        import pyarrow as pa

        told = self.view.view
        column = told.known_at or told.timestamp
        if self.by_row is not None and not self.by_row.keeps(column):
            return True
        if self.horizon is None or column not in self.schema.names or column not in part.stats:
            return True
        low = part.stats[column].low
        if not isinstance(low, int) or not pa.types.is_timestamp(self.schema.field(column).type):
            return True
        return low // 1000 - _DAY + told.delay <= self.horizon  # a day: naive times of a zone

    def _name_of_query(self) -> str:
        return hashlib.sha256(repr(sorted(self.pins.items())).encode()).hexdigest()

    def _queried(self) -> pa.Table:
        assert self.query is not None
        return self.query.to_arrow()

    def _changed_rows(self, old: ViewSource) -> tuple[Words, Words]:
        """Return the keys of the rows that differ between two versions, told by parts, deletes and digests."""
        from dataplat.versioning.diff import Diff

        version = self.version
        came = self._appended(old)
        if came is not None:
            bare = FeatureView.made_of(self.view.name, replace(self.view.view, features=(), columns=()))
            words = [facts(bare, self._rows_of(came, columns_of(bare)))] if came else []
            return different([(each.high, each.low) for each in words])
        went, came = _went_and_came(Diff(version.objects, old.version.manifest, version.manifest))
        words = [facts(self.view, self._shown(table)) for table in (*went, *came) if table.num_rows]
        return different([(each.high, each.low) for each in words])

    def _appended(self, old: ViewSource) -> list[Part] | None:
        """Return the parts that came since, where nothing else happened: no row went, nor is another one."""
        if old.version.schema_json != self.version.schema_json:
            return None
        before = Counter((part.id, part.deletes) for part in old.version.parts)
        came = []
        for part in self.version.parts:
            if before[part.id, part.deletes]:
                before[part.id, part.deletes] -= 1
            else:
                came.append(part)
        return None if any(before.values()) else came

    def _by_commits(self) -> Facts:
        """Return a fact for every copy of a row that a version brought; of equal ones the newest goes first."""
        import pyarrow as pa

        told = _History()
        for base, made, at in self._steps():
            told.step(at, *self._difference(base, made))
        table = pa.concat_tables(told.came, promote_options="permissive") if told.came else self.schema.empty_table()
        return facts(self.view, table, k=_joined(told.times), gone=_joined(told.ends))

    def _steps(self) -> list[tuple[str | None, str, int]]:
        """Return the versions that led to this one, the oldest first: (base, version, time of its commit)."""
        from dataplat.versioning.history import versions

        version = self.version
        steps = [
            (each.change.base, str(each.change.version), each.commit.time)
            for each in versions(version.objects, version.found_at, version.dataset)
        ]
        last = next((at for at, (_, made, _) in enumerate(steps) if made == version.id), 0)
        return steps[last:][::-1]

    def _difference(self, base: str | None, made: str) -> tuple[pa.Table | None, pa.Table]:
        """Return the rows that went and came between two versions; None: all that were there went."""
        import pyarrow as pa

        from dataplat.versioning.diff import Diff
        from dataplat.versioning.manifest import load_manifest

        objects = self.version.objects
        if base is None:
            name = next(iter(self.versions))
            return None, self.at({name: made}).version.to_arrow()
        both = _went_and_came(Diff(objects, load_manifest(objects, base), load_manifest(objects, made)))
        went, came = (pa.concat_tables(each, promote_options="permissive") for each in both)
        return went, came


def _went_and_came(found: Diff) -> tuple[list[pa.Table], list[pa.Table]]:
    """Return the rows that went and those that came; one that changed did both."""
    import pyarrow as pa

    went, came = [found.removed], [found.added]
    if (changed := found.changed).num_rows:  # before and after are its last columns
        went.append(pa.Table.from_struct_array(changed.column(changed.num_columns - 2)))
        came.append(pa.Table.from_struct_array(changed.column(changed.num_columns - 1)))
    return went, came


@dataclass(frozen=True)
class Pieces(Sequence["Facts"]):
    """Facts piece by piece: sorted once and remembered; each is mapped into memory when it is looked at, and then let go.

    So memory is bounded by a few of them, whatever the history. What cannot be remembered is kept.

    Attributes:
        source: whose facts they are.
        names: of each piece.
        makes: makes each.
    """

    source: ViewSource
    names: tuple[str, ...]
    makes: tuple[Callable[[], Facts], ...]
    _kept: dict[int, Facts] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        source, name, place = self.source, self.names[at], range(len(self))[at]
        if place in self._kept:
            return self._kept[place]
        found = source.runs.read(source.view, source.schema, name) if name else None
        if found is None:
            found = typed(self.makes[at](), source.schema)
            if not name or not source.runs.keep(source.view, source.schema, name, found):
                self._kept[place] = found
        return found

    def make(self) -> None:
        """Make those that are missing, several beside each other."""
        source = self.source
        missing = [
            at for at, name in enumerate(self.names) if name and not source.runs.has(source.view, source.schema, name)
        ]
        if len(missing) > 1:
            with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
                deque(pool.map(lambda at: self[at] and None, missing), maxlen=0)


def typed(found: Facts, schema: pa.Schema) -> Facts:
    """Return facts in the types of a source to the last name: readers call the items of lists differently."""
    import pyarrow as pa

    names = found.columns.schema.names
    if not any(pa.types.is_nested(kind) for kind in found.columns.schema.types):
        return found
    return replace(found, columns=found.columns.cast(pa.schema([(name, schema.field(name).type) for name in names])))


def together(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield parts in their order, small ones together, so that few of them are searched; more parts only change the last.

    One more part goes with those before it as long as they are not more than three times as many rows, as runs do in a
    log-structured merge tree: of many small ones that come each row is sorted anew some times, and not with every one.
    """
    found: list[tuple[int, list[Part]]] = []
    for part in parts:
        rows, some = part.rows, [part]
        while found and found[-1][0] <= 3 * rows and found[-1][0] + rows <= PIECE:
            before, others = found.pop()
            rows, some = before + rows, others + some
        found.append((rows, some))
    return (some for _, some in found)


def _name(parts: Sequence[Part]) -> str:
    names = [f"{part.id}-{part.deletes or 0}" for part in parts]
    return names[0] if len(names) == 1 else hashlib.sha256(" ".join(names).encode()).hexdigest()


def _version_at(store: FeatureStore, dataset: str, commit: Commit, whose: str) -> Version:
    found = version_at(store.lake, dataset, store.branch, commit)
    if found is None:
        names = [each.name for each in store.lake.datasets(store.branch)]
        near = did_you_mean(dataset, names) if names else "; there is none"
        raise DatasetNotFound(f"{whose}: there is no dataset {dataset!r} on branch {store.branch}{near}")
    return found


@dataclass
class _History:
    """Copies of rows: when each came, and when it went."""

    came: list[pa.Table] = field(default_factory=list)
    times: list[Ints] = field(default_factory=list)
    ends: list[Ints] = field(default_factory=list)
    _alive: dict[bytes, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def step(self, at: int, went: pa.Table | None, came: pa.Table) -> None:
        """Note what a commit at `at` took away, and brought."""
        if went is None:
            gone = [place for places in self._alive.values() for place in places]
            self._alive.clear()
        else:
            gone = [self._alive[digest].pop() for digest in _digests(went)]
        for piece, row in gone:
            self.ends[piece][row] = at
        for row, digest in enumerate(_digests(came)):
            self._alive[digest].append((len(self.came), row))
        self.came.append(came)
        self.times.append(np.full(came.num_rows, at))
        self.ends.append(np.full(came.num_rows, FOREVER))


def _digests(rows: pa.Table) -> list[bytes]:
    from dataplat.lake.content_id import row_digests

    found = np.ascontiguousarray(row_digests(rows)).tobytes()
    return [found[at : at + 16] for at in range(0, len(found), 16)]


def _joined(arrays: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *arrays])


def differing(one: Facts, other: Facts) -> tuple[Words, Words]:
    """Return the digests of keys whose facts differ."""
    sums = [_sums(each) for each in (one, other)]
    keys = [np.column_stack((high, low)) for high, low, _ in sums]
    both = np.concatenate([np.column_stack((key, told)) for key, (_, _, told) in zip(keys, sums, strict=True)])
    rows, counts = np.unique(both, axis=0, return_counts=True)
    lonely = rows[counts == 1]
    return different([(lonely[:, 0], lonely[:, 1])])


def _sums(found: Facts) -> tuple[Words, Words, Words]:
    """Return for each key the sum of the digests of its facts, in two lanes."""
    import pyarrow as pa

    from dataplat.lake.content_id import row_digests

    columns = {f"column {name}": found.columns.column(name) for name in found.columns.schema.names}
    columns |= {"e": pa.chunked_array([found.e]), "k": pa.chunked_array([found.k])}
    columns |= (
        {} if found.gone is None else {"gone": pa.chunked_array([np.where(found.gone == FOREVER, 0, found.gone)])}
    )
    if found.event is not None:
        columns |= {f"event {lane}": pa.chunked_array([np.ascontiguousarray(found.event[:, lane])]) for lane in (0, 1)}
    starts = starts_of(found)
    digests = row_digests(pa.table(columns))
    if not len(starts):
        return found.high, found.low, np.zeros((0, 2), np.uint64)
    return found.high[starts], found.low[starts], np.add.reduceat(digests, starts, axis=0)


def different(several: Sequence[tuple[Words, Words]]) -> tuple[Words, Words]:
    """Return the digests that are among several, each once, in order."""
    empty = np.zeros(0, np.uint64)
    high, low = (np.concatenate([empty, *(each[lane] for each in several)]) for lane in (0, 1))
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    fresh = np.ones(len(high), bool)
    fresh[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return high[fresh], low[fresh]
