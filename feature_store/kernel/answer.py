"""All features of a view, and of a service, as they were known at the time of each question: values, statuses, ages (PIT 4).

A last value is that of the last row that is alive: the same search that windows begin with (`feature_store.kernel.spans`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from dataplat.errors import SchemaError
from dataplat.feature_store.closure import used_views
from dataplat.feature_store.definitions import FeatureService, FeatureView, Field
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.asof import Latest
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.kernel.lives import FOREVER, Lives, lives
from dataplat.feature_store.kernel.ondemand import Transforms, typed
from dataplat.feature_store.kernel.order import groups, ranks, starts_of
from dataplat.feature_store.kernel.ranks import smallest
from dataplat.feature_store.kernel.spans import Span, chunks, coming, span
from dataplat.feature_store.kernel.windows import windows
from dataplat.feature_store.status import NAMES, Status

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Codes: TypeAlias = NDArray[np.int8]
    Bools: TypeAlias = NDArray[np.bool_]

AsKnown: TypeAlias = Literal["now"] | None
NO_AGE = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """The cells of a view's features, one for each question.

    Attributes:
        columns: values by feature.
        statuses: codes of `Status`.
        ages: of the row that each is of, microseconds; `NO_AGE`: of none.
        ties: for how many questions the newest row agreed in event time with another one (PIT 6).
    """

    columns: dict[str, pa.Array] = field(default_factory=dict)
    statuses: dict[str, Codes] = field(default_factory=dict)
    ages: dict[str, Ints] = field(default_factory=dict)
    ties: int = 0

    @classmethod
    def joined(cls, pieces: Sequence[Answer]) -> Answer:
        """Return the cells of pieces of the same features, one behind the other."""
        import pyarrow as pa

        names = pieces[0].columns
        return cls(
            {name: one(pa.chunked_array([each.columns[name] for each in pieces])) for name in names},
            {name: np.concatenate([each.statuses[name] for each in pieces]) for name in names},
            {name: np.concatenate([each.ages[name] for each in pieces]) for name in pieces[0].ages},
            sum(each.ties for each in pieces),
        )

    @classmethod
    def of_views(cls, told: Mapping[str, Answer]) -> Answer:
        """Return the cells of several views together, as `view__feature`."""
        found = cls()
        for view, its in told.items():
            found.columns.update({f"{view}__{name}": column for name, column in its.columns.items()})
            found.statuses.update({f"{view}__{name}": codes for name, codes in its.statuses.items()})
            found.ages.update({f"{view}__{name}": each for name, each in its.ages.items()})
        return found

    def placed(self, places: Ints) -> Answer:
        """Return the cells at some places, in that order."""
        import pyarrow as pa

        rows = pa.array(places)
        return Answer(
            {name: one(column.take(rows)) for name, column in self.columns.items()},
            {name: codes[places] for name, codes in self.statuses.items()},
            {name: ages[places] for name, ages in self.ages.items()},
            self.ties,
        )


def answer(view: FeatureView, facts: Facts, ask: Ask, *, as_known: AsKnown = None) -> Answer:
    """Return the features of a view.

    Args:
        view: the view; an alias as well.
        facts: of the view's source: all rows of the keys that are asked about, and of a view with a row key all versions
            of their events.
        ask: the questions.
        as_known: "now" takes every row that is there as known, whenever it came (PIT 8).
    """
    return _Moments(view, facts, ask, as_known).answer()


def answers(
    service: FeatureService,
    facts: Mapping[str, Facts],
    spine: pa.Table,
    t: Ints,
    *,
    as_known: AsKnown = None,
    statuses: bool = True,
    ages: bool = True,
) -> pa.Table:
    """Return the features of a service: a column for each, in its order, for each row of a spine, in its order.

    Args:
        service: the features.
        facts: by the name of the view, for every view of `closure.used_views(service)`.
        spine: keys, and the columns of the request that on-demand features read.
        t: the time of each row, microseconds.
        as_known: as in `answer`.
        statuses: add `column__status`, a dictionary of words.
        ages: add `column__age`, a duration; null where there is none.
    """
    transforms = Transforms.of(service)
    found = Answer.of_views(
        {
            view.name: answer(view, facts[view.name], Ask.of(view, spine, t), as_known=as_known)
            for view in used_views(service, transforms)
        }
    )
    return finished(service, transforms, found, spine, statuses=statuses, ages=ages)


def finished(
    service: FeatureService,
    transforms: Transforms,
    found: Answer,
    spine: pa.Table,
    *,
    statuses: bool = True,
    ages: bool = True,
) -> pa.Table:
    """Return the columns of a service from those of its views: on-demand features computed, in its order."""
    import polars as pl
    import pyarrow as pa

    if transforms.expressions:
        columns = [name for each in transforms.expressions for name in each.features]
        inputs = {name: found.columns[name] for name in dict.fromkeys(columns)}
        request = typed({name: spine.column(name) for name in spine.schema.names}, transforms.request, "the spine")
        inputs |= dict(zip(request.schema.names, request.columns, strict=True))
        computed = transforms.compute(pl.DataFrame(pa.table(inputs)))
        for series in computed.frame.iter_columns():
            found.columns[series.name] = _arrow(series)
            found.statuses[series.name] = computed.statuses[series.name]
            found.ages[series.name] = np.full(spine.num_rows, NO_AGE)
    made: dict[str, Any] = {}
    for each in service.features:
        for name in each.outputs:
            made[name] = found.columns[name]
            if statuses:
                made[f"{name}__status"] = words(found.statuses[name])
            if ages:
                made[f"{name}__age"] = durations(found.ages[name])
    return pa.table(made)


def words(codes: Codes) -> pa.Array:
    """Return statuses as a dictionary of words."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(NAMES))


def durations(ages: Ints) -> pa.Array:
    """Return ages as durations, null where there is none."""
    import pyarrow as pa

    return pa.array(ages, mask=ages == NO_AGE).cast(pa.duration("us"))


def _arrow(series: Any) -> pa.Array:
    """Return a series in the types that Arrow's readers know: Polars writes views and large offsets."""
    import pyarrow as pa

    found = series.to_arrow()
    plain: dict[pa.DataType, pa.DataType] = {
        pa.large_string(): pa.string(),
        pa.string_view(): pa.string(),
        pa.large_binary(): pa.binary(),
        pa.binary_view(): pa.binary(),
    }
    return found.cast(plain[found.type]) if found.type in plain else found


def served(view: FeatureView, parts: Sequence[Facts], found: Latest, ask: Ask) -> Answer:
    """Return the last values of rows that were found part by part.

    What is in no part is called `missing_key`; who asks sees whether it is not known yet.
    """
    import pyarrow as pa

    none = found.part < 0
    age = np.where(none, NO_AGE, ask.t - found.e)
    status = np.where(none, Status.MISSING_KEY, Status.PRESENT)
    if view.view.ttl is not None:
        status = np.where(~none & (age > view.view.ttl), Status.EXPIRED, status)
    order = [np.flatnonzero((found.part == number) & (status == Status.PRESENT)) for number in range(len(parts))]
    places = np.zeros(len(ask), np.int64)
    there = np.concatenate([np.zeros(0, np.int64), *order])
    places[there] = np.arange(len(there))
    empty = status != Status.PRESENT
    told = Answer(ties=int(found.tied.sum()))
    pieces: dict[str, list[pa.Array]] = {each.column: [] for each in view.features if isinstance(each, Field)}
    for part, rows in zip(parts, order, strict=True):
        taken = pa.array(found.row[rows])
        for name, mine in pieces.items():
            mine.append(one(part.columns.column(name)).take(taken))
    for each in view.features:
        assert isinstance(each, Field)
        values = one(pa.chunked_array(pieces[each.column])).take(pa.array(places, mask=empty))
        own = np.where((status == Status.PRESENT) & ~np.asarray(values.is_valid()), Status.NULL, status)
        if each.default is not None:
            values, own = _defaulted(view, each, values, own)
        told.columns[each.feature] = values
        told.statuses[each.feature] = own.astype(np.int8)
        told.ages[each.feature] = age
    return told


class _Moments:
    """What was known of each key at the time of its questions."""

    def __init__(self, view: FeatureView, facts: Facts, ask: Ask, as_known: AsKnown) -> None:
        self.view, self.facts, self.ask, self.as_known = view, facts, ask, as_known
        self.starts = starts_of(facts)
        group = groups(facts, self.starts, ask.high, ask.low)
        self.group = group if ask.keyless is None else np.where(ask.keyless, -1, group)
        self.bounds = np.append(self.starts, len(facts)).astype(np.int64)
        self.fields = [each for each in view.features if isinstance(each, Field)]
        filled = {each.column for each in self.fields if each.fill == "last_non_null"}
        self.newest: dict[str | None, Ints] = {each: np.full(len(ask), -1) for each in (None, *sorted(filled))}
        self.ties = 0

    def answer(self) -> Answer:
        self._find()
        status = self._status()
        found = Answer(ties=self.ties)
        for field_ in self.fields:
            self._field(found, field_, status)
        age = self._age(self.newest[None])
        for name, column in self._windows(status).items():
            found.columns[name] = column
            nulls = (status == Status.PRESENT) & ~np.asarray(column.is_valid())
            found.statuses[name] = np.where(nulls, Status.NULL, status).astype(np.int8)
            found.ages[name] = age
        return found

    def _lives(self) -> Lives:
        facts = self.facts
        return lives(self.bounds, facts.e, facts.k, gone=facts.gone, as_known=self.as_known)

    def _find(self) -> None:
        """Find the newest row of each question, and that of each column that is filled."""
        valid = {
            name: np.asarray(self.facts.columns.column(name).is_valid()) for name in self.newest if name is not None
        }
        for chunk in chunks(self._lives(), self.group, self.ask.t):
            alive = span(chunk, coming(chunk), None, None)
            for name, rows in self.newest.items():
                some = alive if name is None else alive.only(valid[name][chunk.row])
                there = np.flatnonzero(some.count > 0)
                place = _last(some.take(there), len(chunk.row))
                rows[chunk.asked[there]] = chunk.row[place]
                if name is None:
                    self._count_ties(chunk.e, alive, there, place)

    def _count_ties(self, e: Ints, alive: Span, there: Ints, place: Ints) -> None:
        """Count the questions whose newest two rows agree in event time."""
        same = np.zeros(len(e), bool)
        same[1:] = e[1:] == e[:-1]
        if not same.any():
            return
        two = np.flatnonzero(alive.count[there] > 1)
        before = _last(alive.take(there[two]), len(e), back=1)
        self.ties += int((e[before] == e[place[two]]).sum())

    def _status(self) -> Codes:
        """Return what keeps the view from being served at all, else PRESENT (PIT 4)."""
        rows = self.newest[None]
        status = np.where(self._expired(rows), Status.EXPIRED, Status.PRESENT).astype(np.int8)
        none = np.flatnonzero(rows < 0)
        if not len(none):
            return status
        status[none] = Status.MISSING_KEY
        facts = self.facts
        if facts.gone is None and self.as_known is None and np.array_equal(facts.k, facts.e):
            return status  # what is known is true by then
        known = none[self.group[none] >= 0]
        there = np.ones(len(facts), bool) if self.as_known is None else np.zeros(0, bool)
        if self.as_known == "now":
            there = np.ones(len(facts), bool) if facts.gone is None else facts.gone == FOREVER
            held = np.concatenate(([0], np.cumsum(there)))[self.bounds]
            some = np.diff(held)[self.group[known]] > 0
            status[known[some]] = Status.NOT_YET
            return status
        told = lives(self.bounds, np.minimum(facts.k, facts.e), facts.k, gone=facts.gone)
        for chunk in chunks(told, self.group[known], self.ask.t[known]):
            count = span(chunk, coming(chunk), None, None).count
            status[known[chunk.asked[count > 0]]] = Status.NOT_YET
        return status

    def _age(self, rows: Ints) -> Ints:
        if not len(self.facts):
            return np.full(len(rows), NO_AGE)
        return np.where(rows < 0, NO_AGE, self.ask.t - self.facts.e[rows])

    def _expired(self, rows: Ints) -> Bools:
        ttl = self.view.view.ttl
        if ttl is None:
            return np.zeros(len(rows), bool)
        return (rows >= 0) & (self._age(rows) > ttl)

    def _field(self, found: Answer, feature: Field, status: Codes) -> None:
        import pyarrow as pa

        rows = self.newest[None]
        if feature.fill == "last_non_null":
            filled = self.newest[feature.column]
            rows = np.where(filled < 0, rows, filled)
            status = np.where(rows < 0, status, np.where(self._expired(rows), Status.EXPIRED, Status.PRESENT))
        served = (rows >= 0) & (status == Status.PRESENT)
        column = one(self.facts.columns.column(feature.column))
        values = column.take(pa.array(np.where(served, rows, 0), mask=~served))
        nulls = served & ~np.asarray(values.is_valid())
        status = np.where(nulls, Status.NULL, status)
        if feature.default is not None:
            values, status = _defaulted(self.view, feature, values, status)
        found.columns[feature.feature] = values
        found.statuses[feature.feature] = status.astype(np.int8)
        found.ages[feature.feature] = self._age(rows)

    def _windows(self, status: Codes) -> dict[str, pa.Array]:
        wanted = [each for each in self.view.features if not isinstance(each, Field)]
        if not wanted:
            return {}
        facts = self.facts
        counted = counted_lives(facts, self.bounds, self.as_known)
        names = dict.fromkeys(name for name in self.view.view.columns if name in facts.columns.schema.names)
        columns = {name: one(facts.columns.column(name)) for name in names}
        group = np.where(status == Status.PRESENT, self.group, -1)
        made = windows(counted, columns, group, self.ask.t, wanted)
        return {each.feature: column for each, column in zip(wanted, made, strict=True)}


def counted_lives(facts: Facts, bounds: Ints, as_known: AsKnown = None) -> Lives:
    """Return from when until when each row counts as an event of windows, late, corrected and deleted ones too (PIT 7).

    Args:
        facts: all rows of some keys, and of a view with a row key all versions of their events.
        bounds: where each key's begin, and the end.
        as_known: as in `answer`.
    """
    if facts.event is None:
        return lives(bounds, facts.e, facts.k, gone=facts.gone, as_known=as_known)
    return lives(
        bounds,
        facts.e,
        facts.k,
        event=_numbers(facts),
        gone=facts.gone,
        ties=_known_order(facts),
        as_known=as_known,
    )


def one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)


def _last(some: Span, lived: int, back: int = 0) -> Ints:
    """Return the last life of each question, or the one `back` before it; all have that many."""
    if some.go is None:
        return some.come[some.came - 1 - back]
    return smallest(some, np.arange(lived), some.count - 1 - back)


def _defaulted(view: FeatureView, feature: Field, values: pa.Array, status: Any) -> tuple[pa.Array, Any]:
    import pyarrow as pa

    missing = status != Status.PRESENT
    if not missing.any():
        return values, status
    try:
        default = pa.scalar(feature.default, values.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SchemaError(
            f"{view.name}: the default of {feature.feature} is {feature.default!r}, and {feature.column} holds {values.type}"
        ) from error
    if pa.types.is_nested(values.type):
        both = pa.concat_arrays([values, pa.array([feature.default], values.type)])
        values = both.take(pa.array(np.where(missing, len(values), np.arange(len(values)))))
    else:
        values = values.fill_null(default)
    return values, np.where(missing, Status.DEFAULTED, status)


def _numbers(facts: Facts) -> Ints:
    """Return the number of the event that each row is a version of; -1 where it names none."""
    assert facts.event is not None
    high, low = facts.event[:, 0], facts.event[:, 1]
    order = np.lexsort((low, high))
    fresh = np.concatenate(([True], (high[order[1:]] != high[order[:-1]]) | (low[order[1:]] != low[order[:-1]])))
    found = np.empty(len(facts), np.int64)
    found[order] = np.cumsum(fresh) - 1
    found[(high == 0) & (low == 0)] = -1
    return found


def _known_order(facts: Facts) -> Ints:
    """Return what orders versions of an event that agree in k and e: their own columns, then their keys (PIT 7)."""
    from dataplat.feature_store.kernel.order import taken

    assert facts.event is not None
    number = _numbers(facts)
    order = np.lexsort((facts.e, facts.k, number))
    same = (number[order[1:]] == number[order[:-1]]) & (number[order[1:]] >= 0)
    same &= (facts.k[order[1:]] == facts.k[order[:-1]]) & (facts.e[order[1:]] == facts.e[order[:-1]])
    places = np.arange(len(facts))
    if not same.any():
        return places
    some = np.unique(np.concatenate((order[1:][same], order[:-1][same])))
    tied = taken(facts, some)
    words = [word for column in (*tied.columns.columns, *tied.keys.columns) for word in ranks(column)]
    places[some[np.lexsort(tuple(reversed(words)))]] = np.arange(len(some))
    return places
