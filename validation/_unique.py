"""Exact uniqueness, the cheapest way first: bounds that do not overlap, digests, and values only where digests meet.

Parts whose exact bounds are apart have no value in common; each has only to be unique in itself. Of the others eight
bytes per row are kept or remembered: equal values have equal digests, so no repeated digest proves uniqueness. Where
some repeat, the values behind them are compared. Memory is bounded: digests beyond the budget are taken in
several passes, each over its own share of digest space, and so are the values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import polars as pl

from dataplat.validation._bounds import overlapping
from dataplat.validation._digests import Array, DigestReader, Members, Piece, digest, in_order, pieces_of, share
from dataplat.validation._identity import check_id
from dataplat.validation._memory import Found, Memory
from dataplat.validation._places import with_keys
from dataplat.validation._rows import examples, row_texts
from dataplat.validation._since import came_since
from dataplat.validation._spread import bare, each, each_share, is_here, once
from dataplat.validation.report import EXAMPLES_PER_CHECK, HOW, CheckOutcome, Example, How
from dataplat.validation.subject import Subject

DIGESTS_AT_ONCE = 1 << 25  # 256 MiB of digests
CLASSES_AT_ONCE = 1 << 20  # distinct values compared in one pass
_ROWS_BEFORE_MERGE = 1 << 21
_BLOCK, _POSITION, _COUNT = "__dataplat_block", "__dataplat_position", "__dataplat_count"

Settled: TypeAlias = tuple[tuple[How, int], ...]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows whose values occur more than once: how many of `rows`, the first of them, and how that was settled."""

    rows: int
    failing: int
    examples: tuple[Example, ...]
    settled: Settled


def find_repeats(
    subject: Subject,
    columns: Sequence[str],
    memory: Memory,
    key: Sequence[str] = (),
    *,
    digests: int = DIGESTS_AT_ONCE,
    classes: int = CLASSES_AT_ONCE,
) -> Repeats:
    """Count every row whose values in `columns` occur elsewhere too (null equals null, NaN equals NaN).

    What passed in a version before, which shares parts with this one, is not compared again. `key` names the rows of
    the examples. At most so many `digests`, and distinct values (`classes`) behind them, are held at once.
    """
    if any(set(known) <= set(columns) for known in subject.unique):
        return Repeats(subject.rows, 0, (), (("proven", subject.rows),))
    stored = [subject.stored(name) for name in columns]
    asked = check_id("unique", stored, [str(subject.schema.field(name).type) for name in columns])
    known = memory.whole(subject.version, asked)
    if known is not None and known.status == "passed":
        return Repeats(subject.rows, 0, (), (("remembered", subject.rows),))
    found = _Search(subject, list(columns), memory, asked, digests, classes).run()
    if not found.failing:
        passed = CheckOutcome("unique", "dataset", "passed", rows=found.rows, settled=found.settled)
        memory.keep_whole(subject.version, asked, passed)
    return replace(found, examples=once(memory, with_keys, subject, found.examples, key) if found.failing else ())


def repeated_rows(subject: Subject, columns: Sequence[str]) -> dict[int, list[int]]:
    """Return, by number of block, the positions of all rows whose values in `columns` occur elsewhere too."""
    search = _Search(subject, list(columns), Memory(None), "", DIGESTS_AT_ONCE, CLASSES_AT_ONCE, most=subject.rows)
    if not search.run().failing:
        return {}
    found = search.first.group_by(_BLOCK).agg(pl.col(_POSITION).sort())
    return dict(zip(found[_BLOCK].to_list(), found[_POSITION].to_list(), strict=True))


@dataclass(slots=True)
class _Search:
    subject: Subject
    columns: list[str]
    memory: Memory
    asked: str
    digests: int
    classes: int
    most: int = EXAMPLES_PER_CHECK
    reader: DigestReader = field(init=False)
    failing: int = 0
    first: pl.DataFrame = field(default_factory=pl.DataFrame)
    how: dict[Piece, How] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reader = DigestReader(self.subject, self.columns)

    def run(self) -> Repeats:
        pieces = pieces_of(self.subject, self.columns)
        new = came_since(self.subject, self.memory, self.asked)
        column = self.columns[0] if len(self.columns) == 1 else None
        groups = overlapping(pieces, column, self.subject.schema, new)
        alone = [group[0] for group in groups if len(group) == 1]
        small = [piece for piece in alone if piece.rows <= self.digests]
        unique_alone = self._unique_alone(small)
        for group in groups:
            if group[0] not in unique_alone or len(group) > 1:
                self._compare_group(group, [piece for piece in group if piece.number in new])
        if self.failing:
            for piece in unique_alone:
                if self.how[piece] == "scanned":
                    self.memory.keep(piece.block, {self.asked: Found(0)})
        return Repeats(self.subject.rows, self.failing, self._examples(), self._settled(pieces))

    def _unique_alone(self, pieces: Sequence[Piece]) -> Collection[Piece]:
        """Return those of the pieces, which share no value with others, that repeat none themselves."""
        known = {piece for piece in pieces if self.memory.find(piece.block, self.asked) == Found(0)}
        todo = [piece for piece in pieces if piece not in known]
        found = set(known)
        alone = each(self.memory, partial(_is_unique, self.reader), todo, self.subject.threads)
        for piece, unique in zip(todo, alone, strict=True):
            self._note(piece, "scanned")
            if unique:
                found.add(piece)
        for piece in known:
            self._note(piece, "remembered")
        return found

    def _compare_group(self, group: Sequence[Piece], new: Sequence[Piece]) -> None:
        """Compare pieces; those that are not `new` are known to repeat nothing among themselves."""
        keep = len(group) > 1 or not is_here(self.memory)
        if not is_here(self.memory):  # what is compared here was digested elsewhere
            hows = each(self.memory, self.reader.remember, group, self.subject.threads)
            for piece, how in zip(group, hows, strict=True):
                self._note(piece, how)
        rows = sum(piece.rows for piece in new)
        shares = 1 << max(0, -(-rows // self.digests) - 1).bit_length()
        there = set(new)
        old = [piece for piece in group if piece not in there]
        look = _Again(self.reader, bare(new), bare(old), shares, self.digests, self.subject.threads, keep)
        for repeated, known in each_share(self.memory, look, shares, _tell):
            if known:
                for piece, how in zip([*new, *old], known, strict=True):
                    self._note(piece, how)
            for start in range(0, len(repeated), self.classes):
                self._compare(group, repeated[start : start + self.classes], keep=keep)

    def _compare(self, group: Sequence[Piece], repeated: Array, *, keep: bool) -> None:
        """Count rows by value among those with a repeated digest: two values may share one by chance."""
        look = _Behind(self.reader, keep, self.most, self.subject.threads)
        found = once(self.memory, look, group if is_here(self.memory) else bare(group), repeated)
        self.failing += found.failing
        for at in found.looked:
            self._note(group[at], "scanned")
        together = pl.concat([self.first, found.first]) if self.first.width else found.first
        self.first = together.sort(_BLOCK, _POSITION).head(self.most)

    def _note(self, piece: Piece, how: How) -> None:
        known = self.how.get(piece, how)
        self.how[piece] = how if HOW.index(how) > HOW.index(known) else known

    def _settled(self, pieces: Sequence[Piece]) -> Settled:
        """Return how many rows were settled how; of a piece that nobody looked at, that is by a version before."""
        rows: dict[How, int] = {}
        for piece in pieces:
            how: How = self.how.get(piece, "remembered")
            rows[how] = rows.get(how, 0) + piece.rows
        return tuple((how, rows[how]) for how in HOW if how in rows) or (("proven", 0),)

    def _examples(self) -> tuple[Example, ...]:
        if not self.failing:
            return ()
        values = self.first[self.columns[0]] if len(self.columns) == 1 else row_texts(self.first.select(self.columns))
        shown = examples(self.first[_POSITION].to_list(), values)
        blocks = self.subject.blocks
        return tuple(
            replace(one, part=blocks[number].name)
            for one, number in zip(shown, self.first[_BLOCK].to_list(), strict=True)
        )


@dataclass(frozen=True, slots=True)
class _Again:
    """Looks which digests of one share come again: among new pieces, or in new ones and old ones.

    At most so many `digests` are held at once, or each twice where more come.
    """

    reader: DigestReader
    new: Sequence[Piece]
    old: Sequence[Piece]
    shares: int
    digests: int
    threads: int
    keep: bool

    def __call__(self, number: int) -> tuple[Array, list[How]]:
        """Return them, and how the digests of each piece were known."""
        hows: list[How] = []
        there = self._sorted(number, hows)
        again = [there[1:][there[1:] == there[:-1]], *(self._met(Members(there), hows) if self.old else ())]
        return np.unique(np.concatenate(again)), hows

    def _sorted(self, number: int, hows: list[How]) -> Array:
        """Return the digests of new pieces, sorted: each twice at most where they are many."""

        def read(piece: Piece) -> tuple[Array, How]:
            found, how = self.reader.of(piece, keep=self.keep)
            return share(found.values, number, self.shares), how

        kept: list[Array] = []
        held = 0
        for values, how in in_order(read, self.new, self.threads):
            hows.append(how)
            kept.append(values)
            held += len(values)
            if held > self.digests:
                kept = [_twice_at_most(kept)]
                held = len(kept[0])
        together = np.concatenate(kept)
        kept.clear()
        together.sort()
        return together

    def _met(self, members: Members, hows: list[How]) -> Iterator[Array]:
        """Yield the digests of old pieces that new ones have, too."""

        def read(piece: Piece) -> tuple[Array, How]:
            found, how = self.reader.of(piece, keep=True)
            return found.values[members.mask(found.values)], how

        for values, how in in_order(read, self.old, self.threads):
            hows.append(how)
            yield values


def _tell(found: tuple[Array, list[How]], most: int) -> tuple[Array, list[How]] | None:
    return (found[0], []) if len(found[0]) <= most else None  # how digests were known was noted before


@dataclass(frozen=True, slots=True)
class _Repeated:
    """How many rows have values that repeat, the first of them, and the numbers of pieces in which rows were read."""

    failing: int
    first: pl.DataFrame
    looked: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Behind:
    """Looks at the values behind digests that repeat."""

    reader: DigestReader
    keep: bool
    most: int
    threads: int

    def __call__(self, group: Sequence[Piece], repeated: Array) -> _Repeated:
        """Return which rows repeat among those with a repeated digest: two values may share one by chance."""
        members = Members(repeated)

        def look(piece: Piece) -> list[pl.DataFrame]:
            remembered = self.keep and piece.block.identity is not None
            if remembered and not members.mask(self.reader.of(piece, keep=True)[0].values).any():
                return []
            return list(self._hits(piece, members))

        groups: list[pl.DataFrame] = []
        candidates: list[pl.DataFrame] = []
        looked: list[int] = []
        loose = shown = 0
        for at, found in enumerate(in_order(look, group, self.threads)):
            if found:
                looked.append(at)
            for hits in found:
                if shown < self.most:
                    candidates.append(hits.head(self.most - shown))
                    shown += len(candidates[-1])
                groups.append(hits.group_by(self.reader.columns).agg(pl.len().cast(pl.Int64).alias(_COUNT)))
                loose += len(groups[-1])
                if loose > _ROWS_BEFORE_MERGE:
                    groups, loose = [self._merged(groups)], 0
        repeats = self._merged(groups).filter(pl.col(_COUNT) > 1)
        shared = repeats.drop(_COUNT)
        first = pl.concat(candidates).join(shared, on=self.reader.columns, how="semi", nulls_equal=True)
        return _Repeated(int(repeats[_COUNT].sum()), first, looked)

    def _hits(self, piece: Piece, members: Members) -> Iterator[pl.DataFrame]:
        for frame, positions in self.reader.frames(piece):
            at = np.flatnonzero(members.mask(digest(frame).values))
            places = pl.Series(_POSITION, positions[at])
            if len(at):
                yield frame[at].with_columns(pl.lit(piece.number, pl.Int64).alias(_BLOCK), places)

    def _merged(self, groups: Sequence[pl.DataFrame]) -> pl.DataFrame:
        return pl.concat(groups).group_by(self.reader.columns).agg(pl.col(_COUNT).sum())


def _is_unique(reader: DigestReader, piece: Piece) -> bool:
    values = reader.of(piece, keep=False)[0].values
    return _ascends(values) or _ascends(np.sort(values))


def _ascends(values: Array) -> bool:
    return bool((values[1:] > values[:-1]).all())


def _twice_at_most(parts: Sequence[Array]) -> Array:
    """Drop a digest's third and later copies: that it repeats is all that has to be known."""
    values, counts = np.unique(np.concatenate(parts), return_counts=True)
    return np.concatenate([values, values[counts > 1]])
