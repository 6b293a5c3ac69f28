"""Answers of requests: keys are encoded, records read in one go, and columns made of them.

    serving = Serving(plan)
    served = serving.answer({"airport": ["JFK"]}, {"distance": [2475.0]}, t, read)
    served.columns["airport_weather__temp"]      # [3.5]

What is prepared once for a plan, is: most cells are then one place in what one `struct` unpacks. Cells that are not plain
(null, expired, with rows that begin later, pushed) are made in the general way, `feature_store.online.state`; both are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.errors import NotMaterialized, SchemaError
from dataplat.feature_store.keys import encoder, value_encoder
from dataplat.feature_store.online.computed import OnDemand, made_kinds
from dataplat.feature_store.online.layout import CLEAN, Layout
from dataplat.feature_store.online.plan import LAYOUT, Ask, ServingPlan
from dataplat.feature_store.online.raw import natural
from dataplat.feature_store.online.rows import Part, batched, rowed, spread
from dataplat.feature_store.online.state import NULL, PRESENT, PUSHED, Answered, Cell, Pushed, state
from dataplat.feature_store.status import NAMES
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.online.store import Reading, Snapshot

Read: TypeAlias = "Callable[[Sequence[bytes]], Reading]"
"""Reads records of a space, all of one moment."""

_ONE: Final[Any] = ((0,),)
_NONE: Final[dict[str, Any]] = {}
MOST: Final = 100_000
"""Rows of one lookup."""
MANY: Final = 12
"""Rows from which on columns are made as arrays."""


class OneRow(Mapping[str, Sequence[Any]]):
    """The columns of one row: lists are made of those that are looked at."""

    __slots__ = ("_places", "row")

    def __init__(self, places: Mapping[str, int], row: Sequence[Any]) -> None:
        self._places, self.row = places, row

    def __getitem__(self, name: str) -> list[Any]:
        return [self.row[self._places[name]]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return repr(self.dict())

    def dict(self) -> dict[str, Sequence[Any]]:
        """Return all of them."""
        return dict(zip(self._places, zip(self.row, strict=False), strict=True))


class Served:
    """What a request is answered with.

    Attributes:
        columns: values by column, in the order of the service, as Arrow gives them to Python.
        snapshot: what they are of.
        sequence: up to which pushed row.
        raw: values as records have them: times are counts.
    """

    __slots__ = ("_asked", "_reading", "_serving", "_told", "columns", "raw", "sequence", "snapshot")

    def __init__(
        self,
        serving: Serving,
        reading: Reading,
        raw: Mapping[str, Sequence[Any]],
        columns: Mapping[str, Sequence[Any]],
        asked: _Told,
    ) -> None:
        self._serving, self._reading, self._asked = serving, reading, asked
        self.raw, self.columns = raw, columns
        self.snapshot: Snapshot = reading.snapshot
        self.sequence: int = reading.sequence
        self._told: Told | None = None

    def __len__(self) -> int:
        return self._asked[1]

    @property
    def statuses(self) -> dict[str, list[int]]:
        """The codes of `Status`, by column; made when they are asked for."""
        return self._statuses_and_ages()[0]

    @property
    def ages(self) -> dict[str, list[int | None]]:
        """How old the rows are that values are of, microseconds, by column; None where there is none."""
        return self._statuses_and_ages()[1]

    def statuses_of(self, rows: Sequence[int]) -> dict[str, list[int]]:
        """Return the statuses of some rows, by column: of a request of many, those that are logged."""
        places, _, t, request = self._asked
        some = [[place[row] for row in rows] for place in places]
        asked = {name: [values[row] for row in rows] for name, values in request.items()}
        return self._serving.tell(self._reading, some, len(rows), t, asked)[0]

    @property
    def kinds(self) -> Mapping[str, pa.DataType]:
        """The types of the columns."""
        return self._serving.kinds

    @property
    def plan(self) -> ServingPlan:
        """How its service is served."""
        return self._serving.plan

    def _statuses_and_ages(self) -> Told:
        if self._told is None:
            self._told = self._serving.tell(self._reading, *self._asked)
        return self._told

    def table(self, *, statuses: bool = False, ages: bool = False) -> pa.Table:
        """Return the columns as Arrow, each followed by `column__status` and `column__age` where they are asked for."""
        import pyarrow as pa

        found: dict[str, Any] = {}
        for name, kind in self._serving.kinds.items():
            found[name] = natural(self.raw[name], kind)
            if statuses:
                codes = pa.array(self.statuses[name], pa.int8())
                found[f"{name}__status"] = pa.DictionaryArray.from_arrays(codes, pa.array(NAMES))
            if ages:
                found[f"{name}__age"] = pa.array(self.ages[name], pa.duration("us"))
        return pa.table(found)


Told: TypeAlias = "tuple[dict[str, list[int]], dict[str, list[int | None]]]"
_Told: TypeAlias = "tuple[Sequence[Sequence[int]], int, int, Mapping[str, Sequence[Any]]]"
"""Places of records by ask, how many rows, the time, the request."""


class Serving:
    """Answers requests of a service; made once for it."""

    def __init__(self, plan: ServingPlan) -> None:
        self.plan = plan
        self._asked = [_Asked(plan, at, ask) for at, ask in enumerate(plan.asks)]
        self._names = [output.name for each in self._asked for output in each.outputs]
        self._on_demand = OnDemand(plan) if plan.transforms.expressions else None
        self._temporal = {name: kind for name, kind in self.kinds.items() if _is_temporal(kind)}
        self._like: dict[str, Serving] = {}
        names = [name for name in plan.columns if name in set(self._names)]
        self._plain = self._on_demand is None and names == self._names
        self._places = {name: at for at, name in enumerate(self._names)}
        alone = len(self._asked) == 1 and self._asked[0].only is not None and not plan.transforms.request
        self._only = self._asked[0].only if alone and self._plain and not self._temporal else None

    @cached_property
    def kinds(self) -> dict[str, pa.DataType]:
        """The types of the columns that it answers with, in their order: those of a training set."""
        return made_kinds(self.plan)

    def answer(
        self, entities: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]], t: int, read: Read
    ) -> Served:
        """Answer a request.

        Args:
            entities: the keys, by the names that the service's entities have in requests.
            request: columns that on-demand features ask for; others are left out.
            t: the time of the request, microseconds.
            read: reads the records.

        Raises:
            SchemaError: A column is missing, of another length, or holds a value of another type; it is named.
            NotMaterialized: There is no snapshot, or none for `t`: the clock went backwards.
        """
        if self._only is not None and len(given := entities.get(self._only, ())) == 1:
            found = self._one(given[0], t, read)
            if found is not None:
                return found
        rows = self._rows(entities, request)
        keys: list[bytes] = []
        places = [each.keys(entities, rows, keys) for each in self._asked]
        reading = read(keys)
        return self._reading(reading.snapshot, t).answered(places, reading, t, request, rows)

    def _one(self, value: Any, t: int, read: Read) -> Served | None:
        """Answer for one key that alone is asked for; None where that is not all there is to it."""
        asked = self._asked[0]
        try:
            key = asked.encode(value)
        except SchemaError:
            return None
        if key is None:
            return None
        reading = read((key,))
        serving = self._reading(reading.snapshot, t)
        record = reading.records[0]
        if serving is not self or record is None or (reading.pushed and reading.pushed[0]):
            return serving.answered(_ONE, reading, t, _NONE, 1)
        row = OneRow(self._places, asked.row(record, asked.unpack(record), t))
        return Served(self, reading, row, row, (_ONE, 1, t, _NONE))

    def _reading(self, snapshot: Snapshot, t: int) -> Serving:
        """Return what reads the records of a snapshot, if that answers for a time."""
        if t < snapshot.at:
            raise NotMaterialized(
                f"a lookup at {t} µs, before the snapshot of {snapshot.at} µs that is served: the clock went backwards; "
                "set it, or ask for a later t"
            )
        return self._like.get(snapshot.id) or self._serving(snapshot)

    def _serving(self, snapshot: Snapshot) -> Serving:
        """Return what reads the records of a snapshot: this, unless columns had other types when it was made.

        Raises:
            NotMaterialized: It was made with other definitions.
        """
        plan = self.plan
        if snapshot.closure != plan.closure:
            raise NotMaterialized(
                f"the snapshot {snapshot.id} of {plan.space} was made with other definitions ({snapshot.closure}) than "
                f"those that are asked for ({plan.closure}): materialise it anew"
            )
        if snapshot.types.get(LAYOUT) != plan.types[LAYOUT]:
            raise NotMaterialized(
                f"the snapshot {snapshot.id} of {plan.space} was made by another version of dataplat, which lays records out "
                "otherwise: materialise it anew"
            )
        alike = snapshot.types == plan.types
        found = self if alike else Serving(ServingPlan.of(plan.service, snapshot.types))
        self._like = {snapshot.id: found}
        return found

    def answered(
        self, places: Sequence[Sequence[int]], reading: Reading, t: int, request: Mapping[str, Sequence[Any]], rows: int
    ) -> Served:
        """Answer with what was read.

        Args:
            places: by ask, the place of each row's record among those that were read; -1: none.
            reading: what was read.
            t: the time.
            request: columns that on-demand features ask for.
            rows: how many.
        """
        raw = self._raw(places, reading, t, rows)
        columns = raw
        if not self._plain or self._temporal:
            raw, columns = self._finished(raw, request, rows)
        return Served(self, reading, raw, columns, (places, rows, t, request))

    def _raw(self, places: Sequence[Sequence[int]], reading: Reading, t: int, rows: int) -> Mapping[str, Sequence[Any]]:
        """Return the columns of views."""
        if rows == 1:
            made = [each.rows(place, reading, t)[0] for each, place in zip(self._asked, places, strict=True)]
            return OneRow(self._places, made[0] if len(made) == 1 else [value for each in made for value in each])
        made = [
            column for each, place in zip(self._asked, places, strict=True) for column in each.made(place, reading, t)
        ]
        return dict(zip(self._names, made, strict=True))

    def _finished(
        self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]], rows: int
    ) -> tuple[dict[str, Sequence[Any]], dict[str, Sequence[Any]]]:
        """Return all columns in their order, as records have them, and as Arrow gives them to Python."""
        found = raw.dict() if isinstance(raw, OneRow) else dict(raw)
        if self._on_demand is not None:
            found |= self._on_demand.values(found, request, rows)
        found = {name: found[name] for name in self.plan.columns}
        if not self._temporal:
            return found, found
        told: dict[str, Sequence[Any]] = {
            name: natural(values, self._temporal[name]).to_pylist() if name in self._temporal else values
            for name, values in found.items()
        }
        return found, told

    def _rows(self, entities: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]]) -> int:
        """Return how many rows are asked for."""
        rows = -1
        wanted = self.plan.transforms.request
        for kind, given, names in (("key", entities, self.plan.entities), ("column", request, wanted)):
            for name in names:
                try:
                    length = len(given[name])
                except KeyError:
                    raise SchemaError(
                        f"service {self.plan.service.name} needs the {kind} {name!r}{did_you_mean(name, list(given))}"
                    ) from None
                if rows not in (-1, length):
                    raise SchemaError(f"{name} has {length} values, and others {rows}: a value for each row")
                rows = length
        if rows > MOST:
            raise SchemaError(f"a lookup of {rows:,} rows: it is of at most {MOST:,}; ask in several")
        return 1 if rows < 0 else rows

    def tell(
        self, reading: Reading, places: Sequence[Sequence[int]], rows: int, t: int, request: Mapping[str, Sequence[Any]]
    ) -> Told:
        """Return statuses and ages, in the general way."""
        cells: dict[str, list[Cell]] = {}
        for each, place in zip(self._asked, places, strict=True):
            of_place = {at: each.cells(at, reading, t) for at in dict.fromkeys(place)}
            every = [of_place[at] for at in place]
            cells |= {output.name: [row[at] for row in every] for at, output in enumerate(each.outputs)}
        statuses = {name: [cell.status for cell in column] for name, column in cells.items()}
        ages = {name: [cell.age for cell in column] for name, column in cells.items()}
        if self._on_demand is not None:
            raw = {name: [cell.value for cell in column] for name, column in cells.items()}
            told = self._on_demand.columns(raw, request)[1]
            statuses |= told
            ages |= {name: [None] * rows for name in told}
        columns = self.plan.columns
        return {name: statuses[name] for name in columns}, {name: ages[name] for name in columns}


def _is_temporal(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_temporal(kind) or (pa.types.is_list(kind) and pa.types.is_temporal(kind.value_type)))


class _Asked:
    """What of a request one record answers: the keys in some of its columns, and the columns that are made of it."""

    def __init__(self, plan: ServingPlan, number: int, ask: Ask) -> None:
        self.outputs = [each for each in plan.outputs if each.ask == number]
        self.layout: Layout = plan.layouts[ask.group]
        group = plan.groups[ask.group]
        self.columns = ask.columns
        self.only = ask.columns[0] if len(ask.columns) == 1 else None
        prefix = bytes([ask.group])
        alone = len(group.entities) == 1
        self.encode: Any = value_encoder(group.entities[0], prefix) if alone else encoder(group.entities, prefix)
        self.unpack = self.layout.fixed.unpack_from
        self.bases = [Part(self.layout, placed, self.outputs) for placed in self.layout.places]
        self.bases = [each for each in self.bases if each.outputs]
        self.row = rowed(self.layout, self.bases, len(self.outputs))
        self.batch = batched(self.layout, self.bases, len(self.outputs))
        self.times = [self.layout.places[each.base.place].e for each in self.outputs]
        self.general: list[tuple[int, list[int], Answered]] = [
            (part.placed.base.place, [at for at, _ in part.outputs], part.answer) for part in self.bases
        ]

    def keys(self, entities: Mapping[str, Sequence[Any]], rows: int, keys: list[bytes]) -> Sequence[int]:
        """Add the keys to be read, and return their places among all; -1: a null."""
        if not self.columns:  # one record for all rows
            keys.append(self.encode(()))
            return [len(keys) - 1] * rows
        given = [entities[column] for column in self.columns]
        try:
            made = list(map(self.encode, given[0] if self.only is not None else zip(*given, strict=True)))
        except SchemaError:
            self._refuse(given)
            raise
        before = len(keys)
        if len(made) == 1 and made[0] is not None:
            keys += made
            return range(before, before + 1)
        own = dict.fromkeys(made)  # a key that comes again, as the user of many items, is read once
        if len(own) == len(made) and None not in own:
            keys += made
            return range(before, len(keys))
        own.pop(None, None)
        keys += own
        place = dict(zip(own, range(before, len(keys)), strict=True))
        return [-1 if key is None else place[key] for key in made]

    def _refuse(self, given: Sequence[Sequence[Any]]) -> None:
        """Raise `SchemaError` with the row of the first key that is none."""
        for row, key in enumerate(zip(*given, strict=True)):
            try:
                self.encode(key[0] if self.only is not None else key)
            except SchemaError as error:
                raise SchemaError(f"{', '.join(self.columns)}, row {row}: {error}") from error

    @cached_property
    def missing(self) -> Sequence[Any]:
        """The values of a key of which nothing is kept."""
        return [cell.value for cell in self._general(None, (), 0)]

    def rows(self, places: Sequence[int], reading: Reading, t: int) -> list[Sequence[Any]]:
        """Return the values of each row."""
        if not isinstance(places, range) and len(places) > 1:
            own = list(dict.fromkeys(places))
            of_place = dict(zip(own, self._rows(own, reading, t), strict=True))
            return [of_place[place] for place in places]
        return self._rows(places, reading, t)

    def _rows(self, places: Sequence[int], reading: Reading, t: int) -> list[Sequence[Any]]:
        records, pushed, row, unpack = reading.records, reading.pushed, self.row, self.unpack
        found: list[Sequence[Any]] = []
        for place in places:
            if place < 0:
                found.append(self.missing)
            elif pushed and pushed[place]:
                found.append([cell.value for cell in self.cells(place, reading, t)])
            elif (record := records[place]) is None:
                found.append(self.missing)
            else:
                found.append(row(record, unpack(record), t))
        return found

    def made(self, places: Sequence[int], reading: Reading, t: int) -> list[list[Any]]:
        """Return the values of rows, by column."""
        records = reading.records
        if len(places) < MANY or any(reading.pushed) or self.batch is None:
            found = self.rows(places, reading, t)
            return [list(column) for column in zip(*found, strict=True)] if found else [[] for _ in self.outputs]
        there: Sequence[int] = range(len(places))
        own: list[Any] = records[places.start : places.stop] if isinstance(places, range) else [None]
        if None in own:
            there = [at for at, place in enumerate(places) if place >= 0 and records[place] is not None]
            own = [records[places[at]] for at in there]
        columns, odd = self.batch(own, t)
        if len(there) < len(places):
            columns = [
                spread(column, there, len(places), none) for column, none in zip(columns, self.missing, strict=True)
            ]
        for at in odd:
            record = own[at]
            for column, value in zip(columns, self.row(record, self.unpack(record), t), strict=True):
                column[there[at]] = value
        return columns

    def cells(self, place: int, reading: Reading, t: int) -> list[Cell]:
        """Return the cells of one row."""
        if place < 0:
            return self._general(None, (), t)
        record, pushed = reading.records[place], reading.pushed[place] if reading.pushed else ()
        if record is not None and not pushed:
            values = self.unpack(record)
            if values[0] & CLEAN and t <= values[2]:
                row = self.row(record, values, t)
                return [
                    Cell(value, PRESENT if value is not None else NULL, t - values[e])
                    for value, e in zip(row, self.times, strict=True)
                ]
        return self._general(record, [PUSHED.decode(each) for each in pushed], t)

    def _general(self, record: bytes | None, pushed: Sequence[Pushed], t: int) -> list[Cell]:
        known = state(self.layout, record, pushed)
        found: list[Any] = [None] * len(self.outputs)
        for place, outputs, answer in self.general:
            for at, cell in zip(outputs, answer(known.rows[place], known.events[place], t), strict=True):
                found[at] = cell
        return found
