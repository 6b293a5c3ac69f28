"""What tasks do for a training set: ask, bring facts, answer, write. All of it is the kernel's; here rows come and go.

spine  →  questions ─┐
source →  facts     ─┴→ by key: cells ─┐
spine  →  rows      ───────────────────┴→ by row of the spine: parts
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat._features._set import held
from dataplat._features._sources import typed
from dataplat._features._spine import BLOCK, order_of, times_of
from dataplat._features._training import with_features
from dataplat._spark._features_packets import ASK, SPINE, VIEW, Packet, result
from dataplat._spark._features_routes import within
from dataplat.errors import EngineError
from dataplat.feature_store.codec import service_from_json
from dataplat.feature_store.kernel.answer import Answer
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.kernel.pieces import answer_of_pieces
from dataplat.feature_store.kernel.tables import (
    answer_from_table,
    answer_to_table,
    ask_from_tables,
    ask_to_table,
    facts_from_table,
    facts_to_table,
    packed,
    unpacked,
)
from dataplat.lake.digest import Digest

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._features._set import Side
    from dataplat._spark._features_pieces import FactPiece, SpineParts, SpineRows
    from dataplat._spark._features_routes import Routes
    from dataplat.feature_store.definitions import FeatureService, FeatureView
    from dataplat.feature_store.kernel.answer import AsKnown
    from dataplat.feature_store.kernel.facts import Facts
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

    Ints: TypeAlias = NDArray[np.int64]
    Sides: TypeAlias = Iterator[tuple[int, Iterator[Packet]]]


LABELLED: Final = " labelled"
"""The column of a spine that says which rows have a label, where it has labels; it goes before rows are written."""


@dataclass(frozen=True)
class Group:
    """Views that ask the same of a spine, by their numbers, and where rows of theirs go."""

    views: tuple[int, ...]
    routes: Routes


@dataclass(frozen=True)
class Work:
    """What all tasks of a training set know.

    Attributes:
        views: the views, by number.
        schemas: of their sources.
        groups: those that ask the same.
        timestamp: the spine's column of times.
        as_known: as in `answer`.
        block: rows of the spine that are written by one task.
        ages: whether ages are wanted.
    """

    views: tuple[FeatureView, ...]
    schemas: tuple[pa.Schema, ...]
    groups: tuple[Group, ...]
    timestamp: str
    as_known: AsKnown
    block: int
    ages: bool

    def group_of(self, view: int) -> Group:
        """Return the group of a view."""
        return next(each for each in self.groups if view in each.views)

    def group_at(self, partition: int) -> Group:
        """Return the group whose partition it is."""
        return next(each for each in self.groups if each.routes.first <= partition < each.routes.stop)

    def nothing(self, view: int) -> Facts:
        """Return the facts of a source without rows."""
        return typed(facts(self.views[view], self.schemas[view].empty_table()), self.schemas[view])


@dataclass(frozen=True)
class Asking:
    """Reads a piece of a spine, and asks."""

    work: Work

    def __call__(self, piece: SpineParts | SpineRows) -> Iterator[Packet]:
        """Yield the questions of a piece."""
        work = self.work
        table = piece.table()
        t = times_of(table, work.timestamp)
        rows = piece.first + np.arange(len(t))
        for group in work.groups:
            ask = Ask.of(work.views[group.views[0]], table, t)
            to = group.routes.of_ask(ask, rows)
            order = np.argsort(to, kind="stable")
            for some in _runs(to[order]):
                own = order[some]
                yield Packet(int(to[own[0]]), ASK, piece.first, packed(ask_to_table(ask.take(own), rows[own])))


@dataclass(frozen=True)
class Bringing:
    """Reads a piece of a view's source, and brings its facts to those who ask."""

    work: Work

    def __call__(self, piece: FactPiece) -> Iterator[Packet]:
        """Yield the facts of a piece."""
        work = self.work
        view = work.views[piece.number]
        routes = work.group_of(piece.number).routes
        for to, some in routes.of_facts(view, piece.facts(), work.as_known):
            table = facts_to_table(some, keys=bool(view.view.row_key))
            yield Packet(to, VIEW + piece.number, 0, packed(table))


@dataclass(frozen=True)
class Answering:
    """Answers the questions of a partition: those of some keys, or of one between two times."""

    work: Work

    def __call__(self, sides: Sides) -> Iterator[Packet]:
        """Yield cells, to where the rows of the spine are written."""
        asked, left, rows = None, [], np.zeros(0, np.int64)
        for side, packets in sides:
            if side == ASK:
                several = list(packets)
                asked, rows = ask_from_tables([unpacked(each.data) for each in several])
                left = list(self.work.group_at(several[0].to).views)
            elif asked is not None:
                view = self.work.views[side - VIEW]
                pieces = [facts_from_table(unpacked(each.data), view) for each in packets]
                yield from self._cells(side - VIEW, pieces, asked, rows)
                left.remove(side - VIEW)
            else:
                for _ in packets:  # nobody asks for these keys
                    pass
        for number in left:
            assert asked is not None
            yield from self._cells(number, [self.work.nothing(number)], asked, rows)

    def _cells(self, number: int, pieces: Sequence[Facts], ask: Ask, rows: Ints) -> Iterator[Packet]:
        work = self.work
        told = answer_of_pieces(work.views[number], pieces, ask, work.as_known)
        order = np.argsort(rows, kind="stable")
        table = answer_to_table(told.placed(order), rows[order], ages=work.ages)
        blocks = rows[order] // work.block
        slices = (
            (int(blocks[some.start]), mine)
            for some in _runs(blocks)
            for _, mine in within(table.slice(some.start, some.stop - some.start))
        )
        for at, (to, mine) in enumerate(slices):
            yield Packet(to, VIEW + number, 0, packed(mine if not at else _without_ties(mine)))


@dataclass(frozen=True)
class Carrying:
    """Reads a piece of a spine, and brings its rows to where they are written."""

    work: Work

    def __call__(self, piece: SpineParts | SpineRows) -> Iterator[Packet]:
        """Yield the rows of a piece."""
        table, block = piece.table(), self.work.block
        at = piece.first
        if not table.num_rows and not at:
            yield Packet(0, SPINE, 0, packed(table))
        while at < piece.first + table.num_rows:
            stop = min((at // block + 1) * block, piece.first + table.num_rows)
            for first, some in within(table.slice(at - piece.first, stop - at)):
                yield Packet(at // block, SPINE, at + first, packed(some))
            at = stop


@dataclass(frozen=True)
class Written:
    """What one task wrote of a training set.

    Attributes:
        parts: its rows.
        schema: of them.
        rows: how many there are.
        statuses: by column: how many cells have which status, by code.
        ties: by view.
        spine: the digest of the rows of the spine.
        blocks: hashes of the order of each of its blocks.
        unlabelled: rows without a label.
    """

    parts: tuple[Part, ...]
    schema: pa.Schema
    rows: int
    statuses: Mapping[str, tuple[int, ...]]
    ties: Mapping[str, int]
    spine: Digest
    blocks: tuple[bytes, ...]
    unlabelled: int


@dataclass(frozen=True)
class Writing:
    """Puts rows of a spine and their features together, computes what is computed of them, and writes parts."""

    work: Work
    service: Mapping[str, Any] = field(repr=False)
    objects: Objects
    statuses: bool
    sides: tuple[Side, ...]

    @cached_property
    def _service(self) -> FeatureService:
        return service_from_json(self.service)

    def __call__(self, sides: Sides) -> Iterable[Packet]:
        """Write the rows of a partition; tell what was written."""
        spine, first, told = None, 0, {}
        for side, packets in sides:
            if side == SPINE:
                spine, first = _together(list(packets))
            else:
                found = [answer_from_table(unpacked(each.data)) for each in packets]
                told[side - VIEW] = (
                    Answer.joined([each for each, _ in found]),
                    np.concatenate([rows for _, rows in found]),
                )
        if spine is not None:
            yield result(first, self._written(spine, first, told))

    def _written(self, spine: pa.Table, first: int, told: Mapping[int, tuple[Answer, Ints]]) -> Written:
        import pyarrow as pa

        from dataplat.lake.content_id import digest

        labelled = np.ones(spine.num_rows, bool)
        if LABELLED in spine.schema.names:
            labelled = np.asarray(spine.column(LABELLED))
            spine = spine.drop_columns([LABELLED])
        answers = {}
        for number, view in enumerate(self.work.views):
            answers[view.name] = self._placed(number, first, spine.num_rows, told)
        found = Answer.of_views(answers)
        table = with_features(self._service, found, spine, statuses=self.statuses, ages=self.work.ages)
        codes = {name: each for name, each in found.statuses.items() if name in table.schema.names}
        for side in self.sides:
            there = held(table, side, self.work.timestamp)
            there = there if side.held else ~there
            table, codes = table.filter(pa.array(there)), {name: each[there] for name, each in codes.items()}
            labelled = labelled[there]
        counts = {name: tuple(np.bincount(each).tolist()) for name, each in codes.items()}
        return Written(
            tuple(self._parts(table)),
            table.schema,
            table.num_rows,
            counts,
            {name: its.ties for name, its in answers.items()},
            digest(spine.to_batches(), spine.schema),
            tuple(order_of(spine.slice(at, BLOCK)) for at in range(0, spine.num_rows, BLOCK)),
            int((~labelled).sum()),
        )

    def _placed(self, number: int, first: int, rows: int, told: Mapping[int, tuple[Answer, Ints]]) -> Answer:
        """Return the cells of a view in the order of the spine."""
        if not rows:
            none = Ask(np.zeros(0, np.uint64), np.zeros(0, np.uint64), None, np.zeros(0, np.int64))
            return answer_of_pieces(self.work.views[number], [self.work.nothing(number)], none, self.work.as_known)
        if number not in told:
            raise EngineError(f"no cell of view {self.work.views[number].name} came for rows {first:,} on")
        found, places = told[number]
        order = np.argsort(places, kind="stable")
        if not np.array_equal(places[order], first + np.arange(rows)):
            raise EngineError(f"{len(places):,} cells of {found} came for the {rows:,} rows from {first:,} on")
        return found.placed(order)

    def _parts(self, table: pa.Table) -> list[Part]:
        from dataplat.lake.objects import Stage
        from dataplat.lake.parts import PartWriter

        with Stage(self.objects.store) as stage:
            with PartWriter(stage, table.schema) as writer:
                for batch in table.to_batches():
                    writer.write(batch)
                parts = writer.close()
            stage.flush()
        return parts


def _together(packets: Sequence[Packet]) -> tuple[pa.Table, int]:
    """Return the rows of a spine that several packets hold, in order, and the number of the first."""
    import pyarrow as pa

    ordered = sorted(packets, key=lambda each: each.at)
    return pa.concat_tables([unpacked(each.data) for each in ordered]), ordered[0].at


def _runs(ordered: Ints) -> Iterator[slice]:
    """Yield where equal neighbours lie."""
    if not len(ordered):
        return
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    start = 0
    for stop in ends.tolist():
        yield slice(start, stop)
        start = stop


def _without_ties(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata(None)
