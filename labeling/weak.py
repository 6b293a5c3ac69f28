"""Labels from rules of thumb: many that are often wrong, weighed against each other, stand in for people's answers.

The votes of labelling functions are votes as those of people, and come to one label a task by the same consensus. The
idea is Snorkel's (Ratner and others 2017, Snorkel: rapid training data creation with weak supervision).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.errors import BadColumn, ConfigError, KeyViolation, LabelError, PredicateError
from dataplat.labeling._labeling_function import LabelingFunction, Place, Rule, labeling_function
from dataplat.lake._where_tree import check, tree_of
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    from dataplat.labeling.consensus.result import Consensus, Method

__all__ = ["LabelingFunction", "WeakLabels", "labeling_function", "weak_labels"]

Array: TypeAlias = np.ndarray[Any, Any]
TaskOf: TypeAlias = "Callable[[pa.RecordBatch], pa.Array]"


@runtime_checkable
class _Batched(Protocol):
    """A version of a dataset, which gives its rows a batch at a time."""

    def batches(self) -> Iterator[pa.RecordBatch]: ...


@dataclass(frozen=True, slots=True, repr=False)
class WeakLabels:
    """What labelling functions say of data.

    Attributes:
        votes: `task`, `annotator` (the name of the function), `label`: the same as people's votes.
        table: one row a function: `function`, `labels` (those that it gives), `votes`, `coverage` (the share of tasks
            that it votes on), `overlap` (that another votes on, too), `conflict` (of which another says otherwise), and,
            of its votes on tasks whose label is known, `gold` (how many), `accuracy` (the share that is right, or null).
        tasks: how many tasks there are.
        covered: how many of them any function votes on.
    """

    votes: pa.Table
    table: pa.Table
    tasks: int
    covered: int

    @property
    def functions(self) -> list[str]:
        """The names of the functions."""
        return [str(name) for name in self.table["function"].to_pylist()]

    def model(
        self,
        method: Method = "dawid-skene",
        *,
        weights: Mapping[str, float] | None = None,
        truth: Mapping[Any, str] | pa.Table | None = None,
        iterations: int = 100,
    ) -> Consensus:
        """Return one label for each task that any function votes on.

        By `dawid-skene` how often each function is right, and when it votes at all, is estimated from how they agree; one
        that votes for one label only tells of that label also by its silence. Tasks on which none votes have no row.

        Args:
            method: any of `dataplat.labeling.consensus.consensus`.
            weights: of `weighted`, what each function counts.
            truth: known labels by task: they hold, and say how good functions are.
            iterations: of `dawid-skene`, the most turns.
        """
        from dataplat.labeling.consensus import consensus

        return consensus(
            self.votes, method, weights=weights, truth=truth, abstaining=self.functions, iterations=iterations
        )

    @property
    def summary(self) -> str:
        """What was found, as one line."""
        share = self.covered / self.tasks if self.tasks else 0.0
        return f"{len(self.functions)} functions, {self.votes.num_rows:,} votes on {self.covered:,} of {self.tasks:,} tasks ({share:.1%})"

    def lines(self) -> list[str]:
        """Return it as lines for people."""
        wide = max((len(name) for name in self.functions), default=0)
        lines = [self.summary]
        for row in self.table.to_pylist():
            told = f"  {row['function']:<{wide}}  coverage {row['coverage']:6.1%}  overlap {row['overlap']:6.1%}  conflict {row['conflict']:6.1%}"
            right = "" if row["accuracy"] is None else f"  accuracy {row['accuracy']:6.1%} of {row['gold']:,}"
            lines.append(f"{told}{right}  {', '.join(row['labels'])}")
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return f"<WeakLabels {self.summary}>"


def weak_labels(
    data: Any,
    functions: Sequence[LabelingFunction | Rule | pl.Expr],
    *,
    task: str | TaskOf | None = None,
    gold: str | Mapping[Any, str] | None = None,
    labels: Sequence[str] | None = None,
) -> WeakLabels:
    """Ask labelling functions about every row.

    Args:
        data: a table (Arrow, Polars, pandas, anything that gives an Arrow stream), a version, or batches one by one.
        functions: what to ask; plain functions and expressions are taken as `labeling_function` makes them.
        task: what names a row: a column, or a function of a batch (`dataplat.labeling.task.task_ids` gives what a queue
            calls its tasks, of which only the first row counts); None: the number of the row, from 0.
        gold: known labels, by task, or the column that holds them; null is not known.
        labels: those that there are; others are refused. None: any.

    Raises:
        BadColumn: There is no such column.
        ConfigError: No functions, or two of one name.
        KeyViolation: Two rows have the same value in the column `task`, or none.
        LabelError: A function fails or gives what is no label; the message names function and row.
    """
    asked = _named(functions)
    counts = _Counts.of(asked)
    pieces: list[pa.Table] = []
    seen: set[Any] = set()
    before = 0
    for batch in _batches(data, asked):
        tasks, first = _tasks(batch, task, before, seen)
        frame = pl.DataFrame(pl.from_arrow(batch))
        place = _place(before, tasks, task)
        said = [_allowed(function, function.votes(frame, place), labels, place) for function in asked]
        before += batch.num_rows
        said = [each.filter(first) for each in said]
        tasks = tasks.filter(pa.array(first))
        counts.add(said, _known(batch, tasks, first, gold))
        pieces += [_votes(tasks, function.name, each) for function, each in zip(asked, said, strict=True)]
    empty = pa.table({"task": pa.array([], pa.int64()), "annotator": pa.array([], pa.string()), "label": pa.array([], pa.string())})  # fmt: skip
    votes = pa.concat_tables(pieces).combine_chunks() if pieces else empty
    return WeakLabels(votes, counts.table(), counts.tasks, counts.covered)


def _named(functions: Sequence[LabelingFunction | Rule | pl.Expr]) -> list[LabelingFunction]:
    asked = [each if isinstance(each, LabelingFunction) else labeling_function(each) for each in functions]
    names = [each.name for each in asked]
    if not names:
        raise ConfigError("no labeling functions are given")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"two labeling functions are called {twice[0]!r}: give one another name=")
    return asked


def _batches(data: Any, asked: Sequence[LabelingFunction]) -> Iterator[pa.RecordBatch]:
    """Yield the rows: of a table in memory all at once, of what comes in batches each."""
    if isinstance(data, pa.RecordBatch):
        yield data
        return
    if isinstance(data, pa.Table | pl.DataFrame) or (
        hasattr(data, "__arrow_c_stream__") and not isinstance(data, pa.RecordBatchReader)
    ):
        table = data if isinstance(data, pa.Table) else pa.table(data)
        yield from table.combine_chunks().to_batches()
        return
    for function in asked:
        if isinstance(function.rule, pl.Expr):
            try:
                check(tree_of(function.rule))
            except PredicateError as error:
                raise LabelError(
                    f"labeling function {function.name!r} may look at other rows, of which a batch has only some: give all rows as one table ({error})"
                ) from error
    found: Iterable[pa.RecordBatch] = data.batches() if isinstance(data, _Batched) else data
    yield from found


def _tasks(batch: pa.RecordBatch, task: str | TaskOf | None, before: int, seen: set[Any]) -> tuple[pa.Array, Array]:
    """Return the task of each row, and which rows are the first of theirs."""
    if task is None:
        return pa.array(np.arange(before, before + batch.num_rows)), np.ones(batch.num_rows, np.bool_)
    tasks = _column(batch, task) if isinstance(task, str) else task(batch)
    first = np.ones(batch.num_rows, np.bool_)
    for row, name in enumerate(tasks.to_pylist()):
        if name is None:
            raise KeyViolation(f"row {before + row} has no task")
        if name in seen:
            if isinstance(task, str):
                raise KeyViolation(f"row {before + row}: {task} {name!r} is there before: tasks are rows of one name")
            first[row] = False
        seen.add(name)
    return tasks, first


def _place(before: int, tasks: pa.Array, task: str | TaskOf | None) -> Place:
    """Return how a row of a batch is called where a function fails at it."""
    if task is None:
        return lambda row: f"row {before + row}"
    what = task if isinstance(task, str) else "task"
    return lambda row: f"row {before + row} ({what} {tasks[row].as_py()!r})"


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name not in batch.schema.names:
        raise BadColumn(f"no column {name!r}{did_you_mean(name, batch.schema.names)}")
    return batch.column(name)


def _allowed(function: LabelingFunction, said: pl.Series, labels: Sequence[str] | None, place: Place) -> pl.Series:
    if labels is not None:
        other = (said.is_not_null() & ~said.is_in(list(labels))).arg_true()
        if len(other):
            label = said[other[0]]
            raise LabelError(
                f"labeling function {function.name!r} gives {label!r} at {place(other[0])}{did_you_mean(label, labels)}"
            )
    return said


def _known(
    batch: pa.RecordBatch, tasks: pa.Array, first: Array, gold: str | Mapping[Any, str] | None
) -> list[str | None]:
    if gold is None:
        return [None] * len(tasks)
    if isinstance(gold, str):
        return list(_column(batch, gold).cast(pa.string()).filter(pa.array(first)).to_pylist())
    return [gold.get(name) for name in tasks.to_pylist()]


def _votes(tasks: pa.Array, name: str, said: pl.Series) -> pa.Table:
    labels = said.to_arrow().cast(pa.string())
    given = labels.is_valid()
    names = pa.repeat(pa.scalar(name), said.len() - said.null_count())
    return pa.table({"task": tasks.filter(given), "annotator": names, "label": labels.filter(given)})


@dataclass(slots=True)
class _Counts:
    """What is counted of each function, batch by batch."""

    names: list[str]
    numbers: dict[str | None, int] = field(default_factory=lambda: {None: -1})
    given: list[set[str]] = field(default_factory=list)
    sums: dict[str, Array] = field(default_factory=dict)
    tasks: int = 0
    covered: int = 0

    @classmethod
    def of(cls, functions: Sequence[LabelingFunction]) -> _Counts:
        """Return counts of nothing yet."""
        counts = cls([function.name for function in functions], given=[set() for _ in functions])
        counts.sums = {
            name: np.zeros(len(functions), np.int64) for name in ("votes", "overlap", "conflict", "gold", "right")
        }
        return counts

    def add(self, said: Sequence[pl.Series], known: Sequence[str | None]) -> None:
        """Count what functions say of some tasks."""
        for labels, each in zip(self.given, said, strict=True):
            labels.update(each.drop_nulls().unique().to_list())
        codes = np.column_stack([self._coded(each) for each in said])
        truth = np.array([self._number(label) for label in known], np.int64)[:, None]
        voted = codes >= 0
        many = voted.sum(axis=1, keepdims=True)
        highest = codes.max(axis=1, keepdims=True)
        lowest = np.where(voted, codes, np.iinfo(np.int64).max).min(axis=1, keepdims=True)
        self.tasks += len(codes)
        self.covered += int((many > 0).sum())
        found = {
            "votes": voted,
            "overlap": voted & (many > 1),
            "conflict": voted & (lowest < highest),
            "gold": voted & (truth >= 0),
            "right": voted & (truth == codes),
        }
        for name, mask in found.items():
            self.sums[name] += mask.sum(axis=0)

    def _coded(self, said: pl.Series) -> Array:
        for label in said.drop_nulls().unique().to_list():
            self._number(label)
        return said.replace_strict(self.numbers, return_dtype=pl.Int64).to_numpy()

    def _number(self, label: str | None) -> int:
        return self.numbers.setdefault(label, len(self.numbers) - 1)

    def table(self) -> pa.Table:
        """Return a row for each function."""
        sums, tasks = self.sums, max(self.tasks, 1)
        right = np.where(sums["gold"] > 0, sums["right"] / np.maximum(sums["gold"], 1), np.nan)
        return pa.table(
            {
                "function": pa.array(self.names, pa.string()),
                "labels": pa.array([sorted(labels) for labels in self.given], pa.list_(pa.string())),
                "votes": sums["votes"],
                "coverage": sums["votes"] / tasks,
                "overlap": sums["overlap"] / tasks,
                "conflict": sums["conflict"] / tasks,
                "gold": sums["gold"],
                "accuracy": pa.array(right, from_pandas=True),
            }
        )
