"""Values that another dataset has to hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

import numpy as np
import polars as pl

from dataplat.errors import ContractError, SchemaError
from dataplat.validation._digests import Array, DigestReader, Members, Piece, digest, in_order, pieces_of, share
from dataplat.validation._distinct import Distinct
from dataplat.validation._identity import check_id
from dataplat.validation._places import with_keys
from dataplat.validation._rows import as_frame, examples, row_texts
from dataplat.validation._since import came_since
from dataplat.validation._spread import bare, each, is_here, once
from dataplat.validation.report import EXAMPLES_PER_CHECK, HOW, CheckOutcome, Example, How, Severity
from dataplat.validation.rules._asked import Asked, Settled, require, some

if TYPE_CHECKING:
    from dataplat.validation._memory import Memory
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject

_CODE: Final = 1
_AT_ONCE: Final = 1 << 21
"""Digests that are sent to where rows are read, before more are looked for."""
_BLOCK, _POSITION = "__dataplat_block", "__dataplat_position"

Lack: TypeAlias = "tuple[int, Array, How]"
"""The number of a piece, its digests that the other side does not have, and how they were known."""


@dataclass(frozen=True)
class ForeignKey(Asked):
    """Every row's values in `columns` are those of a row of another dataset in its `other` columns."""

    word: ClassVar[str] = "foreign_key"

    columns: tuple[str, ...]
    dataset: str
    other: tuple[str, ...]

    @property
    def name(self) -> str:
        """The rule as it was written."""
        to = f"{self.dataset}: {', '.join(self.other)}"
        return f"{self.word}({to})" if len(self.columns) == 1 else f"{self.word}({', '.join(self.columns)} in {to})"

    @property
    def column(self) -> str | None:
        """The column, if it is one."""
        return self.columns[0] if len(self.columns) == 1 else None

    def remembers(self) -> bool:
        """The other dataset changes."""
        return False

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome, with the rows whose values the other dataset does not hold."""
        require(subject, self.columns)
        other = context.resolve(self.dataset)
        require(other, self.other)
        kinds = _common(subject, self.columns, other, self.other)
        asked = check_id(
            [self.word, _CODE, other.version, [other.stored(name) for name in self.other], list(map(str, kinds))],
            [subject.stored(name) for name in self.columns],
            [str(subject.schema.field(name).type) for name in self.columns],
        )
        detail = f"held against {self.dataset}" + (f" ({other.version[:12]})" if other.version else "")
        memory = context.memory
        new: Collection[int] = range(len(subject.blocks))
        if other.version is not None:
            known = memory.whole(subject.version, asked)
            if known is not None and known.status == "passed":
                settled: Settled = (("remembered", subject.rows),)
                return self.outcome(subject, ok=True, detail=detail, settled=settled)
            new = came_since(subject, memory, asked)
        search = _Search(subject, DigestReader(subject, self.columns, kinds), new, memory)
        search.run(Distinct(other, DigestReader(other, self.other, kinds), memory))
        key = [name for name in subject.key if name in subject.schema.names]
        found = self.outcome(
            subject,
            ok=not search.failing,
            failing=search.failing,
            examples=once(memory, with_keys, subject, search.examples(), key) if search.failing else (),
            detail=detail,
            settled=search.settled(),
        )
        if found.ok and other.version is not None:
            memory.keep_whole(subject.version, asked, found)
        return found


def foreign_key(
    columns: str | Sequence[str],
    dataset: str,
    other: str | Sequence[str] | None = None,
    *,
    severity: Severity | None = None,
    environment: str | None = None,
) -> ForeignKey:
    """Every value of a column (or of several together) is a value of another dataset.

    A null never fails, nor does a row of which one of several columns is null; NaN fails unless NaN is there. The other
    dataset is looked up when the rule is asked: `airlines` as the commit at hand has it, `airlines@v3` by its tag. The
    report names its version. Of both sides the distinct digests of each part are remembered, so neither an appended part
    nor a new version of the other dataset costs more than a look at the new parts. Values of other types than integers and
    times are told apart by 64 bits: of `n` and `m` values a wrong one passes with a chance of n·m / 2**64.

    Args:
        columns: the column, or columns.
        dataset: a reference to the other dataset.
        other: its columns, as many; None: of the same names.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: no column, the same one twice, or not as many on both sides.
    """
    ours = some([columns] if isinstance(columns, str) else columns, "foreign_key")
    theirs = ours if other is None else some([other] if isinstance(other, str) else other, "foreign_key")
    if len(ours) != len(theirs):
        raise ContractError(f"foreign_key: {', '.join(ours)} are not as many columns as {', '.join(theirs)}")
    if not dataset:
        raise ContractError(f"foreign_key: the other dataset is named by a reference, not {dataset!r}")
    return ForeignKey(ours, dataset, theirs, severity=severity, environment=environment)


def _common(subject: Subject, columns: Sequence[str], other: Subject, others: Sequence[str]) -> list[pl.DataType]:
    """Return the types in which columns are compared; raise `SchemaError` where values cannot be equal."""
    one = as_frame(subject.schema.empty_table(), columns).schema
    two = as_frame(other.schema.empty_table(), others).schema
    found = []
    for name, its in zip(columns, others, strict=True):
        kind = _wider(one[name], two[its])
        if kind is None:
            raise SchemaError(f"column {name!r} holds {one[name]}, and {its!r} of {other.title} {two[its]}")
        found.append(kind)
    return found


def _wider(one: pl.DataType, two: pl.DataType) -> pl.DataType | None:
    """Return a type that holds the values of both as they are."""
    if one == two:
        return one
    integers = one.is_integer() and two.is_integer() and pl.UInt64 not in {one, two}
    if integers or (one.is_float() and two.is_float()):
        return pl.Int64() if integers else pl.Float64()
    if (
        isinstance(one, pl.Datetime)
        and isinstance(two, pl.Datetime)
        and (one.time_zone is None) == (two.time_zone is None)
    ):
        finer = min(one, two, key=lambda kind: ("ns", "us", "ms").index(kind.time_unit))
        return pl.Datetime(finer.time_unit, one.time_zone and "UTC")
    if isinstance(one, pl.Decimal) and isinstance(two, pl.Decimal):
        return pl.Decimal(38, max(one.scale, two.scale))
    return None


@dataclass(slots=True)
class _Search:
    """Looks for rows of the `new` blocks of a subject whose digests another set does not hold."""

    subject: Subject
    reader: DigestReader
    new: Collection[int]
    memory: Memory
    failing: int = 0
    found: list[pl.DataFrame] = field(default_factory=list)
    how: dict[Piece, How] = field(default_factory=dict)

    def run(self, other: Distinct) -> None:
        pieces = [
            piece
            for piece in pieces_of(self.subject, self.reader.columns, self.reader.columns)
            if piece.number in self.new
        ]
        digests = 0
        if not is_here(self.memory):
            known = each(self.memory, self.reader.remember_distinct, pieces, self.subject.threads)
            for piece, (distinct, how) in zip(pieces, known, strict=True):
                digests += distinct
                self._note(piece, how)
        lacking = _Lacking(self.reader, bare(pieces), self.subject.threads)
        for found in other.by_share(lacking, _tell, digests):
            open_: list[tuple[Piece, Array]] = []
            held = 0
            for at, values, how in found:
                self._note(pieces[at], how)
                if len(values):
                    self._note(pieces[at], "scanned")
                    open_.append((lacking.pieces[at], values))
                    held += len(values)
                if held > _AT_ONCE:
                    self._look(open_)
                    open_, held = [], 0
            self._look(open_)

    def _look(self, open_: Sequence[tuple[Piece, Array]]) -> None:
        """Count the rows of pieces that have one of the digests beside them, all pieces in one job."""
        for failing, first in self.memory.engine.map(partial(_missing, self.reader), open_):
            self.failing += failing
            more = pl.concat([*self.found, *first])
            self.found = [more.sort(_BLOCK, _POSITION).head(EXAMPLES_PER_CHECK)]

    def examples(self) -> tuple[Example, ...]:
        """Return the first failing rows."""
        if not self.found:
            return ()
        (first,) = self.found
        columns = self.reader.columns
        values = first[columns[0]] if len(columns) == 1 else row_texts(first.select(columns))
        blocks = self.subject.blocks
        shown = zip(examples(first[_POSITION].to_list(), values), first[_BLOCK].to_list(), strict=True)
        return tuple(replace(one, part=blocks[number].name) for one, number in shown)

    def settled(self) -> Settled:
        """Return how many rows were settled in which way; those of other blocks by a version before."""
        rows: dict[How, int] = {}
        for piece, how in self.how.items():
            rows[how] = rows.get(how, 0) + piece.rows
        left = self.subject.rows - sum(rows.values())
        if left:
            rows["remembered"] = rows.get("remembered", 0) + left
        return tuple((how, rows[how]) for how in HOW if how in rows) or (("proven", 0),)

    def _note(self, piece: Piece, how: How) -> None:
        known = self.how.get(piece, how)
        self.how[piece] = how if HOW.index(how) > HOW.index(known) else known


@dataclass(frozen=True, slots=True)
class _Lacking:
    """Looks which digests of pieces are not among those of a share of the other side."""

    reader: DigestReader
    pieces: Sequence[Piece]
    threads: int

    def __call__(self, number: int, shares: int, digests: Array) -> Iterator[Lack]:
        """Yield them, piece after piece."""
        members = Members(digests)

        def missing(piece: Piece) -> tuple[Array, How]:
            values, _, how = self.reader.distinct(piece)
            values = share(values, number, shares)
            return values[~members.mask(values)], how

        for at, (values, how) in enumerate(in_order(missing, self.pieces, self.threads)):
            yield at, values, how


def _tell(found: Iterator[Lack], most: int) -> list[Lack] | None:
    """Return those of the pieces that lack digests, if these are so many at most."""
    told: list[Lack] = []
    for lack in found:
        if len(lack[1]):
            told.append(lack)
            most -= len(lack[1])
        if most < 0:
            return None
    return told


def _missing(reader: DigestReader, asked: tuple[Piece, Array]) -> tuple[int, list[pl.DataFrame]]:
    """Return how many rows of a piece have one of the digests, and the first of them."""
    piece, values = asked
    missing, failing = Members(values), 0
    found: list[pl.DataFrame] = []
    for frame, positions in reader.frames(piece):
        digests = digest(frame)
        bad = missing.mask(digests.values)
        if digests.nulls is not None:
            bad &= ~digests.nulls
        at = np.flatnonzero(bad)
        failing += len(at)
        first = at[: EXAMPLES_PER_CHECK - sum(each.height for each in found)]
        if len(first):
            places = [pl.Series(_POSITION, positions[first]), pl.lit(piece.number, pl.Int64).alias(_BLOCK)]
            found.append(frame[first].with_columns(places))
    return failing, found
