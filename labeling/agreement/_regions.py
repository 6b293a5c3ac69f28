"""How far people draw the same spans and boxes: regions are paired by what they share, and pairs are counted.

Of each task and each two people who answered it, as many regions as can be are paired, one with one. F1 is the share of
regions that have their like: twice the pairs over the regions of both. With regions, nobody knows how many there might
have been and were left out by both; F1 needs not know, and it is what κ comes to as these grow many (Hripcsak and
Rothschild 2005).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.errors import BadColumn, ConfigError
from dataplat.labeling.agreement._bootstrap import CONFIDENCE, ROUNDS, Interval, resampled
from dataplat.labeling.agreement._iou import box_iou, span_iou
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
            there are `from_name` and `to_name`, only regions of equal ones are compared; where there are `annotation`,
            `region` and `type`, items of one region are one. Others than spans are passed over.
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
    from dataplat.labeling.agreement._overlaps import compared

    if not 0 <= threshold <= 1:
        raise ConfigError(f"a threshold is a share between 0 and 1, not {threshold}")
    _check(regions, ("task", "annotator", *(each for each in place if each != "rotation")), "regions")
    if answers is not None:
        _check(answers, ("task", "annotator"), "answers")
    found = compared(pl.DataFrame(regions), None if answers is None else pl.DataFrame(answers), place, share, threshold)
    return RegionAgreement(found.select(_COLUMNS).to_arrow().cast(_schema()))


def _check(table: pa.Table, columns: Sequence[str], what: str) -> None:
    for name in columns:
        if name not in table.column_names:
            raise BadColumn(f"no column {name!r} in the {what}{did_you_mean(name, table.column_names)}")


def _schema() -> pa.Schema:
    kinds = (pa.string(),) * 3 + (pa.int64(),) * 3 + (pa.float64(),)
    return pa.schema(list(zip(_COLUMNS, kinds, strict=True)))
