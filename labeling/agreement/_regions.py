"""How far people draw the same spans and boxes: regions are paired by what they share, and pairs are counted.

Of each task and each two people who answered it, as many regions as can be are paired, one with one. F1 is the share of
regions that have their like: twice the pairs over the regions of both. With regions, nobody knows how many there might
have been and were left out by both; F1 needs not know, and it is what κ comes to as these grow many (Hripcsak and
Rothschild 2005).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.errors import BadColumn, ConfigError
from dataplat.labeling.agreement._bootstrap import CONFIDENCE, ROUNDS, Interval, resampled
from dataplat.labeling.agreement._iou import box_iou, span_iou
from dataplat.labeling.agreement._matching import matched
from dataplat.labeling.agreement._ratings import Array
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    from typing import Self

_SUMS: Final = ("regions", "matched", "same", "iou")
_COLUMNS: Final = ("task", "one", "other", *_SUMS)


@dataclass(frozen=True, slots=True)
class RegionAgreement:
    """What was found, for each task and each two people: `pairs` has one row for each.

    `regions` is how many regions both have together, `matched` how many pairs of these share enough, `same` how many of
    those have equal labels, `iou` the sum of what the matched ones share.
    """

    pairs: pa.Table

    @property
    def f1(self) -> float:
        """The share of regions that have one of the same place and label on the other side; NaN where there are none."""
        return _f1(self._sum("same"), self._sum("regions"))

    @property
    def place_f1(self) -> float:
        """The share of regions that have one of the same place, whatever its label."""
        return _f1(self._sum("matched"), self._sum("regions"))

    @property
    def label_agreement(self) -> float:
        """The share of matched regions whose labels are equal."""
        count = self._sum("matched")
        return self._sum("same") / count if count else float("nan")

    @property
    def iou(self) -> float:
        """What matched regions share in the mean."""
        count = self._sum("matched")
        return self._sum("iou") / count if count else float("nan")

    def _sum(self, name: str) -> float:
        return float(np.asarray(self.pairs.column(name)).sum())

    def interval(self, *, rounds: int = ROUNDS, confidence: float = CONFIDENCE, seed: int = 0) -> Interval:
        """Return F1 with its bootstrap interval: tasks are drawn, each with all its pairs of people."""
        tasks = self.by_task()
        same, regions = (np.asarray(tasks.column(name)).astype(np.float64) for name in ("same", "regions"))
        kinds, counts = np.unique(np.column_stack((same, regions)), axis=0, return_counts=True)
        return resampled(
            counts,
            lambda drawn: _f1(float(drawn @ kinds[:, 0]), float(drawn @ kinds[:, 1])),
            rounds=rounds,
            confidence=confidence,
            seed=seed,
        )

    def by_task(self) -> pa.Table:
        """Return the sums of each task with its F1 (null where nobody drew anything), those of least agreement first."""
        return _summed(self.pairs, ["task"])

    def by_pair(self) -> pa.Table:
        """Return the sums of each two people with their F1, those who agree least first."""
        return _summed(self.pairs, ["one", "other"])

    def replaced(self, newer: Self) -> RegionAgreement:
        """Return it with the tasks of another one in the place of what was known of these: after a pull."""
        kept = pl.DataFrame(self.pairs).join(pl.DataFrame(newer.pairs).select("task"), on="task", how="anti")
        return RegionAgreement(pa.concat_tables([kept.to_arrow().cast(newer.pairs.schema), newer.pairs]))


def _f1(pairs: float, regions: float) -> float:
    return 2 * pairs / regions if regions else float("nan")


def _summed(pairs: pa.Table, by: list[str]) -> pa.Table:
    frame = pl.DataFrame(pairs).group_by(by).agg(pl.col("task").n_unique().alias("tasks"), pl.col(_SUMS).sum())
    f1 = pl.when(pl.col("regions") > 0).then(2 * pl.col("same") / pl.col("regions"))
    ordered = frame.with_columns(f1=f1).sort("f1", *by, nulls_last=True)
    return (ordered if "task" not in by else ordered.drop("tasks")).to_arrow()


def span_agreement(regions: pa.Table, answers: pa.Table | None = None, *, threshold: float = 0.5) -> RegionAgreement:
    """Compare the spans that people marked.

    Args:
        regions: as `dataplat.labeling.tables` has them: `task`, `annotator`, `start`, `end` (exclusive), `labels`; where
            there are `from_name` and `to_name`, only regions of equal ones are compared. Others than spans are passed
            over.
        answers: `task` and `annotator` of everybody who answered: who marked nothing where another marked something
            disagrees. None: only those who marked something are known.
        threshold: what two spans share at least, of what either covers, to be one; 1: they are equal.

    Raises:
        BadColumn: A column is not there.
        ConfigError: The threshold is no share.
    """
    return _compare(regions, answers, ("start", "end"), span_iou, threshold)


def box_agreement(regions: pa.Table, answers: pa.Table | None = None, *, threshold: float = 0.5) -> RegionAgreement:
    """Compare the boxes that people drew; as `span_agreement`, by `x`, `y`, `width`, `height` and (if there) `rotation`."""
    return _compare(regions, answers, ("x", "y", "width", "height", "rotation"), box_iou, threshold)


def _compare(
    regions: pa.Table,
    answers: pa.Table | None,
    place: tuple[str, ...],
    share: Callable[[Array, Array], Array],
    threshold: float,
) -> RegionAgreement:
    if not 0 <= threshold <= 1:
        raise ConfigError(f"a threshold is a share between 0 and 1, not {threshold}")
    drawn = _Drawn.of(regions, place)
    people = drawn.people(answers)
    rows = [
        (task, one, other, *drawn.compared(found.get(one), found.get(other), share, threshold))
        for task, found in people.items()
        for one, other in combinations(sorted(found), 2)
    ]
    kinds = (pa.string(),) * 3 + (pa.int64(),) * 3 + (pa.float64(),)
    columns = zip(*rows, strict=True) if rows else ((),) * len(_COLUMNS)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return RegionAgreement(pa.table(arrays, list(_COLUMNS)))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Regions: whose they are, where, in which control (`scope`), with what label, the last two as numbers."""

    tasks: list[str]
    annotators: list[str]
    places: Array
    scope: Array
    label: Array

    @classmethod
    def of(cls, regions: pa.Table, place: tuple[str, ...]) -> _Drawn:
        for name in ("task", "annotator", *(each for each in place if each != "rotation")):
            if name not in regions.column_names:
                raise BadColumn(f"no column {name!r} in the regions{did_you_mean(name, regions.column_names)}")
        frame = pl.DataFrame(regions)
        if "rotation" in place:
            turned = pl.col("rotation").fill_null(0.0) if "rotation" in frame.columns else pl.lit(0.0)
            frame = frame.with_columns(rotation=turned)
        frame = frame.filter(pl.all_horizontal(pl.col(place).is_not_null()), pl.col("annotator").is_not_null())
        return cls(
            frame["task"].to_list(),
            frame["annotator"].to_list(),
            frame.select(pl.col(place).cast(pl.Float64)).to_numpy(),
            _numbered(frame, [name for name in ("from_name", "to_name") if name in frame.columns]),
            _numbered(frame.with_columns(labels=_label(frame)), ["labels"]),
        )

    def people(self, answers: pa.Table | None) -> dict[str, dict[str, list[int]]]:
        """Return by task and person the numbers of their regions."""
        found: dict[str, dict[str, list[int]]] = {}
        for task, annotator in _answered(answers):
            found.setdefault(task, {}).setdefault(annotator, [])
        for number, (task, annotator) in enumerate(zip(self.tasks, self.annotators, strict=True)):
            found.setdefault(task, {}).setdefault(annotator, []).append(number)
        return found

    def compared(
        self, one: list[int] | None, other: list[int] | None, share: Callable[[Array, Array], Array], threshold: float
    ) -> tuple[int, int, int, float]:
        """Return how many regions two people have, how many match, how many of these have equal labels, and what they share."""
        one, other = one or [], other or []
        if not one or not other:
            return len(one) + len(other), 0, 0, 0.0
        alike = self.scope[one][:, None] == self.scope[other][None, :]
        shares = np.where(alike, share(self.places[one], self.places[other]), 0.0)
        same = self.label[one][:, None] == self.label[other][None, :]
        rows, columns = matched(shares, same, threshold)
        equal = int(same[rows, columns].sum())
        return len(one) + len(other), len(rows), equal, float(shares[rows, columns].sum())


def _answered(answers: pa.Table | None) -> Iterator[tuple[str, str]]:
    if answers is None:
        return
    for name in ("task", "annotator"):
        if name not in answers.column_names:
            raise BadColumn(f"no column {name!r} in the answers{did_you_mean(name, answers.column_names)}")
    pairs: Any = zip(answers.column("task").to_pylist(), answers.column("annotator").to_pylist(), strict=True)
    yield from ((task, annotator) for task, annotator in pairs if annotator is not None)


def _label(frame: pl.DataFrame) -> pl.Expr:
    """Return the labels of each region as one text, whatever their order."""
    if "labels" not in frame.columns:
        return pl.lit("")
    if frame.schema["labels"].base_type() == pl.List:
        return pl.col("labels").list.sort().list.join("\x1f").fill_null("")
    return pl.col("labels").cast(pl.String).fill_null("")


def _numbered(frame: pl.DataFrame, columns: list[str]) -> Array:
    """Return a number for each row, equal where the columns are."""
    if not columns or not frame.height:
        return np.zeros(frame.height, np.int64)
    return frame.select(pl.struct(columns).rank("dense")).to_series().to_numpy().astype(np.int64)
