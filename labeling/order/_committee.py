"""Where models disagree: entropy of their votes, or divergence of their probabilities from those of all."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.errors import BadColumn, ConfigError, LabelError
from dataplat.labeling.order._context import Context
from dataplat.labeling.order._policies import Committee
from dataplat.labeling.order._probabilities import Predictions, predictions
from dataplat.labeling.order._tasks import TASK, by_task, read
from dataplat.labeling.order._uncertainty import entropy

Array: TypeAlias = np.ndarray[Any, Any]

_ANSWERS: Final = ("label", "prediction")
_NONE: Final = "nothing"


def dissent(order: Committee, context: Context) -> Array:
    """Return how far the models disagree of each task; NaN where fewer than two say anything."""
    if not order.refs or (len(order.refs) == 1 and len(order.columns) < 2):
        raise ConfigError(
            "a committee has two members or more: several references, or one and columns=[…] of its models"
        )
    if order.kind == "vote" or order.columns:
        if order.kind == "kl":
            raise ConfigError("columns of answers have no probabilities: kind='vote'")
        return vote_entropy(context, _votes(order, context))
    members = [predictions(context, ref) for ref in order.refs]
    if all(member is not None for member in members):
        return mean_divergence(context, [member for member in members if member is not None])
    if order.kind == "kl":
        lacking = order.refs[members.index(None)]
        raise BadColumn(f"{lacking} holds no probabilities: a list `probabilities`, or columns `p_LABEL`")
    return vote_entropy(context, _votes(order, context))


def _votes(order: Committee, context: Context) -> pl.DataFrame:
    """Return the answers: task, label."""
    found = [_answers(order, context, ref) for ref in order.refs]
    return pl.concat([each for several in found for each in several])


def _answers(order: Committee, context: Context, ref: str) -> list[pl.DataFrame]:
    rows = context.version(ref)
    columns = list(order.columns) or [name for name in _ANSWERS if name in rows.schema.names][:1]
    if columns:
        ids, table = read(context, rows, columns, ref)
        return [_frame(ids, table.column(name)) for name in columns]
    found = predictions(context, ref)
    if found is None:
        raise BadColumn(f"{ref} holds no answers: `label`, `prediction`, or probabilities")
    said = ~np.isnan(found.table).any(axis=1)
    best = np.where(said, np.nan_to_num(found.table).argmax(axis=1), 0)
    labels = pa.array(np.array(found.labels, object)[best], pa.string(), mask=~said)
    return [_frame(found.ids, labels)]


def _frame(ids: Any, labels: Any) -> pl.DataFrame:
    one, two = (pl.Series(pl.from_arrow(each)) for each in (ids, labels))
    return pl.DataFrame({TASK: one.cast(pl.String), "label": two.cast(pl.String)}).drop_nulls()


def vote_entropy(context: Context, votes: pl.DataFrame) -> Array:
    """Return the entropy of the answers to each task, in nats (Dagan and Engelson 1995)."""
    counted = votes.group_by(TASK, "label").agg(pl.len().alias("votes"))
    share = pl.col("votes") / pl.col("votes").sum().over(TASK)
    summed = counted.with_columns(part=-share * share.log()).group_by(TASK).agg(pl.col("votes", "part").sum())
    known = summed.filter(pl.col("votes") > 1)
    return by_task(context, known[TASK], known["part"].to_numpy() + 0.0)


def mean_divergence(context: Context, members: list[Predictions]) -> Array:
    """Return the mean divergence of each model's probabilities from their mean, in nats (McCallum and Nigam 1998).

    It is the entropy of the mean without the mean of the entropies: the Jensen-Shannon divergence of all members.
    """
    labels = list(dict.fromkeys(label for member in members for label in member.labels))
    if len({member.labels for member in members}) > 1 and any(label.isdecimal() for label in labels):
        raise LabelError(
            "lists of probabilities have one place for each label: those of the committee's members differ in length"
        )
    tables = np.array([_aligned(context, member, labels) for member in members])
    there = ~np.isnan(tables).any(axis=2)
    count = there.sum(axis=0)
    filled = np.where(there[:, :, None], tables, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)[:, None]
    own = np.array([entropy(each) for each in filled]).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 1, np.maximum(entropy(mean) - own, 0.0), np.nan)


def _aligned(context: Context, member: Predictions, labels: list[str]) -> Array:
    """Return the probabilities of each task by label; labels that a model does not know have none."""
    at = {label: number for number, label in enumerate(member.labels)}
    silent = by_task(context, member.ids, np.where(np.isnan(member.table).any(axis=1), np.nan, 0.0))
    columns = [
        by_task(context, member.ids, member.table[:, at[label]], "mean") if label in at else silent for label in labels
    ]
    return np.column_stack(columns)
