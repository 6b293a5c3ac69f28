"""How a service is served: which records are read, what of each view they hold, and which column is made of what.

Views and their aliases share what is kept of them: a base. Bases of the same entities share one record, so that a request
reads one for each key. Columns that only on-demand features read are served as the others, and left out at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.errors import SchemaError
from dataplat.feature_store.closure import closure_hash, used_views
from dataplat.feature_store.definitions import Entity, Feature, FeatureService, FeatureView, Field
from dataplat.feature_store.kernel.ondemand import Transforms
from dataplat.feature_store.online.cells import Cell
from dataplat.feature_store.online.tilings import Tiling, tilings
from dataplat.feature_store.windows import (
    Count,
    DistinctCount,
    First,
    Last,
    LastN,
    Max,
    Mean,
    Min,
    Quantile,
    Ratio,
    Std,
    Sum,
    Window,
    parts_of,
)
from dataplat.lake.schema import JsonType, canonical_schema, did_you_mean, parse_type, type_to_json

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.online.layout import Layout

Types: TypeAlias = Mapping[str, Mapping[str, JsonType]]
"""The types of columns, by base and column, as `dataplat.lake.schema` spells them."""

LAYOUT: Final = ""
"""Among types, where the layout of records is: no base is called so."""
FORMAT: Final = 1
"""Of records: another one for another layout, which then is made anew before it is read."""
ORDERED: Final = (First, Last, LastN)
"""Functions that look at the order of events."""
MOMENTS: Final = (Sum, Mean, Std)
TILED: Final = (Count, *MOMENTS, Min, Max, DistinctCount, Quantile)


@dataclass(frozen=True, slots=True)
class Base:
    """What is kept of a view and its aliases.

    Attributes:
        name: of the first of them.
        view: it, with every feature of theirs that is used.
        group: the number of its group.
        place: its place among the bases of the group.
        cells: the columns that its newest row is kept with, those that order rows that tie among them.
        fills: columns of which the newest value that is not null is kept.
        windows: its window functions, those of ratios included.
        events: the columns that events are kept with.
        tilings: the tiles that events are summed up in.
        types: of all columns.
    """

    name: str
    view: FeatureView
    group: int
    place: int
    cells: Mapping[str, Cell]
    fills: tuple[str, ...]
    windows: tuple[Window, ...]
    events: Mapping[str, Cell]
    tilings: tuple[Tiling, ...]
    types: Mapping[str, pa.DataType]

    @property
    def known(self) -> bool:
        """Whether rows have a known time of their own."""
        told = self.view.view
        return told.known_at is not None or told.history == "commits"

    @property
    def corrected(self) -> bool:
        """Whether a row may replace an event, so that all events are kept one by one."""
        return bool(self.view.view.row_key) and bool(self.windows)


@dataclass(frozen=True, slots=True)
class Group:
    """Bases of the same entities, which share a record.

    Attributes:
        number: the first byte of its records' keys.
        entities: in order.
        bases: in the order in which they lie in the record.
    """

    number: int
    entities: tuple[Entity, ...]
    bases: tuple[Base, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """A record that is read for each row of a request: that of a group, of the key in some columns."""

    group: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """A column `view__feature`: which feature of which base, of the record of which ask."""

    name: str
    base: Base
    feature: Feature
    ask: int


@dataclass(frozen=True)
class ServingPlan:
    """How a service is served.

    Attributes:
        service: what is served.
        transforms: its on-demand features.
        bases: what is kept of its views.
        groups: the records.
        asks: which of them a row of a request reads.
        outputs: columns of views, those that only on-demand features read among them.
        columns: the names of the columns that are answered with, in order.
        entities: the columns of a request that hold keys, and whose.
    """

    service: FeatureService
    transforms: Transforms
    bases: tuple[Base, ...]
    groups: tuple[Group, ...]
    asks: tuple[Ask, ...]
    outputs: tuple[Output, ...]
    columns: tuple[str, ...]
    entities: Mapping[str, Entity]

    @classmethod
    def of(cls, service: FeatureService, types: Types) -> ServingPlan:
        """Return how a service is served.

        Args:
            service: the service.
            types: of the columns of each base (`bases_of` names them).

        Raises:
            SchemaError: A column is missing: the source lost it.
        """
        transforms = Transforms.of(service)
        views = used_views(service, transforms)
        numbers: dict[tuple[Entity, ...], int] = {}
        bases: list[Base] = []
        for view in _united(views):
            number = numbers.setdefault(view.view.entities, len(numbers))
            place = sum(base.group == number for base in bases)
            bases.append(_base(view, number, place, types.get(view.name, {})))
        groups = tuple(
            Group(number, entities, tuple(base for base in bases if base.group == number))
            for entities, number in numbers.items()
        )
        asks: dict[Ask, int] = {}
        outputs: list[Output] = []
        entities: dict[str, Entity] = {}
        for view in views:
            base = next(base for base in bases if identity(base.view) == identity(view))
            ask = asks.setdefault(Ask(base.group, view.spine_keys), len(asks))
            entities |= zip(view.spine_keys, view.view.entities, strict=True)
            outputs += [Output(f"{view.name}__{each.feature}", base, each, ask) for each in view.features]
        columns = tuple(name for each in service.features for name in each.outputs)
        return cls(service, transforms, tuple(bases), groups, tuple(asks), tuple(outputs), columns, entities)

    @property
    def space(self) -> str:
        """What online stores call it."""
        return self.service.reference

    @cached_property
    def closure(self) -> str:
        """The hash of the definitions (PIT 26)."""
        return closure_hash(self.service)

    @cached_property
    def types(self) -> dict[str, dict[str, Any]]:
        """The types that it was made with, of the columns that it needs; and under no base's name the layout of records."""
        found = {base.name: {name: type_to_json(kind) for name, kind in base.types.items()} for base in self.bases}
        return {LAYOUT: {"format": FORMAT}, **found}

    @cached_property
    def layouts(self) -> tuple[Layout, ...]:
        """The layout of each group's records."""
        from dataplat.feature_store.online.layout import Layout

        return tuple(Layout.of(group) for group in self.groups)

    @cached_property
    def kinds(self) -> dict[str, pa.DataType]:
        """The Arrow type of each column of a view."""
        return {each.name: kind_of(each.feature, each.base.types) for each in self.outputs}


def bases_of(service: FeatureService) -> tuple[FeatureView, ...]:
    """Return the views of which something is kept: one for a view and its aliases, with all features that are used."""
    return _united(used_views(service))


def types_of(schemas: Mapping[str, pa.Schema]) -> dict[str, dict[str, Any]]:
    """Return the types of the columns of sources, by base, as `ServingPlan.of` takes them: those that a lake stores.

    A query may have columns of which nothing can be stored: they are left out.
    """
    import pyarrow as pa

    found: dict[str, dict[str, Any]] = {}
    for name, schema in schemas.items():
        found[name] = {}
        for field in schema:
            with suppress(SchemaError):
                [stored] = canonical_schema(pa.schema([field]))
                found[name][field.name] = type_to_json(stored.type)
    return found


def kind_of(feature: Feature, types: Mapping[str, pa.DataType]) -> pa.DataType:
    """Return the type of a feature (PIT 24), given those of the columns."""
    import pyarrow as pa

    if isinstance(feature, Count | DistinctCount):
        return pa.int64()
    if isinstance(feature, Ratio | Mean | Std | Quantile):
        return pa.float64()
    assert feature.column is not None
    kind = types[feature.column]
    if isinstance(feature, Sum):
        if pa.types.is_decimal(kind):
            return pa.decimal128(38, kind.scale)
        return pa.float64() if pa.types.is_floating(kind) else pa.int64()
    return pa.list_(kind) if isinstance(feature, LastN) else kind


def flat(features: Sequence[Feature]) -> tuple[Window, ...]:
    """Return the different windows of features, those of ratios included."""
    return tuple(dict.fromkeys(part for each in features for part in parts_of(each) if isinstance(part, Window)))


def identity(view: FeatureView) -> Any:
    """Return what is equal for a view and its aliases, whichever of its features are used."""
    return replace(view.view, features=(), max_events_per_key=0, freshness=None, drift=())


def _united(views: Sequence[FeatureView]) -> tuple[FeatureView, ...]:
    found: dict[Any, FeatureView] = {}
    for view in views:
        same = identity(view)
        first = found.setdefault(same, view)
        more = tuple(each for each in view.features if each not in first.features)
        found[same] = FeatureView.made_of(first.name, replace(first.view, features=(*first.features, *more)))
    return tuple(found.values())


def _base(view: FeatureView, number: int, place: int, types: Mapping[str, JsonType]) -> Base:
    windows = flat(view.features)
    fields = [each for each in view.features if isinstance(each, Field)]
    told = view.view.columns
    kept = _upto(told, {each.column for each in fields})
    ordered = {each.column for each in windows if isinstance(each, ORDERED) and each.column is not None}
    within = {each.column for each in windows if each.column is not None}
    if view.view.row_key and windows:
        ordered = set(told)  # which of two versions of an event counts may depend on any of them
    events = [each for each in told if each in within or each in _upto(told, ordered)]
    known: dict[str, pa.DataType] = {}
    for column in dict.fromkeys((*kept, *events)):
        if column not in types:
            raise SchemaError(
                f"view {view.name}: its source has no column {column!r}{did_you_mean(column, list(types))}; "
                "a source that loses a column cannot be served"
            )
        known[column] = parse_type(types[column])
    return Base(
        view.name,
        view,
        number,
        place,
        {column: Cell.of(known[column]) for column in kept},
        tuple(dict.fromkeys(each.column for each in fields if each.fill == "last_non_null")),
        windows,
        {column: Cell.of(known[column]) for column in events},
        tilings(windows, TILED),
        known,
    )


def _upto(columns: Sequence[str], seen: set[str]) -> list[str]:
    """Return the columns up to the last that is seen: those behind it order nothing that can be told apart."""
    last = max((at for at, column in enumerate(columns) if column in seen), default=-1)
    return list(columns[: last + 1])
