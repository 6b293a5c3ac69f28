"""Training sets: for each row of a spine what was known at its time, view by view, one range of keys after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dataplat._features._history import micros_of
from dataplat._features._lint import leaks
from dataplat._features._set import Codes, Side, TrainingSet
from dataplat._features._sources import ViewSource
from dataplat._features._spine import Spine, spine_of, times_of
from dataplat.errors import BadColumn, ConfigError, SchemaError
from dataplat.feature_store.closure import used_views
from dataplat.feature_store.definitions import FeatureService, FeatureView
from dataplat.feature_store.kernel.answer import Answer, answer, finished
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.ondemand import Transforms
from dataplat.feature_store.kernel.pieces import plain, searched
from dataplat.feature_store.times import NEVER, to_micros
from dataplat.feature_store.windows import micros
from dataplat.ingest._progress import Meter
from dataplat.lake.schema import did_you_mean
from dataplat.versioning.references import at_branch

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._features._store import FeatureStore
    from dataplat._version import Version
    from dataplat.lake.engine import Engine

_THERE = " row of the labels"
ROWS = 4_000_000
"""Rows of a source that are merged at once: what bounds the memory, whatever the history."""


@dataclass(frozen=True)
class Recipe:
    """What a training set is made of.

    Attributes:
        service: the features.
        spine: the rows.
        timestamp: the spine's column of times.
        labels: the version that labels come from.
        label_on: the columns that they are joined by.
        label_known_at: the column of labels that says when each was known; None: all were when they were committed.
        horizon: how long after its time a row's label is known, microseconds.
        as_known: "now" takes what is there as known, whenever it came (PIT 8).
        statuses: whether each feature comes with its status.
        ages: whether with its age.
        pins: version ids by the names that views call datasets by; empty: those of now.
        lineage: (dataset, version id) of all of them.
        sides: which part of it is taken, one split after the other.
    """

    service: FeatureService
    spine: Spine
    timestamp: str = "t"
    labels: Version | None = None
    label_on: tuple[str, ...] = ()
    label_known_at: str | None = None
    horizon: int | None = None
    as_known: Literal["now"] | None = None
    statuses: bool = False
    ages: bool = False
    pins: Mapping[str, str] = None  # type: ignore[assignment]
    lineage: tuple[tuple[str, str], ...] = ()
    sides: tuple[Side, ...] = ()


def training_set(
    store: FeatureStore,
    spine: Any,
    service: FeatureService,
    *,
    timestamp: str,
    labels: str | None,
    label_on: Sequence[str] | str,
    label_known_at: str | None,
    horizon: Any,
    as_known: Literal["now"] | None,
    statuses: bool,
    ages: bool,
    meter: Meter,
    engine: str | Engine = "local",
) -> TrainingSet:
    """Make a training set of the versions of now."""
    if as_known not in (None, "now"):
        raise ConfigError(f'as_known is None (as it was known then) or "now", and not {as_known!r}')
    version = None
    if labels is not None:
        version = store.lake[at_branch(labels, store.branch)]
    elif label_on or horizon or label_known_at:
        raise ConfigError("label_on, label_known_at and horizon are about labels: say which with labels=")
    if label_known_at and horizon is None:
        raise ConfigError(
            f"label_known_at={label_known_at!r} is what a horizon is measured from: give one with horizon="
        )
    meter.enter("reading the spine")
    if engine != "local" and hasattr(spine, "mapInArrow"):  # a frame of Spark's
        from dataplat._spark._features_spine import landed_spine

        spine = landed_spine(engine, store, spine)
    recipe = Recipe(
        service,
        spine_of(store, spine),
        timestamp,
        version,
        (label_on,) if isinstance(label_on, str) else tuple(label_on),
        label_known_at,
        None if horizon is None else micros(horizon, "horizon"),
        as_known,
        statuses,
        ages,
    )
    return build(store, recipe, meter, engine)


def build(
    store: FeatureStore, recipe: Recipe, meter: Meter | None = None, engine: str | Engine = "local"
) -> TrainingSet:
    """Make the set of a recipe, of the versions that it pins; `engine` says who does."""
    meter = meter or Meter()
    if engine != "local":
        from dataplat._spark._features import training_set_by

        return training_set_by(engine, store, recipe, meter)
    whole = _whole(store, replace(recipe, sides=()), meter)
    for side in recipe.sides:
        whole = whole.side(side)
    return whole


def pinned(store: FeatureStore, recipe: Recipe) -> tuple[Recipe, tuple[FeatureView, ...], dict[str, ViewSource]]:
    """Return a recipe with the versions that it is made of, its views, and the source of each.

    Raises:
        ConfigError: Features could know the labels (PIT 27).
    """
    commit = store.lake.refs.head(store.branch).commit
    views = used_views(recipe.service)
    sources = {view.name: ViewSource.of(store, view, commit) for view in views}
    if recipe.pins is not None:
        sources = {name: source.at(recipe.pins) for name, source in sources.items()}
    pins = {name: version for source in sources.values() for name, version in source.pins.items()}
    lineage = tuple(sorted({pair for source in sources.values() for pair in source.datasets}))
    recipe = replace(recipe, pins=pins, lineage=lineage)
    _check_leaks(recipe, sources)
    return recipe, views, sources


def _whole(store: FeatureStore, recipe: Recipe, meter: Meter) -> TrainingSet:
    recipe, views, sources = pinned(store, recipe)
    table, labelled, immature = with_labels(recipe)
    t = times_of(table, recipe.timestamp)
    asks: dict[Any, Ask] = {}
    for view in views:
        if asked(view) not in asks:
            asks[asked(view)] = Ask.of(view, table, t)
    with ThreadPoolExecutor(2) as pool:  # arrays are searched without the interpreter's lock
        each = pool.map(
            lambda view: joined(view, sources[view.name], asks[asked(view)], as_known=recipe.as_known), views
        )
        told = {}
        for view in views:
            meter.enter(f"joining {view.name}:")
            told[view.name] = next(each)
            meter.add_rows(len(t))
    found = Answer.of_views(told)
    ties = {name: its.ties for name, its in told.items()}
    table = with_features(recipe.service, found, table, statuses=recipe.statuses, ages=recipe.ages)
    codes = Codes({name: its for name, its in found.statuses.items() if name in table.schema.names}, labelled)
    return TrainingSet(recipe, table, codes.report(table.num_rows, immature, ties), store, codes)


def with_features(service: FeatureService, found: Answer, spine: pa.Table, *, statuses: bool, ages: bool) -> pa.Table:
    """Return rows of a spine with the columns of a service, made of those of its views; they are added to what was found."""
    features = finished(service, Transforms.of(service), found, spine, statuses=statuses, ages=ages)
    table = spine
    for name, column in zip(features.schema.names, features.columns, strict=True):
        if name in table.schema.names:
            raise SchemaError(f"the spine has a column {name!r}, and so have the features: rename that of the spine")
        table = table.append_column(name, column)
    return table


def joined(
    view: FeatureView, source: ViewSource, ask: Ask, *, as_known: Literal["now"] | None = None, rows: int = ROWS
) -> Answer:
    """Return the features of a view, the quickest way: searched for part by part, else in ranges of keys.

    Memory is bounded by `rows` of the source either way.
    """
    if as_known is None and len(ask):
        source = source.until(int(ask.t.max()))
    found = None
    if plain(view):
        source.parts.make()
        found = searched(view, source.parts, ask, source.of_keys, as_known)
    return _ranged(view, source, ask, as_known, rows) if found is None else found


def asked(view: FeatureView) -> Any:
    """Return what is equal for views that ask the same of a spine."""
    return view.spine_keys, view.view.entities


def _ranged(view: FeatureView, source: ViewSource, ask: Ask, as_known: Literal["now"] | None, rows: int) -> Answer:
    """Return the features of a view, of ranges of keys one after the other."""
    count = max(1, -(-source.rows // rows))
    if count == 1:
        return answer(view, source.whole, ask, as_known=as_known)
    order, pieces = [], []
    for first, stop, facts in source.ranges(count):
        inside = ask.high >= np.uint64(first)
        if stop < 1 << 64:
            inside &= ask.high < np.uint64(stop)
        asked = np.flatnonzero(inside)
        order.append(asked)
        pieces.append(answer(view, facts, ask.take(asked), as_known=as_known))
    places = np.empty(len(ask), np.int64)
    places[np.concatenate(order)] = np.arange(len(ask))
    return Answer.joined(pieces).placed(places)


def _check_leaks(recipe: Recipe, sources: Mapping[str, ViewSource]) -> None:
    """Refuse features that could know the labels (PIT 27)."""
    if recipe.labels is None:
        return
    on = recipe.label_on or recipe.labels.key
    columns = [name for name in recipe.labels.schema.names if name not in on]
    reads = {name: [dataset for dataset, _ in source.datasets] for name, source in sources.items()}
    found = leaks(recipe.service, recipe.labels.dataset, columns, reads)
    if found:
        raise ConfigError("features would know the labels that they are to predict: " + "; ".join(found))


def with_labels(recipe: Recipe) -> tuple[pa.Table, NDArray[np.bool_] | None, int]:
    """Return the spine with its labels, and whether there is one; without rows whose label could not be known yet.

    And how many of these there were.
    """
    import pyarrow as pa

    table, labels = recipe.spine.table, recipe.labels
    if labels is None:
        return table, None, 0
    table, labelled = _joined(recipe, labels)
    if recipe.horizon is None:
        return table, labelled, 0
    mature = times_of(table, recipe.timestamp) + recipe.horizon <= _newest(recipe, labels)
    return table.filter(pa.array(mature)), labelled[mature], int((~mature).sum())


def _newest(recipe: Recipe, labels: Version) -> int:
    """Return until when labels are known, microseconds: the newest known time of one, else when they were committed."""
    if recipe.label_known_at is None:
        return micros_of(labels.created, "created")
    known = to_micros(
        labels.to_arrow(columns=[recipe.label_known_at]).column(0), f"{labels.dataset}.{recipe.label_known_at}"
    )
    return int(known.max(initial=NEVER))


def _joined(recipe: Recipe, labels: Version) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Return the spine with its labels, and which rows have one."""
    from dataplat._frames import to_polars

    table = recipe.spine.table
    on = list(recipe.label_on) or [name for name in labels.key if name in table.schema.names]
    if not on:
        raise ConfigError(f"{labels.dataset} has no key that the spine has: say what to join labels by with label_on=")
    for name in on:
        for what, names in (("the spine", table.schema.names), (labels.dataset, labels.schema.names)):
            if name not in names:
                raise BadColumn(f"{what} has no column {name!r} to join labels by{did_you_mean(name, names)}")
    if recipe.label_known_at not in (None, *labels.schema.names):
        raise BadColumn(
            f"{labels.dataset} has no column {recipe.label_known_at!r} that says when labels were known"
            f"{did_you_mean(str(recipe.label_known_at), labels.schema.names)}"
        )
    wanted = [name for name in labels.schema.names if name != recipe.label_known_at or name in on]
    both = [name for name in wanted if name in table.schema.names and name not in on]
    if both:
        raise SchemaError(f"{both[0]!r} is a column of the spine and of {labels.dataset}: rename one")
    given = to_polars(labels.to_arrow(columns=wanted)).with_row_index(_THERE)
    twice = given.select(on).is_duplicated()
    if twice.any():
        first = given.filter(twice).row(0, named=True)
        raise SchemaError(
            f"{labels.dataset} has two labels of {', '.join(f'{name}={first[name]!r}' for name in on)}: which is meant?"
        )
    rows = to_polars(table.select(on)).join(given, on=on, how="left", maintain_order="left")
    labelled = rows[_THERE].is_not_null().to_numpy()
    found = rows.drop(*on, _THERE).to_arrow()
    for name in found.schema.names:
        table = table.append_column(name, found.column(name).cast(labels.schema.field(name).type))
    return table, labelled
