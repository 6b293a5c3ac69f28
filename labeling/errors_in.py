"""Labels that are probably wrong, by what a model says of their rows.

The method is confident learning (Northcutt, Jiang and Chuang 2021, Journal of Artificial Intelligence Research 70), by
cleanlab.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import BadColumn, ConfigError, KeyViolation, LabelError, MissingExtra
from dataplat.lake.schema import did_you_mean

Array: TypeAlias = np.ndarray[Any, Any]

_OFF: Final = 0.01  # by which probabilities may miss the sum of 1: they may have been rounded
_ROW: Final = "row in the data"  # a column while it is looked at
_TOO_FEW: Final = re.compile(r"class: (\d+)")


@dataclass(frozen=True, slots=True, repr=False)
class LabelErrors:
    """What is probably wrong.

    Attributes:
        table: one row a label in doubt, the worst first: the columns that name it (or `row`, its number), `given`,
            `suggested` (the likeliest label), `quality` (how likely the given one is, 0 to 1) and `probability` (of the
            suggested one).
        judged: how many labels were looked at.
        unjudged: rows without a label, or without a prediction.
        too_few: labels with too few examples to find all that is wrong with them.
    """

    table: pa.Table
    judged: int
    unjudged: int
    too_few: tuple[str, ...]

    @property
    def summary(self) -> str:
        """What was found, as one line."""
        share = self.table.num_rows / self.judged if self.judged else 0.0
        told = f"{self.table.num_rows:,} of {self.judged:,} labels are in doubt ({share:.1%})"
        told += f"; {self.unjudged:,} rows without label or prediction" if self.unjudged else ""
        return f"{told}; too few examples of {', '.join(self.too_few)}" if self.too_few else told

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        return f"<LabelErrors {self.summary}>"


def errors_in(
    data: pa.Table,
    *,
    label: str = "label",
    predictions: pa.Table | None = None,
    probabilities: Mapping[str, str] | Sequence[str] | None = None,
    key: str | Sequence[str] = (),
) -> LabelErrors:
    """Return the labels that are probably wrong.

    The probabilities are to be of a model that has not seen the labels of the rows (by cross-validation, say): one that
    has believes them.

    Args:
        data: rows with their labels.
        label: the column of the label.
        predictions: rows with probabilities, joined by `key`; None: they are columns of `data`.
        probabilities: the column that holds the probability of each label, by label, or columns that are called as
            the labels are. None: the columns that are called as labels that occur.
        key: columns that name a row.

    Raises:
        BadColumn: A column is not there.
        ConfigError: There are no two labels, or a key is needed and not given.
        KeyViolation: Two predictions have the same key.
        LabelError: A label without a probability, or probabilities that are none; says at which row.
        MissingExtra: cleanlab is not installed.
    """
    keys = [key] if isinstance(key, str) else list(key)
    for table in (data, data if predictions is None else predictions):
        for name in keys:
            if name not in table.column_names:
                raise BadColumn(f"no column {name!r}{did_you_mean(name, table.column_names)}")
    columns = _columns(probabilities, data, predictions, label)
    data = data.append_column(_ROW, pa.array(np.arange(data.num_rows)))
    if predictions is not None:
        data = _joined(data.select([*keys, _ROW, label]), predictions.select([*keys, *columns.values()]), keys)
    complete = _complete(data, [label, *columns.values()])
    classes = list(columns)
    rows = np.asarray(complete[_ROW])
    given = _given(complete[label], classes, label, rows)
    chances = _chances(complete, list(columns.values()), rows)
    doubted, quality, too_few = _judged(given, chances)
    suggested = chances.argmax(axis=1)
    order = doubted[np.lexsort((rows[doubted], quality[doubted]))]
    names = pa.array(classes, pa.string())
    table = complete.select(keys or [_ROW]).take(pa.array(order))
    table = table if keys else table.rename_columns(["row"])
    for name, values in (
        ("given", names.take(pa.array(given[order]))),
        ("suggested", names.take(pa.array(suggested[order]))),
        ("quality", pa.array(quality[order])),
        ("probability", pa.array(chances[order, suggested[order]])),
    ):
        table = table.append_column(name, values)
    return LabelErrors(table, len(rows), data.num_rows - len(rows), tuple(classes[number] for number in too_few))


def _columns(
    asked: Mapping[str, str] | Sequence[str] | None, data: pa.Table, predictions: pa.Table | None, label: str
) -> dict[str, str]:
    """Return the column of each label's probability."""
    if label not in data.column_names:
        raise BadColumn(f"no column {label!r}{did_you_mean(label, data.column_names)}")
    there = (data if predictions is None else predictions).column_names
    if asked is None:
        occur = {str(each) for each in pc.unique(data[label].drop_null()).to_pylist()}
        columns = {name: name for name in there if name in occur}
        if len(columns) < 2:
            raise ConfigError(
                f"no columns are called as the labels are ({', '.join(sorted(occur)[:5])}): give probabilities="
            )
        return columns
    columns = dict(asked) if isinstance(asked, Mapping) else {name: name for name in asked}
    for name in columns.values():
        if name not in there:
            raise BadColumn(f"no column {name!r}{did_you_mean(name, there)}")
    if len(columns) < 2:
        raise ConfigError("probabilities of one label only say nothing of errors: give those of all labels")
    return columns


def _joined(data: pa.Table, predictions: pa.Table, keys: list[str]) -> pa.Table:
    if not keys:
        raise ConfigError("predictions are joined to labels by key=: name the columns")
    if predictions.group_by(keys).aggregate([]).num_rows < predictions.num_rows:
        raise KeyViolation(f"two predictions have the same {', '.join(keys)}")
    return data.join(predictions, keys, join_type="left outer").sort_by(_ROW)


def _complete(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return the rows that have a label and all probabilities."""
    there = table[names[0]].is_valid()
    for name in names[1:]:
        there = pc.and_(there, table[name].is_valid())
    return table.filter(there).combine_chunks()


def _given(labels: pa.ChunkedArray, classes: Sequence[str], label: str, rows: Array) -> Array:
    texts = labels.cast(pa.string())
    numbers = pc.index_in(texts, value_set=pa.array(classes, pa.string()))
    if numbers.null_count:
        at = int(np.asarray(numbers.is_null()).argmax())
        name = texts[at].as_py()
        raise LabelError(f"row {rows[at]}: {label} {name!r} has no probability{did_you_mean(name, classes)}")
    return np.asarray(numbers).astype(np.int64)


def _chances(table: pa.Table, columns: Sequence[str], rows: Array) -> Array:
    chances = np.column_stack([np.asarray(table[name].cast(pa.float64())) for name in columns])
    total = chances.sum(axis=1)
    wrong = ~((chances >= 0).all(axis=1) & (np.abs(total - 1) <= _OFF))
    if wrong.any():
        at = int(wrong.argmax())
        told = ", ".join(f"{chance:g}" for chance in chances[at][:8])
        raise LabelError(f"row {rows[at]}: {told} are no probabilities of all labels: they are from 0 on, and sum to 1")
    scaled: Array = chances / total[:, None]
    return scaled


def _judged(given: Array, chances: Array) -> tuple[Array, Array, list[int]]:
    """Return which labels are in doubt, how likely each label is, and which have too few examples."""
    try:
        with _quiet() as told:
            from cleanlab.filter import find_label_issues
            from cleanlab.rank import get_label_quality_scores

            if not len(given):
                return np.empty(0, np.int64), np.empty(0), []
            doubted = find_label_issues(given, chances, n_jobs=1)
            quality = get_label_quality_scores(given, chances)
    except ImportError as error:
        raise MissingExtra("label errors need cleanlab: pip install 'dataplat[label-errors]'") from error
    few = {int(found[1]) for each in told if (found := _TOO_FEW.search(str(each.message)))}
    return np.flatnonzero(doubted), np.asarray(quality), sorted(few)


@contextmanager
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield told
