"""Training sets by Spark: the same kernel in its tasks, the same definitions, and the same rows to the last bit.

Spark moves packets of rows (`dataplat._spark._features_packets`) to where they meet, and does no arithmetic. To the driver
come counts, and what tasks wrote: never rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Final

from dataplat._features._set import Report
from dataplat._features._spine import BLOCK, Spine, order_of_blocks
from dataplat._features._training import asked, pinned, with_labels
from dataplat._spark._engine import SparkEngine, engine_of
from dataplat._spark._features_moves import moves
from dataplat._spark._features_packets import frame_of, results, then
from dataplat._spark._features_pieces import fact_pieces, spine_pieces, spine_schema
from dataplat._spark._features_routes import Heavy, Routes, routes
from dataplat._spark._features_set import SparkTrainingSet
from dataplat._spark._features_tasks import (
    LABELLED,
    Answering,
    Asking,
    Bringing,
    Carrying,
    Group,
    Work,
    Writing,
    Written,
)
from dataplat._spark._features_weigh import Weighing, weigh
from dataplat.errors import ConfigError
from dataplat.feature_store.codec import service_to_json
from dataplat.feature_store.status import NAMES
from dataplat.lake.digest import Digest
from dataplat.lake.stores import Address

if TYPE_CHECKING:
    from dataplat._features._sources import ViewSource
    from dataplat._features._store import FeatureStore
    from dataplat._features._training import Recipe
    from dataplat._spark._features_pieces import FactPiece, SpineParts, SpineRows
    from dataplat.feature_store.definitions import FeatureView
    from dataplat.ingest._progress import Meter
    from dataplat.lake.engine import Engine

SIZE: Final = 1_000_000
"""Rows, questions and facts, that one task looks at, if no key has more."""
SMALL: Final = 50_000
"""Rows that are not worth more than one task."""
WRITTEN: Final = 16 * BLOCK
"""Rows of a training set that one task writes."""


def training_set_by(engine: str | Engine, store: FeatureStore, recipe: Recipe, meter: Meter) -> SparkTrainingSet:
    """Make a training set by tasks of Spark.

    Raises:
        ConfigError: The lake is in the memory of this process, where tasks are not.
        EngineError: Spark gave up.
    """
    spark = spark_of(engine, store)
    recipe, views, sources = pinned(store, recipe)
    return _Making(spark, store, recipe, views, sources, meter).done()


def spark_of(engine: str | Engine, store: FeatureStore) -> SparkEngine:
    """Return Spark, if that is the engine, and the lake can be reached from its tasks."""
    spark = engine_of(engine, store.lake)
    if not isinstance(spark, SparkEngine):
        raise ConfigError(f"features are made by the engine local or spark, and not by {spark.name}")
    Address.of(store.lake.store)
    return spark


class _Making:
    """One training set on its way."""

    def __init__(
        self,
        engine: SparkEngine,
        store: FeatureStore,
        recipe: Recipe,
        views: Sequence[FeatureView],
        sources: Mapping[str, ViewSource],
        meter: Meter,
    ) -> None:
        self.engine, self.store, self.recipe, self.meter = engine, store, recipe, meter
        self.size, self.immature = SIZE, 0
        self.views = tuple(views)
        self.sources = [sources[view.name] for view in views]
        self.groups: dict[object, list[int]] = {}
        for number, view in enumerate(views):
            self.groups.setdefault(asked(view), []).append(number)

    def done(self) -> SparkTrainingSet:
        self.meter.enter("counting keys")
        spine = spine_pieces(self._labelled())
        facts = [fact_pieces(number, source, self.store) for number, source in enumerate(self.sources)]
        of_view = {view: number for number, views in enumerate(self.groups.values()) for view in views}
        firsts = tuple(self.views[views[0]] for views in self.groups.values())
        counting = Weighing(self.recipe.timestamp, firsts, tuple(of_view[view] for view in sorted(of_view)), ())
        weights = weigh(self.engine, counting, spine, facts)
        if self.recipe.as_known is None and weights.rows:
            facts = [
                fact_pieces(number, source.until(weights.newest), self.store)
                for number, source in enumerate(self.sources)
            ]
        self.moved = moves(self.engine, self.views, facts)
        groups = self._routed(weights.rows, weights.heavy, facts)
        return self._joined(groups, weights.rows, spine, [each for own in facts for each in own])

    def _labelled(self) -> Spine:
        """Return the spine; with labels, where there are: these are joined here, since a label has one row."""
        if self.recipe.labels is None:
            return self.recipe.spine
        import pyarrow as pa

        table, labelled, self.immature = with_labels(self.recipe)
        return Spine(table.append_column(LABELLED, pa.array(labelled)))

    def _routed(
        self, rows: int, heavy: Mapping[int, Sequence[Heavy]], facts: Sequence[Sequence[FactPiece]]
    ) -> tuple[Group, ...]:
        """Say where the rows of each group go."""
        found: list[Group] = []
        first = 0
        for number, views in enumerate(self.groups.values()):
            every = rows + sum(piece.rows for view in views for piece in facts[view])
            least = 1 if every <= SMALL else self.engine.cores
            own = routes(first, every, heavy.get(number, ()), self.size, least)
            if self.moved & set(views):
                own = Routes(first, 1)  # keys cannot be worked on apart
            found.append(Group(tuple(views), own))
            first = own.stop
        return tuple(found)

    def _joined(
        self, groups: tuple[Group, ...], rows: int, spine: Sequence[SpineParts | SpineRows], facts: Sequence[FactPiece]
    ) -> SparkTrainingSet:
        recipe, engine = self.recipe, self.engine
        block = max(BLOCK, min(WRITTEN, -(-rows // engine.cores // BLOCK) * BLOCK))
        work = Work(
            self.views,
            tuple(source.schema for source in self.sources),
            groups,
            recipe.timestamp,
            recipe.as_known,
            block,
            recipe.ages,
        )
        self.meter.enter("joining")
        moved = frame_of(engine, spine, Asking(work)).union(frame_of(engine, facts, Bringing(work)))
        cells = then(moved, groups[-1].routes.stop, Answering(work)) if groups else None
        whole = frame_of(engine, spine, Carrying(work))
        whole = whole if cells is None else whole.union(cells)
        writing = Writing(work, service_to_json(recipe.service), self.store.lake.objects, recipe.statuses, recipe.sides)
        written: list[Written] = results(engine, then(whole, max(1, -(-rows // block)), writing))
        self.meter.add_rows(rows)
        return self._made(written)

    def _made(self, written: Sequence[Written]) -> SparkTrainingSet:
        from dataplat.lake.content_id import content_id

        counts: dict[str, list[int]] = {}
        for each in written:
            for name, codes in each.statuses.items():
                own = counts.setdefault(name, [0] * len(NAMES))
                for code, count in enumerate(codes):
                    own[code] += count
        report = Report(
            sum(each.rows for each in written),
            self.immature,
            {view.name: sum(each.ties[view.name] for each in written) for view in self.views},
            {name: {NAMES[code]: count for code, count in enumerate(codes) if count} for name, codes in counts.items()},
            sum(each.unlabelled for each in written),
        )
        spine = self.recipe.spine
        if self.recipe.labels is not None:  # rows were left out, and labels came to them
            return self._set(written, report, spine.words)
        digest = reduce(add, (each.spine for each in written), Digest())
        words = [
            content_id(digest, spine_schema(spine)),
            order_of_blocks(block for each in written for block in each.blocks),
        ]
        return self._set(written, report, words)

    def _set(self, written: Sequence[Written], report: Report, words: list[str]) -> SparkTrainingSet:
        return SparkTrainingSet(
            self.recipe,
            report,
            self.store,
            engine=self.engine,
            parts=tuple(part for each in written for part in each.parts),
            schema=written[0].schema,
            words=words,
        )
