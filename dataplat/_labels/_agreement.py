"""How far the people of a queue agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import LabelError

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat.labeling.agreement import Interval, RegionAgreement
    from dataplat.labeling.agreement._levels import Level

_LEVELS: Final[dict[str, Level]] = {"Number": "interval", "Rating": "ordinal"}
"""The level of measurement of what a tag asks; of all others it is nominal."""
_MOST_LABELS: Final = 1_000


@dataclass(frozen=True, slots=True)
class QueueAgreement:
    """How far annotators agree, beyond what chance would give; gold tasks and the adjudicator are left out.

    Attributes:
        queue: its name.
        level: of measurement: nominal, ordinal, interval or ratio.
        tasks: those that two people answered, or more.
        answers: plain answers to these.
        alpha: Krippendorff's, with its bootstrap interval; None where plain labels are not asked for.
        pairs: every two annotators: `one`, `other`, `tasks` in common, `agreement`, `kappa`.
        labels: each label against all others: `label`, `answers`, `alpha`.
        spans: of texts; None where nobody marked any.
        boxes: on pictures; None where nobody drew any.
    """

    queue: str
    level: Level
    tasks: int
    answers: int
    alpha: Interval | None
    pairs: pa.Table
    labels: pa.Table
    spans: RegionAgreement | None
    boxes: RegionAgreement | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "queue": self.queue,
            "level": self.level,
            "tasks": self.tasks,
            "answers": self.answers,
            "alpha": None if self.alpha is None else _interval(self.alpha),
            "pairs": self.pairs.to_pylist(),
            "labels": self.labels.to_pylist(),
            "spans": None if self.spans is None else _regions(self.spans),
            "boxes": None if self.boxes is None else _regions(self.boxes),
        }

    def __str__(self) -> str:
        told = []
        if self.alpha is not None:
            told.append(f"alpha {self.alpha if self.alpha.rounds else f'{self.alpha.value:.3f}'} ({self.level})")
        named = (("spans", self.spans), ("boxes", self.boxes))
        told += [f"F1 of {name} {each.f1:.3f}" for name, each in named if each is not None]
        return f"{self.queue}: {', '.join(told)}; {self.tasks:,} tasks, {self.answers:,} answers"


def agreement(state: State, level: Level | None, bootstrap: int) -> QueueAgreement:
    """Compare the answers of a queue."""
    from dataplat._labels._votes import answers_of_queue

    control = state.config.answer
    level = level or _LEVELS.get("" if control is None else control.tag, "nominal")
    answers = answers_of_many(state, answers_of_queue(state))
    if not answers.num_rows:
        raise LabelError(
            f"no task of queue {state.name!r} was answered by two people: agreement needs an overlap of 2 or more, "
            f"and a pull (overlap is {state.spec.overlap})"
        )
    votes = answers.filter(answers["label"].is_valid())
    spans, boxes = regions_agreement(state, answers)
    return QueueAgreement(
        queue=state.name,
        level=level,
        tasks=len(answers["task"].unique()),
        answers=answers.num_rows,
        alpha=None if control is None or not votes.num_rows else _alpha(votes, level, bootstrap),
        pairs=_pairs(votes, level),
        labels=_labels(votes, level),
        spans=spans,
        boxes=boxes,
    )


def answers_of_many(state: State, answers: pa.Table) -> pa.Table:
    """Return answers to tasks that two people answered, or more; not to gold ones, nor the adjudicator's."""
    import polars as pl

    from dataplat._frames import to_polars

    found = to_polars(answers).filter(~pl.col("task").is_in(state.gold))
    if state.spec.adjudicator is not None:
        found = found.filter(pl.col("annotator") != state.spec.adjudicator)
    return found.filter(pl.len().over("task") > 1).to_arrow()


def _alpha(votes: pa.Table, level: Level, bootstrap: int) -> Interval:
    """Return alpha; without a bootstrap its interval is not known."""
    from dataplat.labeling.agreement import Coincidences, Interval, alpha_interval

    if not bootstrap:
        nan = float("nan")
        return Interval(Coincidences.of_votes(votes["task"], votes["label"]).alpha(level), nan, nan, rounds=0)
    return alpha_interval(_ratings(votes), level, rounds=bootstrap)


def _ratings(votes: pa.Table) -> list[list[str | None]]:
    """Return annotators × tasks."""
    from dataplat._frames import to_polars

    wide = to_polars(votes).pivot("annotator", index="task", values="label").drop("task")
    return [column.to_list() for column in wide]


def _pairs(votes: pa.Table, level: Level) -> pa.Table:
    from dataplat.labeling.agreement import pairwise_kappa

    labels: Any = votes["label"]
    if level != "nominal":
        import pyarrow as pa

        labels = labels.cast(pa.float64())
    if level == "ordinal":
        return pairwise_kappa(votes["task"], votes["annotator"], labels, "quadratic")
    return pairwise_kappa(votes["task"], votes["annotator"], labels)


def _labels(votes: pa.Table, level: Level) -> pa.Table:
    """Return how far people agree on each label against all others, the worst first."""
    import polars as pl
    import pyarrow as pa

    from dataplat._frames import to_polars
    from dataplat.labeling.agreement import Coincidences

    rows = []
    labels = votes["label"].unique().to_pylist() if level in {"nominal", "ordinal"} else []
    for label in labels[:_MOST_LABELS]:
        is_it = to_polars(votes).select((pl.col("label") == pl.lit(label)).cast(pl.Int8)).to_series()
        alpha = Coincidences.of_votes(votes["task"], is_it.to_numpy()).alpha()
        rows.append((label, int(is_it.sum()), None if math.isnan(alpha) else alpha))
    rows.sort(key=lambda row: (row[2] is None, row[2] or 0.0, row[0]))
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    kinds = (pa.string(), pa.int64(), pa.float64())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return pa.table(arrays, ["label", "answers", "alpha"])


def regions_agreement(state: State, answers: pa.Table) -> tuple[RegionAgreement | None, RegionAgreement | None]:
    """Return how far people mark the same spans and draw the same boxes; None where nobody does."""
    import polars as pl

    from dataplat._frames import to_polars
    from dataplat.labeling.agreement import box_agreement, span_agreement

    columns = ["annotation", "region", "type", "task", "annotator", "from_name", "to_name", "labels", "start", "end"]
    boxes = ["x", "y", "width", "height", "rotation"]
    rows = state.version("regions").to_arrow(columns=[*columns, *boxes])
    counted = answers["annotation"].to_pylist()
    rows = to_polars(rows).filter(pl.col("annotation").is_in(counted)).to_arrow()
    spans = span_agreement(rows, answers) if rows["start"].null_count < rows.num_rows else None
    return spans, box_agreement(rows, answers) if rows["width"].null_count < rows.num_rows else None


def _interval(found: Interval) -> dict[str, Any]:
    return {name: getattr(found, name) for name in ("value", "low", "high", "confidence", "rounds")}


def _regions(found: RegionAgreement) -> dict[str, Any]:
    told = {name: getattr(found, name) for name in ("f1", "place_f1", "label_agreement", "iou")}
    return told | {"pairs": found.by_pair().to_pylist()}
