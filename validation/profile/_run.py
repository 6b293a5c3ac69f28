"""Profiles of versions, files and tables: parts are measured, or remembered, and merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from dataplat.errors import BadColumn
from dataplat.lake.engine import ANSWERS, Local, in_runs
from dataplat.lake.memos import Memos
from dataplat.lake.scan import project, row_groups, scan
from dataplat.lake.schema import did_you_mean
from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._encode import decode, encode
from dataplat.validation.profile._measure import measured
from dataplat.validation.profile._memory import Memory
from dataplat.validation.profile._profile import Profile, merge_columns
from dataplat.validation.profile._read import Read, Rows, measure_all

if TYPE_CHECKING:
    import polars as pl

    from dataplat.lake.engine import Engine
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.lake.where import Where
    from dataplat.validation.subject import Block, Subject
    from dataplat.versioning.manifest import Manifest

Columns = dict[str, ColumnProfile]

PIECE: Final = 1 << 20
"""Rows of a file or table that are measured as one part."""

_FEW: Final = 8  # parts of a segment that are not worth a bundle more
_TOGETHER: Final = 64  # profiles that wait to be merged
_AT_ONCE: Final = 8  # parts that one task looks at


def profile_version(
    objects: Objects,
    manifest: Manifest,
    title: str,
    *,
    columns: Sequence[str] | None = None,
    where: str | pl.Expr | None = None,
    engine: Engine | None = None,
) -> Profile:
    """Return the profile of a version; of parts and segments that are remembered no row is read.

    An `engine` (None: this process) looks at the parts, and remembers them.

    Raises:
        BadColumn: a column is not there.
        PredicateError: `where` cannot be evaluated.
    """
    from dataplat.lake.where import parse_where

    schema = _wanted(manifest.schema, columns)
    condition = None if where is None else parse_where(where, manifest.schema)
    memory = Memory(Memos(objects.store), manifest.schema, condition)
    run = _Run(objects, manifest, schema, memory, engine)
    known = memory.find("version", schema.names, manifest.id)
    if len(known) < len(schema):
        known = run.columns()
        memory.keep("version", known, manifest.id)
    else:
        run.remembered = manifest.n_parts
    return Profile(
        title=title,
        rows=known[schema.names[0]].rows,
        columns=known,
        version=manifest.id,
        where=None if condition is None else condition.text,
        parts=manifest.n_parts,
        remembered=run.remembered,
    )


def profile_parts(
    objects: Objects,
    manifest: Manifest,
    parts: Sequence[Part],
    columns: Sequence[str] | None = None,
    engine: Engine | None = None,
) -> Columns:
    """Return what some parts of a version hold; of parts that are remembered no row is read.

    Raises:
        BadColumn: a column is not there.
    """
    schema = _wanted(manifest.schema, columns)
    memory = Memory(Memos(objects.store), manifest.schema)
    return next(_Run(objects, manifest, schema, memory, engine).of([parts]))


def profile_subject(
    subject: Subject, *, columns: Sequence[str] | None = None, where: str | pl.Expr | None = None
) -> Profile:
    """Return the profile of files or of a table, which are measured in pieces of about a million rows.

    Raises:
        BadColumn: a column is not there.
        PredicateError: `where` cannot be evaluated.
    """
    from dataplat.lake.where import parse_where

    schema = _wanted(subject.schema, columns)
    condition = None if where is None else parse_where(where, subject.schema)
    pieces = [piece for block in subject.blocks for piece in _pieces(block, schema, condition)]
    known = _merged(measure_all(pieces, subject.threads), schema)
    return Profile(
        title=subject.title,
        rows=known[schema.names[0]].rows,
        columns=known,
        where=None if condition is None else condition.text,
        parts=len(pieces),
    )


class _Run:
    """One profile of a version."""

    def __init__(
        self, objects: Objects, manifest: Manifest, schema: pa.Schema, memory: Memory, engine: Engine | None
    ) -> None:
        self.remembered = 0
        self._manifest, self._schema, self._memory = manifest, schema, memory
        self._engine = engine or Local()
        self._look = Look(
            objects, manifest.schema, tuple(schema.names), None if memory.where is None else memory.where.text
        )

    def columns(self) -> Columns:
        """Return what is known of all rows, segment by segment."""
        return _merged(self._segments(), self._schema)

    def _segments(self) -> Iterator[Columns]:
        loose: list[Part] = []
        unknown: list[tuple[str, list[Part]]] = []
        for segment, parts in self._by_segment():
            if segment is None or len(parts) < _FEW:
                loose += parts
                continue
            known = self._memory.find("segment", self._schema.names, segment)
            if len(known) == len(self._schema):
                self.remembered += len(parts)
                yield known
            else:
                unknown.append((segment, parts))
        found = self.of([*(parts for _, parts in unknown), *([loose] if loose else [])])
        for (segment, _), columns in zip(unknown, found, strict=False):
            self._memory.keep("segment", columns, segment)
            yield columns
        yield from found

    def _by_segment(self) -> Iterator[tuple[str | None, list[Part]]]:
        """Yield the parts of each segment; of one of which parts were changed or dropped since, without its id."""
        from dataplat.versioning._index import leaves
        from dataplat.versioning._table import load_segment

        now = {part.place: part for part in self._manifest.parts()}
        for ref in leaves(self._manifest.root.refs, self._manifest.read):
            if not ref.parts:
                continue
            there = load_segment(ref, self._manifest.read).parts()
            left = [now[part.place] for part in there if part.place in now]
            same = len(left) == len(there) and all(a.deletes == b.deletes for a, b in zip(left, there, strict=True))
            yield ref.id if same else None, left

    def of(self, groups: Sequence[Sequence[Part]]) -> Iterator[Columns]:
        """Yield what each group of parts holds, from memos or rows; of an engine a task looks at a few parts."""
        asks = self._look.where is not None  # without a condition nobody asks for statistics
        sent = [[replace(part, stats=dict(part.stats) if asks else {}) for part in group] for group in groups]
        longest = max(_AT_ONCE, -(-sum(map(len, sent)) // ANSWERS))
        runs = [in_runs(self._engine, group, longest) for group in sent]
        looked = self._engine.map(self._look, [run for group in runs for run in group])
        for group in runs:
            found = list(islice(looked, len(group)))
            self.remembered += sum(each.remembered for each in found)
            yield _merged((each.decoded() for each in found), self._schema)


@dataclass(frozen=True, slots=True)
class Looked:
    """What some parts hold together, as bytes, and of how many of them that was remembered."""

    columns: dict[str, bytes]
    remembered: int

    def decoded(self) -> Columns:
        """Return it by column."""
        return {name: decode(data) for name, data in self.columns.items()}


@dataclass(frozen=True, slots=True)
class Look:
    """Looks at parts where it is called, and remembers each of them."""

    objects: Objects
    stored: pa.Schema
    names: tuple[str, ...]
    where: str | None

    def __call__(self, parts: Sequence[Part]) -> Looked:
        """Return what the parts hold together."""
        from dataplat.lake.where import Where

        where = None if self.where is None else Where.loads(self.where, self.stored)
        schema = project(self.stored, self.names)
        each = _Parts(self.objects, self.stored, schema, Memory(Memos(self.objects.store), self.stored, where))
        found = _merged(each.of(parts), schema)
        return Looked({name: encode(column) for name, column in found.items()}, each.remembered)


class _Parts:
    """Parts, each from its memo or its rows."""

    def __init__(self, objects: Objects, stored: pa.Schema, schema: pa.Schema, memory: Memory) -> None:
        self.remembered = 0
        self._objects, self._stored, self._schema, self._memory = objects, stored, schema, memory
        self._threads = max(2, min(8, objects.at_once))

    def of(self, parts: Sequence[Part]) -> Iterator[Columns]:
        """Yield what is known of each part, from its memo or its rows."""
        unknown: list[tuple[Part, Columns]] = []
        for part in parts:
            known = self._memory.find("part", self._schema.names, part.id, part.deletes)
            if len(known) == len(self._schema):
                self.remembered += 1
                yield known
            else:
                unknown.append((part, known))
        rows = (self._rows(part, known) for part, known in unknown)
        for (part, known), found in zip(unknown, measure_all(rows, self._threads), strict=True):
            self._memory.keep("part", found, part.id, part.deletes)
            yield known | found

    def _rows(self, part: Part, known: Columns) -> Rows:
        """Return how to read the columns of a part that are not known."""

        def read(names: Sequence[str]) -> Iterable[pa.RecordBatch]:
            where, schema = self._memory.where, self._stored
            if where is not None:
                return scan(self._objects, [part], schema, columns=names, where=where, threads=1)
            units = row_groups(self._objects, part, schema, names, dictionaries=names)
            return (batch for unit in units for batch in unit.read())

        wanted = [field for field in self._schema if field.name not in known]
        return Rows(part.rows, pa.schema(wanted), read)


def _pieces(block: Block, schema: pa.Schema, where: Where | None) -> Iterator[Rows]:
    """Cut a block between its units, into pieces of a million rows or one unit."""
    sizes = [unit.rows for unit in block.units(schema.names[:1])]
    start = rows = 0
    for stop, size in enumerate(sizes, 1):
        rows += size
        if rows >= PIECE or stop == len(sizes):
            yield Rows(rows, schema, _reader(block, start, stop, where))
            start, rows = stop, 0


def _reader(block: Block, start: int, stop: int, where: Where | None) -> Read:
    def read(names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        needed = list(dict.fromkeys([*names, *(where.columns if where else ())]))
        for unit in islice(block.units(needed, names if where is None else ()), start, stop):
            for batch in unit.read():
                yield batch if where is None else batch.filter(where.mask(batch))

    return read


def _merged(several: Iterable[Columns], schema: pa.Schema) -> Columns:
    """Merge profiles as they come, some at a time; of none it is the profile of no rows."""
    waiting: list[Mapping[str, ColumnProfile]] = []
    for columns in several:
        waiting.append({name: columns[name] for name in schema.names})
        if len(waiting) == _TOGETHER:
            waiting = [merge_columns(waiting)]
    return merge_columns(waiting) if waiting else measured((), schema)


def _wanted(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    for name in schema.names if columns is None else columns:
        if name not in schema.names:
            raise BadColumn(f"no column {name!r}{did_you_mean(name, schema.names)}")
    wanted = project(schema, columns)
    if not wanted.names:
        raise BadColumn("a profile needs a column to look at")
    return wanted
