"""What labels cost: the time that people took, by annotator and by label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.errors import ConfigError
from dataplat.labeling.consensus.votes import label_in

if TYPE_CHECKING:
    from dataplat.labeling.config import LabelConfig


@dataclass(frozen=True, slots=True, repr=False)
class Cost:
    """The time that answers took.

    Attributes:
        annotators: one row each, in their order: `annotator`, `answers`, `skips` (both cost time), `timed` (how many of
            them say how long they took), `seconds` (of these together), `median` and `p90` (of one, in seconds), and
            `price` (null unless an hour's is given).
        labels: the same by `label` (null: answers without a plain one, and skips).
        tasks: how many tasks were answered, skips left out.
        seconds: of all together.
        price: of all together.
        cut: how many answers took longer than counts.
    """

    annotators: pa.Table
    labels: pa.Table
    tasks: int
    seconds: float
    price: float | None
    cut: int

    @property
    def seconds_per_task(self) -> float | None:
        """What an answered task cost, all answers to it and all skips taken together."""
        return self.seconds / self.tasks if self.tasks else None

    @property
    def summary(self) -> str:
        """What was found, as one line."""
        told = f"{self.seconds / 3600:,.2f} hours for {self.tasks:,} tasks"
        told += "" if self.seconds_per_task is None else f", {self.seconds_per_task:,.1f} s each"
        told += "" if self.price is None else f", {self.price:,.2f} in all"
        return f"{told}; {self.cut:,} answers took longer than counts" if self.cut else told

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "tasks": self.tasks,
            "seconds": self.seconds,
            "seconds_per_task": self.seconds_per_task,
            "price": self.price,
            "cut": self.cut,
            "annotators": self.annotators.to_pylist(),
            "labels": self.labels.to_pylist(),
        }

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        return f"<Cost {self.summary}>"


def cost_of(
    annotations: pa.Table, config: LabelConfig, *, longest: float | None = None, per_hour: float | None = None
) -> Cost:
    """Return what the answers of a queue cost, those that were replaced later and skips included.

    Args:
        annotations: the annotations of a queue (`dataplat.labeling.tables`).
        config: the label config, which says what the plain label of a result is.
        longest: seconds that one answer counts at most: who leaves the page open is not at work. None: any.
        per_hour: what an hour of an annotator costs.

    Raises:
        ConfigError: `longest` or `per_hour` is below 0.
    """
    for name, number in (("longest", longest), ("per_hour", per_hour)):
        if number is not None and not number >= 0:
            raise ConfigError(f"{name} is a number from 0 on, not {number}")
    frame = pl.DataFrame(pl.from_arrow(annotations.select(["task", "annotator", "result", "skipped", "lead_time"])))
    skipped = pl.col("skipped").fill_null(value=False)
    took = pl.when(pl.col("lead_time") >= 0).then(pl.col("lead_time"))  # NaN and less than nothing are no times
    took = pl.when(took.is_not_nan()).then(took)
    labels = [label_in(result, config.answer) for result in frame["result"]]
    frame = frame.select(
        "task",
        "annotator",
        skipped.alias("skipped"),
        pl.when(~skipped).then(pl.Series("label", labels, pl.String)).alias("label"),
        took.alias("took"),
        pl.min_horizontal(took, pl.lit(np.inf if longest is None else longest)).alias("seconds"),
    ).with_columns(pl.when(pl.col("took").is_not_null()).then("seconds"))
    seconds = float(frame.sort("seconds")["seconds"].sum())
    return Cost(
        annotators=_by(frame, "annotator", per_hour),
        labels=_by(frame, "label", per_hour),
        tasks=frame.filter(~pl.col("skipped"))["task"].n_unique(),
        seconds=seconds,
        price=None if per_hour is None else seconds / 3600 * per_hour,
        cut=int((frame["took"] > frame["seconds"]).sum()),
    )


def _by(frame: pl.DataFrame, name: str, per_hour: float | None) -> pa.Table:
    """Return the sums of each value, the same whatever the order of rows."""
    price = pl.lit(None, pl.Float64) if per_hour is None else pl.col("seconds") / 3600 * per_hour
    found = (
        frame.sort("seconds")
        .group_by(name, maintain_order=True)
        .agg(
            (~pl.col("skipped")).sum().cast(pl.Int64).alias("answers"),
            pl.col("skipped").sum().cast(pl.Int64).alias("skips"),
            pl.col("seconds").count().cast(pl.Int64).alias("timed"),
            pl.col("seconds").median().alias("median"),
            pl.col("seconds").quantile(0.9, "linear").alias("p90"),
            pl.col("seconds").sum(),
        )
        .sort(name, nulls_last=True)
        .with_columns(price.alias("price"))
        .select(name, "answers", "skips", "timed", "seconds", "median", "p90", "price")
        .to_arrow()
    )
    numbers = (("answers", pa.int64()), ("skips", pa.int64()), ("timed", pa.int64()))
    floats = ((each, pa.float64()) for each in ("seconds", "median", "p90", "price"))
    return found.cast(pa.schema([(name, pa.string()), *numbers, *floats]))
