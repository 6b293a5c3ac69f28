"""Consensus where an answer may hold several choices: each of them is voted on by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.labeling._plain_answers import joined, parted
from dataplat.labeling.consensus._coded import Array
from dataplat.labeling.consensus._consensus import consensus
from dataplat.labeling.consensus.result import Consensus, Method

_NO, _YES = "no", "yes"


def consensus_of_choices(
    votes: pa.Table,
    method: Method = "majority",
    *,
    truth: Mapping[str, str] | None = None,
    adjudicator: str | None = None,
    **options: Any,
) -> Consensus:
    """Return for each task the choices that people agree on, where answers are texts such as `a|b` (`votes_of`).

    Whether a choice is among them is a question of its own, with `no` and `yes` for labels (binary relevance): two who
    say `a|b` and `a|c` agree on `a`, where `consensus` finds two labels that have nothing in common. Where no choice
    is believed, the one that is nearest to it is the label, the first of equal ones.

    Args:
        votes: columns `task`, `annotator`, `label`, perhaps `weight`.
        method: as of `consensus`.
        truth: what is known, by task, as texts of the same kind.
        adjudicator: whose answer decides.
        options: further ones of `consensus`.

    Returns:
        A consensus whose `confidence` is that of the choice that is least sure; `tied` says that one of them is;
        `labels` are the choices, and `probabilities` tasks × choices, how much each is believed. Of annotators
        `accuracy` and `weight` are the mean over choices; `confusion` has a column `choice`, its labels are no and yes.

    Raises:
        DataplatError: What `consensus` raises.
    """
    known = {} if truth is None else {task: _choices(label) for task, label in truth.items()}
    whole = consensus(votes, truth=truth, adjudicator=adjudicator)
    if not whole.table.num_rows:
        return whole
    votes = votes.filter(votes["label"].is_valid())
    answers = votes["label"].combine_chunks().dictionary_encode()
    sets = [_choices(text) for text in answers.dictionary.to_pylist()]
    choices = sorted(set().union(*sets, *known.values()))
    found = [
        consensus(
            votes.set_column(votes.column_names.index("label"), "label", _says(choice, sets, answers)),
            method,
            truth={task: _YES if choice in labels else _NO for task, labels in known.items()},
            adjudicator=adjudicator,
            **options,
        )
        for choice in choices
    ]
    return _together(votes, method, whole, choices, found)


def _choices(text: str) -> set[str]:
    return set(parted(text)) - {""}


def _says(choice: str, sets: list[set[str]], answers: pa.DictionaryArray) -> pa.Array:
    """Return of each answer whether a choice is in it."""
    return pa.array([_YES if choice in each else _NO for each in sets]).take(answers.indices)


def _together(
    votes: pa.Table, method: Method, whole: Consensus, choices: list[str], found: list[Consensus]
) -> Consensus:
    sure = np.column_stack([np.asarray(each.table["confidence"]) for each in found])
    said = np.column_stack([np.asarray(pc.equal(each.table["label"], _YES)) for each in found])
    believed = np.where(said, sure, 1 - sure)
    nearest = ~said.any(axis=1)
    said[nearest, believed[nearest].argmax(axis=1)] = True
    tied = np.column_stack([np.asarray(each.table["tied"]) for each in found]).any(axis=1)
    names = np.array(choices, object)
    table = whole.table
    for name, values in (
        ("label", pa.array([joined(names[row]) for row in said], pa.string())),
        ("confidence", pa.array(sure.min(axis=1))),
        ("tied", pa.array(tied)),
    ):
        table = table.set_column(table.column_names.index(name), name, values)
    return Consensus(
        method=method,
        table=table,
        annotators=_annotators(whole.annotators, found, _agreed(votes, table)),
        labels=pa.array(choices, pa.string()),
        confusion=_confusion(choices, found),
        probabilities=believed,
        iterations=max(each.iterations for each in found),
        converged=all(each.converged for each in found),
    )


def _agreed(votes: pa.Table, table: pa.Table) -> dict[Any, float]:
    """Return of each annotator the share of their answers that are all choices of the task, and no other."""
    labels = table["label"].take(pc.index_in(votes["task"], value_set=table["task"].combine_chunks()))
    given = votes["label"].combine_chunks().dictionary_encode()
    texts = pa.array([joined(_choices(text)) for text in given.dictionary.to_pylist()], pa.string())
    agrees = pc.cast(pc.equal(labels, texts.take(given.indices)), pa.float64())
    shares = (
        pa.table({"annotator": votes["annotator"], "agrees": agrees})
        .group_by("annotator")
        .aggregate([("agrees", "mean")])
    )
    return dict(zip(shares["annotator"].to_pylist(), shares["agrees_mean"].to_pylist(), strict=True))


def _annotators(annotators: pa.Table, found: list[Consensus], agreed: dict[Any, float]) -> pa.Table:
    """Return how good people are: what the method says of each choice, in the mean."""
    columns = {name: annotators[name] for name in annotators.column_names}
    columns["agreement"] = pa.array([agreed[name] for name in annotators["annotator"].to_pylist()], pa.float64())
    for name in ("accuracy", "weight"):
        each = [np.asarray(one.annotators[name].fill_null(np.nan)) for one in found]
        mean: Array = np.mean(each, axis=0)
        columns[name] = pa.array(mean, pa.float64(), from_pandas=True)
    return pa.table(columns)


def _confusion(choices: list[str], found: list[Consensus]) -> pa.Table | None:
    tables = [
        each.confusion.add_column(0, "choice", pa.repeat(pa.scalar(choice), each.confusion.num_rows))
        for choice, each in zip(choices, found, strict=True)
        if each.confusion is not None
    ]
    return pa.concat_tables(tables).combine_chunks() if tables else None
