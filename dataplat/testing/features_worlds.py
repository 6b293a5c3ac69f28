"""Worlds for everything that computes features: drawn sources, views, services and spines, small and full of edges.

    world = drawn_world(7)
    world.answer()                            # what PIT.md says, by `dataplat.testing.features_reference`
    world.table("weather"), world.spine_table()   # the same as Arrow, for the engine under test
    exercised(world)                          # which rules it met, and how often

A seed is one world, on every machine. `worlds()` is the same as a strategy of Hypothesis, which makes those that fail
smaller. `differences(world.answer(), table)` says where an engine is not of the same opinion, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.feature_store import definitions as dp
from dataplat.feature_store.kernel.lives import FOREVER
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
)
from dataplat.lake.schema import JsonType, parse_type
from dataplat.testing._features_draws import AWARE, STEP, Clock, Dataset, dataset, spine
from dataplat.testing._features_exercised import Counts
from dataplat.testing._features_history import Row, Source, by_commits
from dataplat.testing._features_values import bits, micros_of
from dataplat.testing.features_reference import Answer, AsKnown, reference

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from hypothesis.strategies import SearchStrategy
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

AIRPORT: Final = dp.Entity("airport")
PLANE: Final = dp.Entity("plane")
CARRIER: Final = dp.Entity("carrier", "int64")
ENTITIES: Final = ((AIRPORT,), (AIRPORT,), (CARRIER,), (AIRPORT, PLANE), (PLANE, CARRIER, AIRPORT), ())
LENGTHS: Final = (1, 2, 4, 12, 48)
DEFAULTS: Final[dict[str, Any]] = {"x": -1.0, "y": 10.0, "n": 7, "s": "none", "flag": True}
NUMBERS: Final = ("x", "x", "y", "n")


@dataclass(frozen=True, slots=True)
class World:
    """A service, the sources of its views, and a spine."""

    seed: int | None
    service: dp.FeatureService
    sources: Mapping[str, Source]
    spine: tuple[Row, ...]
    types: Mapping[str, JsonType]
    as_known: AsKnown = None
    _answers: list[Answer] = field(default_factory=list, repr=False, compare=False)

    def answer(self) -> Answer:
        """Return what PIT.md says of it; computed once."""
        if not self._answers:
            found = reference(self.service, self.sources, self.spine, self.types, as_known=self.as_known)
            self._answers.append(found)
        return self._answers[0]

    def table(self, name: str, version: int = -1) -> pa.Table:
        """Return a version of a source as Arrow, by default the last."""
        source = self.sources[name]
        return _table(source.types, source.versions[version].rows)

    def rows(self, view: dp.FeatureView) -> tuple[pa.Table, Ints | None, Ints | None]:
        """Return all rows that a view's source ever had, with when each was known and gone where commits say so."""
        import numpy as np

        source = self.sources[str(view.view.source)]
        if view.view.history == "append":
            return _table(source.types, source.versions[-1].rows), None, None
        every = list(by_commits(view, source))
        k = np.array([each.k for each in every], np.int64)
        gone = np.array([FOREVER if each.gone is None else each.gone for each in every], np.int64)
        return _table(source.types, tuple(each.row for each in every)), k, gone

    def spine_table(self) -> pa.Table:
        """Return the spine as Arrow."""
        return _table(self.types, self.spine)


def drawn_world(seed: int, *, events: int = 500, rows: int = 40) -> World:
    """Return the world of a seed: at most `events` rows in all of its sources, and `rows` of spine."""
    return _drawn(Random(seed), seed, events, rows)


def worlds(*, events: int = 60, rows: int = 10) -> SearchStrategy[World]:
    """Return a strategy of worlds."""
    from hypothesis import strategies as st

    return st.randoms(use_true_random=False).map(lambda rng: _drawn(rng, None, events, rows))


def exercised(world: World) -> Counts:
    """Count the cases of each rule that a world holds, by the rule's number and its case, as `2 age is the ttl`."""
    return Counts.of(world.service, world.sources, world.spine, world.types, world.as_known, world.answer())


def differences(answer: Answer, found: pa.Table, *, most: int = 5) -> list[str]:
    """Return where a table (columns, `column__status`, `column__age`) differs from an answer, in bits; [] if nowhere.

    Columns of statuses and ages are compared where the table has them.
    """
    told: list[str] = []
    wanted = answer.table()
    for name in wanted.schema.names:
        if name not in found.schema.names:
            told += [] if name.endswith(("__status", "__age")) else [f"{name} is missing"]
            continue
        ours, theirs = values(wanted[name]), values(found[name])
        if len(ours) != len(theirs):
            told.append(f"{name} has {len(theirs)} rows, not {len(ours)}")
        for at, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if bits(one) != bits(other):
                told.append(f"{name}, row {at}: {other!r}, not {one!r}")
    return told[:most]


def values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column in Python as the rules have it: times are counts, words of a dictionary are words."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return list(column.to_pylist())


def _table(types: Mapping[str, JsonType], rows: tuple[Row, ...]) -> pa.Table:
    import pyarrow as pa

    return pa.table({name: pa.array([row[name] for row in rows], parse_type(kind)) for name, kind in types.items()})


def _drawn(rng: Random, seed: int | None, events: int, rows: int) -> World:
    clock = Clock.drawn(rng)
    names = ("weather", "landings", "carriers")[: rng.randint(1, 3)]
    most = rng.choice((min(events, 12), events // 3, events, events)) // len(names)
    sets = [dataset(rng, clock, name, rng.choice((most, most, rng.randint(0, most)))) for name in names]
    views: list[dp.FeatureView] = []
    for number, each in enumerate(sets):
        views.append(_view(rng, each, number))
        if AIRPORT in views[-1].view.entities and rng.random() < 0.4:
            views.append(views[-1].alias(f"dest_{views[-1].name}", on={"dest": "airport"}))
    asked = [_some(rng, view) if rng.random() < 0.3 else view for view in views]
    service = dp.FeatureService("drawn", [*asked, *_on_demand(rng, views)])
    near = [each for view in views for each in _near(rng, view, {one.name: one.source for one in sets})]
    types, spine_rows = spine(rng, clock, rng.randint(1, rows), rng.choice(AWARE[:3]), near)
    as_known: AsKnown = "now" if rng.random() < 0.12 else None
    return World(seed, service, {each.name: each.source for each in sets}, tuple(spine_rows), types, as_known)


def _near(rng: Random, view: dp.FeatureView, sources: Mapping[str, Source]) -> list[tuple[int, Row]]:
    """Return times at which something happens in a view, with the key that it happens to."""
    source = sources[str(view.view.source)]
    versions = [version for version in source.versions if version.rows]
    steps = [0, 0, view.view.ttl or 0, (view.view.ttl or 0) + 1, (view.view.ttl or 0) + 1, view.view.delay, STEP]
    steps += [each.span for each in view.features if isinstance(each, Window) and each.span is not None]
    found = []
    for _ in range(40 if versions else 0):
        version = rng.choice(versions)
        row = rng.choice(version.rows)
        e = micros_of(row["at"], source.types["at"], "at", view.view.zone)
        assert e is not None
        late = max(0, _known(view, source, version.at, row, e) - e)
        keys = {entity.name: row[entity.name] for entity in (AIRPORT, PLANE, CARRIER)}
        keys |= {to: row[column] for to, (column, _) in zip(view.spine_keys, view.view.keys, strict=True)}
        found.append((e + rng.choice((*steps, *4 * (late,))), keys))
    return found


def _known(view: dp.FeatureView, source: Source, at: int, row: Row, e: int) -> int:
    """Return from when a row can be served."""
    if view.view.history == "commits":
        return at + view.view.delay
    column = view.view.known_at
    k = e if column is None else micros_of(row[column], source.types[column], column, view.view.zone)
    assert k is not None
    return k + view.view.delay


def _some(rng: Random, view: dp.FeatureView) -> dp.FeatureView:
    names = [feature.feature for feature in view.features]
    return view[rng.sample(names, rng.randint(1, len(names)))]


def _view(rng: Random, of: Dataset, number: int) -> dp.FeatureView:
    corrections = rng.random() < 0.5
    return dp.FeatureView(
        f"{of.name}_{number}",
        source=of.name,
        entity=rng.choice(ENTITIES),
        timestamp="at",
        known_at="seen" if of.known else None,
        delay=rng.choice((None, None, None, "30m", "1us", "5h")),
        ttl=rng.choice((None, None, "30m", "2h", "6h", "24h", "24h")),
        row_key=["id"] if corrections else [],
        where=rng.choice((None, None, None, "cancelled = 0", _not_cancelled())),
        zone=of.zone,
        history="commits" if of.commits else "append",
        features=[*_fields(rng), *_windows(rng)],
    )


def _not_cancelled() -> Any:
    import polars as pl

    return pl.col("cancelled") == 0


def _fields(rng: Random) -> list[dp.Field]:
    columns = rng.sample(["x", "y", "n", "s", "v", "flag", "seen"], rng.randint(1, 4))
    found = []
    for column in columns:
        default = DEFAULTS.get(column) if rng.random() < 0.3 else None
        found.append(dp.Field(column, default=default, fill=rng.choice(("null", "null", "last_non_null"))))
    return found


def _windows(rng: Random) -> list[Window | Ratio]:
    made = [_window(rng, f"w{number}") for number in range(rng.randint(1, 7))]
    ratio = Ratio(Sum("x", window="6h"), Count(window="24h"), name="share")
    other = Ratio(Mean("n", window="2h"), Max("y", window=None), name="part")
    return [*made, *rng.sample([ratio, other], rng.randint(0, 1))]


def _window(rng: Random, name: str) -> Window:
    steps = rng.choice((*LENGTHS, None))
    told: dict[str, Any] = {"window": None if steps is None else f"{steps * STEP // 60_000_000}m", "name": name}
    if rng.random() < 0.4:
        told["accuracy"] = rng.choice(("hop(30m)", "hop(7m)") if steps == 1 else ("hop(30m)", "hop(7m)", "hop(1h)"))
    numeric = rng.choice(NUMBERS)
    made: Callable[[], Window] = rng.choice(
        (
            lambda: Count(**told),
            lambda: Sum(numeric, **told),
            lambda: Mean(numeric, **told),
            lambda: Std(numeric, **told),
            lambda: Min(rng.choice((numeric, "s")), **told),
            lambda: Max(rng.choice((numeric, "s")), **told),
            lambda: DistinctCount(rng.choice(("x", numeric, "s", "flag")), **told),
            lambda: Quantile(numeric, rng.choice((0.0, 0.5, 0.9, 1.0)), **told),
            lambda: First(rng.choice(("x", "n", "s", "v")), **told),
            lambda: Last(rng.choice(("x", "n", "s", "v")), **told),
            lambda: LastN(rng.choice(("x", "n", "s")), rng.randint(1, 4), **told),
        )
    )
    return made()


def _on_demand(rng: Random, views: list[dp.FeatureView]) -> list[dp.OnDemand]:
    """Draw on-demand features: of a number and the request, one that fails on values, a chain of both."""
    import polars as pl

    request = dp.Request({"distance": "float64"})
    view = rng.choice(views)
    names = [each.feature for each in view.features]
    columns = [each.column for each in view.features if isinstance(each, dp.Field)]
    numbers = [name for name in names if name in columns and name in NUMBERS]
    found: list[dp.OnDemand] = []
    if numbers:
        number = rng.choice(numbers)
        default = rng.choice((None, 0.5))
        per = dp.on_demand(inputs=[view, request], name="per_km", default=default)(
            lambda t: t[view.name][number] / t.distance
        )
        small = dp.on_demand(inputs=[view], name="small")(lambda t: t[view.name][number].cast(pl.Int8))
        chain = dp.on_demand(inputs=[per, view, request], name="chain")(
            lambda t: pl.when(t.distance > 0).then(t.per_km * 2).otherwise(t[view.name][number].cast(pl.Float64))
        )
        found += rng.sample([per, small, chain], rng.randint(0, 3))
    if "s" in names and rng.random() < 0.6:
        found.append(dp.on_demand(inputs=[view], name="parsed")(lambda t: t[view.name].s.str.to_integer()))
    return found
