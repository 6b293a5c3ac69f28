"""From votes to one label a task, by any of the methods."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import ConfigError
from dataplat.labeling.consensus._coded import Array, Coded, coded
from dataplat.labeling.consensus._decided import Decided
from dataplat.labeling.consensus.dawid_skene import Model, dawid_skene
from dataplat.labeling.consensus.majority import majority
from dataplat.labeling.consensus.result import Consensus, Method
from dataplat.labeling.consensus.weighted import by_name, by_truth
from dataplat.lake.schema import did_you_mean


def consensus(
    votes: pa.Table,
    method: Method = "majority",
    *,
    weights: Mapping[str, float] | None = None,
    truth: Mapping[str, Any] | pa.Table | None = None,
    adjudicator: str | None = None,
    abstaining: Collection[str] = (),
    iterations: int = 100,
    tolerance: float = 1e-5,
    smoothing: float = 0.0,
) -> Consensus:
    """Return one label for each task that was voted on; the same votes in any order give the same.

    Args:
        votes: columns `task`, `annotator`, `label`, perhaps `weight` (`votes_of` makes them of annotations). A null label
            is no vote.
        method: `majority`; `weighted`: votes count by who gives them; `dawid-skene`: who errs how is found from the
            votes themselves.
        weights: of `weighted`, what each annotator counts; None is by their score on `truth`, or the column `weight` of
            the votes where no truth is given.
        truth: what is known, by task, or as a table of `task` and `label`. Such a task has that label whatever the
            votes; the others gain by what it says of annotators, except by `majority`.
        adjudicator: whose answer decides: it is the label of the task, and counts as truth.
        abstaining: of `dawid-skene`, annotators who saw every task, so that it says something, too, where they do not
            vote: labelling functions.
        iterations: of `dawid-skene`, the most turns.
        tolerance: of `dawid-skene`, the gain in log-likelihood per vote below which it ends.
        smoothing: of `dawid-skene`, answers for each true label that everybody is taken to have given besides, divided
            as those of all people together are: 1 to 3 help where people answered few tasks.

    Raises:
        BadColumn: The votes lack a column.
        ConfigError: There is no such method, nothing to weigh by, or a number that makes no sense.
        KeyViolation: Somebody votes twice on one task.
        LabelError: A vote without task or annotator, a weight that is none, nobody who answered a known task, or too many labels.
    """
    if method not in get_args(Method):
        raise ConfigError(f"no method {method!r}{did_you_mean(method, get_args(Method))}")
    if iterations < 1 or not 0 <= smoothing < np.inf:
        raise ConfigError(f"iterations is 1 or more, smoothing a number from 0 on; not {iterations} and {smoothing}")
    everybody = coded(votes, truth)
    judged = (
        everybody.annotator == everybody.annotators.index(pa.scalar(adjudicator, everybody.annotators.type)).as_py()
    )
    known, adjudicated = everybody.known(truth), np.full(len(everybody.tasks), -1, np.int64)
    adjudicated[everybody.task[judged]] = everybody.label[judged]
    others = everybody.only(~judged)
    settled = np.where(adjudicated >= 0, adjudicated, known)
    weight = model = None
    if method == "dawid-skene":
        silent = np.isin(everybody.annotators.to_pylist(), list(abstaining)) if abstaining else None
        model = dawid_skene(
            others, settled, abstaining=silent, iterations=iterations, tolerance=tolerance, smoothing=smoothing
        )
        decided = model.decided()
    elif method == "weighted":
        weight, each = _weights(others, weights, settled)
        decided = majority(others, each)
    else:
        decided = majority(others)
    decided = decided.settled(settled)
    by = np.where(adjudicated >= 0, 1, np.where(known >= 0, 2, 0))
    return Consensus(
        method=method,
        table=_table(everybody, decided, by),
        annotators=_annotators(everybody, decided, weight, model),
        labels=everybody.labels,
        confusion=None if model is None else _confusion(others, model),
        probabilities=None if model is None else model.chances.T,
        iterations=0 if model is None else model.iterations,
        converged=model is None or model.converged,
    )


def _weights(votes: Coded, weights: Mapping[str, float] | None, known: Array) -> tuple[Array | None, Array]:
    """Return what annotators weigh (None where votes have weights of their own), and what each vote does."""
    if weights is not None:
        who = by_name(votes, weights)
    elif (known >= 0).any():
        who = by_truth(votes, known)
    elif votes.weight is not None:
        return None, votes.weight
    else:
        raise ConfigError("nothing to weigh votes by: give weights=, truth= or a column `weight` of the votes")
    return who, who[votes.annotator]


def _table(votes: Coded, decided: Decided, by: Array) -> pa.Table:
    many = np.diff(votes.starts)
    names = pa.ListArray.from_arrays(
        pa.array(votes.starts, pa.int32()), votes.annotators.take(pa.array(votes.annotator))
    )
    return pa.table(
        {
            "task": votes.tasks,
            "label": votes.labels.take(pa.array(decided.label)),
            "confidence": decided.confidence,
            "votes": many,
            "annotators": names,
            "tied": decided.tied,
            "entropy": _entropy(votes),
            "decided": pa.array(["votes", "adjudicator", "truth"]).take(pa.array(by)),
        }
    )


def _entropy(votes: Coded) -> Array:
    """Return how far the votes of each task disagree, in bits."""
    pairs, counts = np.unique(votes.task * max(len(votes.labels), 1) + votes.label, return_counts=True)
    task = pairs // max(len(votes.labels), 1)
    share = counts / np.diff(votes.starts)[task]
    return np.bincount(task, -share * np.log2(share), len(votes.tasks)) + 0.0


def _annotators(votes: Coded, decided: Decided, weight: Array | None, model: Model | None) -> pa.Table:
    many = len(votes.annotators)
    count = np.bincount(votes.annotator, minlength=many)
    agreed = np.bincount(votes.annotator, votes.label == decided.label[votes.task], many)
    nulls = pa.nulls(many, pa.float64())
    return pa.table(
        {
            "annotator": votes.annotators,
            "votes": count,
            "agreement": agreed / np.maximum(count, 1),
            "accuracy": nulls if model is None else pa.array(_accuracy(votes, model), from_pandas=True),
            "weight": nulls if weight is None else pa.array(weight),
        }
    )


def _accuracy(votes: Coded, model: Model) -> Array:
    """Return how often each annotator is right by the model, of the times that they vote; NaN who never does."""
    who, label = np.divmod(model.cells, max(len(votes.labels), 1))
    at = np.arange(len(label))
    right = np.bincount(who, model.prior[label] * model.errors[label, at], len(votes.annotators))
    voted = np.bincount(who, model.prior @ model.errors, len(votes.annotators))
    return np.where(voted > 0, right / np.where(voted > 0, voted, 1), np.nan)  # the adjudicator is none of them


def _confusion(votes: Coded, model: Model) -> pa.Table:
    who, label = np.divmod(model.cells, max(len(votes.labels), 1))
    silent = np.flatnonzero((model.abstained < 1).any(axis=0))
    who = np.concatenate([who, silent])
    label = np.concatenate([label, np.full(len(silent), -1)])
    errors = np.concatenate([model.errors, model.abstained[:, silent]], axis=1)
    cell, truth = np.nonzero(errors.T > 0)
    table = pa.table(
        {
            "annotator": votes.annotators.take(pa.array(who[cell])),
            "truth": votes.labels.take(pa.array(truth)),
            "label": votes.labels.take(pa.array(label[cell], mask=label[cell] < 0)),
            "probability": errors[truth, cell],
        }
    )
    return table.take(pc.sort_indices(table, [(name, "ascending") for name in ("annotator", "truth", "label")]))
