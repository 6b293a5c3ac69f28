"""PIT.md in plain Python, row by row: slow, and so plain that it can be checked by reading. Every engine is held to it.

    answer = reference(service, {"weather": Source.of(types, rows)}, spine, spine_types)
    answer.cells["airport_weather__temp"][0]         # Cell(value=3.5, status=<Status.PRESENT: 0>, age=600000000)

Training and serving are the same function: a lookup is a spine whose times are the request's. Numbers in comments are
rules of PIT.md. What these leave open is decided here:

- `defaulted` stands in the place of `null`, `missing_key`, `not_yet` and `expired`, where a feature has a default.
- The age is that of the newest row with `e <= t` (with fill="last_non_null": of the row that filled), also if it is
  expired; there is none for `missing_key` and `not_yet`, nor for on-demand features.
- Where a view's status is `missing_key`, `not_yet` or `expired`, its windows hold nothing: counts are 0, others null.
- Rows that do not pass `where` are not there, so they replace no row of the same row key either.
- A row key is one across all keys of a view: a correction may move an event to another key, or to none (null). Versions
  of an event that tie in k, e and the view's own columns are ordered by their keys.
- Values of features that are times, and times in rows, are the counts that Arrow holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dataplat.errors import SchemaError
from dataplat.feature_store.definitions import Feature, FeatureService, FeatureView, Field, OnDemand
from dataplat.feature_store.kernel.ondemand import Expression, expression
from dataplat.feature_store.status import NAMES, Status
from dataplat.feature_store.windows import Ratio, Window
from dataplat.lake.schema import JsonType, parse_type
from dataplat.testing._features_functions import applied, begins, divided, type_of
from dataplat.testing._features_history import Fact, Row, Source, Version, current, facts, visible
from dataplat.testing._features_values import bits, key_of, micros_of

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["Answer", "Cell", "Row", "Source", "Version", "reference"]

AsKnown: TypeAlias = Literal["now"] | None
_NOTHING: Final = frozenset({Status.MISSING_KEY, Status.NOT_YET, Status.EXPIRED})


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, how it came to be (4), and how old the row is that it is of, in microseconds."""

    value: Any
    status: Status
    age: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The cells of every column `view__feature`, one for each spine row, in its order.

    Attributes:
        cells: by column, in the order of the service.
        types: of the columns.
        ties: by view: for how many spine rows the newest row tied on `e` with another one (6).
    """

    cells: dict[str, list[Cell]]
    types: dict[str, JsonType]
    ties: dict[str, int] = field(default_factory=dict)

    def table(self) -> pa.Table:
        """Return the columns as Arrow: each with `column__status` (words) and `column__age` (microseconds)."""
        import pyarrow as pa

        columns: dict[str, pa.Array] = {}
        for name, cells in self.cells.items():
            columns[name] = pa.array([cell.value for cell in cells], parse_type(self.types[name]))
            codes = pa.array([int(cell.status) for cell in cells], pa.int8())
            columns[f"{name}__status"] = pa.DictionaryArray.from_arrays(codes, pa.array(NAMES))
            columns[f"{name}__age"] = pa.array([cell.age for cell in cells], pa.int64())
        return pa.table(columns)


def reference(
    service: FeatureService,
    sources: Mapping[str, Source],
    spine: Sequence[Row],
    types: Mapping[str, JsonType],
    *,
    timestamp: str = "t",
    as_known: AsKnown = None,
) -> Answer:
    """Return every cell of a service's features for the rows of a spine.

    Args:
        service: the features.
        sources: by the name of the dataset, or the text of the query.
        spine: rows with the time, the entities' keys, and what the service's on-demand features ask for.
        types: those of the spine's columns.
        timestamp: the spine's column of the time `t`.
        as_known: "now" takes every row that is there as known, whenever it came (8).

    Raises:
        SchemaError: A time is null or naive (13), a key is of another type.
    """
    times = [micros_at(row, types, timestamp) for row in spine]
    answer = Answer({}, {})
    for view in all_views(service):
        _Joined(view, sources[_name(view)], answer).join(spine, types, times, now=as_known == "now")
    computed = _on_demand(service, answer, spine)
    wanted = [name for each in service.features for name in _columns(each)]
    cells = answer.cells | computed.cells
    kinds = answer.types | computed.types
    return Answer({name: cells[name] for name in wanted}, {name: kinds[name] for name in wanted}, answer.ties)


def all_views(service: FeatureService) -> list[FeatureView]:
    """Return the views of a service, those behind on-demand features too, each with all features that anybody names."""
    named: dict[str, FeatureView] = {}
    features: dict[str, dict[str, Feature]] = defaultdict(dict)
    for each in service.features:
        for view in each.views if isinstance(each, OnDemand) else (each,):
            named[view.name] = view
            features[view.name].update({feature.feature: feature for feature in view.features})
    return [_with(view, tuple(features[name].values())) for name, view in named.items()]


def _with(view: FeatureView, features: tuple[Feature, ...]) -> FeatureView:
    other = object.__new__(FeatureView)
    other.name, other.renamed, other.view = view.name, view.renamed, replace(view.view, features=features)
    return other


def _name(view: FeatureView) -> str:
    return view.view.source if isinstance(view.view.source, str) else view.view.source.query


def _columns(each: FeatureView | OnDemand) -> list[str]:
    if isinstance(each, OnDemand):
        return [each.name]
    return [f"{each.name}__{feature.feature}" for feature in each.features]


def micros_at(row: Row, types: Mapping[str, JsonType], column: str) -> int:
    """Return the time of a spine row in microseconds."""
    found = micros_of(row[column], types[column], f"spine.{column}")
    if found is None:
        raise SchemaError(f"spine.{column} is null")
    return found


@dataclass(frozen=True, slots=True)
class _Joined:
    """One view, joined to a spine."""

    view: FeatureView
    source: Source
    answer: Answer

    def join(self, spine: Sequence[Row], types: Mapping[str, JsonType], times: Sequence[int], *, now: bool) -> None:
        """Add its cells to the answer."""
        named = [(f"{self.view.name}__{feature.feature}", feature) for feature in self.view.features]
        for name, feature in named:
            self.answer.cells[name] = []
            self.answer.types[name] = type_of(feature, self.source.types)
        every = facts(self.view, self.source)
        of_key: dict[Any, list[Fact]] = defaultdict(list)
        for fact in every:
            of_key[fact.key].append(fact)
        of_key.pop(None, None)  # 12: a null key matches nothing
        ties = 0
        counted: dict[int, Mapping[Any, list[Fact]]] = {}
        for row, t in zip(spine, times, strict=True):  # 5: each for itself, so equal rows stay; N in, N out
            if t not in counted:
                counted[t] = self._counted(t, every, now=now)
            moment = self._moment(row, t, counted[t], of_key, now=now)
            ties += moment.tied
            for name, feature in named:
                self.answer.cells[name].append(moment.cell(feature))
        self.answer.ties[self.view.name] = ties

    def _counted(self, t: int, every: list[Fact], *, now: bool) -> Mapping[Any, list[Fact]]:
        """Return by key the rows that count for windows at `t`, where the view names a row key (7)."""
        found: dict[Any, list[Fact]] = defaultdict(list)
        if self.view.view.row_key:
            for fact in current([fact for fact in every if visible(fact, t, self.view.view.delay, now=now)]):
                found[fact.key].append(fact)
        return found

    def _moment(
        self, row: Row, t: int, counted: Mapping[Any, list[Fact]], of_key: Mapping[Any, list[Fact]], *, now: bool
    ) -> _Moment:
        view = self.view.view
        dtypes = [entity.dtype for entity in view.entities]
        columns = self.view.spine_keys  # 21: an alias reads its key from a column of its own
        key = key_of([row[column] for column in columns], dtypes, [f"spine.{column}" for column in columns])
        known = [fact for fact in of_key.get(key, ()) if visible(fact, t, view.delay, now=now)]  # 4: V; 20: key ()
        events = counted.get(key, []) if view.row_key and key is not None else []
        return _Moment(t, view.ttl, known, events if view.row_key else known)


@dataclass(frozen=True)
class _Moment:
    """What was known of one key at `t`.

    Attributes:
        known: V of rule 4.
        events: the rows that count for windows.
    """

    t: int
    ttl: int | None
    known: list[Fact]
    events: list[Fact]

    @cached_property
    def past(self) -> list[Fact]:
        """What was known and true by `t`, the oldest first."""
        return _past(self.known, self.t)

    @cached_property
    def happened(self) -> list[Fact]:
        """The events that were true by `t`, the oldest first."""
        return _past(self.events, self.t)

    @property
    def tied(self) -> bool:
        """Whether another row has the `e` of the newest one (6)."""
        return len(self.past) > 1 and self.past[-1].e == self.past[-2].e

    @cached_property
    def status(self) -> Status:
        """What keeps the view from being served, else PRESENT (4)."""
        if not self.known:
            return Status.MISSING_KEY
        if not self.past:
            return Status.NOT_YET
        return Status.EXPIRED if self._expired(self.past[-1]) else Status.PRESENT

    def _expired(self, fact: Fact) -> bool:
        return self.ttl is not None and self.t - fact.e > self.ttl  # 2: an age of exactly ttl is not; 3

    def cell(self, feature: Feature) -> Cell:
        """Return the cell of a feature."""
        if isinstance(feature, Field):
            return self._field(feature)
        value = self._window(feature)
        status = self.status
        if status is Status.PRESENT and value is None:
            status = Status.NULL
        return Cell(value, status, self.t - self.past[-1].e if self.past else None)

    def _field(self, feature: Field) -> Cell:
        """Return the value of the newest row, (e, k) and then its own columns deciding (6, 7)."""
        past, status = self.past, self.status
        if not past:
            return _or_default(feature, Cell(None, status))
        served = past[-1]  # 10: its value, also where that is null
        if feature.fill == "last_non_null":
            filled = [fact for fact in past if fact.row[feature.column] is not None]
            served = filled[-1] if filled else served
            status = Status.EXPIRED if self._expired(served) else Status.PRESENT  # 10: of the row that filled
        age = self.t - served.e
        if status is Status.EXPIRED:
            return _or_default(feature, Cell(None, status, age))
        value = served.row[feature.column]
        return _or_default(feature, Cell(value, Status.NULL if value is None else Status.PRESENT, age))

    def _window(self, feature: Window | Ratio) -> Any:
        if isinstance(feature, Ratio):
            return divided(self._window(feature.above), self._window(feature.below))
        if self.status in _NOTHING:
            return applied(feature, [])
        after = begins(feature, self.t)
        inside = [fact for fact in self.happened if after is None or fact.e > after]  # 22: (t - w, t]
        return applied(feature, [None if feature.column is None else fact.row[feature.column] for fact in inside])


def _past(rows: Iterable[Fact], t: int) -> list[Fact]:
    """Return the rows that were true by `t`, the oldest first: e == t is by then (1), later ones are not (18)."""
    return sorted((fact for fact in rows if fact.e <= t), key=lambda fact: fact.order)


def _or_default(feature: Field, cell: Cell) -> Cell:
    if cell.status is Status.PRESENT or feature.default is None:
        return cell
    return Cell(feature.default, Status.DEFAULTED, cell.age)


def _on_demand(service: FeatureService, answer: Answer, spine: Sequence[Row]) -> Answer:
    """Return the on-demand features: their expressions, evaluated for one row at a time (25)."""
    found = Answer({}, {})
    for each in service.features:
        if not isinstance(each, OnDemand):
            continue
        made = expression(each)
        inputs = {name: answer.types[name] for name in made.features} | dict(made.request)
        found.types[each.name] = _type(made, _frame_of({name: [] for name in inputs}, inputs))
        computed: dict[str, Cell] = {}  # of a row alone, so of rows that are equal to the last bit once
        cells = found.cells[each.name] = []
        for at, row in enumerate(spine):
            values = {name: answer.cells[name][at].value for name in made.features}
            values |= {name: row[name] for name in made.request}
            same = repr([bits(value) for value in values.values()])
            if same not in computed:
                computed[same] = _computed(made, _frame_of({name: [value] for name, value in values.items()}, inputs))
            cells.append(computed[same])
    return found


def _frame_of(values: Mapping[str, list[Any]], types: Mapping[str, JsonType]) -> pl.DataFrame:
    import polars as pl
    import pyarrow as pa

    frame = pl.from_arrow(pa.table({name: pa.array(values[name], parse_type(kind)) for name, kind in types.items()}))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _computed(made: Expression, frame: pl.DataFrame) -> Cell:
    import polars as pl

    try:
        value = frame.select(made.expr).to_series().to_arrow()[0]
    except pl.exceptions.PolarsError:
        return Cell(None, Status.ERROR)  # 4
    return _or_made(made.default, _plain(value))


def _or_made(default: Any, value: Any) -> Cell:
    if value is not None:
        return Cell(value, Status.PRESENT)
    return Cell(None, Status.NULL) if default is None else Cell(default, Status.DEFAULTED)


def _plain(value: pa.Scalar) -> Any:
    """Return an Arrow value in Python, a time as its count."""
    import pyarrow as pa

    if pa.types.is_temporal(value.type):
        return value.value
    return value.as_py()


def _type(made: Expression, empty: pl.DataFrame) -> JsonType:
    from dataplat.lake.schema import type_to_json

    kind = empty.select(made.expr).to_series().to_arrow().type
    return type_to_json(kind)
